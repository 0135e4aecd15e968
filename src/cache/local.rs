//! L1: published states in this process.
//!
//! One quick_cache a node, keyed by Hold and object: a dead Hold's entries can never be asked for and age out. Reads are
//! strongly consistent with [`Local::set`]: both lock the key's shard. Nothing here loads: a miss is a value.

use std::any::Any;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};

use crate::model::{KeyHash, ObjectKey};

/// What may stand in L1. A room above knows which type it is.
pub trait Published: Any + Send + Sync + Debug {
    /// Its size in memory, in bytes, the key left out.
    fn weight(&self) -> usize;
}

/// What the cache and the maps around it need for an entry, beside key and value.
const ENTRY_BYTES: usize = 200;
/// An entry of usual size, from which the cache takes how many shards to have and how many keys to remember once it is full.
const USUAL_ENTRY: u64 = 1024;

#[derive(Clone, PartialEq, Eq, Debug)]
struct Place {
    hold: u64,
    key: ObjectKey,
}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Asked(self.hold, &self.key).hash(state);
    }
}

/// A [`Place`] that is looked for.
struct Asked<'a>(u64, &'a ObjectKey);

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.1.hash64() ^ self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    }
}

impl Equivalent<Place> for Asked<'_> {
    fn equivalent(&self, place: &Place) -> bool {
        self.0 == place.hold && self.1 == &place.key
    }
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Place, Arc<dyn Published>> for Bytes {
    fn weight(&self, place: &Place, state: &Arc<dyn Published>) -> u64 {
        let key = place.key.id().len() + place.key.type_name().len();
        (key + state.weight() + ENTRY_BYTES) as u64
    }
}

pub(super) struct Local {
    entries: Cache<Place, Arc<dyn Published>, Bytes, KeyHash>,
}

impl Local {
    pub(super) fn new(bytes: u64) -> Self {
        let usual = usize::try_from(bytes / USUAL_ENTRY).unwrap_or(usize::MAX);
        Self { entries: Cache::with(usual, bytes, Bytes, KeyHash::default(), DefaultLifecycle::default()) }
    }

    pub(super) fn get(&self, hold: u64, key: &ObjectKey) -> Option<Arc<dyn Published>> {
        self.entries.get(&Asked(hold, key))
    }

    pub(super) fn set(&self, hold: u64, key: &ObjectKey, state: Arc<dyn Published>) {
        self.entries.insert(Place { hold, key: key.clone() }, state);
    }

    pub(super) fn clear(&self) {
        self.entries.clear();
    }
}

impl Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}
