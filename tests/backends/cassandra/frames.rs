//! What stands in the requests themselves.

use bytes::Bytes;
use remote_object::model::{Cas, ObjectKey, Put, Record, Register, Scan, Version};
use remote_object::storage::{Cassandra, Datastore};

use super::wire::{LOCAL_QUORUM, LOCAL_SERIAL, QUORUM, SERIAL, Sent, Wire};
use super::world::{self, fresh, is_there};

/// Every kind of request, on names that begin with `mark`.
async fn ask_everything(store: &Cassandra, mark: &str) {
    let register = Register::named(mark);
    let Cas::Applied(rev) = store.cas(&register, None, b"1").await else { panic!("not applied") };
    assert!(matches!(store.cas(&register, Some(&rev), b"2").await, Cas::Applied(_)));
    store.get(&register).await.unwrap();
    let key = ObjectKey::new(mark, mark).unwrap();
    let record = Record { version: Version::new(3, 7), state: Bytes::from_static(b"{}"), meta: Bytes::new() };
    assert!(matches!(store.put(&key, None, &record).await, Put::Stored(_)));
    store.load(&key).await.unwrap();
    store.version(&key).await.unwrap();
    let deleted = Record { version: Version::new(3, 8), state: Bytes::new(), meta: Bytes::new() };
    assert!(matches!(store.put(&key, None, &deleted).await, Put::Stored(_)));
    for due in [Some(5), None] {
        assert!(matches!(store.hint(7, &key, due, Version::new(3, 9)).await, Put::Stored(_)));
    }
    store.scan(&Scan::Objects(mark.into()), None, 10).await.unwrap();
}

async fn sent_in(scope: &str) -> Vec<Sent> {
    let mut config = world::shared_config().await;
    config.store += scope;
    let mut wire = Wire::up().await;
    let store = Cassandra::open(&wire.config(&config)).await.unwrap();
    let mark = fresh("frames");
    let mut seen = wire.watch(&mark);
    ask_everything(&store, &mark).await;
    // The row and the note of the deleted object go by themselves.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let sent = seen.all();
    // Two cas, get, put, row, load, version, note, put, row and note away, hint, hint away, and the list's.
    assert!(sent.len() > 12 + 64, "{} requests", sent.len());
    sent
}

#[tokio::test]
async fn every_request_says_the_consistency_of_its_scope() {
    if !is_there() {
        return;
    }
    for (scope, quorum, serial) in [
        ("", LOCAL_QUORUM, LOCAL_SERIAL),
        ("&datacenter=datacenter1", LOCAL_QUORUM, LOCAL_SERIAL),
        ("&scope=global", QUORUM, SERIAL),
    ] {
        for sent in sent_in(scope).await {
            assert_eq!((sent.consistency, sent.serial), (quorum, Some(serial)), "{scope}: {sent:?}");
            assert_eq!(sent.timestamp, None, "{scope}: a timestamp is the statement's own business: {sent:?}");
        }
    }
}

#[tokio::test]
async fn every_write_of_an_object_has_its_version_for_a_timestamp() {
    if !is_there() {
        return;
    }
    let sent = sent_in("").await;
    let number = |seq: u32| Bytes::copy_from_slice(&(Version::new(3, seq).as_u64() as i64).to_be_bytes());
    let with = |seq: u32| sent.iter().filter(|sent| sent.values.contains(&number(seq))).count();
    // A record has it twice, in a column and as the timestamp.
    let twice = |seq: u32| {
        let twice = |sent: &&Sent| sent.values.iter().filter(|value| **value == number(seq)).count() == 2;
        sent.iter().filter(twice).count()
    };
    assert_eq!((with(7), twice(7)), (2, 1), "the record, and its row in the roster");
    assert_eq!((with(8), twice(8)), (4, 1), "the note, the record, and both taken away");
    assert_eq!(with(9), 2, "the hint, set and cleared");
}

#[tokio::test]
async fn the_transactions_of_a_register_go_through_one_node() {
    if !is_there() {
        return;
    }
    let config = world::shared_config().await;
    let mut wire = Wire::up().await;
    let store = Cassandra::open(&wire.config(&config)).await.unwrap();
    let mut used = std::collections::BTreeSet::new();
    for _ in 0..16 {
        let mark = fresh("pinned");
        let mut seen = wire.watch(&mark);
        let register = Register::named(mark);
        let mut rev = None;
        for _ in 0..6 {
            let Cas::Applied(new) = store.cas(&register, rev.as_ref(), b"1").await else { panic!("not applied") };
            rev = Some(new);
        }
        let nodes: Vec<usize> = seen.all().iter().map(|sent| sent.node).collect();
        assert_eq!(nodes.len(), 6);
        assert!(nodes.iter().all(|node| *node == nodes[0]), "one register, and its transactions went to {nodes:?}");
        used.insert(nodes[0]);
    }
    assert!(used.len() > 1, "all registers go through node {used:?}");
}
