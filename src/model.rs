//! The words every room shares: which object, which version, what a record is.
//!
//! A leaf: it knows no room. Everything here is plain data; the rules that use it stand in the rooms.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

use crate::config::{ID_BYTES_MAX, TYPE_NAME_BYTES_MAX};
use crate::error::Error;

/// The name of an object: its type and its id. Cheap to clone; its hash is computed once.
#[derive(Clone)]
pub struct ObjectKey {
    /// `type NUL id`; neither part can hold a NUL.
    text: Arc<str>,
    split: u32,
    hash: u64,
}

impl ObjectKey {
    /// Checks the type name (kebab-case, 1..=64 bytes) and the id (1..=512 bytes of UTF-8 without control
    /// characters, neither `.` nor `..`).
    ///
    /// # Errors
    /// `bad-request`, naming what is wrong with which part.
    pub fn new(type_name: &str, id: &str) -> Result<Self, Error> {
        check_name(type_name).map_err(|why| Error::bad_request(format!("the type name {type_name:?} {why}")))?;
        check_id(id).map_err(|why| Error::bad_request(format!("the object id {why}")))?;
        Ok(Self::joined(type_name, id))
    }

    fn joined(type_name: &str, id: &str) -> Self {
        let mut text = String::with_capacity(type_name.len() + 1 + id.len());
        text.push_str(type_name);
        text.push('\0');
        text.push_str(id);
        let hash = xxhash_rust::xxh3::xxh3_64(text.as_bytes());
        Self { text: text.into(), split: type_name.len() as u32, hash }
    }

    /// The type's name, as in the URI.
    #[must_use]
    pub fn type_name(&self) -> &str {
        &self.text[..self.split as usize]
    }

    /// The id, decoded.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.text[self.split as usize + 1..]
    }

    /// `xxh3_64(type, NUL, id)`: stable over releases and machines, since shards are made of it.
    #[must_use]
    pub fn hash64(&self) -> u64 {
        self.hash
    }

    /// The shard of this object among `shards`.
    #[must_use]
    pub fn shard(&self, shards: u32) -> u32 {
        (self.hash % u64::from(shards.max(1))) as u32
    }

    /// The object's URI path, `/objects/{type}/{id}`: unreserved characters bare, the rest upper-case hex.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = String::with_capacity(10 + self.text.len());
        path.push_str("/objects/");
        path.push_str(self.type_name());
        path.push('/');
        percent_encode(self.id(), &mut path);
        path
    }
}

impl PartialEq for ObjectKey {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.text == other.text
    }
}

impl Eq for ObjectKey {}

impl PartialOrd for ObjectKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ObjectKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for ObjectKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

/// A hasher that passes the hash an [`ObjectKey`] already has.
#[derive(Default, Clone, Copy, Debug)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= xxhash_rust::xxh3::xxh3_64(bytes);
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = self.0.rotate_left(5) ^ n;
    }
}

/// Builds [`KeyHasher`]s.
pub type KeyHash = std::hash::BuildHasherDefault<KeyHasher>;

/// Why `name` is no kebab-case name, if it is none.
///
/// # Errors
/// The half sentence that says what is wrong.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    let bytes = name.as_bytes();
    if bytes.is_empty() {
        return Err("is empty");
    }
    if bytes.len() > TYPE_NAME_BYTES_MAX {
        return Err("is longer than 64 bytes");
    }
    if !bytes[0].is_ascii_lowercase() {
        return Err("does not begin with a lower-case letter");
    }
    if !bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-') {
        return Err("is not kebab-case (a-z, 0-9 and '-')");
    }
    Ok(())
}

fn check_id(id: &str) -> Result<(), &'static str> {
    match id {
        "" => return Err("is empty"),
        "." | ".." => return Err("is '.' or '..', which clients and proxies drop from paths"),
        _ => {}
    }
    if id.len() > ID_BYTES_MAX {
        return Err("is longer than 512 bytes");
    }
    if id.chars().any(char::is_control) {
        return Err("holds a control character");
    }
    Ok(())
}

fn percent_encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte as char);
        } else {
            out.push('%');
            out.push(HEX[usize::from(byte >> 4)] as char);
            out.push(HEX[usize::from(byte & 15)] as char);
        }
    }
}

/// Decodes the percent-encoding of one path segment, once.
///
/// # Errors
/// `bad-request` when a `%` is not followed by two hex digits or the bytes are not UTF-8.
pub fn percent_decode(segment: &str) -> Result<std::borrow::Cow<'_, str>, Error> {
    if !segment.contains('%') {
        return Ok(segment.into());
    }
    let bytes = segment.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            let hex = |i: usize| bytes.get(i).and_then(|b| (*b as char).to_digit(16));
            let (Some(high), Some(low)) = (hex(at + 1), hex(at + 2)) else {
                return Err(Error::bad_request("a '%' in the path is not followed by two hex digits"));
            };
            out.push((high * 16 + low) as u8);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    match String::from_utf8(out) {
        Ok(text) => Ok(text.into()),
        Err(_) => Err(Error::bad_request("the percent-encoded path is not UTF-8")),
    }
}

/// The URI of an object: of this cluster when it has no authority, else of another.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectUri {
    /// `http://host:port` of another cluster, as it was written.
    origin: Option<Arc<str>>,
    key: ObjectKey,
}

impl ObjectUri {
    /// An object of this cluster.
    #[must_use]
    pub fn local(key: ObjectKey) -> Self {
        Self { origin: None, key }
    }

    /// Reads `/objects/{type}/{id}` or `http(s)://authority/objects/{type}/{id}`.
    ///
    /// # Errors
    /// `bad-request`, saying what a URI of an object looks like.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (origin, path) = match text.find("://") {
            Some(scheme) if text.starts_with("http://") || text.starts_with("https://") => {
                let rest = &text[scheme + 3..];
                let Some(slash) = rest.find('/') else {
                    return Err(not_a_uri(text));
                };
                let authority = &rest[..slash];
                let legal = |c: char| c.is_ascii_alphanumeric() || "-.:[]_".contains(c);
                if authority.is_empty() || !authority.chars().all(legal) {
                    return Err(not_a_uri(text));
                }
                (Some(Arc::from(&text[..scheme + 3 + slash])), &rest[slash..])
            }
            _ => (None, text),
        };
        let Some(rest) = path.strip_prefix("/objects/") else {
            return Err(not_a_uri(text));
        };
        let Some((type_name, id)) = rest.split_once('/') else {
            return Err(not_a_uri(text));
        };
        if id.contains(['/', '?', '#']) {
            return Err(not_a_uri(text));
        }
        Ok(Self { origin, key: ObjectKey::new(type_name, &percent_decode(id)?)? })
    }

    /// The object's name in its cluster.
    #[must_use]
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// `http://host:port` of another cluster; `None` is this one.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// The same object, taken as one of this cluster.
    #[must_use]
    pub fn into_local(self) -> Self {
        Self { origin: None, key: self.key }
    }
}

fn not_a_uri(text: &str) -> Error {
    let shown: String = text.chars().take(80).collect();
    Error::bad_request(format!("{shown:?} is not the URI of an object: it would be /objects/{{type}}/{{id}}"))
}

impl fmt::Display for ObjectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.origin.as_deref().unwrap_or(""))?;
        f.write_str(&self.key.path())
    }
}

impl fmt::Debug for ObjectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// `epoch · 2^32 + seq`: orders every put of an object, over owners. It is the `ETag` and, on an ordered store,
/// the write timestamp. Zero is no version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(u64);

impl Version {
    /// From its parts; epochs above 2^31 do not fit the signed columns of some stores and never occur.
    #[must_use]
    pub const fn new(epoch: u32, seq: u32) -> Self {
        Self((epoch as u64) << 32 | seq as u64)
    }

    /// From the number a store keeps.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The number a store keeps.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The epoch of the shard under which it was given.
    #[must_use]
    pub const fn epoch(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The place within its epoch.
    #[must_use]
    pub const fn seq(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch(), self.seq())
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (epoch, seq) = text.split_once('-').ok_or(())?;
        let digits = |part: &str| -> Result<u32, ()> {
            let canonical = part == "0" || !part.starts_with('0');
            if canonical && part.bytes().all(|b| b.is_ascii_digit()) { part.parse().map_err(|_| ()) } else { Err(()) }
        };
        Ok(Self::new(digits(epoch)?, digits(seq)?))
    }
}

/// What a store keeps of an object: two columns under one version, encoded once per turn and sent again as these bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Orders this put among all puts of the object.
    pub version: Version,
    /// The state as JSON text; empty when the object is deleted, never absent.
    pub state: Bytes,
    /// MessagePack of what the objects room keeps beside it. Opaque to a store.
    pub meta: Bytes,
}

impl Record {
    /// Whether the object has no life now: its record is kept, its state is gone.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.state.is_empty()
    }

    /// State and meta together, as the limits count them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.state.len() + self.meta.len()
    }
}

/// A store's own mark on one value, given out by a read or a write and quoted by the next write.
///
/// A store chooses what it is: a row id, a revision number, an ETag. It must never come back with another value of
/// the same key once it was overwritten.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Rev {
    /// A number, such as a revision or a row id.
    Number(u64),
    /// Anything else.
    Text(Arc<str>),
}

/// A value with its mark.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The bytes as they were written.
    pub value: Bytes,
    /// The mark to quote when overwriting it.
    pub rev: Rev,
}

/// A record as a store gave it out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loaded {
    /// The record.
    pub record: Record,
    /// The mark to quote in the next put.
    pub rev: Rev,
}

/// What a put builds upon: the record this Hold last saw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Its version.
    pub version: Version,
    /// The store's mark on it.
    pub rev: Rev,
}

/// A small linearizable value: who is up, who owns which shard, what the cluster was made with.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Register(String);

impl Register {
    /// `meta/cluster`: fixed at the first start, for ever.
    #[must_use]
    pub fn cluster() -> Self {
        Self("meta/cluster".into())
    }

    /// `node/<incarnation>`: whether that life of a process is up.
    #[must_use]
    pub fn node(incarnation: &str) -> Self {
        Self(format!("node/{incarnation}"))
    }

    /// `shard/<n>`: who owns it, under which epoch.
    #[must_use]
    pub fn shard(number: u32) -> Self {
        Self(format!("shard/{number}"))
    }

    /// A register by its full name, as a scan or a test has it.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Its full name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// The answer of a compare-and-set on a register or a key.
#[derive(Clone, Debug)]
pub enum Cas {
    /// It took effect; the mark of the new value.
    Applied(Rev),
    /// It had no effect: the value there is not the one quoted.
    Mismatch,
    /// It may have taken effect, or may still, at any later time, at most once.
    Unknown(Error),
}

/// The answer of a put.
#[derive(Clone, Debug)]
pub enum Put {
    /// Durable at the store's declared class; the mark to quote next.
    Stored(Rev),
    /// Conditional stores only: another version stands there (zero: none), nothing was changed.
    Conflict(Version),
    /// It certainly had and will have no effect. Only the first answer to the first attempt may say so.
    Refused(Error),
    /// It may have taken effect, or may still, at any later time.
    Unknown(Error),
}

/// How a store orders two puts of one object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ordering {
    /// A put applies iff the stored version is the one it builds upon. The version is the fence.
    Conditional,
    /// Every put applies, the highest version wins. Cannot refuse a stale writer, so an owner seals.
    Ordered,
}

/// What `Stored` and `Applied` survive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// The loss of power.
    PowerSafe,
    /// The death of the process, not the loss of power.
    ProcessSafe,
    /// Less.
    Weak,
}

/// What a store is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caps {
    /// How two puts of one object are ordered.
    pub ordering: Ordering,
    /// One process alone can use it, and that is enforced: no confirm and no seal are needed.
    pub exclusive: bool,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// The largest record it takes, state and meta together, in bytes.
    pub record_bytes_max: usize,
}

/// What to list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scan {
    /// Registers whose name begins so.
    Registers(String),
    /// Objects of a type that are not deleted.
    Objects(String),
    /// Hints of a shard.
    Hints(u32),
}

/// One listed thing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// A register and its value.
    Register(Register, Entry),
    /// An object that is not deleted.
    Object(ObjectKey),
    /// An object to look at, at `due` (milliseconds since the Unix epoch).
    Hint {
        /// The object.
        key: ObjectKey,
        /// When to look, in milliseconds since the Unix epoch.
        due: u64,
        /// The version of the put that asked for it.
        version: Version,
    },
}

/// One page of a scan, in the order of the store.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// At most as many as asked for.
    pub items: Vec<Item>,
    /// Where to go on; `None` at the end. Opaque to everyone but the store.
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_that_decode_alike_are_one_object() {
        let a = ObjectUri::parse("/objects/counter/a%2fb%41").expect("legal");
        let b = ObjectUri::parse("/objects/counter/a%2FbA").expect("legal");
        assert_eq!(a, b);
        assert_eq!(a.to_string(), "/objects/counter/a%2FbA");
        assert_eq!(a.key().id(), "a/bA");
    }

    #[test]
    fn ids_that_clients_or_proxies_would_change_are_refused() {
        for id in ["", ".", "..", "a\nb", "\u{7f}", "\u{85}"] {
            assert!(ObjectKey::new("counter", id).is_err(), "{id:?}");
        }
        assert!(ObjectKey::new("counter", &"x".repeat(512)).is_ok());
        assert!(ObjectKey::new("counter", &"x".repeat(513)).is_err());
    }

    #[test]
    fn the_shard_hash_never_changes() {
        let key = ObjectKey::new("counter", "visits").expect("legal");
        assert_eq!(key.hash64(), xxhash_rust::xxh3::xxh3_64(b"counter\0visits"));
    }

    #[test]
    fn versions_order_by_epoch_first_and_read_back() {
        assert!(Version::new(2, 0) > Version::new(1, u32::MAX));
        let version = Version::new(3, 17);
        assert_eq!(version.to_string().parse(), Ok(version));
        for wrong in ["", "3", "3-", "-3", "03-1", "3-+1", "3-1 ", "99999999999-1"] {
            assert!(wrong.parse::<Version>().is_err(), "{wrong:?}");
        }
    }
}
