//! `nodes`: who is up, since when, at which address, and how much each one owns. It only reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Target;
use super::console::{say, table};
use crate::clock;
use crate::config::FORMAT_AFTER;
use crate::error::Result;
use crate::locks::{Incarnation, Look};
use crate::storage::Datastore;

/// A life of a node, and what was seen of it.
struct Seen {
    life: Incarnation,
    /// Whether its beat has moved while it was watched.
    beats: bool,
    /// How many shards name it as their owner.
    shards: usize,
}

pub(super) async fn nodes(target: &Target, all: bool, as_json: bool) -> Result<i32> {
    let Some(store) = shared(target, as_json).await? else { return Ok(0) };
    let cache = target.bare(store);
    let look = Look::new(&cache);
    // The shards first: whoever owns one has joined before.
    let shards = look.shards().await?;
    let mut owned: BTreeMap<&str, usize> = BTreeMap::new();
    for owner in shards.iter().flatten().filter_map(|shard| shard.owner.as_deref()) {
        *owned.entry(owner).or_default() += 1;
    }
    let owns = |id: &str| owned.get(id).copied().unwrap_or(0);
    let format = look.format().await?;
    let watched = look.watch().await?.into_iter();
    let mut seen: Vec<Seen> = watched.map(|(life, beats)| Seen { shards: owns(&life.id), life, beats }).collect();
    seen.sort_by(|one, other| order(&one.life).cmp(&order(&other.life)));
    let count = shards.as_ref().map(Vec::len);
    let dead = seen.iter().filter(|seen| !seen.life.up).count();
    let shown: Vec<&Seen> = seen.iter().filter(|seen| all || seen.life.up).collect();
    if as_json {
        let nodes: Vec<Value> = shown.iter().map(|seen| seen.json()).collect();
        let answer = json!({"store": target.shown(), "exclusive": false, "shards": count, "format": format, "dead": dead, "nodes": nodes});
        say(answer.to_string());
        return Ok(0);
    }
    say(format!("store: {}", target.shown()));
    if !shown.is_empty() {
        let head = ["node", "state", "since", "address", "format", "shards", "incarnation"].map(str::to_owned);
        let rows = shown.iter().map(|seen| seen.row());
        table(std::iter::once(head).chain(rows).collect()).iter().for_each(say);
    }
    notes(&seen, all, format).iter().for_each(say);
    Ok(0)
}

/// The store, if many processes may share it. Where one has it for itself that is said, and there is no more to say.
pub(super) async fn shared(target: &Target, as_json: bool) -> Result<Option<Arc<dyn Datastore>>> {
    let holder = match target.open_existing().await {
        Ok(store) if !store.caps().exclusive => return Ok(Some(store)),
        Ok(_) => None,
        Err(error) => match error.fields().get("holder").and_then(Value::as_str) {
            Some(holder) => Some(holder.to_owned()),
            None => return Err(error),
        },
    };
    if as_json {
        say(json!({"store": target.shown(), "exclusive": true, "holder": holder}).to_string());
        return Ok(None);
    }
    say(format!("store: {}", target.shown()));
    say(match (holder, &target.own_store) {
        (Some(holder), _) => format!("{holder} has it for itself, and owns all that is in it"),
        (None, None) => {
            "one process at a time has it for itself and owns all that is in it; none has it open now".into()
        }
        (None, Some(_)) => "one process at a time has it for itself and owns all that is in it".to_owned(),
    });
    Ok(None)
}

/// Those who are up first, then by name and age.
fn order(life: &Incarnation) -> (bool, &str, u64, &str) {
    (!life.up, &life.node, life.since, &life.id)
}

/// What has to be said beside the list.
///
/// `format`: the newest record format that may be written; none when nobody has ever served from this store.
fn notes(seen: &[Seen], all: bool, format: Option<u32>) -> Vec<String> {
    let mut notes = Vec::new();
    let up: Vec<&Seen> = seen.iter().filter(|seen| seen.life.up).collect();
    if format.is_none() {
        notes.push("nobody has ever served from this store".to_owned());
    } else if up.is_empty() {
        notes.push("no node is up".to_owned());
    }
    for silent in up.iter().filter(|seen| !seen.beats) {
        let Incarnation { id, node, .. } = &silent.life;
        notes.push(format!(
            "{node} ({id}) has not beaten for 3 s and is probably dead: a node that lives declares it so and takes its \
             shards, and a start of {node} does the same"
        ));
    }
    for pair in up.windows(2).filter(|pair| pair[0].life.node == pair[1].life.node) {
        let name = &pair[0].life.node;
        notes.push(format!("{name} is the name of more than one process; give each a name of its own (--node-name)"));
    }
    notes.extend(format.and_then(|format| of_formats(&up, format)));
    let dead = seen.len() - up.len();
    if dead > 0 && !all {
        notes.push(format!("dead and not shown: {dead} (--all shows them)"));
    }
    notes
}

/// What is said while releases change.
fn of_formats(up: &[&Seen], written: u32) -> Option<String> {
    let formats = up.iter().map(|seen| seen.life.format.max(1));
    let (least, most) = (formats.clone().min()?, formats.max()?);
    if least < most {
        return Some(format!("not all of them read record format {most}, so that {least} is written"));
    }
    let seconds = FORMAT_AFTER.as_secs();
    (most > written)
        .then(|| format!("all of them read record format {most}: once they have for {seconds} s it is written"))
}

impl Seen {
    fn state(&self) -> &'static str {
        match (self.life.up, self.beats, self.life.draining) {
            (false, ..) => "dead",
            (true, false, _) => "silent",
            (true, true, true) => "draining",
            (true, true, false) => "up",
        }
    }

    fn row(&self) -> [String; 7] {
        let life = &self.life;
        let or_none = |text: String, is: bool| if is { text } else { "-".to_owned() };
        [
            life.node.clone(),
            self.state().to_owned(),
            or_none(since(life.since, clock::unix_ms()), life.since > 0),
            or_none(life.address.clone(), !life.address.is_empty()),
            or_none(life.format.to_string(), life.format > 0),
            self.shards.to_string(),
            life.id.clone(),
        ]
    }

    fn json(&self) -> Value {
        let life = &self.life;
        json!({
            "node": life.node,
            "incarnation": life.id,
            "up": life.up,
            "beats": self.beats,
            "beat": life.beat,
            "draining": life.draining,
            "since": (life.since > 0).then(|| clock::rfc3339(life.since)),
            "age-seconds": (life.since > 0).then(|| clock::unix_ms().saturating_sub(life.since) / 1000),
            "address": (!life.address.is_empty()).then_some(&life.address),
            "format": (life.format > 0).then_some(life.format),
            "shards": self.shards,
        })
    }
}

/// A moment and how long ago that is.
fn since(unix_ms: u64, now: u64) -> String {
    let at = clock::rfc3339(unix_ms);
    let at = at.split('.').next().unwrap_or_default();
    let age = match now.saturating_sub(unix_ms) / 1000 {
        _ if unix_ms > now => "by a clock that is ahead of this one's".to_owned(),
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    };
    format!("{at}Z ({age})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_with_their_age() {
        let at = 1_795_516_800_000;
        for (age_s, told) in [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 d")] {
            assert_eq!(since(at, at + age_s * 1000), format!("2026-11-24T10:40:00Z ({told})"));
        }
        assert!(since(at, at - 1).ends_with("(by a clock that is ahead of this one's)"));
    }
}
