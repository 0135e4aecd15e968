//! The words every room shares: which object, which version, what a record is.
//!
//! A leaf: it knows no room. Everything here is plain data; the rules that use it stand in the rooms.

mod key;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::Error;

#[cfg(feature = "client")]
pub(crate) use key::percent_encode;
pub use key::{KeyHash, KeyHasher, ObjectKey, ObjectUri, check_name, percent_decode};

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

impl Durability {
    /// As `/readyz` and the log have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Durability::PowerSafe => "power-safe",
            Durability::ProcessSafe => "process-safe",
            Durability::Weak => "weak",
        }
    }
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
    fn versions_order_by_epoch_first_and_read_back() {
        assert!(Version::new(2, 0) > Version::new(1, u32::MAX));
        let version = Version::new(3, 17);
        assert_eq!(version.to_string().parse(), Ok(version));
        for wrong in ["", "3", "3-", "-3", "03-1", "3-+1", "3-1 ", "99999999999-1"] {
            assert!(wrong.parse::<Version>().is_err(), "{wrong:?}");
        }
    }
}
