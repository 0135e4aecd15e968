//! Calls as the HTTP room makes them, and what these tests say about their answers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use remote_object::clock;
use remote_object::error::{Kind, Outcome};
use remote_object::model::{ObjectKey, Record, Register, Scan, Version};
use remote_object::objects::{Answered, Args, Conditions, Freshness, Op, Reply, Request, Success, Tags};
use remote_object::storage::Datastore;
use remote_object::{Config, Host, Service};
use tokio::task::JoinHandle;

use super::store::Scripted;

/// A service on this store, under the name `node`.
pub async fn service(store: &Arc<Scripted>) -> Service {
    named(store, "node").await
}

pub async fn named(store: &Arc<Scripted>, name: &str) -> Service {
    configured(store, name, Config::default()).await
}

pub async fn configured(store: &Arc<Scripted>, name: &str, config: Config) -> Service {
    let store = Arc::clone(store) as Arc<dyn Datastore>;
    Service::builder().config(config).datastore("scripted", store).node_name(name).build().await.unwrap()
}

pub fn key(id: &str) -> ObjectKey {
    ObjectKey::new("tally", id).unwrap()
}

/// One request, and to whom.
#[derive(Clone)]
pub struct Ask {
    host: Host,
    request: Request,
}

/// GET of a tally.
pub fn get(host: &Host, id: &str) -> Ask {
    ask(host, key(id), Op::Get)
}

/// DELETE of a tally.
pub fn delete(host: &Host, id: &str) -> Ask {
    ask(host, key(id), Op::Delete)
}

/// PUT of a tally.
pub fn replace(host: &Host, id: &str, state: &'static str) -> Ask {
    ask(host, key(id), Op::Replace(Bytes::from_static(state.as_bytes())))
}

/// A method of a tally.
pub fn call(host: &Host, id: &str, method: &str, args: serde_json::Value) -> Ask {
    call_of(host, key(id), method, args)
}

/// `add` of a tally.
pub fn add(host: &Host, id: &str, by: i64) -> Ask {
    call(host, id, "add", serde_json::json!({ "by": by }))
}

/// A method of any object.
pub fn call_of(host: &Host, key: ObjectKey, method: &str, args: serde_json::Value) -> Ask {
    let method = host.registry().get(key.type_name()).unwrap().method(method).unwrap();
    let args = Args::from_body(args.to_string().into(), method.params, 128, host.authorities()).unwrap();
    ask(host, key, Op::Call(method, args))
}

pub fn ask(host: &Host, key: ObjectKey, op: Op) -> Ask {
    let request = Request {
        key,
        op,
        conditions: Conditions::default(),
        idempotency_key: None,
        deadline: clock::now() + Duration::from_secs(100_000),
        freshness: Freshness::default(),
        trace: None,
        // As from another node: answered by this one or not at all. That calls look for their node is tried in `nodes`.
        way: Some(Box::default()),
    };
    Ask { host: host.clone(), request }
}

impl Ask {
    pub fn key(mut self, key: &str) -> Self {
        self.request.idempotency_key = Some(key.to_owned());
        self
    }

    pub fn if_match(mut self, tag: Version) -> Self {
        self.request.conditions.if_match = Some(Tags::These(vec![tag]));
        self
    }

    pub fn if_absent(mut self) -> Self {
        self.request.conditions.if_none_match = Some(Tags::Any);
        self
    }

    pub fn within(mut self, time: Duration) -> Self {
        self.request.deadline = clock::now() + time;
        self
    }

    pub fn max_age(mut self, age: Duration) -> Self {
        self.request.freshness.max_age = Some(age);
        self
    }

    /// Looks for its node, as calls from outside do.
    pub fn anywhere(mut self) -> Self {
        self.request.way = None;
        self
    }

    /// Asks, and waits.
    pub async fn now(self) -> Answered {
        self.host.answer(self.request).await
    }

    /// Asks from a task, so that the answer can be waited for or not.
    pub async fn sent(self) -> Sent {
        let sent = Sent(tokio::spawn(self.now()));
        quiet().await;
        sent
    }
}

/// A request under way.
pub struct Sent(JoinHandle<Answered>);

impl Sent {
    /// Nothing has left yet.
    pub fn assert_waits(&self) {
        assert!(!self.0.is_finished(), "an answer has left");
    }

    pub fn is_answered(&self) -> bool {
        self.0.is_finished()
    }

    pub async fn answer(self) -> Answered {
        self.0.await.unwrap()
    }
}

/// Lets everything run that can run. Only under paused time.
pub async fn quiet() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// The body as a number.
pub fn number(answer: &Answered) -> i64 {
    let reply = answer.as_ref().unwrap_or_else(|error| panic!("{error:?}"));
    serde_json::from_slice(&reply.body).unwrap()
}

/// The member `value` of a state.
pub fn value(answer: &Answered) -> i64 {
    let reply = answer.as_ref().unwrap_or_else(|error| panic!("{error:?}"));
    let state: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    state["value"].as_i64().unwrap()
}

pub fn tag(answer: &Answered) -> Version {
    answer.as_ref().unwrap_or_else(|error| panic!("{error:?}")).tag.expect("an entity tag")
}

pub fn reply(answer: Answered) -> Reply {
    answer.unwrap_or_else(|error| panic!("{error:?}"))
}

/// The kind of an error, and what it says of the effect.
pub fn failure(answer: &Answered) -> (Kind, Outcome) {
    let error = answer.as_ref().expect_err("an error");
    (error.kind(), error.outcome())
}

pub fn is_no_content(answer: &Answered) -> bool {
    answer.as_ref().is_ok_and(|reply| reply.success == Success::NoContent)
}

/// Every object is at rest.
pub async fn assert_at_rest(host: &Host) {
    tokio::time::timeout(Duration::from_secs(100), host.idle()).await.expect("the maps empty themselves");
}

/// The rows of lives in a store, as name of the register and JSON.
pub async fn lives(store: &Scripted) -> Vec<(Register, serde_json::Value)> {
    let page = store.inner().scan(&Scan::Registers("node/".into()), None, 100).await.unwrap();
    let rows = page.items.into_iter().filter_map(|item| match item {
        remote_object::model::Item::Register(register, entry) => {
            Some((register, serde_json::from_slice(&entry.value).unwrap()))
        }
        _ => None,
    });
    rows.collect()
}

/// Declares every life of this name dead, as another node would.
pub async fn kill(store: &Scripted, name: &str) {
    for (register, mut row) in lives(store).await {
        if row["name"] == name && row["state"] == "up" {
            row["state"] = "dead".into();
            let rev = store.inner().get(&register).await.unwrap().unwrap().rev;
            let new = serde_json::to_vec(&row).unwrap();
            let answer = store.inner().cas(&register, Some(&rev), &new).await;
            assert!(matches!(answer, remote_object::model::Cas::Applied(_)));
        }
    }
}

/// The record that an owner of that epoch writes with the turn of that number.
pub async fn foreign(id: &str, version: Version, state: &'static str) -> Record {
    let store = Scripted::exclusive();
    let row = serde_json::json!({ "owner": null, "epoch": version.epoch() - 1 }).to_string();
    store.inner().cas(&Register::shard(0), None, row.as_bytes()).await;
    let service = service(&store).await;
    for _ in 0..version.seq() {
        replace(service.host(), id, state).now().await.unwrap();
    }
    let record = store.stored(&key(id)).await.unwrap().record;
    assert_eq!(record.version, version);
    record
}
