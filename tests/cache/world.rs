//! A service with a shared cache, and what these tests ask of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use remote_object::model::ObjectKey;
use remote_object::objects::{Conditions, Freshness, Op, PoolCounts, Request, Tier};
use remote_object::prelude::*;
use remote_object::storage::Datastore;
use remote_object::{Config, Service, clock};

use super::servers::Server;

/// A sum, with as much text beside it as one wants.
#[remote_object(delete)]
pub struct Tally {
    value: i64,
    text: String,
}

#[remote_object]
impl Tally {
    pub fn add(&mut self, by: i64) -> i64 {
        self.value += by;
        self.value
    }

    pub fn write(&mut self, bytes: u32) {
        self.text = "x".repeat(bytes as usize);
    }

    pub fn value(&self) -> i64 {
        self.value
    }
}

/// The same, in a pool of its own if there is one.
#[remote_object(cache_pool = "hot")]
pub struct Hot {
    value: i64,
}

#[remote_object]
impl Hot {
    pub fn add(&mut self, by: i64) -> i64 {
        self.value += by;
        self.value
    }
}

/// For tests that want a hit, however busy the machine is.
pub const SLOW: &str = "timeout-ms=5000";

/// The URL of a cache of these servers.
pub fn url<'a>(servers: impl IntoIterator<Item = &'a Server>, parameters: &str) -> String {
    let addresses: Vec<String> = servers.into_iter().map(|server| server.address.to_string()).collect();
    format!("memcached://{}?{parameters}", addresses.join(","))
}

/// A service of its own life on a store.
pub struct World {
    pub service: Service,
}

impl World {
    pub async fn new(store: Arc<dyn Datastore>, cache: &str) -> Self {
        Self::configured(store, cache, Config::default()).await
    }

    pub async fn configured(store: Arc<dyn Datastore>, cache: &str, config: Config) -> Self {
        let builder = Service::builder().config(config).datastore("store", store).node_name("node").cache(cache);
        Self { service: builder.build().await.unwrap() }
    }

    pub async fn add(&self, id: &str, by: i64) -> i64 {
        self.service.host().call(Remote::<Tally>::new(id).add(by)).await.unwrap()
    }

    pub async fn write(&self, id: &str, bytes: u32) {
        self.service.host().call(Remote::<Tally>::new(id).write(bytes)).await.unwrap();
    }

    pub async fn delete(&self, id: &str) {
        self.service.host().answer(request("tally", id, Op::Delete)).await.unwrap();
    }

    /// Its value and where it was found; an object that is not there has none.
    pub async fn get(&self, id: &str) -> (Option<i64>, Option<Tier>) {
        self.get_of("tally", id).await
    }

    pub async fn get_of(&self, type_name: &str, id: &str) -> (Option<i64>, Option<Tier>) {
        match self.service.host().answer(request(type_name, id, Op::Get)).await {
            Ok(reply) => {
                let state: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
                (state["value"].as_i64(), Some(reply.tier))
            }
            Err(error) if error.kind() == remote_object::error::Kind::ObjectNotFound => (None, None),
            Err(error) => panic!("{type_name} {id}: {error:?}"),
        }
    }

    /// L1 forgets everything.
    pub fn cool(&self) {
        self.service.host().forget();
    }

    pub fn counts(&self) -> PoolCounts {
        self.service.host().cache_counts().pools.remove(0)
    }

    /// Waits until the counts are as they should become.
    pub async fn until(&self, what: &str, is: impl Fn(&PoolCounts) -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !is(&self.counts()) {
            assert!(Instant::now() < end, "{what} never came: {:?}", self.counts());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until so many objects were put into the cache, or could not be.
    pub async fn until_sent(&self, count: u64) {
        let settled = |counts: &PoolCounts| counts.stored + counts.failed + counts.superseded + counts.dropped;
        self.until("so many puts", |counts| settled(counts) >= count).await;
    }
}

fn request(type_name: &str, id: &str, op: Op) -> Request {
    Request {
        key: ObjectKey::new(type_name, id).unwrap(),
        op,
        conditions: Conditions::default(),
        idempotency_key: None,
        deadline: clock::now() + Duration::from_secs(30),
        freshness: Freshness::default(),
        trace: None,
        way: None,
    }
}
