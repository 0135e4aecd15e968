//! Many runs, one from each seed, on all processors.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Seeds in a row: how many, and from which on.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    first: u64,
    count: u64,
    /// No run begins after that.
    until: Option<Instant>,
}

/// A run that did not hold.
#[derive(Debug)]
pub struct Failed<E> {
    /// It comes from this one.
    pub seed: u64,
    /// What was wrong in it; `None`: it panicked.
    pub why: Option<E>,
}

impl Seeds {
    /// So many, from zero on.
    #[must_use]
    pub fn new(count: u64) -> Self {
        Self { first: 0, count, until: None }
    }

    /// The same, unless the environment says otherwise: `FAULTS_SEED`, the first one; `FAULTS_ROUNDS`, how many; or, in
    /// place of that, `FAULTS_SECONDS`, for how long.
    #[must_use]
    pub fn or_as_told(self) -> Self {
        let told = |name: &str| std::env::var(name).ok()?.parse().ok();
        #[allow(clippy::disallowed_methods, reason = "how long runs are played is real time")]
        let until = told("FAULTS_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let count = told("FAULTS_ROUNDS").unwrap_or(if until.is_some() { u64::MAX } else { self.count });
        Self { first: told("FAULTS_SEED").unwrap_or(self.first), count, until }
    }

    /// Plays a run from each seed, and gives what came of those that held to `see`, in any order. Ends with the first that
    /// does not hold, and those that are under way by then.
    ///
    /// # Errors
    /// Of the runs that did not hold, the one with the lowest seed.
    pub fn play<T, E: Send>(
        &self,
        run: impl Fn(u64) -> Result<T, E> + Sync,
        see: impl FnMut(T) + Send,
    ) -> Result<(), Failed<E>> {
        let (next, over) = (AtomicU64::new(0), AtomicBool::new(false));
        let (see, failed) = (Mutex::new(see), Mutex::new(None::<Failed<E>>));
        let one_after_the_other = || {
            while !over.load(SeqCst) && !self.is_over() {
                let at = next.fetch_add(1, SeqCst);
                if at >= self.count {
                    return;
                }
                let seed = self.first + at;
                let why = match catch_unwind(AssertUnwindSafe(|| run(seed))) {
                    Ok(Ok(held)) => {
                        (see.lock().unwrap_or_else(PoisonError::into_inner))(held);
                        continue;
                    }
                    Ok(Err(why)) => Some(why),
                    Err(_) => None,
                };
                over.store(true, SeqCst);
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                if failed.as_ref().is_none_or(|before| seed < before.seed) {
                    *failed = Some(Failed { seed, why });
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
                scope.spawn(one_after_the_other);
            }
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn is_over(&self) -> bool {
        #[allow(clippy::disallowed_methods, reason = "how long runs are played is real time")]
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_seed_is_played_once_until_one_does_not_hold() {
        let mut seen = Vec::new();
        Seeds::new(100).play(Ok::<_, ()>, |seed| seen.push(seed)).expect("all hold");
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
        let failed = Seeds::new(100).play(|seed| if seed < 40 { Ok(()) } else { Err(seed) }, |()| ());
        let failed = failed.expect_err("sixty do not hold");
        assert_eq!((failed.seed, failed.why), (40, Some(40)));
        let failed =
            Seeds::new(9).play(|seed| if seed == 7 { panic!("a run of a test") } else { Ok::<_, ()>(()) }, |()| ());
        assert!(matches!(failed, Err(Failed { seed: 7, why: None })));
    }
}
