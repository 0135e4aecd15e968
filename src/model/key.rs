//! Names: which object is meant, in this cluster or another.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

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

    /// The whole name: type, NUL, id.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `xxh3_128(type, NUL, id)` under a seed: wide enough to stand for the object where its name is too long.
    #[must_use]
    pub fn hash128(&self, seed: u64) -> u128 {
        xxhash_rust::xxh3::xxh3_128_with_seed(self.text.as_bytes(), seed)
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

pub(crate) fn percent_encode(text: &str, out: &mut String) {
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
}
