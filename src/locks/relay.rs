//! Who hands a question on to a node that this one does not reach, though both live (rule R11): a third one.
//!
//! Only a hint, as all that is known of others: whoever is asked to hand on says so when he does not reach the owner either.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::members::Node;
use super::route::Peer;
use super::shards::Locks;
use crate::clock::{self, Instant};
use crate::model::Version;

/// For so long questions to an owner that was not reached go by the one that has handed one on. Then one is sent without him.
const KEPT: Duration = Duration::from_secs(5);
/// So long the others wait for what comes of that one: a connection may take a second to fail.
const TRIED: Duration = Duration::from_secs(2);
/// For so long one that could not hand a question on is not asked to again.
const PASSED_OVER: Duration = Duration::from_secs(1);

/// What is known of the owners that were not reached lately, by their lives.
#[derive(Debug, Default)]
pub(super) struct Relays {
    owners: Mutex<HashMap<Arc<str>, Owner>>,
    /// Whether there is anything in it: as long as every owner is reached nobody waits for another one.
    any: AtomicBool,
}

/// An owner that was not reached.
#[derive(Debug, Default)]
struct Owner {
    /// Who has handed on the last question, and until when he is asked without trying first.
    by: Option<(Arc<str>, Instant)>,
    /// Who could not, and until when he is passed over.
    could_not: Vec<(Arc<str>, Instant)>,
}

impl Relays {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Owner>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By whom to ask at once. Of those who ask when the time is over one is told to try without.
    fn kept(&self, owner: &str, now: Instant) -> Option<Arc<str>> {
        if !self.any.load(Relaxed) {
            return None;
        }
        let mut owners = self.lock();
        let (by, until) = owners.get_mut(owner)?.by.as_mut()?;
        if *until > now {
            return Some(Arc::clone(by));
        }
        *until = now + TRIED;
        None
    }

    /// The first of these that is not passed over; the one that has handed on before all others.
    fn choose<'a>(&self, owner: &str, of: &[&'a Node], now: Instant) -> Option<&'a Node> {
        let owners = self.lock();
        let known = owners.get(owner);
        let last = known.and_then(|known| known.by.as_ref()).map(|(by, _)| by);
        let is_passed_over = |node: &Node| {
            known.is_some_and(|known| known.could_not.iter().any(|(id, until)| *id == node.id && *until > now))
        };
        let kept = of.iter().find(|node| Some(&node.id) == last);
        kept.or_else(|| of.iter().find(|node| !is_passed_over(node))).copied()
    }

    fn handed_on(&self, owner: &Arc<str>, by: &Arc<str>, now: Instant) {
        self.lock().entry(Arc::clone(owner)).or_default().by = Some((Arc::clone(by), now + KEPT));
        self.any.store(true, Relaxed);
    }

    fn could_not(&self, owner: &Arc<str>, by: &Arc<str>, now: Instant) {
        let mut owners = self.lock();
        let known = owners.entry(Arc::clone(owner)).or_default();
        known.by.take_if(|(last, _)| last == by);
        known.could_not.retain(|(id, until)| id != by && *until > now);
        known.could_not.push((Arc::clone(by), now + PASSED_OVER));
        self.any.store(true, Relaxed);
    }

    /// Forgets the owners that are not among these any more.
    fn retain(&self, keep: impl Fn(&str) -> bool) {
        if !self.any.load(Relaxed) {
            return;
        }
        let mut owners = self.lock();
        owners.retain(|id, _| keep(id));
        self.any.store(!owners.is_empty(), Relaxed);
    }
}

impl Locks {
    /// The node that hands on what is for this one, if it was not reached a moment ago and another one did.
    #[must_use]
    pub fn relay_at_once(&self, owner: &Peer) -> Option<Peer> {
        let by = self.relays.kept(&owner.id, clock::now())?;
        let members = self.members.get();
        members.find(&by).filter(|node| node.stays()).map(|node| node.peer(owner.known))
    }

    /// A node that may hand on what is for this one, which was not reached just now: always the same one for the same two, as
    /// long as it does so, and not the same for all.
    #[must_use]
    pub fn relay(&self, owner: &Peer) -> Option<Peer> {
        let (me, members) = (self.life(), self.members.get());
        // Whoever is not up any more is nobody to be reached.
        members.find(&owner.id)?;
        let mut others: Vec<&Node> =
            members.nodes().filter(|node| node.id != me && node.id != owner.id && node.stays()).collect();
        others.sort_by_key(|node| xxh3_64(format!("{}\0{me}\0{}", node.id, owner.id).as_bytes()));
        let by = self.relays.choose(&owner.id, &others, clock::now())?;
        Some(by.peer(owner.known))
    }

    /// Takes note that a question was handed on, or could not be.
    pub fn relayed(&self, owner: &Peer, by: &Peer, handed_on: bool) {
        let now = clock::now();
        if handed_on {
            self.relays.handed_on(&owner.id, &by.id, now);
        } else {
            self.relays.could_not(&owner.id, &by.id, now);
        }
        let members = self.members.get();
        self.relays.retain(|id| members.find(id).is_some());
    }

    /// Takes note that a node was reached: nobody needs to hand anything on to it.
    pub fn reached(&self, owner: &Peer) {
        self.relays.retain(|id| *id != *owner.id);
    }

    /// The node whose life this is, to be asked for an object of which that version is known.
    #[must_use]
    pub fn peer(&self, life: &str, known: Version) -> Option<Peer> {
        self.members.get().find(life).filter(|node| !node.addr.is_empty()).map(|node| node.peer(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks::members::Members;
    use crate::locks::registers::{NodeRow, NodeState};

    fn members() -> Members {
        let row = |name: &str| NodeRow {
            state: NodeState::Up,
            name: name.to_owned(),
            addr: format!("http://{name}"),
            beat: 0,
            drain: false,
            format: 1,
            since: 0,
        };
        Members::new(&["c", "d"].map(|name| (name.to_owned(), row(name))), "a", false, 1)
    }

    #[test]
    fn who_handed_on_is_kept_and_one_question_after_a_while_is_tried_without_him() {
        let (relays, members, now) = (Relays::default(), members(), clock::now());
        let (b, c): (Arc<str>, Arc<str>) = ("b".into(), "c".into());
        let others: Vec<&Node> = members.nodes().collect();
        assert_eq!(relays.kept("b", now), None);
        assert_eq!(relays.choose("b", &others, now).map(|node| &*node.id), Some("c"));
        relays.handed_on(&b, &c, now);
        assert_eq!(relays.kept("b", now + KEPT / 2), Some(Arc::clone(&c)));
        let later = now + KEPT;
        assert_eq!(relays.kept("b", later), None, "one tries");
        assert_eq!(relays.kept("b", later), Some(c), "and only one");
        assert_eq!(relays.kept("b", later + TRIED), None, "until that one must have come back");
        relays.retain(|id| id != "b");
        assert_eq!(relays.kept("b", later), None, "it was reached");
    }

    #[test]
    fn who_could_not_is_passed_over_for_a_while() {
        let (relays, members, now) = (Relays::default(), members(), clock::now());
        let others: Vec<&Node> = members.nodes().collect();
        let chosen = |now| relays.choose("b", &others, now).map(|node| node.id.to_string());
        let (b, c, d): (Arc<str>, Arc<str>, Arc<str>) = ("b".into(), "c".into(), "d".into());
        relays.handed_on(&b, &c, now);
        relays.could_not(&b, &c, now);
        assert_eq!(relays.kept("b", now), None);
        assert_eq!(chosen(now).as_deref(), Some("d"));
        relays.could_not(&b, &d, now);
        assert_eq!(chosen(now), None, "nobody is left");
        assert_eq!(chosen(now + PASSED_OVER).as_deref(), Some("c"));
    }
}
