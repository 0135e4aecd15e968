//! The confirm (rule R5): after the put and before the answer, is this incarnation still up?
//!
//! One read of the own row serves every answer in flight: at most one is under way and one waits, and an answer joins the
//! one that waits, since a confirm must start after all the answer could have seen was settled.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use crate::error::Error;

/// What a confirm found.
#[derive(Clone, Debug)]
pub(super) enum Confirmed {
    /// This life is.
    Up(Arc<str>),
    /// The row of this life says dead, or is gone.
    Fenced(Arc<str>),
    /// The store does not say.
    Silent(Error),
}

type Round = Shared<BoxFuture<'static, Confirmed>>;

/// Shares reads among those who wait for one.
#[derive(Default)]
pub(super) struct Rounds(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    running: Option<Round>,
    waiting: Option<Round>,
}

impl Rounds {
    /// Joins the round that has not begun, or makes one of `read`. The rounds run one after the other.
    pub(super) fn join(self: &Arc<Self>, read: impl Future<Output = Confirmed> + Send + 'static) -> Round {
        let mut queue = self.lock();
        if let Some(waiting) = &queue.waiting {
            return waiting.clone();
        }
        let rounds = Arc::clone(self);
        let before = queue.running.clone();
        let round = async move {
            if let Some(before) = before {
                before.await;
            }
            rounds.begin();
            // A panic of a store would otherwise be that of every round after this one.
            let read = AssertUnwindSafe(read).catch_unwind().await;
            read.unwrap_or_else(|_| Confirmed::Silent(Error::internal("the datastore panicked in a read")))
        };
        let round = round.boxed().shared();
        queue.waiting = Some(round.clone());
        round
    }

    /// From here on nobody may join the round that waited.
    fn begin(&self) {
        let mut queue = self.lock();
        queue.running = queue.waiting.take();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Rounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rounds")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn many_answers_share_a_read_and_none_joins_one_that_has_begun() {
        let rounds = Arc::new(Rounds::default());
        let reads = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let join = || {
            let (reads, gate) = (Arc::clone(&reads), Arc::clone(&gate));
            rounds.join(async move {
                reads.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.expect("open").forget();
                Confirmed::Up("me".into())
            })
        };
        let first = tokio::spawn(join());
        tokio::task::yield_now().await;
        assert_eq!(reads.load(Ordering::SeqCst), 1);
        let later: Vec<_> = (0..10).map(|_| tokio::spawn(join())).collect();
        tokio::task::yield_now().await;
        assert_eq!(reads.load(Ordering::SeqCst), 1, "the second round waits for the first");
        gate.add_permits(2);
        first.await.expect("runs");
        for waiter in later {
            waiter.await.expect("runs");
        }
        assert_eq!(reads.load(Ordering::SeqCst), 2, "ten answers shared one read");
    }
}
