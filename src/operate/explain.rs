//! `explain`: where one object is, who may run it, and whether all who have it agree. It only reads.

use serde_json::{Map, Value, json};

use super::Target;
use super::console::say;
use crate::cache::{Copy, Held};
use crate::error::{Error, Kind, Result};
use crate::locks::{Incarnation, Look, Ownership};
use crate::model::{ObjectKey, ObjectUri, Record, Version};
use crate::objects::{Inside, inside};

/// Keyed calls that are shown to people; programs get all.
const KEYED_SHOWN: usize = 10;

/// What was found of an object.
struct Found {
    key: ObjectKey,
    store: String,
    exclusive: bool,
    /// `None`: nobody has ever served from this store.
    ownership: Option<Ownership>,
    owner: Option<Incarnation>,
    /// What each cache server has that should have it.
    copies: Vec<Copy>,
    record: Option<Record>,
    /// What is inside the record, or why it cannot be read.
    inside: Option<Result<Inside, String>>,
    hint: Option<(u64, Version)>,
}

/// How what a cache server has goes with the store.
enum Agreement {
    /// It did not say.
    Unknown,
    /// It has nothing: that is as good.
    Nothing,
    /// It has what is no entry of this object.
    Other,
    /// It has the very same.
    Same,
    /// Of before: never used.
    Older(Version),
    /// Of a version that the store has not come to.
    Newer(Version),
    /// The same version, with other bytes.
    Differs,
}

pub(super) async fn explain(target: &Target, uri: &str, as_json: bool) -> Result<i32> {
    let key = ObjectUri::parse(uri).map_err(|error| Error::config(error.message().to_owned()))?;
    let key = key.into_local().key().clone();
    let store = target.open_existing().await.map_err(|error| in_use(error, &key))?;
    let cache = target.cached(store).await?;
    let look = Look::new(&cache);
    look.name_cluster().await?;
    // Before the store: what is put in a cache stands in the store already.
    let copies = cache.copies(&key).await;
    let ownership = look.ownership(&key).await?;
    let owner = match ownership.as_ref().and_then(|ownership| ownership.owner.as_deref()) {
        Some(owner) if !cache.caps().exclusive => look.incarnation(owner).await?,
        _ => None,
    };
    let hint = match &ownership {
        Some(ownership) => look.hint(ownership.shard, &key).await?,
        None => None,
    };
    let (record, inside) = match cache.load(0, &key, true).await {
        Ok(found) => {
            let record = found.loaded.map(|loaded| loaded.record);
            let inside = record.as_ref().map(inside);
            (record, inside)
        }
        // The store itself sees that it is none of ours.
        Err(error) if error.kind() == Kind::RecordCorrupt => {
            (None, Some(Err(error.detail().unwrap_or(error.message()).to_owned())))
        }
        Err(error) => return Err(error),
    };
    let exclusive = cache.caps().exclusive;
    let found = Found { key, store: target.shown(), exclusive, ownership, owner, copies, record, inside, hint };
    let wrong = found.wrong();
    if as_json {
        say(found.json(&wrong).to_string());
    } else {
        found.lines(&wrong).iter().for_each(say);
    }
    Ok(i32::from(!wrong.is_empty()))
}

/// A store that one process has for itself can tell another nothing: what to do then.
fn in_use(error: Error, key: &ObjectKey) -> Error {
    match error.fields().get("holder").and_then(Value::as_str) {
        None => error,
        Some(holder) => Error::config(format!(
            "the store is in use by {holder}, which has it for itself: ask that server with GET {} (its ETag is the \
             version), or stop it and explain again",
            key.path()
        )),
    }
}

impl Found {
    /// What should not be: one sentence each.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if let Some(Err(why)) = &self.inside {
            wrong.push(format!(
                "the record cannot be served ({why}): the object is answered with 500 record-corrupt and never \
                 overwritten; restore it, or mend it"
            ));
        }
        let epoch = self.ownership.as_ref().map_or(0, |ownership| ownership.epoch);
        if let Some(record) = self.record.as_ref().filter(|record| record.version.epoch() > epoch) {
            wrong.push(format!(
                "the record is of epoch {}, its shard of epoch {epoch}: somebody else wrote it, or the registers were \
                 restored from an older backup than the objects",
                record.version.epoch()
            ));
        }
        for copy in &self.copies {
            let why = match self.agreement(copy) {
                Agreement::Newer(version) => format!("has version {version}, which the store never had"),
                Agreement::Differs => "has the store's version with other bytes".to_owned(),
                _ => continue,
            };
            wrong.push(format!(
                "{} {why}: it is of another history of this store, which was restored or copied; empty the caches, or \
                 stop the servers and raise the epochs",
                copy.server
            ));
        }
        wrong
    }

    fn agreement(&self, copy: &Copy) -> Agreement {
        let there = self.record.as_ref().map(|record| record.version).unwrap_or_default();
        match &copy.held {
            Err(_) => Agreement::Unknown,
            Ok(Held::Nothing) => Agreement::Nothing,
            Ok(Held::Other) => Agreement::Other,
            Ok(Held::Record(held)) if Some(held) == self.record.as_ref() => Agreement::Same,
            Ok(Held::Record(held)) if held.version < there => Agreement::Older(held.version),
            Ok(Held::Record(held)) if held.version > there => Agreement::Newer(held.version),
            Ok(Held::Record(_)) => Agreement::Differs,
        }
    }

    fn copy_line(&self, copy: &Copy) -> String {
        let says = match (self.agreement(copy), &copy.held) {
            (Agreement::Unknown, Err(why)) => format!("does not say: {why}"),
            (Agreement::Unknown | Agreement::Nothing, _) => "has nothing".to_owned(),
            (Agreement::Other, _) => "has something that is not this object, which counts as nothing".to_owned(),
            (Agreement::Same, _) => "agrees with the store".to_owned(),
            (Agreement::Older(version), _) => format!("has the older version {version}, which counts as nothing"),
            (Agreement::Newer(version), _) => format!("has version {version}, see below"),
            (Agreement::Differs, _) => "has the store's version with other bytes, see below".to_owned(),
        };
        format!("{} {says}", copy.server)
    }

    fn lines(&self, wrong: &[String]) -> Vec<String> {
        let mut lines = vec![self.key.path()];
        let mut line = |name: &str, text: String| lines.push(format!("  {name:<8} {text}"));
        line("object", self.object_line());
        line("owner", self.owner_line());
        match &self.ownership {
            Some(Ownership { shard, shards, epoch, .. }) => {
                line("shard", format!("{shard} of {shards}, epoch {epoch}"));
            }
            None => line("shard", "none yet: nobody has served from this store".to_owned()),
        }
        match &self.record {
            Some(record) => {
                let (state, meta) = (record.state.len(), record.meta.len());
                line(
                    "store",
                    format!("version {}, {state} bytes of state and {meta} of meta, in {}", record.version, self.store),
                );
            }
            None if self.inside.is_some() => line("store", format!("a record that cannot be read, in {}", self.store)),
            None => line("store", format!("no record, in {}", self.store)),
        }
        self.copies.iter().for_each(|copy| line("cache", self.copy_line(copy)));
        match self.hint {
            Some((due, version)) => line("hint", format!("due at {due} ms since 1970, asked for by version {version}")),
            None => line("hint", "none".to_owned()),
        }
        if let Some(Ok(inside)) = &self.inside {
            line("keyed", keyed_line(inside));
            for call in inside.keyed.iter().rev().take(KEYED_SHOWN) {
                let reply = match call.reply_bytes {
                    Some(bytes) => format!("reply kept ({bytes} B)"),
                    None => "reply too large to keep".to_owned(),
                };
                line("", format!("{}  {}  {}, {reply}", call.version, call.key_hash, call.answered));
            }
        }
        wrong.iter().for_each(|wrong| line("wrong", wrong.clone()));
        lines
    }

    fn copy_json(&self, copy: &Copy) -> Value {
        let version = match &copy.held {
            Ok(Held::Record(held)) => Some(held.version.to_string()),
            _ => None,
        };
        json!({
            "server": copy.server,
            "version": version,
            "agrees": matches!(self.agreement(copy), Agreement::Same),
            "error": copy.held.as_ref().err(),
        })
    }

    fn object_line(&self) -> String {
        match &self.inside {
            None => "never written".to_owned(),
            Some(Err(_)) => "not readable".to_owned(),
            Some(Ok(inside)) if inside.deleted => format!("deleted by {}", inside.changed),
            Some(Ok(inside)) => {
                format!("born with {}, last changed by {}, which is its ETag", inside.born, inside.changed)
            }
        }
    }

    fn owner_line(&self) -> String {
        let id = self.ownership.as_ref().and_then(|ownership| ownership.owner.as_deref());
        match (id, &self.owner) {
            (None, _) => "nobody".to_owned(),
            (Some(id), _) if self.exclusive => {
                format!("nobody now: the last was {id}, and no process has the store open")
            }
            (Some(id), None) => format!("{id}, which never joined, so that anybody may take the shard"),
            (Some(id), Some(life)) => {
                let is = if life.up { "up" } else { "dead, so that anybody may take the shard" };
                format!("node {}, incarnation {id}, beat {}, {is}", life.node, life.beat)
            }
        }
    }

    fn json(&self, wrong: &[String]) -> Value {
        let owner = self.ownership.as_ref().and_then(|ownership| ownership.owner.as_deref()).map(|id| {
            let life = self.owner.as_ref();
            json!({
                "incarnation": id,
                "node": life.map(|life| &life.node),
                "up": life.is_some_and(|life| life.up),
                "beat": life.map(|life| life.beat),
            })
        });
        let shard = self
            .ownership
            .as_ref()
            .map(|ownership| json!({"number": ownership.shard, "of": ownership.shards, "epoch": ownership.epoch}));
        let record = self.record.as_ref().map(|record| {
            let mut members = Map::new();
            members.insert("version".into(), record.version.to_string().into());
            members.insert("state-bytes".into(), record.state.len().into());
            members.insert("meta-bytes".into(), record.meta.len().into());
            members.insert("deleted".into(), record.is_deleted().into());
            if let Some(Ok(inside)) = &self.inside {
                members.insert("changed".into(), inside.changed.to_string().into());
                members.insert("born".into(), inside.born.to_string().into());
            }
            Value::Object(members)
        });
        let keyed = match &self.inside {
            Some(Ok(inside)) => inside
                .keyed
                .iter()
                .rev()
                .map(|call| {
                    json!({
                        "version": call.version.to_string(),
                        "key-hash": call.key_hash,
                        "answered": call.answered,
                        "reply-bytes": call.reply_bytes,
                    })
                })
                .collect(),
            _ => Vec::new(),
        };
        json!({
            "uri": self.key.path(),
            "store": self.store,
            "owner": owner,
            "shard": shard,
            "record": record,
            "cache": self.copies.iter().map(|copy| self.copy_json(copy)).collect::<Vec<_>>(),
            "hint": self.hint.map(|(due, version)| json!({"due": due, "version": version.to_string()})),
            "keyed-calls": keyed,
            "wrong": wrong,
        })
    }
}

fn keyed_line(inside: &Inside) -> String {
    let count = inside.keyed.len();
    let mut line = format!("calls remembered by their Idempotency-Key: {count}");
    if count > KEYED_SHOWN {
        line += &format!(", the newest {KEYED_SHOWN} are");
    }
    if inside.horizon != Version::default() {
        line += &format!("; forgotten up to {}", inside.horizon);
    }
    line
}
