//! Between nodes: what one is asked by another, and the way round where two do not reach each other (rule R11).
//!
//! A node that certainly could not send a question to the owner has a third one hand it on. That one is a piece of wire: it
//! sends what it was given to the life that it is for, as it was given and once, and says what came of that. So nothing of a
//! question's meaning changes by it: what was sent and not answered is unknown, and only the owner may run it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::host::Host;
use super::request::Request;
use super::route::{Forward, Forwarded, Peers, Routed};
use crate::error::{Error, Kind, Outcome};
use crate::locks::Peer;
use crate::model::{ObjectKey, Version};

/// When an owner is gone, who was to hand a question on to it sees it with its next look, a second later at most, and says what came
/// of the question.
const RELAY_TOLD: Duration = Duration::from_millis(1500);

/// What came of questions to other nodes so far.
#[derive(Debug, Default)]
pub struct ForwardCounts {
    /// Answered there.
    pub answered: AtomicU64,
    /// Another node has it.
    pub elsewhere: AtomicU64,
    /// Not reached: the call had no effect.
    pub unsent: AtomicU64,
    /// Sent and not answered.
    pub lost: AtomicU64,
}

/// The questions to other nodes, by the way they took.
#[derive(Debug, Default)]
pub struct Forwards {
    /// Those to the node that should have the object.
    pub direct: ForwardCounts,
    /// Those that a third node was asked to hand on.
    pub relayed: ForwardCounts,
}

impl ForwardCounts {
    fn add(&self, forwarded: &Forwarded) {
        let counter = match forwarded {
            Forwarded::Answered(_) => &self.answered,
            Forwarded::Elsewhere(..) => &self.elsewhere,
            Forwarded::Unsent(_) => &self.unsent,
            Forwarded::Lost(_) => &self.lost,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Host {
    #[doc(hidden)]
    /// Answers another node: here or not at all, unless it is to be handed on. Dropping the future changes nothing of what has
    /// begun.
    pub async fn answer_peer(&self, request: Request) -> Forwarded {
        if request.way.as_ref().is_some_and(|way| way.relay) {
            return self.hand_on(request).await;
        }
        let key = request.key.clone();
        match self.answer_begun(request).await {
            Err(error) if error.kind() == Kind::WrongNode && error.outcome() != Outcome::NotExecuted => {
                let what = "the call was undone here; what it asked of other objects may have happened";
                Forwarded::Answered(Err(Error::new(Kind::OutcomeUnknown, what).with_detail(format!("{error:?}"))))
            }
            Err(error) if error.kind() == Kind::WrongNode => self.elsewhere_now(&key),
            answered => Forwarded::Answered(answered),
        }
    }

    fn elsewhere_now(&self, key: &ObjectKey) -> Forwarded {
        let (owner, epoch) = self.owner(key);
        Forwarded::Elsewhere(owner.map(|owner| owner.to_string()), epoch)
    }

    /// Sends another node's question to the one that it is for.
    async fn hand_on(&self, request: Request) -> Forwarded {
        let unsent = |what| Forwarded::Unsent(Error::new(Kind::WrongNode, what));
        let Request { key, op, conditions, idempotency_key, deadline, freshness, trace, way } = request;
        let mut way = way.map(|way| *way).unwrap_or_default();
        // Whoever gets it now has it, or nobody.
        way.relay = false;
        let known = |life: &Arc<str>| self.0.locks.peer(life, way.known);
        let Some(owner) = way.life.as_ref().and_then(known) else {
            return unsent("the node that was to hand the call on knows of no such node that is up");
        };
        let Some(peers) = &self.0.peers else {
            return unsent("the node that was to hand the call on asks no other nodes");
        };
        let sent = Arc::default();
        let asked =
            Forward { key: key.clone(), op, conditions, idempotency_key, deadline, freshness, trace, way, sent };
        let forwarded = self.ask(peers, &owner, &owner, asked).await;
        self.0.forwards.direct.add(&forwarded);
        if let Forwarded::Elsewhere(owner, epoch) = &forwarded {
            self.0.locks.learn(&key, owner.as_deref(), *epoch);
        }
        forwarded
    }

    /// Asks the node that should have the object, or has another one hand the question on.
    pub(super) async fn ask_owner(
        &self,
        peers: &Arc<dyn Peers>,
        call: &Routed,
        owner: &Peer,
        resent: Option<Version>,
    ) -> Forwarded {
        let locks = &self.0.locks;
        if let Some(by) = locks.relay_at_once(owner) {
            return self.ask_by(peers, call, owner, &by, resent).await;
        }
        let forwarded = self.ask(peers, owner, owner, call.forward(owner, resent)).await;
        self.0.forwards.direct.add(&forwarded);
        match forwarded {
            Forwarded::Answered(_) | Forwarded::Elsewhere(..) => locks.reached(owner),
            Forwarded::Unsent(_) => {
                if let Some(by) = locks.relay(owner) {
                    return self.ask_by(peers, call, owner, &by, resent).await;
                }
            }
            Forwarded::Lost(_) => {}
        }
        forwarded
    }

    /// Has `by` hand the question on.
    async fn ask_by(
        &self,
        peers: &Arc<dyn Peers>,
        call: &Routed,
        owner: &Peer,
        by: &Peer,
        resent: Option<Version>,
    ) -> Forwarded {
        let mut asked = call.forward(owner, resent);
        asked.way.relay = true;
        let forwarded = self.ask(peers, by, owner, asked).await;
        self.0.forwards.relayed.add(&forwarded);
        match &forwarded {
            Forwarded::Answered(_) | Forwarded::Elsewhere(..) => self.0.locks.relayed(owner, by, true),
            Forwarded::Unsent(_) => self.0.locks.relayed(owner, by, false),
            // Its deadline may have been short, or the owner is gone: that says nothing of who handed it on.
            Forwarded::Lost(_) => {}
        }
        forwarded
    }

    /// Asks one node what is for the same or another one, until the latter's life is over.
    async fn ask(&self, peers: &Arc<dyn Peers>, at: &Peer, owner: &Peer, asked: Forward) -> Forwarded {
        let sent: Arc<AtomicBool> = Arc::clone(&asked.sent);
        tokio::select! {
            // An answer that is there counts.
            biased;
            forwarded = peers.ask(at, asked) => forwarded,
            // Whatever it did, no answer of its will come. Who hands it on sees that too, and knows whether he had sent it.
            () = async {
                self.0.locks.gone(&owner.id).await;
                if at.id != owner.id {
                    tokio::time::sleep(RELAY_TOLD).await;
                }
            } => {
                let gone = Error::new(Kind::WrongNode, "the node that was asked is gone");
                if sent.load(Ordering::Acquire) { Forwarded::Lost(gone) } else { Forwarded::Unsent(gone) }
            }
        }
    }
}
