//! A Hold: the right to run the objects of one shard, under one epoch.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Instant;
use crate::error::Error;
use crate::model::{ObjectKey, Rev, Version};

/// The right to run the objects of one shard. Everything under it dies with it.
#[derive(Debug)]
pub struct Hold {
    pub(super) id: u64,
    pub(super) shard: u32,
    pub(super) epoch: u32,
    /// The incarnation it was taken by: only its row can confirm what is done under it.
    pub(super) life: Arc<str>,
    /// The mark of the shard's row as the take left it.
    pub(super) rev: Rev,
    next: AtomicU64,
    over: AtomicBool,
    /// It is being given back: no turn begins under it.
    closing: AtomicBool,
    /// Turns between their put and their confirm.
    in_use: AtomicU32,
    /// Turns that ask other objects, from their beginning on.
    asking: AtomicU32,
    /// Objects whose last put was given up before it was answered: their next load seals them.
    unsettled: Mutex<HashSet<ObjectKey>>,
    /// Objects whose put was sent and is sent again, since the store does not say what became of it: why.
    doubts: Mutex<HashMap<ObjectKey, String>>,
    /// When the last read of its shard's row began that found it good, where that row is read.
    confirmed: Mutex<Option<Instant>>,
}

/// That nobody knows what became of a put; until this is dropped.
pub(super) struct Doubt<'a> {
    hold: &'a Hold,
    key: &'a ObjectKey,
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        self.hold.doubts.lock().unwrap_or_else(PoisonError::into_inner).remove(self.key);
    }
}

/// That a turn is between its put and its confirm.
pub(super) struct InUse<'a>(&'a Hold);

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.0.in_use.fetch_sub(1, Ordering::SeqCst);
    }
}

/// That a turn which may ask other objects is under way.
#[derive(Debug)]
pub struct Asking<'a>(&'a Hold);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.asking.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How a commit ended.
#[derive(Debug)]
pub enum Commit {
    /// Durable and confirmed: answers may leave.
    Done(Rev),
    /// Another record stands there, of an owner before this one: load, and run the turn again. Nothing has left.
    Moved,
    /// It certainly has no effect.
    Refused(Error),
    /// It may have an effect. The Hold is over, or soon will be.
    Unknown(Error),
}

/// Where an epoch's numbers end: above it the owner takes its own shard again. Far enough from 2^32 for every turn that
/// may be under way then.
const SEQ_MAX: u64 = (1 << 32) - (1 << 24);

impl Hold {
    pub(super) fn new(id: u64, shard: u32, epoch: u32, rev: Rev, life: Arc<str>) -> Self {
        Self {
            id,
            shard,
            epoch,
            life,
            rev,
            next: AtomicU64::new(1),
            over: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            in_use: AtomicU32::new(0),
            asking: AtomicU32::new(0),
            unsettled: Mutex::default(),
            doubts: Mutex::default(),
            confirmed: Mutex::default(),
        }
    }

    /// Whether a question that was sent to this life, by one who knew of this version, may run under it.
    #[must_use]
    pub fn is_of(&self, life: &str, known: Version) -> bool {
        *self.life == *life && self.epoch >= known.epoch()
    }

    /// Whether a record of this version was written under it.
    #[must_use]
    pub fn wrote(&self, version: Version) -> bool {
        version.epoch() == self.epoch
    }

    /// Whether a version is of another epoch, or one of those that were given out already.
    pub(super) fn may_have_given(&self, version: Version) -> bool {
        !self.wrote(version) || u64::from(version.seq()) < self.next.load(Ordering::Relaxed)
    }

    /// The next version of the shard. Never given twice, not even when the call it was for is undone.
    #[must_use]
    pub fn next_version(&self) -> Version {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        assert!(seq < 1 << 32, "an epoch's versions are used up, and its owner did not take the shard again");
        Version::new(self.epoch, seq as u32)
    }

    /// Whether it is the right still, and has numbers left.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let gone = self.over.load(Ordering::Acquire) || self.closing.load(Ordering::Acquire);
        !gone && self.next.load(Ordering::Relaxed) < SEQ_MAX
    }

    /// For as long as the guard lives a release waits; `None` once one has begun.
    pub(super) fn enter(&self) -> Option<InUse<'_>> {
        // Counted before it is asked, and closed before it is counted: one of the two sees the other.
        self.in_use.fetch_add(1, Ordering::SeqCst);
        let in_use = InUse(self);
        (!self.closing.load(Ordering::SeqCst)).then_some(in_use)
    }

    /// A turn begins that may ask other objects: cut off by a release, half of what it does would have happened. While the
    /// guard lives, a release lets the shard go on, for a while. `None` once one has begun.
    #[must_use]
    pub fn ask(&self) -> Option<Asking<'_>> {
        // As in `enter`.
        self.asking.fetch_add(1, Ordering::SeqCst);
        let asking = Asking(self);
        (!self.closing.load(Ordering::SeqCst)).then_some(asking)
    }

    /// No turn begins any more; `false`, and nothing is changed, where one is under way that asks others.
    pub(super) fn close_unless_asking(&self) -> bool {
        let is_asking = || self.asking.load(Ordering::SeqCst) > 0;
        if is_asking() {
            return false;
        }
        self.set_closing(true);
        let asking = is_asking();
        self.set_closing(!asking);
        !asking
    }

    pub(super) fn set_closing(&self, closing: bool) {
        self.closing.store(closing, Ordering::SeqCst);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(super) fn is_in_use(&self) -> bool {
        self.in_use.load(Ordering::SeqCst) > 0
    }

    /// How many turns are between their put and their confirm.
    #[cfg(feature = "http")]
    pub(super) fn in_use(&self) -> u32 {
        self.in_use.load(Ordering::SeqCst)
    }

    /// Takes note that a put is sent again.
    pub(super) fn in_doubt<'a>(&'a self, key: &'a ObjectKey, why: String) -> Doubt<'a> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), why);
        Doubt { hold: self, key }
    }

    /// Why the store is asked again what became of an object's put, if it is.
    #[cfg(feature = "http")]
    pub(super) fn doubt(&self, key: &ObjectKey) -> Option<String> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub(super) fn confirmed(&self, began: Instant) {
        let mut confirmed = self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        *confirmed = (*confirmed).max(Some(began));
    }

    pub(super) fn last_confirmed(&self) -> Option<Instant> {
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    pub(super) fn unsettle(&self, key: &ObjectKey) {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
    }

    pub(super) fn settle(&self, key: &ObjectKey) {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    pub(super) fn is_unsettled(&self, key: &ObjectKey) -> bool {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    #[cfg(test)]
    pub(crate) fn life(&self) -> &str {
        &self.life
    }

    /// As if so many versions had been given.
    #[cfg(test)]
    pub(crate) fn skip_to(&self, seq: u64) {
        self.next.store(seq, Ordering::Relaxed);
    }
}
