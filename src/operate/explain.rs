//! `explain`: where one object is, who may run it, and whether all who have it agree. It only reads: from the store and the
//! caches, or from a node that runs.

use std::time::Duration;

use serde_json::Value;

use super::Target;
use super::console::say;
use crate::config::url::redacted;
use crate::error::{Error, Result};
use crate::locks::Look;
use crate::model::{ObjectKey, ObjectUri};
use crate::objects::{Agreement, Copied, Memory, Story, tell};

/// Keyed calls that are shown to people; programs get all. So are calls that wait.
const SHOWN: usize = 10;
/// How long the store may take for one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a node may take for its own.
#[cfg(feature = "client")]
const NODE_PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn explain(target: &Target, uri: &str, url: Option<&str>, as_json: bool) -> Result<i32> {
    // What is no URI of an object may be that of a store, with a password.
    let key = ObjectUri::parse(uri).map_err(|error| Error::config(redacted(error.message())))?;
    let key = key.into_local().key().clone();
    let (story, json) = match url {
        Some(url) => asked(url, &key).await?,
        None => {
            let story = looked_up(target, &key).await?;
            let json = serde_json::to_value(&story).map_err(|error| Error::internal(error.to_string()))?;
            (story, json)
        }
    };
    if as_json {
        say(json.to_string());
    } else {
        story.lines().iter().for_each(say);
    }
    Ok(i32::from(!story.wrong.is_empty() || !story.unknown.is_empty()))
}

async fn looked_up(target: &Target, key: &ObjectKey) -> Result<Story> {
    let store = target.open_existing().await.map_err(|error| in_use(error, key))?;
    let cache = target.cached(store).await?;
    let look = Look::new(&cache);
    look.name_cluster().await?;
    Ok(tell(look, key, target.shown(), PATIENCE, target.format, || None).await)
}

/// A node's answer, as it is and as it was understood.
#[cfg(feature = "client")]
async fn asked(url: &str, key: &ObjectKey) -> Result<(Story, Value)> {
    use crate::error::Kind;
    let client = crate::api::Client::new(url)?;
    let told = client.explain(key, NODE_PATIENCE).await.map_err(|error| match error.kind() {
        Kind::BadRequest | Kind::TypeNotFound | Kind::MethodNotFound | Kind::RouteNotFound => {
            Error::config(format!("{url} says: {}", error.message()))
        }
        _ => error,
    })?;
    let no_node = |_| Error::config(format!("{url} answers what is no explanation; it would be the URL of a node"));
    let json: Value = serde_json::from_slice(&told).map_err(no_node)?;
    Ok((serde_json::from_value(json.clone()).map_err(no_node)?, json))
}

#[cfg(not(feature = "client"))]
async fn asked(_: &str, _: &ObjectKey) -> Result<(Story, Value)> {
    Err(Error::config("this build cannot ask a node: it is without the feature client"))
}

/// A store that one process has for itself can tell another nothing: what to do then.
fn in_use(error: Error, key: &ObjectKey) -> Error {
    match error.fields().get("holder").and_then(Value::as_str) {
        None => error,
        Some(holder) => Error::config(format!(
            "the store is in use by {holder}, which has it for itself: ask that server with explain {} --url and where it \
             listens, such as http://127.0.0.1:8080, or stop it and explain again",
            key.path()
        )),
    }
}

impl Story {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.uri.clone()];
        let mut line = |name: &str, text: String| lines.push(format!("  {name:<8} {text}"));
        line("object", self.object_line());
        line("owner", self.owner_line());
        match &self.shard {
            Some(shard) => line("shard", format!("{} of {}, epoch {}", shard.number, shard.of, shard.epoch)),
            None if self.unknown.contains_key("owner") => {}
            None => line("shard", "none yet: nobody has served from this store".to_owned()),
        }
        if let Some(memory) = &self.memory {
            line("l1", self.l1_line(memory));
        }
        self.cache.iter().for_each(|copy| line("cache", copy_line(copy)));
        line("store", self.store_line());
        if let Some(memory) = &self.memory {
            waits_lines(memory).into_iter().enumerate().for_each(|(at, text)| line(["waits", ""][at.min(1)], text));
        }
        match (&self.hint, self.unknown.get("hint")) {
            (Some(hint), _) => {
                line("hint", format!("due at {} ms since 1970, asked for by version {}", hint.due, hint.version));
            }
            (None, None) => line("hint", "none".to_owned()),
            (None, Some(why)) => line("hint", format!("not known: {why}")),
        }
        if self.corrupt.is_none() && self.record.is_some() {
            line("keyed", self.keyed_line());
            for call in self.keyed_calls.iter().take(SHOWN) {
                let reply = match call.reply_bytes {
                    Some(bytes) => format!("reply kept ({bytes} B)"),
                    None => "reply too large to keep".to_owned(),
                };
                line("", format!("{}  {}  {}, {reply}", call.version, call.key_hash, call.answered));
            }
        }
        if let Some(why) = self.unknown.get("memory") {
            line("unknown", format!("what its owner has in memory: {why}"));
        }
        self.wrong.iter().for_each(|wrong| line("wrong", wrong.clone()));
        lines
    }

    fn object_line(&self) -> String {
        let Some(record) = &self.record else {
            return match (&self.corrupt, self.unknown.contains_key("record")) {
                (Some(_), _) => "not readable".to_owned(),
                (None, true) => "not known".to_owned(),
                (None, false) => "never written".to_owned(),
            };
        };
        match (&record.changed, &record.born) {
            (Some(changed), _) if record.deleted => format!("deleted by {changed}"),
            (Some(changed), Some(born)) => format!("born with {born}, last changed by {changed}, which is its ETag"),
            _ => "not readable".to_owned(),
        }
    }

    fn owner_line(&self) -> String {
        let Some(owner) = &self.owner else {
            return self.unknown.get("owner").map_or_else(|| "nobody".to_owned(), |why| format!("not known: {why}"));
        };
        let id = &owner.incarnation;
        match (&owner.node, owner.beat) {
            (Some(node), _) if self.exclusive => {
                format!("node {node}, incarnation {id}, which has the store for itself")
            }
            (None, _) if self.exclusive => {
                format!("nobody now: the last was {id}, and no process has the store open")
            }
            (Some(node), Some(beat)) => {
                let is = match (owner.up, owner.draining) {
                    (true, false) => "up",
                    (true, true) => "draining",
                    (false, _) => "dead, so that anybody may take the shard",
                };
                format!("node {node}, incarnation {id}, beat {beat}, {is}")
            }
            _ if self.unknown.contains_key("owner") => format!("incarnation {id}"),
            _ => format!("{id}, which never joined, so that anybody may take the shard"),
        }
    }

    fn l1_line(&self, memory: &Memory) -> String {
        let agrees = match memory.agrees {
            Some(true) => ", agrees with the store",
            Some(false) => ", which is not what the store has",
            None if memory.l1.is_some() && !self.unknown.contains_key("record") => ", and it moves just now",
            None => "",
        };
        match memory.l1.as_deref() {
            None => format!("nothing, on {}", memory.node),
            Some("absent") => format!("that nothing is there, on {}{agrees}", memory.node),
            Some(version) => format!("version {version}, on {}{agrees}", memory.node),
        }
    }

    fn store_line(&self) -> String {
        match &self.record {
            Some(record) => format!(
                "version {}, {} bytes of state and {} of meta, format {}, in {}",
                record.version, record.state_bytes, record.meta_bytes, record.format, self.store
            ),
            None if self.corrupt.is_some() => format!("a record that cannot be read, in {}", self.store),
            None => match self.unknown.get("record") {
                Some(why) => format!("not known: {why}"),
                None => format!("no record, in {}", self.store),
            },
        }
    }

    fn keyed_line(&self) -> String {
        let count = self.keyed_calls.len();
        let mut line = format!("calls remembered by their Idempotency-Key: {count}");
        if count > SHOWN {
            line += &format!(", the newest {SHOWN} are");
        }
        if let Some(forgotten) = &self.forgotten {
            line += &format!("; forgotten up to {forgotten}");
        }
        line
    }
}

fn copy_line(copy: &Copied) -> String {
    let version = copy.version.as_deref().unwrap_or_default();
    let says = match copy.says {
        Agreement::Unknown => match &copy.error {
            Some(why) => format!("does not say: {why}"),
            None => format!("has version {version}"),
        },
        Agreement::Nothing => "has nothing".to_owned(),
        Agreement::Other => "has something that is not this object, which counts as nothing".to_owned(),
        Agreement::Same => "agrees with the store".to_owned(),
        Agreement::Older => format!("has the older version {version}, which counts as nothing"),
        Agreement::Newer => format!("has version {version}, see below"),
        Agreement::Differs => "has the store's version with other bytes, see below".to_owned(),
    };
    format!("{} {says}", copy.server)
}

/// What waits, and for what.
fn waits_lines(memory: &Memory) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    if memory.at_work {
        lines.push(format!("a turn or a load is under way; it waits for {}", memory.waits_for.join("; ")));
    } else if memory.waits_for.is_empty() {
        lines.push("nothing".to_owned());
    } else {
        lines.push(format!("for {}", memory.waits_for.join("; ")));
    }
    if !memory.calls.is_empty() {
        let count = memory.calls.len();
        let named: Vec<String> = memory
            .calls
            .iter()
            .take(SHOWN)
            .map(|call| {
                let keyed = if call.keyed { ", keyed" } else { "" };
                format!("{} ({:.1} s left{keyed})", call.operation, call.left_ms as f64 / 1000.0)
            })
            .collect();
        let more = if count > SHOWN { ", …" } else { "" };
        lines.push(format!("calls that wait for it: {count}: {}{more}", named.join(", ")));
    }
    if memory.reads > 0 {
        lines.push(format!("reads that wait for it: {}", memory.reads));
    }
    lines
}
