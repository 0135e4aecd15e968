//! The confirm (rule R5): after the put and before the answer, is this incarnation still up?
//!
//! One read of the own row serves every answer in flight: a few are under way and one waits, and an answer joins the one that
//! waits, since a confirm must start after all the answer could have seen was settled.
//!
//! With `confirm = shard` the row of the object's shard is read beside it, in the same way: one read for all answers of the
//! shard. Registers that are linearizable need it not, since who takes a shard ends its owner's life first; it finds out
//! where they were not.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, join};
use tokio::sync::Semaphore;

use super::hold::Hold;
use super::incarnation;
use super::registers::{ShardRow, read};
use super::route::moving;
use super::shards::{Locks, RETRY_FIRST, RETRY_MAX, SILENT_MAX, fenced_error};
use crate::clock::{self, Instant};
use crate::config::Confirm;
use crate::error::{Error, Kind, Result};
use crate::model::Register;

/// What a confirm found of a life.
#[derive(Clone, Debug)]
pub(super) enum Confirmed {
    /// This life is.
    Up(Arc<str>),
    /// The row of this life says dead, or is gone.
    Fenced(Arc<str>),
}

/// A read that several wait for: what it found, or why the store does not say.
type Round<T> = Shared<BoxFuture<'static, Result<T>>>;

/// Reads of one row under way at the same time. With one, an answer waits for what is left of it and then for its own: up to twice
/// as long as the store takes, where many callers ask for warm objects. With two the next one begins sooner, for twice as many
/// small reads.
const AT_ONCE: usize = 2;

/// Shares reads among those who wait for one.
pub(super) struct Rounds<T> {
    /// What has not begun.
    waiting: Mutex<Option<Round<T>>>,
    at_once: Semaphore,
}

impl<T> Default for Rounds<T> {
    fn default() -> Self {
        Self { waiting: Mutex::new(None), at_once: Semaphore::new(AT_ONCE) }
    }
}

impl<T: Clone + Send + Sync + 'static> Rounds<T> {
    /// Joins the round that has not begun, or makes one of `read`, which begins as soon as few enough are under way.
    pub(super) fn join(self: &Arc<Self>, read: impl Future<Output = Result<T>> + Send + 'static) -> Round<T> {
        let mut waiting = self.waiting();
        if let Some(waiting) = &*waiting {
            return waiting.clone();
        }
        let rounds = Arc::clone(self);
        let round = async move {
            let _turn = rounds.at_once.acquire().await;
            // From here on nobody may join.
            rounds.waiting().take();
            // A panic of a store would otherwise be that of everybody who waits.
            let read = AssertUnwindSafe(read).catch_unwind().await;
            read.unwrap_or_else(|_| Err(Error::internal("the datastore panicked in a read")))
        };
        let round = round.boxed().shared();
        // Code of a user may have polled one who waits for it once, and not do so again: the round ends all the same, and
        // the next one begins.
        clock::spawn(round.clone());
        *waiting = Some(round.clone());
        round
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Option<Round<T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> std::fmt::Debug for Rounds<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rounds")
    }
}

/// The reads of a process before its answers.
#[derive(Debug)]
pub(super) struct Confirms {
    lives: Arc<Rounds<Confirmed>>,
    /// When the last one began that found it up.
    last: Mutex<Option<Instant>>,
    /// By shard, where those are read too; else empty.
    shards: Vec<Arc<Rounds<Option<ShardRow>>>>,
}

impl Confirms {
    pub(super) fn new(what: Confirm, shards: u32) -> Self {
        let shards = if what == Confirm::Shard { shards } else { 0 };
        let shards = (0..shards).map(|_| Arc::default()).collect();
        Self { lives: Arc::default(), last: Mutex::default(), shards }
    }
}

impl Locks {
    /// Whether the life that took this Hold is still up, and, where that is asked too, its shard still its own, by reads that
    /// begin after this call (rule R5). Free on an exclusive store.
    ///
    /// # Errors
    /// Why no answer may leave.
    pub async fn confirm(self: &Arc<Self>, hold: &Hold) -> Result<()> {
        self.ready()?;
        if self.caps.exclusive {
            return Ok(());
        }
        match self.confirms.shards.get(hold.shard as usize) {
            None => self.confirm_life(&hold.life).await?,
            Some(rounds) => {
                // Both have begun before either is waited for.
                let (life, shard) = join(self.confirm_life(&hold.life), self.confirm_shard(rounds, hold)).await;
                life.and(shard)?;
            }
        }
        if hold.is_over() { Err(moving()) } else { Ok(()) }
    }

    pub(super) async fn confirm_life(self: &Arc<Self>, life: &Arc<str>) -> Result<()> {
        let began = clock::now();
        loop {
            // Rounds that wait may be the next life's for ever.
            if *self.life() != **life {
                return Err(fenced_error());
            }
            let (locks, asked) = (Arc::clone(self), Arc::clone(life));
            // The round borrows nothing of this call: it may go on for others.
            match self.confirms.lives.join(async move { locks.read_life(asked).await }).await? {
                Confirmed::Up(up) if up == *life => {
                    let mut last = self.confirms.last.lock().unwrap_or_else(PoisonError::into_inner);
                    *last = (*last).max(Some(began));
                    return Ok(());
                }
                Confirmed::Fenced(over) if over == *life => {
                    self.fenced(&over);
                    return Err(fenced_error());
                }
                // The round was one of another life of this process, and says nothing of this one.
                Confirmed::Up(_) | Confirmed::Fenced(_) => {}
            }
        }
    }

    async fn read_life(&self, life: Arc<str>) -> Result<Confirmed> {
        let is_up = asked_again(|| incarnation::is_up(&self.cache, &life)).await?;
        Ok(if is_up { Confirmed::Up(life) } else { Confirmed::Fenced(life) })
    }

    /// Whether the row of a Hold's shard still names its life with its epoch; ends the Hold where it does not.
    async fn confirm_shard(&self, rounds: &Arc<Rounds<Option<ShardRow>>>, hold: &Hold) -> Result<()> {
        let began = clock::now();
        let (cache, register) = (Arc::clone(&self.cache), Register::shard(hold.shard));
        let row = rounds.join(async move {
            asked_again(|| read::<ShardRow>(&cache, &register)).await.map(|row| row.map(|(row, _)| row))
        });
        let row = row.await?;
        let owner = row.as_ref().and_then(|row| row.owner.as_deref());
        if owner == Some(&*hold.life) && row.as_ref().is_some_and(|row| row.epoch == hold.epoch) {
            hold.confirmed(began);
            return Ok(());
        }
        // One that ended meanwhile may have been given back.
        if !hold.is_over() {
            hold.end();
            let (now, epoch) = (owner.unwrap_or("nobody"), row.as_ref().map_or(0, |row| row.epoch));
            tracing::error!(
                shard = hold.shard,
                own_epoch = hold.epoch,
                now,
                epoch,
                "a shard has another owner, though this life was not ended for it: the store's registers are not what they should be"
            );
            self.map.learn(hold.shard, owner, epoch);
        }
        Err(Error::new(Kind::WrongNode, "another node took this object's shard over"))
    }

    /// Whether a confirm of this Hold that began at most `age` ago was answered as it should be.
    #[must_use]
    pub fn was_confirmed_within(&self, hold: &Hold, age: Duration) -> bool {
        if self.caps.exclusive {
            return true;
        }
        let last = match self.confirms.shards.is_empty() {
            true => *self.confirms.last.lock().unwrap_or_else(PoisonError::into_inner),
            false => hold.last_confirmed(),
        };
        !hold.is_over() && last.is_some_and(|at| at.elapsed() <= age)
    }
}

/// The first answer of the store; it is asked again while there is none, for a while.
async fn asked_again<T, F: Future<Output = Result<T>>>(ask: impl Fn() -> F) -> Result<T> {
    let began = clock::now();
    let mut pause = RETRY_FIRST;
    loop {
        let answer = tokio::time::timeout_at(began + SILENT_MAX, ask()).await;
        match answer.unwrap_or_else(|_| Err(Error::store("a read was not answered at all"))) {
            Err(_) if began.elapsed() < SILENT_MAX => tokio::time::sleep(pause).await,
            answer => return answer,
        }
        pause = (pause * 2).min(RETRY_MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Rounds whose reads wait for a permit of `gate`, and how many have begun.
    struct Gated {
        rounds: Arc<Rounds<()>>,
        begun: Arc<AtomicUsize>,
        gate: Arc<Semaphore>,
    }

    impl Gated {
        fn new() -> Self {
            Self { rounds: Arc::default(), begun: Arc::default(), gate: Arc::new(Semaphore::new(0)) }
        }

        async fn join(&self, answers: usize) -> Vec<tokio::task::JoinHandle<Result<()>>> {
            let join = || {
                let (begun, gate) = (Arc::clone(&self.begun), Arc::clone(&self.gate));
                self.rounds.join(async move {
                    begun.fetch_add(1, Ordering::SeqCst);
                    gate.acquire().await.expect("open").forget();
                    Ok(())
                })
            };
            let joined = (0..answers).map(|_| tokio::spawn(join())).collect();
            tokio::task::yield_now().await;
            joined
        }

        fn begun(&self) -> usize {
            self.begun.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn many_answers_share_a_read_and_none_joins_one_that_has_begun() {
        let gated = Gated::new();
        let mut joined = Vec::new();
        for number in 1..=AT_ONCE {
            joined.extend(gated.join(1).await);
            assert_eq!(gated.begun(), number, "a read that has begun is not joined");
        }
        joined.extend(gated.join(10).await);
        assert_eq!(gated.begun(), AT_ONCE, "the next one waits");
        gated.gate.add_permits(AT_ONCE + 1);
        for answer in joined {
            answer.await.expect("runs").expect("up");
        }
        assert_eq!(gated.begun(), AT_ONCE + 1, "ten answers shared one read");
    }

    #[tokio::test]
    async fn answers_that_nobody_waits_for_any_more_hold_up_nobody() {
        let gated = Gated::new();
        for answer in [gated.join(1).await, gated.join(1).await, gated.join(3).await].into_iter().flatten() {
            answer.abort();
            let _ = answer.await;
        }
        gated.gate.add_permits(AT_ONCE + 1);
        for answer in gated.join(1).await {
            answer.await.expect("runs").expect("up");
        }
    }

    #[tokio::test]
    async fn a_read_goes_on_though_who_waits_for_it_is_not_polled() {
        let gated = Gated::new();
        let join = || {
            let gate = Arc::clone(&gated.gate);
            gated.rounds.join(async move {
                gate.acquire().await.expect("open").forget();
                Ok(())
            })
        };
        let mut left: Vec<_> = Vec::new();
        for _ in 0..AT_ONCE {
            left.push(join());
            assert!(left.last_mut().expect("joined").now_or_never().is_none(), "it has begun");
        }
        gated.gate.add_permits(AT_ONCE + 1);
        let next = tokio::time::timeout(Duration::from_secs(5), join()).await;
        next.expect("those that were left hold up nobody").expect("up");
    }
}
