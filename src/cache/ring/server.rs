//! One server of a ring: what it is asked, and the breaker that leaves it alone while it does not answer.

use std::fmt::{self, Debug};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::time::timeout;
use xxhash_rust::xxh3::xxh3_64;

use super::names::Found;
use crate::cache::shared::Name;

/// A cache server, asked over one connection that it makes when it needs it.
pub(in crate::cache) trait Server: Debug + Send + Sync + 'static {
    /// The value under a name.
    fn get(&self, name: Name) -> BoxFuture<'_, Result<Option<Bytes>, Failed>>;
    /// Puts a value there; with `if_absent` only where none is.
    fn set(&self, name: Name, value: Bytes, if_absent: bool) -> BoxFuture<'_, Result<(), Failed>>;
    /// Takes a value away.
    fn forget(&self, name: Name) -> BoxFuture<'_, Result<(), Failed>>;
    /// Asks for any answer at all.
    fn ping(&self) -> BoxFuture<'_, Result<(), Failed>>;
    /// Gives up the connection with everything that waits for it.
    fn close(&self);
}

/// Why a server did not do what it was asked.
#[derive(Clone, Debug)]
pub(in crate::cache) enum Failed {
    /// It cannot be reached, or what comes from it makes no sense.
    Broken(Arc<str>),
    /// It is there, and does not speak with us, or we not with it: why, and what would change that.
    Barred(Arc<str>, &'static str),
    /// It answers, and does not take this value: there is no room.
    Refused(Arc<str>),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::Broken(why) | Failed::Refused(why) => f.write_str(why),
            Failed::Barred(why, cure) => write!(f, "{why}; {cure}"),
        }
    }
}

/// Makes the connection to a server.
pub(in crate::cache) type Connect = Box<dyn Fn(&Found) -> Arc<dyn Server> + Send + Sync>;

/// How long a write may take. Nobody waits for it, but what waits takes memory.
const WRITE_MAX: Duration = Duration::from_millis(500);
/// Failures in a row after which a server is left alone.
const FAILURES_MAX: u32 = 3;
/// A server that is left alone is tried after this, then after twice as long, and so on.
const PROBE_FIRST: Duration = Duration::from_millis(100);
const PROBE_LAST: Duration = Duration::from_secs(5);
/// How long a probe waits for a connection. That the server is fast enough is seen by a second one.
const PROBE_CONNECT_MAX: Duration = Duration::from_secs(1);

/// A server with its place on the ring and its breaker.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) address: SocketAddr,
    name: Arc<str>,
    /// Of the address: the place on the ring.
    pub(super) hash: u64,
    pub(super) weight: f64,
    /// Two connections: what is written may be much, and no get is to wait behind it.
    pub(super) reads: Arc<dyn Server>,
    pub(super) writes: Arc<dyn Server>,
    /// How soon it has to answer to be of use.
    budget: Duration,
    failures: AtomicU32,
    open: AtomicBool,
}

impl Member {
    pub(super) fn new(found: &Found, connect: &Connect, budget: Duration) -> Arc<Self> {
        Arc::new(Self {
            address: found.address,
            name: Arc::clone(&found.name),
            hash: xxh3_64(found.address.to_string().as_bytes()),
            weight: found.weight,
            reads: connect(found),
            writes: connect(found),
            budget,
            failures: AtomicU32::new(0),
            open: AtomicBool::new(false),
        })
    }

    /// Whether it is this one.
    pub(super) fn is(&self, found: &Found) -> bool {
        self.address == found.address && self.name == found.name && self.weight == found.weight
    }

    /// Whether it is left alone.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// The value under a name (`None`: there is none), if it says so within a time.
    pub(super) async fn get(self: &Arc<Self>, name: Name, within: Duration) -> Option<Option<Bytes>> {
        self.ask(within, self.reads.get(name)).await
    }

    /// Puts a value there; with `if_absent` only where none is. Whether it did.
    pub(super) async fn set(self: &Arc<Self>, name: Name, value: Bytes, if_absent: bool) -> bool {
        self.ask(WRITE_MAX, self.writes.set(name, value, if_absent)).await.is_some()
    }

    /// Takes a value away.
    pub(super) async fn forget(self: &Arc<Self>, name: Name) {
        self.ask(WRITE_MAX, self.writes.forget(name)).await;
    }

    /// What it answers within a time; `None` when it does not, or says no.
    async fn ask<T>(self: &Arc<Self>, within: Duration, answer: impl Future<Output = Result<T, Failed>>) -> Option<T> {
        if self.is_open() {
            return None;
        }
        match timeout(within, answer).await {
            Ok(Ok(answer)) => {
                self.failures.store(0, Ordering::Relaxed);
                Some(answer)
            }
            Ok(Err(Failed::Refused(why))) => {
                self.failures.store(0, Ordering::Relaxed);
                tracing::debug!(server = %self.address, %why, "a cache server refused a value");
                None
            }
            Ok(Err(failed)) => {
                self.failed(&failed);
                None
            }
            Err(_) => {
                self.failed(&"it did not answer in time");
                None
            }
        }
    }

    fn failed(self: &Arc<Self>, why: &dyn fmt::Display) {
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 < FAILURES_MAX || self.open.swap(true, Ordering::AcqRel) {
            return;
        }
        tracing::warn!(server = %self.address, %why, "a cache server is left alone until it answers again");
        self.close();
        tokio::spawn(probe(Arc::downgrade(self)));
    }

    fn close(&self) {
        self.reads.close();
        self.writes.close();
    }

    /// Whether it answers, and fast enough.
    async fn is_well(&self) -> bool {
        matches!(timeout(PROBE_CONNECT_MAX, self.reads.ping()).await, Ok(Ok(())))
            && matches!(timeout(self.budget, self.reads.ping()).await, Ok(Ok(())))
    }
}

/// Tries a server that is left alone until it answers.
async fn probe(member: Weak<Member>) {
    let mut pause = PROBE_FIRST;
    loop {
        tokio::time::sleep(pause).await;
        let Some(member) = member.upgrade() else { return };
        if member.is_well().await {
            member.failures.store(0, Ordering::Relaxed);
            member.open.store(false, Ordering::Release);
            tracing::info!(server = %member.address, "a cache server answers again");
            return;
        }
        member.close();
        pause = (pause * 2).min(PROBE_LAST);
    }
}
