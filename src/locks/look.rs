//! What the registers and the records below say of owners, for people. It only reads: no shard is taken, nobody is
//! declared dead.

use super::desired::desired;
use super::incarnation::WATCH;
use super::registers::{ClusterRow, NodeRow, NodeState, ShardRow, read};
use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::model::{Item, ObjectKey, Register, Scan, Version};

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
    /// The newest record format it reads; zero when it is not known.
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

    /// Tells the shared caches which cluster this is, as its register says; without it nothing is asked of them.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn name_cluster(&self) -> Result<()> {
        if let Some((cluster, _)) = read::<ClusterRow>(self.cache, &Register::cluster()).await? {
            self.cache.of_cluster(&cluster.id);
        }
        Ok(())
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

    /// All there have been, the dead ones too.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn lives(&self) -> Result<Vec<Incarnation>> {
        let mut found = Vec::new();
        let scan = Scan::Registers("node/".into());
        let mut after = None;
        loop {
            let page = self.cache.scan(&scan, after.as_deref(), PAGE).await?;
            for item in page.items {
                let Item::Register(register, entry) = item else { continue };
                let Some(id) = register.name().strip_prefix("node/") else { continue };
                match serde_json::from_slice::<NodeRow>(&entry.value) {
                    // A listing may be of before, the register itself is not; and who was dead stays so.
                    Ok(row) if row.state == NodeState::Dead => found.push(seen(id, row)),
                    _ => found.extend(self.incarnation(id).await?),
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    /// Watches those who are up for as long as a node would before it took one for dead. Answers all there have been, each
    /// with whether it has beaten meanwhile; the dead have not.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn watch(&self) -> Result<Vec<(Incarnation, bool)>> {
        let before = self.lives().await?;
        if !before.iter().any(|life| life.up) {
            return Ok(before.into_iter().map(|life| (life, false)).collect());
        }
        tokio::time::sleep(WATCH).await;
        let after = self.lives().await?.into_iter().map(|life| {
            let stands = before.iter().any(|earlier| earlier.id == life.id && earlier.beat == life.beat);
            let beats = life.up && !stands;
            (life, beats)
        });
        Ok(after.collect())
    }

    /// Who owns each shard, in the order of their numbers; `None` when nobody has ever served from this store.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn shards(&self) -> Result<Option<Vec<Ownership>>> {
        let Some((cluster, _)) = read::<ClusterRow>(self.cache, &Register::cluster()).await? else { return Ok(None) };
        let shards = cluster.shards;
        let mut found: Vec<Ownership> =
            (0..shards).map(|shard| Ownership { shard, shards, epoch: 0, owner: None }).collect();
        let scan = Scan::Registers("shard/".into());
        let mut after = None;
        loop {
            let page = self.cache.scan(&scan, after.as_deref(), PAGE).await?;
            for item in page.items {
                let Item::Register(register, entry) = item else { continue };
                let number = register.name().strip_prefix("shard/").and_then(|number| number.parse::<usize>().ok());
                let Some(at) = number.and_then(|number| found.get_mut(number)) else { continue };
                let row: ShardRow = serde_json::from_slice(&entry.value).map_err(|error| {
                    Error::internal(format!("the register {} cannot be read: {error}", register.name()))
                })?;
                (at.owner, at.epoch) = (row.owner, row.epoch);
            }
            after = page.next;
            if after.is_none() {
                return Ok(Some(found));
            }
        }
    }

    /// The name of the node that should own a shard, of those that are up and stay; `None` when there is none.
    #[must_use]
    pub fn desired(lives: &[Incarnation], shard: u32) -> Option<&str> {
        let names = lives.iter().filter(|life| life.up && !life.draining).map(|life| life.node.as_str());
        desired(names, shard)
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
