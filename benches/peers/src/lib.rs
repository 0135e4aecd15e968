//! What the programs share that are asked on stdin: a line names a case and its seconds, a line answers.
//!
//! ```text
//! <- ready cassandra 5.0.8, commitlog_sync batch
//! -> write-many 3
//! <- 3781.2 9400 78000
//! ```
//!
//! The answer to a case is operations a second and the latencies p50 and p99 in microseconds. What stands behind `ready` is for
//! people. A program ends with its stdin, and with a message on stderr when an operation fails: what is measured must
//! have worked.

#![allow(clippy::disallowed_methods, reason = "real time is what is measured here")]

use std::future::Future;
use std::io::{self, BufRead};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How many operations are in flight, unless a case says otherwise.
pub const IN_FLIGHT: usize = 64;
/// Keys of the cases on many keys.
pub const KEYS: usize = 10_000;

/// Does one operation after the other.
pub trait Worker: Send + 'static {
    /// One operation.
    fn once(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// What a run saw.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Operations a second.
    pub rate: f64,
    /// Half of the operations took no longer, in microseconds.
    pub p50: f64,
    /// 99 of 100 operations took no longer, in microseconds.
    pub p99: f64,
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} {:.0} {:.0}", self.rate, self.p50, self.p99)
    }
}

/// Has all workers work for a time, each with one operation in flight.
///
/// # Errors
/// That of the first operation that failed.
pub async fn measure<W: Worker>(workers: Vec<W>, time: Duration) -> Result<Measured> {
    let began = Instant::now();
    let end = began + time;
    let tasks: Vec<_> = workers.into_iter().map(|worker| tokio::spawn(work(worker, end))).collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.context("a worker panicked")??);
    }
    if took.is_empty() {
        bail!("nothing was done in {time:?}");
    }
    took.sort_unstable();
    let micros = |quantile: f64| {
        let at = (took.len() as f64 * quantile) as usize;
        took[at.min(took.len() - 1)].as_secs_f64() * 1e6
    };
    Ok(Measured { rate: took.len() as f64 / time.as_secs_f64(), p50: micros(0.5), p99: micros(0.99) })
}

/// How long each operation took that ended in time.
async fn work(mut worker: impl Worker, end: Instant) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    loop {
        let sent = Instant::now();
        worker.once().await?;
        let now = Instant::now();
        if now > end {
            return Ok(took);
        }
        took.push(now - sent);
    }
}

/// What is to be done next, as two words; `None` when stdin has ended.
///
/// # Errors
/// When the line is not of two words.
pub fn asked() -> Result<Option<(String, String)>> {
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let (what, of) = line.trim().split_once(' ').context("a line would be two words, such as: write-many 3")?;
    Ok(Some((what.to_owned(), of.to_owned())))
}

/// The seconds of a case.
///
/// # Errors
/// When they are none.
pub fn seconds(text: &str) -> Result<Duration> {
    let seconds: f64 = text.parse().with_context(|| format!("{text:?} are no seconds"))?;
    Ok(Duration::try_from_secs_f64(seconds)?)
}
