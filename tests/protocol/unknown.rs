//! Puts that the store never answered (R4): the same bytes again, the object pinned, nothing known until it is.

use std::time::Duration;

use remote_object::error::{Kind, Outcome};
use remote_object::model::Version;
use serde_json::json;

use super::caller::*;
use super::ordered::Ordered;
use super::store::{Gate, On, Plan, Scripted, shared_memory};

#[tokio::test(start_paused = true)]
async fn the_same_bytes_are_sent_again_until_the_store_says() {
    for (lost, landed) in [(Plan::LostButDone, true), (Plan::LostForGood, false), (Plan::LostUntilLater, true)] {
        for store in [Scripted::exclusive(), Scripted::shared(), Scripted::over(Ordered::store())] {
            let service = service(&store).await;
            let host = service.host();
            add(host, "a", 1).now().await.unwrap();
            for _ in 0..3 {
                store.next(On::Put, "a", lost.clone());
            }
            assert_eq!(number(&add(host, "a", 1).now().await), 2, "{lost:?}");
            let puts = store.puts("a");
            assert_eq!(puts.len(), 5);
            assert!(puts[2..].iter().all(|put| *put == puts[1]), "a retry sent other bytes");
            // Late ones land after all: nothing comes of it.
            store.land().await;
            host.forget();
            assert_eq!(value(&get(host, "a").now().await), 2, "{lost:?} {landed}");
            assert_eq!(number(&add(host, "a", 1).now().await), 3);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_past_its_deadline_does_not_know_and_the_next_turn_waits() {
    for store in [Scripted::exclusive(), Scripted::shared(), Scripted::over(Ordered::store())] {
        let service = service(&store).await;
        let host = service.host();
        add(host, "a", 1).now().await.unwrap();
        store.always(On::Put, "a", Plan::LostForGood);
        let edit = add(host, "a", 1).within(Duration::from_secs(2)).sent().await;
        let next = add(host, "a", 10).within(Duration::from_secs(30)).sent().await;
        let short = add(host, "a", 100).within(Duration::from_secs(3)).sent().await;
        assert_eq!(failure(&edit.answer().await), (Kind::OutcomeUnknown, Outcome::Unknown));
        assert_eq!(failure(&short.answer().await), (Kind::DeadlineExceeded, Outcome::NotExecuted));
        next.assert_waits();
        let puts = store.puts("a");
        assert!(puts.iter().all(|put| put.version <= puts[1].version), "a turn began before the last was settled");
        assert!(!host.is_idle(), "the object is pinned");
        // L1 forgets; the state that may still come about is not loaded around its owner.
        let (loads, _) = store.reads();
        host.forget();
        assert_eq!(value(&get(host, "a").now().await), 1);
        assert_eq!(store.reads().0, loads);
        store.calm();
        assert_eq!(number(&next.answer().await), 12);
        assert_eq!(value(&get(host, "a").now().await), 12);
        assert_at_rest(host).await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_minute_of_silence_the_shard_is_taken_again_under_a_new_epoch() {
    for lands in [false, true] {
        for store in [Scripted::exclusive(), Scripted::shared(), Scripted::over(Ordered::store())] {
            let service = service(&store).await;
            let host = service.host();
            let first = tag(&add(host, "a", 1).now().await);
            store.always(On::Put, "a", Plan::LostUntilLater);
            let edit = add(host, "a", 1).sent().await;
            let queued = add(host, "a", 10).sent().await;
            tokio::time::sleep(Duration::from_secs(55)).await;
            edit.assert_waits();
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert_eq!(failure(&edit.answer().await), (Kind::OutcomeUnknown, Outcome::Unknown));
            assert_eq!(failure(&queued.answer().await), (Kind::WrongNode, Outcome::NotExecuted));
            assert_at_rest(host).await;
            store.calm();
            if lands {
                store.land().await;
            }
            let base = if lands { 2 } else { 1 };
            assert_eq!(value(&get(host, "a").now().await), base);
            let next = add(host, "a", 100).now().await;
            assert_eq!(number(&next), base + 100);
            assert!(tag(&next).epoch() > first.epoch(), "{} is not above {first}", tag(&next));
            // Whatever lands now changes nothing any more.
            store.land().await;
            host.forget();
            assert_eq!(value(&get(host, "a").now().await), base + 100);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_former_life_left_is_sealed_before_it_is_shown() {
    let store = Scripted::over(Ordered::store());
    let service = service(&store).await;
    let host = service.host();
    let shown = add(host, "a", 1).now().await;
    // A put of the old epoch that is still on its way.
    store.always(On::Put, "a", Plan::LostUntilLater);
    let lost = add(host, "a", 50).sent().await;
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert_eq!(failure(&lost.answer().await).1, Outcome::Unknown);
    store.calm();
    let seen = get(host, "a").now().await;
    assert_eq!((value(&seen), tag(&seen)), (1, tag(&shown)), "a seal changes no entity tag");
    assert_eq!(store.stored(&key("a")).await.unwrap().record.version.epoch(), tag(&shown).epoch() + 1);
    store.land().await;
    host.forget();
    assert_eq!(value(&get(host, "a").now().await), 1, "a state that was shown has vanished");
}

#[tokio::test(start_paused = true)]
async fn the_read_of_a_former_life_waits_for_its_seal() {
    let inner = Ordered::store();
    let first = Scripted::over(inner.clone());
    let host = service(&first).await;
    add(host.host(), "a", 1).now().await.unwrap();
    let store = Scripted::over(inner);
    let service = service(&store).await;
    let gate = Gate::shut();
    store.next(On::Put, "a", Plan::Before(gate.clone()));
    let read = get(service.host(), "a").sent().await;
    gate.reached(1).await;
    quiet().await;
    read.assert_waits();
    gate.open();
    assert_eq!(value(&read.answer().await), 1);
}

/// The owner of the turn is lost in the middle of a put: the object's next load seals, though the epoch is the same.
#[tokio::test(start_paused = true)]
async fn an_unsettled_object_is_remembered_though_its_turn_was_lost() {
    let store = Scripted::over(Ordered::store());
    let service = service(&store).await;
    let host = service.host();
    add(host, "a", 1).now().await.unwrap();
    store.next(On::Put, "a", Plan::Panic);
    // Not the only one at the object: its turn belongs to a task.
    host.forget();
    let lost = add(host, "a", 1).sent().await.answer().await;
    assert_eq!(lost.unwrap_err().outcome(), Outcome::Unknown);
    assert_at_rest(host).await;
    let puts = store.puts("a").len();
    host.forget();
    assert_eq!(value(&get(host, "a").now().await), 2);
    assert_eq!(store.puts("a").len(), puts + 1, "it was shown without a seal");
}

#[tokio::test(start_paused = true)]
async fn a_put_that_is_never_answered_holds_an_object_for_a_minute_and_not_for_ever() {
    let store = Scripted::exclusive();
    let service = service(&store).await;
    let host = service.host();
    add(host, "a", 1).now().await.unwrap();
    let gate = Gate::shut();
    store.next(On::Put, "a", Plan::Before(gate.clone()));
    let edit = add(host, "a", 1).sent().await;
    let queued = add(host, "a", 1).sent().await;
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert_eq!(failure(&edit.answer().await), (Kind::OutcomeUnknown, Outcome::Unknown));
    assert_eq!(failure(&queued.answer().await), (Kind::WrongNode, Outcome::NotExecuted));
    assert_at_rest(host).await;
    assert_eq!(number(&add(host, "a", 1).now().await), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_of_a_turn_that_nobody_knows_of_was_certainly_not_executed() {
    let store = Scripted::exclusive();
    let service = service(&store).await;
    let host = service.host();
    let first = Gate::shut();
    store.next(On::Put, "a", Plan::Before(first.clone()));
    let opener = add(host, "a", 1).sent().await;
    let edit = add(host, "a", 1).sent().await;
    let refused = call(host, "a", "refuse", json!({ "by": 1 })).sent().await;
    first.reached(1).await;
    store.always(On::Put, "a", Plan::LostForGood);
    first.open();
    opener.answer().await.unwrap();
    assert_eq!(failure(&edit.answer().await), (Kind::OutcomeUnknown, Outcome::Unknown));
    // It must not be told its own error either: what it saw may never have been.
    assert_eq!(failure(&refused.answer().await), (Kind::WrongNode, Outcome::NotExecuted));
}

#[tokio::test(start_paused = true)]
async fn a_late_put_of_a_former_life_is_found_and_built_upon() {
    let inner = shared_memory();
    let first = Scripted::over(inner.clone());
    let old = service(&first).await;
    add(old.host(), "a", 1).now().await.unwrap();
    first.always(On::Put, "a", Plan::LostUntilLater);
    let lost = add(old.host(), "a", 10).within(Duration::from_secs(5)).now().await;
    assert_eq!(failure(&lost), (Kind::OutcomeUnknown, Outcome::Unknown));
    drop(old);
    let store = Scripted::over(inner);
    let service = service(&store).await;
    let host = service.host();
    assert_eq!(value(&get(host, "a").now().await), 1);
    assert!(first.land().await.iter().any(|put| matches!(put, remote_object::model::Put::Stored(_))));
    // The warm state is not the stored one any more; the put says so, and nothing is lost.
    let answer = add(host, "a", 100).now().await;
    assert_eq!(number(&answer), 111);
    assert_eq!(value(&get(host, "a").now().await), 111);
    assert!(tag(&answer) > Version::new(2, 0));
}
