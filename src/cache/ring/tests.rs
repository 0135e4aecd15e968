//! Servers that come and go while the ring runs, with real ones.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]
#![allow(clippy::disallowed_methods, reason = "real servers take real time")]

#[path = "../../../tests/cache/servers.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod servers;

use std::time::{Duration, Instant};

use self::servers::{Server as Process, has};
use super::*;
use crate::cache::memcached;
use crate::config::url::ServerUrl;
use crate::model::Version;

const NAMES: u64 = 600;

fn name(number: u64) -> Name {
    Name::new(xxhash_rust::xxh3::xxh3_128(&number.to_le_bytes()))
}

fn value(number: u64) -> Bytes {
    format!("value {number}").into()
}

/// A ring of no servers yet, and the index whose objects it carries over.
fn ring(replicas: usize) -> (Ring, Index) {
    let mut url = ServerUrl::parse(&format!("memcached://unused?replicas={replicas}&timeout-ms=5000")).unwrap();
    let settings = Settings::take(&mut url, 1).unwrap();
    (Ring::new(settings, memcached::connect(None, None), &Arc::default()), Index::new(1 << 16))
}

fn places(servers: &[&Process]) -> Vec<Found> {
    let found = |server: &&Process| Found { address: server.address, name: "127.0.0.1".into(), weight: 1.0 };
    servers.iter().map(found).collect()
}

async fn hits(ring: &Ring) -> u64 {
    let mut hits = 0;
    for number in 0..NAMES {
        if let Some(found) = ring.get(name(number)).await {
            assert_eq!(found, value(number));
            hits += 1;
        }
    }
    hits
}

async fn fill(ring: &Ring, index: &Index) {
    for number in 0..NAMES {
        assert!(ring.set(name(number), value(number)).await);
        index.set(1, name(number), Version::new(1, 1));
    }
}

#[tokio::test]
async fn what_moves_to_a_new_server_is_carried_over() {
    if !has("memcached") {
        return;
    }
    let [one, two, three] = [(); 3].map(|()| Process::memcached(&[]));
    let (ring, index) = ring(1);
    assert!(ring.update(&places(&[&one, &two])).is_some());
    fill(&ring, &index).await;
    let before = ring.update(&places(&[&one, &two, &three])).expect("a change");
    let lost = NAMES - hits(&ring).await;
    assert!((NAMES / 5..NAMES / 2).contains(&lost), "{lost} of {NAMES} have moved to one of three servers");
    sweep::carry_over(&ring, &before, &index).await;
    assert_eq!(hits(&ring).await, NAMES);
    assert_eq!(ring.tally.rehomed.get(), lost);
    assert!(ring.update(&places(&[&three, &two, &one])).is_none(), "the same servers in another order");

    // One of them goes: what it had is carried over from it while it is still there.
    let before = ring.update(&places(&[&two, &three])).expect("a change");
    sweep::carry_over(&ring, &before, &index).await;
    assert_eq!(hits(&ring).await, NAMES);
}

#[tokio::test]
async fn with_two_copies_a_server_may_vanish_and_its_objects_get_a_second_copy_again() {
    if !has("memcached") {
        return;
    }
    let [mut one, two, three] = [(); 3].map(|()| Process::memcached(&[]));
    let (ring, index) = ring(2);
    ring.update(&places(&[&one, &two, &three]));
    fill(&ring, &index).await;
    one.kill();
    let before = ring.update(&places(&[&two, &three])).expect("a change");
    assert_eq!(hits(&ring).await, NAMES);
    sweep::carry_over(&ring, &before, &index).await;
    // Every object is on both now, so either may go too.
    for gone in [&two, &three] {
        let left: Vec<&Process> = [&two, &three].into_iter().filter(|server| server.address != gone.address).collect();
        ring.update(&places(&left));
        assert_eq!(hits(&ring).await, NAMES);
        ring.update(&places(&[&two, &three]));
    }
}

#[tokio::test]
async fn what_is_carried_over_never_covers_what_is_newer() {
    if !has("memcached") {
        return;
    }
    let [one, two] = [(); 2].map(|()| Process::memcached(&[]));
    let (ring, index) = ring(1);
    ring.update(&places(&[&one]));
    fill(&ring, &index).await;
    let before = ring.update(&places(&[&one, &two])).expect("a change");
    let newer = Bytes::from_static(b"newer");
    for number in 0..NAMES {
        assert!(ring.set(name(number), newer.clone()).await);
    }
    sweep::carry_over(&ring, &before, &index).await;
    for number in 0..NAMES {
        assert_eq!(ring.get(name(number)).await.as_ref(), Some(&newer));
    }
}

#[tokio::test]
async fn a_frozen_server_costs_no_more_than_the_budget_and_is_left_alone_until_it_thaws() {
    if !has("memcached") {
        return;
    }
    let server = Process::memcached(&[]);
    let mut url = ServerUrl::parse("memcached://unused?timeout-ms=100").unwrap();
    let ring = Ring::new(Settings::take(&mut url, 1).unwrap(), memcached::connect(None, None), &Arc::default());
    ring.update(&places(&[&server]));
    assert!(ring.set(name(1), value(1)).await);
    server.freeze();
    let asked = Instant::now();
    for _ in 0..3 {
        assert_eq!(ring.get(name(1)).await, None);
    }
    assert!(asked.elapsed() >= Duration::from_millis(300), "three gets had their time");
    assert_eq!(ring.servers(), Servers { up: 0, open: 1 });
    let asked = Instant::now();
    for _ in 0..1000 {
        assert_eq!(ring.get(name(1)).await, None);
        assert!(!ring.set(name(1), value(1)).await);
    }
    assert!(asked.elapsed() < Duration::from_secs(2), "a server that is left alone costs nothing");
    server.thaw();
    let end = Instant::now() + Duration::from_secs(20);
    while ring.servers().open > 0 {
        assert!(Instant::now() < end, "it is left alone though it answers");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(ring.get(name(1)).await, Some(value(1)));
}
