//! Redis in the same place: the same rule, the same faults.

use std::sync::Arc;

use remote_object::objects::Tier;
use remote_object::storage::Datastore;

use super::servers::{Server, has};
use super::store::{Counting, shared_memory};
use super::world::{SLOW, World};

const CACHE: Option<Tier> = Some(Tier::Shared("redis"));
const STORE: Option<Tier> = Some(Tier::Store);

async fn world(store: &Arc<Counting>, authority: &str, parameters: &str) -> World {
    World::new(Arc::clone(store) as Arc<dyn Datastore>, &format!("redis://{authority}?{parameters}")).await
}

#[tokio::test]
async fn an_object_that_left_l1_comes_from_redis() {
    if !has("redis-server") {
        return;
    }
    let server = Server::redis(&["--requirepass", "s3cret"]);
    let store = Counting::over(shared_memory());
    let world = world(&store, &format!(":s3cret@{}/3", server.address), SLOW).await;
    for id in 0..20 {
        world.add(&id.to_string(), id).await;
    }
    world.until_sent(20).await;
    world.cool();
    store.asked();
    for id in 0..20 {
        assert_eq!(world.get(&id.to_string()).await, (Some(id), CACHE));
    }
    assert_eq!(store.asked(), (0, 0));
    // Everything is in the database that was named, and expires.
    let mut client = redis_client(&server, 3);
    let keys: Vec<String> = client("KEYS *");
    assert_eq!(keys.len(), 20);
    assert!(client(&format!("TTL {}", keys[0]))[0].parse::<u64>().unwrap() > 6 * 24 * 3600);
}

/// A connection that sends plain commands and reads integers, bulk strings and arrays of them.
fn redis_client(server: &Server, database: u8) -> impl FnMut(&str) -> Vec<String> {
    use std::io::{BufRead, BufReader, Write};
    let mut stream = BufReader::new(std::net::TcpStream::connect(server.address).unwrap());
    let mut ask = move |command: &str| {
        stream.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut line = || {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        let head = line();
        match head.split_at(1) {
            ("*", count) => (0..count.parse::<usize>().unwrap())
                .map(|_| {
                    line();
                    line()
                })
                .collect(),
            (_, rest) => vec![rest.to_owned()],
        }
    };
    ask("AUTH s3cret");
    ask(&format!("SELECT {database}"));
    ask
}

#[tokio::test]
async fn a_redis_that_is_full_or_gone_or_wants_another_password_is_no_error() {
    if !has("redis-server") {
        return;
    }
    let mut server = Server::redis(&["--maxmemory", "1mb", "--maxmemory-policy", "noeviction"]);
    let store = Counting::over(shared_memory());
    let full = world(&store, &server.address.to_string(), SLOW).await;
    for id in 0..30 {
        full.write(&id.to_string(), 100_000).await;
    }
    full.until_sent(30).await;
    assert!(full.counts().failed > 0, "{:?}", full.counts());
    assert_eq!(full.counts().servers_open, 0, "a full server is not a dead one");
    server.kill();
    full.cool();
    for id in 0..30 {
        assert_eq!(full.get(&id.to_string()).await, (Some(0), STORE));
    }
    full.until("the breaker", |counts| counts.servers_open == 1).await;
    server.restart();
    full.until("the breaker", |counts| counts.servers_open == 0).await;
    full.add("small", 1).await;
    full.until("a put", |counts| counts.stored > 0).await;
    full.service.stop().await;

    let guarded = Server::redis(&["--requirepass", "s3cret"]);
    let refused = world(&store, &format!(":guess@{}", guarded.address), "").await;
    for _ in 0..4 {
        refused.cool();
        assert_eq!(refused.get("small").await, (Some(1), STORE));
    }
    refused.until("the breaker", |counts| counts.servers_open == 1).await;
}

#[tokio::test]
async fn a_frozen_redis_costs_the_budget_and_then_nothing() {
    if !has("redis-server") {
        return;
    }
    let servers = [Server::redis(&[]), Server::redis(&[])];
    let store = Counting::over(shared_memory());
    let authority = format!("{},{}", servers[0].address, servers[1].address);
    let world = world(&store, &authority, "").await;
    world.add("a", 1).await;
    world.until_sent(1).await;
    for server in &servers {
        server.freeze();
        let began = std::time::Instant::now();
        for value in 1..10 {
            world.cool();
            assert_eq!(world.get("a").await.0, Some(value));
            assert_eq!(world.add("a", 1).await, value + 1);
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
        server.thaw();
        world.until("the breaker", |counts| counts.servers_open == 0).await;
        assert_eq!(world.add("a", -9).await, 1);
    }
}
