//! The story of an edit: a turn here and now, or a place in the queue; one put a turn; answers only after it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::context::Frame;
use super::host::Host;
use super::idempotency::Keyed;
use super::mailbox::{Entered, Owner, Shown};
use super::request::{Answered, Conditions, Op};
use super::snapshot::Snapshot;
use super::turn::{EditCall, Progress, Turn, Turned, too_late, undone};
use crate::clock;
use crate::config::TURN_CALLS_MAX;
use crate::error::{Error, Kind, Outcome, Result};
use crate::locks::{Commit, Hold, Tier};
use crate::model::ObjectKey;

/// What becomes of the future of a call.
#[derive(Clone, Copy)]
pub(super) enum Driven {
    /// It is polled to its end, or dropped: a connection does that. A turn may run in it.
    UntilItEnds,
    /// Code of a user has it, and may keep it without polling it. Nobody else is to wait for that.
    Perhaps,
}

/// How a turn ended.
enum Settled {
    /// Published, or undone on what it was begun on; what follows builds upon it.
    Published(Arc<Snapshot>),
    /// Another owner's record stood there: the calls are to run again on it.
    Moved(Vec<EditCall>),
    /// The Hold, or the store, is gone; the calls were answered.
    Over(Error),
}

impl Host {
    pub(super) async fn edit(
        &self,
        op: Op,
        frame: Arc<Frame>,
        conditions: Conditions,
        key: Option<&str>,
        driven: Driven,
    ) -> Answered {
        let keyed = key.map(|key| Keyed::new(key, &op, frame.resent));
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
            (Entered::Owner(owner, call), _) => self.begin(owner, call, driven).await,
        }
    }

    /// Runs a turn of one plain edit on a warm object here and now; anything else gets a task.
    async fn begin(&self, owner: Owner, call: EditCall, driven: Driven) -> Answered {
        let (frame, progress) = (Arc::clone(&call.frame), Arc::clone(&call.progress));
        if !call.is_async()
            && let Some(hold) = self.0.locks.held(owner.key())
            && let Some(base) = self.published(&hold, owner.key())
        {
            owner.publish(&hold, &base, Tier::L1);
            let turn: Turning = Box::pin(self.clone().turn_of_one(owner, hold, base, call));
            let turn = match driven {
                Driven::UntilItEnds => Detached(Some(turn)),
                Driven::Perhaps => {
                    let task = clock::spawn(turn);
                    Detached(Some(Box::pin(async move { task.await.unwrap_or_else(|_| Err(turn_is_gone())) })))
                }
            };
            return match timeout_at(frame.deadline, turn).await {
                Ok(answer) => answer,
                Err(_) => Err(given_up(&frame, &progress)),
            };
        }
        let mut answer = None;
        let call = waiting(call, &mut answer);
        clock::spawn(self.clone().drive(owner, vec![call], false));
        match answer {
            Some(answer) => await_answer(&frame, &progress, answer).await,
            None => Err(Error::internal("a call waits without a way to be answered")),
        }
    }

    /// The shortest story: one plain edit of a warm object that nobody else is at.
    async fn turn_of_one(self, owner: Owner, hold: Arc<Hold>, base: Arc<Snapshot>, call: EditCall) -> Answered {
        let key = owner.key().clone();
        let mut turn = Turn::new(self.def(&key)?, &hold, &base, self.0.sizes);
        let answer = turn.run(&self, &call);
        let turned = turn.end();
        let mut answers = vec![answer];
        let settled = self.settle(&owner, &hold, &base, turned, vec![call], &mut answers).await;
        match settled {
            Settled::Published(snapshot) => {
                if let Some(owner) = owner.release(&hold, &snapshot) {
                    clock::spawn(self.drive(owner, Vec::new(), false));
                }
            }
            Settled::Over(error) => owner.fail(&error.clone().with_outcome(Outcome::NotExecuted)),
            Settled::Moved(calls) => {
                let asked = calls.first().map(|call| (Arc::clone(&call.frame), Arc::clone(&call.progress)));
                let mut answer = None;
                let calls = calls.into_iter().map(|call| waiting(call, &mut answer)).collect();
                clock::spawn(self.drive(owner, calls, true));
                if let (Some((frame, progress)), Some(answer)) = (asked, answer) {
                    return await_answer(&frame, &progress, answer).await;
                }
            }
        }
        answers.pop().unwrap_or_else(|| Err(Error::internal("a turn without an answer")))
    }

    /// Owns an object until nothing waits for it: loads it, and runs turn after turn. `moved`: what L1 has of it is not
    /// what is in the store.
    pub(super) async fn drive(self, mut owner: Owner, first: Vec<EditCall>, mut moved: bool) {
        owner.put_back(first);
        'activation: loop {
            let Shown { hold, snapshot: mut base, tier } = match self.activate(&owner, moved).await {
                Ok(active) => active,
                Err(error) => return owner.fail(&error.with_outcome(Outcome::NotExecuted)),
            };
            moved = false;
            if base.to_seal.is_none() {
                owner.publish(&hold, &base, tier);
            }
            loop {
                let Some((next, calls)) = owner.next(TURN_CALLS_MAX) else { return };
                owner = next;
                // The put of a plain turn is the seal. Readers need one before, and an async edit may tell others.
                if base.to_seal.is_some() && calls.first().is_none_or(EditCall::is_async) {
                    base = match self.seal(&owner, &hold, &base).await {
                        Ok(Some(sealed)) => sealed,
                        Ok(None) => {
                            owner.put_back(calls);
                            moved = true;
                            continue 'activation;
                        }
                        Err(error) => {
                            owner.put_back(calls);
                            return owner.fail(&error.with_outcome(Outcome::NotExecuted));
                        }
                    };
                }
                if calls.is_empty() {
                    owner.publish(&hold, &base, Tier::L1);
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
                if !hold.is_good() {
                    continue 'activation;
                }
                // Those who were answered ask again, and others come, before the next turn begins: on a busy object it
                // takes them all, and one put serves them.
                tokio::task::yield_now().await;
            }
        }
    }

    /// The Hold and the state of an object: what is published in L1, unless it `moved`, else what is loaded, sealed or not.
    async fn activate(&self, owner: &Owner, moved: bool) -> Result<Shown> {
        let key = owner.key();
        let hold = self.0.locks.take(key).await?;
        if let Some(snapshot) = self.published(&hold, key).filter(|_| !moved) {
            return Ok(Shown { hold, snapshot, tier: Tier::L1 });
        }
        let (snapshot, tier) = self.load(&hold, key).await?;
        let snapshot = Arc::new(snapshot);
        if snapshot.to_seal.is_none() {
            self.0.locks.publish(&hold, key, Arc::clone(&snapshot) as _);
        }
        Ok(Shown { hold, snapshot, tier })
    }

    /// Loads and checks. What contradicts itself may have been read apart, or a shared cache is wrong: the store is asked,
    /// and once more.
    async fn load(&self, hold: &Hold, key: &ObjectKey) -> Result<(Snapshot, Tier)> {
        let mut asked_again = false;
        let newest = self.0.locks.newest_format();
        loop {
            let loaded = self.0.locks.load(hold, key).await;
            let tier = loaded.as_ref().map_or(Tier::Store, |(found, _)| found.tier);
            let read = loaded.and_then(|(found, seal)| {
                let read =
                    found.loaded.map(|loaded| Snapshot::read(self.def(key)?, key, loaded, newest)).transpose()?;
                let snapshot = read.unwrap_or_else(Snapshot::absent);
                Ok((Snapshot { to_seal: seal.then_some(tier), ..snapshot }, tier))
            });
            match read {
                Err(error) if error.kind() == Kind::RecordCorrupt && !asked_again => {
                    self.0.locks.doubt(key);
                    asked_again = tier == Tier::Store;
                }
                read => return read,
            }
        }
    }

    /// Puts a record of an earlier epoch back under this one (rule R3), so that no late put of an earlier owner shadows it,
    /// and publishes it. `None`: such a put has landed meanwhile, and is to be loaded.
    async fn seal(&self, owner: &Owner, hold: &Arc<Hold>, base: &Snapshot) -> Result<Option<Arc<Snapshot>>> {
        let key = owner.key();
        let version = hold.next_version();
        let record = Snapshot::record(base.life.as_ref(), &base.memory, version, self.0.locks.format());
        match self.0.locks.commit(hold, key, base.seen.as_ref(), &record).await {
            Commit::Done(rev) => {
                let (life, memory) = (base.life.clone(), Arc::clone(&base.memory));
                Ok(Some(self.publish(owner, hold, base, Snapshot::of(version, rev, life, memory))))
            }
            Commit::Moved => Ok(None),
            Commit::Refused(error) | Commit::Unknown(error) => Err(error),
        }
    }

    /// Shows what was put upon `base` and confirmed.
    fn publish(&self, owner: &Owner, hold: &Arc<Hold>, base: &Snapshot, put: Snapshot) -> Arc<Snapshot> {
        let put = Arc::new(put);
        // Who has waited for a seal has waited for the load.
        owner.publish(hold, &put, base.to_seal.unwrap_or(Tier::L1));
        // L1 may forget at any time: whoever has an answer, or saw the state in L1, must find it here after that.
        self.0.locks.publish(hold, owner.key(), Arc::clone(&put) as _);
        put
    }

    async fn turn(&self, owner: &Owner, hold: &Arc<Hold>, base: &Arc<Snapshot>, mut calls: Vec<EditCall>) -> Settled {
        let def = match self.def(owner.key()) {
            Ok(def) => def,
            Err(error) => return Settled::Over(error),
        };
        let is_async = calls[0].is_async();
        // Until the turn is settled.
        let asking = is_async.then(|| hold.ask());
        if let Some(None) = asking {
            // The shard is being given back: they run where it goes.
            return Settled::Moved(calls);
        }
        let mut turn = Turn::new(def, hold, base, self.0.sizes);
        let mut answers = Vec::with_capacity(calls.len());
        if is_async {
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
            // Nothing is to be put, and what the calls saw is settled, or sealed now; it is to be confirmed all the same.
            let shown = if base.to_seal.is_some() || (self.0.locks.is_shared() && may_come_late(hold, base, &calls)) {
                self.seal(owner, hold, base).await
            } else {
                self.0.locks.confirm(hold).await.map(|()| Some(Arc::clone(base)))
            };
            return match shown.map_err(|error| error.with_outcome(Outcome::NotExecuted)) {
                Ok(Some(snapshot)) => {
                    release(owner, calls, answers);
                    Settled::Published(snapshot)
                }
                Ok(None) => again(key, calls, answers),
                Err(error) => over(&error, error.clone(), owner, calls, answers),
            };
        };
        let record = Snapshot::record(life.as_ref(), &memory, version, self.0.locks.format());
        match self.0.locks.commit(hold, key, base.seen.as_ref(), &record).await {
            Commit::Done(rev) => {
                let snapshot = self.publish(owner, hold, base, Snapshot::of(version, rev, life, memory));
                release(owner, calls, answers);
                Settled::Published(snapshot)
            }
            Commit::Moved => again(key, calls, answers),
            Commit::Refused(error) => {
                let error = error.with_outcome(Outcome::NotExecuted);
                let over = over(&error, error.clone(), owner, calls, answers);
                // This turn is undone; the calls behind it may fare better.
                if hold.is_good() { Settled::Published(Arc::clone(base)) } else { over }
            }
            Commit::Unknown(error) => {
                let why = format!("{error:?}");
                let unknown = Error::new(Kind::OutcomeUnknown, "the call may have taken effect: the store did not say");
                let gone = "the object's owner has given it up";
                let not_executed = Error::new(Kind::WrongNode, gone).with_key(key).with_detail(why.clone());
                over(&unknown.with_key(key).with_detail(why), not_executed, owner, calls, answers)
            }
        }
    }
}

/// Lets the calls of a turn run again on what another owner has put meanwhile. A plain edit runs again unseen; one that has told other
/// objects of it would tell them twice.
fn again(key: &ObjectKey, calls: Vec<EditCall>, answers: &mut Vec<Answered>) -> Settled {
    answers.clear();
    let (told, again): (Vec<_>, Vec<_>) = calls.into_iter().partition(|call| call.frame.has_called_edit());
    for call in told {
        let undone = "the call was undone here; what it asked of other objects may have happened";
        call.answer(Err(Error::new(Kind::OutcomeUnknown, undone).with_key(key)));
    }
    Settled::Moved(again)
}

/// Whether what an owner before this one sent may still land, and one of the calls may have been in it: one with a key may have been sent
/// before, by another node or by its caller, and is not told that it failed as long as its first sending may yet take effect. A put of
/// our own makes certain that it cannot.
fn may_come_late(hold: &Hold, base: &Snapshot, calls: &[EditCall]) -> bool {
    let ours = base.seen.as_ref().is_some_and(|seen| hold.wrote(seen.version));
    !ours && calls.iter().any(|call| call.keyed.is_some())
}

/// Answers the calls of a turn; where a call has nobody to reply to, its answer stays.
fn release(owner: &Owner, calls: Vec<EditCall>, answers: &mut Vec<Answered>) {
    if calls.iter().any(|call| call.keyed.is_some()) {
        // Whoever has the answer may ask again with its key at once.
        owner.end_turn();
    }
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
fn over(
    error: &Error,
    not_executed: Error,
    owner: &Owner,
    calls: Vec<EditCall>,
    answers: &mut Vec<Answered>,
) -> Settled {
    for (call, answer) in calls.iter().zip(answers.iter_mut()) {
        *answer = Err(undone(if answer.is_err() { not_executed.clone() } else { error.clone() }, &call.frame));
    }
    release(owner, calls, answers);
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
        Ok(Err(_)) => Err(turn_is_gone()),
        Err(_) => Err(given_up(frame, progress)),
    }
}

fn turn_is_gone() -> Error {
    Error::internal("the turn of this call is gone").with_outcome(Outcome::Unknown)
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

/// A future that goes on as a task when it is dropped before its end: a turn belongs to nobody's connection.
struct Detached(Option<Turning>);

/// A turn under way, with the answer of its only call.
type Turning = Pin<Box<dyn Future<Output = Answered> + Send>>;

impl Future for Detached {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Answered> {
        // Taken out while it is polled: one that panicked must not go on as a task.
        let Some(mut future) = self.0.take() else { return Poll::Pending };
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            self.0 = Some(future);
        }
        polled
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        if let Some(future) = self.0.take()
            && tokio::runtime::Handle::try_current().is_ok()
        {
            clock::spawn(future);
        }
    }
}
