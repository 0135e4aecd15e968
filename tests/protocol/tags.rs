//! Entity tags: one a call, in the order of the calls, the same for as long as the object stands still, and never again.

use std::collections::BTreeSet;

use remote_object::error::Kind;
use remote_object::model::Version;
use serde_json::json;

use super::caller::*;
use super::ordered::Ordered;
use super::store::{Gate, On, Plan, Scripted};

/// The tag of the call after the one that got this.
fn after(tag: Version) -> Version {
    Version::new(tag.epoch(), tag.seq() + 1)
}

#[tokio::test(start_paused = true)]
async fn the_calls_of_one_turn_have_a_tag_each_in_their_order() {
    for store in [Scripted::exclusive(), Scripted::shared(), Scripted::over(Ordered::store())] {
        let service = service(&store).await;
        let host = service.host();
        let gate = Gate::shut();
        store.next(On::Put, "a", Plan::Before(gate.clone()));
        let mut calls = Vec::new();
        for _ in 0..10 {
            calls.push(add(host, "a", 1).sent().await);
            calls.push(call(host, "a", "refuse", json!({ "by": 1 })).sent().await);
        }
        gate.open();
        let mut tags = Vec::new();
        for call in calls {
            tags.extend(call.answer().await.ok().map(|reply| reply.tag.unwrap()));
        }
        assert_eq!(tags.len(), 10);
        assert!(tags.is_sorted() && tags.iter().collect::<BTreeSet<_>>().len() == 10, "{tags:?}");
        assert_eq!(store.puts("a").len(), 2);
        assert_eq!(tag(&get(host, "a").now().await), tags[9]);
        assert_eq!(tag(&call(host, "a", "value", json!({})).now().await), tags[9]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_condition_sees_the_calls_before_it_in_its_turn() {
    let store = Scripted::exclusive();
    let service = service(&store).await;
    let host = service.host();
    let gate = Gate::shut();
    store.next(On::Put, "a", Plan::Before(gate.clone()));
    let opener = add(host, "a", 1).sent().await;
    gate.reached(1).await;
    let first = after(store.puts("a")[0].version);
    let second = after(first);
    let calls = [
        add(host, "a", 10).sent().await,
        add(host, "a", 100).sent().await,
        add(host, "a", 1000).if_match(first).sent().await,
        add(host, "a", 10_000).if_match(second).sent().await,
    ];
    gate.open();
    opener.answer().await.unwrap();
    let [one, two, stale, current] = calls;
    assert_eq!((tag(&one.answer().await), tag(&two.answer().await)), (first, second));
    assert_eq!(failure(&stale.answer().await).0, Kind::PreconditionFailed);
    assert_eq!(number(&current.answer().await), 10_111);
    assert_eq!(store.puts("a").len(), 2);
    // And so do those of later turns.
    for tag in [first, second] {
        assert_eq!(failure(&add(host, "a", 1).if_match(tag).now().await).0, Kind::PreconditionFailed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_stays_while_the_object_does() {
    for store in [Scripted::exclusive(), Scripted::shared(), Scripted::over(Ordered::store())] {
        let first = service(&store).await;
        let written = tag(&add(first.host(), "a", 1).now().await);
        first.host().forget();
        assert_eq!(tag(&get(first.host(), "a").now().await), written);
        call(first.host(), "a", "refuse", json!({ "by": 1 })).now().await.unwrap_err();
        assert_eq!(tag(&get(first.host(), "a").now().await), written);
        let second = service(&store).await;
        assert_eq!(tag(&get(second.host(), "a").now().await), written);
        let next = add(second.host(), "a", 1).if_match(written).now().await;
        assert_eq!(number(&next), 2, "a condition on what was seen before the restart");
        assert!(tag(&next) > written);
    }
}

#[tokio::test(start_paused = true)]
async fn no_tag_is_given_twice_over_deletions_restarts_and_calls_that_were_undone() {
    for store in [Scripted::exclusive(), Scripted::shared(), Scripted::over(Ordered::store())] {
        let mut given = BTreeSet::new();
        for _ in 0..3 {
            let service = service(&store).await;
            let host = service.host();
            for round in 0..4 {
                let mut note = |answer| assert!(given.insert(tag(&answer)), "a tag came back");
                note(replace(host, "a", r#"{"value":7,"text":""}"#).now().await);
                note(add(host, "a", 1).now().await);
                store.next(On::Put, "a", Plan::Refuse);
                add(host, "a", 1).now().await.unwrap_err();
                call(host, "a", "crash", json!({})).now().await.unwrap_err();
                note(add(host, "a", -1).now().await);
                if round % 2 == 0 {
                    let gone = delete(host, "a").now().await;
                    assert!(is_no_content(&gone) && gone.unwrap().tag.is_none());
                    assert_eq!(failure(&get(host, "a").now().await).0, Kind::ObjectNotFound);
                    assert_eq!(reply(call(host, "a", "value", json!({})).now().await).tag, None);
                }
                host.forget();
            }
        }
        let in_order: Vec<_> = given.iter().collect();
        assert!(in_order.is_sorted());
    }
}

#[tokio::test(start_paused = true)]
async fn a_condition_on_a_former_life_fails_in_the_next_one() {
    let store = Scripted::exclusive();
    let service = service(&store).await;
    let host = service.host();
    let former = tag(&replace(host, "a", r#"{"value":7,"text":""}"#).now().await);
    delete(host, "a").if_match(former).now().await.unwrap();
    assert_eq!(failure(&add(host, "a", 1).if_match(former).now().await).0, Kind::PreconditionFailed);
    replace(host, "a", r#"{"value":7,"text":""}"#).if_absent().now().await.unwrap();
    assert_eq!(failure(&add(host, "a", 1).if_match(former).now().await).0, Kind::PreconditionFailed);
}
