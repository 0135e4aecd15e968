//! Which node answers: this one, or another that is asked once (rules R11 and R12).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::context::Frame;
use super::edit::Driven;
use super::host::Host;
use super::request::{Answered, Conditions, Freshness, Op};
use crate::clock::{self, Instant};
use crate::config::OWNER_WAIT_MAX;
use crate::error::{Error, Kind, Outcome, Result};
use crate::locks::{Peer, Place};
use crate::model::{ObjectKey, Version};

const PAUSE_FIRST: Duration = Duration::from_millis(2);
/// By how much a pause grows, and up to what.
const GROWS: (u32, Duration) = (2, Duration::from_millis(50));
/// The same where a node is not reached: it is seconds until it is declared dead, all that time each of its callers would ask
/// the store again and again, and then all at once those who take over.
const UNREACHED_GROWS: (u32, Duration) = (4, Duration::from_millis(400));

/// How other nodes of this cluster are asked.
pub trait Peers: std::fmt::Debug + Send + Sync {
    /// Sends the question to a node and waits for its answer until the deadline. That node is the one that should have the
    /// object, or one that is to hand the question on ([`Way::relay`]): what came of it is told in the same words.
    fn ask(&self, peer: &Peer, asked: Forward) -> BoxFuture<'static, Forwarded>;

    /// Asks a node that has an object what there is to know of it: JSON.
    fn explain(&self, peer: &Peer, key: &ObjectKey, deadline: Instant) -> BoxFuture<'static, Result<Bytes>>;
}

/// A question to the node that has the object.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Which object.
    pub key: ObjectKey,
    /// What is asked.
    pub op: Op,
    /// Under which conditions.
    pub conditions: Conditions,
    /// The key under which it may be sent again.
    pub idempotency_key: Option<String>,
    /// When its answer is worth nothing any more.
    pub deadline: Instant,
    /// How old an answer of a read may be.
    pub freshness: Freshness,
    /// The trace it belongs to, a `traceparent`.
    pub trace: Option<Arc<str>>,
    /// What another node has to know beside.
    pub way: Way,
    /// Set when it begins to be sent: before that it has had no effect, whatever happens.
    pub sent: Arc<AtomicBool>,
}

/// How a call came to this node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Way {
    /// The objects whose methods wait for it, from the root call on.
    pub chain: Vec<ObjectKey>,
    /// The life of the process that it is for: the next one must not answer it.
    pub life: Option<Arc<str>>,
    /// A version from before all that the call can be: an owner of an earlier epoch must not run it.
    pub known: Version,
    /// It was sent before, and nobody knows what became of it: a version from before the first time.
    pub resent: Option<Version>,
    /// Whoever gets it is to hand it on to that life, which its sender does not reach, and to nobody else.
    pub relay: bool,
}

/// What came of asking another node.
#[derive(Debug)]
pub enum Forwarded {
    /// Its answer.
    Answered(Answered),
    /// It has not the object. Who has its shard, as far as that one knows, and under which epoch.
    Elsewhere(Option<String>, u32),
    /// It was not reached, or has done nothing: the call has had no effect.
    Unsent(Error),
    /// It was sent and not answered.
    Lost(Error),
}

impl Forwarded {
    /// In a word, as metrics and nodes among themselves have it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::Elsewhere(..) => "elsewhere",
            Self::Unsent(_) => "unsent",
            Self::Lost(_) => "lost",
        }
    }
}

/// A call on its way to its object.
#[derive(Clone)]
pub(super) struct Routed {
    pub(super) op: Op,
    pub(super) conditions: Conditions,
    pub(super) idempotency_key: Option<String>,
    pub(super) freshness: Freshness,
    pub(super) frame: Arc<Frame>,
}

impl Routed {
    /// Whether it may be sent again though nobody knows what became of it. The record tells a keyed call from its first
    /// time; what an async edit has asked of others it does not.
    fn is_repeatable(&self) -> bool {
        let waits = matches!(&self.op, Op::Call(method, _) if method.run.is_async());
        self.op.is_view() || (self.idempotency_key.is_some() && !waits)
    }

    pub(super) fn forward(&self, peer: &Peer, resent: Option<Version>) -> Forward {
        Forward {
            key: self.frame.key.clone(),
            op: self.op.clone(),
            conditions: self.conditions.clone(),
            idempotency_key: self.idempotency_key.clone(),
            deadline: self.frame.deadline,
            freshness: self.freshness,
            trace: self.frame.trace.clone(),
            way: Way {
                chain: self.frame.waiting(),
                life: Some(Arc::clone(&peer.id)),
                known: peer.known,
                resent,
                relay: false,
            },
            sent: Arc::default(),
        }
    }
}

/// What an attempt came to.
enum Attempt {
    Over(Answered),
    /// It had no effect, and may be tried again. An owner had it for so long.
    Again(Error, Duration),
    /// The same, since the node that should have the object was not reached.
    Unreached(Error),
    /// Nobody knows, and it may be sent again all the same: at once where it ran here, else when that life is over. From a life
    /// that goes on, the first sending might come after the second.
    Unknown(Error, Option<Arc<str>>),
}

impl Host {
    /// Answers here.
    pub(super) async fn here(&self, call: Routed, driven: Driven) -> Answered {
        if call.op.is_view() {
            self.view(call.op, call.frame, call.freshness).await
        } else {
            self.edit(call.op, call.frame, call.conditions, call.idempotency_key.as_deref(), driven).await
        }
    }

    /// Answers here, or asks the node that has the object. While the object has no owner the call waits, within its deadline.
    pub(super) async fn routed(&self, call: Routed, driven: Driven) -> Answered {
        if !self.0.locks.is_shared() {
            return self.here(call, driven).await.map_err(no_owner);
        }
        let mut give_up = call.frame.deadline.min(clock::now() + OWNER_WAIT_MAX);
        let known = self.0.locks.known_of(&call.frame.key);
        let mut resent = None;
        let (mut pause, mut grows) = (PAUSE_FIRST, GROWS);
        loop {
            let why = match self.attempt(&call, driven, resent).await {
                Attempt::Over(Err(error)) if resent.is_some() && !call.op.is_view() && !knows_the_first(&error) => {
                    return Err(why_unknown(&error));
                }
                Attempt::Over(answer) => return answer.map_err(no_owner),
                Attempt::Again(error, had) => {
                    grows = GROWS;
                    // What an owner had it for was no waiting for one.
                    give_up = call.frame.deadline.min(give_up + had);
                    error
                }
                Attempt::Unreached(error) => {
                    grows = UNREACHED_GROWS;
                    error
                }
                Attempt::Unknown(error, asked) => {
                    resent = resent.or(Some(known));
                    let end = call.frame.deadline.min(clock::now() + OWNER_WAIT_MAX);
                    give_up = give_up.max(end);
                    if let Some(asked) = asked
                        && tokio::time::timeout_at(end, self.0.locks.gone(&asked)).await.is_err()
                    {
                        return Err(why_unknown(&error));
                    }
                    error
                }
            };
            if clock::now() + pause >= give_up {
                return Err(match resent {
                    Some(_) if !call.op.is_view() => why_unknown(&why),
                    _ => no_owner(why),
                });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * grows.0).min(grows.1);
        }
    }

    async fn attempt(&self, call: &Routed, driven: Driven, resent: Option<Version>) -> Attempt {
        let locks = &self.0.locks;
        let deadline = call.frame.deadline;
        let too_late = || Error::new(Kind::DeadlineExceeded, "the deadline passed before the object had an owner");
        let place = tokio::time::timeout_at(deadline, locks.locate(&call.frame.key)).await;
        let began = clock::now();
        match place.unwrap_or_else(|_| Err(too_late())) {
            Ok(Place::Here) => {
                let again = Routed { frame: call.frame.again(resent), ..call.clone() };
                let answer = self.here(again, driven).await;
                self.judge(call, answer, resent, began.elapsed())
            }
            Ok(Place::There(peer)) => {
                let Some(peers) = &self.0.peers else {
                    let what = "this program has no client to ask other nodes with";
                    return Attempt::Over(Err(Error::new(Kind::StoreUnavailable, what)));
                };
                match self.ask_owner(peers, call, &peer, resent).await {
                    Forwarded::Answered(answer) => {
                        locks.answered_by(&call.frame.key, &peer);
                        self.judge(call, answer, resent, began.elapsed())
                    }
                    Forwarded::Elsewhere(owner, epoch) => {
                        locks.learn(&call.frame.key, owner.as_deref(), epoch);
                        Attempt::Again(
                            Error::new(Kind::WrongNode, "this object is moving to another node"),
                            began.elapsed(),
                        )
                    }
                    Forwarded::Unsent(error) => {
                        let _ = tokio::time::timeout_at(deadline, locks.look_again(&call.frame.key, &peer)).await;
                        Attempt::Unreached(error)
                    }
                    Forwarded::Lost(error) if call.is_repeatable() => {
                        let _ = tokio::time::timeout_at(deadline, locks.look_again(&call.frame.key, &peer)).await;
                        if call.op.is_view() {
                            Attempt::Again(error, Duration::ZERO)
                        } else {
                            Attempt::Unknown(error, Some(peer.id))
                        }
                    }
                    Forwarded::Lost(error) => Attempt::Over(Err(why_unknown(&error))),
                }
            }
            Err(error) if error.kind() == Kind::WrongNode => Attempt::Again(error, Duration::ZERO),
            Err(error) => Attempt::Over(Err(error)),
        }
    }

    fn judge(&self, call: &Routed, answer: Answered, resent: Option<Version>, had: Duration) -> Attempt {
        match answer {
            // One that has told other objects of it may have had effects there: it is not run again.
            Err(error) if error.kind() == Kind::WrongNode && error.outcome() == Outcome::NotExecuted => {
                Attempt::Again(error, had)
            }
            Err(error) if error.kind() == Kind::WrongNode => Attempt::Over(Err(why_unknown(&error))),
            Err(error) if error.kind() == Kind::OutcomeUnknown && call.is_repeatable() && resent.is_none() => {
                Attempt::Unknown(error, None)
            }
            // The first time runs still: its answer is this one's.
            Err(error) if error.kind() == Kind::IdempotencyKeyInUse && resent.is_some() => {
                Attempt::Again(error, Duration::ZERO)
            }
            answer => Attempt::Over(answer),
        }
    }
}

/// Whether an error is decided after the object's memory was asked for the call's first time.
fn knows_the_first(error: &Error) -> bool {
    matches!(
        error.kind(),
        Kind::Method
            | Kind::MethodPanicked
            | Kind::PreconditionFailed
            | Kind::PreconditionRequired
            | Kind::ObjectNotFound
            | Kind::InvalidArguments
            | Kind::AuthorityNotAllowed
            | Kind::IdempotencyKeyReused
            | Kind::ReplyNotKept
            | Kind::StateTooLarge
            | Kind::OutcomeUnknown
    )
}

/// Between nodes one is told which other one it is; anybody else that there is none now.
pub(super) fn no_owner(error: Error) -> Error {
    if error.kind() != Kind::WrongNode {
        return error;
    }
    let detail = format!("{error:?}");
    let outcome = error.outcome();
    Error::new(Kind::StoreUnavailable, "no node has this object at present").with_detail(detail).with_outcome(outcome)
}

fn why_unknown(error: &Error) -> Error {
    let what = "the call was sent to the node that has the object, and not answered: it may have taken effect";
    Error::new(Kind::OutcomeUnknown, what).with_detail(format!("{error:?}")).with_outcome(Outcome::Unknown)
}
