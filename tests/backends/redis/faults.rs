//! Servers that die, freeze and go back, and a wire that breaks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use remote_object::clock;
use remote_object::error::Kind;
use remote_object::model::{Cas, Entry, ObjectKey, Put, Record, Rev, Seen, Version};
use remote_object::storage::{self, Datastore, KeyValue, Redis};
use test_faulty::{Faults, Protocol, Proxy};

use super::servers::{SYNCED, Server};

fn key(id: u32) -> ObjectKey {
    ObjectKey::new("thing", &id.to_string()).unwrap()
}

fn record(seq: u32) -> Record {
    Record { version: Version::new(1, seq), state: seq.to_string().into(), meta: Bytes::from_static(b"meta") }
}

/// Puts until it is stored.
async fn put(store: &Arc<dyn Datastore>, id: u32, seen: Option<&Seen>, seq: u32) -> Seen {
    for _ in 0..200 {
        match store.put(&key(id), seen, &record(seq)).await {
            Put::Stored(rev) => return Seen { version: Version::new(1, seq), rev },
            Put::Unknown(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            other => panic!("a put is answered {other:?}"),
        }
    }
    panic!("a put stays unknown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_the_server_was_killed_and_the_store_goes_on() {
    let Some(mut server) = Server::start(SYNCED) else { return };
    let store = storage::open(&server.config()).await.unwrap();
    let mut seen: Vec<Option<Seen>> = vec![None; 10];
    for round in 1..=3 {
        for (id, seen) in seen.iter_mut().enumerate() {
            *seen = Some(put(&store, id as u32, seen.as_ref(), round).await);
        }
        server.kill();
        let error = store.load(&key(0)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::StoreUnavailable);
        assert!(matches!(store.put(&key(0), seen[0].as_ref(), &record(round + 1)).await, Put::Unknown(_)));
        server.revive();
        for id in 0..10 {
            assert_eq!(store.load(&key(id)).await.unwrap().unwrap().record, record(round), "{id}");
        }
    }
    assert!(tokio::time::timeout(Duration::from_millis(50), store.failed()).await.is_err(), "it has lost nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_has_lost_acknowledged_writes_stops_the_store() {
    type Loses = fn(&mut Server);
    let forgets: Loses = |server| {
        server.kill();
        server.revive();
    };
    // As after a failover to an older copy: what was written since, and the connections, are gone.
    let goes_back: Loses = |server| {
        server.tell(&[
            "EVAL",
            "for _, k in ipairs(redis.call('KEYS', '*k:o/*')) do redis.call('HSET', k, 'rev', '1-0') end",
            "0",
        ]);
        server.tell(&["CLIENT", "KILL", "TYPE", "normal"]);
    };
    // Its connections stay: the next put finds nothing to build upon.
    let is_flushed: Loses = |server| drop(server.tell(&["FLUSHALL"]));
    for loses in [forgets, goes_back, is_flushed] {
        let Some(mut server) = Server::start(&["--appendonly", "no"]) else { return };
        let mut config = server.config();
        config.accept_weak_durability = true;
        let store = storage::open(&config).await.unwrap();
        let seen = put(&store, 1, None, 1).await;
        let seen = put(&store, 1, Some(&seen), 2).await;
        loses(&mut server);
        let failed = async {
            // It is found when the connection is made anew.
            let asks = async {
                loop {
                    let _ = store.load(&key(1)).await;
                    let _ = store.put(&key(1), Some(&seen), &record(3)).await;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::select! {
                failed = store.failed() => failed,
                () = asks => unreachable!("it asks for ever"),
            }
        };
        let failed = tokio::time::timeout(Duration::from_secs(10), failed).await.expect("it does not notice");
        assert_eq!(failed.kind(), Kind::StoreUnavailable);
        assert!(failed.message().contains("has lost acknowledged writes"), "{failed:?}");
        assert!(store.load(&key(1)).await.is_err(), "after that, it shows nothing");
        assert!(matches!(store.put(&key(1), Some(&seen), &record(3)).await, Put::Unknown(_)), "and takes nothing");
        // Who starts anew is served what is there.
        storage::open(&config).await.unwrap().load(&key(1)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_becomes_a_replica_is_written_to_and_read_no_more() {
    let (Some(server), Some(other)) = (Server::start(SYNCED), Server::start(SYNCED)) else { return };
    let store = storage::open(&server.config()).await.unwrap();
    let seen = put(&store, 1, None, 1).await;
    // As Sentinel does it: the role is changed and the clients are thrown out.
    server.tell(&["REPLICAOF", "127.0.0.1", &other.port.to_string()]);
    server.tell(&["CLIENT", "KILL", "TYPE", "normal"]);
    for _ in 0..5 {
        let answer = store.put(&key(1), Some(&seen), &record(2)).await;
        assert!(matches!(answer, Put::Unknown(_)), "{answer:?}");
    }
    let error = store.load(&key(1)).await.unwrap_err();
    assert!(error.detail().unwrap().contains("name the master"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_unknown_in_two_seconds_and_goes_on_when_it_thaws() {
    let Some(server) = Server::start(SYNCED) else { return };
    let store = storage::open(&server.config()).await.unwrap();
    let seen = put(&store, 1, None, 1).await;
    server.signal("STOP");
    let began = clock::now();
    let answer = store.put(&key(1), Some(&seen), &record(2)).await;
    let took = began.elapsed();
    assert!(matches!(answer, Put::Unknown(_)), "{answer:?}");
    assert!((Duration::from_millis(1900)..Duration::from_secs(4)).contains(&took), "{took:?}");
    let began = clock::now();
    store.load(&key(1)).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(4), "connecting has the same limit");
    server.signal("CONT");
    // The first one may have taken effect when it thawed: the same bytes are stored all the same.
    put(&store, 1, Some(&seen), 2).await;
    assert_eq!(store.load(&key(1)).await.unwrap().unwrap().record, record(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_promises_less_than_at_the_start_is_used_no_more() {
    let Some(server) = Server::start(SYNCED) else { return };
    let store = storage::open(&server.config()).await.unwrap();
    let seen = put(&store, 1, None, 1).await;
    server.tell(&["CONFIG", "SET", "appendfsync", "everysec"]);
    server.tell(&["CLIENT", "KILL", "TYPE", "normal"]);
    for _ in 0..3 {
        let answer = store.put(&key(1), Some(&seen), &record(2)).await;
        assert!(matches!(answer, Put::Unknown(_)), "{answer:?}");
    }
    let error = store.load(&key(1)).await.unwrap_err();
    assert!(error.detail().unwrap().contains("less than at the start"), "{error:?}");
    server.tell(&["CONFIG", "SET", "appendfsync", "always"]);
    put(&store, 1, Some(&seen), 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_our_script_is_given_it_again() {
    let Some(server) = Server::start(SYNCED) else { return };
    let store = storage::open(&server.config()).await.unwrap();
    let mut seen = None;
    for seq in 1..=3 {
        let answer = store.put(&key(1), seen.as_ref(), &record(seq)).await;
        let Put::Stored(rev) = answer else { panic!("{answer:?}") };
        seen = Some(Seen { version: Version::new(1, seq), rev });
        server.tell(&["SCRIPT", "FLUSH"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_memory_takes_nothing_in_half() {
    let Some(server) = Server::start(SYNCED) else { return };
    let redis = Redis::connect(&server.url()).await.unwrap();
    let Cas::Applied(rev) = redis.compare_and_set("there", None, Bytes::from("1")).await else { panic!() };
    server.tell(&["CONFIG", "SET", "maxmemory", "1"]);
    for (key, seen) in [("new", None), ("there", Some(&rev))] {
        let answer = redis.compare_and_set(key, seen, Bytes::from(vec![0; 100_000])).await;
        assert!(matches!(answer, Cas::Unknown(_)), "{answer:?}");
    }
    server.tell(&["CONFIG", "SET", "maxmemory", "0"]);
    let there = Entry { value: Bytes::from("1"), rev };
    assert_eq!(redis.scan("", None, 10).await.unwrap(), [("there".to_owned(), there)]);
    assert!(matches!(redis.compare_and_set("new", None, Bytes::from("1")).await, Cas::Applied(_)));
}

/// Adds items to a list in one key until one of its own is in it; what it knows to be in it.
async fn add(redis: Arc<Redis>, task: u32, count: u32) -> Vec<String> {
    let mut added = Vec::new();
    for item in (0..count).map(|n| format!("{task}.{n}")) {
        loop {
            let Ok(there) = redis.get("list").await else { continue };
            let (list, rev): (String, Option<Rev>) = match there {
                None => (String::new(), None),
                Some(Entry { value, rev }) => (String::from_utf8(value.to_vec()).unwrap(), Some(rev)),
            };
            // After an `Unknown`, it may be there already.
            if list.split(' ').any(|other| other == item) {
                break;
            }
            if let Cas::Applied(_) = redis.compare_and_set("list", rev.as_ref(), format!("{list}{item} ").into()).await
            {
                break;
            }
        }
        added.push(item);
    }
    added
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_wire_that_breaks_often_everything_is_there_once() {
    let Some(server) = Server::start(SYNCED) else { return };
    let faults = Faults { silences: 3, answers_lost: 250, requests_lost: 100, repeated: 800, ..Faults::usual(3) };
    let proxy = Proxy::start(&format!("127.0.0.1:{}", server.port), Protocol::Resp, Faults::default());
    let redis = Arc::new(Redis::connect(&format!("redis://{}", proxy.address())).await.unwrap());
    proxy.set(faults);
    let tasks: Vec<_> = (0..4).map(|task| tokio::spawn(add(Arc::clone(&redis), task, 60))).collect();
    let mut added = BTreeSet::new();
    for task in tasks {
        added.extend(task.await.unwrap());
    }
    proxy.set(Faults::default());
    let direct = Redis::connect(&server.url()).await.unwrap();
    let list = String::from_utf8(direct.get("list").await.unwrap().unwrap().value.to_vec()).unwrap();
    let items: Vec<String> = list.split_whitespace().map(str::to_owned).collect();
    assert_eq!(items.len(), 240, "something is there twice");
    assert_eq!(items.into_iter().collect::<BTreeSet<_>>(), added);
    let counts = proxy.counts();
    let done = [counts.requests_lost, counts.requests_cut, counts.answers_lost, counts.answers_cut, counts.repeated];
    assert!(done.iter().all(|done| *done > 0), "{counts:?}");
}
