//! Callers at their own pace: each asks one object over one connection, rests, and asks again; all on one thread.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::calls::Call;
use crate::wire;

/// Who was not answered asks again after so long.
const RETRY: Duration = Duration::from_millis(20);
/// An answer is waited for so long: longer than a node waits for an owner.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How often is looked whether somebody waits for longer.
const LOOK: Duration = Duration::from_millis(50);

/// One caller.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Which object, for the record.
    pub(super) object: usize,
    /// Who is asked.
    pub(super) address: SocketAddr,
    pub(super) request: Box<[u8]>,
}

/// Callers at work. They stop when this is dropped.
#[derive(Debug)]
pub(super) struct Callers {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    calls: Mutex<Vec<Call>>,
}

impl Shared {
    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Callers {
    /// Sets them to work; each rests for `rest` between an answer and the next question.
    pub(super) fn start(callers: Vec<Caller>, rest: Duration) -> Self {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || Work::new(callers, rest, &shared)?.run()
        });
        Self { shared, thread: Some(thread) }
    }

    /// Looks at what was noted so far.
    pub(super) fn look<R>(&self, look: impl FnOnce(&[Call]) -> R) -> R {
        look(&self.shared.calls())
    }

    /// Stops them, and answers what was noted.
    ///
    /// # Errors
    /// When they had to stop before.
    pub(super) fn stop(mut self) -> Result<Vec<Call>> {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| anyhow!("the callers panicked"))??;
        }
        Ok(std::mem::take(&mut *self.shared.calls()))
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Work<'a> {
    lines: Vec<Line>,
    rest: Duration,
    poll: Poll,
    /// Who is to ask next, and when.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    shared: &'a Shared,
}

impl<'a> Work<'a> {
    fn new(callers: Vec<Caller>, rest: Duration, shared: &'a Shared) -> Result<Self> {
        let (now, count) = (Instant::now(), callers.len().max(1));
        // Not all at once.
        let due = (0..callers.len()).map(|at| Reverse((now + rest * at as u32 / count as u32, at))).collect();
        Ok(Self { lines: callers.into_iter().map(Line::new).collect(), rest, poll: Poll::new()?, due, shared })
    }

    fn run(mut self) -> Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut looked = Instant::now();
        while !self.shared.stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            while let Some(Reverse((_, at))) = self.due.peek().copied().filter(|due| due.0.0 <= now) {
                self.due.pop();
                if self.lines[at].ask(&self.poll, at).is_err() {
                    self.over(at, false);
                }
            }
            let next = self.due.peek().map_or(LOOK, |due| due.0.0.saturating_duration_since(now));
            self.poll.poll(&mut events, Some(next.min(LOOK)))?;
            for event in &events {
                let at = event.token().0;
                match self.lines[at].receive() {
                    Ok(None) => {}
                    Ok(Some(answered)) => self.over(at, answered),
                    Err(_) => self.over(at, false),
                }
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                let late = |line: &Line| line.asked.is_some_and(|asked| looked - asked > WAIT_MAX);
                let late: Vec<usize> = (0..self.lines.len()).filter(|at| late(&self.lines[*at])).collect();
                late.into_iter().for_each(|at| self.over(at, false));
            }
        }
        Ok(())
    }

    /// Notes the end of a call, if there was one.
    fn over(&mut self, at: usize, answered: bool) {
        let line = &mut self.lines[at];
        line.filled = 0;
        if !answered {
            line.stream = None;
        }
        let Some(asked) = line.asked.take() else { return };
        let over = Instant::now();
        self.shared.calls().push(Call { object: line.caller.object, asked, over, answered });
        self.due.push(Reverse((over + if answered { self.rest } else { RETRY }, at)));
    }
}

/// A caller with his connection.
struct Line {
    caller: Caller,
    stream: Option<TcpStream>,
    asked: Option<Instant>,
    buffer: Box<[u8]>,
    filled: usize,
}

impl Line {
    fn new(caller: Caller) -> Self {
        Self { caller, stream: None, asked: None, buffer: vec![0; 4 << 10].into(), filled: 0 }
    }

    fn ask(&mut self, poll: &Poll, at: usize) -> io::Result<()> {
        self.asked = Some(Instant::now());
        if self.stream.is_none() {
            let stream = std::net::TcpStream::connect(self.caller.address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(at), Interest::READABLE)?;
            self.stream = Some(stream);
        }
        let Some(stream) = &mut self.stream else { return Err(ErrorKind::NotConnected.into()) };
        stream.write_all(&self.caller.request)
    }

    /// Reads what is there; when the answer is complete, whether it is 2xx.
    fn receive(&mut self) -> io::Result<Option<bool>> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        loop {
            match stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            match wire::frame(&self.buffer[..self.filled])? {
                Some(frame) if self.filled >= frame.whole() => return Ok(Some((200..300).contains(&frame.status))),
                _ => {}
            }
        }
    }
}
