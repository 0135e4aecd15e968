//! # storage: durability
//!
//! Adds: that what was acknowledged is still there after the process, or the power, is gone.
//! Never knows: what an object is, who owns it, what a cache holds. It keeps bytes under names and versions.
//! Door: [`Datastore`], and [`KeyValue`] as the easy way to bring one; [`open()`] turns a URL into a store.
//!
//! A store of our own is a file here, a line below, and an arm in `open.rs`; it ends with the conformance kit.

use std::fmt::Debug;

use futures_util::future::BoxFuture;

use crate::error::{Error, Kind, Result};
use crate::model::{Caps, Cas, Entry, Loaded, ObjectKey, Page, Put, Record, Register, Rev, Scan, Seen, Version};

#[cfg(feature = "cassandra")]
mod cassandra;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod cursor;
mod frame;
mod key_value;
mod memory;
mod open;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "redis")]
pub use self::redis::Redis;
#[cfg(feature = "redis")]
pub(crate) use self::redis::RedisLogin;
#[cfg(feature = "cassandra")]
pub use cassandra::{Cassandra, schema_apply, schema_print};
pub use key_value::{KeyValue, OverKeyValue};
pub use memory::Memory;
pub use open::{check_existing, open, schema_make, schema_text};
#[cfg(feature = "sqlite")]
pub use sqlite::Sqlite;

/// What the rooms above see of a store.
///
/// Three kinds of things are kept: **registers** (small, linearizable values), **records** (the objects), and
/// **hints** ("look at this object at that time"). The contract, which `remote_object::conformance` checks:
///
/// - **Registers are linearizable per name.** `get` sees every `cas` that was applied before the `get` began.
///   `cas` applies iff the register's rev is `seen` (`None`: the register is absent). A rev never comes back.
/// - **`load` and `version` see every put acknowledged before they began.** What `load` returns was put as a whole:
///   version, state and meta of one and the same put, byte for byte.
/// - **A put is atomic per object and idempotent for equal bytes**: to put the same record again is `Stored`.
/// - **`Stored` means durable** at the class [`Caps::durability`] declares.
/// - **`Refused` means certainly without effect, now and later**; only the first answer to a first attempt may say so.
///   A timeout, a lost connection, a dropped future are `Unknown`: the put may land at any later time.
/// - **No hidden retries** with other bytes, another version, or another consistency.
/// - On a [`Conditional`](crate::model::Ordering::Conditional) store a put applies iff the stored version is that of
///   `seen` (`None`: no record is there); else it answers `Conflict` with the version that stands there, and changes
///   nothing. On an [`Ordered`](crate::model::Ordering::Ordered) store a put always applies and the highest version wins.
/// - A deleted object is a record with an empty state. No record is ever removed but by `purge`. `scan(Objects(type))` misses no object
///   whose creation was acknowledged before the scan's first page was asked for; an object deleted lately may be listed
///   for up to a minute.
/// - A hint may be reported too often, never too seldom. A hint of a lower version than the stored one changes nothing
///   and is told so by `Conflict` with the higher one, or by `Stored`.
/// - A listing is in an order that does not change, so that its pages fit together. A page may be short, or empty, though
///   `next` says that more may come; following `next` ends. A cursor that no page of that scan gave is `bad-request`.
/// - A record's version is above the version it builds upon, and never zero; a put that breaks this, or is larger than
///   [`Caps::record_bytes_max`], is `Refused`. State and register values are UTF-8 text, meta is any bytes.
/// - A future that is dropped has done its work wholly, at any later time perhaps, or not at all.
/// - Names are byte strings: keys that differ in case, accents, trailing blanks or length are different keys.
pub trait Datastore: Debug + Send + Sync + 'static {
    /// What this store is. Constant over its life.
    fn caps(&self) -> Caps;

    /// A register's value.
    fn get<'a>(&'a self, register: &'a Register) -> BoxFuture<'a, Result<Option<Entry>>>;

    /// Sets a register iff its rev is `seen`.
    fn cas<'a>(&'a self, register: &'a Register, seen: Option<&'a Rev>, new: &'a [u8]) -> BoxFuture<'a, Cas>;

    /// Removes a register iff its rev is `seen`: `true` when it is gone, for good, and as if it had never been set. `false` when
    /// it is there still, be it that the rev is another one, or that this store removes no register, as it may.
    ///
    /// A store may remove one only where a change that was sent before, and lands later, cannot find what it quoted: its revs do
    /// not come back over a removal either, and no replica has left what could come back. (One that quoted nothing, since the
    /// register was absent, may land; who creates registers that are removed has to reckon with that.)
    ///
    /// # Errors
    /// When it is not known: it may be removed, or be later.
    fn remove<'a>(&'a self, register: &'a Register, seen: &'a Rev) -> BoxFuture<'a, Result<bool>>;

    /// An object's record.
    fn load<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Loaded>>>;

    /// As [`load`](Datastore::load), without the bytes.
    fn version<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Version>>>;

    /// Puts a whole record over the one that was `seen`.
    fn put<'a>(&'a self, key: &'a ObjectKey, seen: Option<&'a Seen>, record: &'a Record) -> BoxFuture<'a, Put>;

    /// Asks to be reminded of an object at `due` (milliseconds since the Unix epoch), or, with `None`, no more.
    /// `shard` is the object's; a scan of hints asks by it.
    fn hint<'a>(&'a self, shard: u32, key: &'a ObjectKey, due: Option<u64>, version: Version) -> BoxFuture<'a, Put>;

    /// One page of a listing: at most `limit` items (1 or more) after the cursor an earlier page gave.
    fn scan<'a>(&'a self, what: &'a Scan, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Page>>;

    /// Removes the records of deleted objects, the hints that were cleared, and what `objectd doctor` has left (registers
    /// below `doctor/`), for good; answers how many records went. Only while no process uses the store: one that runs
    /// would take a removed record for an object that never was.
    ///
    /// With a record goes what it remembers: a keyed call of the deleted object that is sent again runs again.
    ///
    /// # Errors
    /// `config` when the store never removes anything; `store-unavailable`, and then some may be gone.
    fn purge(&self) -> BoxFuture<'_, Result<u64>>;

    /// Resolves when the store can no longer be used and the process should stop, with the reason; stores that
    /// heal by themselves never resolve.
    fn failed(&self) -> BoxFuture<'_, Error>;
}

/// What every store refuses before it looks at what is there: a record too large for it, or one whose version is not
/// above the one it builds upon.
///
/// # Errors
/// `state-too-large`, or `internal` since the caller broke the rule.
pub fn check_put(caps: &Caps, seen: Option<&Seen>, record: &Record) -> Result<()> {
    if record.bytes() > caps.record_bytes_max {
        let text = format!(
            "the object's record would be {} bytes, the datastore takes {}",
            record.bytes(),
            caps.record_bytes_max
        );
        return Err(Error::new(Kind::StateTooLarge, text));
    }
    let version = record.version;
    if version <= seen.map_or(Version::default(), |seen| seen.version) || i64::try_from(version.as_u64()).is_err() {
        return Err(Error::internal(format!("a put of version {version} over {:?}", seen.map(|seen| seen.version))));
    }
    Ok(())
}
