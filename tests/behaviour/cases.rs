//! The behaviours. Each answers the script of what it was told.

use std::time::Duration;

use futures_util::future::join_all;
use remote_object::error::{Kind, Outcome};
use remote_object::{CallError, Remote, RemoteError};

use crate::objects::{Probe, ProbeError};
use crate::world::{Script, World};

fn probe(id: &str) -> Remote<Probe> {
    Remote::new(id)
}

fn failed<T, E: RemoteError>(answer: Result<T, CallError<E>>) -> remote_object::Error {
    match answer {
        Err(CallError::Failed(error)) => error,
        Err(CallError::Method(own)) => panic!("the method's own error {}", own.code()),
        Ok(_) => panic!("no error"),
    }
}

pub async fn an_edit_is_seen_by_the_next_view(world: &World) -> Script {
    let mut script = Script::default();
    for by in [5, -2, i64::from(i32::MAX)] {
        let added = world.call(probe("a").add(by)).await;
        let seen = world.call(probe("a").value()).await;
        assert_eq!(added.as_ref().unwrap(), seen.as_ref().unwrap());
        script.note(&added);
        script.note(&seen);
    }
    script.note(&world.call(probe("a").grow(0)).await);
    script
}

pub async fn an_object_nobody_wrote_has_its_default(world: &World) -> Script {
    let mut script = Script::default();
    script.note(&world.call(probe("never").value()).await);
    script.note(&world.call(probe("never").notes()).await);
    script
}

pub async fn errors_come_back_as_the_users_own_enum(world: &World) -> Script {
    let mut script = Script::default();
    let answer = world.call(probe("a").add_if_even(3)).await;
    script.note(&answer);
    let own = answer.unwrap_err().method();
    assert_eq!(own, Some(ProbeError::Told { value: 3, why: "odd".into() }));
    let answer = world.call(probe("a").fail_plainly()).await;
    script.note(&answer);
    assert_eq!(answer.unwrap_err().method(), Some(ProbeError::Plain));
    script
}

pub async fn a_failed_call_is_undone_alone(world: &World) -> Script {
    let mut script = Script::default();
    let calls = (0..20).map(|by| world.call(probe("a").add_if_even(by)));
    let answers = join_all(calls).await;
    let good = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(good, 10);
    let value = world.call(probe("a").value()).await;
    assert_eq!(*value.as_ref().unwrap(), (0..20).filter(|by| by % 2 == 0).sum::<i64>());
    script.note(&value);
    script
}

pub async fn a_panic_is_undone_and_the_object_goes_on(world: &World) -> Script {
    let mut script = Script::default();
    script.note(&world.call(probe("a").add(1)).await);
    let answer = world.call(probe("a").panic()).await;
    script.note(&answer);
    assert_eq!(failed(answer).kind(), Kind::MethodPanicked);
    let answer = world.call(probe("a").panic_later()).await;
    script.note(&answer);
    assert_eq!(failed(answer).kind(), Kind::MethodPanicked);
    let value = world.call(probe("a").add(1)).await;
    assert_eq!(*value.as_ref().unwrap(), 2);
    script.note(&value);
    script
}

pub async fn a_state_too_large_is_undone(world: &World) -> Script {
    let mut script = Script::default();
    for bytes in [100, 10_000, 200] {
        script.note(&world.call(probe("a").grow(bytes)).await);
    }
    // In one turn: only the one that does not fit is undone.
    let answers = join_all([300, 10_000, 400].map(|bytes| world.call(probe("a").grow(bytes)))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 2);
    let sizes: Vec<_> = world.call(probe("a").notes()).await.unwrap().iter().map(String::len).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 1000, "those that fit are there: {sizes:?}");
    script
}

pub async fn a_view_runs_beside_the_running_turn(world: &World) -> Script {
    let mut script = Script::default();
    world.warm(&["a"]).await;
    script.note(&world.call(probe("a").add(1)).await);
    let slow = world.call(probe("a").add_slowly(10, 400));
    let look = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let began = remote_object::clock::now();
        let seen = world.call(probe("a").value()).await;
        assert!(began.elapsed() < Duration::from_millis(250), "the view did not wait for the turn");
        assert_eq!(*seen.as_ref().unwrap(), 1, "it saw what was published, nothing of the working copy");
        seen
    };
    let (slow, seen) = tokio::join!(slow, look);
    script.note(&slow);
    script.note(&seen);
    script.note(&world.call(probe("a").value()).await);
    script
}

pub async fn calls_on_one_object_never_overlap(world: &World) -> Script {
    let mut script = Script::default();
    let slow = (0..10).map(|_| world.call(probe("a").add_slowly(1, 5)));
    let quick = (0..10).map(|_| world.call(probe("a").add(1)));
    let (slow, quick) = tokio::join!(join_all(slow), join_all(quick));
    let mut values: Vec<i64> = slow.into_iter().chain(quick).map(Result::unwrap).collect();
    values.sort_unstable();
    assert_eq!(values, (1..=20).collect::<Vec<_>>(), "no value was given twice");
    script.note(&world.call(probe("a").value()).await);
    script
}

pub async fn a_deadline_that_passes_undoes_the_call(world: &World) -> Script {
    let mut script = Script::default();
    world.warm(&["a"]).await;
    let slow = probe("a").add_slowly(10, 5_000).timeout(Duration::from_millis(200));
    let queued = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.call(probe("a").add(100).timeout(Duration::from_millis(50))).await
    };
    let (slow, queued) = tokio::join!(world.call(slow), queued);
    for answer in [slow, queued] {
        script.note(&answer);
        let error = failed(answer);
        assert_eq!((error.kind(), error.outcome()), (Kind::DeadlineExceeded, Outcome::NotExecuted));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let value = world.call(probe("a").value()).await;
    assert_eq!(*value.as_ref().unwrap(), 0);
    script.note(&value);
    script
}

pub async fn what_has_begun_goes_on_without_its_caller(world: &World) -> Script {
    let mut script = Script::default();
    world.warm(&["a"]).await;
    let gone = tokio::time::timeout(Duration::from_millis(100), world.call(probe("a").add_slowly(7, 300))).await;
    assert!(gone.is_err(), "the caller hung up");
    tokio::time::sleep(Duration::from_millis(600)).await;
    let value = world.call(probe("a").value()).await;
    assert_eq!(*value.as_ref().unwrap(), 7);
    script.note(&value);
    script
}

pub async fn a_keyed_call_takes_effect_once(world: &World) -> Script {
    let mut script = Script::default();
    for _ in 0..3 {
        script.note(&world.call(probe("a").add(5).idempotency_key("one")).await);
    }
    script.note(&world.call(probe("a").add(5).idempotency_key("two")).await);
    let value = world.call(probe("a").value()).await;
    assert_eq!(*value.as_ref().unwrap(), 10);
    script.note(&value);
    script
}

pub async fn a_key_for_another_request_is_refused(world: &World) -> Script {
    let mut script = Script::default();
    script.note(&world.call(probe("a").add(5).idempotency_key("one")).await);
    let answer = world.call(probe("a").add(6).idempotency_key("one")).await;
    script.note(&answer);
    assert_eq!(failed(answer).kind(), Kind::IdempotencyKeyReused);
    let bad = world.call(probe("a").add(6).idempotency_key("not visible")).await;
    assert_eq!(failed(bad).kind(), Kind::BadRequest);
    script.note(&world.call(probe("b").add(6).idempotency_key("one")).await);
    script
}

pub async fn a_failed_keyed_call_runs_again(world: &World) -> Script {
    let mut script = Script::default();
    let call = || probe("a").add_both(probe("b"), 3).idempotency_key("one");
    script.note(&world.call(call()).await);
    script.note(&world.call(call()).await);
    script.note(&world.call(probe("b").value()).await);
    script
}

pub async fn objects_call_each_other(world: &World) -> Script {
    let mut script = Script::default();
    script.note(&world.call(probe("b").add(100)).await);
    let sum = world.call(probe("a").add_both(probe("b"), 2)).await;
    assert_eq!(*sum.as_ref().unwrap(), 102);
    script.note(&sum);
    script.note(&world.call(probe("b").value()).await);
    script
}

pub async fn a_view_asks_other_objects(world: &World) -> Script {
    let mut script = Script::default();
    script.note(&world.call(probe("b").add(9)).await);
    let seen = world.call(probe("a").peek(probe("b"))).await;
    assert_eq!(*seen.as_ref().unwrap(), 9);
    script.note(&seen);
    let itself = world.call(probe("a").peek(probe("a"))).await;
    script.note(&itself);
    assert_eq!(remote_object::Error::from(itself.unwrap_err()).kind(), Kind::CallCycle);
    script
}

pub async fn an_error_of_a_called_object_is_handed_on(world: &World) -> Script {
    let mut script = Script::default();
    let answer = world.call(probe("a").add_both(probe("b"), 3)).await;
    script.note(&answer);
    script.note(&world.call(probe("a").value()).await);
    script.note(&world.call(probe("b").value()).await);
    script
}

pub async fn a_ring_of_calls_is_named_at_once(world: &World) -> Script {
    let mut script = Script::default();
    world.warm(&["a", "b", "c"]).await;
    let began = remote_object::clock::now();
    let answer = world.call(probe("a").along(vec![probe("b"), probe("c"), probe("a")])).await;
    assert!(began.elapsed() < Duration::from_millis(500), "it waited for no deadline");
    script.note(&answer);
    let error = remote_object::Error::from(answer.unwrap_err());
    assert_eq!(error.kind(), Kind::CallCycle);
    let ring = ["a", "b", "c", "a"].map(|id| format!("/objects/probe/{id}"));
    assert_eq!(error.fields()["cycle"], serde_json::json!(ring));
    for id in ["a", "b", "c"] {
        let value = world.call(probe(id).value()).await;
        assert_eq!(*value.as_ref().unwrap(), 0, "all of it is undone");
    }
    script
}

pub async fn calls_that_wait_on_each_other_crosswise_are_answered(world: &World) -> Script {
    let mut script = Script::default();
    world.warm(&["a", "b"]).await;
    let began = remote_object::clock::now();
    let one = world.call(probe("a").meet(probe("b"), 100));
    let other = world.call(probe("b").meet(probe("a"), 100));
    let (one, other) = tokio::join!(one, other);
    assert!(began.elapsed() < Duration::from_secs(2), "neither waited for its deadline");
    let (good, bad): (Vec<_>, Vec<_>) = [one, other].into_iter().partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (1, 1), "one goes on, since the other was told");
    let error = remote_object::Error::from(bad.into_iter().next().unwrap().unwrap_err());
    assert_eq!(error.kind(), Kind::CallCycle);
    script.note(&good[0]);
    script
}

pub async fn a_chain_that_is_too_long_is_refused(world: &World) -> Script {
    let mut script = Script::default();
    let way = |length: usize| (1..length).map(|n| probe(&format!("n{n}"))).collect::<Vec<_>>();
    script.note(&world.call(probe("n0").along(way(32))).await);
    let answer = world.call(probe("n0").along(way(33))).await;
    script.note(&answer);
    assert_eq!(remote_object::Error::from(answer.unwrap_err()).kind(), Kind::CallChainTooDeep);
    script
}

pub async fn a_full_queue_refuses_and_loses_nothing(world: &World) -> Script {
    let mut script = Script::default();
    world.warm(&["a"]).await;
    let blocker = world.call(probe("a").add_slowly(1, 500));
    let rush = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        join_all((0..60).map(|_| world.call(probe("a").add(1)))).await
    };
    let (blocker, rush) = tokio::join!(blocker, rush);
    blocker.unwrap();
    let (good, bad): (Vec<_>, Vec<_>) = rush.into_iter().partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (40, 20), "the queue takes 40");
    for answer in bad {
        let error = failed(answer);
        assert_eq!((error.kind(), error.outcome()), (Kind::ObjectBusy, Outcome::NotExecuted));
    }
    let value = world.call(probe("a").value()).await;
    assert_eq!(*value.as_ref().unwrap(), 41);
    script.note(&value);
    script
}

pub async fn the_context_of_one_call_never_shows_in_another(world: &World) -> Script {
    let calls = (0..200).map(|n| async move {
        let id = format!("p{}", n % 20);
        let told = world.call(probe(&id).who(format!("tag-{n}"), probe(&format!("other-{n}")))).await.unwrap();
        assert_eq!(told, vec![format!("{id} tag-{n}"); 2]);
    });
    // Not more at once than the queues take.
    let mut calls: Vec<_> = calls.map(Box::pin).collect();
    while !calls.is_empty() {
        let rest = calls.split_off(calls.len().min(100));
        join_all(calls).await;
        calls = rest;
    }
    Script::default()
}
