//! Shards: taking them, and doing things under a Hold.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::sync::{Notify, OnceCell};

use super::confirm::Confirms;
use super::formats::{self, Formats};
use super::hold::Hold;
use super::incarnation::{self, NodeId};
use super::life::{Beaten, keep_beating, new_life};
use super::members::Known;
use super::moves::Moves;
use super::registers::{ClusterRow, ShardRow, change, change_seen, read};
use super::relay::Relays;
use super::remnants::Remnants;
use super::route::{Map, Tally, moving, owned_by};
use crate::cache::{Cache, CacheCounts, Found, Published};
use crate::clock::{self, Random};
use crate::config::{Confirm, SHARDS};
use crate::error::{Error, Kind, Result};
use crate::model::{Caps, ObjectKey, Ordering, Page, Register, Scan};

/// Who owns what, as far as this process is concerned.
pub struct Locks {
    pub(super) cache: Arc<Cache>,
    pub(super) caps: Caps,
    pub(super) node: NodeId,
    pub(super) formats: Formats,
    secret: String,
    pub(super) random: Random,
    pub(super) life: RwLock<Arc<str>>,
    /// The life that is in the register.
    pub(super) joined: tokio::sync::Mutex<Option<Arc<str>>>,
    pub(super) holds: RwLock<Vec<Option<Arc<Hold>>>>,
    /// One take or release at a time a shard.
    pub(super) taking: Vec<tokio::sync::Mutex<()>>,
    /// The row of a life as its last beat left it.
    pub(super) beaten: Mutex<Option<Beaten>>,
    /// Other lives that a write of this process ended: once each, however many shards they had.
    pub(super) buried: Mutex<HashMap<String, Arc<OnceCell<()>>>>,
    next_hold: AtomicU64,
    pub(super) confirms: Confirms,
    /// The nodes that are up, as of the last beat.
    pub(super) members: Known,
    pub(super) map: Map,
    pub(super) relays: Relays,
    pub(super) remnants: Remnants,
    pub(super) moves: Moves,
    pub(super) tally: Tally,
    /// This process leaves: it takes no shard any more.
    pub(super) leaving: AtomicBool,
    /// It has left, and does not join again.
    pub(super) left: AtomicBool,
    pub(super) stopped: OnceLock<Error>,
    told_stopped: Notify,
    /// Waits for the store to fail, and holds it meanwhile.
    watch: OnceLock<tokio::task::AbortHandle>,
}

// By hand: the secret is in it.
impl std::fmt::Debug for Locks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Locks").field("node", &self.node).finish_non_exhaustive()
    }
}

/// How long a store that does not answer is waited for: by a confirm, a load, a beat with all it may have to do first. Longer than
/// any store of ours lets them wait.
pub(super) const SILENT_MAX: Duration = Duration::from_secs(30);
pub(super) const RETRY_FIRST: Duration = Duration::from_millis(20);
pub(super) const RETRY_MAX: Duration = Duration::from_secs(1);

impl Locks {
    /// Joins: fixes or reads the number of shards, and, on a store that others may share, begins a life in its register.
    ///
    /// # Errors
    /// `store-unavailable`; `config` when the store was made by a build this one cannot read.
    pub async fn join(cache: Cache, node: NodeId, confirm: Confirm, random: Random) -> Result<Arc<Self>> {
        let caps = cache.caps();
        let shards = if caps.exclusive { 1 } else { SHARDS };
        let (id, secret) = (new_life(&random).to_string(), new_life(&Random::from_os()).to_string());
        let wanted = ClusterRow { shards, format: node.format, id, secret };
        let propose = |found: Option<&ClusterRow>| match found {
            None => Some(wanted.clone()),
            // Made before clusters had ids, or secrets.
            Some(row) if row.id.is_empty() => {
                Some(ClusterRow { shards: row.shards, format: row.format, ..wanted.clone() })
            }
            Some(row) if row.secret.is_empty() => Some(ClusterRow { secret: wanted.secret.clone(), ..row.clone() }),
            Some(_) => None,
        };
        let cluster = change(&cache, &Register::cluster(), propose).await?.unwrap_or(wanted);
        formats::allow(cluster.format, node.format)?;
        if cluster.shards == 0 {
            return Err(Error::config("the store says that it has no shards; it is none of this program's"));
        }
        cache.of_cluster(&cluster.id);
        let locks = Arc::new(Self {
            caps,
            formats: Formats::new(node.format),
            node,
            secret: cluster.secret,
            life: RwLock::new(new_life(&random)),
            joined: tokio::sync::Mutex::new(None),
            holds: RwLock::new(vec![None; cluster.shards as usize]),
            taking: (0..cluster.shards).map(|_| tokio::sync::Mutex::new(())).collect(),
            beaten: Mutex::new(None),
            buried: Mutex::default(),
            next_hold: AtomicU64::new(1),
            confirms: Confirms::new(confirm, cluster.shards),
            members: Known::default(),
            map: Map::new(cluster.shards),
            relays: Relays::default(),
            remnants: Remnants::default(),
            tally: Tally::default(),
            moves: Moves::default(),
            leaving: AtomicBool::new(false),
            left: AtomicBool::new(false),
            stopped: OnceLock::new(),
            told_stopped: Notify::new(),
            watch: OnceLock::new(),
            cache: Arc::new(cache),
            random,
        });
        if caps.exclusive {
            locks.write_newest().await?;
        } else {
            locks.joined_life().await?;
            locks.map.refresh(&locks.cache).await?;
            clock::spawn(keep_beating(Arc::downgrade(&locks)));
        }
        let watch = clock::spawn(watch_store(Arc::clone(&locks.cache), Arc::downgrade(&locks)));
        let _ = locks.watch.set(watch.abort_handle());
        Ok(locks)
    }

    /// The largest record the store takes, in bytes.
    #[must_use]
    pub fn record_bytes_max(&self) -> usize {
        self.caps.record_bytes_max
    }

    /// Whether anything can be answered at all.
    ///
    /// # Errors
    /// `store-unavailable`, once the store has failed for good.
    pub fn ready(&self) -> Result<()> {
        self.stopped.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// The Hold an object is under, if this process has it.
    #[must_use]
    pub fn held(&self, key: &ObjectKey) -> Option<Arc<Hold>> {
        let holds = self.holds.read().unwrap_or_else(PoisonError::into_inner);
        let hold = holds[key.shard(holds.len() as u32) as usize].as_ref()?;
        hold.is_good().then(|| Arc::clone(hold))
    }

    /// The Hold an object is under; takes its shard if need be (rule R2).
    ///
    /// # Errors
    /// `wrong-node` when another node has it and lives; `store-unavailable`.
    pub async fn take(self: &Arc<Self>, key: &ObjectKey) -> Result<Arc<Hold>> {
        if let Some(hold) = self.held(key) {
            return Ok(hold);
        }
        // Others wait for the same take, so it is nobody's to drop, or to leave unpolled.
        let (locks, key) = (Arc::clone(self), key.clone());
        let taking = clock::spawn(async move { locks.take_alone(&key).await });
        taking.await.unwrap_or_else(|error| Err(Error::internal(format!("a take ended without a word: {error}"))))
    }

    async fn take_alone(&self, key: &ObjectKey) -> Result<Arc<Hold>> {
        self.take_shard(self.shard_of(key)).await.map_err(|error| error.with_key(key))
    }

    /// Takes a shard, unless another node has it and lives, or it is free and another node should have it.
    pub(super) async fn take_shard(&self, shard: u32) -> Result<Arc<Hold>> {
        let _alone = self.taking[shard as usize].lock().await;
        self.ready()?;
        if let Some(hold) = self.hold(shard) {
            return if hold.is_closing() { Err(moving()) } else { Ok(hold) };
        }
        let me = self.joined_life().await?;
        let register = Register::shard(shard);
        let found = read::<ShardRow>(&self.cache, &register).await?;
        let before = found.as_ref().map(|(row, _)| row.clone());
        if let Some(row) = &before {
            self.map.learn(shard, row.owner.as_deref(), row.epoch);
        }
        let owner = before.as_ref().and_then(|row| row.owner.as_deref());
        if !self.caps.exclusive && owner != Some(&*me) {
            if let Some(owner) = owner {
                self.bury(owner).await?;
            }
            self.check_may_take(shard, &me)?;
        }
        let epoch = before.as_ref().map_or(0, |row| row.epoch) + 1;
        let mine = ShardRow { owner: Some(me.to_string()), epoch };
        // An earlier try may have landed late: what was only read is written once more.
        let may = |found: Option<&ShardRow>| found == before.as_ref() || found == Some(&mine);
        let after = change_seen(&self.cache, &register, found, |found| may(found).then(|| mine.clone())).await?;
        if let Some((row, _)) = &after {
            self.map.learn(shard, row.owner.as_deref(), row.epoch);
        }
        let Some((_, rev)) = after.filter(|(row, _)| *row == mine) else {
            return Err(Error::new(Kind::WrongNode, "another node took this object's shard at the same time"));
        };
        let id = self.next_hold.fetch_add(1, Relaxed);
        let hold = Arc::new(Hold::new(id, shard, epoch, rev, Arc::clone(&me)));
        let mut holds = self.holds.write().unwrap_or_else(PoisonError::into_inner);
        // Fenced while it was being taken: the row names a life that is over.
        if *self.life() != *me {
            return Err(Error::new(Kind::WrongNode, "this node was declared dead meanwhile"));
        }
        // It stood still while it was being taken, and was told of a later owner since.
        if self.map.get(shard).epoch > epoch {
            return Err(moving());
        }
        holds[shard as usize] = Some(Arc::clone(&hold));
        self.tally.taken.fetch_add(1, Relaxed);
        let from = owner.unwrap_or("nobody");
        tracing::info!(shard, epoch, owner = &*me, from, "took a shard");
        Ok(hold)
    }

    fn check_may_take(&self, shard: u32, me: &str) -> Result<()> {
        if self.leaving.load(Relaxed) {
            return Err(moving());
        }
        match self.members.get().desired(shard) {
            Some(node) if *node.id != *me => {
                Err(owned_by(&node.name).with_detail("it is free, and another should have it"))
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn bury(&self, owner: &str) -> Result<()> {
        let buried = {
            let mut buried = self.buried.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(buried.entry(owner.to_owned()).or_default())
        };
        buried.get_or_try_init(|| incarnation::bury(&self.cache, owner, &self.node.name)).await.copied()
    }

    pub(super) fn shard_of(&self, key: &ObjectKey) -> u32 {
        key.shard(self.taking.len() as u32)
    }

    /// The Hold of a shard that this process has, be it that it gives it back just now.
    pub(super) fn hold(&self, shard: u32) -> Option<Arc<Hold>> {
        let holds = self.holds.read().unwrap_or_else(PoisonError::into_inner);
        holds[shard as usize].clone().filter(|hold| hold.is_good() || hold.is_closing() && !hold.is_over())
    }

    pub(super) fn is_closing(&self, shard: u32) -> bool {
        self.hold(shard).is_some_and(|hold| hold.is_closing())
    }

    /// What nodes show each other when they are given nothing else to show.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// What was published last of an object under a Hold, if it is warm.
    #[must_use]
    pub fn published(&self, hold: &Hold, key: &ObjectKey) -> Option<Arc<dyn Published>> {
        self.cache.published(hold.id, key)
    }

    /// Publishes a state; see [`Cache::publish`].
    pub fn publish(&self, hold: &Hold, key: &ObjectKey, state: Arc<dyn Published>) {
        self.cache.publish(hold.id, key, state);
    }

    /// What the caches have counted.
    #[must_use]
    pub fn cache_counts(&self) -> CacheCounts {
        self.cache.counts()
    }

    /// What was loaded of an object contradicts itself: the next load asks the store, whatever a cache has.
    pub fn doubt(&self, key: &ObjectKey) {
        self.cache.doubt(key);
    }

    /// Loads an object (rule R3). The second value says that it must be put back under this Hold's epoch before anything
    /// of it is shown: the store orders puts and cannot refuse a late one of an owner before this.
    ///
    /// # Errors
    /// `store-unavailable`; `wrong-node` when the object was written under a later epoch, which ends the Hold.
    pub async fn load(&self, hold: &Hold, key: &ObjectKey) -> Result<(Found, bool)> {
        self.ready()?;
        // A late put may land at any time: only the store knows.
        let unsettled = hold.is_unsettled(key);
        let found = tokio::time::timeout(SILENT_MAX, self.cache.load(hold.id, key, unsettled)).await;
        let found = found.unwrap_or_else(|_| Err(Error::store("a load was not answered at all")));
        let found = found.map_err(|error| error.with_key(key).with_operation("load"))?;
        let Some(loaded) = &found.loaded else { return Ok((found, false)) };
        let version = loaded.record.version;
        // Of its own epoch, and never given out: the registers went back, and this epoch is somebody's a second time.
        if version.epoch() > hold.epoch || !hold.may_have_given(version) {
            hold.end();
            tracing::error!(object = %key, %version, epoch = hold.epoch,
                "a record is of a later epoch than this owner's: another owner wrote it, or the store was restored");
            return Err(Error::new(Kind::WrongNode, "another node owns this object").with_key(key));
        }
        let ordered = self.caps.ordering == Ordering::Ordered;
        let seal = ordered && (version.epoch() < hold.epoch || unsettled);
        if !seal {
            self.cache.loaded(hold.id, key, loaded, found.tier);
        }
        Ok((found, seal))
    }

    /// One page of a listing.
    ///
    /// # Errors
    /// `bad-request` for a cursor that is none of the store's; `store-unavailable`.
    pub async fn scan(self: &Arc<Self>, what: &Scan, after: Option<&str>, limit: usize) -> Result<Page> {
        self.ready()?;
        // After a fencing the next life need not have begun yet.
        let life = self.joined_life().await?;
        let page = self.cache.scan(what, after, limit).await?;
        if !self.caps.exclusive {
            self.confirm_life(&life).await?;
        }
        Ok(page)
    }

    /// Resolves when the store has failed for good, with the reason.
    pub async fn failed(&self) -> Error {
        let told = self.told_stopped.notified();
        let mut told = std::pin::pin!(told);
        told.as_mut().enable();
        if let Some(error) = self.stopped.get() {
            return error.clone();
        }
        tokio::select! {
            biased;
            error = self.cache.failed() => error,
            () = told => self.stopped.get().cloned().unwrap_or_else(fenced_error),
        }
    }

    /// Nothing is answered from here on.
    pub(super) fn stop(&self, error: Error) {
        let _ = self.stopped.set(error);
        self.told_stopped.notify_waiters();
        self.end_all();
    }

    pub(super) fn end_all(&self) {
        for hold in self.holds.write().unwrap_or_else(PoisonError::into_inner).iter_mut().filter_map(Option::take) {
            hold.end();
        }
    }

    /// Leaves: nothing can be answered under the Holds of this life any more, and another may take them at once.
    pub async fn leave(&self) {
        let life = self.life();
        self.leaving.store(true, Relaxed);
        self.left.store(true, Relaxed);
        self.end_all();
        if !self.caps.exclusive
            && let Err(error) = incarnation::kill(&self.cache, &Register::node(&life), &self.node.name).await
        {
            tracing::warn!(?error, "left without saying so");
        }
    }

    /// Forgets all published states.
    pub fn forget(&self) {
        self.cache.clear();
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        if let Some(watch) = self.watch.get() {
            watch.abort();
        }
    }
}

pub(super) fn fenced_error() -> Error {
    Error::new(Kind::WrongNode, "this node was declared dead by another one")
}

/// Ends everything when the store says that it failed for good.
async fn watch_store(cache: Arc<Cache>, locks: Weak<Locks>) {
    let error = cache.failed().await;
    let Some(locks) = locks.upgrade() else { return };
    tracing::error!(?error, "the datastore failed; nothing is answered from here on");
    locks.stop(Error::store(format!("the datastore failed: {error:?}")));
}
