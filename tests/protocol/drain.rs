//! The end: a node that shuts down, a store that is broken for good, a service that is dropped.

use std::sync::Arc;
use std::time::Duration;

use remote_object::Config;
use remote_object::error::{Kind, Outcome};
use serde_json::json;

use super::caller::*;
use super::store::{Gate, On, Plan, Scripted, shared_memory};

#[tokio::test(start_paused = true)]
async fn a_node_that_drains_takes_nothing_new_and_ends_what_it_has() {
    for store in [Scripted::exclusive(), Scripted::shared()] {
        let service = service(&store).await;
        let host = service.host();
        let gate = Gate::shut();
        store.next(On::Put, "a", Plan::Before(gate.clone()));
        let edit = add(host, "a", 1).sent().await;
        let queued = add(host, "a", 10).sent().await;
        let args = json!({ "to": "/objects/tally/b", "by": 100 });
        let teller = call(host, "a", "tell", args).sent().await;
        gate.reached(1).await;
        let stopped = tokio::spawn({
            let service = service.clone();
            async move { service.stop().await }
        });
        quiet().await;
        for ask in [add(host, "a", 1), get(host, "a"), call(host, "c", "value", json!({})), delete(host, "a")] {
            assert_eq!(failure(&ask.now().await), (Kind::Draining, Outcome::NotExecuted));
        }
        assert_eq!(host.list("tally", None, 1).await.unwrap_err().kind(), Kind::Draining);
        assert!(!stopped.is_finished());
        gate.open();
        assert_eq!(number(&edit.answer().await), 1);
        assert_eq!(number(&queued.answer().await), 11);
        // What a running call asks of others is part of it.
        assert_eq!(number(&teller.answer().await), 111);
        stopped.await.unwrap();
        let after = self::service(&store).await;
        assert_eq!(value(&get(after.host(), "a").now().await), 111);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_no_longer_than_it_may() {
    let store = Scripted::exclusive();
    let mut config = Config::default();
    config.limits.drain_timeout_ms = 3000;
    let service = configured(&store, "node", config).await;
    let slow = call(service.host(), "a", "add-slowly", json!({ "by": 1, "ms": 60_000 })).sent().await;
    let began = remote_object::clock::now();
    service.stop().await;
    assert_eq!(began.elapsed().as_secs(), 3);
    slow.assert_waits();
}

#[tokio::test(start_paused = true)]
async fn the_objects_of_a_node_that_left_are_free_at_once() {
    let inner = shared_memory();
    let first = named(&Scripted::over(inner.clone()), "first").await;
    add(first.host(), "a", 1).now().await.unwrap();
    first.stop().await;
    let second = named(&Scripted::over(inner), "second").await;
    let began = remote_object::clock::now();
    assert_eq!(number(&add(second.host(), "a", 1).now().await), 2);
    assert!(began.elapsed() < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_acknowledged_after_the_store_has_failed() {
    for store in [Scripted::exclusive(), Scripted::shared()] {
        let service = service(&store).await;
        let host = service.host();
        add(host, "a", 1).now().await.unwrap();
        add(host, "b", 1).now().await.unwrap();
        let (put, load) = (Gate::shut(), Gate::shut());
        store.next(On::Put, "a", Plan::Before(put.clone()));
        store.next(On::Load, "c", Plan::Before(load.clone()));
        let edit = add(host, "a", 1).sent().await;
        let queued = add(host, "a", 1).sent().await;
        let read = get(host, "c").sent().await;
        put.reached(1).await;
        load.reached(1).await;
        store.fail();
        host.failed().await;
        quiet().await;
        assert!(host.has_failed());
        // Even what the broken store says now counts for nothing.
        put.open();
        load.open();
        assert_eq!(failure(&edit.answer().await), (Kind::OutcomeUnknown, Outcome::Unknown));
        assert_eq!(failure(&queued.answer().await), (Kind::WrongNode, Outcome::NotExecuted));
        assert_eq!(failure(&read.answer().await), (Kind::StoreUnavailable, Outcome::NotExecuted));
        let puts = (store.puts("a").len(), store.puts("b").len());
        for ask in [add(host, "b", 1), get(host, "b"), call(host, "b", "value", json!({})), delete(host, "a")] {
            assert_eq!(failure(&ask.now().await), (Kind::StoreUnavailable, Outcome::NotExecuted));
        }
        assert_eq!(host.list("tally", None, 1).await.unwrap_err().kind(), Kind::StoreUnavailable);
        assert_at_rest(host).await;
        assert_eq!((store.puts("a").len(), store.puts("b").len()), puts);
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_that_a_failing_store_does_not_answer_is_not_waited_for() {
    let store = Scripted::exclusive();
    let service = service(&store).await;
    let host = service.host();
    add(host, "a", 1).now().await.unwrap();
    store.always(On::Put, "a", Plan::LostForGood);
    let edit = add(host, "a", 1).sent().await;
    store.fail();
    let began = remote_object::clock::now();
    assert_eq!(failure(&edit.answer().await), (Kind::OutcomeUnknown, Outcome::Unknown));
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_dropped_lets_its_store_go() {
    for store in [Scripted::exclusive(), Scripted::shared()] {
        let service = service(&store).await;
        add(service.host(), "a", 1).now().await.unwrap();
        let gone = Arc::downgrade(&store);
        drop(store);
        drop(service);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(gone.strong_count(), 0, "a file would stay locked");
    }
}

/// A store that panics is a store with a bug, and no reason to answer nothing any more.
#[tokio::test(start_paused = true)]
async fn a_confirm_that_panicked_is_not_the_end_of_all_confirms() {
    let store = Scripted::shared();
    let service = service(&store).await;
    let host = service.host();
    add(host, "a", 1).now().await.unwrap();
    store.next(On::Get, "node/", Plan::Panic);
    let hit = get(host, "a").sent().await;
    assert_eq!(failure(&hit.answer().await).1, Outcome::NotExecuted);
    assert_eq!(value(&get(host, "a").now().await), 1);
}
