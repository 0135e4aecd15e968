//! Rules of the protocol, each broken from outside: between a process and its store, or the other nodes, something does, and
//! leaves undone, what a process that broke the rule would.
//!
//! So the code that is tested is the code that is shipped, and there is no switch in it. Each variant says why it is the
//! same as the rule broken inside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use remote_object::clock::Instant;
use remote_object::model::{
    Caps, Cas, Entry, Loaded, ObjectKey, Page, Put, Record, Register, Rev, Scan, Seen, Version,
};
use remote_object::objects::{Forward, Forwarded, Peer, Peers};
use remote_object::storage::Datastore;
use remote_object::{Error, Result};
use xxhash_rust::xxh3::xxh3_64;

/// A rule that is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// R3: what a former owner left is shown without a seal. A seal is the one put that has the state of the last load or
    /// put; answered `Stored` and not done, it leaves the process as if it had been left out: an ordered store does not
    /// look at what a put builds upon, and the number that the seal used up is nobody's.
    Seal,
    /// R3, half: a process seals what it wrote itself, and takes what it finds after its start for settled. The same, for
    /// seals of records that this process never put.
    SealAfterRestart,
    /// R4: the set of unsettled objects is forgotten, so that an object whose put was given up is loaded under the same
    /// epoch as one at rest. The same, for seals of a record of the epoch they are under: there are no others.
    UnsettledSet,
    /// R4: a put that was not answered is encoded anew. What is encoded is not what was kept: members in another order,
    /// and a meta with the hash of that. Changed here on the way out, as it would be there.
    SameBytes,
    /// R4: a put that was not answered counts as stored. The answer is changed on the way in.
    UnknownIsStored,
    /// R4: a put that was not answered counts as without effect. The answer is changed on the way in.
    UnknownIsRefused,
    /// R5: no confirm. The own row is read once, and what it said then is what every later read of it is told.
    Confirm,
    /// R5: a confirm that began before the put's answer counts. The row is read as a put is sent, and what it said then
    /// is what the next read of it is told.
    ConfirmAfterTheAck,
    /// R2: a `dead` that was read needs not be written. The write is answered `Applied` and not done.
    KillByAnAppliedWrite,
    /// §8: what is known of an object's version outlives the Hold under which it was learned. So the store is not asked for the
    /// version, and the entry of a cache that has the old one is taken.
    IndexOfTheHold,
    /// R12: a question that was sent before does not say so, and is not asked whether it may have been forgotten.
    Resent,
    /// R11, R12: a question does not say for which life of the other process it is: one that lay about is answered by the next.
    ForItsLife,
    /// R11: a question that a third node handed on, and that was not answered, counts as not sent. The answer is changed on the
    /// way in.
    LostOnTheWayRound,
}

/// A store under a process that breaks a rule.
#[derive(Debug)]
pub struct Broken {
    inner: Arc<dyn Datastore>,
    rule: Rule,
    memory: Mutex<Memory>,
}

#[derive(Default, Debug)]
struct Memory {
    /// The last record this process loaded or put.
    last: BTreeMap<ObjectKey, Record>,
    /// The versions of its puts.
    own: BTreeSet<Version>,
    /// What this process knows of rows of lives.
    rows: BTreeMap<String, Entry>,
    /// The last of these it read by itself: a confirm reads its own.
    confirming: Option<Register>,
}

impl Broken {
    pub fn under(inner: Arc<dyn Datastore>, rule: Rule) -> Arc<Self> {
        Arc::new(Self { inner, rule, memory: Mutex::default() })
    }

    /// Whether this put is a seal that the rule asked for.
    fn is_left_out(&self, key: &ObjectKey, record: &Record) -> bool {
        let memory = self.memory.lock().unwrap();
        let Some(last) = memory.last.get(key) else { return false };
        let is_seal = last.state == record.state && last.version < record.version;
        is_seal
            && match self.rule {
                Rule::Seal => true,
                Rule::SealAfterRestart => !memory.own.contains(&last.version),
                Rule::UnsettledSet => last.version.epoch() == record.version.epoch(),
                _ => false,
            }
    }

    fn has_read_dead(&self, register: &Register) -> bool {
        let memory = self.memory.lock().unwrap();
        let row = memory.rows.get(register.name()).map(|row| String::from_utf8_lossy(&row.value).into_owned());
        row.is_some_and(|row| row.contains(r#""state":"dead""#))
    }

    /// What is sent, and whether it was sent before.
    fn sent(&self, key: &ObjectKey, record: &Record) -> Record {
        let mut memory = self.memory.lock().unwrap();
        memory.last.insert(key.clone(), record.clone());
        let again = !memory.own.insert(record.version);
        if again && self.rule == Rule::SameBytes { encoded_anew(record) } else { record.clone() }
    }
}

/// The same state with its two members in the other order, under a meta that fits it.
fn encoded_anew(record: &Record) -> Record {
    let state: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&record.state).unwrap();
    let state = serde_json::to_vec(&state).unwrap();
    let hash = |state: &[u8]| xxh3_64(state).to_be_bytes();
    let (old, new) = (hash(&record.state), hash(&state));
    let mut meta = record.meta.to_vec();
    let at = meta.windows(old.len()).position(|bytes| bytes == old).expect("the hash of the state");
    meta[at..at + old.len()].copy_from_slice(&new);
    Record { version: record.version, state: state.into(), meta: Bytes::from(meta) }
}

impl Datastore for Broken {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn get<'a>(&'a self, register: &'a Register) -> BoxFuture<'a, Result<Option<Entry>>> {
        let remembers = [Rule::Confirm, Rule::ConfirmAfterTheAck, Rule::KillByAnAppliedWrite].contains(&self.rule);
        if !remembers || !register.name().starts_with("node/") {
            return self.inner.get(register);
        }
        Box::pin(async move {
            let known = {
                let mut memory = self.memory.lock().unwrap();
                match self.rule {
                    Rule::Confirm => memory.rows.get(register.name()).cloned(),
                    Rule::ConfirmAfterTheAck => {
                        memory.confirming = Some(register.clone());
                        memory.rows.remove(register.name())
                    }
                    _ => None,
                }
            };
            if known.is_some() {
                return Ok(known);
            }
            let found = self.inner.get(register).await?;
            if self.rule == Rule::ConfirmAfterTheAck {
                return Ok(found);
            }
            if let Some(found) = &found {
                self.memory.lock().unwrap().rows.insert(register.name().to_owned(), found.clone());
            }
            Ok(found)
        })
    }

    fn cas<'a>(&'a self, register: &'a Register, seen: Option<&'a Rev>, new: &'a [u8]) -> BoxFuture<'a, Cas> {
        Box::pin(async move {
            if self.rule == Rule::KillByAnAppliedWrite && self.has_read_dead(register) {
                return Cas::Applied(Rev::Number(0));
            }
            let answer = self.inner.cas(register, seen, new).await;
            // Its own changes it knows of.
            self.memory.lock().unwrap().rows.remove(register.name());
            answer
        })
    }

    fn remove<'a>(&'a self, register: &'a Register, seen: &'a Rev) -> BoxFuture<'a, Result<bool>> {
        self.inner.remove(register, seen)
    }

    fn load<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Loaded>>> {
        Box::pin(async move {
            let found = self.inner.load(key).await?;
            if let Some(found) = &found {
                self.memory.lock().unwrap().last.insert(key.clone(), found.record.clone());
            }
            Ok(found)
        })
    }

    fn version<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Version>>> {
        let known = self.memory.lock().unwrap().last.get(key).map(|record| record.version);
        match (self.rule, known) {
            (Rule::IndexOfTheHold, Some(version)) => Box::pin(async move { Ok(Some(version)) }),
            _ => self.inner.version(key),
        }
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, seen: Option<&'a Seen>, record: &'a Record) -> BoxFuture<'a, Put> {
        Box::pin(async move {
            if self.is_left_out(key, record) {
                return Put::Stored(Rev::Number(record.version.as_u64()));
            }
            let sent = self.sent(key, record);
            let confirming = self.memory.lock().unwrap().confirming.clone();
            if let Some(register) = confirming
                && let Ok(Some(row)) = self.inner.get(&register).await
            {
                self.memory.lock().unwrap().rows.insert(register.name().to_owned(), row);
            }
            match (self.inner.put(key, seen, &sent).await, self.rule) {
                (Put::Unknown(_), Rule::UnknownIsStored) => Put::Stored(Rev::Number(record.version.as_u64())),
                (Put::Unknown(error), Rule::UnknownIsRefused) => Put::Refused(error),
                (answer, _) => answer,
            }
        })
    }

    fn hint<'a>(&'a self, shard: u32, key: &'a ObjectKey, due: Option<u64>, version: Version) -> BoxFuture<'a, Put> {
        self.inner.hint(shard, key, due, version)
    }

    fn scan<'a>(&'a self, what: &'a Scan, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Page>> {
        self.inner.scan(what, after, limit)
    }

    fn purge(&self) -> BoxFuture<'_, Result<u64>> {
        self.inner.purge()
    }

    fn failed(&self) -> BoxFuture<'_, Error> {
        self.inner.failed()
    }
}

/// Other nodes, beside a process that breaks a rule.
#[derive(Debug)]
pub struct BrokenPeers {
    inner: Arc<dyn Peers>,
    rule: Rule,
}

impl BrokenPeers {
    pub fn beside(inner: Arc<dyn Peers>, rule: Rule) -> Arc<Self> {
        Arc::new(Self { inner, rule })
    }
}

impl Peers for BrokenPeers {
    fn ask(&self, peer: &Peer, mut asked: Forward) -> BoxFuture<'static, Forwarded> {
        match self.rule {
            Rule::Resent => asked.way.resent = None,
            Rule::ForItsLife => asked.way.life = None,
            _ => {}
        }
        let (is_round, asking) = (asked.way.relay, self.inner.ask(peer, asked));
        if self.rule != Rule::LostOnTheWayRound || !is_round {
            return asking;
        }
        Box::pin(async move {
            match asking.await {
                Forwarded::Lost(error) => Forwarded::Unsent(error),
                forwarded => forwarded,
            }
        })
    }

    fn explain(&self, peer: &Peer, key: &ObjectKey, deadline: Instant) -> BoxFuture<'static, Result<Bytes>> {
        self.inner.explain(peer, key, deadline)
    }
}
