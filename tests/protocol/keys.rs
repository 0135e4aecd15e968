//! Keyed calls (R12): once, whatever happens between the first attempt and the next.

use std::sync::Arc;
use std::time::Duration;

use remote_object::error::{Kind, Outcome};
use remote_object::model::ObjectKey;
use remote_object::objects::Success;
use serde::Deserialize;
use serde_json::json;

use super::caller::*;
use super::ordered::Ordered;
use super::store::{Gate, On, Plan, Scripted};

#[tokio::test(start_paused = true)]
async fn a_keyed_call_takes_effect_once_over_loss_of_l1_restart_and_deletion() {
    for store in [Scripted::exclusive(), Scripted::shared(), Scripted::over(Ordered::store())] {
        let first = service(&store).await;
        let host = first.host();
        let made = replace(host, "a", r#"{"value":5,"text":""}"#).key("made").now().await.unwrap();
        assert_eq!(made.success, Success::Created);
        let added = add(host, "a", 1).key("added").now().await.unwrap();
        let again = |host: &remote_object::Host| {
            [
                (replace(host, "a", r#"{ "text": "", "value": 5 }"#).key("made"), made.clone()),
                (add(host, "a", 1).key("added"), added.clone()),
            ]
        };
        for what in ["at once", "cold", "deleted", "deleted and cold"] {
            for (ask, first) in again(host) {
                let second = ask.now().await.unwrap();
                assert!(second.replayed, "{what}");
                let told = (second.success, second.body, second.tag);
                assert_eq!(told, (first.success, first.body.clone(), first.tag), "{what}");
            }
            match what {
                "cold" => assert!(is_no_content(&delete(host, "a").key("gone").now().await)),
                "deleted and cold" => assert_eq!(failure(&get(host, "a").now().await).0, Kind::ObjectNotFound),
                _ => host.forget(),
            }
        }
        let second = service(&store).await;
        for (ask, _) in again(second.host()) {
            assert!(ask.now().await.unwrap().replayed, "after a restart");
        }
        assert!(reply(delete(second.host(), "a").key("gone").now().await).replayed);
        assert_eq!(failure(&get(second.host(), "a").now().await).0, Kind::ObjectNotFound);
        // The next life begins with the keys of the last one.
        assert_eq!(number(&add(second.host(), "a", 1).now().await), 1);
        assert!(reply(add(second.host(), "a", 1).key("added").now().await).replayed);
        assert_eq!(value(&get(second.host(), "a").now().await), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_in_use_is_told_so_and_one_that_waits_gets_the_first_ones_reply() {
    for busy in [false, true] {
        let store = Scripted::exclusive();
        let service = service(&store).await;
        let host = service.host();
        if !busy {
            add(host, "a", 0).now().await.unwrap();
        }
        let gate = Gate::shut();
        store.next(On::Put, "a", Plan::Before(gate.clone()));
        let first = add(host, "a", 1).key("k").sent().await;
        gate.reached(1).await;
        assert_eq!(failure(&add(host, "a", 1).key("k").now().await), (Kind::IdempotencyKeyInUse, Outcome::NotExecuted));
        let other = add(host, "a", 2).key("k").now().await;
        assert_eq!(failure(&other), (Kind::IdempotencyKeyReused, Outcome::NotExecuted));
        // Of another object it is another key, and so is another key of this object.
        assert_eq!(number(&add(host, "b", 7).key("k").now().await), 7);
        let waiting = [add(host, "a", 1).key("l").sent().await, add(host, "a", 1).key("l").sent().await];
        gate.open();
        assert_eq!(number(&first.answer().await), 1);
        let [second, third] = waiting;
        let (second, third) = (reply(second.answer().await), reply(third.answer().await));
        assert_eq!((second.replayed, third.replayed), (false, true));
        assert_eq!((second.tag, second.body), (third.tag, third.body));
        assert_eq!(value(&get(host, "a").now().await), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_of_one_request_and_neither_spelling_nor_conditions_make_it_another() {
    let store = Scripted::exclusive();
    let service = service(&store).await;
    let host = service.host();
    let first = add(host, "a", 1).key("k").now().await;
    let args = remote_object::objects::Args::from_body(
        "{\n \"b\\u0079\" : 1 }".into(),
        host.registry().get("tally").unwrap().method("add").unwrap().params,
        128,
        host.authorities(),
    );
    let method = host.registry().get("tally").unwrap().method("add").unwrap();
    let spelled = ask(host, key("a"), remote_object::objects::Op::Call(method, args.unwrap())).key("k");
    assert!(reply(spelled.now().await).replayed);
    assert!(reply(add(host, "a", 1).key("k").if_absent().now().await).replayed);
    for other in [
        add(host, "a", 2),
        call(host, "a", "crash", json!({})),
        delete(host, "a"),
        replace(host, "a", r#"{"value":1,"text":""}"#),
    ] {
        let answer = other.key("k").now().await;
        assert_eq!(failure(&answer), (Kind::IdempotencyKeyReused, Outcome::NotExecuted));
    }
    let seen = get(host, "a").now().await;
    assert_eq!((value(&seen), tag(&seen)), (1, tag(&first)));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_failed_runs_again_under_its_key() {
    let store = Scripted::exclusive();
    let service = service(&store).await;
    let host = service.host();
    let ask = || call(host, "a", "add-from", json!({ "min": 10, "by": 1 })).key("k");
    assert_eq!(ask().now().await.unwrap_err().code(), "refused");
    assert_eq!(
        failure(&ask().if_match(remote_object::model::Version::new(1, 1)).now().await).0,
        Kind::PreconditionFailed
    );
    add(host, "a", 10).now().await.unwrap();
    // Failed and run again within one turn, too.
    let gate = Gate::shut();
    store.next(On::Put, "b", Plan::Before(gate.clone()));
    let opener = add(host, "b", 1).sent().await;
    let keyed = |min: i64| call(host, "b", "add-from", json!({ "min": min, "by": 1 })).key("k");
    let (early, helper, late) = (keyed(5).sent().await, add(host, "b", 5).sent().await, keyed(5).sent().await);
    gate.open();
    opener.answer().await.unwrap();
    assert_eq!(early.answer().await.unwrap_err().code(), "refused");
    helper.answer().await.unwrap();
    assert_eq!(number(&late.answer().await), 7);
    let answer = ask().now().await;
    assert_eq!(number(&answer), 11);
    assert!(!reply(answer).replayed);
    assert!(reply(ask().now().await).replayed);
}

#[tokio::test(start_paused = true)]
async fn a_reply_over_four_kib_is_known_to_have_been_and_not_kept() {
    let store = Scripted::exclusive();
    let service = service(&store).await;
    let host = service.host();
    // Two more bytes are the quotes.
    for (bytes, kept) in [(4094, true), (4095, false)] {
        let ask = || call(host, "a", "say", json!({ "bytes": bytes })).key(if kept { "kept" } else { "large" });
        assert_eq!(reply(ask().now().await).body.len(), bytes + 2);
        for forget in [false, true] {
            if forget {
                host.forget();
            }
            let again = ask().now().await;
            if kept {
                assert_eq!(reply(again).body.len(), bytes + 2);
            } else {
                assert_eq!(failure(&again), (Kind::ReplyNotKept, Outcome::Executed));
            }
        }
    }
    assert_eq!(value(&get(host, "a").now().await), 2);
}

#[derive(Deserialize)]
struct Horizon {
    #[serde(default)]
    horizon: u64,
}

async fn horizon(store: &Arc<Scripted>, key: &ObjectKey) -> u64 {
    let record = store.stored(key).await.unwrap().record;
    rmp_serde::from_slice::<Horizon>(&record.meta).unwrap().horizon
}

#[tokio::test(start_paused = true)]
async fn keys_are_forgotten_by_count_and_bytes_oldest_first_and_the_horizon_says_so() {
    let store = Scripted::exclusive();
    let service = service(&store).await;
    let host = service.host();
    let few = ObjectKey::new("few", "a").unwrap();
    let ask = |n: usize| call_of(host, few.clone(), "add", json!({ "by": 1 })).key(&format!("k{n}"));
    let mut tags = Vec::new();
    for n in 0..3 {
        tags.push(tag(&ask(n).now().await));
    }
    assert_eq!(horizon(&store, &few).await, 0);
    for n in 0..3 {
        assert!(reply(ask(n).now().await).replayed);
    }
    tags.push(tag(&ask(3).now().await));
    assert_eq!(horizon(&store, &few).await, tags[0].as_u64());
    assert!(reply(ask(1).now().await).replayed);
    // Any time later, and over edits without keys.
    tokio::time::sleep(Duration::from_secs(1_000_000)).await;
    for _ in 0..10 {
        call_of(host, few.clone(), "add", json!({ "by": 1 })).now().await.unwrap();
    }
    host.forget();
    assert!(reply(ask(1).now().await).replayed);
    assert_eq!(horizon(&store, &few).await, tags[0].as_u64());
    // 25 bytes of a reply beside the one-byte ones, then 20: the older ones go, whatever their count.
    let say = |n: u32, key: &str| call_of(host, few.clone(), "say", json!({ "bytes": n })).key(key);
    say(23, "s1").now().await.unwrap();
    assert!(reply(say(23, "s1").now().await).replayed);
    let second = tag(&say(18, "s2").now().await);
    assert!(horizon(&store, &few).await > tags[3].as_u64() && horizon(&store, &few).await < second.as_u64());
    assert!(reply(say(18, "s2").now().await).replayed);
    let rerun = reply(say(23, "s1").now().await);
    assert!(!rerun.replayed, "it was forgotten, and so it runs again");
    // The horizon outlives the life.
    let before = horizon(&store, &few).await;
    ask_delete(host, &few).await;
    assert_eq!(horizon(&store, &few).await, before);
}

async fn ask_delete(host: &remote_object::Host, key: &ObjectKey) {
    ask(host, key.clone(), remote_object::objects::Op::Delete).now().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_keyed_call_that_nobody_knows_of_takes_effect_once_when_it_is_sent_again() {
    for landed in [true, false] {
        for store in [Scripted::exclusive(), Scripted::shared(), Scripted::over(Ordered::store())] {
            let service = service(&store).await;
            let host = service.host();
            add(host, "a", 1).now().await.unwrap();
            store.always(On::Put, "a", if landed { Plan::LostButDone } else { Plan::LostForGood });
            // The store keeps what it took, and never says so.
            let gate = Gate::shut();
            store.always(On::Put, "a", Plan::Before(gate.clone()));
            store.next(On::Put, "a", Plan::Refuse);
            let lost = add(host, "a", 10).key("k").within(Duration::from_secs(5)).now().await;
            assert_eq!(failure(&lost), (Kind::OutcomeUnknown, Outcome::Unknown));
            store.calm();
            tokio::time::sleep(Duration::from_secs(80)).await;
            let again = add(host, "a", 10).key("k").now().await;
            assert_eq!(number(&again), 11);
            assert_eq!(value(&get(host, "a").now().await), 11);
        }
    }
}
