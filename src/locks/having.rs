//! What this node has of an object's shard in memory, and whom to ask when another one has it: for people.

use std::sync::Arc;

use super::look::Look;
use super::registers::{NodeRow, NodeState, ShardRow, read};
use super::route::Peer;
use super::shards::Locks;
use crate::cache::Published;
use crate::error::Result;
use crate::model::{ObjectKey, Register, Version};

/// What a node has of an object's shard in memory.
#[derive(Clone, Debug)]
pub struct Having {
    /// The name of its host.
    pub node: String,
    /// Its life.
    pub incarnation: String,
    /// Under which epoch it has the shard; `None`: it has it not.
    pub epoch: Option<u32>,
    /// The shard is being given back: nothing begins under it any more.
    pub giving_back: bool,
    /// Turns of the shard that are between their put and their confirm.
    pub committing: u32,
    /// What the store has not said: what became of the object's last put, and since when it is asked.
    pub doubt: Option<String>,
    /// Its last put was given up before the store said what became of it: the next load seals the object.
    pub unsettled: bool,
    /// What was published last of the object.
    pub published: Option<Arc<dyn Published>>,
}

impl Locks {
    /// Into the registers and records below.
    #[must_use]
    pub fn look(&self) -> Look<'_> {
        Look::new(&self.cache)
    }

    /// What this node has of an object's shard.
    #[must_use]
    pub fn having(&self, key: &ObjectKey) -> Having {
        let hold = self.hold(self.shard_of(key));
        let hold = hold.as_deref();
        Having {
            node: self.node.name.clone(),
            incarnation: self.life().to_string(),
            epoch: hold.map(|hold| hold.epoch),
            giving_back: hold.is_some_and(|hold| hold.is_closing()),
            committing: hold.map_or(0, |hold| hold.in_use()),
            doubt: hold.and_then(|hold| hold.doubt(key)),
            unsettled: hold.is_some_and(|hold| hold.is_unsettled(key)),
            published: hold.and_then(|hold| self.cache.peek(hold.id, key)),
        }
    }

    /// The other node that owns an object's shard, if one does that lives and has an address.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn whom_to_ask(&self, key: &ObjectKey) -> Result<Option<Peer>> {
        let shard = Register::shard(self.shard_of(key));
        let Some((ShardRow { owner: Some(id), epoch }, _)) = read(&self.cache, &shard).await? else { return Ok(None) };
        if id == *self.life() {
            return Ok(None);
        }
        let row = read::<NodeRow>(&self.cache, &Register::node(&id)).await?.map(|(row, _)| row);
        let row = row.filter(|row| row.state == NodeState::Up && !row.addr.is_empty());
        Ok(row.map(|row| Peer { id: id.into(), addr: row.addr.into(), known: Version::new(epoch, 0) }))
    }
}
