//! Releases with different record formats on one store: what is written every node that is up reads, whoever comes and goes.
//!
//! A node "of the next release" is this build with the format after its own.

use std::sync::Arc;
use std::time::Duration;

use remote_object::config::FORMAT_AFTER;
use remote_object::error::Kind;
use remote_object::model::ObjectKey;
use remote_object::storage::Datastore;
use remote_object::{Error, Service, clock};
use serde_json::Value;

use super::caller::lives;
use super::nodes::tally;
use super::store::{Gate, On, Plan, Scripted, shared_memory};

const SECOND: Duration = Duration::from_secs(1);

/// A node without a socket, of this release or the next one, over a store that can be scripted.
async fn start(store: &Arc<Scripted>, name: &str, next: bool) -> Result<Service, Error> {
    let builder = Service::builder().datastore("shared", Arc::clone(store) as _).node_name(name);
    let builder = if next { builder.next_format() } else { builder };
    builder.build().await
}

async fn old(inner: &Arc<dyn Datastore>, name: &str) -> Result<Service, Error> {
    start(&Scripted::over(Arc::clone(inner)), name, false).await
}

async fn next(inner: &Arc<dyn Datastore>, name: &str) -> Service {
    start(&Scripted::over(Arc::clone(inner)), name, true).await.unwrap()
}

/// Adds one, at whichever of the nodes has it, and tells what there is then, and in which format.
async fn add(nodes: &[&Service], id: usize) -> (i64, u64) {
    for node in nodes {
        // Without a socket they cannot ask each other.
        let Ok(value) = node.host().call(tally(id).add(1)).await else { continue };
        let key = ObjectKey::new("tally", &format!("t{id}")).unwrap();
        let told = node.host().explain(&key, "shared", clock::now() + 10 * SECOND).await.unwrap();
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(told["wrong"], serde_json::json!([]), "{told}");
        return (value, told["record"]["format"].as_u64().unwrap());
    }
    panic!("no node has t{id}");
}

fn refused(started: Result<Service, Error>) {
    let error = started.expect_err("it does not read what is written");
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.message().contains("of format 2") && error.message().contains("up to 1"), "{error}");
}

async fn up(inner: &Arc<dyn Datastore>) -> Vec<String> {
    let rows = lives(&Scripted::over(Arc::clone(inner))).await.into_iter().filter(|(_, row)| row["state"] == "up");
    let mut names: Vec<String> = rows.map(|(_, row)| row["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test(start_paused = true)]
async fn the_next_format_is_written_once_all_read_it_and_never_again_the_one_before() {
    let inner = shared_memory();
    let (first, second) = (old(&inner, "a").await.unwrap(), old(&inner, "b").await.unwrap());
    assert_eq!((add(&[&first, &second], 1).await, add(&[&first, &second], 2).await), ((1, 1), (1, 1)));
    // Up, and down again.
    first.stop().await;
    let first = next(&inner, "a").await;
    tokio::time::sleep(2 * FORMAT_AFTER).await;
    assert_eq!((add(&[&first, &second], 1).await, add(&[&first, &second], 2).await), ((2, 1), (2, 1)));
    first.stop().await;
    let first = old(&inner, "a").await.unwrap();
    assert_eq!(add(&[&first, &second], 1).await, (3, 1));
    // Up for good.
    first.stop().await;
    second.stop().await;
    let (first, second) = (next(&inner, "a").await, next(&inner, "b").await);
    assert_eq!((add(&[&first, &second], 1).await, add(&[&first, &second], 2).await), ((4, 1), (3, 1)));
    tokio::time::sleep(FORMAT_AFTER / 2).await;
    assert_eq!(add(&[&first, &second], 1).await, (5, 1), "a node that is only restarted is waited for");
    tokio::time::sleep(FORMAT_AFTER / 2 + 2 * SECOND).await;
    assert_eq!((add(&[&first, &second], 1).await, add(&[&first, &second], 2).await), ((6, 2), (4, 2)));
    refused(old(&inner, "c").await);
    assert_eq!(up(&inner).await, ["a", "b"]);
    assert_eq!(add(&[&first, &second], 1).await, (7, 2));
    // One that joins later follows at once.
    let third = next(&inner, "c").await;
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(add(&[&third, &first, &second], 3).await, (1, 2));
    // Nobody left: the next release goes on, this one does not come back.
    for service in [first, second, third] {
        service.stop().await;
    }
    refused(old(&inner, "a").await);
    let first = next(&inner, "a").await;
    assert_eq!(first.host().call(tally(1).value()).await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn an_old_node_that_joins_while_the_format_is_raised_is_seen_or_refused() {
    let inner = shared_memory();
    old(&inner, "maker").await.unwrap().stop().await;
    // It has seen that it may join, and its row comes late.
    let store = Scripted::over(Arc::clone(&inner));
    let gate = Gate::shut();
    store.always(On::Cas, "node/", Plan::Before(gate.clone()));
    let late = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { start(&store, "late", false).await })
    };
    tokio::time::sleep(SECOND).await;
    let first = next(&inner, "a").await;
    tokio::time::sleep(FORMAT_AFTER + 3 * SECOND).await;
    assert_eq!(add(&[&first], 1).await, (1, 2));
    store.calm();
    gate.open();
    refused(late.await.unwrap());
    assert_eq!(up(&inner).await, ["a"]);
    assert_eq!(add(&[&first], 1).await, (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_format_that_is_raised_while_an_old_node_joins_is_not_written_before_that_leaves() {
    let inner = shared_memory();
    old(&inner, "maker").await.unwrap().stop().await;
    let store = Scripted::over(Arc::clone(&inner));
    let first = start(&store, "a", true).await.unwrap();
    let gate = Gate::shut();
    store.always(On::Cas, "meta/cluster", Plan::Before(gate.clone()));
    // All read it, and it is about to say so.
    tokio::time::sleep(FORMAT_AFTER + 3 * SECOND).await;
    let second = old(&inner, "b").await.unwrap();
    store.calm();
    gate.open();
    tokio::time::sleep(2 * FORMAT_AFTER).await;
    assert_eq!((add(&[&first], 1).await, add(&[&second], 2).await), ((1, 1), (1, 1)));
    assert_eq!(up(&inner).await, ["a", "b"]);
    // No other one comes any more, and when this one leaves it is written.
    refused(old(&inner, "c").await);
    second.stop().await;
    tokio::time::sleep(3 * SECOND).await;
    assert_eq!((add(&[&first], 1).await, add(&[&first], 2).await), ((2, 2), (2, 2)));
}

#[tokio::test(start_paused = true)]
async fn an_old_node_that_was_frozen_meanwhile_does_not_come_back() {
    let inner = shared_memory();
    let store = Scripted::over(Arc::clone(&inner));
    let frozen = start(&store, "old", false).await.unwrap();
    assert_eq!(add(&[&frozen], 1).await, (1, 1));
    let first = next(&inner, "a").await;
    let gate = Gate::shut();
    for on in [On::Cas, On::Get, On::Put, On::Load, On::Scan] {
        store.always(on, "", Plan::Before(gate.clone()));
    }
    tokio::time::sleep(FORMAT_AFTER + 10 * SECOND).await;
    assert_eq!(add(&[&first], 1).await, (2, 2));
    store.calm();
    gate.open();
    let error = tokio::time::timeout(60 * SECOND, frozen.host().failed()).await.expect("it goes on");
    assert!(error.message().contains("of format 2"), "{error}");
    assert!(frozen.host().call(tally(1).value()).await.is_err());
    assert_eq!(add(&[&first], 1).await, (3, 2));
}

#[tokio::test(start_paused = true)]
async fn alone_on_a_store_the_newest_format_is_written_from_the_start() {
    let store = remote_object::storage::Memory::store();
    let build = |next: bool| {
        let builder = Service::builder().datastore("memory", Arc::clone(&store));
        if next { builder.next_format() } else { builder }.build()
    };
    let service = build(false).await.unwrap();
    assert_eq!(add(&[&service], 1).await, (1, 1));
    service.stop().await;
    let service = build(true).await.unwrap();
    assert_eq!(add(&[&service], 1).await, (2, 2));
    service.stop().await;
    refused(build(false).await);
}
