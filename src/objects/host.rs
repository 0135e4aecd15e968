//! The story of a call: who runs it, on what, and when its answer may leave.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::args::Args;
use super::call::{Call, CallKind, CallRequest, read_reply};
use super::context::{Frame, ViewContext};
use super::failure::{CallError, RemoteError};
use super::idempotency::Keyed;
use super::mailbox::{Entered, Mailboxes, Owner, Reader, Shown};
use super::object::{Run, TypeDef};
use super::registry::Registry;
use super::remote::Authorities;
use super::request::{Answered, Conditions, Freshness, Listed, Op, Reply, Request, Success, Tier};
use super::snapshot::Snapshot;
use super::turn::{EditCall, Progress, Turn, Turned, absent, caught, panicked, too_late, undone};
use super::waits::Waits;
use crate::clock::{self, Instant};
use crate::config::{Config, IDEMPOTENCY_KEY_BYTES_MAX, REQUEST_TIMEOUT_MAX, TURN_CALLS_MAX};
use crate::error::{Error, Kind, Outcome, Result};
use crate::locks::{Commit, Hold, Locks};
use crate::model::{Item, ObjectKey, ObjectUri, Scan, Seen};

/// The objects of one service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Host(Arc<Core>);

#[derive(Debug)]
struct Core {
    registry: Registry,
    authorities: Arc<Authorities>,
    config: Arc<Config>,
    locks: Arc<Locks>,
    mailboxes: Arc<Mailboxes>,
    waits: Waits,
    elsewhere: Option<Arc<dyn Elsewhere>>,
    draining: AtomicBool,
}

/// How objects of other clusters are called.
pub trait Elsewhere: std::fmt::Debug + Send + Sync {
    /// Sends the call to the cluster its URI names and waits for the answer until the deadline.
    fn call(&self, call: CallRequest, deadline: Instant, trace: Option<Arc<str>>) -> BoxFuture<'static, Result<Bytes>>;
}

/// How a turn ended.
enum Settled {
    /// Published; what follows builds upon it.
    Published(Arc<Snapshot>),
    /// Another owner's record stood there: the calls are to run again on it.
    Moved(Vec<EditCall>),
    /// The Hold, or the store, is gone; the calls were answered.
    Over(Error),
}

impl Host {
    /// Of these types, under these locks.
    #[must_use]
    pub(crate) fn new(
        registry: Registry,
        locks: Arc<Locks>,
        config: Arc<Config>,
        elsewhere: Option<Arc<dyn Elsewhere>>,
    ) -> Self {
        let authorities = Authorities::new(config.public_url.as_deref(), &config.allowed_authorities);
        Self(Arc::new(Core {
            registry,
            authorities: Arc::new(authorities),
            mailboxes: Mailboxes::new(config.limits.object_queue),
            config,
            locks,
            waits: Waits::default(),
            elsewhere,
            draining: AtomicBool::new(false),
        }))
    }

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

    /// Which clusters URIs in arguments may name.
    #[must_use]
    pub fn authorities(&self) -> &Arc<Authorities> {
        &self.0.authorities
    }

    /// Answers a request. Dropping the future changes nothing of what has begun.
    ///
    /// # Errors
    /// See the table of problems in `docs/http.md`.
    pub async fn answer(&self, request: Request) -> Answered {
        self.ready()?;
        let view = match &request.op {
            Op::Get => true,
            Op::Call(method, _) => method.is_view(),
            _ => false,
        };
        let frame = Frame::root(request.key.clone(), request.deadline, request.trace);
        if view {
            self.view(request.op, frame, request.freshness).await
        } else {
            self.edit(request.op, frame, request.conditions, request.idempotency_key.as_deref()).await
        }
    }

    /// One page of the objects of a type (a name of the registry's).
    ///
    /// # Errors
    /// `bad-request` for a mark that is none of the store's; `store-unavailable`.
    pub async fn list(&self, type_name: &str, after: Option<&str>, limit: usize) -> Result<Listed> {
        self.ready()?;
        let page = self.0.locks.scan(&Scan::Objects(type_name.to_owned()), after, limit).await?;
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
        read_reply(self.root(call.into_request()).await)
    }

    /// Whether new calls are taken, and if not why (`draining`, `store-unavailable`).
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<()> {
        if self.0.draining.load(Ordering::Relaxed) {
            return Err(Error::new(Kind::Draining, "this node is shutting down"));
        }
        self.0.locks.ready()
    }

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

    /// Lets another process have the objects of this one at once.
    pub async fn leave(&self) {
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

    /// Forgets all published states, as a restart would.
    pub fn forget(&self) {
        self.0.locks.forget();
    }

    async fn root(&self, call: CallRequest) -> Result<Bytes> {
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
    pub(crate) async fn nested(&self, call: CallRequest, caller: &Arc<Frame>) -> Result<Bytes> {
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

    async fn elsewhere(&self, call: CallRequest, deadline: Instant, trace: Option<Arc<str>>) -> Result<Bytes> {
        match &self.0.elsewhere {
            Some(elsewhere) => elsewhere.call(call, deadline, trace).await,
            None => {
                Err(Error::new(Kind::AuthorityNotAllowed, "this service has no client to call other clusters with"))
            }
        }
    }

    async fn run(&self, call: CallRequest, frame: Arc<Frame>) -> Result<Bytes> {
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
        let answer = if method.is_view() {
            self.view(op, frame, Freshness::default()).await
        } else {
            self.edit(op, frame, Conditions::default(), key).await
        };
        answer.map(|reply| reply.body)
    }

    fn def(&self, key: &ObjectKey) -> Result<&TypeDef> {
        let name = key.type_name();
        let unknown = || Error::new(Kind::TypeNotFound, format!("there is no type {name}"));
        self.0.registry.get(name).ok_or_else(unknown)
    }

    // ---- views

    async fn view(&self, op: Op, frame: Arc<Frame>, freshness: Freshness) -> Answered {
        let deadline = frame.deadline;
        match timeout_at(deadline, self.view_story(op, frame, freshness)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::new(Kind::DeadlineExceeded, "the deadline passed before the view was answered")),
        }
    }

    async fn view_story(&self, op: Op, frame: Arc<Frame>, freshness: Freshness) -> Answered {
        let core = &self.0;
        let def = self.def(&frame.key)?;
        let mut tier = Tier::L1;
        let hold = match core.locks.held(&frame.key) {
            Some(hold) => hold,
            None => core.locks.take(&frame.key).await?,
        };
        let Shown { hold, snapshot } = match self.published(&hold, &frame.key) {
            Some(snapshot) => Shown { hold, snapshot },
            None if freshness.only_if_cached => {
                return Err(Error::new(Kind::NotCached, "no copy of the object is at hand"));
            }
            None => {
                tier = Tier::Store;
                self.load_beside(&frame.key, &mut tier).await?
            }
        };
        let answer = self.look(def, op, &frame, &snapshot).await;
        let fresh_enough = freshness.max_age.is_some_and(|age| core.locks.was_confirmed_within(age));
        if !fresh_enough {
            core.locks.confirm(&hold).await.map_err(|error| error.with_outcome(Outcome::NotExecuted))?;
        }
        answer.map(|reply| Reply { tier, ..reply })
    }

    fn published(&self, hold: &Hold, key: &ObjectKey) -> Option<Arc<Snapshot>> {
        let found = self.0.locks.published(hold, key)?;
        (found as Arc<dyn std::any::Any + Send + Sync>).downcast().ok()
    }

    /// The published state of an object that L1 does not have; loads it if nobody is at it.
    async fn load_beside(&self, key: &ObjectKey, tier: &mut Tier) -> Result<Shown> {
        let answer = match self.0.mailboxes.read(key) {
            Reader::Published(shown) => {
                *tier = Tier::L1;
                return Ok(shown);
            }
            Reader::Refused(error) => return Err(error),
            Reader::Waits(answer) => answer,
            Reader::Owner(owner, answer) => {
                tokio::spawn(self.clone().drive(owner, Vec::new(), false));
                answer
            }
        };
        answer.await.unwrap_or_else(|_| Err(Error::internal("the load of an object was given up")))
    }

    async fn look(&self, def: &TypeDef, op: Op, frame: &Arc<Frame>, snapshot: &Snapshot) -> Answered {
        let reply = |body: Bytes, tag, unit: bool| {
            let success = if unit { Success::NoContent } else { Success::Ok };
            Reply { success, body, tag, replayed: false, tier: Tier::L1 }
        };
        let (method, args) = match op {
            Op::Call(method, args) => (method, args),
            _ => {
                let life = snapshot.life.as_ref().ok_or_else(|| absent(frame))?;
                return Ok(reply(life.json.clone(), Some(life.ver), false));
            }
        };
        let body = match (&method.run, &snapshot.life) {
            (Run::View(run), Some(life)) => {
                let context = ViewContext::new(self.clone(), Arc::clone(frame));
                caught(|| run(&*life.state, &context, &args))
            }
            (Run::View(run), None) => {
                let context = ViewContext::new(self.clone(), Arc::clone(frame));
                caught(|| run(&*(def.default)(), &context, &args))
            }
            (Run::AsyncView(run), life) => {
                let state = life.as_ref().map_or_else(|| (def.default)().into(), |life| Arc::clone(&life.state));
                let context = ViewContext::new(self.clone(), Arc::clone(frame));
                match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(state, context, args))) {
                    Ok(future) => match std::panic::AssertUnwindSafe(future).catch_unwind().await {
                        Ok(answer) => answer,
                        Err(panic) => Err(panicked(&panic)),
                    },
                    Err(panic) => Err(panicked(&panic)),
                }
            }
            _ => Err(Error::internal("an edit among the views")),
        }?;
        // A view with a context may have seen other objects: its answer is of no one version.
        let tag = snapshot.tag().filter(|_| !method.context);
        Ok(reply(body, tag, method.reply.is_none()))
    }

    // ---- edits

    async fn edit(&self, op: Op, frame: Arc<Frame>, conditions: Conditions, key: Option<&str>) -> Answered {
        let keyed = key.map(|key| Keyed::new(key, &op));
        let progress = Arc::new(Progress::default());
        let call = EditCall { op, conditions, keyed, frame: Arc::clone(&frame), progress, reply: None };
        let progress = Arc::clone(&call.progress);
        let keyed = call.keyed.clone();
        let mut answer = None;
        let entered = self.0.mailboxes.enter(&frame.key, call, keyed.as_ref(), |call| waiting(call, &mut answer));
        match (entered, answer) {
            (Entered::Refused(error), _) => Err(error),
            (Entered::Waits, Some(answer)) => await_answer(&frame, &progress, answer).await,
            (Entered::Waits, None) => Err(Error::internal("a call waits without a way to be answered")),
            (Entered::Owner(owner, call), _) => self.begin(owner, call).await,
        }
    }

    /// Runs a turn of one plain edit on a warm object here and now; anything else gets a task.
    async fn begin(&self, owner: Owner, call: EditCall) -> Answered {
        let (frame, progress) = (Arc::clone(&call.frame), Arc::clone(&call.progress));
        if !call.is_async()
            && let Some(hold) = self.0.locks.held(owner.key())
            && let Some(base) = self.published(&hold, owner.key())
        {
            owner.publish(&hold, &base);
            let turn = self.clone().turn_of_one(owner, hold, base, call);
            return match timeout_at(frame.deadline, Detached(Some(Box::pin(turn)))).await {
                Ok(answer) => answer,
                Err(_) => Err(given_up(&frame, &progress)),
            };
        }
        let mut answer = None;
        let call = waiting(call, &mut answer);
        tokio::spawn(self.clone().drive(owner, vec![call], false));
        match answer {
            Some(answer) => await_answer(&frame, &progress, answer).await,
            None => Err(Error::internal("a call waits without a way to be answered")),
        }
    }

    /// The shortest story: one plain edit of a warm object that nobody else is at.
    async fn turn_of_one(self, owner: Owner, hold: Arc<Hold>, base: Arc<Snapshot>, call: EditCall) -> Answered {
        let key = owner.key().clone();
        let mut turn = Turn::new(self.def(&key)?, &hold, &base, self.0.config.limits.state_bytes);
        let answer = turn.run(&self, &call);
        let turned = turn.end();
        let mut answers = vec![answer];
        let settled = self.settle(&owner, &hold, &base, turned, vec![call], &mut answers).await;
        match settled {
            Settled::Published(snapshot) => {
                if let Some(owner) = owner.release(&hold, &snapshot) {
                    tokio::spawn(self.drive(owner, Vec::new(), false));
                }
            }
            Settled::Over(error) => owner.fail(&error.clone().with_outcome(Outcome::NotExecuted)),
            Settled::Moved(calls) => {
                let asked = calls.first().map(|call| (Arc::clone(&call.frame), Arc::clone(&call.progress)));
                let mut answer = None;
                let calls = calls.into_iter().map(|call| waiting(call, &mut answer)).collect();
                tokio::spawn(self.drive(owner, calls, true));
                if let (Some((frame, progress)), Some(answer)) = (asked, answer) {
                    return await_answer(&frame, &progress, answer).await;
                }
            }
        }
        answers.pop().unwrap_or_else(|| Err(Error::internal("a turn without an answer")))
    }

    /// Owns an object until nothing waits for it: loads it, and runs turn after turn. `moved`: what L1 has of it is not
    /// what is in the store.
    async fn drive(self, mut owner: Owner, first: Vec<EditCall>, mut moved: bool) {
        owner.put_back(first);
        'activation: loop {
            let (hold, mut base) = match self.activate(&owner, moved).await {
                Ok(active) => active,
                Err(error) => return owner.fail(&error.with_outcome(Outcome::NotExecuted)),
            };
            moved = false;
            owner.publish(&hold, &base);
            loop {
                let Some((next, calls)) = owner.next(TURN_CALLS_MAX) else { return };
                owner = next;
                if calls.is_empty() {
                    owner.publish(&hold, &base);
                    continue;
                }
                match self.turn(&owner, &hold, &base, calls).await {
                    Settled::Published(snapshot) => base = snapshot,
                    Settled::Moved(calls) => {
                        owner.put_back(calls);
                        moved = true;
                        continue 'activation;
                    }
                    Settled::Over(error) => return owner.fail(&error.with_outcome(Outcome::NotExecuted)),
                }
                owner.publish(&hold, &base);
                if !hold.is_good() {
                    continue 'activation;
                }
            }
        }
    }

    /// The Hold and the published state of an object: from L1, unless it `moved`, else from the store.
    async fn activate(&self, owner: &Owner, moved: bool) -> Result<(Arc<Hold>, Arc<Snapshot>)> {
        let key = owner.key();
        let hold = self.0.locks.take(key).await?;
        if let Some(snapshot) = self.published(&hold, key).filter(|_| !moved) {
            return Ok((hold, snapshot));
        }
        let (mut snapshot, seal) = match self.load(&hold, key).await {
            // Its columns may have been read apart.
            Err(error) if error.kind() == Kind::RecordCorrupt => self.load(&hold, key).await?,
            loaded => loaded?,
        };
        if seal {
            snapshot = self.seal(&hold, key, snapshot).await?;
        }
        let snapshot = Arc::new(snapshot);
        self.0.locks.publish(&hold, key, Arc::clone(&snapshot) as _);
        Ok((hold, snapshot))
    }

    async fn load(&self, hold: &Hold, key: &ObjectKey) -> Result<(Snapshot, bool)> {
        let (loaded, seal) = self.0.locks.load(hold, key).await?;
        let read = loaded.map(|loaded| Snapshot::read(self.def(key)?, key, loaded));
        Ok((read.transpose()?.unwrap_or_else(Snapshot::absent), seal))
    }

    /// Puts a record of an earlier epoch back under this one (rule R3), so that no late put of an earlier owner shadows it.
    async fn seal(&self, hold: &Arc<Hold>, key: &ObjectKey, snapshot: Snapshot) -> Result<Snapshot> {
        let version = hold.next_version();
        let record = Snapshot::record(snapshot.life.as_ref(), &snapshot.memory, version);
        match self.0.locks.commit(hold, key, snapshot.seen.as_ref(), &record).await {
            Commit::Done(rev) => Ok(Snapshot { seen: Some(Seen { version, rev }), ..snapshot }),
            Commit::Moved => Err(Error::store("the object moved while it was sealed").with_key(key)),
            Commit::Refused(error) | Commit::Unknown(error) => Err(error),
        }
    }

    async fn turn(&self, owner: &Owner, hold: &Arc<Hold>, base: &Arc<Snapshot>, mut calls: Vec<EditCall>) -> Settled {
        let def = match self.def(owner.key()) {
            Ok(def) => def,
            Err(error) => return Settled::Over(error),
        };
        let mut turn = Turn::new(def, hold, base, self.0.config.limits.state_bytes);
        let mut answers = Vec::with_capacity(calls.len());
        if calls[0].is_async() {
            answers.push(turn.run_async(self, &calls[0]).await);
        } else {
            let ran = turn.run_all(self, &calls, &mut answers);
            owner.put_back(calls.split_off(ran));
        }
        let turned = turn.end();
        let settled = self.settle(owner, hold, base, turned, calls, &mut answers).await;
        debug_assert!(!matches!(settled, Settled::Published(_)) || answers.is_empty());
        settled
    }

    /// Makes a turn durable, publishes it, and only then lets its answers go. The answer of a call that has nobody to
    /// reply to stays in `answers`.
    async fn settle(
        &self,
        owner: &Owner,
        hold: &Arc<Hold>,
        base: &Arc<Snapshot>,
        turned: Turned,
        calls: Vec<EditCall>,
        answers: &mut Vec<Answered>,
    ) -> Settled {
        let key = owner.key();
        let Turned { life, memory, version } = turned;
        let Some(version) = version else {
            // Nothing is to be put, and what the calls saw is settled; it is to be confirmed all the same.
            if let Err(error) =
                self.0.locks.confirm(hold).await.map_err(|error| error.with_outcome(Outcome::NotExecuted))
            {
                return over(&error, error.clone(), calls, answers);
            }
            release(calls, answers);
            return Settled::Published(Arc::clone(base));
        };
        let record = Snapshot::record(life.as_ref(), &memory, version);
        match self.0.locks.commit(hold, key, base.seen.as_ref(), &record).await {
            Commit::Done(rev) => {
                let seen = Some(Seen { version, rev });
                let snapshot = Arc::new(Snapshot { seen, life, memory });
                self.0.locks.publish(hold, key, Arc::clone(&snapshot) as _);
                // L1 may have forgotten it by now: whoever has an answer must find it here.
                owner.publish(hold, &snapshot);
                release(calls, answers);
                Settled::Published(snapshot)
            }
            Commit::Moved => {
                answers.clear();
                // A plain edit runs again unseen. One that has told other objects of it would tell them twice.
                let (told, again): (Vec<_>, Vec<_>) = calls.into_iter().partition(|call| call.frame.has_called_edit());
                for call in told {
                    let undone = "the call was undone here; what it asked of other objects may have happened";
                    call.answer(Err(Error::new(Kind::OutcomeUnknown, undone).with_key(key)));
                }
                Settled::Moved(again)
            }
            Commit::Refused(error) => {
                let error = error.with_outcome(Outcome::NotExecuted);
                let over = over(&error, error.clone(), calls, answers);
                // This turn is undone; the calls behind it may fare better.
                if hold.is_good() { Settled::Published(Arc::clone(base)) } else { over }
            }
            Commit::Unknown(error) => {
                let why = format!("{error:?}");
                let unknown = Error::new(Kind::OutcomeUnknown, "the call may have taken effect: the store did not say");
                let not_executed = Error::store(why.clone()).with_key(key);
                over(&unknown.with_key(key).with_detail(why), not_executed, calls, answers)
            }
        }
    }
}

/// Answers the calls of a turn; where a call has nobody to reply to, its answer stays.
fn release(calls: Vec<EditCall>, answers: &mut Vec<Answered>) {
    let all = std::mem::take(answers);
    for (call, answer) in calls.into_iter().zip(all) {
        if call.reply.is_some() {
            call.answer(answer);
        } else {
            answers.push(answer);
        }
    }
}

/// Answers all calls of a turn that is over. Those that failed in it have no effect, whatever became of the others; but
/// what they saw never was, so they too are told only that, as are those that wait.
fn over(error: &Error, not_executed: Error, calls: Vec<EditCall>, answers: &mut Vec<Answered>) -> Settled {
    for (call, answer) in calls.iter().zip(answers.iter_mut()) {
        *answer = Err(undone(if answer.is_err() { not_executed.clone() } else { error.clone() }, &call.frame));
    }
    release(calls, answers);
    Settled::Over(not_executed)
}

/// Gives a call a way to be answered.
fn waiting(mut call: EditCall, answer: &mut Option<oneshot::Receiver<Answered>>) -> EditCall {
    let (reply, receiver) = oneshot::channel();
    call.reply = Some(reply);
    *answer = Some(receiver);
    call
}

async fn await_answer(frame: &Frame, progress: &Progress, answer: oneshot::Receiver<Answered>) -> Answered {
    match timeout_at(frame.deadline, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(Error::internal("the turn of this call is gone").with_outcome(Outcome::Unknown)),
        Err(_) => Err(given_up(frame, progress)),
    }
}

/// The answer at the deadline: exact, unless the call is on its way into the store.
fn given_up(frame: &Frame, progress: &Progress) -> Error {
    if progress.abandon() {
        too_late(frame)
    } else {
        Error::new(Kind::OutcomeUnknown, "not known to be durable before the deadline; it may have happened")
            .with_key(&frame.key)
    }
}

/// The answer to a name that is no method of the type.
fn no_method(def: &TypeDef, name: &str) -> Error {
    Error::new(Kind::MethodNotFound, format!("{} has no method {name}", def.name))
}

/// A future that goes on as a task when it is dropped before its end: a turn belongs to nobody's connection.
struct Detached<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send + 'static> Future for Detached<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<T> {
        let Some(future) = &mut self.0 else { return Poll::Pending };
        let result = std::task::ready!(future.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(result)
    }
}

impl<T: Send + 'static> Drop for Detached<T> {
    fn drop(&mut self) {
        if let Some(future) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(future);
        }
    }
}

#[cfg(test)]
mod tests;
