//! A turn: calls that run one after the other on working copies and leave one record.
//!
//! A call that errs, panics, overruns its deadline or makes the state too large is undone alone. No answer leaves from
//! here: the host lets them go once what they could have seen is durable and confirmed.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::context::{Context, Frame};
use super::host::{Host, gone};
use super::idempotency;
use super::json;
use super::object::{Answer, Method, Run, State, TypeDef};
use super::request::{Answered, Conditions, Op, Reply, Success};
use super::snapshot::{Life, Memory, Snapshot};
use crate::clock;
use crate::config::TURN_RUNNING_MAX;
use crate::error::{Error, Kind, Outcome, Result};
use crate::locks::{Hold, Tier};
use crate::model::Version;

pub(crate) use super::idempotency::Keyed;

/// A call that changes an object.
pub(crate) struct EditCall {
    pub(crate) op: Op,
    pub(crate) conditions: Conditions,
    pub(crate) keyed: Option<Keyed>,
    pub(crate) frame: Arc<Frame>,
    pub(crate) progress: Arc<Progress>,
    /// `None` where the caller runs the turn itself.
    pub(crate) reply: Option<oneshot::Sender<Answered>>,
}

impl EditCall {
    /// Whether it may wait for others, and so has a turn of its own.
    pub(crate) fn is_async(&self) -> bool {
        matches!(&self.op, Op::Call(method, _) if matches!(method.run, Run::AsyncEdit(_)))
    }

    /// Lets the answer go to whoever still waits for it.
    pub(crate) fn answer(self, answer: Answered) {
        if let Some(reply) = self.reply {
            let _ = reply.send(answer);
        }
    }
}

/// How far a call has come: its caller, when the deadline passes, can say exactly whether it takes effect.
#[derive(Debug, Default)]
pub(crate) struct Progress(AtomicU8);

const OPEN: u8 = 0;
const COMMITTING: u8 = 1;
const ABANDONED: u8 = 2;

impl Progress {
    /// The caller gives up. `true`: the call has no effect, for certain.
    pub(crate) fn abandon(&self) -> bool {
        self.0.compare_exchange(OPEN, ABANDONED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The call's effect goes into the record. `false`: its caller has given up.
    fn commit(&self) -> bool {
        self.0.compare_exchange(OPEN, COMMITTING, Ordering::AcqRel, Ordering::Acquire).is_ok() || self.is(COMMITTING)
    }

    fn is_abandoned(&self) -> bool {
        self.is(ABANDONED)
    }

    fn is(&self, state: u8) -> bool {
        self.0.load(Ordering::Acquire) == state
    }
}

/// A call whose deadline passed before it took effect.
pub(crate) fn too_late(frame: &Frame) -> Error {
    undone(Error::new(Kind::DeadlineExceeded, "the deadline passed before the call took effect"), frame)
}

/// The error of a call that changed nothing here. What it asked of other objects may have had its effect.
pub(crate) fn undone(error: Error, frame: &Frame) -> Error {
    if frame.has_called_edit() { error.with_outcome(Outcome::Unknown) } else { error }
}

/// A turn under way: the state after the calls that went well.
pub(crate) struct Turn<'a> {
    def: &'a TypeDef,
    hold: &'a Hold,
    limits: Sizes,
    life: Option<Life>,
    memory: Arc<Memory>,
    /// The version of the last call that went well.
    version: Option<Version>,
}

/// How large things may become, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// A state as JSON.
    pub(crate) state: usize,
    /// State and meta together: what the store takes.
    pub(crate) record: usize,
}

/// What a turn leaves.
pub(crate) struct Turned {
    pub(crate) life: Option<Life>,
    pub(crate) memory: Arc<Memory>,
    /// `None`: nothing changed, nothing is to be put.
    pub(crate) version: Option<Version>,
}

/// A successful run before it is accepted.
struct Ran {
    /// `None`: the object is deleted.
    state: Option<Box<dyn State>>,
    success: Success,
    /// `None`: the new state is the body.
    body: Option<Bytes>,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(def: &'a TypeDef, hold: &'a Hold, base: &Snapshot, limits: Sizes) -> Self {
        let (life, memory) = (base.life.clone(), Arc::clone(&base.memory));
        Self { def, hold, limits, life, memory, version: None }
    }

    pub(crate) fn end(self) -> Turned {
        Turned { life: self.life, memory: self.memory, version: self.version }
    }

    /// Runs plain edits until all have run or the turn has run long enough; answers how many.
    pub(crate) fn run_all(&mut self, host: &Host, calls: &[EditCall], answers: &mut Vec<Answered>) -> usize {
        let began = clock::now();
        for call in calls {
            answers.push(self.run(host, call));
            if calls.len() > 1 && began.elapsed() > TURN_RUNNING_MAX {
                break;
            }
        }
        answers.len()
    }

    /// Runs one plain edit.
    pub(crate) fn run(&mut self, host: &Host, call: &EditCall) -> Answered {
        if let Some(answer) = self.before(call) {
            return answer;
        }
        let ran = std::panic::catch_unwind(AssertUnwindSafe(|| self.apply(host, call)));
        self.after(call, ran.unwrap_or_else(|panic| Err(panicked(&panic))))
    }

    /// Runs one async edit, until its deadline at most.
    pub(crate) async fn run_async(&mut self, host: &Host, call: &EditCall) -> Answered {
        if let Some(answer) = self.before(call) {
            return answer;
        }
        let Op::Call(Method { run: Run::AsyncEdit(run), reply, .. }, args) = &call.op else {
            return self.run(host, call);
        };
        let context = Context::new(host.clone(), Arc::clone(&call.frame));
        let made = std::panic::catch_unwind(AssertUnwindSafe(|| run(self.copy(), context, args.clone())));
        let ran = match made {
            Ok(future) => {
                match tokio::time::timeout_at(call.frame.deadline, AssertUnwindSafe(future).catch_unwind()).await {
                    Ok(Ok((state, answer))) => answer.map(|body| replied(state, reply.is_some(), body)),
                    Ok(Err(panic)) => Err(undone(panicked(&panic), &call.frame)),
                    Err(_) => Err(too_late(&call.frame)),
                }
            }
            Err(panic) => Err(panicked(&panic)),
        };
        self.after(call, ran)
    }

    /// What is answered without running: a stored reply, a condition that does not hold, a caller who is gone.
    fn before(&self, call: &EditCall) -> Option<Answered> {
        if call.progress.is_abandoned() || clock::now() >= call.frame.deadline {
            return Some(Err(too_late(&call.frame)));
        }
        // It may have waited for a take in which another life of this process began.
        if !call.frame.is_meant_for(self.hold) {
            return Some(Err(gone()));
        }
        if let Some(keyed) = &call.keyed
            && let Some(answer) = idempotency::look_up(&self.memory, keyed)
        {
            return Some(answer);
        }
        self.check(&call.conditions).err().map(Err)
    }

    fn check(&self, conditions: &Conditions) -> Result<()> {
        let tag = self.life.as_ref().map(|life| life.ver);
        if conditions.if_match.as_ref().is_some_and(|tags| !tags.contain(tag)) {
            return Err(Error::new(Kind::PreconditionFailed, "the object is not at a version that If-Match names"));
        }
        if conditions.if_none_match.as_ref().is_some_and(|tags| tags.contain(tag)) {
            return Err(Error::new(Kind::PreconditionFailed, "the object is at a version that If-None-Match names"));
        }
        if self.def.options.require_match && conditions.if_match.is_none() && conditions.if_none_match.is_none() {
            return Err(Error::new(
                Kind::PreconditionRequired,
                "this type is changed with If-Match only: send the ETag of the state you know, or If-None-Match: * to create",
            ));
        }
        Ok(())
    }

    fn copy(&self) -> Box<dyn State> {
        self.life.as_ref().map_or_else(|| (self.def.default)(), |life| life.state.copy())
    }

    fn apply(&self, host: &Host, call: &EditCall) -> Result<Ran> {
        let there = self.life.is_some();
        let whole = |state: Box<dyn State>, new: bool| Ran {
            state: Some(state),
            success: if new { Success::Created } else { Success::Ok },
            body: None,
        };
        match &call.op {
            Op::Call(method, args) => {
                let Run::Edit(run) = method.run else {
                    return Err(Error::internal("a view, or an async edit, in a turn"));
                };
                let mut copy = self.copy();
                let context = Context::new(host.clone(), Arc::clone(&call.frame));
                let body = run(&mut *copy, &context, args)?;
                Ok(replied(copy, method.reply.is_some(), body))
            }
            Op::Replace(body) => Ok(whole(self.read(host, body)?, !there)),
            Op::Patch(patch) => {
                let life = self.life.as_ref().ok_or_else(|| absent(&call.frame))?;
                // Not into the stored text: an older release may have written members that the type no longer has, and
                // nobody is to be told of what he did not send.
                let mut written = Vec::with_capacity(life.json.len());
                life.state.encode(&mut written)?;
                Ok(whole(self.read(host, &json::merge_patch(&written, patch)?)?, false))
            }
            Op::Delete if there => Ok(Ran { state: None, success: Success::NoContent, body: Some(Bytes::new()) }),
            Op::Delete => Err(absent(&call.frame)),
            Op::Create(_) if there => {
                Err(Error::new(Kind::PreconditionFailed, "the object that this request would create is there already"))
            }
            Op::Create(Some(body)) => Ok(whole(self.read(host, body)?, true)),
            Op::Create(None) => Ok(whole((self.def.default)(), true)),
            Op::Get => Err(Error::internal("a read in a turn")),
        }
    }

    /// The state as JSON, no larger than it may be. It stays in memory, so it gets no more room than it needs.
    fn encode(&self, state: &dyn State) -> Result<Vec<u8>> {
        const SLACK: usize = 32;
        let mut json = Vec::with_capacity(self.life.as_ref().map_or(SLACK, |life| life.json.len() + 8));
        std::panic::catch_unwind(AssertUnwindSafe(|| state.encode(&mut json)))
            .unwrap_or_else(|panic| Err(panicked(&panic)))?;
        if json.len() > self.limits.state {
            let (is, may) = (json.len(), self.limits.state);
            return Err(Error::new(
                Kind::StateTooLarge,
                format!("the state would be {is} bytes; at most {may} are kept"),
            ));
        }
        if json.capacity() - json.len() > SLACK {
            json.shrink_to_fit();
        }
        Ok(json)
    }

    /// A state that a client sent.
    fn read(&self, host: &Host, body: &[u8]) -> Result<Box<dyn State>> {
        let (state, refused) = host.authorities().scope(|| (self.def.decode_strict)(body));
        // serde reads a struct from the list of its members too, which is nobody's state.
        if body.trim_ascii_start().starts_with(b"[")
            && let Ok(state) = &state
            && !self.encode(&**state)?.starts_with(b"[")
        {
            return Err(Error::invalid("the state does not fit: it is a JSON object by member name"));
        }
        state.map_err(|error| match refused {
            Some(origin) => Error::new(
                Kind::AuthorityNotAllowed,
                format!("the state names {origin}, which is not on the list of allowed authorities"),
            ),
            None => error,
        })
    }

    /// Accepts what ran, or leaves everything as it was.
    fn after(&mut self, call: &EditCall, ran: Result<Ran>) -> Answered {
        let Ran { state, success, body } = ran?;
        let json = match &state {
            Some(state) => self.encode(&**state).map_err(|error| undone(error, &call.frame))?,
            None => Vec::new(),
        };
        self.check_record(call, json.len(), body.as_ref().map_or(json.len(), Bytes::len))?;
        if clock::now() >= call.frame.deadline || !call.progress.commit() {
            return Err(too_late(&call.frame));
        }
        let version = self.hold.next_version();
        let born = self.life.as_ref().map_or(version, |life| life.born);
        self.life = state.map(|state| Life { state: state.into(), json: json.into(), ver: version, born });
        self.version = Some(version);
        let body = body.or_else(|| self.life.as_ref().map(|life| life.json.clone())).unwrap_or_default();
        let tag = self.life.is_some().then_some(version);
        if let Some(keyed) = &call.keyed {
            let memory = Arc::make_mut(&mut self.memory);
            idempotency::keep(memory, keyed, version, (success, tag.is_some()), &body, &self.def.options);
        }
        Ok(Reply { success, body, tag, at: tag, replayed: false, tier: Tier::L1 })
    }

    /// The store refuses a record that is too large, and with it the whole turn: so the call that makes it so is undone.
    fn check_record(&self, call: &EditCall, state_bytes: usize, reply_bytes: usize) -> Result<()> {
        let kept = if call.keyed.is_some() { idempotency::bytes_kept(reply_bytes) } else { 0 };
        let (is, may) = (state_bytes + kept + self.memory.bytes() + META_BYTES, self.limits.record);
        if is <= may {
            return Ok(());
        }
        let text = format!("the object's record would be about {is} bytes, the datastore takes {may}");
        Err(undone(Error::new(Kind::StateTooLarge, text), &call.frame))
    }
}

/// What a record's meta needs beside what it keeps.
const META_BYTES: usize = 128;

fn replied(state: Box<dyn State>, has_reply: bool, body: Bytes) -> Ran {
    let success = if has_reply { Success::Ok } else { Success::NoContent };
    Ran { state: Some(state), success, body: Some(body) }
}

/// Where nothing is.
pub(crate) fn absent(frame: &Frame) -> Error {
    Error::new(Kind::ObjectNotFound, format!("there is no object at {}", frame.key)).with_key(&frame.key)
}

/// The answer to a method that panicked. Its text is for the log.
pub(crate) fn panicked(panic: &Box<dyn std::any::Any + Send>) -> Error {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::new(Kind::MethodPanicked, "the method panicked; the object is as it was before")
        .with_detail(text.unwrap_or("no message").to_owned())
}

/// A view's answer, caught when it panics.
pub(crate) fn caught(run: impl FnOnce() -> Answer) -> Answer {
    std::panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(panicked(&panic)))
}
