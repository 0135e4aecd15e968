//! What there is to know of one object, told by the node that has it: any node asks that one. Nothing is changed by it: no
//! shard is taken, nothing is loaded into L1, nothing is counted.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;

use super::host::Host;
use super::mailbox::AtWork;
use super::request::Op;
use super::snapshot::Snapshot;
use super::story::{ABSENT, Memory, Story, Waiting, tell};
use super::turn::EditCall;
use crate::clock::{self, Instant};
use crate::error::{Error, Kind, Result};
use crate::locks::Peer;
use crate::model::{ObjectKey, Version};

/// How often the registers are read to find who is to be asked: the shard may move meanwhile.
const TRIES: usize = 3;
/// What is left of the deadline is for so many answers of the store.
const QUESTIONS: u32 = 6;

impl Host {
    #[doc(hidden)]
    /// All there is to know of an object, as JSON, from the node that has it; where none can be asked, from this one. `store`
    /// is the store's name for people.
    ///
    /// # Errors
    /// `store-unavailable` when the store has failed for good; `deadline-exceeded`.
    pub async fn explain(&self, key: &ObjectKey, store: &str, deadline: Instant) -> Result<Bytes> {
        self.0.locks.ready()?;
        if !self.is_shared() {
            return self.explain_here(key, store, deadline, None).await;
        }
        let is_here = self.0.locks.held(key).is_some();
        let mut why = None;
        for _ in 0..TRIES {
            let left = deadline.saturating_duration_since(clock::now());
            // What this node remembers of owners may be of before: the register is not.
            let peer = match tokio::time::timeout(left / QUESTIONS, self.0.locks.whom_to_ask(key)).await {
                Ok(Ok(Some(peer))) => peer,
                Ok(Ok(None)) => break,
                // Then the story says so of the owner.
                Ok(Err(_)) | Err(_) if is_here => break,
                Ok(Err(error)) => {
                    why = Some(error.message().to_owned());
                    break;
                }
                Err(_) => {
                    why = Some("the store did not say in time who owns it".to_owned());
                    break;
                }
            };
            match self.explain_there(&peer, key, clock::now() + left / 2).await {
                Ok(told) => return Ok(told),
                Err(error) => {
                    why = Some(format!("{} was asked: {}", peer.addr, error.message()));
                    if error.kind() != Kind::WrongNode {
                        break;
                    }
                }
            }
        }
        self.explain_here(key, store, deadline, why).await
    }

    async fn explain_there(&self, peer: &Peer, key: &ObjectKey, deadline: Instant) -> Result<Bytes> {
        match &self.0.peers {
            Some(peers) => peers.explain(peer, key, deadline).await,
            None => Err(Error::internal("this program has no client to ask other nodes with")),
        }
    }

    #[doc(hidden)]
    /// The same, as this node knows it. `why`: why the one that has it could not be asked.
    ///
    /// # Errors
    /// As [`Host::explain`].
    pub async fn explain_here(
        &self,
        key: &ObjectKey,
        store: &str,
        deadline: Instant,
        why: Option<String>,
    ) -> Result<Bytes> {
        let left = deadline.saturating_duration_since(clock::now());
        // Of a shard that another node has there is nothing here.
        let remember = || Some(self.memory(key)).filter(|memory| memory.epoch.is_some() || memory.at_work);
        let newest = self.0.locks.newest_format();
        let told = tell(self.0.locks.look(), key, store.to_owned(), left / QUESTIONS, newest, remember);
        let late = |_| Error::new(Kind::DeadlineExceeded, "the deadline passed before all was found out");
        let mut story: Story = tokio::time::timeout_at(deadline, told).await.map_err(late)?;
        if let Some(why) = why {
            story.unknown.insert("memory".to_owned(), why);
        }
        let json = serde_json::to_vec(&story).map_err(|error| Error::internal(error.to_string()))?;
        Ok(json.into())
    }

    #[doc(hidden)]
    /// Whether a question to this life (`None`: whoever it is) is to be answered here.
    ///
    /// # Errors
    /// `wrong-node` when it is to another one, or this node has not the object's shard.
    pub fn has(&self, key: &ObjectKey, life: Option<&str>) -> Result<()> {
        let is_meant = self.0.locks.is_meant(key, life, Version::default());
        if is_meant && self.0.locks.having(key).epoch.is_some() {
            return Ok(());
        }
        Err(Error::new(Kind::WrongNode, "this object has another owner since"))
    }

    /// What this node knows of an object by heart.
    fn memory(&self, key: &ObjectKey) -> Memory {
        let having = self.0.locks.having(key);
        let now = clock::now();
        let see = |call: &EditCall| Waiting {
            operation: operation(&call.op).to_owned(),
            keyed: call.keyed.is_some(),
            left_ms: call.frame.deadline.saturating_duration_since(now).as_millis() as u64,
        };
        let work: Option<AtWork<Waiting>> = self.0.mailboxes.look(key, see);
        let published = having.published.map(|published| published as Arc<dyn Any + Send + Sync>);
        let published = published.and_then(|published| published.downcast::<Snapshot>().ok());
        let l1 = published.map(|snapshot| snapshot.seen.as_ref().map(|seen| seen.version));
        let shown = work.as_ref().and_then(|work| work.published).map(Some);
        let mut waits_for = Vec::new();
        if having.giving_back {
            waits_for.push("its shard, which is being given to another node".to_owned());
        }
        if let Some(doubt) = having.doubt {
            waits_for.push(format!("the store, which does not say what became of {doubt}, and is asked again"));
        } else if work.is_some() && having.committing > 0 {
            let turns = having.committing;
            waits_for.push(format!("the store: of its shard, turns between their put and their confirm: {turns}"));
        }
        let others = self.0.waits.of(key);
        waits_for.extend(others.iter().map(|other| format!("the answer of {}", other.path())));
        if work.is_some() && waits_for.is_empty() {
            waits_for.push("its own method, or its load from the store".to_owned());
        }
        if having.unsettled {
            waits_for.push("its next load, which seals it: its last put was given up without an answer".to_owned());
        }
        let at_work = work.is_some();
        let (calls, reads) = work.map_or_else(Default::default, |work| (work.calls, work.reads));
        Memory {
            node: having.node,
            incarnation: having.incarnation,
            epoch: having.epoch,
            l1: l1.or(shown).map(|version| version.map_or_else(|| ABSENT.to_owned(), |version| version.to_string())),
            agrees: None,
            at_work,
            waits_for,
            calls,
            reads,
        }
    }
}

/// What a call asks, for people.
fn operation(op: &Op) -> &'static str {
    match op {
        Op::Call(method, _) => method.name,
        Op::Get => "GET",
        Op::Replace(_) => "PUT",
        Op::Patch(_) => "PATCH",
        Op::Delete => "DELETE",
        Op::Create(_) => "POST",
    }
}
