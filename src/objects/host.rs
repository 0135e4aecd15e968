//! The door: what may be asked of the objects of one service, and where each question goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;

use super::args::Args;
use super::call::{Call, CallKind, CallRequest, Returned, read_reply};
use super::context::Frame;
use super::edit::Driven;
use super::failure::{CallError, RemoteError};
use super::mailbox::Mailboxes;
use super::object::TypeDef;
use super::registry::Registry;
use super::relay::Forwards;
use super::remote::Authorities;
use super::request::{Answered, Freshness, Listed, Op, Request};
use super::route::{Peers, Routed, no_owner};
use super::turn::Sizes;
use super::waits::Waits;
use crate::clock::{self, Instant};
use crate::config::{Config, IDEMPOTENCY_KEY_BYTES_MAX, REQUEST_TIMEOUT_MAX};
use crate::error::{Error, Kind, Result};
use crate::locks::{CacheCounts, ClusterCounts, Locks};
use crate::model::{Item, ObjectKey, ObjectUri, Scan, Version};

/// The objects of one service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Host(pub(super) Arc<Core>);

#[derive(Debug)]
pub(super) struct Core {
    pub(super) registry: Registry,
    pub(super) authorities: Arc<Authorities>,
    pub(super) config: Arc<Config>,
    pub(super) locks: Arc<Locks>,
    pub(super) mailboxes: Arc<Mailboxes>,
    pub(super) waits: Waits,
    pub(super) elsewhere: Option<Arc<dyn Elsewhere>>,
    pub(super) peers: Option<Arc<dyn Peers>>,
    pub(super) forwards: Forwards,
    pub(super) draining: AtomicBool,
    retiring: AtomicBool,
    /// The objects are another process's to have: nothing is begun any more.
    left: AtomicBool,
    pub(super) sizes: Sizes,
}

/// How objects of other clusters are called.
pub trait Elsewhere: std::fmt::Debug + Send + Sync {
    /// Sends the call to the cluster its URI names and waits for the answer until the deadline.
    fn call(
        &self,
        call: CallRequest,
        deadline: Instant,
        trace: Option<Arc<str>>,
    ) -> BoxFuture<'static, Result<Returned>>;
}

impl Host {
    /// Of these types, under these locks.
    #[must_use]
    pub(crate) fn new(
        registry: Registry,
        locks: Arc<Locks>,
        config: Arc<Config>,
        elsewhere: Option<Arc<dyn Elsewhere>>,
        peers: Option<Arc<dyn Peers>>,
    ) -> Self {
        let authorities = Authorities::new(config.public_url.as_deref(), &config.allowed_authorities);
        Self(Arc::new(Core {
            registry,
            authorities: Arc::new(authorities),
            mailboxes: Mailboxes::new(config.limits.object_queue),
            sizes: Sizes { state: config.limits.state_bytes, record: locks.record_bytes_max() },
            config,
            locks,
            waits: Waits::default(),
            elsewhere,
            peers,
            forwards: Forwards::default(),
            draining: AtomicBool::new(false),
            retiring: AtomicBool::new(false),
            left: AtomicBool::new(false),
        }))
    }

    #[doc(hidden)]
    /// The types.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    #[doc(hidden)]
    /// Which clusters URIs in arguments may name.
    #[must_use]
    pub fn authorities(&self) -> &Arc<Authorities> {
        &self.0.authorities
    }

    #[doc(hidden)]
    /// Answers a request. Dropping the future changes nothing of what has begun.
    ///
    /// # Errors
    /// See the table of problems in `docs/http.md`.
    pub async fn answer(&self, request: Request) -> Answered {
        self.ready()?;
        self.answer_begun(request).await
    }

    /// As [`Host::answer`], of a request that began while new calls were taken: a drain lets it have its answer.
    ///
    /// # Errors
    /// As [`Host::answer`].
    pub async fn answer_begun(&self, request: Request) -> Answered {
        self.0.locks.ready()?;
        if self.0.left.load(Ordering::Relaxed) {
            return Err(if request.way.is_some() { gone() } else { draining() });
        }
        if request.way.is_some() || self.is_shared() {
            // Boxed: where one process owns the store nobody pays for the size of it.
            return Box::pin(self.answer_shared(request)).await;
        }
        let frame = Frame::root(request.key, request.deadline, request.trace);
        let answer = if request.op.is_view() {
            self.view(request.op, frame, request.freshness).await
        } else {
            self.edit(request.op, frame, request.conditions, request.idempotency_key.as_deref(), Driven::UntilItEnds)
                .await
        };
        answer.map_err(no_owner)
    }

    async fn answer_shared(&self, request: Request) -> Answered {
        let Request { key, op, conditions, idempotency_key, deadline, freshness, trace, way } = request;
        let call = |frame| Routed { op, conditions, idempotency_key, freshness, frame };
        match way {
            Some(way) if !self.0.locks.is_meant(&key, way.life.as_deref(), way.known) => Err(gone()),
            Some(way) => self.here(call(Frame::arrived(key, deadline, trace, &way)), Driven::UntilItEnds).await,
            None => self.routed(call(Frame::root(key, deadline, trace)), Driven::UntilItEnds).await,
        }
    }

    #[doc(hidden)]
    /// One page of the objects of a type (a name of the registry's).
    ///
    /// # Errors
    /// `bad-request` for a mark that is none of the store's; `store-unavailable`.
    pub async fn list(&self, type_name: &str, after: Option<&str>, limit: usize) -> Result<Listed> {
        self.ready()?;
        let page = self.0.locks.scan(&Scan::Objects(type_name.to_owned()), after, limit).await.map_err(no_owner)?;
        let keys = page.items.into_iter().filter_map(|item| match item {
            Item::Object(key) => Some(key),
            _ => None,
        });
        Ok(Listed { keys: keys.collect(), next: page.next })
    }

    /// Runs a typed call.
    ///
    /// # Errors
    /// The method's own error as its enum, or what went wrong on the way.
    pub async fn call<T: DeserializeOwned, E: RemoteError, K: CallKind>(
        &self,
        call: Call<T, E, K>,
    ) -> Result<T, CallError<E>> {
        self.call_tagged(call).await.map(|(reply, _)| reply)
    }

    /// As [`Host::call`], with the version of the state that the reply is of (the `ETag` of the answer), for
    /// [`Call::if_match`]. Without one: a view of an object that is not there, or one that asked other objects.
    ///
    /// # Errors
    /// As [`Host::call`].
    pub async fn call_tagged<T: DeserializeOwned, E: RemoteError, K: CallKind>(
        &self,
        call: Call<T, E, K>,
    ) -> Result<(T, Option<Version>), CallError<E>> {
        read_reply(self.root(call.into_request()).await)
    }

    #[doc(hidden)]
    /// What nodes of this cluster show each other when they are given nothing else to show.
    #[must_use]
    pub fn secret(&self) -> &str {
        self.0.locks.secret()
    }

    #[doc(hidden)]
    /// Who has an object's shard, as far as is known here, and under which epoch.
    #[must_use]
    pub fn owner(&self, key: &ObjectKey) -> (Option<Arc<str>>, u32) {
        self.0.locks.owner_of(key)
    }

    #[doc(hidden)]
    /// Where the node that has an object is reached, where other nodes may have it.
    #[must_use]
    pub fn owner_addr(&self, key: &ObjectKey) -> Option<Arc<str>> {
        self.0.locks.owner_addr(key)
    }

    #[doc(hidden)]
    /// Says that this node leaves, and lets the others have its objects; calls are answered all the while.
    pub async fn retire(&self) {
        self.0.retiring.store(true, Ordering::Relaxed);
        self.0.locks.drain().await;
    }

    #[doc(hidden)]
    /// Whether the store is one that other processes may use too.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.0.locks.is_shared()
    }

    #[doc(hidden)]
    /// Whether other nodes can have objects of this store now.
    #[must_use]
    pub fn has_others(&self) -> bool {
        self.0.locks.has_others()
    }

    #[doc(hidden)]
    /// Whether it is leaving, and nobody should begin to use it.
    #[must_use]
    pub fn is_retiring(&self) -> bool {
        self.0.retiring.load(Ordering::Relaxed)
    }

    /// Whether new calls are taken, and if not why (`draining`, `store-unavailable`).
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<()> {
        // A node whose store failed drains too; the store is why.
        self.0.locks.ready()?;
        if self.0.draining.load(Ordering::Relaxed) { Err(draining()) } else { Ok(()) }
    }

    #[doc(hidden)]
    /// Takes no new calls from outside any more; those under way go on.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Resolves once no object is at work.
    pub async fn idle(&self) {
        while !self.is_idle() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Whether every object is at rest: no mailbox, no task, nobody waits for anybody.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.0.mailboxes.len() == 0 && self.0.waits.len() == 0
    }

    #[doc(hidden)]
    /// Lets another process have the objects of this one at once.
    pub async fn leave(&self) {
        self.0.left.store(true, Ordering::Relaxed);
        self.0.locks.leave().await;
    }

    /// Resolves when the store has failed for good, with the reason.
    pub async fn failed(&self) -> Error {
        self.0.locks.failed().await
    }

    /// Whether the store has failed for good.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.0.locks.ready().is_err()
    }

    #[doc(hidden)]
    /// What the caches have counted.
    #[must_use]
    pub fn cache_counts(&self) -> CacheCounts {
        self.0.locks.cache_counts()
    }

    #[doc(hidden)]
    /// The cluster in numbers, and what came of the questions to other nodes; none where one process owns the store.
    #[must_use]
    pub fn cluster_counts(&self) -> Option<(ClusterCounts, &Forwards)> {
        Some((self.0.locks.cluster_counts()?, &self.0.forwards))
    }

    #[doc(hidden)]
    /// Forgets all published states, as a restart would.
    pub fn forget(&self) {
        self.0.locks.forget();
    }

    async fn root(&self, call: CallRequest) -> Result<Returned> {
        self.ready()?;
        let default = Duration::from_millis(self.0.config.limits.request_timeout_ms);
        let deadline = clock::now() + call.timeout.unwrap_or(default).min(REQUEST_TIMEOUT_MAX);
        if !self.is_ours(&call.uri)? {
            return self.elsewhere(call, deadline, None).await;
        }
        let frame = Frame::root(call.uri.key().clone(), deadline, None);
        self.run(call, frame).await
    }

    /// A call that the method of `caller` makes.
    pub(crate) async fn nested(&self, call: CallRequest, caller: &Arc<Frame>) -> Result<Returned> {
        let ours = self.is_ours(&call.uri)?;
        let frame = Frame::below(caller, call.uri.key().clone(), !call.view, call.timeout, ours)?;
        if !ours {
            let (deadline, trace) = (frame.deadline, frame.trace.clone());
            return self.elsewhere(call, deadline, trace).await;
        }
        if call.view {
            return self.run(call, frame).await;
        }
        let _wait = self.0.waits.begin(&caller.key, &frame.key)?;
        self.run(call, frame).await
    }

    fn is_ours(&self, uri: &ObjectUri) -> Result<bool> {
        let Some(origin) = uri.origin() else { return Ok(true) };
        self.0.authorities.is_ours(origin)
    }

    async fn elsewhere(&self, call: CallRequest, deadline: Instant, trace: Option<Arc<str>>) -> Result<Returned> {
        match &self.0.elsewhere {
            Some(elsewhere) => elsewhere.call(call, deadline, trace).await,
            None => {
                Err(Error::new(Kind::AuthorityNotAllowed, "this service has no client to call other clusters with"))
            }
        }
    }

    async fn run(&self, call: CallRequest, frame: Arc<Frame>) -> Result<Returned> {
        let def = self.def(&frame.key)?;
        let method = def.method(call.method).ok_or_else(|| no_method(def, call.method))?;
        let depth = self.0.config.limits.json_depth;
        let args = Args::from_body(call.args?, method.params, depth, &self.0.authorities)?;
        let key = call.idempotency_key.as_deref();
        let legal = |key: &str| key.len() <= IDEMPOTENCY_KEY_BYTES_MAX && key.bytes().all(|b| b.is_ascii_graphic());
        if key.is_some_and(|key| key.is_empty() || !legal(key)) {
            return Err(Error::bad_request("an idempotency key is 1 to 255 visible ASCII characters"));
        }
        let op = Op::Call(method, args);
        let (conditions, idempotency_key) = (call.conditions, call.idempotency_key);
        let call = Routed { op, conditions, idempotency_key, freshness: Freshness::default(), frame };
        let answer = self.routed(call, Driven::Perhaps).await;
        answer.map(|reply| Returned { body: reply.body, tag: reply.tag })
    }

    pub(super) fn def(&self, key: &ObjectKey) -> Result<&TypeDef> {
        let name = key.type_name();
        let unknown = || Error::new(Kind::TypeNotFound, format!("there is no type {name}"));
        self.0.registry.get(name).ok_or_else(unknown)
    }
}

/// The answer to another node that asks for what was here.
pub(super) fn gone() -> Error {
    Error::new(Kind::WrongNode, "this object has another owner since")
}

/// The answer while this node shuts down.
fn draining() -> Error {
    Error::new(Kind::Draining, "this node is shutting down")
}

/// The answer to a name that is no method of the type.
fn no_method(def: &TypeDef, name: &str) -> Error {
    Error::new(Kind::MethodNotFound, format!("{} has no method {name}", def.name))
}

#[cfg(test)]
mod tests;
