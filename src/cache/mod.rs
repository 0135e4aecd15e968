//! # cache: speed
//!
//! Adds: the published states of warm objects in this process (L1, weighed in bytes), and the records of many more in
//! caches that processes share (L2: memcached, Redis).
//! Never knows: what a state is, who may write it. It may forget anything at any time and invents nothing: what it
//! does not have, it asks of the store.
//! Door: [`Cache`].
//!
//! L2 is trusted by one rule: **a record from it is used iff its version is the object's current one**, which the
//! [`index`](Index) knows or the store is asked for. So it does not matter which server says it, who wrote it there, or
//! what was lost, kept for too long, or mixed up on the way. A cache of our own is a file here, a line below, and an arm
//! in `shared.rs`.

mod entry;
mod index;
mod local;
#[cfg(feature = "memcached")]
mod memcached;
mod outgoing;
mod pool;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "memcached", feature = "redis"))]
mod ring;
mod shared;
mod tally;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::model::{Caps, Cas, Entry, Loaded, ObjectKey, Page, Put, Record, Register, Rev, Scan, Seen, Version};
use crate::storage::Datastore;

#[cfg(doc)]
use index::Index;
use local::Local;
pub use local::Published;
#[cfg(feature = "memcached")]
pub use memcached::lone as lone_memcached;
pub use pool::Pools;
#[cfg(feature = "cli")]
pub use pool::Tried;
#[cfg(feature = "http")]
pub use pool::{Copy, Held};
// For the simulation; a cache of a user's own is not an offer yet.
pub use shared::{Name, Servers, SharedCache};
use tally::Count;
pub use tally::{CacheCounts, PoolCounts};

/// The store with the caches before it.
#[derive(Debug)]
pub struct Cache {
    local: Local,
    l1_hits: Count,
    l1_misses: Count,
    pools: Pools,
    store: Arc<dyn Datastore>,
}

/// Where a state came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tier {
    /// The in-process cache.
    L1,
    /// A shared cache, of this kind: `memcached`, `redis`.
    Shared(&'static str),
    /// The datastore.
    Store,
}

/// What a load found, and where.
#[derive(Debug)]
pub struct Found {
    /// The record; `None`: there is none.
    pub loaded: Option<Loaded>,
    /// Who had it.
    pub tier: Tier,
}

impl Cache {
    /// Before `store`, with at most `l1_bytes` of published states, and these shared caches.
    #[must_use]
    pub fn new(store: Arc<dyn Datastore>, l1_bytes: u64, pools: Pools) -> Self {
        Self { local: Local::new(l1_bytes), l1_hits: Count::default(), l1_misses: Count::default(), pools, store }
    }

    /// Says which cluster it is, by an id that no other one has. Without it no shared cache is asked.
    pub fn of_cluster(&self, id: &str) {
        self.pools.of_cluster(id);
    }

    /// What was published last of this object under this Hold, if it is still here.
    #[must_use]
    pub fn published(&self, hold: u64, key: &ObjectKey) -> Option<Arc<dyn Published>> {
        let found = self.local.get(hold, key);
        if found.is_some() {
            self.l1_hits.add_one();
        }
        found
    }

    /// Publishes a state. Of one object under one Hold, one caller at a time publishes, in the order of the versions.
    pub fn publish(&self, hold: u64, key: &ObjectKey, state: Arc<dyn Published>) {
        self.local.set(hold, key, state);
    }

    /// Forgets all published states.
    pub fn clear(&self) {
        self.local.clear();
    }

    /// Asks each server of a shared cache that should have an object what it has of it, however old. Nothing before it is
    /// said which cluster it is.
    #[cfg(feature = "http")]
    pub async fn copies(&self, key: &ObjectKey) -> Vec<Copy> {
        self.pools.look(key).await
    }

    /// What was published last of this object under this Hold, uncounted: for people.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn peek(&self, hold: u64, key: &ObjectKey) -> Option<Arc<dyn Published>> {
        self.local.get(hold, key)
    }

    /// An object's record as the store has it, uncounted: for people.
    ///
    /// # Errors
    /// As [`Datastore::load`].
    #[cfg(feature = "http")]
    pub async fn look(&self, key: &ObjectKey) -> Result<Option<Loaded>> {
        self.store.load(key).await
    }

    /// Tries each server of the shared caches with a value of its own.
    #[cfg(feature = "cli")]
    pub async fn try_servers(&self) -> Vec<Tried> {
        self.pools.try_out().await
    }

    /// What has been counted.
    #[must_use]
    pub fn counts(&self) -> CacheCounts {
        CacheCounts { l1_hits: self.l1_hits.get(), l1_misses: self.l1_misses.get(), pools: self.pools.counts() }
    }

    /// What the store is.
    #[must_use]
    pub fn caps(&self) -> Caps {
        self.store.caps()
    }

    /// See [`Datastore::get`].
    ///
    /// # Errors
    /// As there.
    pub async fn get(&self, register: &Register) -> Result<Option<Entry>> {
        self.store.get(register).await
    }

    /// See [`Datastore::cas`].
    pub async fn cas(&self, register: &Register, seen: Option<&Rev>, new: &[u8]) -> Cas {
        self.store.cas(register, seen, new).await
    }

    /// See [`Datastore::remove`].
    ///
    /// # Errors
    /// As there.
    pub async fn remove(&self, register: &Register, seen: &Rev) -> Result<bool> {
        self.store.remove(register, seen).await
    }

    /// An object's record as it is in the store now: from a shared cache if that has the current version, else from the
    /// store. `from_store`: from there in any case.
    ///
    /// # Errors
    /// As [`Datastore::load`].
    pub async fn load(&self, hold: u64, key: &ObjectKey, from_store: bool) -> Result<Found> {
        self.l1_misses.add_one();
        if !from_store && let Some(found) = self.load_shared(hold, key).await? {
            return Ok(found);
        }
        let loaded = self.store.load(key).await?;
        if let Some((pool, name)) = self.shared(key) {
            pool.trust(name);
        }
        Ok(Found { loaded, tier: Tier::Store })
    }

    async fn load_shared(&self, hold: u64, key: &ObjectKey) -> Result<Option<Found>> {
        let Some((pool, name)) = self.shared(key) else { return Ok(None) };
        let known = pool.index.get(hold, name);
        let Some(loaded) = pool.get(key, name).await else { return Ok(None) };
        let current = match known {
            Some(version) => Some(version),
            None => self.store.version(key).await?,
        };
        if current != Some(loaded.record.version) {
            pool.tally.stale.add_one();
            return Ok(None);
        }
        pool.tally.hits.add_one();
        Ok(Some(Found { loaded: Some(loaded), tier: Tier::Shared(pool.kind) }))
    }

    /// This record, which was loaded, is the current one and can be shown as it is.
    pub fn loaded(&self, hold: u64, key: &ObjectKey, loaded: &Loaded, tier: Tier) {
        let Some((pool, name)) = self.shared(key) else { return };
        pool.index.set(hold, name, loaded.record.version);
        if tier == Tier::Store {
            pool.keep(key, &loaded.record, &loaded.rev);
        }
    }

    /// A put of this object is about to be sent: until it is [settled](Self::settled) nobody knows the current version.
    pub fn sending(&self, key: &ObjectKey) {
        if let Some((pool, name)) = self.shared(key) {
            pool.index.remove(name);
        }
    }

    /// A put was answered: this version is the current one.
    pub fn settled(&self, hold: u64, key: &ObjectKey, version: Version) {
        if let Some((pool, name)) = self.shared(key) {
            pool.index.set(hold, name, version);
        }
    }

    /// A put was confirmed: its record may be shared.
    pub fn confirmed(&self, key: &ObjectKey, record: &Record, rev: &Rev) {
        if let Some(pool) = self.pools.pool_of(key) {
            pool.keep(key, record, rev);
        }
    }

    /// Something was not as it was taken for: the next load of this object asks the store. A wrong entry would else be
    /// built upon again and again.
    pub fn doubt(&self, key: &ObjectKey) {
        if let Some((pool, name)) = self.shared(key) {
            pool.index.remove(name);
            pool.doubt(name);
        }
    }

    fn shared(&self, key: &ObjectKey) -> Option<(&pool::Pool, shared::Name)> {
        let pool = self.pools.pool_of(key)?;
        Some((pool, pool.name(key)?))
    }

    /// See [`Datastore::put`].
    pub async fn put(&self, key: &ObjectKey, seen: Option<&Seen>, record: &Record) -> Put {
        self.store.put(key, seen, record).await
    }

    /// See [`Datastore::scan`].
    ///
    /// # Errors
    /// As there.
    pub async fn scan(&self, what: &Scan, after: Option<&str>, limit: usize) -> Result<Page> {
        self.store.scan(what, after, limit).await
    }

    /// See [`Datastore::failed`].
    pub async fn failed(&self) -> Error {
        self.store.failed().await
    }
}
