//! How a node asks another one: what HTTP/2 does between real ones, over the simulated wires.
//!
//! A question is sent once. It arrives, or it does not; it may lie at a process that stands still, and is then found by it
//! when it goes on. Who asked learns of a connection that breaks, at once where the other process dies, after some
//! seconds where the wire is cut; and when he gives up, the other end may hear of it, or not.

use std::sync::atomic::Ordering::Release;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use remote_object::clock::{self, Instant};
use remote_object::error::Kind;
use remote_object::model::ObjectKey;
use remote_object::objects::{Answered, Forward, Forwarded, Peer, Peers, Request};
use remote_object::{Error, Result};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout_at};

use crate::cluster::{Cluster, Process};
use crate::net::{Place, Waits};

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// After so long a wire that carries nothing is found out: a ping, and the wait for its answer.
const SILENT_MAX: Duration = Duration::from_secs(4);
/// How long an answer is waited for beyond the deadline.
const GRACE: Duration = Duration::from_millis(500);

/// The other nodes, as one sees them.
pub(crate) struct Wires {
    pub(crate) cluster: Weak<Cluster>,
    pub(crate) from: usize,
}

impl std::fmt::Debug for Wires {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wires").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Peers for Wires {
    fn ask(&self, peer: &Peer, asked: Forward) -> BoxFuture<'static, Forwarded> {
        let (cluster, from, addr) = (self.cluster.upgrade(), self.from, Arc::clone(&peer.addr));
        Box::pin(async move {
            let Some(cluster) = cluster else { return Forwarded::Unsent(unreached()) };
            let (deadline, edit) = (asked.deadline, !asked.op.is_view());
            if deadline <= clock::now() {
                let late = Error::new(Kind::DeadlineExceeded, "the deadline passed before the call was sent");
                return Forwarded::Answered(Err(late));
            }
            let answered = timeout_at(deadline + GRACE, send(&cluster, from, &addr, asked)).await;
            answered.unwrap_or_else(|_| match edit {
                true => Forwarded::Lost(Error::store("no answer before the deadline")),
                false => Forwarded::Answered(Err(Error::new(Kind::DeadlineExceeded, "no answer before the deadline"))),
            })
        })
    }

    /// Nobody explains anything here: the node that is asked says that it reached nobody.
    fn explain(&self, _: &Peer, _: &ObjectKey, _: Instant) -> BoxFuture<'static, Result<Bytes>> {
        Box::pin(async { Err(unreached()) })
    }
}

async fn send(cluster: &Arc<Cluster>, from: usize, addr: &str, asked: Forward) -> Forwarded {
    let world = Arc::clone(&cluster.world);
    sleep(world.way()).await;
    let Some(target) = cluster.listens(addr) else { return Forwarded::Unsent(unreached()) };
    let (here, there) = (Place::Node(from), Place::Node(target.node));
    let (key, what) = (asked.key.clone(), format!("{here:?} asks {there:?} for {}", asked.key));
    let is_cut = world.net.is_cut(here, there);
    // A connection that was kept takes the question, and does not get it through.
    if (is_cut || world.net.is_cut(there, here)) && world.below(2) == 0 {
        sleep(CONNECT_MAX).await;
        return Forwarded::Unsent(unreached());
    }
    asked.sent.store(true, Release);
    world.tell(|| format!("{what}, {:?}", asked.way));
    let (reply, answer) = oneshot::channel();
    let (waits, left) = Waits::new(world.below(2) == 0);
    let (mut reply, carried, carrying) = (Some(reply), Arc::clone(&world), what.clone());
    let time = asked.deadline.saturating_duration_since(clock::now());
    tokio::spawn(async move {
        sleep(carried.way()).await;
        if is_cut || carried.chance(carried.weather().lost) {
            // What was under way may still come through when the wire is whole again, though nobody waits any more.
            let late = if carried.below(3) > 0 { None } else { Some(carried.late()) };
            sleep(late.unwrap_or(SILENT_MAX).min(SILENT_MAX)).await;
            let Some(late) = late else { return };
            if late > SILENT_MAX {
                drop(reply.take());
                sleep(late - SILENT_MAX).await;
            }
            carried.tell(|| format!("{carrying}: arrives late"));
        }
        let Some(handled) = handle(&target, asked, time, left) else { return };
        let Ok(answered) = handled.await else { return };
        let Some(reply) = reply else { return };
        sleep(carried.way()).await;
        if carried.net.is_cut(there, here) || carried.chance(carried.weather().lost) {
            sleep(SILENT_MAX).await;
            return;
        }
        let _ = reply.send(answered);
    });
    let forwarded = match answer.await {
        Ok(forwarded) => forwarded,
        Err(_) => Forwarded::Lost(Error::store("the connection broke").with_key(&key)),
    };
    drop(waits);
    world.tell(|| format!("{what}: {}", shown(&forwarded)));
    forwarded
}

/// Answers at the other node; `None` when it is gone.
fn handle(
    target: &Arc<Process>,
    asked: Forward,
    time: Duration,
    left: impl Future<Output = ()> + Send + 'static,
) -> Option<tokio::task::JoinHandle<Forwarded>> {
    let host = target.host()?;
    if target.machine.is_off() {
        return None;
    }
    Some(target.machine.spawn(async move {
        tokio::select! {
            biased;
            forwarded = host.answer_peer(request(asked, clock::now() + time)) => forwarded,
            () = left => Forwarded::Lost(Error::store("nobody waits any more")),
        }
    }))
}

fn request(asked: Forward, deadline: Instant) -> Request {
    Request {
        key: asked.key,
        op: asked.op,
        conditions: asked.conditions,
        idempotency_key: asked.idempotency_key,
        deadline,
        freshness: asked.freshness,
        trace: asked.trace,
        way: Some(Box::new(asked.way)),
    }
}

fn unreached() -> Error {
    Error::new(Kind::WrongNode, "the node that has the object cannot be reached")
}

fn shown(forwarded: &Forwarded) -> String {
    match forwarded {
        Forwarded::Answered(answered) => told(answered),
        Forwarded::Elsewhere(owner, epoch) => format!("elsewhere: {owner:?} under {epoch}"),
        Forwarded::Unsent(_) => "unsent".to_owned(),
        Forwarded::Lost(_) => "lost".to_owned(),
    }
}

/// An answer in a line.
pub(crate) fn told(answered: &Answered) -> String {
    match answered {
        Ok(reply) => {
            let tag = reply.tag.map(|tag| tag.to_string());
            format!("{} under {tag:?}", String::from_utf8_lossy(&reply.body))
        }
        Err(error) => format!("{} ({:?})", error.code(), error.outcome()),
    }
}
