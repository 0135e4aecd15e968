//! Where an object is to be asked for (rule R11). What is known here of others is a hint: the one who is asked looks into the
//! register, and says so when it is not his.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use super::members::each_register;
use super::registers::{NodeRow, NodeState, ShardRow, read};
use super::shards::{Locks, RETRY_MAX};
use crate::cache::Cache;
use crate::error::{Error, Kind, Result};
use crate::model::{ObjectKey, Register, Version};

/// Where an object is to be asked for.
#[derive(Clone, Debug)]
pub enum Place {
    /// Here: this node has its shard.
    Here,
    /// At another node.
    There(Peer),
}

/// Another node, as far as one has to know it to ask it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its incarnation.
    pub id: Arc<str>,
    /// Where it is reached, such as `http://10.0.0.5:8080`.
    pub addr: Arc<str>,
    /// The start of the epoch that is known of the object's shard: every call that is sent now takes effect after it.
    pub known: Version,
}

/// Who was seen to own a shard, and under which epoch.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    pub(super) owner: Option<Arc<str>>,
    pub(super) epoch: u32,
}

/// Who was seen to own what.
#[derive(Debug)]
pub(super) struct Map(RwLock<Vec<Seen>>);

impl Map {
    pub(super) fn new(shards: u32) -> Self {
        Self(RwLock::new(vec![Seen::default(); shards as usize]))
    }

    pub(super) fn get(&self, shard: u32) -> Seen {
        self.0.read().unwrap_or_else(PoisonError::into_inner)[shard as usize].clone()
    }

    /// An earlier epoch says nothing new.
    pub(super) fn learn(&self, shard: u32, owner: Option<&str>, epoch: u32) {
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = map.get_mut(shard as usize).filter(|seen| seen.epoch <= epoch) {
            *seen = Seen { owner: owner.map(Arc::from), epoch };
        }
    }

    /// Whether a shard is known to be of this life, be it over or not.
    pub(super) fn names(&self, life: &str) -> bool {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        map.iter().any(|seen| seen.owner.as_deref() == Some(life))
    }

    /// Reads all registers of shards.
    pub(super) async fn refresh(&self, cache: &Cache) -> Result<()> {
        each_register(cache, "shard/", |number, entry| {
            if let (Ok(number), Ok(row)) = (number.parse(), serde_json::from_slice::<ShardRow>(&entry.value)) {
                self.learn(number, row.owner.as_deref(), row.epoch);
            }
        })
        .await
    }
}

/// How many of what there are in the cluster, as this node sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClusterCounts {
    /// Nodes that are up, this one included.
    pub nodes: usize,
    /// Shards that this node has.
    pub shards: usize,
    /// Shards that it took since it began.
    pub taken: u64,
    /// Shards that it gave back.
    pub given_back: u64,
    /// Times that it was declared dead by another node, and went on as another life.
    pub fenced: u64,
}

/// Counts what befalls the shards of this process.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) taken: AtomicU64,
    pub(super) given_back: AtomicU64,
    pub(super) fenced: AtomicU64,
}

impl Locks {
    /// The cluster in numbers; none where one process owns the store.
    #[must_use]
    pub fn cluster_counts(&self) -> Option<ClusterCounts> {
        if self.caps.exclusive {
            return None;
        }
        let shards = (0..self.taking.len() as u32).filter(|shard| self.hold(*shard).is_some()).count();
        Some(ClusterCounts {
            nodes: self.members.get().rows().count(),
            shards,
            taken: self.tally.taken.load(Relaxed),
            given_back: self.tally.given_back.load(Relaxed),
            fenced: self.tally.fenced.load(Relaxed),
        })
    }

    /// Whether other processes may have objects of this store.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        !self.caps.exclusive
    }

    /// Whether other nodes are up that can have shards.
    #[must_use]
    pub fn has_others(&self) -> bool {
        self.is_shared() && self.members.get().has_others(&self.life())
    }

    /// Where an object is to be asked for. Takes its shard when nobody has it and this node is the one that should.
    ///
    /// # Errors
    /// `wrong-node` while its shard changes hands, or when its owner cannot be reached by anybody; `store-unavailable`.
    pub async fn locate(self: &Arc<Self>, key: &ObjectKey) -> Result<Place> {
        if self.held(key).is_some() {
            return Ok(Place::Here);
        }
        self.ready()?;
        let shard = self.shard_of(key);
        if self.is_closing(shard) {
            return Err(moving());
        }
        let me = self.life();
        let members = self.members.get();
        let seen = self.map.get(shard);
        if seen.owner.as_deref() == Some(&*me) {
            self.take(key).await?;
            return Ok(Place::Here);
        }
        let node = match seen.owner.as_deref().and_then(|owner| members.find(owner)) {
            Some(owner) => owner,
            None => match members.desired(shard) {
                Some(node) if *node.id != *me => node,
                _ => {
                    self.take(key).await?;
                    return Ok(Place::Here);
                }
            },
        };
        if node.addr.is_empty() {
            return Err(owned_by(&node.name).with_detail(format!("{} has no address to be asked at", node.name)));
        }
        Ok(Place::There(node.peer(Version::new(seen.epoch, 0))))
    }

    /// The version before all that a call can have that is run here from now on.
    #[must_use]
    pub fn known_of(&self, key: &ObjectKey) -> Version {
        let seen = self.map.get(self.shard_of(key)).epoch;
        // What was seen of a later owner does not hold for what is done here before that is noticed.
        Version::new(self.hold(self.shard_of(key)).map_or(seen, |hold| hold.epoch.min(seen)), 0)
    }

    /// Whether a question of another node is one to this life, and what this node has of the object's shard is of that epoch or a
    /// later one. A question that lay about while this process was frozen was sent again meanwhile; and who knows of a later owner must not be
    /// answered by one before it: a keyed call that is run there is not among those that the later one remembers.
    #[must_use]
    pub fn is_meant(&self, key: &ObjectKey, life: Option<&str>, known: Version) -> bool {
        life.is_none_or(|life| *self.life() == *life) && self.held(key).is_none_or(|hold| hold.epoch >= known.epoch())
    }

    /// Takes note of who owns an object's shard, as another node says.
    pub fn learn(&self, key: &ObjectKey, owner: Option<&str>, epoch: u32) {
        self.map.learn(self.shard_of(key), owner, epoch);
    }

    /// Takes note that a node has the object: it was asked on a guess, and answered.
    pub fn answered_by(&self, key: &ObjectKey, peer: &Peer) {
        let shard = self.shard_of(key);
        if self.map.get(shard).owner.as_deref() != Some(&*peer.id) {
            self.map.learn(shard, Some(&peer.id), peer.known.epoch());
        }
    }

    /// Who owns an object's shard, as far as is known here, and under which epoch.
    #[must_use]
    pub fn owner_of(&self, key: &ObjectKey) -> (Option<Arc<str>>, u32) {
        let seen = self.map.get(self.shard_of(key));
        (seen.owner, seen.epoch)
    }

    /// Where the owner of an object is reached, as far as is known; for those who would rather ask it themselves.
    #[must_use]
    pub fn owner_addr(&self, key: &ObjectKey) -> Option<Arc<str>> {
        if self.caps.exclusive {
            return None;
        }
        let owner = self.map.get(self.shard_of(key)).owner?;
        let addr = Arc::clone(&self.members.get().find(&owner)?.addr);
        (!addr.is_empty()).then_some(addr)
    }

    /// A node was not reached, or did not answer: looks into the registers whether it has the object still, and lives.
    pub async fn look_again(&self, key: &ObjectKey, peer: &Peer) {
        let shard = self.shard_of(key);
        if let Ok(Some((row, _))) = read::<ShardRow>(&self.cache, &Register::shard(shard)).await {
            self.map.learn(shard, row.owner.as_deref(), row.epoch);
        }
        if let Ok(row) = read::<NodeRow>(&self.cache, &Register::node(&peer.id)).await
            && row.is_none_or(|(row, _)| row.state == NodeState::Dead)
        {
            self.see_gone(&peer.id);
        }
    }

    /// Resolves once a life is no longer called up: no answer leaves it any more.
    pub async fn gone(&self, id: &str) {
        loop {
            let changed = self.members.changed();
            if self.members.get().find(id).is_none() {
                // A list may be of before it came; its register is not.
                match read::<NodeRow>(&self.cache, &Register::node(id)).await {
                    Ok(row) if row.as_ref().is_none_or(|(row, _)| row.state == NodeState::Dead) => return,
                    Ok(_) => {}
                    // The list may not change again.
                    Err(_) => {
                        tokio::time::sleep(RETRY_MAX).await;
                        continue;
                    }
                }
            }
            changed.await;
        }
    }
}

pub(super) fn owned_by(name: &str) -> Error {
    Error::new(Kind::WrongNode, "another node owns this object").with_field("owner", name)
}

pub(super) fn moving() -> Error {
    Error::new(Kind::WrongNode, "this object is moving to another node")
}
