//! A store in memory: the model of the semantics, and the fastest one. Nothing of it survives the process.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Datastore, KeyValue, OverKeyValue};
use crate::error::Result;
use crate::model::{Cas, Durability, Entry, Rev};

/// The largest record of the store made by [`Memory::store`], in bytes.
const RECORD_BYTES_MAX: usize = 16 << 20;

/// A [`KeyValue`] in memory.
#[derive(Default)]
pub struct Memory(Mutex<Map>);

#[derive(Default)]
struct Map {
    values: BTreeMap<Box<str>, Value>,
    /// Counts every write of the store's life, so that no rev is given twice.
    writes: u64,
}

struct Value {
    bytes: Bytes,
    rev: u64,
}

impl Value {
    fn entry(&self) -> Entry {
        Entry { value: self.bytes.clone(), rev: Rev::Number(self.rev) }
    }
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store, as the rooms above use it.
    #[must_use]
    pub fn store() -> Arc<dyn Datastore> {
        Arc::new(OverKeyValue::new(Self::new(), Durability::Weak).exclusive().record_bytes_max(RECORD_BYTES_MAX))
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        // Nothing between lock and unlock leaves the map half changed, so a panic elsewhere is no reason to stop.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("keys", &self.map().values.len()).finish()
    }
}

impl KeyValue for Memory {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        Ok(self.map().values.get(key).map(Value::entry))
    }

    async fn compare_and_set(&self, key: &str, seen: Option<&Rev>, new: Bytes) -> Cas {
        let map = &mut *self.map();
        let rev = map.writes + 1;
        match (map.values.get_mut(key), seen) {
            (None, None) => {
                map.values.insert(key.into(), Value { bytes: new, rev });
            }
            (Some(there), Some(Rev::Number(seen))) if there.rev == *seen => *there = Value { bytes: new, rev },
            _ => return Cas::Mismatch,
        }
        map.writes = rev;
        Cas::Applied(Rev::Number(rev))
    }

    async fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>> {
        let map = self.map();
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let range = map.values.range::<str, _>((from, Bound::Unbounded));
        let of_prefix = range.take_while(|(key, _)| key.starts_with(prefix));
        Ok(of_prefix.take(limit).map(|(key, value)| (key.to_string(), value.entry())).collect())
    }
}
