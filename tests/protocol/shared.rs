//! Stores that others share: every answer is confirmed (R5, R6), a killed life answers nothing (R8), one owner (R2, R10).

use std::sync::Arc;
use std::time::Duration;

use remote_object::error::{Kind, Outcome};
use remote_object::model::Register;
use serde_json::json;

use super::caller::*;
use super::store::{Gate, On, Plan, Scripted, shared_memory};

/// The confirm: a read of a life's row.
const CONFIRM: &str = "node/";
/// Confirms that may be under way at the same time.
pub(super) const AT_ONCE: usize = 2;

fn hold_confirms(store: &Scripted) -> Gate {
    let gate = Gate::shut();
    store.always(On::Get, CONFIRM, Plan::Before(gate.clone()));
    gate
}

#[tokio::test(start_paused = true)]
async fn every_answer_that_shows_a_state_is_confirmed_first() {
    let store = Scripted::shared();
    let service = service(&store).await;
    let host = service.host();
    let written = tag(&add(host, "a", 1).key("k").now().await);
    assert_eq!(failure(&get(host, "absent").now().await).0, Kind::ObjectNotFound);
    let asks = [
        ("edit", add(host, "a", 1)),
        ("replay", add(host, "a", 1).key("k")),
        ("key of another request", add(host, "a", 2).key("k")),
        ("412", add(host, "a", 1).if_match(remote_object::model::Version::new(1, 99))),
        ("412 of one that is there", add(host, "a", 1).if_absent()),
        ("402", call(host, "a", "refuse", json!({ "by": 1 }))),
        ("panic", call(host, "a", "crash", json!({}))),
        ("state", get(host, "a")),
        ("404", get(host, "absent")),
        ("404 of DELETE", delete(host, "absent")),
        ("view", call(host, "a", "value", json!({}))),
        ("view of another", call(host, "b", "ask", json!({ "of": "/objects/tally/a" }))),
        ("view of nothing", call(host, "absent", "value", json!({}))),
        ("an old enough state", get(host, "a").max_age(Duration::ZERO)),
    ];
    tokio::time::sleep(Duration::from_millis(10)).await;
    for (what, ask) in asks {
        let gate = hold_confirms(&store);
        let sent = ask.sent().await;
        quiet().await;
        assert!(!sent.is_answered(), "{what} left without a confirm");
        store.calm();
        gate.open();
        let _ = sent.answer().await;
    }
    let gate = hold_confirms(&store);
    let listing = tokio::spawn({
        let host = host.clone();
        async move { host.list("tally", None, 10).await }
    });
    quiet().await;
    assert!(!listing.is_finished(), "a list left without a confirm");
    gate.open();
    assert_eq!(listing.await.unwrap().unwrap().keys, [key("a")]);
    assert!(tag(&get(host, "a").now().await) > written);
}

#[tokio::test(start_paused = true)]
async fn the_put_comes_first_and_the_confirm_starts_after_it() {
    let store = Scripted::shared();
    let service = service(&store).await;
    let host = service.host();
    add(host, "a", 1).now().await.unwrap();
    let (put, confirm) = (Gate::shut(), Gate::shut());
    store.next(On::Put, "a", Plan::After(put.clone()));
    store.next(On::Get, CONFIRM, Plan::After(confirm.clone()));
    let edit = add(host, "a", 1).sent().await;
    put.reached(1).await;
    quiet().await;
    let (_, before) = store.reads();
    kill(&store, "node").await;
    put.open();
    confirm.reached(1).await;
    assert_eq!(store.reads().1, before + 1);
    confirm.open();
    assert_eq!(failure(&edit.answer().await), (Kind::OutcomeUnknown, Outcome::Unknown));
}

#[tokio::test(start_paused = true)]
async fn one_read_confirms_whatever_waits_and_nobody_joins_one_that_has_begun() {
    let store = Scripted::shared();
    let service = service(&store).await;
    let host = service.host();
    for id in ["a", "b", "c"] {
        add(host, id, 1).now().await.unwrap();
    }
    // Just after a beat, so that no beat reads the row meanwhile.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let gate = Gate::shut();
    let (_, before) = store.reads();
    let mut first = Vec::new();
    for number in 1..=AT_ONCE {
        store.next(On::Get, CONFIRM, Plan::After(gate.clone()));
        first.push(get(host, "a").sent().await);
        gate.reached(number).await;
        assert_eq!(store.reads().1, before + number, "one that has begun was joined");
    }
    let mut others = Vec::new();
    for id in ["a", "b", "c"] {
        others.push(get(host, id).sent().await);
        others.push(call(host, id, "value", json!({})).sent().await);
        others.push(add(host, id, 1).sent().await);
    }
    assert_eq!(store.reads().1, before + AT_ONCE, "one more began beside them");
    first.iter().chain(&others).for_each(Sent::assert_waits);
    gate.open();
    for answer in first.into_iter().chain(others) {
        answer.answer().await.unwrap();
    }
    assert_eq!(store.reads().1, before + AT_ONCE + 1, "one more read for all that had come meanwhile");
}

#[tokio::test(start_paused = true)]
async fn an_asker_that_hangs_up_in_its_confirm_holds_up_nobody() {
    let store = Scripted::shared();
    let service = service(&store).await;
    let host = service.host();
    add(host, "a", 1).now().await.unwrap();
    for times in 0..4 {
        let gate = Gate::shut();
        store.always(On::Get, CONFIRM, Plan::Before(gate.clone()));
        for _ in 0..times {
            let gone = tokio::time::timeout(Duration::from_millis(1), get(host, "a").now()).await;
            assert!(gone.is_err(), "it was answered");
        }
        let stays = get(host, "a").sent().await;
        gate.open();
        store.calm();
        assert_eq!(value(&stays.answer().await), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_killed_life_acknowledges_nothing_and_another_one_serves() {
    let store = Scripted::shared();
    let service = service(&store).await;
    let host = service.host();
    let before = tag(&add(host, "a", 1).now().await);
    add(host, "b", 1).now().await.unwrap();
    let gate = Gate::shut();
    store.next(On::Put, "a", Plan::Before(gate.clone()));
    let edit = add(host, "a", 1).sent().await;
    let queued = add(host, "a", 10).sent().await;
    gate.reached(1).await;
    kill(&store, "node").await;
    let failing = call(host, "b", "refuse", json!({ "by": 1 })).now().await;
    assert_eq!(failure(&failing), (Kind::WrongNode, Outcome::NotExecuted), "402 left a dead life");
    gate.open();
    assert_eq!(failure(&edit.answer().await), (Kind::OutcomeUnknown, Outcome::Unknown));
    assert_eq!(failure(&queued.answer().await), (Kind::WrongNode, Outcome::NotExecuted));
    assert_at_rest(host).await;
    // A new life under a new epoch; the put of the old one had landed before it.
    assert_eq!(value(&get(host, "a").now().await), 2);
    let next = add(host, "a", 100).now().await;
    assert_eq!(number(&next), 102);
    assert!(tag(&next).epoch() > before.epoch());
    let up: Vec<_> = lives(&store).await.into_iter().filter(|(_, row)| row["state"] == "up").collect();
    assert_eq!((up.len(), lives(&store).await.len()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_killed_life_shows_no_state_either() {
    for read in [true, false] {
        let store = Scripted::shared();
        let service = service(&store).await;
        let host = service.host();
        add(host, "a", 1).now().await.unwrap();
        let ask = if read { get(host, "a") } else { call(host, "a", "value", json!({})) };
        kill(&store, "node").await;
        assert_eq!(failure(&ask.now().await), (Kind::WrongNode, Outcome::NotExecuted));
        assert_eq!(value(&get(host, "a").now().await), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_after_a_kill_is_answered_by_the_next_life() {
    let store = Scripted::shared();
    let service = service(&store).await;
    let host = service.host();
    add(host, "a", 1).now().await.unwrap();
    kill(&store, "node").await;
    assert_eq!(host.list("tally", None, 10).await.unwrap_err().kind(), Kind::StoreUnavailable);
    assert_eq!(host.list("tally", None, 10).await.unwrap().keys, [key("a")]);
}

#[tokio::test(start_paused = true)]
async fn a_life_that_was_killed_before_it_had_begun_gives_way_to_another() {
    let store = Scripted::shared();
    let service = service(&store).await;
    let host = service.host();
    add(host, "a", 1).now().await.unwrap();
    kill(&store, "node").await;
    get(host, "a").now().await.unwrap_err();
    // The new life's row is written, and nobody is told: then it is an old life of this name, to be killed.
    store.always(On::Cas, CONFIRM, Plan::LostButDone);
    let lost = get(host, "a").within(Duration::from_secs(20)).now().await;
    assert_eq!(failure(&lost).1, Outcome::NotExecuted);
    store.calm();
    let written = add(host, "a", 1).now().await;
    assert_eq!(number(&written), 2, "{written:?}");
}

#[tokio::test(start_paused = true)]
async fn the_second_node_is_refused_while_the_first_beats_and_takes_over_after_it() {
    let inner = shared_memory();
    let (one, two) = (Scripted::over(inner.clone()), Scripted::over(inner));
    let first = named(&one, "first").await;
    let second = named(&two, "second").await;
    let shown = add(first.host(), "a", 1).now().await;
    let refused = add(second.host(), "a", 1).now().await;
    assert_eq!(failure(&refused), (Kind::WrongNode, Outcome::NotExecuted));
    assert_eq!(refused.unwrap_err().fields()["owner"], "first");
    // The first goes on as if nothing had been.
    assert_eq!(number(&add(first.host(), "a", 1).now().await), 2);

    // The first is frozen: neither its beats nor its confirms come through.
    let frozen = Gate::shut();
    one.always(On::Cas, CONFIRM, Plan::Before(frozen.clone()));
    one.always(On::Get, CONFIRM, Plan::Before(frozen.clone()));
    let began = remote_object::clock::now();
    let (edit, read) = (add(first.host(), "a", 100).sent().await, get(first.host(), "a").sent().await);
    let refused = call(first.host(), "a", "refuse", json!({ "by": 1 })).sent().await;
    let taken = add(second.host(), "a", 10).anywhere().now().await;
    assert!(began.elapsed() >= Duration::from_secs(3), "killed after {:?}", began.elapsed());
    // Its put was stored before the take-over, and so it is built upon, whatever its caller is told.
    assert_eq!(number(&taken), 112);
    assert!(tag(&taken).epoch() > tag(&shown).epoch());
    assert_eq!(value(&get(second.host(), "a").now().await), 112);

    // It thaws: nothing that it still holds is answered from.
    one.calm();
    frozen.open();
    assert_eq!(failure(&edit.answer().await), (Kind::OutcomeUnknown, Outcome::Unknown));
    assert_eq!(failure(&read.answer().await), (Kind::WrongNode, Outcome::NotExecuted));
    assert_eq!(failure(&refused.answer().await), (Kind::WrongNode, Outcome::NotExecuted));
    assert_eq!(failure(&get(first.host(), "a").now().await), (Kind::WrongNode, Outcome::NotExecuted));
    assert_eq!(value(&get(second.host(), "a").now().await), 112);
    assert_at_rest(first.host()).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_own_beats_fail_kills_nobody() {
    let inner = shared_memory();
    let (one, two) = (Scripted::over(inner.clone()), Scripted::over(inner));
    let first = named(&one, "first").await;
    let second = named(&two, "second").await;
    add(first.host(), "a", 1).now().await.unwrap();
    // A brown-out of the store: nobody's beats get through, and everything else does.
    one.always(On::Cas, CONFIRM, Plan::LostForGood);
    let (own, _) = lives(&two).await.into_iter().find(|(_, row)| row["name"] == "second").unwrap();
    two.always(On::Cas, own.name(), Plan::LostForGood);
    let refused = add(second.host(), "a", 1).within(Duration::from_secs(60)).now().await;
    assert_eq!(failure(&refused).1, Outcome::NotExecuted);
    assert!(lives(&one).await.iter().all(|(_, row)| row["state"] == "up"), "a node was killed in a brown-out");
    one.calm();
    two.calm();
    assert_eq!(number(&add(first.host(), "a", 1).now().await), 2);
}

#[tokio::test(start_paused = true)]
async fn a_life_that_was_only_read_to_be_dead_is_declared_dead_once_more() {
    let inner = shared_memory();
    let (one, two) = (Scripted::over(inner.clone()), Scripted::over(inner));
    let first = named(&one, "first").await;
    let second = named(&two, "second").await;
    add(first.host(), "a", 1).now().await.unwrap();
    kill(&one, "first").await;
    let (dead, _) = lives(&one).await.into_iter().find(|(_, row)| row["name"] == "first").unwrap();
    let before = one.inner().get(&dead).await.unwrap().unwrap();
    assert_eq!(number(&add(second.host(), "a", 1).now().await), 2);
    let after = one.inner().get(&dead).await.unwrap().unwrap();
    assert_ne!(before.rev, after.rev, "only one replica may have known of it");
}

#[tokio::test(start_paused = true)]
async fn a_register_whose_change_was_lost_is_written_until_an_answer_says_so() {
    let store = Scripted::shared();
    store.next(On::Cas, "meta/", Plan::LostButDone);
    store.next(On::Cas, "meta/", Plan::LostButDone);
    let service = service(&store).await;
    add(service.host(), "a", 1).now().await.unwrap();
    let row = store.inner().get(&Register::cluster()).await.unwrap().unwrap();
    assert_eq!(row.rev, remote_object::model::Rev::Number(3), "two lost writes, and one that was answered");
}

#[tokio::test(start_paused = true)]
async fn a_restart_under_the_same_name_need_not_wait_for_its_former_life() {
    let inner = shared_memory();
    let one = Scripted::over(inner.clone());
    let first = named(&one, "host").await;
    add(first.host(), "a", 1).now().await.unwrap();
    let began = remote_object::clock::now();
    let two = Scripted::over(inner);
    let second = named(&two, "host").await;
    assert_eq!(number(&add(second.host(), "a", 1).now().await), 2);
    assert!(began.elapsed() < Duration::from_millis(100));
    // The former life, if it is one, has no say any more.
    assert_eq!(failure(&get(first.host(), "a").now().await).1, Outcome::NotExecuted);
}

#[tokio::test(start_paused = true)]
async fn a_former_life_is_declared_dead_once_however_many_shards_it_had() {
    let inner = shared_memory();
    let (one, two) = (Scripted::over(inner.clone()), Scripted::over(inner));
    let first = named(&one, "first").await;
    let ids: Vec<String> = (0..30).map(|n| n.to_string()).collect();
    for id in &ids {
        add(first.host(), id, 1).now().await.unwrap();
    }
    kill(&one, "first").await;
    let (dead, before) = lives(&one).await.into_iter().find(|(_, row)| row["name"] == "first").unwrap();
    let second = named(&two, "second").await;
    let mut edits = Vec::new();
    for id in &ids {
        edits.push(add(second.host(), id, 1).sent().await);
    }
    for edit in edits {
        assert_eq!(number(&edit.answer().await), 2);
    }
    let (_, after) = lives(&two).await.into_iter().find(|(register, _)| *register == dead).unwrap();
    assert_eq!(after["beat"].as_u64().unwrap(), before["beat"].as_u64().unwrap() + 1);
}

#[tokio::test(start_paused = true)]
async fn a_take_whose_answer_was_lost_is_made_sure_of() {
    for lost in [Plan::LostButDone, Plan::LostForGood] {
        let store = Scripted::shared();
        let service = service(&store).await;
        store.next(On::Cas, "shard/", lost.clone());
        store.next(On::Cas, "shard/", lost);
        let written = add(service.host(), "a", 1).now().await;
        assert_eq!(number(&written), 1);
        let row = store.inner().get(&Register::shard(key("a").shard(1024))).await.unwrap().unwrap();
        let row: serde_json::Value = serde_json::from_slice(&row.value).unwrap();
        assert_eq!(row["epoch"], tag(&written).epoch(), "the row has another epoch than the versions");
    }
}

#[tokio::test(start_paused = true)]
async fn a_take_reads_the_row_of_its_shard_once_and_a_beat_reads_nothing() {
    let store = Scripted::shared();
    let service = service(&store).await;
    // Just after a beat.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let (_, before) = store.reads();
    add(service.host(), "a", 1).now().await.unwrap();
    assert_eq!(store.reads().1, before + 2, "the row of the shard, and the confirm");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(store.reads().1, before + 2, "a beat goes by what the last one left");
    assert!(lives(&store).await[0].1["beat"].as_u64().unwrap() >= 6);
}

#[tokio::test(start_paused = true)]
async fn a_take_that_landed_late_is_written_once_more_and_not_taken_from_a_read() {
    let store = Scripted::shared();
    let service = service(&store).await;
    store.always(On::Cas, "shard/", Plan::LostUntilLater);
    assert_eq!(failure(&get(service.host(), "a").now().await).1, Outcome::NotExecuted);
    store.calm();
    let gate = Gate::shut();
    store.next(On::Get, "shard/", Plan::After(gate.clone()));
    let written = add(service.host(), "a", 1).sent().await;
    gate.reached(1).await;
    assert!(store.land_cas().await);
    let register = Register::shard(key("a").shard(1024));
    let landed = store.inner().get(&register).await.unwrap().unwrap();
    gate.open();
    let written = written.answer().await;
    assert_eq!((number(&written), tag(&written).epoch()), (1, 1));
    let now = store.inner().get(&register).await.unwrap().unwrap();
    assert_eq!(now.value, landed.value);
    assert_ne!(now.rev, landed.rev, "a value that was only read proves nothing about a quorum");
}

/// A state that was published, or loaded, under a Hold that ended since, while the node, in a new life, holds the object
/// again: others may have written it in between.
#[tokio::test(start_paused = true)]
async fn a_state_of_an_ended_hold_is_not_confirmed_by_the_next_one() {
    for loading in [false, true] {
        let inner = shared_memory();
        let (one, two) = (Scripted::over(inner.clone()), Scripted::over(inner));
        let first = named(&one, "first").await;
        add(first.host(), "a", 1).now().await.unwrap();
        first.host().forget();
        // The first is in the middle of something with the object, and it takes long.
        let stuck = Gate::shut();
        if loading {
            one.next(On::Load, "a", Plan::After(stuck.clone()));
        } else {
            one.next(On::Put, "a", Plan::Before(stuck.clone()));
        }
        let edit = add(first.host(), "a", 1).sent().await;
        stuck.reached(1).await;
        // Meanwhile the second node takes over, writes, answers, and leaves.
        kill(&one, "first").await;
        let second = named(&two, "second").await;
        assert_eq!(number(&add(second.host(), "a", 41).now().await), 42);
        second.stop().await;
        // The first notices, and begins a new life with another object of the same shard.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let other = sibling("a");
        add(first.host(), &other, 1).now().await.unwrap();
        let read = get(first.host(), "a").within(Duration::from_secs(5)).sent().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        stuck.open();
        match read.answer().await {
            Ok(reply) => assert_eq!(value(&Ok(reply)), 42, "a state was shown that another had overwritten"),
            Err(error) => assert_eq!(error.outcome(), Outcome::NotExecuted),
        }
        let _ = edit.answer().await;
        assert_at_rest(first.host()).await;
        assert_eq!(value(&get(first.host(), "a").now().await), 42);
    }
}

/// Another id in the shard of `id`.
fn sibling(id: &str) -> String {
    let shard = key(id).shard(1024);
    (0..).map(|n| format!("{id}{n}x")).find(|other| key(other).shard(1024) == shard).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_confirm_of_a_former_life_says_nothing_of_the_next_one() {
    let store = Scripted::shared();
    let service = service(&store).await;
    let host = service.host();
    add(host, "a", 1).now().await.unwrap();
    add(host, "b", 1).now().await.unwrap();
    // A turn of the old life is in its put when the life ends.
    let gate = Gate::shut();
    store.next(On::Put, "a", Plan::After(gate.clone()));
    let old = add(host, "a", 1).sent().await;
    gate.reached(1).await;
    kill(&store, "node").await;
    get(host, "b").now().await.unwrap_err();
    assert_eq!(number(&add(host, "b", 1).now().await), 2);
    // Both lives ask at the same time: a confirm is under way, and one waits, begun by the old life.
    let running = Gate::shut();
    store.next(On::Get, CONFIRM, Plan::Before(running.clone()));
    let read = get(host, "b").sent().await;
    running.reached(1).await;
    gate.open();
    quiet().await;
    let new = add(host, "b", 1).sent().await;
    running.open();
    assert_eq!(value(&read.answer().await), 2);
    assert_eq!(failure(&old.answer().await), (Kind::OutcomeUnknown, Outcome::Unknown));
    assert_eq!(number(&new.answer().await), 3, "the end of the old life was taken for that of the new one");
}

#[tokio::test(start_paused = true)]
async fn nodes_that_share_a_store_share_its_objects_out_and_never_two_have_one() {
    let inner = shared_memory();
    let (one, two) = (Scripted::over(inner.clone()), Scripted::over(inner));
    let first = Arc::new(named(&one, "first").await);
    let second = Arc::new(named(&two, "second").await);
    let mut tasks = Vec::new();
    for n in 0..20 {
        let (first, second) = (Arc::clone(&first), Arc::clone(&second));
        tasks.push(tokio::spawn(async move {
            let id = format!("o{n}");
            let answers = [add(first.host(), &id, 1).now(), add(second.host(), &id, 1).now()];
            let answers = futures_util::future::join_all(answers).await;
            let took = answers.iter().filter(|answer| answer.is_ok()).count();
            let wrong = answers.iter().filter(|answer| answer.as_ref().is_err_and(|e| e.kind() == Kind::WrongNode));
            assert_eq!((took, wrong.count()), (1, 1), "{answers:?}");
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}
