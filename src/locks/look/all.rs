//! All nodes and all shards, as the registers have them.

use super::{Incarnation, Look, Ownership, PAGE, seen};
use crate::error::{Error, Result};
use crate::locks::desired::desired;
use crate::locks::incarnation::WATCH;
use crate::locks::registers::{ClusterRow, NodeRow, NodeState, ShardRow, read};
use crate::model::{Item, Register, Scan};

impl Look<'_> {
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

    /// The newest record format that may be written; `None` when nobody has ever served from this store.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn format(&self) -> Result<Option<u32>> {
        let cluster = read::<ClusterRow>(self.cache, &Register::cluster()).await?;
        Ok(cluster.map(|(cluster, _)| cluster.format))
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
}
