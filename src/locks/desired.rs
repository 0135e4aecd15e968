//! Who should own a shard: rendezvous hashing (Thaler and Ravishankar, 1996) over the names of the nodes.
//!
//! A hint who is to try, the same on every node that knows the same names; the shard's register is the truth. A node that
//! joins or leaves moves the shards that it wins or had, and no others.

use xxhash_rust::xxh3::xxh3_64;

/// The node whose name weighs most for this shard; `None` when there is none. Equal weights go to the later name.
pub(super) fn desired<'a>(names: impl Iterator<Item = &'a str>, shard: u32) -> Option<&'a str> {
    names.max_by_key(|name| (weight(name, shard), *name))
}

/// `xxh3_64(name, NUL, shard)`, the shard in four bytes, the lowest first: the same in every release, since nodes of two
/// releases must agree.
fn weight(name: &str, shard: u32) -> u64 {
    let mut bytes = Vec::with_capacity(name.len() + 5);
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(&shard.to_le_bytes());
    xxh3_64(&bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const SHARDS: u32 = 1024;

    fn names(count: u32) -> Vec<String> {
        (0..count).map(|number| format!("node-{number}")).collect()
    }

    fn map(names: &[String]) -> Vec<String> {
        let of = |shard| desired(names.iter().map(String::as_str), shard).expect("there are names").to_owned();
        (0..SHARDS).map(of).collect()
    }

    fn counts(map: &[String]) -> BTreeMap<&str, u32> {
        let mut counts = BTreeMap::new();
        map.iter().for_each(|name| *counts.entry(name.as_str()).or_default() += 1);
        counts
    }

    #[test]
    fn shards_spread_evenly_over_few_nodes_and_over_many() {
        for (nodes, least, most) in [(3, 300, 385), (100, 1, 25)] {
            let map = map(&names(nodes));
            let counts = counts(&map);
            assert_eq!(counts.len(), nodes as usize, "each has some");
            assert!(counts.values().all(|count| (least..=most).contains(count)), "{nodes} nodes: {counts:?}");
        }
    }

    #[test]
    fn a_node_that_joins_or_leaves_moves_its_own_share_alone() {
        for nodes in [3, 100] {
            let (without, with) = (map(&names(nodes)), map(&names(nodes + 1)));
            let newcomer = format!("node-{nodes}");
            let moved = without.iter().zip(&with).filter(|(before, after)| before != after);
            assert!(moved.clone().all(|(_, after)| *after == newcomer), "what moves, moves to the newcomer or from it");
            let (share, moved) = (SHARDS / (nodes + 1), moved.count() as u32);
            assert!((share / 2..=share * 2).contains(&moved), "{moved} of a share of {share}");
        }
    }

    #[test]
    fn the_order_of_the_names_does_not_matter_and_the_weights_stay_as_they_are() {
        let mut names = names(5);
        let map_of = map(&names);
        names.reverse();
        assert_eq!(map(&names), map_of);
        assert_eq!(weight("a", 1), xxh3_64(b"a\0\x01\0\0\0"));
        assert_eq!(desired(std::iter::empty(), 0), None);
        assert_eq!(desired(["a", "a"].into_iter(), 0), Some("a"));
    }
}
