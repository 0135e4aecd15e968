//! L1: published states in this process.
//!
//! One moka cache a node, keyed by Hold and object: a dead Hold's entries can never be asked for and age out. Reads are
//! strongly consistent with [`Local::set`]. Nothing here loads: a miss is a value, and moka's `get_with`, which can put
//! an invalidated value back, is not used.

use std::any::Any;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use moka::sync::Cache;

use crate::model::{KeyHash, ObjectKey};

/// What may stand in L1. A room above knows which type it is.
pub trait Published: Any + Send + Sync + Debug {
    /// Its size in memory, in bytes, the key left out.
    fn weight(&self) -> usize;
}

/// What moka and the maps around it need for an entry, beside key and value.
const ENTRY_BYTES: usize = 400;

#[derive(Clone, PartialEq, Eq, Debug)]
struct Place {
    hold: u64,
    key: ObjectKey,
}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.key.hash64() ^ self.hold.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    }
}

pub(super) struct Local {
    entries: Cache<Place, Arc<dyn Published>, KeyHash>,
}

impl Local {
    pub(super) fn new(bytes: u64) -> Self {
        let weigh = |place: &Place, state: &Arc<dyn Published>| {
            let key = place.key.id().len() + place.key.type_name().len();
            u32::try_from(key + state.weight() + ENTRY_BYTES).unwrap_or(u32::MAX)
        };
        Self { entries: Cache::builder().max_capacity(bytes).weigher(weigh).build_with_hasher(KeyHash::default()) }
    }

    pub(super) fn get(&self, hold: u64, key: &ObjectKey) -> Option<Arc<dyn Published>> {
        self.entries.get(&Place { hold, key: key.clone() })
    }

    pub(super) fn set(&self, hold: u64, key: &ObjectKey, state: Arc<dyn Published>) {
        self.entries.insert(Place { hold, key: key.clone() }, state);
    }

    pub(super) fn clear(&self) {
        self.entries.invalidate_all();
    }
}

impl Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").field("entries", &self.entries.entry_count()).finish_non_exhaustive()
    }
}
