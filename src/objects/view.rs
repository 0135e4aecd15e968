//! The story of a view: on the last published state, beside other views and beside a running turn.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::time::timeout_at;

use super::context::{Frame, ViewContext};
use super::host::Host;
use super::mailbox::{Reader, Shown};
use super::object::{Run, TypeDef};
use super::request::{Answered, Freshness, Op, Reply, Success};
use super::snapshot::Snapshot;
use super::turn::{absent, caught, panicked};
use crate::clock;
use crate::error::{Error, Kind, Outcome, Result};
use crate::locks::{Hold, Tier};
use crate::model::ObjectKey;

impl Host {
    pub(super) async fn view(&self, op: Op, frame: Arc<Frame>, freshness: Freshness) -> Answered {
        let deadline = frame.deadline;
        match timeout_at(deadline, self.view_story(op, frame, freshness)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::new(Kind::DeadlineExceeded, "the deadline passed before the view was answered")),
        }
    }

    async fn view_story(&self, op: Op, frame: Arc<Frame>, freshness: Freshness) -> Answered {
        let core = &self.0;
        let def = self.def(&frame.key)?;
        let hold = match core.locks.held(&frame.key) {
            Some(hold) => hold,
            None => core.locks.take(&frame.key).await?,
        };
        let Shown { hold, snapshot, tier } = match self.published(&hold, &frame.key) {
            Some(snapshot) => Shown { hold, snapshot, tier: Tier::L1 },
            None if freshness.only_if_cached => {
                return Err(Error::new(Kind::NotCached, "no copy of the object is at hand"));
            }
            None => self.load_beside(&frame.key).await?,
        };
        let answer = self.look(def, op, &frame, &snapshot).await;
        let fresh_enough = freshness.max_age.is_some_and(|age| core.locks.was_confirmed_within(&hold, age));
        if !fresh_enough {
            core.locks.confirm(&hold).await.map_err(|error| error.with_outcome(Outcome::NotExecuted))?;
        }
        answer.map(|reply| Reply { tier, ..reply })
    }

    pub(super) fn published(&self, hold: &Hold, key: &ObjectKey) -> Option<Arc<Snapshot>> {
        let found = self.0.locks.published(hold, key)?;
        (found as Arc<dyn Any + Send + Sync>).downcast().ok()
    }

    /// The published state of an object that L1 does not have; loads it if nobody is at it.
    pub(super) async fn load_beside(&self, key: &ObjectKey) -> Result<Shown> {
        let answer = match self.0.mailboxes.read(key) {
            Reader::Published(shown) => return Ok(Shown { tier: Tier::L1, ..shown }),
            Reader::Refused(error) => return Err(error),
            Reader::Waits(answer) => answer,
            Reader::Owner(owner, answer) => {
                clock::spawn(self.clone().drive(owner, Vec::new(), false));
                answer
            }
        };
        answer.await.unwrap_or_else(|_| Err(Error::internal("the load of an object was given up")))
    }

    async fn look(&self, def: &TypeDef, op: Op, frame: &Arc<Frame>, snapshot: &Snapshot) -> Answered {
        let reply = |body: Bytes, tag, unit: bool| {
            let success = if unit { Success::NoContent } else { Success::Ok };
            Reply { success, body, tag, at: snapshot.tag(), replayed: false, tier: Tier::L1 }
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
                let context = ViewContext::new(self.clone(), Arc::clone(frame));
                let made = catch_unwind(AssertUnwindSafe(|| {
                    let state = life.as_ref().map_or_else(|| (def.default)().into(), |life| Arc::clone(&life.state));
                    run(state, context, args)
                }));
                match made {
                    Ok(future) => {
                        AssertUnwindSafe(future).catch_unwind().await.unwrap_or_else(|panic| Err(panicked(&panic)))
                    }
                    Err(panic) => Err(panicked(&panic)),
                }
            }
            _ => Err(Error::internal("an edit among the views")),
        }?;
        // A view with a context may have seen other objects: its answer is of no one version.
        let tag = snapshot.tag().filter(|_| !method.context);
        Ok(reply(body, tag, method.reply.is_none()))
    }
}
