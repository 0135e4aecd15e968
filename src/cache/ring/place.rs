//! Which servers an object is on: weighted rendezvous hashing.
//!
//! Every server has a score for every name, and the highest scores win, so that a server which comes or goes moves only
//! the names that are, or were, its own. The score `-weight / ln(u)` gives each server its weight's share (Schindelhauer
//! and Schomaker, "Weighted Distributed Hash Tables", 2005; Thaler and Ravishankar, 1998). It depends on nothing but
//! addresses, weights and names, so that all nodes of a cluster agree without a word.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::server::Member;
use crate::cache::shared::Name;

/// The `count` servers of a name, the first one first.
pub(super) fn homes(members: &[Arc<Member>], name: Name, count: usize) -> Vec<&Arc<Member>> {
    let mut scored: Vec<(f64, &Arc<Member>)> =
        members.iter().map(|member| (score(name, member.hash, member.weight), member)).collect();
    scored.sort_by(|(a, of_a), (b, of_b)| b.total_cmp(a).then(of_a.address.cmp(&of_b.address)));
    scored.into_iter().take(count).map(|(_, member)| member).collect()
}

fn score(name: Name, server: u64, weight: f64) -> f64 {
    let hash = xxh3_64_with_seed(&name.low().to_le_bytes(), server);
    // Of 53 bits, and neither 0 nor 1.
    let unit = ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -weight / unit.ln()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use bytes::Bytes;
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::cache::ring::names::Found;
    use crate::cache::ring::server::{Connect, Failed, Server};

    #[derive(Debug)]
    struct Nowhere;

    fn broken<T>() -> BoxFuture<'static, Result<T, Failed>> {
        Box::pin(async { Err(Failed::Broken("nowhere".into())) })
    }

    impl Server for Nowhere {
        fn get(&self, _: Name) -> BoxFuture<'_, Result<Option<Bytes>, Failed>> {
            broken()
        }
        fn set(&self, _: Name, _: Bytes, _: bool) -> BoxFuture<'_, Result<(), Failed>> {
            broken()
        }
        fn forget(&self, _: Name) -> BoxFuture<'_, Result<(), Failed>> {
            broken()
        }
        fn ping(&self) -> BoxFuture<'_, Result<(), Failed>> {
            broken()
        }
        fn close(&self) {}
    }

    fn members(weights: &[f64]) -> Vec<Arc<Member>> {
        let address = |at: usize| ([10, 0, 0, at as u8], 11211).into();
        let nowhere: Connect = Box::new(|_| Arc::new(Nowhere));
        let of = |(at, weight): (usize, &f64)| {
            let found = Found { address: address(at), name: "m".into(), weight: *weight };
            Member::new(&found, &nowhere, Duration::ZERO)
        };
        weights.iter().enumerate().map(of).collect()
    }

    fn names() -> impl Iterator<Item = Name> {
        (0..10_000_u32).map(|n| Name::new(xxhash_rust::xxh3::xxh3_128(&n.to_le_bytes())))
    }

    fn addresses(members: &[Arc<Member>], name: Name) -> Vec<u8> {
        let last =
            |member: &&Arc<Member>| member.address.to_string().split(['.', ':']).nth(3).unwrap().parse().unwrap();
        homes(members, name, 2).iter().map(last).collect()
    }

    #[test]
    fn each_server_gets_its_weights_share() {
        let members = members(&[1.0, 1.0, 2.0]);
        let mut first: HashMap<u8, usize> = HashMap::new();
        for name in names() {
            *first.entry(addresses(&members, name)[0]).or_default() += 1;
        }
        for (server, share) in [(0, 0.25), (1, 0.25), (2, 0.5)] {
            let got = first[&server] as f64 / 10_000.0;
            assert!((got - share).abs() < 0.02, "server {server} has {got}");
        }
    }

    #[test]
    fn a_server_that_goes_moves_only_its_own() {
        let all = members(&[1.0; 5]);
        let without: Vec<_> = all.iter().filter(|member| member.address != all[3].address).cloned().collect();
        let mut moved = 0;
        for name in names() {
            let (before, after) = (addresses(&all, name), addresses(&without, name));
            let stayed: Vec<u8> = before.iter().copied().filter(|server| *server != 3).collect();
            assert_eq!(after[..stayed.len()], stayed, "a name moved that was not on the server");
            moved += usize::from(stayed.len() < 2);
        }
        assert!((3_700..4_300).contains(&moved), "{moved} of 10000 names had one of two copies on one of five");
    }

    #[test]
    fn the_order_they_are_named_in_does_not_matter() {
        let all = members(&[1.0, 3.0, 2.0]);
        let turned: Vec<_> = all.iter().rev().cloned().collect();
        assert!(names().all(|name| addresses(&all, name) == addresses(&turned, name)));
    }
}
