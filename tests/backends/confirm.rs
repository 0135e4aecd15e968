//! `confirm = shard` on real servers: a shard's row is changed behind its owner's back, and found out before an answer leaves.

use remote_object::config::Confirm;
use remote_object::model::{Cas, ObjectKey, Register};
use remote_object::prelude::*;
use remote_object::{Config, Service};
use serde_json::{Value, json};

/// A sum.
#[remote_object]
pub struct Sum {
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
}

const GHOST: &str = "0123456789abcdef0123456789abcdef";

/// A read of an object whose shard was given to a life that nobody knows; answers who has it after that read.
async fn owner_after_a_read(mut config: Config, confirm: Confirm) -> String {
    config.confirm = confirm;
    let raw = remote_object::storage::open(&config).await.unwrap();
    let service = Service::builder().config(config).node_name("first").build().await.unwrap();
    let sum = Remote::<Sum>::new("a");
    let before = service.host().call(sum.add(1)).await.unwrap();
    let register = Register::shard(ObjectKey::new("sum", "a").unwrap().shard(1024));
    let row = raw.get(&register).await.unwrap().unwrap();
    let epoch = serde_json::from_slice::<Value>(&row.value).unwrap()["epoch"].as_u64().unwrap();
    let stolen = json!({ "owner": GHOST, "epoch": epoch + 1 }).to_string();
    assert!(matches!(raw.cas(&register, Some(&row.rev), stolen.as_bytes()).await, Cas::Applied(_)));
    assert_eq!(service.host().call(sum.value()).await.unwrap(), before);
    let row = raw.get(&register).await.unwrap().unwrap();
    let row: Value = serde_json::from_slice(&row.value).unwrap();
    service.stop().await;
    row["owner"].as_str().unwrap().to_owned()
}

/// With the option the object was taken anew before the answer left. Without it nobody has noticed.
async fn is_noticed(config: Config) {
    assert_eq!(owner_after_a_read(config.clone(), Confirm::Node).await, GHOST);
    assert_ne!(owner_after_a_read(config, Confirm::Shard).await, GHOST);
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_is_lost_unseen_is_noticed_on_redis() {
    let Some(server) = test_stack::redis() else { return };
    let mut config = Config::default();
    let prefix = remote_object::clock::Random::from_os().next_u64();
    config.store = format!("redis://{server}/?prefix=confirm-{prefix:x}:");
    is_noticed(config).await;
}

#[cfg(feature = "cassandra")]
#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_is_lost_unseen_is_noticed_on_cassandra() {
    use super::cassandra::world;

    if !world::is_there() {
        return;
    }
    world::with_tables(is_noticed).await;
}
