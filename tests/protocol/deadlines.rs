//! Deadlines: wherever a call is when its time is up, its answer says exactly what became of it.

use std::time::Duration;

use remote_object::error::{Kind, Outcome};
use serde_json::json;

use super::caller::*;
use super::ordered::Ordered;
use super::store::{Gate, On, Plan, Scripted};

const TOO_LATE: (Kind, Outcome) = (Kind::DeadlineExceeded, Outcome::NotExecuted);
const SECOND: Duration = Duration::from_secs(1);

/// Waits until nothing is under way, and tells what the objects have come to.
async fn outcome(host: &remote_object::Host, store: &Scripted, id: &str) -> i64 {
    store.calm();
    assert_at_rest(host).await;
    host.forget();
    match get(host, id).now().await {
        Err(error) if error.kind() == Kind::ObjectNotFound => 0,
        answer => value(&answer),
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_late_already_does_not_begin() {
    for warm in [true, false] {
        let store = Scripted::exclusive();
        let service = service(&store).await;
        let host = service.host();
        add(host, "a", 1).now().await.unwrap();
        if !warm {
            host.forget();
        }
        assert_eq!(failure(&add(host, "a", 1).within(Duration::ZERO).now().await), TOO_LATE);
        assert_eq!(outcome(host, &store, "a").await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_time_is_up_in_the_queue_never_runs() {
    for behind_put in [true, false] {
        let store = Scripted::exclusive();
        let service = service(&store).await;
        let host = service.host();
        let gate = Gate::shut();
        let before = if behind_put {
            store.next(On::Put, "a", Plan::Before(gate.clone()));
            add(host, "a", 1).sent().await
        } else {
            call(host, "a", "add-slowly", json!({ "by": 1, "ms": 5000 })).sent().await
        };
        let queued = add(host, "a", 10).within(SECOND).sent().await;
        let patient = add(host, "a", 100).sent().await;
        assert_eq!(failure(&queued.answer().await), TOO_LATE);
        gate.open();
        before.answer().await.unwrap();
        assert_eq!(number(&patient.answer().await), 101);
        assert_eq!(outcome(host, &store, "a").await, 101);
    }
}

#[tokio::test(start_paused = true)]
async fn an_async_edit_whose_time_is_up_is_undone() {
    let store = Scripted::exclusive();
    let service = service(&store).await;
    let host = service.host();
    let slow = call(host, "a", "add-slowly", json!({ "by": 1, "ms": 5000 })).within(SECOND).sent().await;
    let next = add(host, "a", 10).sent().await;
    assert_eq!(failure(&slow.answer().await), TOO_LATE);
    assert_eq!(number(&next.answer().await), 10);
    assert_eq!(outcome(host, &store, "a").await, 10);
}

#[tokio::test(start_paused = true)]
async fn an_async_edit_that_was_undone_after_it_had_told_others_does_not_call_itself_undone() {
    for then in ["hang", "panic", "grow"] {
        let store = Scripted::exclusive();
        let service = service(&store).await;
        let host = service.host();
        let args = json!({ "to": "/objects/tally/b", "then": then });
        let answer = call(host, "a", "tell-and", args).within(SECOND).now().await;
        assert_eq!(failure(&answer).1, Outcome::Unknown, "{then}: {answer:?}");
        assert_eq!((outcome(host, &store, "a").await, outcome(host, &store, "b").await), (0, 1));
    }
    // A refused put, and the confirm of a life that is over.
    for killed in [false, true] {
        let store = Scripted::shared();
        let service = service(&store).await;
        let host = service.host();
        add(host, "a", 0).now().await.unwrap();
        let gate = Gate::shut();
        store.next(On::Put, "a", if killed { Plan::Before(gate.clone()) } else { Plan::Refuse });
        let told = call(host, "a", "tell", json!({ "to": "/objects/tally/b", "by": 1 })).sent().await;
        if killed {
            gate.reached(1).await;
            kill(&store, "node").await;
        }
        gate.open();
        assert_eq!(failure(&told.answer().await).1, Outcome::Unknown);
        assert_eq!(outcome(host, &store, "b").await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_time_is_up_in_its_put_is_unknown_and_the_failed_ones_of_its_turn_are_not() {
    for store in [Scripted::exclusive(), Scripted::shared(), Scripted::over(Ordered::store())] {
        for lands in [true, false] {
            let service = service(&store).await;
            let host = service.host();
            let before = outcome(host, &store, "a").await;
            let (opener, gate) = (Gate::shut(), Gate::shut());
            store.next(On::Put, "a", Plan::Before(opener.clone()));
            let first = add(host, "a", 1).sent().await;
            opener.reached(1).await;
            store.next(On::Put, "a", Plan::Before(gate.clone()));
            if !lands {
                store.next(On::Put, "a", Plan::Refuse);
            }
            let edit = add(host, "a", 10).within(SECOND).sent().await;
            let failed = call(host, "a", "refuse", json!({ "by": 1 })).within(SECOND).sent().await;
            opener.open();
            first.answer().await.unwrap();
            assert_eq!(failure(&edit.answer().await), (Kind::OutcomeUnknown, Outcome::Unknown));
            assert_eq!(failure(&failed.answer().await), TOO_LATE);
            gate.open();
            assert_at_rest(host).await;
            assert_eq!(outcome(host, &store, "a").await, before + 11);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_time_is_up_while_its_object_is_fetched_never_runs() {
    for (on, name) in [(On::Load, "a"), (On::Cas, "shard/"), (On::Get, "shard/")] {
        let store = Scripted::shared();
        let service = service(&store).await;
        let host = service.host();
        let gate = Gate::shut();
        store.always(on, name, Plan::Before(gate.clone()));
        let edit = add(host, "a", 1).within(SECOND).sent().await;
        let read = get(host, "a").within(SECOND).sent().await;
        let patient = add(host, "a", 10).sent().await;
        assert_eq!(failure(&edit.answer().await), TOO_LATE, "{on:?}");
        assert_eq!(failure(&read.answer().await), TOO_LATE, "{on:?}");
        store.calm();
        gate.open();
        assert_eq!(number(&patient.answer().await), 10);
        assert_eq!(outcome(host, &store, "a").await, 10);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_time_is_up_in_its_confirm_is_unknown_and_a_read_is_not() {
    let store = Scripted::shared();
    let service = service(&store).await;
    let host = service.host();
    add(host, "a", 1).now().await.unwrap();
    let gate = Gate::shut();
    store.always(On::Get, "node/", Plan::Before(gate.clone()));
    let edit = add(host, "a", 10).within(SECOND).sent().await;
    let read = get(host, "a").within(SECOND).sent().await;
    assert_eq!(failure(&edit.answer().await), (Kind::OutcomeUnknown, Outcome::Unknown));
    assert_eq!(failure(&read.answer().await), TOO_LATE);
    gate.open();
    assert_eq!(outcome(host, &store, "a").await, 11);
}

/// Time goes by while the method holds its thread, so it has to be real time.
#[tokio::test]
async fn a_method_that_overruns_its_deadline_is_undone_alone() {
    let store = Scripted::exclusive();
    let service = service(&store).await;
    let host = service.host();
    let gate = Gate::shut();
    store.next(On::Put, "a", Plan::Before(gate.clone()));
    let send = |ask: Ask| {
        let sent = tokio::spawn(ask.now());
        async move {
            tokio::task::yield_now().await;
            [sent]
        }
    };
    let [opener] = send(add(host, "a", 1)).await;
    gate.reached(1).await;
    let busy = call(host, "a", "add-busily", json!({ "by": 1000, "ms": 300 }));
    let [before] = send(add(host, "a", 10)).await;
    let [late] = send(busy.within(Duration::from_millis(250)).key("k")).await;
    let [after] = send(add(host, "a", 100)).await;
    gate.open();
    assert_eq!(number(&opener.await.unwrap()), 1);
    assert_eq!(number(&before.await.unwrap()), 11);
    assert_eq!(failure(&late.await.unwrap()), TOO_LATE);
    assert_eq!(number(&after.await.unwrap()), 111);
    // Alone at the object, it is the same; and its key was not used up.
    let alone = call(host, "a", "add-busily", json!({ "by": 1000, "ms": 60 }));
    assert_eq!(failure(&alone.within(Duration::from_millis(30)).key("k").now().await), TOO_LATE);
    let in_time = call(host, "a", "add-busily", json!({ "by": 1000, "ms": 1 })).key("other").now().await;
    assert_eq!(number(&in_time), 1111);
}

#[tokio::test(start_paused = true)]
async fn whenever_the_time_is_up_the_answer_is_true_of_what_is_there_in_the_end() {
    for store in [Scripted::exclusive(), Scripted::shared(), Scripted::over(Ordered::store())] {
        let service = service(&store).await;
        let host = service.host();
        let mut seen = std::collections::BTreeSet::new();
        for (ms, cold) in (0..45).flat_map(|ms| [(ms, true), (ms, false)]) {
            let id = format!("t{ms}-{cold}");
            if !cold {
                add(host, &id, 0).now().await.unwrap();
            }
            store.always(On::Load, &id, Plan::Late(Duration::from_millis(7)));
            store.always(On::Put, &id, Plan::Late(Duration::from_millis(7)));
            store.always(On::Get, "node/", Plan::Late(Duration::from_millis(7)));
            let first = call(host, &id, "add-slowly", json!({ "by": 1, "ms": 10 }));
            let second = add(host, &id, 10);
            let deadline = Duration::from_millis(ms);
            let (first, second) = (first.within(deadline), second.within(deadline));
            let (first, second) = futures_util::future::join(first.now(), second.now()).await;
            let there = outcome(host, &store, &id).await;
            for (answer, by) in [(first, 1), (second, 10)] {
                let has = there / by % 10 == 1;
                match answer {
                    Ok(_) => assert!(has, "{ms} ms: acknowledged and lost"),
                    Err(error) if error.outcome() == Outcome::NotExecuted => {
                        assert_eq!(error.kind(), Kind::DeadlineExceeded);
                        assert!(!has, "{ms} ms: not executed, and there");
                        seen.insert("late");
                    }
                    Err(error) => {
                        assert_eq!((error.kind(), error.outcome()), (Kind::OutcomeUnknown, Outcome::Unknown));
                        assert!(has, "{ms} ms: the store did say in the end");
                        seen.insert("unknown");
                    }
                }
            }
        }
        assert_eq!(seen.len(), 2, "the deadlines met neither the queue nor the put");
    }
}
