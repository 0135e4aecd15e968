//! Mailboxes: what waits for an object while a turn of it, or its load, is under way.
//!
//! An entry stands here only while somebody owns the object's turn; at rest an object has none. The owner is a task or a
//! handler that holds an [`Owner`], the only thing that can take an entry away.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::snapshot::Snapshot;
use super::turn::{EditCall, Keyed};
use crate::error::{Error, Kind, Result};
use crate::locks::{Hold, Tier};
use crate::model::{KeyHash, ObjectKey};

const SHARDS: usize = 64;

/// A published state, and the Hold it is of: only while that one stands may it be shown.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) hold: Arc<Hold>,
    pub(crate) snapshot: Arc<Snapshot>,
    /// Where it was found, for those who waited for that.
    pub(crate) tier: Tier,
}

/// What a reader that waits for a load gets.
pub(crate) type LoadReply = oneshot::Sender<Result<Shown>>;

#[derive(Default)]
struct Mailbox {
    /// The last published state, so that views need not wait for the running turn when L1 has forgotten it.
    published: Option<Shown>,
    calls: VecDeque<EditCall>,
    loads: Vec<LoadReply>,
    /// The keyed calls of the running turn.
    running: Vec<Keyed>,
}

/// What is known of an object that is not at rest.
#[cfg(feature = "http")]
pub(crate) struct AtWork<T> {
    /// The version that its readers are shown.
    pub(crate) published: Option<crate::model::Version>,
    /// The calls that wait for the turn under way.
    pub(crate) calls: Vec<T>,
    /// How many reads wait for a load.
    pub(crate) reads: usize,
}

type Shard = HashMap<ObjectKey, Mailbox, KeyHash>;

/// All mailboxes of a process.
pub(crate) struct Mailboxes {
    shards: Vec<Mutex<Shard>>,
    queue_max: usize,
}

/// What became of a call that came in.
pub(crate) enum Entered<T> {
    /// Nobody runs the object: the caller does, with his call.
    Owner(Owner, T),
    /// It waits, or was answered already.
    Waits,
    /// It cannot wait.
    Refused(Error),
}

/// What a reader finds.
pub(crate) enum Reader {
    /// A published state.
    Published(Shown),
    /// The answer will come.
    Waits(oneshot::Receiver<Result<Shown>>),
    /// Nobody runs the object: the caller loads it, for himself too.
    Owner(Owner, oneshot::Receiver<Result<Shown>>),
    /// Too many wait.
    Refused(Error),
}

impl Mailboxes {
    pub(crate) fn new(queue_max: usize) -> Arc<Self> {
        Arc::new(Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), queue_max })
    }

    /// How many objects are not at rest.
    pub(crate) fn len(&self) -> usize {
        (0..SHARDS).map(|at| self.lock(at).len()).sum()
    }

    /// Brings a call in. `queued` turns it into one that can wait, only if it has to.
    pub(crate) fn enter<T>(
        self: &Arc<Self>,
        key: &ObjectKey,
        call: T,
        keyed: Option<&Keyed>,
        queued: impl FnOnce(T) -> EditCall,
    ) -> Entered<T> {
        let mut shard = self.shard(key);
        match shard.get_mut(key) {
            None => {
                let running = keyed.cloned().into_iter().collect();
                shard.insert(key.clone(), Mailbox { running, ..Mailbox::default() });
                Entered::Owner(self.owner(key), call)
            }
            Some(mailbox) => {
                if let Some(error) = keyed.and_then(|keyed| keyed.meets(&mailbox.running)) {
                    return Entered::Refused(error);
                }
                if mailbox.calls.len() >= self.queue_max {
                    return Entered::Refused(busy(self.queue_max));
                }
                mailbox.calls.push_back(queued(call));
                Entered::Waits
            }
        }
    }

    /// Looks for a published state where L1 has none.
    pub(crate) fn read(self: &Arc<Self>, key: &ObjectKey) -> Reader {
        let mut shard = self.shard(key);
        let (reply, answer) = oneshot::channel();
        match shard.get_mut(key) {
            None => {
                shard.insert(key.clone(), Mailbox { loads: vec![reply], ..Mailbox::default() });
                Reader::Owner(self.owner(key), answer)
            }
            Some(mailbox) => {
                // What was published under a Hold that ended since is of a time that is over.
                if let Some(shown) = mailbox.published.as_ref().filter(|shown| shown.hold.is_good()) {
                    return Reader::Published(shown.clone());
                }
                if mailbox.loads.len() >= self.queue_max {
                    return Reader::Refused(busy(self.queue_max));
                }
                mailbox.loads.push(reply);
                Reader::Waits(answer)
            }
        }
    }

    /// What stands in the mailbox of an object, if it has one: for people. Nothing is changed.
    #[cfg(feature = "http")]
    pub(crate) fn look<T>(&self, key: &ObjectKey, see: impl FnMut(&EditCall) -> T) -> Option<AtWork<T>> {
        let shard = self.shard(key);
        let mailbox = shard.get(key)?;
        Some(AtWork {
            published: mailbox
                .published
                .as_ref()
                .and_then(|shown| shown.snapshot.seen.as_ref())
                .map(|seen| seen.version),
            calls: mailbox.calls.iter().map(see).collect(),
            reads: mailbox.loads.len(),
        })
    }

    fn owner(self: &Arc<Self>, key: &ObjectKey) -> Owner {
        Owner { mailboxes: Some(Arc::clone(self)), key: key.clone() }
    }

    fn shard(&self, key: &ObjectKey) -> MutexGuard<'_, Shard> {
        self.lock((key.hash64() >> 32) as usize % SHARDS)
    }

    fn lock(&self, at: usize) -> MutexGuard<'_, Shard> {
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn busy(queue_max: usize) -> Error {
    Error::new(Kind::ObjectBusy, format!("{queue_max} calls wait for this object already"))
}

/// The right to run one object's turns. While it lives, the object has a mailbox.
pub(crate) struct Owner {
    /// `None` once the mailbox is gone.
    mailboxes: Option<Arc<Mailboxes>>,
    key: ObjectKey,
}

impl Owner {
    pub(crate) fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// Shows a state to the readers that wait and to those that come while the turn runs.
    pub(crate) fn publish(&self, hold: &Arc<Hold>, snapshot: &Arc<Snapshot>, tier: Tier) {
        debug_assert!(snapshot.to_seal.is_none(), "a state is shown that is not sealed");
        let Some(mailboxes) = &self.mailboxes else { return };
        let mut shard = mailboxes.shard(&self.key);
        let Some(mailbox) = shard.get_mut(&self.key) else { return };
        let shown = Shown { hold: Arc::clone(hold), snapshot: Arc::clone(snapshot), tier };
        mailbox.published = Some(shown.clone());
        let loads = std::mem::take(&mut mailbox.loads);
        drop(shard);
        for load in loads {
            let _ = load.send(Ok(shown.clone()));
        }
    }

    /// The calls of the turn run no more: their keys may be asked for again.
    pub(crate) fn end_turn(&self) {
        let Some(mailboxes) = &self.mailboxes else { return };
        if let Some(mailbox) = mailboxes.shard(&self.key).get_mut(&self.key) {
            mailbox.running.clear();
        }
    }

    /// The calls of the next turn: every plain edit that waits, up to `max`, or one async edit. `None`: nothing waits, and
    /// the mailbox is gone.
    pub(crate) fn next(mut self, max: usize) -> Option<(Self, Vec<EditCall>)> {
        let mailboxes = self.mailboxes.take()?;
        let mut shard = mailboxes.shard(&self.key);
        let mailbox = shard.get_mut(&self.key)?;
        mailbox.running.clear();
        if mailbox.calls.is_empty() && mailbox.loads.is_empty() {
            shard.remove(&self.key);
            return None;
        }
        let plain = mailbox.calls.iter().take(max).take_while(|call| !call.is_async()).count();
        let batch: Vec<_> = mailbox.calls.drain(..plain.max(1).min(mailbox.calls.len())).collect();
        mailbox.running.extend(batch.iter().filter_map(|call| call.keyed.clone()));
        drop(shard);
        self.mailboxes = Some(mailboxes);
        Some((self, batch))
    }

    /// Ends a turn that nobody joined. Where somebody waits meanwhile, the owner goes on with what was published.
    pub(crate) fn release(mut self, hold: &Arc<Hold>, published: &Arc<Snapshot>) -> Option<Self> {
        let mailboxes = self.mailboxes.take()?;
        let mut shard = mailboxes.shard(&self.key);
        let mailbox = shard.get_mut(&self.key)?;
        if mailbox.calls.is_empty() && mailbox.loads.is_empty() {
            shard.remove(&self.key);
            return None;
        }
        drop(shard);
        self.mailboxes = Some(mailboxes);
        self.publish(hold, published, Tier::L1);
        Some(self)
    }

    /// Puts calls back to the head of the queue.
    pub(crate) fn put_back(&self, calls: Vec<EditCall>) {
        let Some(mailboxes) = &self.mailboxes else { return };
        if let Some(mailbox) = mailboxes.shard(&self.key).get_mut(&self.key) {
            for call in calls.into_iter().rev() {
                mailbox.calls.push_front(call);
            }
        }
    }

    /// Answers everything that waits with an error and takes the mailbox away.
    pub(crate) fn fail(mut self, error: &Error) {
        self.empty(error);
    }

    fn empty(&mut self, error: &Error) {
        let Some(mailboxes) = self.mailboxes.take() else { return };
        let Some(mailbox) = mailboxes.shard(&self.key).remove(&self.key) else { return };
        for call in mailbox.calls {
            call.answer(Err(error.clone()));
        }
        for load in mailbox.loads {
            let _ = load.send(Err(error.clone()));
        }
    }
}

/// An owner that is gone without a word had a bug; nobody may wait for him.
impl Drop for Owner {
    fn drop(&mut self) {
        self.empty(&Error::internal("the owner of a turn is gone"));
    }
}

impl std::fmt::Debug for Mailboxes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailboxes").finish_non_exhaustive()
    }
}
