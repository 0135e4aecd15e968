//! What befalls caches: they are killed, flushed, frozen, and filled with what they had before or with what is another one's.

use std::time::Duration;

use super::book::Book;
use super::http::Client;
use super::objectd::Objectd;
use super::raw::Raw;
use super::servers::Server;

pub type Items = Vec<(String, Vec<u8>)>;

/// Everything in all of them.
pub fn everything(caches: &[Server]) -> Items {
    caches.iter().flat_map(|cache| Raw::to(cache.address).dump()).collect()
}

/// What befalls one of them; `old` is what they had before.
pub fn torment(book: &Book, caches: &mut [Server], old: &mut Items) {
    let cache = &mut caches[book.load.below(caches.len() as u64) as usize];
    match book.load.below(8) {
        0 => {
            cache.restart();
            book.fault("a cache killed");
        }
        1 => {
            Raw::to(cache.address).flush();
            book.fault("a cache flushed");
        }
        2 => {
            cache.freeze();
            book.sleep(50, 1_500);
            cache.thaw();
            book.fault("a cache frozen");
        }
        3 => *old = Raw::to(cache.address).dump(),
        4 => {
            // Each object is answered with what is another one's.
            let (keys, mut values): (Vec<_>, Vec<_>) = old.iter().cloned().unzip();
            values.rotate_right(1.min(old.len()));
            let mixed: Items = keys.into_iter().zip(values).collect();
            Raw::to(cache.address).fill(&mixed);
            book.fault("a cache filled with mixed-up items");
        }
        _ => {
            Raw::to(cache.address).fill(old);
            book.fault("a cache filled with old items");
        }
    }
    book.sleep(10, 250);
}

/// How many objects a server has had from the caches, and how many entries it found to be old.
pub fn hits_and_stale(server: &Objectd) -> (u64, u64) {
    let text = Client::new(Duration::from_secs(10)).get(server.address, "/metrics").unwrap().body;
    let count = |result: &str| {
        let name = |line: &&str| {
            line.starts_with("remote_object_cache_reads_total{")
                && line.contains("tier=\"l2\"")
                && line.contains(&format!("result=\"{result}\""))
        };
        let lines = text.lines().filter(name);
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    (count("hit"), count("stale"))
}
