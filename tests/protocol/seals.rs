//! What an owner before left on a store that orders puts (R3): it is put again under this epoch before anything that
//! depends on it is shown, and where an edit comes first, the put of that edit is it.

use std::sync::Arc;

use remote_object::error::{Kind, Outcome};
use remote_object::model::Version;
use remote_object::storage::Datastore;
use remote_object::{Host, Service};
use serde_json::json;

use super::caller::*;
use super::ordered::Ordered;
use super::store::{Gate, On, Plan, Scripted, shared_memory};

/// What an owner before this left.
struct Left {
    /// The state of `a`, its last version, and a put of it that is still on its way.
    first: Arc<Scripted>,
    version: Version,
    store: Arc<Scripted>,
    service: Service,
}

impl Left {
    /// A tally `a` of 1, and a call that was answered under the key `k`; then a lost one that would make it 51.
    async fn behind() -> Self {
        let inner = Ordered::store();
        let first = Scripted::over(inner.clone());
        let old = service(&first).await;
        let version = tag(&add(old.host(), "a", 1).key("k").now().await);
        first.always(On::Put, "a", Plan::LostUntilLater);
        let _lost = add(old.host(), "a", 50).sent().await;
        let store = Scripted::over(inner);
        let service = service(&store).await;
        Self { first, version, store, service }
    }

    /// The puts of this owner, each as the value it has.
    fn puts(&self) -> Vec<i64> {
        let puts = self.store.puts("a");
        assert!(puts.iter().all(|put| put.version.epoch() > self.version.epoch()), "{puts:?}");
        let value = |state: &[u8]| serde_json::from_slice::<serde_json::Value>(state).unwrap()["value"].as_i64();
        puts.iter().map(|put| value(&put.state).unwrap()).collect()
    }

    /// What was on its way lands, and nothing of this owner's is in memory: the object is as it was shown.
    async fn assert_stays(&self, expected: i64) {
        self.first.land().await;
        self.service.host().forget();
        assert_eq!(value(&get(self.service.host(), "a").now().await), expected, "a state that was shown has vanished");
    }
}

#[tokio::test(start_paused = true)]
async fn the_put_of_a_cold_edit_is_the_seal() {
    let left = Left::behind().await;
    let host = left.service.host();
    assert_eq!(number(&add(host, "a", 1).now().await), 2);
    assert_eq!(left.puts(), [2]);
    assert_eq!(value(&get(host, "a").now().await), 2);
    assert_eq!(number(&add(host, "a", 1).now().await), 3);
    assert_eq!(left.puts(), [2, 3]);
    left.assert_stays(3).await;
    assert_eq!(left.puts(), [2, 3], "it was sealed twice");
}

#[tokio::test(start_paused = true)]
async fn a_read_of_a_cold_object_is_one_seal_and_changes_no_tag() {
    let left = Left::behind().await;
    let host = left.service.host();
    for ask in [get(host, "a"), get(host, "a"), call(host, "a", "value", json!({}))] {
        assert_eq!(tag(&ask.now().await), left.version);
        assert_eq!(left.puts(), [1]);
    }
    assert_eq!(number(&add(host, "a", 1).now().await), 2);
    assert_eq!(left.puts(), [1, 2]);
    left.assert_stays(2).await;
}

type ToAsk = fn(&Host) -> Ask;

/// Each of these answers tells something of the state, and none puts anything.
#[tokio::test(start_paused = true)]
async fn an_edit_that_puts_nothing_is_answered_after_a_seal() {
    let asks: [(&str, ToAsk); 6] = [
        ("402", |host| call(host, "a", "refuse", json!({ "by": 1 }))),
        ("412", |host| add(host, "a", 1).if_match(Version::new(1, 99))),
        ("412 of one that is there", |host| add(host, "a", 1).if_absent()),
        ("panic", |host| call(host, "a", "crash", json!({}))),
        ("replay", |host| add(host, "a", 1).key("k")),
        ("key of another request", |host| add(host, "a", 2).key("k")),
    ];
    for (what, ask) in asks {
        let left = Left::behind().await;
        let host = left.service.host();
        let gate = Gate::shut();
        left.store.next(On::Put, "a", Plan::Before(gate.clone()));
        let sent = ask(host).sent().await;
        let read = get(host, "a").sent().await;
        assert!(!sent.is_answered(), "{what} left before the seal");
        read.assert_waits();
        gate.reached(1).await;
        assert_eq!(left.puts(), [1], "{what}");
        gate.open();
        match sent.answer().await {
            Ok(reply) => assert!(reply.replayed, "{what}"),
            Err(error) => assert_eq!(error.outcome(), Outcome::NotExecuted, "{what}"),
        }
        assert_eq!(value(&read.answer().await), 1);
        left.assert_stays(1).await;
        assert_eq!(left.puts(), [1], "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_came_with_the_first_edit_is_answered_after_its_put() {
    let left = Left::behind().await;
    let host = left.service.host();
    let (loading, putting) = (Gate::shut(), Gate::shut());
    left.store.next(On::Load, "a", Plan::After(loading.clone()));
    left.store.next(On::Put, "a", Plan::Before(putting.clone()));
    let refused = call(host, "a", "refuse", json!({ "by": 1 })).sent().await;
    let replayed = add(host, "a", 1).key("k").sent().await;
    let early = get(host, "a").sent().await;
    let added = add(host, "a", 10).sent().await;
    loading.open();
    putting.reached(1).await;
    let late = get(host, "a").sent().await;
    for sent in [&refused, &replayed, &early, &added, &late] {
        sent.assert_waits();
    }
    assert_eq!(left.puts(), [11]);
    putting.open();
    assert_eq!(failure(&refused.answer().await).1, Outcome::NotExecuted);
    assert!(reply(replayed.answer().await).replayed);
    assert_eq!(number(&added.answer().await), 11);
    assert_eq!((value(&early.answer().await), value(&late.answer().await)), (11, 11));
    assert_at_rest(host).await;
    left.assert_stays(11).await;
    assert_eq!(left.puts(), [11]);
}

/// It may tell other objects what it saw, long before it puts anything.
#[tokio::test(start_paused = true)]
async fn an_async_edit_begins_after_a_seal() {
    let left = Left::behind().await;
    let host = left.service.host();
    let gate = Gate::shut();
    left.store.next(On::Put, "a", Plan::Before(gate.clone()));
    let tell = call(host, "a", "tell", json!({ "to": "/objects/tally/b", "by": 1 })).sent().await;
    gate.reached(1).await;
    quiet().await;
    tell.assert_waits();
    assert_eq!((left.puts(), left.store.puts("b").len()), (vec![1], 0));
    gate.open();
    assert_eq!(number(&tell.answer().await), 2);
    assert_eq!(left.puts(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_put_of_the_first_edit_leaves_a_seal_to_be_done() {
    let left = Left::behind().await;
    let host = left.service.host();
    let gate = Gate::shut();
    left.store.next(On::Load, "a", Plan::After(gate.clone()));
    left.store.next(On::Put, "a", Plan::Refuse);
    let edit = add(host, "a", 10).sent().await;
    let read = get(host, "a").sent().await;
    gate.open();
    assert_eq!(failure(&edit.answer().await), (Kind::StoreUnavailable, Outcome::NotExecuted));
    assert_eq!(value(&read.answer().await), 1);
    assert_eq!(left.puts(), [11, 1], "what the reader saw was sealed for it");
    left.assert_stays(1).await;

    // Where nobody waits for more, the next load knows it still.
    let left = Left::behind().await;
    let host = left.service.host();
    left.store.next(On::Put, "a", Plan::Refuse);
    assert_eq!(failure(&add(host, "a", 10).now().await).1, Outcome::NotExecuted);
    assert_at_rest(host).await;
    assert_eq!(number(&add(host, "a", 1).now().await), 2);
    assert_eq!(left.puts(), [11, 2]);
    left.assert_stays(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_seal_that_is_refused_lets_no_failed_edit_tell_what_it_saw() {
    let left = Left::behind().await;
    let host = left.service.host();
    left.store.next(On::Put, "a", Plan::Refuse);
    let answer = call(host, "a", "refuse", json!({ "by": 1 })).now().await;
    assert_eq!(failure(&answer), (Kind::StoreUnavailable, Outcome::NotExecuted));
    assert_at_rest(host).await;
    assert_eq!(value(&get(host, "a").now().await), 1);
    assert_eq!(left.puts(), [1, 1]);
}

/// A put that was given up under this epoch may land too.
#[tokio::test(start_paused = true)]
async fn the_put_of_an_edit_settles_an_object_whose_last_put_was_lost() {
    let store = Scripted::over(Ordered::store());
    let service = service(&store).await;
    let host = service.host();
    add(host, "a", 1).now().await.unwrap();
    store.next(On::Put, "a", Plan::Panic);
    host.forget();
    let lost = add(host, "a", 1).sent().await.answer().await;
    assert_eq!(lost.unwrap_err().outcome(), Outcome::Unknown);
    assert_at_rest(host).await;
    let puts = store.puts("a").len();
    host.forget();
    assert_eq!(number(&add(host, "a", 1).now().await), 3);
    assert_eq!(store.puts("a").len(), puts + 1);
    host.forget();
    assert_eq!(value(&get(host, "a").now().await), 3);
    assert_eq!(store.puts("a").len(), puts + 1, "it was settled, and is sealed all the same");
}

/// An owner that finds no `a`, behind one whose put of it is still on its way, for a call with the key `k`: who sent it, and who
/// serves now.
async fn behind_a_lost_creation(inner: Arc<dyn Datastore>) -> (Arc<Scripted>, Arc<Scripted>, Service) {
    let first = Scripted::over(Arc::clone(&inner));
    let old = service(&first).await;
    first.always(On::Put, "a", Plan::LostUntilLater);
    let _lost = add(old.host(), "a", 50).key("k").sent().await;
    let store = Scripted::over(inner);
    let service = service(&store).await;
    (first, store, service)
}

/// The first sending of a keyed call may have been under way when its caller gave up, whoever sent it: a later one is told that it
/// failed when nothing of an owner before this one can land any more, on a store that orders puts and on one that compares.
#[tokio::test(start_paused = true)]
async fn what_a_keyed_call_was_told_of_its_failure_stays_so() {
    for inner in [Ordered::store(), shared_memory()] {
        let (first, store, service) = behind_a_lost_creation(inner).await;
        let host = service.host();
        let refused = failure(&call(host, "a", "refuse", json!({ "by": 1 })).now().await);
        assert_eq!(
            (refused.1, store.puts("a").len()),
            (Outcome::NotExecuted, 0),
            "one without a key had no first sending"
        );
        assert_eq!(failure(&call(host, "a", "refuse", json!({ "by": 1 })).key("r").now().await), refused);
        first.land().await;
        host.forget();
        assert_eq!(
            failure(&get(host, "a").now().await).0,
            Kind::ObjectNotFound,
            "a call took effect after it had failed"
        );
    }
}

/// On a store that compares, the late put may be there first: then the calls run again upon it.
#[tokio::test(start_paused = true)]
async fn a_seal_that_comes_after_a_late_put_has_the_calls_run_again() {
    let (first, store, service) = behind_a_lost_creation(shared_memory()).await;
    let host = service.host();
    let refused = failure(&call(host, "b", "refuse", json!({ "by": 1 })).now().await);
    let gate = Gate::shut();
    store.next(On::Put, "a", Plan::Before(gate.clone()));
    let answer = call(host, "a", "refuse", json!({ "by": 1 })).key("r").sent().await;
    gate.reached(1).await;
    first.land().await;
    gate.open();
    assert_eq!(failure(&answer.answer().await), refused);
    assert_eq!(value(&get(host, "a").now().await), 50);
}
