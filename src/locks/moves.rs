//! Shards that change hands: the sweep that takes those this node should have, the release of those it should not, and the
//! drain (rules R7 and R10).

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::registers::{ShardRow, change_seen};
use super::shards::Locks;
use crate::clock::{self, Instant};
use crate::config::{DRAIN_NOTICE, MAP_REFRESH, RELEASE_AFTER};
use crate::error::{Kind, Result};
use crate::model::Register;

/// Shards taken, or given back in a drain, at the same time.
const TAKES_AT_ONCE: usize = 64;
/// Shards given back at the same time to a node that should have them.
const RELEASES_AT_ONCE: usize = 8;
/// How long a release waits for turns under way before it is put off.
const TURNS_MAX: Duration = Duration::from_secs(2);
const TURNS_POLL: Duration = Duration::from_millis(1);
/// How long a release waits for turns under way that ask other objects, before it is put off, or, where the node leaves, cuts them
/// off. Half of the time a drain has.
const ASKING_MAX: Duration = Duration::from_secs(10);
const ASKING_POLL: Duration = Duration::from_millis(10);

/// When this node last looked, and since when who should have what has not changed.
#[derive(Debug, Default)]
pub(super) struct Moves(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    sweeping: bool,
    looked: Option<Instant>,
    /// The members as of the last change, and when it was.
    members: Option<(Arc<super::members::Members>, Instant)>,
}

/// That a sweep runs.
struct Sweeping<'a>(&'a Moves);

impl Drop for Sweeping<'_> {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).sweeping = false;
    }
}

impl Locks {
    /// Sees to it that this node has the shards it should have, in the background; one sweep at a time.
    pub(super) fn sweep(self: &Arc<Self>) {
        let (look, settled) = {
            let mut state = self.moves.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.sweeping || self.leaving.load(Relaxed) {
                return;
            }
            let members = self.members.get();
            let now = clock::now();
            let since = match &state.members {
                Some((known, since)) if Arc::ptr_eq(known, &members) => *since,
                _ => {
                    state.members = Some((members, now));
                    state.looked = None;
                    now
                }
            };
            let look = state.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= MAP_REFRESH);
            if look {
                state.looked = Some(now);
            }
            state.sweeping = true;
            (look, now.saturating_duration_since(since) >= RELEASE_AFTER)
        };
        let locks = Arc::clone(self);
        clock::spawn(async move {
            // Ends with the sweep, though a store panicked in it.
            let sweeping = Sweeping(&locks.moves);
            locks.sweep_once(look, settled).await;
            drop(sweeping);
        });
    }

    async fn sweep_once(&self, look: bool, settled: bool) {
        if look && let Err(error) = self.map.refresh(&self.cache).await {
            tracing::warn!(?error, "the owners of shards cannot be read");
            return;
        }
        let members = self.members.get();
        let me = self.life();
        let mut wanted = Vec::new();
        let mut unwanted = Vec::new();
        for shard in 0..self.taking.len() as u32 {
            let mine = members.desired(shard).is_some_and(|node| *node.id == *me);
            let held = self.hold(shard).is_some();
            let seen = self.map.get(shard);
            let others =
                seen.owner.as_deref().is_some_and(|owner| members.find(owner).is_some_and(|node| *node.id != *me));
            // What nobody ever had has nothing in it that could have to run.
            if mine && !held && !others && seen.epoch > 0 {
                wanted.push(shard);
            } else if held && !mine && members.desired(shard).is_some() {
                unwanted.push(shard);
            }
        }
        let take = async |shard| match self.take_shard(shard).await {
            Ok(_) => {}
            Err(error) if error.kind() == Kind::WrongNode => {}
            Err(error) => tracing::warn!(shard, ?error, "a shard could not be taken"),
        };
        stream::iter(wanted).for_each_concurrent(TAKES_AT_ONCE, take).await;
        if settled {
            self.release_all(unwanted, RELEASES_AT_ONCE, "another node should have it").await;
        }
        if look && let Err(error) = self.remove_remnants().await {
            tracing::warn!(?error, "what lives have left that are over could not be removed");
        }
    }

    async fn release_all(&self, shards: Vec<u32>, at_once: usize, why: &'static str) {
        let release = async |shard| {
            if let Err(error) = self.release(shard, why).await {
                tracing::warn!(shard, ?error, "a shard was given up without saying so");
            }
        };
        stream::iter(shards).for_each_concurrent(at_once, release).await;
    }

    /// Gives a shard back (rule R7): turns that ask other objects end first, then no turn begins under its Hold any more, those under way end, then the Hold is over and
    /// with it all that was read under it, and only then the register is told. From there on this node is silent for that
    /// epoch, whatever the answer: the request may still be queued somewhere.
    async fn release(&self, shard: u32, why: &'static str) -> Result<()> {
        let _alone = self.taking[shard as usize].lock().await;
        let Some(hold) = self.hold(shard) else { return Ok(()) };
        // Before the shard is closed: what they ask of objects in it is to be answered.
        let end = clock::now() + ASKING_MAX;
        while !hold.close_unless_asking() {
            if clock::now() >= end {
                if !self.leaving.load(Relaxed) {
                    return Ok(());
                }
                hold.set_closing(true);
                break;
            }
            tokio::time::sleep(ASKING_POLL).await;
        }
        let end = clock::now() + TURNS_MAX;
        while hold.is_in_use() {
            if clock::now() >= end && !self.leaving.load(Relaxed) {
                hold.set_closing(false);
                return Ok(());
            }
            tokio::time::sleep(TURNS_POLL).await;
        }
        hold.end();
        self.holds.write().unwrap_or_else(PoisonError::into_inner)[shard as usize] = None;
        let mine = ShardRow { owner: Some(hold.life.to_string()), epoch: hold.epoch };
        let free = ShardRow { owner: None, epoch: hold.epoch };
        // As it was left by the take, unless somebody has changed it since, and then it is read.
        let seen = Some((mine.clone(), hold.rev.clone()));
        let propose = |found: Option<&ShardRow>| (found == Some(&mine)).then(|| free.clone());
        change_seen(&self.cache, &Register::shard(shard), seen, propose).await?;
        self.map.learn(shard, None, hold.epoch);
        self.tally.given_back.fetch_add(1, Relaxed);
        tracing::info!(shard, epoch = hold.epoch, owner = &*hold.life, why, "gave a shard back");
        Ok(())
    }

    /// Lets other nodes have everything, one shard after the other, so that each is without an owner for a moment only.
    /// Calls may come all the while. Alone, nothing is given back: the end of this life does that.
    pub async fn drain(&self) {
        if self.caps.exclusive {
            return;
        }
        let me = self.life();
        if let Err(error) = self.say_leaving().await {
            // The others would send back what is given to them.
            tracing::warn!(?error, "leaving without saying so before");
            return;
        }
        if !self.members.get().has_others(&me) {
            return;
        }
        // Until all others have seen it: they would send what is given back to where it came from.
        tokio::time::sleep(DRAIN_NOTICE).await;
        let held = (0..self.taking.len() as u32).filter(|shard| self.hold(*shard).is_some()).collect();
        self.release_all(held, TAKES_AT_ONCE, "this node leaves").await;
    }
}
