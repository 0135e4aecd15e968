//! All there is to know of one object, for people: what the registers, the caches, the store and the memory of the node that
//! has it say, and whether they agree. Nothing is changed by asking.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::inside::{Inside, inside};
use super::record::format_of;
use crate::error::{Error, Kind, Result};
use crate::locks::{Copy, Held, Incarnation, Look, Ownership};
use crate::model::{ObjectKey, Record, Version};

/// What was found of an object. As JSON it is what a node answers, and what `explain --json` prints.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Story {
    pub(crate) uri: String,
    /// The store: its URL without a password, or its name where a node tells it.
    pub(crate) store: String,
    /// Whether one process has the store for itself.
    pub(crate) exclusive: bool,
    /// Who took the shard last, unless it was given back.
    pub(crate) owner: Option<Owner>,
    /// `None`: nobody has ever served from this store.
    pub(crate) shard: Option<Shard>,
    pub(crate) record: Option<Stored>,
    /// Why the record cannot be served, if so.
    pub(crate) corrupt: Option<String>,
    /// Each cache server that should have the object.
    pub(crate) cache: Vec<Copied>,
    /// The node that has the object; `None` where no node was asked, or none has it.
    pub(crate) memory: Option<Memory>,
    pub(crate) hint: Option<Hint>,
    /// The newest first.
    pub(crate) keyed_calls: Vec<Keyed>,
    /// The version of the newest keyed call that was forgotten.
    pub(crate) forgotten: Option<String>,
    /// What should not be: one sentence each.
    pub(crate) wrong: Vec<String>,
    /// Which of the above could not be found out, and why.
    pub(crate) unknown: BTreeMap<String, String>,
}

/// The process that took the shard last.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Owner {
    pub(crate) incarnation: String,
    /// `None`: it never joined, or the store is one process's alone.
    pub(crate) node: Option<String>,
    pub(crate) up: bool,
    pub(crate) draining: bool,
    pub(crate) beat: Option<u64>,
    pub(crate) address: Option<String>,
    /// When it joined, in milliseconds since the Unix epoch, by its own clock.
    pub(crate) since: Option<u64>,
    /// The newest record format it reads and writes.
    pub(crate) format: Option<u32>,
}

/// The object's shard.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Shard {
    pub(crate) number: u32,
    pub(crate) of: u32,
    pub(crate) epoch: u32,
}

/// What the store has.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Stored {
    pub(crate) version: String,
    /// The record's format.
    pub(crate) format: u32,
    pub(crate) state_bytes: usize,
    pub(crate) meta_bytes: usize,
    pub(crate) deleted: bool,
    /// The version of the last change of the state; `None` where the record cannot be read.
    pub(crate) changed: Option<String>,
    pub(crate) born: Option<String>,
}

/// What a cache server has of it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Copied {
    pub(crate) server: String,
    pub(crate) version: Option<String>,
    pub(crate) agrees: bool,
    pub(crate) says: Agreement,
    pub(crate) error: Option<String>,
}

/// How what a cache server has goes with the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Agreement {
    /// It, or the store, did not say.
    #[default]
    Unknown,
    /// It has nothing: that is as good.
    Nothing,
    /// It has what is no entry of this object.
    Other,
    /// It has the very same.
    Same,
    /// Of before: never used.
    Older,
    /// Of a version that the store has not come to.
    Newer,
    /// The same version, with other bytes.
    Differs,
}

/// What the node that has the object knows by heart.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Memory {
    pub(crate) node: String,
    pub(crate) incarnation: String,
    /// Under which epoch it has the shard.
    pub(crate) epoch: Option<u32>,
    /// The version in L1, or `absent`: it knows that nothing is there; `None`: it has nothing in L1.
    pub(crate) l1: Option<String>,
    /// Whether that is what the store has; `None` where there is nothing to compare, or it moved meanwhile.
    pub(crate) agrees: Option<bool>,
    /// Whether a turn or a load of it is under way.
    pub(crate) at_work: bool,
    /// What that waits for.
    pub(crate) waits_for: Vec<String>,
    /// The calls that wait for it, the first first.
    pub(crate) calls: Vec<Waiting>,
    /// How many reads wait for a load.
    pub(crate) reads: usize,
}

/// A call that waits.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Waiting {
    /// The method, or the verb.
    pub(crate) operation: String,
    pub(crate) keyed: bool,
    /// Until its deadline, in milliseconds.
    pub(crate) left_ms: u64,
}

/// When the object wants to be looked at.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Hint {
    pub(crate) due: u64,
    pub(crate) version: String,
}

/// A keyed call that is remembered.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Keyed {
    pub(crate) version: String,
    pub(crate) key_hash: String,
    pub(crate) answered: String,
    /// `None`: it was too large to keep.
    pub(crate) reply_bytes: Option<usize>,
}

/// Gathers it. `store` is the store's name for people; `remember` tells what a node has in memory, where one is asked;
/// `patience` is how long the store may take for one answer; `newest` is the newest record format that is read.
pub(crate) async fn tell(
    look: Look<'_>,
    key: &ObjectKey,
    store: String,
    patience: Duration,
    newest: u32,
    remember: impl Fn() -> Option<Memory>,
) -> Story {
    let mut story = Story { uri: key.path(), store, exclusive: look.is_exclusive(), ..Story::default() };
    // From what is written last to what is written first: L1, the caches, the store. And L1 again, since it may move on.
    let before = remember();
    let copies = look.copies(key).await;
    let mut ownership = story.ask("owner", patience, look.ownership(key)).await.flatten();
    let epoch = |ownership: &Option<Ownership>| ownership.as_ref().map_or(0, |ownership| ownership.epoch);
    let found = match story.ask("record", patience, record(look, key)).await {
        Some(Ok(found)) => Some(found),
        Some(Err(why)) => {
            story.corrupt = Some(why);
            None
        }
        None => None,
    };
    let record = found.as_ref().and_then(Option::as_ref);
    if record.is_some_and(|record| record.version.epoch() > epoch(&ownership)) {
        // The shard may have been taken in between.
        ownership = story.ask("owner", patience, look.ownership(key)).await.flatten();
    }
    story.see_owner(look, ownership.as_ref(), patience).await;
    if let Some(record) = record {
        story.see_record(record, epoch(&ownership), newest);
    }
    if let Some(why) = &story.corrupt {
        story.wrong.push(format!(
            "the record cannot be served ({why}): the object is answered with 500 record-corrupt and never overwritten; \
             restore it, or mend it"
        ));
    }
    copies.into_iter().for_each(|copy| story.see_copy(copy, found.as_ref().map(Option::as_ref)));
    if let Some(Ownership { shard, .. }) = ownership {
        let hint = story.ask("hint", patience, look.hint(shard, key)).await.flatten();
        story.hint = hint.map(|(due, version)| Hint { due, version: version.to_string() });
    }
    if let (Some(before), Some(after)) = (before, remember()) {
        story.see_memory(&before, after, found.as_ref().map(|found| found.as_ref().map(|record| record.version)));
    }
    story
}

/// The record; or what is there that is none, which the store itself sees.
async fn record(look: Look<'_>, key: &ObjectKey) -> Result<Result<Option<Record>, String>> {
    match look.record(key).await {
        Ok(record) => Ok(Ok(record)),
        Err(error) if error.kind() == Kind::RecordCorrupt => {
            Ok(Err(error.detail().unwrap_or(error.message()).to_owned()))
        }
        Err(error) => Err(error),
    }
}

impl Story {
    /// One question to the store.
    async fn ask<T>(
        &mut self,
        what: &str,
        patience: Duration,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Option<T> {
        let why = match tokio::time::timeout(patience, answer).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => error.message().to_owned(),
            Err(_) => format!("the store did not answer within {:.1} s", patience.as_secs_f64()),
        };
        self.unknown.insert(what.to_owned(), why);
        None
    }

    async fn see_owner(&mut self, look: Look<'_>, ownership: Option<&Ownership>, patience: Duration) {
        let Some(Ownership { shard, shards, epoch, owner }) = ownership else { return };
        self.shard = Some(Shard { number: *shard, of: *shards, epoch: *epoch });
        let Some(id) = owner else { return };
        let life = match self.exclusive {
            true => None,
            false => self.ask("owner", patience, look.incarnation(id)).await.flatten(),
        };
        let owner = Owner { incarnation: id.clone(), ..Owner::default() };
        self.owner = Some(life.map_or(owner, |life| {
            let Incarnation { id, node, up, beat, address, draining, format, since } = life;
            Owner {
                incarnation: id,
                node: Some(node),
                up,
                draining,
                beat: Some(beat),
                address: (!address.is_empty()).then_some(address),
                since: (since > 0).then_some(since),
                format: (format > 0).then_some(format),
            }
        }));
    }

    fn see_record(&mut self, record: &Record, epoch: u32, newest: u32) {
        let mut stored = Stored {
            version: record.version.to_string(),
            format: format_of(&record.meta),
            state_bytes: record.state.len(),
            meta_bytes: record.meta.len(),
            deleted: record.is_deleted(),
            ..Stored::default()
        };
        if stored.format > newest {
            self.wrong.push(format!(
                "the record is of format {}, and this build reads formats up to {newest}: ask with a release that reads it",
                stored.format
            ));
            self.record = Some(stored);
            return;
        }
        match inside(record, newest) {
            Ok(Inside { changed, born, keyed, horizon, .. }) => {
                (stored.changed, stored.born) = (Some(changed.to_string()), Some(born.to_string()));
                self.forgotten = (horizon != Version::default()).then(|| horizon.to_string());
                let keyed = keyed.into_iter().rev().map(|call| Keyed {
                    version: call.version.to_string(),
                    key_hash: call.key_hash,
                    answered: call.answered.to_owned(),
                    reply_bytes: call.reply_bytes,
                });
                self.keyed_calls = keyed.collect();
            }
            Err(why) => self.corrupt = Some(why),
        }
        self.record = Some(stored);
        if record.version.epoch() > epoch && !self.unknown.contains_key("owner") {
            self.wrong.push(format!(
                "the record is of epoch {}, its shard of epoch {epoch}: somebody else wrote it, or the registers were \
                 restored from an older backup than the objects",
                record.version.epoch()
            ));
        }
    }

    /// `there`: what the store has, where that is known.
    fn see_copy(&mut self, copy: Copy, there: Option<Option<&Record>>) {
        let version = match &copy.held {
            Ok(Held::Record(held)) => Some(held.version.to_string()),
            _ => None,
        };
        let says = agreement(&copy, there);
        let why = match (says, &version) {
            (Agreement::Newer, Some(version)) => Some(format!("has version {version}, which the store never had")),
            (Agreement::Differs, _) => Some("has the store's version with other bytes".to_owned()),
            _ => None,
        };
        self.wrong.extend(why.map(|why| {
            format!(
                "{} {why}: it is of another history of this store, which was restored or copied; empty the caches, or \
                 stop the servers and raise the epochs",
                copy.server
            )
        }));
        let agrees = says == Agreement::Same;
        self.cache.push(Copied { server: copy.server, version, agrees, says, error: copy.held.err() });
    }

    /// What the node had in memory before the store was asked, and what it has now.
    fn see_memory(&mut self, before: &Memory, mut after: Memory, there: Option<Option<Version>>) {
        let there = there.map(|there| there.map_or_else(|| ABSENT.to_owned(), |version| version.to_string()));
        // Else its life is over, and it is about to notice.
        let owns = self.owner.as_ref().is_some_and(|owner| owner.incarnation == after.incarnation);
        let moves = before.at_work || after.at_work || before.l1 != after.l1 || before.epoch != after.epoch;
        after.agrees = match (&after.l1, &there) {
            (Some(l1), Some(there)) if l1 == there => Some(true),
            (Some(_), Some(_)) if !moves => Some(false),
            _ => None,
        };
        if let (Some(l1), Some(there), Some(false), true) = (&after.l1, &there, after.agrees, owns) {
            self.wrong.push(format!(
                "{} has version {l1} in L1 and nothing under way, and the store has {there}: somebody else wrote the \
                 record, or the store was put back while servers ran; stop them, and start them again",
                after.node
            ));
        }
        if self.exclusive
            && let Some(owner) = &mut self.owner
        {
            (owner.node, owner.up) = (Some(after.node.clone()), owner.incarnation == after.incarnation);
        }
        self.memory = Some(after);
    }
}

/// What L1 says of an object that is not there.
pub(crate) const ABSENT: &str = "absent";

fn agreement(copy: &Copy, there: Option<Option<&Record>>) -> Agreement {
    let version = there.map(|there| there.map(|record| record.version).unwrap_or_default());
    match (&copy.held, there, version) {
        (Ok(Held::Nothing), ..) => Agreement::Nothing,
        (Ok(Held::Other), ..) => Agreement::Other,
        (Ok(Held::Record(held)), Some(there), Some(_)) if Some(held) == there => Agreement::Same,
        (Ok(Held::Record(held)), _, Some(version)) if held.version < version => Agreement::Older,
        (Ok(Held::Record(held)), _, Some(version)) if held.version > version => Agreement::Newer,
        (Ok(Held::Record(_)), _, Some(_)) => Agreement::Differs,
        (Err(_), ..) | (Ok(Held::Record(_)), _, None) => Agreement::Unknown,
    }
}
