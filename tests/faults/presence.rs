//! The rule of the caches, broken: an entry is used because it is there.
//!
//! An entry counts iff its version is the object's current one, and a process that has just begun asks the store which one
//! that is. A store that answers with the version of the entry makes the two equal, whatever the entry is: so the process
//! does what one does that does not compare them. As in `tests/sim/broken.rs`, the code that is tested is the code that
//! is shipped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use remote_object::model::{
    Caps, Cas, Durability, Entry, Loaded, ObjectKey, Page, Put, Record, Register, Rev, Scan, Seen, Version,
};
use remote_object::prelude::*;
use remote_object::storage::{Datastore, Memory, OverKeyValue};
use remote_object::{Host, Service};
use test_history::{Counts, Recorder};

use super::raw::Raw;
use super::servers::{Server, has};

/// A number that counts.
#[remote_object]
pub struct Tally {
    value: u64,
}

#[remote_object]
impl Tally {
    pub fn add(&mut self) -> u64 {
        self.value += 1;
        self.value
    }

    pub fn value(&self) -> u64 {
        self.value
    }
}

/// A store that says of an object the version which a cache has of it.
#[derive(Debug)]
struct ByPresence {
    inner: Arc<dyn Datastore>,
    cache: SocketAddr,
}

/// The version of the only entry of a cache; where it stands in one: `src/cache/entry.rs`.
fn version_in(cache: SocketAddr) -> Option<Version> {
    const AT: usize = 1 + 8 + 8;
    let (_, entry) = Raw::to(cache).dump().pop()?;
    let number = u64::from_le_bytes(entry[AT..AT + 8].try_into().unwrap());
    Some(Version::from_u64(number))
}

impl Datastore for ByPresence {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn get<'a>(&'a self, register: &'a Register) -> BoxFuture<'a, Result<Option<Entry>>> {
        self.inner.get(register)
    }

    fn cas<'a>(&'a self, register: &'a Register, seen: Option<&'a Rev>, new: &'a [u8]) -> BoxFuture<'a, Cas> {
        self.inner.cas(register, seen, new)
    }

    fn remove<'a>(&'a self, register: &'a Register, seen: &'a Rev) -> BoxFuture<'a, remote_object::Result<bool>> {
        self.inner.remove(register, seen)
    }

    fn load<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Loaded>>> {
        self.inner.load(key)
    }

    fn version<'a>(&'a self, _key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Version>>> {
        Box::pin(async { Ok(version_in(self.cache)) })
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, seen: Option<&'a Seen>, record: &'a Record) -> BoxFuture<'a, Put> {
        self.inner.put(key, seen, record)
    }

    fn hint<'a>(&'a self, shard: u32, key: &'a ObjectKey, due: Option<u64>, version: Version) -> BoxFuture<'a, Put> {
        self.inner.hint(shard, key, due, version)
    }

    fn scan<'a>(&'a self, what: &'a Scan, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Page>> {
        self.inner.scan(what, after, limit)
    }

    fn purge(&self) -> BoxFuture<'_, Result<u64>> {
        self.inner.purge()
    }

    fn failed(&self) -> BoxFuture<'_, Error> {
        self.inner.failed()
    }
}

async fn start(store: Arc<dyn Datastore>, cache: &Server) -> Service {
    let cache = format!("memcached://{}?timeout-ms=5000", cache.address);
    Service::builder().datastore("store", store).node_name("node").cache(&cache).build().await.unwrap()
}

async fn add(host: &Host, recorder: &Recorder) {
    let from = recorder.asked();
    let value = host.call(Remote::<Tally>::new("a").add()).await.unwrap();
    recorder.added("a", from, value, Some(&format!("1-{value}")));
}

async fn read(host: &Host, recorder: &Recorder) {
    let from = recorder.asked();
    let value = host.call(Remote::<Tally>::new("a").value()).await.unwrap();
    recorder.read("a", from, value, Some(&format!("1-{value}")));
}

/// Waits until the cache has another version than before.
async fn until_kept(cache: &Server, before: Option<Version>) -> Option<Version> {
    for _ in 0..4_000 {
        let version = version_in(cache.address);
        if version != before {
            return version;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the cache was never filled");
}

/// A process adds twice and ends; the cache comes back with what it had in between; the next process is asked.
async fn run(broken: bool) -> std::result::Result<Counts, Vec<String>> {
    let (store, cache) = (OverKeyValue::new(Memory::new(), Durability::Weak), Server::memcached(&[]));
    let store: Arc<dyn Datastore> = Arc::new(store);
    let recorder = Recorder::new();
    let first = start(Arc::clone(&store), &cache).await;
    add(first.host(), &recorder).await;
    let version = until_kept(&cache, None).await;
    let old = Raw::to(cache.address).dump();
    add(first.host(), &recorder).await;
    until_kept(&cache, version).await;
    first.stop().await;
    Raw::to(cache.address).fill(&old);
    let store = if broken { Arc::new(ByPresence { inner: store, cache: cache.address }) } else { store };
    let second = start(store, &cache).await;
    read(second.host(), &recorder).await;
    let counts = second.host().cache_counts().pools.remove(0);
    assert_eq!((counts.stale, counts.hits), if broken { (0, 1) } else { (1, 0) }, "the old entry was not asked for");
    recorder.check()
}

#[tokio::test]
async fn an_entry_that_is_used_because_it_is_there_is_found_out() {
    if !has("memcached") {
        return;
    }
    run(false).await.unwrap();
    let wrong = run(true).await.unwrap_err();
    assert!(wrong[0].contains("2 had been reached before"), "{wrong:#?}");
}
