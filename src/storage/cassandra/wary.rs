//! Servers that take requests and do not answer them are passed over for a while: one that is cut off from the other replicas,
//! or stands still.
//!
//! The driver passes over those alone that it has no connection to. One that lives, and reaches no quorum, keeps its
//! connections: of all requests a third would go to it and fail, and of those that are pinned to it every one, for as long
//! as that lasts, though two replicas of three are well.
//!
//! A doubt decides who is asked first, and nothing else: where all are doubted they are asked as if none was.

use std::cell::Cell;
use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use scylla::cluster::{ClusterState, NodeRef};
use scylla::errors::{DbError, ExecutionError, RequestAttemptError, WriteType};
use scylla::policies::load_balancing::{FallbackPlan, LoadBalancingPolicy, RoutingInfo};
use scylla::routing::Shard;
use uuid::Uuid;

use super::session::REQUEST_MAX;
use crate::clock::{self, Instant};

/// How long a server is passed over. Then one request tries it.
const PASSED_OVER: Duration = Duration::from_secs(10);

tokio::task_local! {
    /// The server that the request of this task was sent to last, and when.
    static ASKED: Cell<Option<(Uuid, Instant)>>;
}

/// Of the whole process: what keeps a server from answering one of its sessions keeps it from answering the others.
static DOUBTS: LazyLock<Doubts> = LazyLock::new(Doubts::default);

/// What is thought of the servers, by their ids.
#[derive(Debug, Default)]
struct Doubts {
    servers: Mutex<HashMap<Uuid, Doubt>>,
    /// How many are doubted, so that as long as none is nobody waits for another one.
    count: AtomicUsize,
}

/// What is thought of a server that was doubted once.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    /// Since when it is doubted.
    since: Instant,
    /// How long it is passed over; `None` when it is trusted again.
    until: Option<Instant>,
    /// When that was said last.
    told: Instant,
}

impl Doubts {
    /// Whether a server is to be passed over. Of those who ask after its time is over one is told that it is not: he tries it,
    /// and the others wait for what comes of that.
    fn is_doubted(&self, server: Uuid, now: Instant) -> bool {
        if self.count.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut servers = self.lock();
        let Some(until) = servers.get_mut(&server).and_then(|doubt| doubt.until.as_mut()) else { return false };
        if *until > now {
            return true;
        }
        *until = now + REQUEST_MAX;
        false
    }

    /// It failed a request.
    fn doubt(&self, server: Uuid, now: Instant) {
        let mut servers = self.lock();
        let before = servers.get(&server).copied();
        let is_news = before.is_none_or(|doubt| doubt.until.is_none() && now >= doubt.told + PASSED_OVER);
        let told = before.filter(|_| !is_news).map_or(now, |doubt| doubt.told);
        servers.insert(server, Doubt { since: now, until: Some(now + PASSED_OVER), told });
        self.recount(&servers);
        drop(servers);
        // Where all of them are slow this changes many times a second.
        if is_news {
            tracing::warn!(%server, "a server does not answer as it should, and is passed over for a while");
        }
    }

    /// It answered a request. One that was sent before another one failed says nothing of now.
    fn trust(&self, server: Uuid, asked: Instant) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut servers = self.lock();
        if let Some(doubt) = servers.get_mut(&server).filter(|doubt| asked > doubt.since) {
            doubt.until = None;
        }
        self.recount(&servers);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Doubt>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recount(&self, servers: &HashMap<Uuid, Doubt>) {
        let doubted = servers.values().filter(|doubt| doubt.until.is_some()).count();
        self.count.store(doubted, Ordering::Relaxed);
    }
}

/// Sends a request, and learns from what comes of it about the server that it was sent to.
pub(super) async fn watched<T>(request: impl Future<Output = Result<T, ExecutionError>>) -> Result<T, ExecutionError> {
    let asked = async {
        let answer = request.await;
        (answer, ASKED.with(Cell::take))
    };
    let (answer, asked) = ASKED.scope(Cell::default(), asked).await;
    if let Some((server, at)) = asked {
        match &answer {
            Ok(_) => DOUBTS.trust(server, at),
            Err(error) if is_doubtful(error) => DOUBTS.doubt(server, clock::now()),
            Err(_) => {}
        }
    }
    answer
}

/// Whether a failure may come from where the server stands, so that another one would do better. Those who contend for a
/// register outbid each other wherever they are.
fn is_doubtful(error: &ExecutionError) -> bool {
    match error {
        ExecutionError::RequestTimeout(_) => true,
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, _)) => match error {
            DbError::WriteTimeout { write_type, .. } => *write_type != WriteType::Cas,
            DbError::Unavailable { .. }
            | DbError::ReadTimeout { .. }
            | DbError::Overloaded
            | DbError::IsBootstrapping => true,
            _ => false,
        },
        _ => false,
    }
}

/// The order of another policy, but those last who are doubted.
#[derive(Debug)]
pub(super) struct Wary(pub(super) Arc<dyn LoadBalancingPolicy>);

/// A request is about to be sent there.
fn note(node: NodeRef<'_>) {
    // The driver's own questions are nobody's.
    let _ = ASKED.try_with(|asked| asked.set(Some((node.host_id, clock::now()))));
}

impl LoadBalancingPolicy for Wary {
    fn pick<'a>(&'a self, request: &'a RoutingInfo, cluster: &'a ClusterState) -> Option<(NodeRef<'a>, Option<Shard>)> {
        // With none the driver takes the first one of `fallback`.
        let picked = self.0.pick(request, cluster)?;
        if DOUBTS.is_doubted(picked.0.host_id, clock::now()) {
            return None;
        }
        note(picked.0);
        Some(picked)
    }

    fn fallback<'a>(&'a self, request: &'a RoutingInfo, cluster: &'a ClusterState) -> FallbackPlan<'a> {
        let now = clock::now();
        let (doubted, trusted): (Vec<_>, Vec<_>) =
            self.0.fallback(request, cluster).partition(|(node, _)| DOUBTS.is_doubted(node.host_id, now));
        Box::new(trusted.into_iter().chain(doubted).inspect(|(node, _)| note(node)))
    }

    fn on_request_success(&self, request: &RoutingInfo, latency: Duration, node: NodeRef<'_>) {
        self.0.on_request_success(request, latency, node);
    }

    fn on_request_failure(
        &self,
        request: &RoutingInfo,
        latency: Duration,
        node: NodeRef<'_>,
        error: &RequestAttemptError,
    ) {
        self.0.on_request_failure(request, latency, node, error);
    }

    fn name(&self) -> String {
        "Wary".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_doubted_is_passed_over_then_tried_by_one_and_trusted_when_he_answers() {
        let (doubts, server, now) = (Doubts::default(), Uuid::from_u128(1), clock::now());
        assert!(!doubts.is_doubted(server, now));
        doubts.doubt(server, now);
        assert!(doubts.is_doubted(server, now + PASSED_OVER / 2));
        assert!(!doubts.is_doubted(Uuid::from_u128(2), now), "the others are not");
        let later = now + PASSED_OVER;
        assert!(!doubts.is_doubted(server, later), "one tries him");
        assert!(doubts.is_doubted(server, later), "and only one");
        assert!(!doubts.is_doubted(server, later + REQUEST_MAX), "until that one must have an answer");
        doubts.trust(server, now);
        assert!(doubts.is_doubted(server, later), "it was asked before it was doubted");
        doubts.trust(server, later);
        assert!(!doubts.is_doubted(server, later));
    }
}
