//! What HTTP says of the caches: where a state came from, and how often.

use std::sync::Arc;

use remote_object::storage::Datastore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::servers::{Server, has};
use super::store::shared_memory;
use super::world::{SLOW, World, url};

async fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn cache_status_and_metrics_say_which_tier_answered_and_readyz_does_not_care() {
    if !has("memcached") {
        return;
    }
    let mut server = Server::memcached(&[]);
    let store: Arc<dyn Datastore> = shared_memory();
    let world = World::new(Arc::clone(&store), &url([&server], SLOW)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = world.service.clone();
    tokio::spawn(async move { service.run(listener, std::future::pending()).await });

    world.add("a", 1).await;
    world.until_sent(1).await;
    let status = |answer: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix("cache-status: ")).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{answer}"))
    };
    assert_eq!(status(&get(address, "/objects/tally/a").await), "l1; hit");
    world.cool();
    assert_eq!(status(&get(address, "/objects/tally/a").await), "memcached; hit");
    world.cool();
    assert_eq!(status(&get(address, "/objects/tally/a/value").await), "memcached; hit");
    server.kill();
    world.cool();
    for _ in 0..4 {
        world.cool();
        assert_eq!(status(&get(address, "/objects/tally/a").await), "store; fwd=miss");
    }
    assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
    world.until("the breaker", |counts| counts.servers_open == 1).await;
    let metrics = get(address, "/metrics").await;
    for line in [
        "remote_object_cache_reads_total{tier=\"l2\",pool=\"default\",result=\"hit\"} 2",
        "remote_object_cache_writes_total{pool=\"default\",result=\"stored\"} 1",
        "remote_object_cache_servers{pool=\"default\",state=\"open\"} 1",
        "remote_object_cache_servers{pool=\"default\",state=\"up\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\nin\n{metrics}");
    }
}
