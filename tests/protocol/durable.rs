//! No answer leaves before what it could have seen is durable (R4 to R6, R9).

use std::sync::Arc;
use std::time::Duration;

use remote_object::Config;
use remote_object::error::{Kind, Outcome};
use serde_json::json;

use super::caller::*;
use super::ordered::Ordered;
use super::store::{Gate, On, Plan, Scripted};

fn every_store() -> [Arc<Scripted>; 3] {
    [Scripted::exclusive(), Scripted::shared(), Scripted::over(Ordered::store())]
}

/// The next put of `a` waits, done or not done.
fn hold(store: &Scripted, done: bool) -> Gate {
    let gate = Gate::shut();
    store.next(On::Put, "a", if done { Plan::After(gate.clone()) } else { Plan::Before(gate.clone()) });
    gate
}

#[tokio::test(start_paused = true)]
async fn no_answer_of_a_turn_leaves_before_its_put_is_durable() {
    for store in every_store() {
        for (warm, done) in [(false, false), (true, false), (true, true)] {
            let service = service(&store).await;
            let host = service.host();
            let before = if warm {
                value(&{
                    add(host, "a", 10).now().await.unwrap();
                    get(host, "a").now().await
                })
            } else {
                0
            };
            let gate = hold(&store, done);
            let edit = add(host, "a", 1).sent().await;
            // These wait for the turn after, whose put is free.
            let others = [
                add(host, "a", 1).sent().await,
                call(host, "a", "refuse", json!({ "by": 1 })).sent().await,
                add(host, "a", 1).if_absent().sent().await,
                call(host, "a", "crash", json!({})).sent().await,
            ];
            gate.reached(1).await;
            edit.assert_waits();
            others.iter().for_each(Sent::assert_waits);
            gate.open();
            assert_eq!(number(&edit.answer().await), before + 1);
            let [second, refused, not_absent, crashed] = others;
            assert_eq!(number(&second.answer().await), before + 2);
            let refused = refused.answer().await.unwrap_err();
            assert_eq!((refused.code(), &refused.fields()["value"]), ("refused", &json!(before + 3)));
            assert_eq!(failure(&not_absent.answer().await), (Kind::PreconditionFailed, Outcome::NotExecuted));
            assert_eq!(failure(&crashed.answer().await), (Kind::MethodPanicked, Outcome::NotExecuted));
            assert_at_rest(host).await;
            delete(host, "a").now().await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_failed_calls_of_a_turn_wait_for_the_put_of_what_they_saw() {
    for store in every_store() {
        let service = service(&store).await;
        let host = service.host();
        let first = hold(&store, false);
        let opener = add(host, "a", 1).sent().await;
        // One turn: an edit, and calls that fail after they saw it, or are answered without running.
        let edit = add(host, "a", 1).key("k").sent().await;
        let failing = [
            call(host, "a", "refuse", json!({ "by": 1 })).sent().await,
            add(host, "a", 5).if_absent().sent().await,
            add(host, "a", 1).key("k").sent().await,
        ];
        let second = hold(&store, true);
        first.reached(1).await;
        first.open();
        second.reached(1).await;
        assert_eq!(number(&opener.answer().await), 1);
        quiet().await;
        edit.assert_waits();
        failing.iter().for_each(Sent::assert_waits);
        second.open();
        assert_eq!(number(&edit.answer().await), 2);
        let [refused, not_absent, again] = failing;
        assert_eq!(refused.answer().await.unwrap_err().fields()["value"], json!(3));
        assert_eq!(failure(&not_absent.answer().await).0, Kind::PreconditionFailed);
        assert!(reply(again.answer().await).replayed);
        assert_eq!(store.puts("a").len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_beside_a_running_turn_sees_what_was_published_and_never_the_working_copy() {
    for store in every_store() {
        for done in [false, true] {
            let service = service(&store).await;
            let host = service.host();
            let old = add(host, "a", 5).now().await;
            let before = value(&get(host, "a").now().await);
            let gate = hold(&store, done);
            let edit = add(host, "a", 1).sent().await;
            gate.reached(1).await;
            let seen = get(host, "a").now().await;
            assert_eq!((value(&seen), tag(&seen)), (before, tag(&old)));
            assert_eq!(number(&call(host, "a", "value", json!({})).now().await), before);
            assert_eq!(number(&call(host, "b", "ask", json!({ "of": "/objects/tally/a" })).now().await), before);
            edit.assert_waits();
            gate.open();
            assert_eq!(number(&edit.answer().await), before + 1);
            assert_eq!(value(&get(host, "a").now().await), before + 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_read_waits_with_the_first_edit_and_sees_nothing_that_is_not_durable() {
    for store in every_store() {
        let service = service(&store).await;
        let host = service.host();
        let gate = hold(&store, false);
        let edit = add(host, "a", 1).sent().await;
        gate.reached(1).await;
        // The object is not there yet, and its load is: the read is answered from it.
        assert_eq!(failure(&get(host, "a").now().await).0, Kind::ObjectNotFound);
        edit.assert_waits();
        gate.open();
        edit.answer().await.unwrap();
        assert_eq!(value(&get(host, "a").now().await), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_l1_has_forgotten_under_a_running_turn_never_sees_the_working_copy() {
    for store in every_store() {
        for busy in [false, true] {
            let service = service(&store).await;
            let host = service.host();
            add(host, "a", 1).now().await.unwrap();
            let before = value(&get(host, "a").now().await);
            if busy {
                // The turn is one of a task that owns the object for longer, not of its only caller.
                host.forget();
            }
            let gate = hold(&store, true);
            let edit = add(host, "a", 1).sent().await;
            gate.reached(1).await;
            host.forget();
            let read = get(host, "a").sent().await;
            if read.is_answered() {
                assert_eq!(value(&read.answer().await), before);
                edit.assert_waits();
                gate.open();
            } else {
                gate.open();
                assert_eq!(value(&read.answer().await), before + 1);
            }
            edit.answer().await.unwrap();
            assert_at_rest(host).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_async_edit_tells_others_nothing_before_its_predecessors_are_durable() {
    for store in every_store() {
        let service = service(&store).await;
        let host = service.host();
        add(host, "b", 1).now().await.unwrap();
        let puts_of_b = store.puts("b").len();
        let gate = hold(&store, true);
        let edit = add(host, "a", 1).sent().await;
        let teller = call(host, "a", "tell", json!({ "to": "/objects/tally/b", "by": 1 })).sent().await;
        gate.reached(1).await;
        quiet().await;
        teller.assert_waits();
        assert_eq!(store.puts("b").len(), puts_of_b, "the other object was told of a state that is not durable");
        gate.open();
        edit.answer().await.unwrap();
        assert_eq!(number(&teller.answer().await), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn an_async_edit_starts_only_once_its_predecessors_are_confirmed() {
    let store = Scripted::shared();
    let service = service(&store).await;
    let host = service.host();
    add(host, "a", 1).now().await.unwrap();
    add(host, "b", 1).now().await.unwrap();
    let puts_of_b = store.puts("b").len();
    let gate = Gate::shut();
    store.next(On::Get, "node/", Plan::Before(gate.clone()));
    let edit = add(host, "a", 1).sent().await;
    let teller = call(host, "a", "tell", json!({ "to": "/objects/tally/b", "by": 1 })).sent().await;
    gate.reached(1).await;
    quiet().await;
    assert_eq!(store.puts("b").len(), puts_of_b);
    gate.open();
    edit.answer().await.unwrap();
    assert_eq!(number(&teller.answer().await), 4);
}

#[tokio::test(start_paused = true)]
async fn one_put_an_object_is_under_way_however_many_call() {
    let store = Scripted::exclusive();
    let service = service(&store).await;
    let host = service.host();
    let gate = hold(&store, false);
    let mut all = Vec::new();
    for _ in 0..300 {
        all.push(tokio::spawn(add(host, "a", 1).now()));
    }
    gate.reached(1).await;
    quiet().await;
    assert_eq!(store.puts("a").len(), 1);
    gate.open();
    let mut values = Vec::new();
    for one in all {
        values.push(number(&one.await.unwrap()));
    }
    values.sort_unstable();
    assert_eq!(values, (1..=300).collect::<Vec<_>>());
    let puts = store.puts("a").len();
    assert!(puts <= 4, "{puts} puts for 300 calls: a turn takes 256");
    assert_at_rest(host).await;
}

/// The edge of the last turn: it is durable, its answers are out, and L1 keeps nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_after_an_answer_sees_it_though_l1_keeps_nothing() {
    let store = Scripted::exclusive();
    let mut config = Config::default();
    config.limits.l1_bytes = 1;
    let service = configured(&store, "node", config).await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let host = service.host().clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..500 {
                let written = number(&add(&host, "a", 1).now().await);
                let read = value(&get(&host, "a").now().await);
                assert!(read >= written, "{written} was answered, then {read} read");
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    tokio::time::timeout(Duration::from_secs(5), service.host().idle()).await.unwrap();
}
