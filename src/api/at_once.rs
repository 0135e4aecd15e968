//! A connection that wakes itself is polled again at once.
//!
//! hyper wakes its own task when a request's body is taken from it, while that task is running. The runtime takes that for
//! work of which another thread could have a share: it wakes one, which takes the connection away, and the next request is
//! read on another core than its answer was written on. A poll more, here and now, costs less than that.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Polls in a row; after so many others have their turn.
const POLLS_MAX: usize = 4;

/// Nobody polls it, and nobody has woken it since it was polled.
const IDLE: u8 = 0;
const POLLED: u8 = 1;
const WOKEN: u8 = 2;

/// A future that is polled again at once when it is woken while it is polled.
pub(super) struct AtOnce<F> {
    inner: Pin<Box<F>>,
    bell: Arc<Bell>,
    waker: Waker,
}

struct Bell {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::AcqRel) == IDLE {
            self.task.wake();
        }
    }
}

impl<F> AtOnce<F> {
    pub(super) fn new(inner: F) -> Self {
        let bell = Arc::new(Bell { state: AtomicU8::new(IDLE), task: AtomicWaker::new() });
        Self { inner: Box::pin(inner), waker: Waker::from(Arc::clone(&bell)), bell }
    }

    pub(super) fn inner(&mut self) -> Pin<&mut F> {
        self.inner.as_mut()
    }
}

impl<F: Future> Future for AtOnce<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.bell.task.register(cx.waker());
        for _ in 0..POLLS_MAX {
            this.bell.state.store(POLLED, Ordering::Release);
            if let Poll::Ready(output) = this.inner.as_mut().poll(&mut Context::from_waker(&this.waker)) {
                return Poll::Ready(output);
            }
            if this.bell.state.compare_exchange(POLLED, IDLE, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A future that wakes itself in its first `times` polls and is ready in the one after `ready`.
    fn wakes_itself(times: usize, ready: usize) -> impl Future<Output = usize> {
        let mut polls = 0;
        poll_fn(move |cx| {
            polls += 1;
            if polls <= times {
                cx.waker().wake_by_ref();
            }
            if polls > ready { Poll::Ready(polls) } else { Poll::Pending }
        })
    }

    fn poll_once<F: Future>(future: &mut AtOnce<F>) -> (Poll<F::Output>, usize) {
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(Arc::clone(&counter));
        let polled = Pin::new(future).poll(&mut Context::from_waker(&waker));
        (polled, counter.0.load(Ordering::SeqCst))
    }

    #[test]
    fn what_wakes_itself_is_polled_again_and_its_task_is_not_woken() {
        assert_eq!(poll_once(&mut AtOnce::new(wakes_itself(1, 1))), (Poll::Ready(2), 0));
        let mut waits = AtOnce::new(wakes_itself(1, 2));
        assert_eq!(poll_once(&mut waits), (Poll::Pending, 0));
        assert_eq!(poll_once(&mut waits), (Poll::Ready(3), 0));
    }

    #[test]
    fn what_wakes_itself_without_end_leaves_the_others_their_turn() {
        let mut restless = AtOnce::new(wakes_itself(usize::MAX, usize::MAX));
        assert_eq!(poll_once(&mut restless), (Poll::Pending, 1));
        assert_eq!(poll_once(&mut restless), (Poll::Pending, 1));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_wake_of_another_thread_is_lost() {
        for _ in 0..200 {
            let (send, mut receive) = tokio::sync::mpsc::channel(1);
            let sender = tokio::spawn(async move {
                for n in 0..100_u32 {
                    send.send(n).await.unwrap();
                }
            });
            let receiver = AtOnce::new(async move {
                let mut sum = 0;
                while let Some(n) = receive.recv().await {
                    sum += n;
                }
                sum
            });
            assert_eq!(tokio::time::timeout(std::time::Duration::from_secs(20), receiver).await, Ok(4950));
            sender.await.unwrap();
        }
    }
}
