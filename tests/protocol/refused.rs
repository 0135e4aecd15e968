//! Puts that certainly had no effect: refused ones, and those that met another record (§3, R4, R8).

use std::sync::Arc;
use std::time::Duration;

use remote_object::error::{Kind, Outcome};
use remote_object::model::{Durability, Put, Record, Seen, Version};
use remote_object::storage::{Memory, OverKeyValue};
use serde_json::json;

use super::caller::*;
use super::ordered::Ordered;
use super::store::{Gate, On, Plan, Scripted};

#[tokio::test(start_paused = true)]
async fn a_refused_turn_is_undone_as_a_whole_and_nothing_else_is() {
    for store in [Scripted::exclusive(), Scripted::shared(), Scripted::over(Ordered::store())] {
        let service = service(&store).await;
        let host = service.host();
        let first = Gate::shut();
        store.next(On::Put, "a", Plan::Before(first.clone()));
        let opener = add(host, "a", 1).sent().await;
        let turn = [
            add(host, "a", 1).key("k").sent().await,
            call(host, "a", "refuse", json!({ "by": 1 })).sent().await,
            add(host, "a", 1).key("k").sent().await,
        ];
        // A turn of its own, behind the refused one.
        let after = call(host, "a", "add-slowly", json!({ "by": 1000, "ms": 1 })).sent().await;
        store.next(On::Put, "a", Plan::Refuse);
        first.reached(1).await;
        first.open();
        assert_eq!(number(&opener.answer().await), 1);
        for call in turn {
            assert_eq!(failure(&call.answer().await), (Kind::StoreUnavailable, Outcome::NotExecuted));
        }
        assert_eq!(number(&after.answer().await), 1001, "a refused turn took others with it");
        assert_eq!(value(&get(host, "a").now().await), 1001);
        // The undone call left neither its effect nor its key.
        let again = add(host, "a", 1).key("k").now().await;
        assert_eq!(number(&again), 1002);
        assert!(!again.unwrap().replayed);
        assert_at_rest(host).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_on_a_resting_object_leaves_it_at_rest_as_it_was() {
    let store = Scripted::exclusive();
    let service = service(&store).await;
    let host = service.host();
    let before = add(host, "a", 1).now().await;
    store.next(On::Put, "a", Plan::Refuse);
    assert_eq!(failure(&add(host, "a", 1).now().await), (Kind::StoreUnavailable, Outcome::NotExecuted));
    let seen = get(host, "a").now().await;
    assert_eq!((value(&seen), tag(&seen)), (1, tag(&before)));
    let next = add(host, "a", 1).now().await;
    assert_eq!(number(&next), 2);
    assert!(tag(&next).seq() > tag(&before).seq() + 1, "the version of the undone call was given again");
    assert_at_rest(host).await;
}

/// Another owner, of this epoch, writes after all that was seen.
async fn intrude(store: &Scripted, version: Version, state: &'static str) {
    store.overwrite(&key("a"), &foreign("a", version, state).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_conflict_with_a_former_owner_runs_the_turn_again_on_what_is_there() {
    for store in [Scripted::exclusive(), Scripted::shared()] {
        for warm in [true, false] {
            let first = service(&store).await;
            add(first.host(), "a", 1).now().await.unwrap();
            let service = service(&store).await;
            let host = service.host();
            add(host, "other", 1).now().await.unwrap();
            assert_eq!(value(&get(host, "a").now().await), 1);
            let gate = Gate::shut();
            let idempotency = format!("warm {warm}").replace(' ', "-");
            if !warm {
                store.next(On::Put, "a", Plan::Before(gate.clone()));
                host.forget();
            }
            let mut calls = Vec::new();
            let there = store.stored(&key("a")).await.unwrap().record.version;
            let late = Version::new(there.epoch(), there.seq() + 7);
            if warm {
                intrude(&store, late, r#"{"value":50,"text":""}"#).await;
                calls.push(add(host, "a", 1).key(&idempotency).sent().await);
            } else {
                calls.push(add(host, "a", 1).key(&idempotency).sent().await);
                gate.reached(1).await;
                intrude(&store, late, r#"{"value":50,"text":""}"#).await;
                gate.open();
            }
            let answered = tokio::time::timeout(Duration::from_secs(5), calls.remove(0).answer()).await;
            let answer = answered.expect("the turn never ends");
            assert_eq!(number(&answer), 51);
            assert_eq!(value(&get(host, "a").now().await), 51);
            let again = reply(add(host, "a", 1).key(&idempotency).now().await);
            assert!(again.replayed, "its effect would show twice");
            assert_eq!(tag(&Ok(again)), tag(&answer));
            assert_at_rest(host).await;
            delete(host, "a").now().await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_async_edit_that_told_others_is_not_run_again_behind_their_backs() {
    let store = Scripted::exclusive();
    let first = service(&store).await;
    add(first.host(), "a", 1).now().await.unwrap();
    let service = service(&store).await;
    let host = service.host();
    assert_eq!(value(&get(host, "a").now().await), 1);
    let there = store.stored(&key("a")).await.unwrap().record.version;
    intrude(&store, Version::new(there.epoch(), there.seq() + 7), r#"{"value":50,"text":""}"#).await;
    let answer = call(host, "a", "tell", json!({ "to": "/objects/tally/b", "by": 1 })).now().await;
    assert_eq!(value(&get(host, "b").now().await), 2, "the other object was told twice");
    assert_eq!(failure(&answer), (Kind::OutcomeUnknown, Outcome::Unknown), "what it told others has happened");
    assert_eq!(value(&get(host, "a").now().await), 50);
    // One that told nobody anything runs again, as plain edits do.
    intrude(&store, Version::new(there.epoch(), there.seq() + 8), r#"{"value":60,"text":""}"#).await;
    assert_eq!(number(&call(host, "a", "add-slowly", json!({ "by": 1, "ms": 1 })).now().await), 61);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_with_a_later_owner_ends_the_hold() {
    let store = Scripted::shared();
    let service = service(&store).await;
    let host = service.host();
    let before = tag(&add(host, "a", 1).now().await);
    let gate = Gate::shut();
    store.next(On::Put, "a", Plan::Before(gate.clone()));
    let edit = add(host, "a", 1).sent().await;
    let queued = add(host, "a", 1).sent().await;
    gate.reached(1).await;
    let later = Version::new(before.epoch() + 5, 1);
    intrude(&store, later, r#"{"value":50,"text":""}"#).await;
    gate.open();
    assert_eq!(failure(&edit.answer().await), (Kind::StoreUnavailable, Outcome::NotExecuted));
    assert_eq!(failure(&queued.answer().await), (Kind::StoreUnavailable, Outcome::NotExecuted));
    assert_eq!(store.stored(&key("a")).await.unwrap().record.version, later);
    assert_at_rest(host).await;
}

#[tokio::test(start_paused = true)]
async fn a_conflict_with_a_later_owner_after_a_lost_put_leaves_its_calls_unknown() {
    let store = Scripted::shared();
    let service = service(&store).await;
    let host = service.host();
    let before = tag(&add(host, "a", 1).now().await);
    let gate = Gate::shut();
    store.next(On::Put, "a", Plan::LostForGood);
    store.next(On::Put, "a", Plan::Before(gate.clone()));
    let edit = add(host, "a", 1).sent().await;
    let queued = add(host, "a", 1).sent().await;
    gate.reached(1).await;
    let later = Version::new(before.epoch() + 5, 1);
    intrude(&store, later, r#"{"value":50,"text":""}"#).await;
    gate.open();
    assert_eq!(failure(&edit.answer().await), (Kind::OutcomeUnknown, Outcome::Unknown));
    assert_eq!(failure(&queued.answer().await), (Kind::WrongNode, Outcome::NotExecuted));
    assert_at_rest(host).await;
}

#[tokio::test(start_paused = true)]
async fn the_stored_record_moves_only_by_puts_that_build_on_it() {
    let store = Scripted::exclusive();
    let service = service(&store).await;
    add(service.host(), "a", 1).now().await.unwrap();
    let there = store.stored(&key("a")).await.unwrap();
    let seen = Seen { version: Version::new(9, 9), rev: there.rev.clone() };
    let record = Record { version: Version::new(9, 10), ..there.record.clone() };
    // The kit of stores checks it at length; these tests stand on it.
    let stale = Seen { rev: remote_object::model::Rev::Number(0), ..seen };
    assert!(matches!(store.inner().put(&key("a"), Some(&stale), &record).await, Put::Conflict(_)));
}

/// Clone and Serialize are the user's too.
#[tokio::test(start_paused = true)]
async fn a_state_that_panics_when_it_is_copied_or_written_leaves_the_object_usable() {
    let store = Scripted::exclusive();
    let service = service(&store).await;
    let host = service.host();
    let touchy = |id: &str| remote_object::model::ObjectKey::new("touchy", id).unwrap();
    let set = |id: &str, method: &str, to: i64| call_of(host, touchy(id), method, json!({ "to": to }));
    for method in ["set", "set-later"] {
        set("a", method, 1).now().await.unwrap();
        let first = Gate::shut();
        store.next(On::Put, "a", Plan::Before(first.clone()));
        let opener = set("a", "set", 2).sent().await;
        let panics = set("a", method, 17).sent().await;
        let behind = set("a", "set", 3).sent().await;
        first.open();
        opener.answer().await.unwrap();
        assert_eq!(failure(&panics.answer().await), (Kind::MethodPanicked, Outcome::NotExecuted), "{method}");
        behind.answer().await.unwrap();
        assert_eq!(number(&call_of(host, touchy("a"), "value", json!({})).now().await), 3);
        // One that can be written, and not copied: it stands, and nothing can be made of it.
        set(method, "set", 13).now().await.unwrap();
        assert_eq!(failure(&set(method, method, 1).now().await), (Kind::MethodPanicked, Outcome::NotExecuted));
        assert_eq!(number(&call_of(host, touchy(method), "value", json!({})).now().await), 13);
        assert_at_rest(host).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_makes_the_record_too_large_for_the_store_is_undone_alone() {
    let small = OverKeyValue::new(Memory::new(), Durability::Weak).exclusive().record_bytes_max(10_000);
    let store = Scripted::over(Arc::new(small));
    let service = service(&store).await;
    let host = service.host();
    let first = Gate::shut();
    store.next(On::Put, "a", Plan::Before(first.clone()));
    let opener = add(host, "a", 1).sent().await;
    first.reached(1).await;
    let fill = |bytes: u32| call(host, "a", "fill", json!({ "bytes": bytes }));
    let before = add(host, "a", 1).sent().await;
    let large = fill(20_000).key("large").sent().await;
    let after = add(host, "a", 1).key("small").sent().await;
    first.open();
    opener.answer().await.unwrap();
    assert_eq!(failure(&large.answer().await), (Kind::StateTooLarge, Outcome::NotExecuted));
    assert_eq!((number(&before.answer().await), number(&after.answer().await)), (2, 3));
    // The replies that are kept count too.
    fill(3000).now().await.unwrap();
    let say = |n: u32| call(host, "a", "say", json!({ "bytes": 2000 })).key(&format!("say{n}"));
    let said: Vec<_> = [say(0).now().await, say(1).now().await, say(2).now().await, say(3).now().await].into();
    assert_eq!(said.iter().filter(|said| said.is_ok()).count(), 3);
    assert_eq!(failure(&said[3]), (Kind::StateTooLarge, Outcome::NotExecuted));
    assert_eq!(number(&add(host, "a", 1).now().await), 7);
    fill(10).now().await.unwrap();
    say(3).now().await.unwrap();
}
