//! The objects that are asked: counters, one of each shard where all shards count.

use xxhash_rust::xxh3::xxh3_64;

/// As many as a store has that nodes share.
pub(super) const SHARDS: usize = 1024;

/// The shard of a counter, as `docs/guarantees.md` has it.
fn shard(id: &str) -> usize {
    (xxh3_64(format!("counter\0{id}").as_bytes()) % SHARDS as u64) as usize
}

/// A counter of each shard, in the order of the shards.
pub(super) fn one_of_each_shard() -> Vec<String> {
    let mut found = vec![String::new(); SHARDS];
    let mut missing = SHARDS;
    for number in 0.. {
        let id = format!("of-{number}");
        let place = &mut found[shard(&id)];
        if place.is_empty() {
            *place = id;
            missing -= 1;
            if missing == 0 {
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shard_has_one() {
        let found = one_of_each_shard();
        assert_eq!(found.len(), SHARDS);
        assert!((0..SHARDS).all(|at| shard(&found[at]) == at));
    }
}
