//! A socket that watches the time: heads must come in time, an idle connection ends, an answer must be taken.
//!
//! hyper's own timer counts from the last answer, so it cannot tell a slow head from an idle connection, and it does
//! not run before the protocol is known. Here one timer a connection covers all of it, and a request only stores the
//! moment it ended.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{StatusCode, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::problem;
use super::stream::Stream;
use crate::clock::{self, Instant};
use crate::config::Limits;
use crate::error::{Error, Kind};

/// What the service tells its socket.
#[derive(Debug)]
pub(crate) struct Watch {
    start: Instant,
    /// Requests begun.
    begun: AtomicU64,
    /// Requests ended.
    ended: AtomicU64,
    /// When the last one ended, in milliseconds after `start`.
    last_ended_ms: AtomicU64,
    http2: AtomicBool,
}

/// A request in work on a connection.
pub(crate) struct Begun(Arc<Watch>);

impl Watch {
    pub(crate) fn new() -> Self {
        Self {
            start: clock::now(),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            last_ended_ms: AtomicU64::new(0),
            http2: AtomicBool::new(false),
        }
    }

    /// Notes a request until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>, version: Version) -> Begun {
        self.begun.fetch_add(1, Ordering::Relaxed);
        if version == Version::HTTP_2 {
            self.http2.store(true, Ordering::Relaxed);
        }
        Begun(Arc::clone(self))
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let after = clock::now().saturating_duration_since(self.0.start).as_millis() as u64;
        self.0.last_ended_ms.store(after, Ordering::Relaxed);
        self.0.ended.fetch_add(1, Ordering::Release);
    }
}

/// The socket.
#[derive(Debug)]
pub(crate) struct Guarded {
    stream: Stream,
    watch: Arc<Watch>,
    head_timeout: Duration,
    idle_timeout: Duration,
    timer: Pin<Box<Sleep>>,
    /// Since when bytes of a head that is not complete have been coming.
    head_since: Option<Instant>,
    /// `watch.begun` when `head_since` was set.
    begun_then: u64,
    /// Runs while the peer takes nothing of an answer.
    unread: Option<Pin<Box<Sleep>>>,
    over: bool,
}

impl Guarded {
    pub(crate) fn new(stream: Stream, watch: Arc<Watch>, limits: &Limits) -> Self {
        let head_timeout = Duration::from_millis(limits.head_timeout_ms);
        let timer = Box::pin(tokio::time::sleep_until(watch.start + head_timeout));
        Self {
            stream,
            watch,
            head_timeout,
            idle_timeout: Duration::from_millis(limits.idle_timeout_ms),
            timer,
            head_since: None,
            begun_then: 0,
            unread: None,
            over: false,
        }
    }

    /// When to give up if nothing comes; `None` while a request is in work.
    fn deadline(&self) -> Option<Instant> {
        let ended = self.watch.ended.load(Ordering::Acquire);
        let begun = self.watch.begun.load(Ordering::Relaxed);
        if begun > ended {
            return None;
        }
        match self.head_since {
            Some(since) if self.begun_then == begun => Some(since + self.head_timeout),
            _ if begun == 0 => Some(self.watch.start + self.head_timeout),
            _ => {
                let last = Duration::from_millis(self.watch.last_ended_ms.load(Ordering::Relaxed));
                Some(self.watch.start + last + self.idle_timeout)
            }
        }
    }

    /// Notes that bytes came. In HTTP/2 they may be anything, so only its first request is timed by its head.
    fn bytes_came(&mut self) {
        let begun = self.watch.begun.load(Ordering::Relaxed);
        let idle = begun == self.watch.ended.load(Ordering::Relaxed);
        let known = self.head_since.is_some() && self.begun_then == begun;
        if idle && !known && !self.watch.http2.load(Ordering::Relaxed) {
            self.head_since = Some(clock::now());
            self.begun_then = begun;
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // A timer that rings too early is set anew when it rings, so that no request has to set it. It must never ring
        // too late: hyper does not ask again when a request ends.
        loop {
            let deadline = self.deadline();
            if let Some(deadline) = deadline.filter(|deadline| self.timer.deadline() > *deadline) {
                self.timer.as_mut().reset(deadline);
            }
            ready!(self.timer.as_mut().poll(cx));
            let now = clock::now();
            match deadline {
                Some(deadline) if now >= deadline => return Poll::Ready(()),
                Some(deadline) => self.timer.as_mut().reset(deadline),
                None => self.timer.as_mut().reset(now + self.head_timeout.min(self.idle_timeout)),
            }
        }
    }

    /// Says why to who began a request and did not end its head; who said nothing is told nothing.
    fn give_up(&mut self, cx: &mut Context<'_>) {
        self.over = true;
        if self.head_since.is_some() && self.begun_then == self.watch.begun.load(Ordering::Relaxed) {
            let error = Error::new(Kind::RequestTimeout, "the head of the request did not come in time");
            let body = problem::document(&error, StatusCode::REQUEST_TIMEOUT, "");
            let head = format!(
                "HTTP/1.1 408 Request Timeout\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
                 outcome: not-executed\r\ncache-control: private, no-cache\r\nconnection: close\r\n\r\n",
                body.len()
            );
            // As far as it goes at once: nobody waits for one who did not say what he wants.
            let _ = Pin::new(&mut self.stream).poll_write(cx, &[head.as_bytes(), &body].concat());
            let _ = Pin::new(&mut self.stream).poll_shutdown(cx);
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(read) => {
                if buf.filled().len() > before {
                    this.bytes_came();
                }
                Poll::Ready(read)
            }
            Poll::Pending => {
                ready!(this.poll_deadline(cx));
                this.give_up(cx);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl Guarded {
    /// Ends a connection whose peer has taken nothing of its answer for as long as an idle one may last.
    fn taken<T>(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.unread = None;
            return wrote;
        }
        let idle_timeout = self.idle_timeout;
        let timer = self.unread.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle_timeout)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not take its answer")))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.taken(cx, wrote)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.taken(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
