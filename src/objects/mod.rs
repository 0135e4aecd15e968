//! # objects: what objects are
//!
//! Adds: types and methods, turns (one at a time an object, many calls in each, one durable write), keyed calls,
//! deletion, calls from object to object.
//! Never knows: HTTP, who else is in the cluster, which store or cache is below.
//! Door: [`Host`], with [`Request`] and [`Reply`] as its words, and the traits the attribute implements.

mod args;
mod call;
mod context;
mod edit;
#[cfg(feature = "http")]
mod explain;
mod failure;
#[cfg(fuzzing)]
pub mod fuzzing;
mod host;
mod idempotency;
#[cfg(feature = "http")]
mod inside;
pub(crate) mod json;
mod mailbox;
mod object;
mod record;
mod registry;
mod relay;
mod remote;
mod request;
mod route;
mod snapshot;
#[cfg(feature = "http")]
mod story;
#[doc(hidden)]
pub mod support;
mod turn;
mod view;
mod waits;

pub use crate::locks::Peer;
pub use crate::locks::{CacheCounts, ClusterCounts, PoolCounts, Tier};
pub use args::Args;
#[cfg(feature = "client")]
pub(crate) use args::WireArgs;
pub use call::{Call, CallKind, CallRequest, Edit, FromView, Returned, View, read_reply};
pub use context::{Context, ViewContext};
pub use failure::{CallError, NoError, ProblemDef, RemoteError};
pub use host::{Elsewhere, Host};
#[cfg(feature = "http")]
pub(crate) use json::{check as check_json, is_blank};
pub use object::{Method, Options, Param, RemoteMethods, RemoteObject, RemoteState, Run, State, TypeDef};
pub(crate) use record::FORMAT;
pub use registry::{Registration, Registry};
pub use relay::{ForwardCounts, Forwards};
pub use remote::{Authorities, Remote};
pub use request::{Answered, Conditions, Freshness, Listed, Op, Reply, Request, Success, Tags};
pub use route::{Forward, Forwarded, Peers, Way};
#[cfg(feature = "cli")]
pub(crate) use story::{Agreement, Copied, Memory, Story, tell};
