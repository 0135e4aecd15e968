//! What the registers and the records below say of owners, for people. It only reads: no shard is taken, nobody is
//! declared dead.

#[cfg(feature = "cli")]
mod all;

use super::registers::{ClusterRow, NodeRow, NodeState, ShardRow, read};
use crate::cache::{Cache, Copy};
use crate::error::Result;
use crate::model::{Item, ObjectKey, Record, Register, Scan, Version};

const PAGE: usize = 500;

/// One life of one process, as its register has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Incarnation {
    /// Its random id.
    pub id: String,
    /// The name of its host.
    pub node: String,
    /// Whether it is up; else it was declared dead, or has left.
    pub up: bool,
    /// Grows once a second while it lives.
    pub beat: u64,
    /// Where other nodes reach it; empty when they cannot.
    pub address: String,
    /// Whether it is about to leave, and takes no shard any more.
    pub draining: bool,
    /// The newest record format it reads and writes; zero when it is not known.
    pub format: u32,
    /// When it joined, in milliseconds since the Unix epoch by its own clock; zero when it is not known.
    pub since: u64,
}

/// Who may run the objects of a shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ownership {
    /// The object's shard.
    pub shard: u32,
    /// How many shards there are.
    pub shards: u32,
    /// The epoch of the last take; zero before the first one.
    pub epoch: u32,
    /// The incarnation that took it, unless it was given back.
    pub owner: Option<String>,
}

/// Who owns what, as far as the registers say.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    cache: &'a Cache,
}

impl<'a> Look<'a> {
    /// Into the registers of this store.
    #[must_use]
    pub fn new(cache: &'a Cache) -> Self {
        Self { cache }
    }

    /// Whether one process has the store for itself.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        self.cache.caps().exclusive
    }

    /// Who owns an object; `None` when nobody has ever served from this store.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn ownership(&self, key: &ObjectKey) -> Result<Option<Ownership>> {
        let Some((cluster, _)) = read::<ClusterRow>(self.cache, &Register::cluster()).await? else { return Ok(None) };
        let shard = key.shard(cluster.shards);
        let row = read::<ShardRow>(self.cache, &Register::shard(shard)).await?.map(|(row, _)| row);
        let (owner, epoch) = row.map_or((None, 0), |row| (row.owner, row.epoch));
        Ok(Some(Ownership { shard, shards: cluster.shards, epoch, owner }))
    }

    /// An incarnation by its id; `None` when it never joined.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn incarnation(&self, id: &str) -> Result<Option<Incarnation>> {
        let row = read::<NodeRow>(self.cache, &Register::node(id)).await?;
        Ok(row.map(|(row, _)| seen(id, row)))
    }

    /// What each server of the shared caches that should have an object has of it, however old.
    pub async fn copies(&self, key: &ObjectKey) -> Vec<Copy> {
        self.cache.copies(key).await
    }

    /// The record of an object, from the store.
    ///
    /// # Errors
    /// `record-corrupt` when what is there is none; `store-unavailable`.
    pub async fn record(&self, key: &ObjectKey) -> Result<Option<Record>> {
        Ok(self.cache.look(key).await?.map(|loaded| loaded.record))
    }

    /// The hint of an object: when to look at it (milliseconds since the Unix epoch), and the version that asked for it.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn hint(&self, shard: u32, key: &ObjectKey) -> Result<Option<(u64, Version)>> {
        let scan = Scan::Hints(shard);
        let mut after = None;
        loop {
            let page = self.cache.scan(&scan, after.as_deref(), PAGE).await?;
            for item in page.items {
                match item {
                    Item::Hint { key: of, due, version } if of == *key => return Ok(Some((due, version))),
                    _ => {}
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(None);
            }
        }
    }
}

fn seen(id: &str, row: NodeRow) -> Incarnation {
    Incarnation {
        id: id.to_owned(),
        node: row.name,
        up: row.state == NodeState::Up,
        beat: row.beat,
        address: row.addr,
        draining: row.drain,
        format: row.format,
        since: row.since,
    }
}
