//! The closed loop: every connection has one request under way, on one thread, with nothing to build between two.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::report::Cell;
use crate::wire;

/// Which request is next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Plan {
    /// A random one, until the time is over.
    Random(Duration),
    /// Each once, in order.
    EachOnce,
}

impl Plan {
    fn end(self, began: Instant) -> Instant {
        match self {
            Self::Random(time) => began + time,
            Self::EachOnce => began + Duration::from_secs(600),
        }
    }
}

/// What one run saw.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Answers a second.
    pub(crate) rate: f64,
    /// From the write of a request to the end of its answer, in nanoseconds.
    latency: Histogram<u64>,
}

impl Sample {
    /// How many answers came in time.
    pub(crate) fn count(&self) -> u64 {
        self.latency.len()
    }

    /// As a cell of a table.
    pub(crate) fn cell(&self) -> Cell {
        Cell { rate: self.rate, p50: self.micros(0.5), p99: self.micros(0.99) }
    }

    /// A quantile of the latency in microseconds.
    fn micros(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1000.0
    }
}

/// Who is asked for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What it is asked.
    pub(crate) requests: &'a [Box<[u8]>],
}

/// Sends `requests` over `connections` connections.
///
/// # Errors
/// When a connection fails, or an answer is not 2xx: what is measured must have worked.
pub(crate) fn run(address: SocketAddr, requests: &[Box<[u8]>], connections: usize, plan: Plan) -> Result<Sample> {
    run_on(&[Target { address, requests }], connections, plan)
}

/// Sends each target its requests, over `connections` connections that the targets share evenly.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_on(targets: &[Target<'_>], connections: usize, plan: Plan) -> Result<Sample> {
    let mut sources: Vec<Source<'_>> = targets.iter().map(|target| Source::new(target.requests, plan)).collect();
    let mut poll = Poll::new()?;
    let mut open = Vec::with_capacity(connections);
    for number in 0..connections {
        let target = number % targets.len();
        let mut connection = Connection::open(targets[target].address, target).context("cannot connect")?;
        poll.registry().register(&mut connection.stream, Token(number), Interest::READABLE)?;
        open.push(connection);
    }
    let mut latency = Histogram::new_with_bounds(1, 60_000_000_000, 3)?;
    let began = Instant::now();
    let end = plan.end(began);
    let mut busy = 0;
    for connection in &mut open {
        busy += usize::from(connection.send_next(&mut sources)?);
    }
    let mut events = Events::with_capacity(connections);
    let mut last = began;
    while busy > 0 {
        poll.poll(&mut events, Some(Duration::from_secs(10)))?;
        if events.is_empty() {
            bail!("no answer for 10 seconds, {busy} requests are waiting");
        }
        for event in &events {
            let connection = &mut open[event.token().0];
            if !connection.receive()? {
                continue;
            }
            let now = Instant::now();
            if now <= end {
                latency.saturating_record((now - connection.sent).as_nanos() as u64);
                last = now;
            }
            busy -= usize::from(now > end || !connection.send_next(&mut sources)?);
        }
    }
    let seconds = last.duration_since(began).as_secs_f64();
    Ok(Sample { rate: latency.len() as f64 / seconds.max(1e-9), latency })
}

/// Hands out requests.
struct Source<'a> {
    requests: &'a [Box<[u8]>],
    plan: Plan,
    /// The next index, or the state of the random numbers.
    state: u64,
}

impl<'a> Source<'a> {
    fn new(requests: &'a [Box<[u8]>], plan: Plan) -> Self {
        let state = match plan {
            Plan::Random(_) => 0x2545_F491_4F6C_DD1D,
            Plan::EachOnce => 0,
        };
        Self { requests, plan, state }
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        match self.plan {
            // xorshift64: good enough to spread keys, and costs nothing beside a system call.
            Plan::Random(_) => {
                self.state ^= self.state << 13;
                self.state ^= self.state >> 7;
                self.state ^= self.state << 17;
                Some(&self.requests[(self.state % self.requests.len() as u64) as usize])
            }
            Plan::EachOnce => {
                self.state += 1;
                self.requests.get(self.state as usize - 1).map(|request| &**request)
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    /// Which target's it is.
    target: usize,
    buffer: Vec<u8>,
    filled: usize,
    sent: Instant,
}

impl Connection {
    fn open(address: SocketAddr, target: usize) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let stream = TcpStream::from_std(stream);
        Ok(Self { stream, target, buffer: vec![0; 16 << 10], filled: 0, sent: Instant::now() })
    }

    /// Sends the next request; `false` when there is none.
    fn send_next(&mut self, sources: &mut [Source<'_>]) -> Result<bool> {
        let Some(request) = sources[self.target].next() else { return Ok(false) };
        self.sent = Instant::now();
        // Two hundred bytes into an empty socket buffer: taken whole, or something is wrong.
        let written = self.stream.write(request).context("cannot send")?;
        if written != request.len() {
            bail!("the socket took {written} of {} bytes", request.len());
        }
        Ok(true)
    }

    /// Reads what is there; `true` when an answer is complete. No second read follows a complete answer: nothing was
    /// asked that could have brought more.
    fn receive(&mut self) -> Result<bool> {
        loop {
            match self.stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot receive"),
            }
            let Some(frame) = wire::frame(&self.buffer[..self.filled])? else { continue };
            if frame.whole() > self.buffer.len() {
                bail!("an answer of {} bytes was not expected", frame.whole());
            }
            if self.filled < frame.whole() {
                continue;
            }
            if !(200..300).contains(&frame.status) {
                bail!("the server answered {}", String::from_utf8_lossy(&self.buffer[..self.filled]));
            }
            self.filled = 0;
            return Ok(true);
        }
    }
}
