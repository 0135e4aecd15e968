//! A store as Cassandra is one: every put applies whenever it lands, and the highest version wins.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use remote_object::model::{
    Caps, Cas, Entry, Loaded, ObjectKey, Ordering, Page, Put, Record, Register, Rev, Scan, Seen, Version,
};
use remote_object::storage::{Datastore, check_put};
use remote_object::{Error, Result};

use super::store::shared_memory;

/// Objects here, registers in a memory store.
#[derive(Debug)]
pub struct Ordered {
    registers: Arc<dyn Datastore>,
    records: Mutex<BTreeMap<ObjectKey, Record>>,
}

impl Ordered {
    pub fn store() -> Arc<dyn Datastore> {
        Arc::new(Self { registers: shared_memory(), records: Mutex::default() })
    }
}

impl Datastore for Ordered {
    fn caps(&self) -> Caps {
        Caps { ordering: Ordering::Ordered, ..self.registers.caps() }
    }

    fn get<'a>(&'a self, register: &'a Register) -> BoxFuture<'a, Result<Option<Entry>>> {
        self.registers.get(register)
    }

    fn cas<'a>(&'a self, register: &'a Register, seen: Option<&'a Rev>, new: &'a [u8]) -> BoxFuture<'a, Cas> {
        self.registers.cas(register, seen, new)
    }

    fn remove<'a>(&'a self, register: &'a Register, seen: &'a Rev) -> BoxFuture<'a, Result<bool>> {
        self.registers.remove(register, seen)
    }

    fn load<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Loaded>>> {
        let found = self.records.lock().unwrap().get(key).cloned();
        let loaded = found.map(|record| Loaded { rev: Rev::Number(record.version.as_u64()), record });
        Box::pin(async { Ok(loaded) })
    }

    fn version<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Version>>> {
        let found = self.records.lock().unwrap().get(key).map(|record| record.version);
        Box::pin(async move { Ok(found) })
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, seen: Option<&'a Seen>, record: &'a Record) -> BoxFuture<'a, Put> {
        Box::pin(async move {
            if let Err(error) = check_put(&self.caps(), seen, record) {
                return Put::Refused(error);
            }
            let mut records = self.records.lock().unwrap();
            let there = records.entry(key.clone()).or_insert_with(|| record.clone());
            if record.version > there.version {
                *there = record.clone();
            }
            Put::Stored(Rev::Number(record.version.as_u64()))
        })
    }

    fn hint<'a>(&'a self, shard: u32, key: &'a ObjectKey, due: Option<u64>, version: Version) -> BoxFuture<'a, Put> {
        self.registers.hint(shard, key, due, version)
    }

    fn scan<'a>(&'a self, what: &'a Scan, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Page>> {
        self.registers.scan(what, after, limit)
    }

    fn purge(&self) -> BoxFuture<'_, Result<u64>> {
        self.registers.purge()
    }

    fn failed(&self) -> BoxFuture<'_, Error> {
        Box::pin(std::future::pending())
    }
}
