//! What happens when the set of servers changes: objects that are on other servers now are carried over.
//!
//! Nobody can list what is in a memcached, so what is carried over are the objects of which this process knows the current
//! version: those of its index. Others come home when they are asked for, or loaded from the store. All of it is copies
//! of a cache: whatever is missed costs a load.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use super::Ring;
use super::names::Names;
use super::place::homes;
use super::server::Member;
use crate::cache::index::Index;
use crate::cache::shared::Name;

/// Objects carried over at once, and the pause after so many, which keeps it below some thousand a second.
const AT_ONCE: usize = 16;
const PAUSE_AFTER: usize = 256;
const PAUSE: Duration = Duration::from_millis(50);

/// Resolves the names of a ring until the ring is gone.
pub(super) async fn keep_current(ring: Weak<Ring>, mut names: Names, index: Arc<Index>) {
    loop {
        tokio::time::sleep(names.pause()).await;
        if ring.strong_count() == 0 {
            return;
        }
        names.resolve().await;
        let Some(ring) = ring.upgrade() else { return };
        if let Some(before) = ring.update(&names.found()) {
            carry_over(&ring, &before, &index).await;
        }
    }
}

/// Copies what has moved since the servers were those of `before`.
pub(super) async fn carry_over(ring: &Ring, before: &[Arc<Member>], index: &Index) {
    let now = ring.members();
    let mut part = 0;
    while let Some(known) = index.names(part) {
        part += 1;
        for some in known.chunks(PAUSE_AFTER) {
            let moved = some.iter().filter_map(|name| Move::of(ring, before, &now, *name));
            let moved: Vec<Move<'_>> = moved.collect();
            if moved.is_empty() {
                continue;
            }
            stream::iter(moved).for_each_concurrent(AT_ONCE, |one| one.make(ring)).await;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// An object that belongs on servers where it was not before.
struct Move<'a> {
    name: Name,
    from: Vec<&'a Arc<Member>>,
    to: Vec<&'a Arc<Member>>,
}

impl<'a> Move<'a> {
    fn of(ring: &Ring, before: &'a [Arc<Member>], now: &'a [Arc<Member>], name: Name) -> Option<Self> {
        let from = homes(before, name, ring.settings.replicas);
        let mut to = homes(now, name, ring.settings.replicas);
        to.retain(|member| !from.iter().any(|old| old.address == member.address));
        (!to.is_empty()).then_some(Self { name, from, to })
    }

    async fn make(self, ring: &Ring) {
        for from in self.from {
            let Some(Some(value)) = from.get(self.name, ring.settings.budget).await else { continue };
            for to in &self.to {
                if to.set(self.name, value.clone(), true).await {
                    ring.tally.rehomed.add_one();
                }
            }
            return;
        }
    }
}
