//! The version index: which version of an object is the current one, as far as a Hold of this process knows.
//!
//! A Hold is the only writer of its objects, so what it loaded or wrote last is what stands in the store. One index for all
//! Holds of a process: each entry says of which Hold it is, and says nothing to another. It is bounded, and forgets what
//! was used longest ago by halves: of two generations the older one is dropped when the younger one is full.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::shared::Name;
use crate::model::{KeyHash, Version};

const STRIPES: usize = 64;

/// Which version is current. It may forget, and must never be wrong.
#[derive(Debug)]
pub(super) struct Index {
    stripes: Vec<Mutex<Stripe>>,
    /// Entries of one generation of one stripe.
    generation_max: usize,
}

type Generation = HashMap<Name, (u64, Version), KeyHash>;

#[derive(Default, Debug)]
struct Stripe {
    young: Generation,
    old: Generation,
}

impl Index {
    /// Of at most `entries` (128 or more).
    pub(super) fn new(entries: usize) -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            generation_max: (entries / STRIPES / 2).max(1),
        }
    }

    /// The current version, if this Hold has loaded or written it and it is not forgotten.
    pub(super) fn get(&self, hold: u64, name: Name) -> Option<Version> {
        let stripe = self.stripe(name);
        let found = stripe.young.get(&name).or_else(|| stripe.old.get(&name));
        found.filter(|(of, _)| *of == hold).map(|(_, version)| *version)
    }

    pub(super) fn set(&self, hold: u64, name: Name, version: Version) {
        let mut stripe = self.stripe(name);
        if stripe.young.len() >= self.generation_max && !stripe.young.contains_key(&name) {
            stripe.old = std::mem::take(&mut stripe.young);
        }
        stripe.young.insert(name, (hold, version));
    }

    /// Nobody knows any more.
    pub(super) fn remove(&self, name: Name) {
        let mut stripe = self.stripe(name);
        stripe.young.remove(&name);
        stripe.old.remove(&name);
    }

    /// The names in it, a part at a time: part 0, 1, … until there is none.
    #[cfg_attr(not(any(feature = "memcached", feature = "redis")), allow(dead_code, reason = "for rings"))]
    pub(super) fn names(&self, part: usize) -> Option<Vec<Name>> {
        let stripe = self.stripes.get(part)?.lock().unwrap_or_else(PoisonError::into_inner);
        let only_old = stripe.old.keys().filter(|name| !stripe.young.contains_key(name));
        Some(stripe.young.keys().chain(only_old).copied().collect())
    }

    fn stripe(&self, name: Name) -> MutexGuard<'_, Stripe> {
        self.stripes[name.low() as usize % STRIPES].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u64) -> Name {
        Name::new(u128::from(number) << 64 | u128::from(xxhash_rust::xxh3::xxh3_64(&number.to_le_bytes())))
    }

    #[test]
    fn it_knows_what_a_hold_set_and_tells_no_other() {
        let index = Index::new(1000);
        index.set(1, name(7), Version::new(1, 5));
        assert_eq!(index.get(1, name(7)), Some(Version::new(1, 5)));
        assert_eq!(index.get(2, name(7)), None, "another Hold was told");
        assert_eq!(index.get(1, name(8)), None);
        index.set(2, name(7), Version::new(2, 1));
        assert_eq!((index.get(1, name(7)), index.get(2, name(7))), (None, Some(Version::new(2, 1))));
        index.remove(name(7));
        assert_eq!(index.get(2, name(7)), None);
    }

    #[test]
    fn it_never_grows_beyond_its_bound_nor_says_what_was_before() {
        let index = Index::new(1280);
        for round in 1..=5 {
            for number in 0..5_000 {
                index.set(1, name(number), Version::new(round, number as u32));
                if number % 1000 == 0 {
                    let known = (0..STRIPES).map(|part| index.names(part).unwrap().len()).sum::<usize>();
                    assert!(known <= 1280, "{known} entries");
                }
            }
            for number in 0..5_000 {
                let found = index.get(1, name(number));
                assert!(found.is_none_or(|version| version == Version::new(round, number as u32)), "{found:?}");
            }
        }
        assert!(index.get(1, name(4_999)).is_some(), "the newest is forgotten last");
        assert!(index.names(STRIPES).is_none());
        // What is removed does not come back from the older generation.
        for number in 0..5_000 {
            index.remove(name(number));
            assert_eq!(index.get(1, name(number)), None);
        }
    }
}
