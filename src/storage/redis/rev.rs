//! Revs: how often the key was written, and a random number.
//!
//! The count makes a rev one that never comes back. The random number keeps it so when the server goes back to an older
//! copy of its data and the same count is reached again with other values.

use std::sync::Arc;

/// The rev of the write over `seen` (empty: over nothing); none if `seen` is no rev of ours.
pub(super) fn after(seen: &str, random: u64) -> Option<Arc<str>> {
    let count = if seen.is_empty() { 0 } else { count(seen)? };
    Some(format!("{}-{random:016x}", count.checked_add(1)?).into())
}

/// How many writes of its key made it.
fn count(rev: &str) -> Option<u64> {
    rev.split_once('-')?.0.parse().ok()
}

/// Whether a key that shows `there` still has the write that was acknowledged with `acknowledged`.
pub(super) fn holds(there: &str, acknowledged: &str) -> bool {
    there == acknowledged || count(there) > count(acknowledged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rev_is_above_the_one_before_it() {
        let one = after("", 7).unwrap();
        assert_eq!(&*one, "1-0000000000000007");
        assert_eq!(&*after(&one, u64::MAX).unwrap(), "2-ffffffffffffffff");
        assert_eq!(&*after("9-x", 0).unwrap(), "10-0000000000000000");
    }

    #[test]
    fn what_is_no_rev_of_ours_has_no_next() {
        for wrong in ["made up", "-1", "x-1", "18446744073709551615-0"] {
            assert_eq!(after(wrong, 1), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_that_went_back_is_noticed() {
        assert!(holds("3-a", "3-a") && holds("4-b", "3-a"));
        assert!(!holds("3-b", "3-a") && !holds("2-z", "3-a") && !holds("", "1-a"));
    }
}
