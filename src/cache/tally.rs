//! What the caches count, and how they tell it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::shared::Servers;

/// What the caches of a process have counted since it began.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CacheCounts {
    /// States found in L1.
    pub l1_hits: u64,
    /// Objects that had to be loaded from below L1.
    pub l1_misses: u64,
    /// The shared caches; the first is the default one, whether it is set or not.
    pub pools: Vec<PoolCounts>,
}

/// What one shared cache has counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PoolCounts {
    /// Its name in the settings; `default` is that of types which ask for none.
    pub pool: String,
    /// Objects loaded from it.
    pub hits: u64,
    /// Objects that it did not have, or not in time.
    pub misses: u64,
    /// Objects of which it had another version than the current one.
    pub stale: u64,
    /// Answers that were no entry of the object that was asked for.
    pub wrong: u64,
    /// Objects put there.
    pub stored: u64,
    /// Objects that no server took.
    pub failed: u64,
    /// Objects not put there because a newer state of the same was to be put there before they were.
    pub superseded: u64,
    /// Objects not put there because too many were on their way.
    pub dropped: u64,
    /// Objects not put there because they are too large.
    pub too_large: u64,
    /// Objects copied to a server that should have had them.
    pub rehomed: u64,
    /// Its servers that are asked.
    pub servers_up: u64,
    /// Its servers that are left alone until they answer again.
    pub servers_open: u64,
}

macro_rules! tally {
    ($($name:ident),*) => {
        /// The counters behind [`PoolCounts`].
        #[derive(Default, Debug)]
        pub(super) struct Tally {
            $(pub(super) $name: Count,)*
        }

        impl Tally {
            pub(super) fn counts(&self, pool: &str, servers: Servers) -> PoolCounts {
                let (servers_up, servers_open) = (servers.up as u64, servers.open as u64);
                PoolCounts { pool: pool.to_owned(), $($name: self.$name.get(),)* servers_up, servers_open }
            }
        }
    };
}

tally!(hits, misses, stale, wrong, stored, failed, superseded, dropped, too_large, rehomed);

/// A counter.
#[derive(Default, Debug)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add_one(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
