//! The easy way to bring a store: three operations on one key, and the adapter that makes a `Datastore` of them.

use std::fmt::Debug;
use std::future::Future;

use bytes::Bytes;
use futures_util::future::{self, BoxFuture};

use super::frame::{HintFrame, decode_hint, decode_record, encode_hint, encode_record};
use super::{Datastore, check_put, cursor};
use crate::error::{Error, Kind, Result};
use crate::model::{
    Caps, Cas, Durability, Entry, Item, Loaded, ObjectKey, Ordering, Page, Put, Record, Register, Rev, Scan, Seen,
    Version,
};

/// The largest record of a `KeyValue` that names no other limit, in bytes.
const RECORD_BYTES_MAX: usize = 2 << 20;
/// Entries asked for at once while deleted ones are skipped.
const SCAN_CHUNK: usize = 256;
/// Entries one page looks at, at most: a page that met deleted objects only says where to go on.
const SCAN_LOOKED_MAX: usize = 8 * 1024;
/// Others may overtake a hint this often before it is given up, without effect.
const HINT_ATTEMPTS_MAX: usize = 64;

/// A store of values under keys, with compare-and-set. Three methods, to be written as plain `async fn`.
///
/// Keys are text of 1 to 600 bytes without control characters, compared byte by byte: case, accents, trailing blanks
/// and length matter. Values are bytes, none of them special, from none to the limit given to the adapter.
/// No key is ever removed. The contract, which `remote_object::conformance` checks:
///
/// - **Linearizable per key**: `get` and `scan` see every compare-and-set that was applied before they began.
/// - **A value and its rev are of one and the same write**, byte for byte.
/// - **A rev never comes back** for a key once it was overwritten, not even when the same bytes are written again.
/// - A future that is dropped has done its write wholly, later perhaps, or not at all.
pub trait KeyValue: Debug + Send + Sync + 'static {
    /// The value of a key.
    ///
    /// # Errors
    /// `store-unavailable` when it is not known; absent is no error.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Entry>>> + Send;

    /// Sets the value iff the key's rev is `seen` (`None`: iff the key is absent), in one step that no other can split.
    ///
    /// `Applied` when it is durable, with the rev of the new value. `Mismatch` when it certainly had and will have no
    /// effect because another value is there. Everything else (a timeout, a lost connection) is `Unknown`: it may take
    /// effect at any later time, at most once. It is never tried again inside.
    fn compare_and_set(&self, key: &str, seen: Option<&Rev>, new: Bytes) -> impl Future<Output = Cas> + Send;

    /// Keys that begin with `prefix` and come strictly behind `after`, in byte order, at most `limit` (1 or more).
    ///
    /// `after` need not exist. Fewer than `limit` come only when there are no more.
    ///
    /// # Errors
    /// `store-unavailable`; never a part of the list.
    fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(String, Entry)>>> + Send;
}

/// A [`Datastore`] over any [`KeyValue`].
///
/// Keys: `r/<register>`, `o/<type>/<id>`, `h/<shard>/<type>/<id>`. An object's value is one MessagePack map of version,
/// state and meta; a hint that is cleared stays as a value without a due time.
#[derive(Debug)]
pub struct OverKeyValue<K> {
    kv: K,
    caps: Caps,
}

impl<K: KeyValue> OverKeyValue<K> {
    /// A store that many processes may use at once. `durability` is what `Applied` of `kv` survives.
    pub fn new(kv: K, durability: Durability) -> Self {
        let caps =
            Caps { ordering: Ordering::Conditional, exclusive: false, durability, record_bytes_max: RECORD_BYTES_MAX };
        Self { kv, caps }
    }

    /// Says that one process alone can use this store. Only for stores that enforce it, as by a file lock: with two
    /// processes on it, reads would be stale.
    #[must_use]
    pub fn exclusive(mut self) -> Self {
        self.caps.exclusive = true;
        self
    }

    /// The largest record it takes, state and meta together, in bytes; 2 MiB unless said otherwise. The value that
    /// holds it is up to 64 bytes larger.
    #[must_use]
    pub fn record_bytes_max(mut self, bytes: usize) -> Self {
        self.caps.record_bytes_max = bytes;
        self
    }

    /// The store below.
    #[cfg(feature = "redis")]
    pub(super) fn key_value(&self) -> &K {
        &self.kv
    }

    async fn load_record(&self, key: &ObjectKey) -> Result<Option<Loaded>> {
        match self.kv.get(&object_key(key)).await? {
            None => Ok(None),
            Some(entry) => Ok(Some(Loaded { record: decode_record(key, &entry.value)?, rev: entry.rev })),
        }
    }

    async fn put_record(&self, key: &ObjectKey, seen: Option<&Seen>, record: &Record) -> Put {
        if let Err(error) = check_put(&self.caps, seen, record) {
            return Put::Refused(error.with_key(key));
        }
        let value = match encode_record(record) {
            Ok(value) => value,
            Err(error) => return Put::Refused(error.with_key(key)),
        };
        match self.kv.compare_and_set(&object_key(key), seen.map(|seen| &seen.rev), value).await {
            Cas::Applied(rev) => return Put::Stored(rev),
            Cas::Unknown(error) => return Put::Unknown(error.with_key(key).with_operation("put")),
            Cas::Mismatch => {}
        }
        // This attempt had no effect. An earlier one with the same bytes may have had: only what is there can tell.
        match self.load_record(key).await {
            Ok(None) => Put::Conflict(Version::default()),
            Ok(Some(there)) if there.record == *record => Put::Stored(there.rev),
            Ok(Some(there)) => Put::Conflict(there.record.version),
            Err(error) => Put::Unknown(error.with_key(key).with_operation("put")),
        }
    }

    async fn put_hint(&self, key: &str, new: HintFrame) -> Put {
        let value = match encode_hint(&new) {
            Ok(value) => value,
            Err(error) => return Put::Refused(error),
        };
        for _ in 0..HINT_ATTEMPTS_MAX {
            let there = match self.kv.get(key).await {
                Ok(there) => there,
                Err(error) => return Put::Unknown(error.with_operation("hint")),
            };
            // A hint that cannot be read is overwritten: it is only advice, and must not keep an object from its own.
            match there.as_ref().and_then(|entry| decode_hint(&entry.value).ok()) {
                Some(old) if old.version > new.version => return Put::Conflict(Version::from_u64(old.version)),
                _ => {}
            }
            match self.kv.compare_and_set(key, there.as_ref().map(|entry| &entry.rev), value.clone()).await {
                Cas::Applied(rev) => return Put::Stored(rev),
                Cas::Unknown(error) => return Put::Unknown(error.with_operation("hint")),
                Cas::Mismatch => {}
            }
        }
        Put::Refused(Error::new(Kind::StoreUnavailable, "the hint was overtaken too often").with_operation("hint"))
    }

    async fn page(&self, what: &Scan, after: Option<&str>, limit: usize) -> Result<Page> {
        let prefix = match what {
            Scan::Registers(prefix) => format!("r/{prefix}"),
            Scan::Objects(type_name) => format!("o/{type_name}/"),
            Scan::Hints(shard) => format!("h/{shard}/"),
        };
        let mut last = match after {
            None => None,
            Some(after) => Some(format!("{prefix}{}", cursor::decode(what, after)?)),
        };
        let limit = limit.max(1);
        let mut items = Vec::new();
        let mut looked = 0;
        while looked < SCAN_LOOKED_MAX.max(limit) {
            let chunk = (limit - items.len()).clamp(1, SCAN_CHUNK);
            let entries = self.kv.scan(&prefix, last.as_deref(), chunk).await?;
            let ended = entries.len() < chunk;
            looked += entries.len();
            for (key, entry) in entries {
                items.extend(item(what, &prefix, &key, entry)?);
                last = Some(key);
            }
            if ended {
                return Ok(Page { items, next: None });
            }
            if items.len() >= limit {
                break;
            }
        }
        let next = last.map(|last| cursor::encode(what, &last[prefix.len()..]));
        Ok(Page { items, next })
    }
}

fn register_key(register: &Register) -> String {
    format!("r/{}", register.name())
}

fn object_key(key: &ObjectKey) -> String {
    format!("o/{}/{}", key.type_name(), key.id())
}

fn hint_key(shard: u32, key: &ObjectKey) -> String {
    format!("h/{shard}/{}/{}", key.type_name(), key.id())
}

/// What an entry is to a listing; nothing for what is deleted or cleared.
fn item(what: &Scan, prefix: &str, key: &str, entry: Entry) -> Result<Option<Item>> {
    let foreign = || Error::store(format!("a scan of {prefix:?} returned the key {key:?}"));
    let rest = key.strip_prefix(prefix).ok_or_else(foreign)?;
    match what {
        Scan::Registers(_) => Ok(Some(Item::Register(Register::named(&key[2..]), entry))),
        Scan::Objects(type_name) => {
            let key = ObjectKey::new(type_name, rest).map_err(|_| foreign())?;
            // A record that cannot be read is listed: loading it says what is wrong, leaving it out would hide it.
            let deleted = decode_record(&key, &entry.value).is_ok_and(|record| record.is_deleted());
            Ok((!deleted).then_some(Item::Object(key)))
        }
        Scan::Hints(_) => {
            let (type_name, id) = rest.split_once('/').ok_or_else(foreign)?;
            let key = ObjectKey::new(type_name, id).map_err(|_| foreign())?;
            let hint = decode_hint(&entry.value)?;
            Ok(hint.due.map(|due| Item::Hint { key, due, version: Version::from_u64(hint.version) }))
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl<K: KeyValue> Datastore for OverKeyValue<K> {
    fn caps(&self) -> Caps {
        self.caps
    }

    fn get<'a>(&'a self, register: &'a Register) -> BoxFuture<'a, Result<Option<Entry>>> {
        Box::pin(async move { self.kv.get(&register_key(register)).await })
    }

    fn cas<'a>(&'a self, register: &'a Register, seen: Option<&'a Rev>, new: &'a [u8]) -> BoxFuture<'a, Cas> {
        Box::pin(
            async move { self.kv.compare_and_set(&register_key(register), seen, Bytes::copy_from_slice(new)).await },
        )
    }

    /// No key is ever removed.
    fn remove<'a>(&'a self, _: &'a Register, _: &'a Rev) -> BoxFuture<'a, Result<bool>> {
        Box::pin(future::ready(Ok(false)))
    }

    fn load<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Loaded>>> {
        Box::pin(self.load_record(key))
    }

    fn version<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Version>>> {
        Box::pin(async move { Ok(self.load_record(key).await?.map(|loaded| loaded.record.version)) })
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, seen: Option<&'a Seen>, record: &'a Record) -> BoxFuture<'a, Put> {
        Box::pin(self.put_record(key, seen, record))
    }

    fn hint<'a>(&'a self, shard: u32, key: &'a ObjectKey, due: Option<u64>, version: Version) -> BoxFuture<'a, Put> {
        let frame = HintFrame { version: version.as_u64(), due };
        Box::pin(async move { self.put_hint(&hint_key(shard, key), frame).await })
    }

    fn scan<'a>(&'a self, what: &'a Scan, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Page>> {
        Box::pin(self.page(what, after, limit))
    }

    fn purge(&self) -> BoxFuture<'_, Result<u64>> {
        Box::pin(future::ready(Err(Error::config(
            "this store cannot be purged: no key is ever removed from a key-value store, since a late write could come back; \
             a deleted object keeps its small record there",
        ))))
    }

    fn failed(&self) -> BoxFuture<'_, Error> {
        Box::pin(future::pending())
    }
}
