//! `shards`: who owns what, what has no owner that lives, and what moves. It only reads.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Target;
use super::console::say;
use super::nodes::shared;
use crate::error::Result;
use crate::locks::{Incarnation, Look, Ownership};

/// A line of ranges is broken behind so many columns.
const WIDTH: usize = 110;

/// Who owns some shards.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    /// A node that is up: its name, its incarnation, and whether it is draining.
    Up { node: String, id: String, draining: bool },
    /// One that is not: its name, empty when it never joined.
    Dead { node: String, id: String },
    /// It was given back, and nobody has taken it since.
    Nobody,
    /// Nobody has taken it yet: it is taken when it is first asked for, so that it does not move.
    Never,
}

/// Shards that are alike.
#[derive(Default)]
struct Group {
    shards: Vec<u32>,
    epoch_min: u32,
    epoch_max: u32,
}

/// What the registers say.
struct Found {
    count: usize,
    owners: BTreeMap<Owner, Group>,
    /// From whom to which node.
    moves: BTreeMap<(Owner, String), Vec<u32>>,
    /// Whether there is a node that could take any.
    has_takers: bool,
}

pub(super) async fn shards(target: &Target, as_json: bool) -> Result<i32> {
    let Some(store) = shared(target, as_json).await? else { return Ok(0) };
    let cache = target.bare(store);
    let look = Look::new(&cache);
    // The shards first: whoever owns one has joined before.
    let shards = look.shards().await?.unwrap_or_default();
    let found = Found::new(&shards, &look.lives().await?);
    if as_json {
        say(found.json(target.shown()).to_string());
    } else {
        say(format!("store: {}", target.shown()));
        found.lines().iter().for_each(say);
    }
    Ok(0)
}

impl Owner {
    fn new(id: Option<&str>, epoch: u32, lives: &[Incarnation]) -> Self {
        let Some(id) = id.map(str::to_owned) else { return if epoch == 0 { Self::Never } else { Self::Nobody } };
        match lives.iter().find(|life| life.id == id) {
            Some(life) if life.up => Self::Up { node: life.node.clone(), id, draining: life.draining },
            Some(life) => Self::Dead { node: life.node.clone(), id },
            None => Self::Dead { node: String::new(), id },
        }
    }

    fn is(&self, name: &str) -> bool {
        matches!(self, Self::Up { node, .. } if node == name)
    }

    fn told(&self) -> String {
        match self {
            Self::Up { node, id, draining: false } => format!("{node} ({id}), up"),
            Self::Up { node, id, draining: true } => format!("{node} ({id}), draining"),
            Self::Dead { node, id } if node.is_empty() => format!("{id}, which never joined"),
            Self::Dead { node, id } => format!("{node} ({id}), dead"),
            Self::Nobody => "nobody".to_owned(),
            Self::Never => "never taken".to_owned(),
        }
    }

    /// The same in few words.
    fn name(&self) -> String {
        match self {
            Self::Up { node, draining: false, .. } => node.clone(),
            Self::Up { node, draining: true, .. } => format!("{node} (draining)"),
            Self::Dead { node, id } if node.is_empty() => format!("{id} (never joined)"),
            Self::Dead { node, .. } => format!("{node} (dead)"),
            Self::Nobody | Self::Never => "nobody".to_owned(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Up { node, id, draining } => {
                json!({"node": node, "incarnation": id, "state": if *draining { "draining" } else { "up" }})
            }
            Self::Dead { node, id } => {
                json!({"node": (!node.is_empty()).then_some(node), "incarnation": id, "state": "dead"})
            }
            Self::Nobody => json!({"node": null, "incarnation": null, "state": "nobody"}),
            Self::Never => json!({"node": null, "incarnation": null, "state": "never-taken"}),
        }
    }
}

impl Found {
    fn new(shards: &[Ownership], lives: &[Incarnation]) -> Self {
        let mut owners: BTreeMap<Owner, Group> = BTreeMap::new();
        let mut moves: BTreeMap<(Owner, String), Vec<u32>> = BTreeMap::new();
        for Ownership { shard, epoch, owner, .. } in shards {
            let owner = Owner::new(owner.as_deref(), *epoch, lives);
            let desired = Look::desired(lives, *shard).filter(|_| owner != Owner::Never);
            if let Some(desired) = desired.filter(|desired| !owner.is(desired)) {
                moves.entry((owner.clone(), desired.to_owned())).or_default().push(*shard);
            }
            let group = owners.entry(owner).or_insert_with(|| Group { epoch_min: *epoch, ..Group::default() });
            group.shards.push(*shard);
            group.epoch_min = group.epoch_min.min(*epoch);
            group.epoch_max = group.epoch_max.max(*epoch);
        }
        let has_takers = Look::desired(lives, 0).is_some();
        Self { count: shards.len(), owners, moves, has_takers }
    }

    fn share(&self, group: &Group) -> f64 {
        group.shards.len() as f64 * 100.0 / self.count.max(1) as f64
    }

    fn lines(&self) -> Vec<String> {
        if self.count == 0 {
            return vec!["nobody has ever served from this store".to_owned()];
        }
        let mut lines = vec![format!("{} shards", self.count)];
        for (owner, group) in &self.owners {
            let Group { shards, epoch_min, epoch_max } = group;
            let epochs = if epoch_min == epoch_max {
                format!("epoch {epoch_min}")
            } else {
                format!("epochs {epoch_min}-{epoch_max}")
            };
            lines.push(format!("{}: {}, {:.1} %, {epochs}", owner.told(), counted(shards), self.share(group)));
            lines.extend(wrapped(&ranges(shards), "  "));
        }
        let moving: usize = self.moves.values().map(Vec::len).sum();
        match (self.has_takers, moving) {
            (false, _) => lines.push("nothing moves: there is no node that could take a shard".to_owned()),
            (true, 0) => lines.push("nothing moves: each shard is where it should be".to_owned()),
            (true, moving) => lines.push(format!("to move: {moving} of {}", self.count)),
        }
        for ((from, to), shards) in &self.moves {
            lines.push(format!("  from {} to {to}: {}", from.name(), counted(shards)));
            lines.extend(wrapped(&ranges(shards), "    "));
        }
        lines
    }

    fn json(&self, store: String) -> Value {
        let owners = self.owners.iter().map(|(owner, group)| {
            let mut owner = owner.json();
            owner["count"] = group.shards.len().into();
            owner["share-percent"] = ((self.share(group) * 10.0).round() / 10.0).into();
            owner["epoch-min"] = group.epoch_min.into();
            owner["epoch-max"] = group.epoch_max.into();
            owner["shards"] = ranges(&group.shards).into();
            owner
        });
        let moves = self.moves.iter().map(|((from, to), shards)| {
            json!({"from": from.json(), "to": to, "count": shards.len(), "shards": ranges(shards)})
        });
        json!({
            "store": store,
            "exclusive": false,
            "shards": self.count,
            "owners": owners.collect::<Vec<_>>(),
            "moves": moves.collect::<Vec<_>>(),
        })
    }
}

fn counted(shards: &[u32]) -> String {
    match shards.len() {
        1 => "1 shard".to_owned(),
        count => format!("{count} shards"),
    }
}

/// Numbers in their order as ranges: `0-3`, `7`.
fn ranges(numbers: &[u32]) -> Vec<String> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let told = |(first, last): (u32, u32)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    ranges.into_iter().map(told).collect()
}

/// Words in lines that begin so.
fn wrapped(words: &[String], before: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{before}{word}")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(node: &str, up: bool, draining: bool) -> Incarnation {
        let (id, address) = (format!("{node}-id"), String::new());
        Incarnation { id, node: node.to_owned(), up, beat: 1, address, draining, format: 1, since: 1 }
    }

    fn owned(owners: &[Option<&str>]) -> Vec<Ownership> {
        let shards = owners.len() as u32;
        let own = |(shard, owner): (u32, &Option<&str>)| Ownership {
            shard,
            shards,
            epoch: if owner.is_some() { shard + 1 } else { 0 },
            owner: owner.map(|name| format!("{name}-id")),
        };
        (0..).zip(owners).map(own).collect()
    }

    #[test]
    fn shards_are_told_by_owner_and_what_moves_with_from_whom_to_whom() {
        let mut shards = owned(&[Some("a"), Some("a"), Some("gone"), Some("a"), None, Some("never"), None, None]);
        shards[4].epoch = 7;
        let lines = Found::new(&shards, &[life("a", true, false), life("gone", false, false)]).lines();
        for line in [
            "a (a-id), up: 3 shards, 37.5 %, epochs 1-4",
            "  0-1 3",
            "gone (gone-id), dead: 1 shard, 12.5 %, epoch 3",
            "never-id, which never joined: 1 shard, 12.5 %, epoch 6",
            "nobody: 1 shard, 12.5 %, epoch 7",
            "never taken: 2 shards, 25.0 %, epoch 0",
            "  6-7",
            "to move: 3 of 8",
            "  from nobody to a: 1 shard",
            "  from gone (dead) to a: 1 shard",
        ] {
            assert!(lines.iter().any(|other| other == line), "{line:?} is not in {lines:#?}");
        }
    }

    #[test]
    fn a_node_that_drains_gives_all_away_and_one_that_is_alone_nothing() {
        let shards = owned(&[Some("a"), Some("a")]);
        let told = |lives: &[Incarnation]| Found::new(&shards, lives).lines().join("\n");
        assert!(told(&[life("a", true, false)]).ends_with("\nnothing moves: each shard is where it should be"));
        assert!(told(&[life("a", true, true)]).contains("a (a-id), draining: 2 shards, 100.0 %"));
        assert!(told(&[life("a", true, true)]).ends_with("\nnothing moves: there is no node that could take a shard"));
        let both = told(&[life("a", true, true), life("b", true, false)]);
        assert!(both.ends_with("\nto move: 2 of 2\n  from a (draining) to b: 2 shards\n    0-1"), "{both}");
    }

    #[test]
    fn long_lists_are_broken_into_lines() {
        let all: Vec<u32> = (0..1024).step_by(2).collect();
        let lines = wrapped(&ranges(&all), "  ");
        assert!(lines.len() > 10 && lines.iter().all(|line| line.len() <= WIDTH && line.starts_with("  ")));
        assert_eq!(lines.join(" ").split_whitespace().count(), 512);
    }
}
