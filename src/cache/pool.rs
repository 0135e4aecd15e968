//! L2 as the rest of this room sees it: one shared cache with all that makes its answers safe to use.

#[cfg(feature = "http")]
mod look;
#[cfg(feature = "cli")]
mod tried;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use futures_util::future::join_all;
use xxhash_rust::xxh3::xxh3_64;

use super::entry::{self, ENTRY_BYTES};
use super::index::Index;
use super::outgoing::{Outgoing, Parcel, Pushed};
use super::shared::{self, Name, SharedCache};
use super::tally::{PoolCounts, Tally};
use crate::clock;
use crate::config::{Config, INDEX_ENTRIES_MAX, SHARED_ITEM_BYTES_MAX};
use crate::error::{Error, Result};
use crate::model::{Loaded, ObjectKey, Record, Rev, Version};

#[cfg(feature = "http")]
pub use look::{Copy, Held};
#[cfg(feature = "cli")]
pub use tried::Tried;

/// The name of the pool of all types that ask for none.
const DEFAULT: &str = "default";
/// Objects that are remembered to be asked of the store next time.
const DOUBTS_MAX: usize = 1 << 16;

/// The shared caches of a process, and which type's objects are in which.
#[derive(Debug, Default)]
pub struct Pools {
    default: Option<Arc<Pool>>,
    of_type: HashMap<&'static str, Arc<Pool>>,
    named: BTreeMap<String, Arc<Pool>>,
}

/// One shared cache.
#[derive(Debug)]
pub(super) struct Pool {
    /// What kind it is, as in `Cache-Status`.
    pub(super) kind: &'static str,
    /// Which version of an object is the current one.
    pub(super) index: Arc<Index>,
    pub(super) tally: Arc<Tally>,
    /// Objects whose entry is not to be asked for, since it, or the store, was not what it was taken for. Under no Hold.
    doubts: Index,
    cache: Arc<dyn SharedCache>,
    namespace: String,
    /// Tells this cluster's names and entries from those of any other; unknown until the cluster is joined.
    seed: Arc<OnceLock<u64>>,
    outgoing: Arc<Outgoing>,
    sender: tokio::task::AbortHandle,
}

impl Pools {
    /// Those that the settings name. `types`: every type, with the pool it asks for. Their servers need not be there.
    ///
    /// # Errors
    /// `config`: what a URL would be.
    pub async fn open(
        config: &Config,
        types: impl Iterator<Item = (&'static str, Option<&'static str>)>,
    ) -> Result<Self> {
        let default = match &config.cache {
            Some(url) => Some(Pool::open(url).await?),
            None => None,
        };
        let mut named = BTreeMap::new();
        for (name, url) in &config.cache_pools {
            if name == DEFAULT {
                return Err(Error::config(
                    "the setting cache-pools names a pool \"default\"; that one is the setting cache",
                ));
            }
            named.insert(name.clone(), Pool::open(url).await?);
        }
        let mut of_type = HashMap::new();
        for (type_name, wanted) in types {
            let Some(wanted) = wanted else { continue };
            match named.get(wanted) {
                Some(pool) => _ = of_type.insert(type_name, Arc::clone(pool)),
                None => tracing::warn!(
                    r#type = type_name,
                    pool = wanted,
                    "the settings have no such cache pool; the type's objects go into the default one"
                ),
            }
        }
        Ok(Self { default, of_type, named })
    }

    /// This cache alone, for the objects of all types.
    pub fn of(cache: Arc<dyn SharedCache>) -> Self {
        let opened = shared::Opened { cache, kind: "shared", namespace: String::new() };
        let pool = Pool::new(opened, Arc::new(Index::new(INDEX_ENTRIES_MAX)), Arc::new(Tally::default()));
        Self { default: Some(pool), ..Self::default() }
    }

    /// The pool of an object, if there is one.
    pub(super) fn pool_of(&self, key: &ObjectKey) -> Option<&Arc<Pool>> {
        if !self.of_type.is_empty()
            && let Some(pool) = self.of_type.get(key.type_name())
        {
            return Some(pool);
        }
        self.default.as_ref()
    }

    /// Says which cluster it is: nothing is asked before.
    pub(super) fn of_cluster(&self, id: &str) {
        for pool in self.default.iter().chain(self.named.values()) {
            let _ = pool.seed.set(xxh3_64(format!("{}\0{id}", pool.namespace).as_bytes()));
        }
    }

    pub(super) fn counts(&self) -> Vec<PoolCounts> {
        let counts = |name: &str, pool: &Pool| pool.tally.counts(name, pool.cache.servers());
        let default = self.default.as_ref().map(|pool| counts(DEFAULT, pool));
        let default = default.unwrap_or_else(|| PoolCounts { pool: DEFAULT.to_owned(), ..PoolCounts::default() });
        std::iter::once(default).chain(self.named.iter().map(|(name, pool)| counts(name, pool))).collect()
    }
}

impl Pool {
    async fn open(url: &str) -> Result<Arc<Self>> {
        let (index, tally) = (Arc::new(Index::new(INDEX_ENTRIES_MAX)), Arc::new(Tally::default()));
        let opened = shared::open(url, &index, &tally).await?;
        Ok(Self::new(opened, index, tally))
    }

    fn new(opened: shared::Opened, index: Arc<Index>, tally: Arc<Tally>) -> Arc<Self> {
        let shared::Opened { cache, kind, namespace } = opened;
        let (outgoing, seed) = (Arc::new(Outgoing::default()), Arc::new(OnceLock::new()));
        let sender = send(Arc::clone(&outgoing), Arc::clone(&cache), Arc::clone(&seed), Arc::clone(&tally));
        let sender = clock::spawn(sender).abort_handle();
        let doubts = Index::new(DOUBTS_MAX);
        Arc::new(Self { kind, index, tally, doubts, cache, namespace, seed, outgoing, sender })
    }

    /// The name of an object here.
    pub(super) fn name(&self, key: &ObjectKey) -> Option<Name> {
        Some(Name::new(key.hash128(*self.seed.get()?)))
    }

    /// The record that stands here of an object, of whatever version. Counts it where there is none.
    pub(super) async fn get(&self, key: &ObjectKey, name: Name) -> Option<Loaded> {
        if self.doubts.get(0, name).is_some() {
            self.tally.misses.add_one();
            return None;
        }
        let Some(value) = self.cache.get(name).await else {
            self.tally.misses.add_one();
            return None;
        };
        let loaded = entry::decode(*self.seed.get()?, key, &value);
        if loaded.is_none() {
            self.tally.wrong.add_one();
        }
        loaded
    }

    /// Puts a record here, sometime. It must be the current one, settled and confirmed.
    pub(super) fn keep(&self, key: &ObjectKey, record: &Record, rev: &Rev) {
        let rev_bytes = if let Rev::Text(text) = rev { text.len() } else { 0 };
        let parcel = if record.bytes() + rev_bytes + key.text().len() + ENTRY_BYTES > SHARED_ITEM_BYTES_MAX {
            self.tally.too_large.add_one();
            Parcel::Forget
        } else {
            Parcel::Put(Loaded { record: record.clone(), rev: rev.clone() })
        };
        match self.outgoing.push(key, parcel) {
            Pushed::Added => {}
            Pushed::Replaced => self.tally.superseded.add_one(),
            Pushed::Dropped => self.tally.dropped.add_one(),
        }
    }

    /// The next load of this object is to ask the store.
    pub(super) fn doubt(&self, name: Name) {
        self.doubts.set(0, name, Version::default());
    }

    /// The store was asked.
    pub(super) fn trust(&self, name: Name) {
        self.doubts.remove(name);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.sender.abort();
    }
}

/// Sends what waits, batch after batch: whoever puts something here waits for none of it.
async fn send(outgoing: Arc<Outgoing>, cache: Arc<dyn SharedCache>, seed: Arc<OnceLock<u64>>, tally: Arc<Tally>) {
    loop {
        let batch = outgoing.next().await;
        let Some(&seed) = seed.get() else { continue };
        let sent = batch.into_iter().map(|(key, parcel)| {
            let (cache, tally) = (&cache, &tally);
            async move {
                let name = Name::new(key.hash128(seed));
                match parcel {
                    Parcel::Forget => cache.forget(name).await,
                    Parcel::Put(loaded) => {
                        let entry = entry::encode(seed, &key, &loaded, clock::unix_ms());
                        let stored = cache.set(name, entry).await;
                        if stored { &tally.stored } else { &tally.failed }.add_one();
                    }
                }
            }
        });
        join_all(sent).await;
    }
}
