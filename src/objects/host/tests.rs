//! What needs a look below the door: an epoch whose numbers come to an end, and a call that waited too long for its turn.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::cache::{Cache, Pools};
use crate::clock::Random;
use crate::error::Outcome;
use crate::locks::NodeId;
use crate::model::Durability;
use crate::objects::FORMAT;
use crate::objects::request::Conditions;
use crate::objects::route::Way;
use crate::prelude::*;
use crate::storage::{Datastore, Memory, OverKeyValue};

/// A sum.
#[remote_object]
struct Sum {
    value: i64,
}

#[remote_object]
impl Sum {
    pub fn value(&self) -> i64 {
        self.value
    }

    pub fn add(&mut self, by: i64) -> i64 {
        self.value += by;
        self.value
    }

    pub async fn add_slowly(&mut self, by: i64) -> i64 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.value += by;
        self.value
    }
}

async fn host() -> Host {
    host_on(Memory::store()).await
}

async fn host_on(store: Arc<dyn Datastore>) -> Host {
    host_of(store, TypeDef::of::<Sum>()).await
}

async fn host_of(store: Arc<dyn Datastore>, def: TypeDef) -> Host {
    let cache = Cache::new(store, 1 << 20, Pools::default());
    let node = NodeId { name: "node".into(), addr: String::new(), format: FORMAT };
    let locks = Locks::join(cache, node, crate::config::Confirm::Node, Random::seeded(1)).await.unwrap();
    let registry = Registry::new(&[def], false).unwrap();
    Host::new(registry, locks, Arc::default(), None, None)
}

fn adding(host: &Host, method: &str) -> Op {
    let method = host.registry().get("sum").unwrap().method(method).unwrap();
    let args = Args::from_body(Bytes::from_static(b"{\"by\":1}"), method.params, 8, host.authorities()).unwrap();
    Op::Call(method, args)
}

fn request(key: ObjectKey, op: Op) -> Request {
    Request {
        key,
        op,
        conditions: Conditions::default(),
        idempotency_key: None,
        deadline: clock::now() + Duration::from_secs(60),
        freshness: Freshness::default(),
        trace: None,
        way: None,
    }
}

async fn add(host: &Host, id: &str, method: &str) -> (i64, Version) {
    let request = request(ObjectKey::new("sum", id).unwrap(), adding(host, method));
    let reply = host.answer(request).await.unwrap();
    (serde_json::from_slice(&reply.body).unwrap(), reply.tag.unwrap())
}

/// Where an epoch ends: the last 2^24 numbers are for the turns that are under way then.
const LAST: u64 = (1 << 32) - (1 << 24) - 1;

#[tokio::test(start_paused = true)]
async fn when_an_epochs_numbers_end_its_owner_takes_the_shard_again_and_nobody_notices() {
    let host = host().await;
    let (_, first) = add(&host, "a", "add").await;
    let (_, other) = add(&host, "b", "add").await;
    let hold = host.0.locks.held(&ObjectKey::new("sum", "a").unwrap()).unwrap();
    // One is in its turn when they end, and others wait behind it.
    let slow = tokio::spawn({
        let host = host.clone();
        async move { add(&host, "b", "add-slowly").await }
    });
    tokio::task::yield_now().await;
    let behind = tokio::spawn({
        let host = host.clone();
        async move { add(&host, "b", "add").await }
    });
    tokio::task::yield_now().await;
    hold.skip_to(LAST);
    let mut before = first;
    for sum in 2..8 {
        let (value, tag) = add(&host, "a", "add").await;
        assert_eq!(value, sum);
        assert!(tag > before, "{tag} after {before}");
        before = tag;
    }
    assert_eq!(before.epoch(), first.epoch() + 1, "taken again once");
    assert!(!hold.is_good());
    let (value, in_turn) = slow.await.unwrap();
    assert_eq!((value, in_turn.epoch()), (2, first.epoch()), "what was under way ends under its own numbers");
    let (value, after) = behind.await.unwrap();
    assert_eq!((value, after.epoch()), (3, first.epoch() + 1));
    assert!(other < in_turn && in_turn < after);
    // An owner looks once more for calls after its last answer.
    tokio::time::timeout(Duration::from_secs(1), host.idle()).await.expect("the objects come to rest");
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_uses_up_the_numbers_is_one_whole_turn() {
    let host = host().await;
    let (_, first) = add(&host, "a", "add").await;
    host.0.locks.held(&ObjectKey::new("sum", "a").unwrap()).unwrap().skip_to(LAST);
    let slow = tokio::spawn({
        let host = host.clone();
        async move { add(&host, "a", "add-slowly").await }
    });
    tokio::task::yield_now().await;
    let many: Vec<_> = (0..40)
        .map(|_| {
            let host = host.clone();
            tokio::spawn(async move { add(&host, "a", "add").await })
        })
        .collect();
    let (_, last_of_epoch) = slow.await.unwrap();
    assert_eq!(u64::from(last_of_epoch.seq()), LAST);
    let mut answers = Vec::new();
    for one in many {
        answers.push(one.await.unwrap());
    }
    answers.sort_unstable();
    assert_eq!(answers.iter().map(|(value, _)| *value).collect::<Vec<_>>(), (3..43).collect::<Vec<_>>());
    assert!(answers.iter().all(|(_, tag)| tag.epoch() == first.epoch() + 1));
    assert!(answers.is_sorted_by_key(|(_, tag)| *tag), "values and versions are of one order");
}

/// It was for this process when it came, and waited for a take; meanwhile another life began, or another node owned the shard.
#[tokio::test(start_paused = true)]
async fn what_came_for_a_life_before_is_not_run_by_the_next_one() {
    let host = host().await;
    let key = ObjectKey::new("sum", "a").unwrap();
    let hold = host.0.locks.take(&key).await.unwrap();
    let own: Arc<str> = hold.life().into();
    let run = async |life: &Arc<str>, known| {
        let way = Way { life: Some(Arc::clone(life)), known, ..Way::default() };
        let frame = Frame::arrived(key.clone(), clock::now() + Duration::from_secs(60), None, &way);
        let conditions = Conditions::default();
        let call = Routed {
            op: adding(&host, "add"),
            conditions,
            idempotency_key: None,
            freshness: Freshness::default(),
            frame,
        };
        host.here(call, Driven::UntilItEnds).await
    };
    for (life, known) in [(&Arc::from("before"), Version::new(1, 0)), (&own, Version::new(2, 0))] {
        let error = run(life, known).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (Kind::WrongNode, Outcome::NotExecuted));
    }
    assert_eq!(run(&own, Version::new(1, 0)).await.unwrap().body, "1");
}

/// What it did the first time may still be under way to the store, where nothing of this owner stands in its place. Only a key tells
/// that there may have been a first time.
#[tokio::test(start_paused = true)]
async fn a_keyed_call_that_fails_is_told_so_over_a_record_of_this_owner() {
    // One that others may have used before.
    let host = host_on(Arc::new(OverKeyValue::new(Memory::new(), Durability::Weak))).await;
    let key = ObjectKey::new("sum", "a").unwrap();
    let hold = host.0.locks.take(&key).await.unwrap();
    let delete = async |idempotency_key: Option<&str>| {
        let frame = Frame::root(key.clone(), clock::now() + Duration::from_secs(60), None);
        let (conditions, freshness) = (Conditions::default(), Freshness::default());
        let idempotency_key = idempotency_key.map(Into::into);
        host.here(Routed { op: Op::Delete, conditions, idempotency_key, freshness, frame }, Driven::UntilItEnds).await
    };
    let stands = async || host.0.locks.load(&hold, &key).await.unwrap().0.loaded.map(|loaded| loaded.record.version);
    assert_eq!(delete(None).await.unwrap_err().kind(), Kind::ObjectNotFound);
    assert_eq!(stands().await, None);
    assert_eq!(delete(Some("k")).await.unwrap_err().kind(), Kind::ObjectNotFound);
    let version = stands().await.expect("a record of this owner");
    assert!(hold.wrote(version));
    assert_eq!(delete(Some("k")).await.unwrap_err().kind(), Kind::ObjectNotFound);
    assert_eq!(stands().await, Some(version), "once is enough");
}

/// A release whose parcels had one more field than those of the next.
mod former {
    use crate::prelude::*;

    #[remote_object(name = "parcel", replace)]
    pub(super) struct Parcel {
        weight: u32,
        colour: String,
    }

    #[remote_object]
    impl Parcel {}
}

/// Weighed.
#[remote_object(name = "parcel", replace)]
struct Parcel {
    weight: u32,
}

#[remote_object]
impl Parcel {}

async fn asked(host: &Host, op: Op) -> Result<Bytes> {
    host.answer(request(ObjectKey::new("parcel", "a").unwrap(), op)).await.map(|reply| reply.body)
}

#[tokio::test]
async fn a_patch_of_what_an_older_release_wrote_is_about_what_it_says() {
    let store = Memory::store();
    let older = host_of(Arc::clone(&store), TypeDef::of::<former::Parcel>()).await;
    let whole = Bytes::from_static(br#"{"weight":1,"colour":"red"}"#);
    asked(&older, Op::Replace(whole)).await.unwrap();
    older.leave().await;
    let newer = host_of(store, TypeDef::of::<Parcel>()).await;
    let patched = asked(&newer, Op::Patch(Bytes::from_static(br#"{"weight":2}"#))).await.unwrap();
    assert_eq!(patched, br#"{"weight":2}"#[..]);
    let error = asked(&newer, Op::Patch(Bytes::from_static(br#"{"colour":"blue"}"#))).await.unwrap_err();
    assert_eq!(error.code(), "invalid-arguments");
}
