//! The requests of the benchmarks: to objects of the sample type `counter`.

use crate::wire::{get, post};

/// Connections of every measurement that does not say otherwise.
pub(crate) const CONNECTIONS: usize = 64;
/// Objects of the measurements on many.
pub(crate) const KEYS: usize = 10_000;

/// One `add` of one on each of the first `count` counters.
pub(crate) fn adds(count: usize) -> Vec<Box<[u8]>> {
    (0..count).map(|key| add(&format!("key-{key}"))).collect()
}

/// An `add` of one.
pub(crate) fn add(key: &str) -> Box<[u8]> {
    post(&format!("/objects/counter/{key}/add"), "", r#"{"by":1}"#)
}

/// A GET of each of the first `count` counters.
pub(crate) fn gets(count: usize) -> Vec<Box<[u8]>> {
    (0..count).map(|key| get(&format!("/objects/counter/key-{key}"))).collect()
}
