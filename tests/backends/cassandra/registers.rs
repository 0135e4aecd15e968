//! Registers are really removed here: the kit lets a store keep them.

use remote_object::model::{Cas, Register, Rev};
use remote_object::storage::{Cassandra, Datastore};

use super::world::{self, fresh, is_there};

async fn set(store: &Cassandra, register: &Register, seen: Option<&Rev>, value: &str) -> Rev {
    match store.cas(register, seen, value.as_bytes()).await {
        Cas::Applied(rev) => rev,
        other => panic!("{value} was not set: {other:?}"),
    }
}

#[tokio::test]
async fn a_register_that_all_servers_have_is_removed() {
    if !is_there() {
        return;
    }
    let store = Cassandra::open(&world::shared_config().await).await.unwrap();
    let register = Register::named(format!("node/{}", fresh("removed")));
    let first = set(&store, &register, None, "1").await;
    let last = set(&store, &register, Some(&first), "2").await;
    assert!(!store.remove(&register, &first).await.unwrap(), "by who has not seen it last");
    assert!(store.remove(&register, &last).await.unwrap(), "it was kept");
    assert_eq!(store.get(&register).await.unwrap(), None);
}
