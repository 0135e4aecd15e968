//! Which node should have a shard: a hint who should try, the register is the truth (rule R10).

use xxhash_rust::xxh3::xxh3_64;

/// The name with the highest weight for a shard (rendezvous hashing, Thaler and Ravishankar 1998): a node that comes or goes
/// moves only its own share.
pub(super) fn desired<'a>(names: impl Iterator<Item = &'a str>, shard: u32) -> Option<&'a str> {
    let weight = |name: &str| {
        let mut text = Vec::with_capacity(name.len() + 5);
        text.extend_from_slice(name.as_bytes());
        text.push(0);
        text.extend_from_slice(&shard.to_le_bytes());
        xxh3_64(&text)
    };
    names.max_by_key(|name| (weight(name), *name))
}
