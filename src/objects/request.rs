//! What the room is asked and what it answers: the words of its door.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::args::Args;
use super::object::Method;
use super::route::Way;
use crate::clock::Instant;
use crate::error::Error;
use crate::locks::Tier;
use crate::model::{ObjectKey, Version};

/// One request on one object.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which object. Its type is one of the registry's.
    pub key: ObjectKey,
    /// What is asked.
    pub op: Op,
    /// Under which conditions.
    pub conditions: Conditions,
    /// The key under which it may be sent again: 1..=255 visible ASCII characters.
    pub idempotency_key: Option<String>,
    /// When its answer is worth nothing any more.
    pub deadline: Instant,
    /// How old an answer of a read may be.
    pub freshness: Freshness,
    /// The trace it belongs to, a `traceparent`.
    pub trace: Option<Arc<str>>,
    /// How it came here, when another node sends it: then it is answered here or not at all.
    pub way: Option<Box<Way>>,
}

/// What may be asked of an object.
#[derive(Clone, Debug)]
pub enum Op {
    /// The state.
    Get,
    /// A method.
    Call(&'static Method, Args),
    /// PUT: this state instead. JSON, already checked.
    Replace(Bytes),
    /// PATCH: a merge patch (RFC 7396). JSON, already checked.
    Patch(Bytes),
    /// DELETE.
    Delete,
    /// POST on the type: this state, or `Default`, where nothing is.
    Create(Option<Bytes>),
}

impl Op {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_view(&self) -> bool {
        match self {
            Op::Get => true,
            Op::Call(method, _) => method.is_view(),
            _ => false,
        }
    }
}

/// `If-Match` and `If-None-Match`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conditions {
    /// The object must be at one of these.
    pub if_match: Option<Tags>,
    /// The object must be at none of these.
    pub if_none_match: Option<Tags>,
}

/// A list of entity tags.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tags {
    /// `*`: any state at all.
    Any,
    /// These. A tag that is none of ours matches nothing and is left out.
    These(Vec<Version>),
}

impl Tags {
    /// Whether an object with this tag (`None`: it is not there) is among them.
    #[must_use]
    pub fn contain(&self, tag: Option<Version>) -> bool {
        match (self, tag) {
            (_, None) => false,
            (Tags::Any, Some(_)) => true,
            (Tags::These(tags), Some(tag)) => tags.contains(&tag),
        }
    }
}

/// How old an answer may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Freshness {
    /// A copy validated at most so long ago will do; `None`: linearizable.
    pub max_age: Option<Duration>,
    /// Only what a cache holds.
    pub only_if_cached: bool,
}

/// What an object answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// Which kind of success.
    pub success: Success,
    /// JSON; empty with [`Success::NoContent`].
    pub body: Bytes,
    /// The entity tag, where the answer has one.
    pub tag: Option<Version>,
    /// The version of the object that was read, where it is there. Conditions are held against it.
    pub at: Option<Version>,
    /// It is the stored reply of an earlier call with the same key.
    pub replayed: bool,
    /// Where the state came from.
    pub tier: Tier,
}

/// The kinds of success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Success {
    /// With a body.
    Ok,
    /// With a body, and the object is new.
    Created,
    /// Without a body.
    NoContent,
    /// The reader has it already.
    NotModified,
}

/// One page of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// The objects.
    pub keys: Vec<ObjectKey>,
    /// The store's mark to go on from; `None` at the end.
    pub next: Option<String>,
}

/// The answer of a call, or why there is none.
pub type Answered = std::result::Result<Reply, Error>;
