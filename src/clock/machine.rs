//! Machines of a simulation: many in one thread, each with its own wall clock and its own luck, each of which can stand still
//! and be switched off.
//!
//! A task belongs to the machine that spawns it, and runs only while that one does: no timer of a machine that stands
//! still fires, no answer is read, and when it goes on its monotonic clock has jumped. Where there is no machine, and that
//! is everywhere but in a simulation, a task is a plain one of the runtime.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::task::{AbortHandle, JoinHandle};

use super::{Instant, Random, now};

thread_local! {
    /// The machine whose task is being polled, or dropped.
    static HERE: RefCell<Option<Arc<Machine>>> = const { RefCell::new(None) };
}

/// Where the wall clocks of machines begin, in milliseconds since the Unix epoch.
const WALL_BEGINS_MS: i64 = 1_800_000_000_000;

/// One machine of a simulation.
#[derive(Debug)]
pub struct Machine {
    random: Random,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    power: Power,
    /// How far its wall clock is off.
    wall_ms: i64,
    /// Tasks that were to run while it stood still.
    waiting: Vec<Waker>,
    tasks: Vec<AbortHandle>,
}

/// Whether a machine runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Power {
    #[default]
    On,
    Still,
    Off,
}

impl Machine {
    /// One that runs, and draws its luck from this seed.
    #[must_use]
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self { random: Random::seeded(seed), began: now(), state: Mutex::default() })
    }

    /// It stands still.
    pub fn freeze(&self) {
        let mut state = self.state();
        if state.power == Power::On {
            state.power = Power::Still;
        }
    }

    /// It goes on: everything that was due meanwhile is due now.
    pub fn thaw(&self) {
        let mut state = self.state();
        if state.power == Power::Still {
            state.power = Power::On;
            let waiting = std::mem::take(&mut state.waiting);
            drop(state);
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// It is switched off for good: what its tasks have begun and not sent never happens.
    pub fn stop(&self) {
        let mut state = self.state();
        state.power = Power::Off;
        let (waiting, tasks) = (std::mem::take(&mut state.waiting), std::mem::take(&mut state.tasks));
        drop(state);
        drop(waiting);
        tasks.iter().for_each(AbortHandle::abort);
    }

    /// Whether it was switched off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.state().power == Power::Off
    }

    /// Sets its wall clock so far ahead of the others, or behind.
    pub fn set_wall(&self, ahead_ms: i64) {
        self.state().wall_ms = ahead_ms;
    }

    /// Runs a task on it.
    pub fn spawn<F>(self: &Arc<Self>, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task = tokio::spawn(Task { machine: Arc::clone(self), future: Some(Box::pin(future)) });
        let mut state = self.state();
        if state.tasks.len() == state.tasks.capacity() {
            state.tasks.retain(|task| !task.is_finished());
        }
        if state.power == Power::Off {
            task.abort();
        } else {
            state.tasks.push(task.abort_handle());
        }
        drop(state);
        task
    }

    /// The machine whose task runs just now.
    #[must_use]
    pub(super) fn here() -> Option<Arc<Self>> {
        HERE.try_with(|here| here.borrow().clone()).ok().flatten()
    }

    pub(super) fn next_seed(&self) -> u64 {
        self.random.next_u64()
    }

    pub(super) fn unix_ms(&self) -> u64 {
        let since = self.began.elapsed().as_millis() as i64;
        WALL_BEGINS_MS.saturating_add(since).saturating_add(self.state().wall_ms).max(0) as u64
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a task: on the machine whose task this is, else on the runtime alone.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match Machine::here() {
        None => tokio::spawn(future),
        Some(machine) => machine.spawn(future),
    }
}

/// A task of a machine.
struct Task<T> {
    machine: Arc<Machine>,
    future: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        {
            let mut state = self.machine.state();
            match state.power {
                Power::On => {}
                Power::Still => {
                    state.waiting.push(cx.waker().clone());
                    return Poll::Pending;
                }
                Power::Off => return Poll::Pending,
            }
        }
        let _here = Here::enter(&self.machine);
        match &mut self.future {
            Some(future) => future.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

/// What a task does as it is dropped, it does on its machine.
impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        let _here = Here::enter(&self.machine);
        drop(self.future.take());
    }
}

/// That a machine's task is being polled; puts the one before back.
struct Here(Option<Arc<Machine>>);

impl Here {
    fn enter(machine: &Arc<Machine>) -> Self {
        let before = HERE.try_with(|here| here.replace(Some(Arc::clone(machine))));
        Self(before.ok().flatten())
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let before = self.0.take();
        let _ = HERE.try_with(|here| here.replace(before));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
    use std::time::Duration;

    use super::*;
    use crate::clock::unix_ms;

    async fn pass(ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// A clock that ticks each second, in a task of a task.
    fn ticking(machine: &Arc<Machine>) -> Arc<AtomicU64> {
        let ticks = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&ticks);
        machine.spawn(async move {
            spawn(async move {
                loop {
                    pass(1000).await;
                    counted.fetch_add(1, SeqCst);
                }
            });
        });
        ticks
    }

    #[tokio::test(start_paused = true)]
    async fn one_stands_still_while_the_others_go_on_and_its_clock_has_jumped_after_that() {
        let (one, other) = (Machine::new(1), Machine::new(2));
        let (ticks, others) = (ticking(&one), ticking(&other));
        pass(2500).await;
        one.freeze();
        let began = one.spawn(async { now() });
        pass(10_000).await;
        assert_eq!((ticks.load(SeqCst), others.load(SeqCst)), (2, 12));
        assert!(!began.is_finished());
        let thawed = now();
        one.thaw();
        pass(1).await;
        assert_eq!(ticks.load(SeqCst), 3, "one timer was due, and is so once");
        assert_eq!(began.await.expect("it ran"), thawed);
        other.stop();
        pass(5000).await;
        assert_eq!(others.load(SeqCst), 12);
        assert!(other.spawn(async {}).await.is_err(), "nothing begins on a machine that is off");
    }

    #[tokio::test(start_paused = true)]
    async fn each_has_a_wall_clock_and_luck_of_its_own() {
        let told = async |machine: &Arc<Machine>| {
            machine.spawn(async { (unix_ms(), Random::from_os().next_u64()) }).await.expect("it runs")
        };
        let (one, same) = (Machine::new(1), Machine::new(1));
        one.set_wall(-10_000);
        let ((early, luck), (late, same_luck)) = (told(&one).await, told(&same).await);
        assert_eq!((late - early, luck), (10_000, same_luck));
        one.set_wall(i64::MIN);
        assert_eq!(told(&one).await.0, 0);
        assert!(Machine::here().is_none(), "a test is on no machine");
    }
}
