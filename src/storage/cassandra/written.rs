//! What this process remembers of the roster's rows, so that it does not write one again with each put.

use std::collections::HashMap;
use std::mem;

use crate::model::{KeyHash, ObjectKey, Version};

/// Objects remembered, at most twice as many. One that was forgotten has its row written once more.
const GENERATION_MAX: usize = 64 * 1024;

/// The last thing that was done about each object's row, by the version it was done for.
///
/// Two generations: when the young one is full it becomes the old one, and the old one is forgotten.
#[derive(Debug, Default)]
pub(super) struct Written {
    young: HashMap<ObjectKey, Last, KeyHash>,
    old: HashMap<ObjectKey, Last, KeyHash>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    version: Version,
    stands: bool,
}

impl Written {
    /// Whether the row was written for a put of this epoch, and for no later deletion begun to be removed.
    pub(super) fn stands(&self, key: &ObjectKey, epoch: u32) -> bool {
        self.last(key).is_some_and(|last| last.stands && last.version.epoch() == epoch)
    }

    /// The row was written for a put of this version, or is about to be removed for one. The later version counts.
    pub(super) fn note(&mut self, key: &ObjectKey, version: Version, stands: bool) {
        if self.last(key).is_some_and(|last| last.version > version) {
            return;
        }
        if self.young.len() >= GENERATION_MAX {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key.clone(), Last { version, stands });
    }

    fn last(&self, key: &ObjectKey) -> Option<&Last> {
        self.young.get(key).or_else(|| self.old.get(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> ObjectKey {
        ObjectKey::new("thing", &n.to_string()).expect("legal")
    }

    #[test]
    fn a_row_stands_for_the_epoch_it_was_written_in_until_a_deletion() {
        let mut written = Written::default();
        written.note(&key(1), Version::new(2, 5), true);
        assert!(written.stands(&key(1), 2) && !written.stands(&key(1), 3) && !written.stands(&key(2), 2));
        // An answer to an earlier put that comes late changes nothing.
        written.note(&key(1), Version::new(2, 7), false);
        written.note(&key(1), Version::new(2, 6), true);
        assert!(!written.stands(&key(1), 2));
        written.note(&key(1), Version::new(2, 8), true);
        assert!(written.stands(&key(1), 2));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_forgotten_is_written_again() {
        let mut written = Written::default();
        for n in 0..5 * GENERATION_MAX {
            written.note(&key(n), Version::new(1, 1), true);
        }
        assert!(written.young.len() + written.old.len() <= 2 * GENERATION_MAX);
        assert!(written.stands(&key(5 * GENERATION_MAX - 1), 1));
        assert!(!written.stands(&key(0), 1));
    }
}
