//! What the servers of the shared caches have of an object: for people.

use super::{Pool, Pools};
use crate::cache::entry;
use crate::model::{ObjectKey, Record};

/// What one server has of an object it should have.
#[derive(Debug)]
pub struct Copy {
    /// The server, such as `memcached 127.0.0.1:11211`.
    pub server: String,
    /// What is there, or why it is not known.
    pub held: Result<Held, String>,
}

/// What stands in a server under an object's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Held {
    /// Nothing.
    Nothing,
    /// A record of the object.
    Record(Record),
    /// Something else, which counts as nothing.
    Other,
}

impl Pools {
    /// Asks each server that should have an object what it has of it. Nothing before it is known which cluster this is.
    pub(in crate::cache) async fn look(&self, key: &ObjectKey) -> Vec<Copy> {
        match self.pool_of(key) {
            Some(pool) => pool.look(key).await,
            None => Vec::new(),
        }
    }
}

impl Pool {
    async fn look(&self, key: &ObjectKey) -> Vec<Copy> {
        let (Some(&seed), Some(name)) = (self.seed.get(), self.name(key)) else { return Vec::new() };
        let copies = self.cache.look(name).await.into_iter().map(|(server, value)| {
            let held = value.map(|value| match value {
                None => Held::Nothing,
                Some(value) => {
                    entry::decode(seed, key, &value).map_or(Held::Other, |loaded| Held::Record(loaded.record))
                }
            });
            Copy { server: format!("{} {server}", self.kind), held }
        });
        copies.collect()
    }
}
