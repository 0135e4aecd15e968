//! Whether the servers of the shared caches do what is needed of them: for people.

use std::time::Duration;

use bytes::Bytes;

use super::{DEFAULT, Pool, Pools};
use crate::cache::shared::Name;
use crate::clock::Random;
use crate::config::SHARED_ITEM_BYTES_MAX;

/// A server that was tried.
#[derive(Debug)]
pub struct Tried {
    /// The server, such as `memcached 127.0.0.1:11211`.
    pub server: String,
    /// How long it took, or what is wrong.
    pub outcome: Result<Duration, String>,
}

impl Pools {
    /// Puts a value into each server, reads it back and takes it away again.
    pub(in crate::cache) async fn try_out(&self) -> Vec<Tried> {
        let default = self.default.iter().map(|pool| (DEFAULT, pool));
        let named = self.named.iter().map(|(name, pool)| (name.as_str(), pool));
        let mut all = Vec::new();
        for (name, pool) in default.chain(named) {
            let of_pool = if name == DEFAULT { String::new() } else { format!(" of the pool {name}") };
            let tried = pool.try_out().await.into_iter();
            all.extend(tried.map(|tried| Tried { server: format!("{}{of_pool}", tried.server), ..tried }));
        }
        all
    }
}

impl Pool {
    async fn try_out(&self) -> Vec<Tried> {
        // Under a name of its own, as large as an object may be.
        let random = Random::from_os();
        let name = Name::new(u128::from_le_bytes(random.next_bytes()));
        let value: Bytes =
            std::iter::repeat_with(|| random.next_bytes()).flatten().take(SHARED_ITEM_BYTES_MAX).collect();
        let tried = self.cache.try_out(name, value).await.into_iter();
        tried.map(|(server, outcome)| Tried { server: format!("{} {server}", self.kind), outcome }).collect()
    }
}
