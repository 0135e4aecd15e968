//! Who is up: what the registers say of all nodes, which of them stand still, and who should have what (rule R10).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::desired::desired;
use super::incarnation::WATCH;
use super::registers::{NodeRow, NodeState};
use super::route::Peer;
use crate::cache::Cache;
use crate::clock::Instant;
use crate::error::Result;
use crate::model::{Entry, Item, Register, Scan, Version};

/// Rows of one page of a scan.
const PAGE: usize = 500;

/// A node that is up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Node {
    /// Its incarnation.
    pub(super) id: Arc<str>,
    pub(super) name: Arc<str>,
    /// Where other nodes reach it; empty when they do not.
    pub(super) addr: Arc<str>,
    row: NodeRow,
}

impl Node {
    /// Whether others can ask it, and it is not about to leave.
    pub(super) fn stays(&self) -> bool {
        !self.row.drain && !self.addr.is_empty()
    }

    /// As one to be asked for an object of which that version is known.
    pub(super) fn peer(&self, known: Version) -> Peer {
        Peer { id: Arc::clone(&self.id), addr: Arc::clone(&self.addr), known }
    }
}

/// The nodes that are up, as they were a moment ago.
#[derive(PartialEq, Eq, Debug, Default)]
pub(super) struct Members {
    up: Vec<Node>,
    /// By shard: which of `up` should have it.
    desired: Vec<Option<usize>>,
}

impl Members {
    /// `me` is always among those who may have shards, though nobody else can reach it; unless it leaves.
    pub(super) fn new(rows: &[(String, NodeRow)], me: &str, leaving: bool, shards: u32) -> Self {
        let mut up: Vec<Node> = rows
            .iter()
            .map(|(id, row)| Node {
                id: id.as_str().into(),
                name: row.name.as_str().into(),
                addr: row.addr.as_str().into(),
                // Beats change all the time, and nobody who should have what.
                row: NodeRow { drain: row.drain || leaving && id == me, beat: 0, ..row.clone() },
            })
            .collect();
        up.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        let may = |node: &&Node| node.stays() || *node.id == *me && !node.row.drain;
        let of_name: HashMap<&str, usize> =
            up.iter().enumerate().filter(|(_, node)| may(node)).map(|(at, node)| (&*node.name, at)).collect();
        let find = |shard| desired(of_name.keys().copied(), shard).and_then(|name| of_name.get(name).copied());
        let desired = (0..shards).map(find).collect();
        Self { up, desired }
    }

    /// What they were made of.
    pub(super) fn rows(&self) -> impl Iterator<Item = (String, NodeRow)> {
        self.up.iter().map(|node| (node.id.to_string(), node.row.clone()))
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.up.iter()
    }

    /// The node whose life this is, if it is up.
    pub(super) fn find(&self, id: &str) -> Option<&Node> {
        self.up.iter().find(|node| *node.id == *id)
    }

    /// Who should have a shard; nobody when all who could are leaving.
    pub(super) fn desired(&self, shard: u32) -> Option<&Node> {
        self.desired.get(shard as usize).copied().flatten().map(|at| &self.up[at])
    }

    /// Whether anybody but `me` may have shards.
    pub(super) fn has_others(&self, me: &str) -> bool {
        self.up.iter().any(|node| *node.id != *me && node.stays())
    }
}

/// The members as this node knows them last. Who waits for a change is woken in the order in which he came, so that a
/// simulation wakes them in the same order each time.
#[derive(Debug, Default)]
pub(super) struct Known {
    members: RwLock<Arc<Members>>,
    changed: Notify,
}

impl Known {
    pub(super) fn get(&self) -> Arc<Members> {
        Arc::clone(&self.members.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Others than before are told of; the same are not.
    pub(super) fn set(&self, members: Members) {
        {
            let mut known = self.members.write().unwrap_or_else(PoisonError::into_inner);
            if **known == members {
                return;
            }
            *known = Arc::new(members);
        }
        self.changed.notify_waiters();
    }

    /// Resolves at the next change after this call.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }
}

/// The rows of all that are up. A listing may be of before: it is a hint.
pub(super) async fn read_up(cache: &Cache) -> Result<Vec<(String, NodeRow)>> {
    let mut found = Vec::new();
    each_register(cache, "node/", |id, entry| {
        if let Ok(row) = serde_json::from_slice::<NodeRow>(&entry.value)
            && row.state == NodeState::Up
        {
            found.push((id.to_owned(), row));
        }
    })
    .await?;
    Ok(found)
}

/// Calls `see` with what follows the prefix in each register's name, and what it holds.
pub(super) async fn each_register(cache: &Cache, prefix: &str, mut see: impl FnMut(&str, &Entry)) -> Result<()> {
    let scan = Scan::Registers(prefix.into());
    let mut after = None;
    loop {
        let page = cache.scan(&scan, after.as_deref(), PAGE).await?;
        for item in &page.items {
            let Item::Register(register, entry) = item else { continue };
            if let Some(rest) = Register::name(register).strip_prefix(prefix) {
                see(rest, entry);
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// How long each other node's beat stands still, by this process's own monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: HashMap<String, Still>,
    /// Beats of one's own that were applied.
    beats: u64,
}

/// A beat that was seen, since when, and which of one's own beats it was seen after.
#[derive(Debug)]
struct Still {
    beat: u64,
    since: Instant,
    after: u64,
}

/// So many beats of one's own lie in the time for which another one stands still.
const BEATS_MIN: u64 = 3;

impl Watch {
    /// Own beats are not applied: a store that answers nobody would have everybody killed.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
    }

    /// Those who stood still for the whole of [`WATCH`]; to be asked at the end of a beat of one's own that was applied.
    pub(super) fn stand_still(&mut self, rows: &[(String, NodeRow)], me: &str, now: Instant) -> Vec<(String, u64)> {
        self.seen.retain(|id, _| rows.iter().any(|(up, _)| up == id));
        self.beats += 1;
        let after = self.beats;
        let mut still = Vec::new();
        for (id, row) in rows.iter().filter(|(id, _)| id != me) {
            let fresh = || Still { beat: row.beat, since: now, after };
            let seen = self.seen.entry(id.clone()).or_insert_with(fresh);
            // A read may know less than the one before it: only a beat that is higher is one.
            if row.beat > seen.beat {
                *seen = fresh();
            } else if now.saturating_duration_since(seen.since) >= WATCH && after - seen.after >= BEATS_MIN {
                still.push((id.clone(), seen.beat));
            }
        }
        still
    }
}
