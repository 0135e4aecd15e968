//! Caches over TLS, on servers that speak it: whom they are taken for, what they ask for, and that a handshake which fails
//! is a cache that is down.

use std::sync::Arc;

use remote_object::objects::Tier;
use remote_object::storage::Datastore;

use super::authority::Authority;
use super::servers::{Server, has};
use super::store::{Counting, shared_memory};
use super::world::{SLOW, World};

const OBJECTS: i64 = 20;

/// Puts objects into the cache and answers which tier has them when L1 has forgotten them. Whatever it is, values are right.
async fn tier(cache: &str) -> Tier {
    let store = Counting::over(shared_memory());
    let world = World::new(Arc::clone(&store) as Arc<dyn Datastore>, cache).await;
    for id in 0..OBJECTS {
        assert_eq!(world.add(&id.to_string(), id).await, id);
    }
    world.until_sent(OBJECTS as u64).await;
    world.cool();
    let mut found = Vec::new();
    for id in 0..OBJECTS {
        let (value, tier) = world.get(&id.to_string()).await;
        assert_eq!(value, Some(id), "object {id} from {tier:?}");
        found.push(tier.unwrap());
    }
    if found.contains(&Tier::Store) {
        world.until("the breaker", |counts| counts.servers_open == 1).await;
        assert_eq!(found, vec![Tier::Store; OBJECTS as usize]);
    }
    found[0]
}

/// How a kind of server is started and named.
struct Kind {
    program: &'static str,
    scheme: &'static str,
    start: fn(&[String; 2], Option<&str>) -> Server,
}

const KINDS: [Kind; 2] = [
    Kind { program: "memcached", scheme: "memcached", start: Server::memcached_over_tls },
    Kind { program: "redis-server", scheme: "rediss", start: |own, asks| Server::redis_over_tls(own, asks, &[]) },
];

impl Kind {
    fn hit(&self) -> Tier {
        Tier::Shared(if self.scheme == "rediss" { "redis" } else { self.scheme })
    }

    fn url(&self, host: &str, server: &Server, parameters: &str) -> String {
        format!("{}://{host}:{}?{SLOW}{parameters}", self.scheme, server.address.port())
    }
}

#[tokio::test]
async fn a_server_is_spoken_to_over_tls_and_has_to_be_who_the_url_names() {
    for kind in KINDS {
        if !has(kind.program) {
            return;
        }
        let (ours, other) = (Authority::new(), Authority::new());
        let (ca, stranger) = (ours.file("ca.pem"), other.file("ca.pem"));
        let server = (kind.start)(&ours.issue("server", &["localhost", "127.0.0.1"]), None);
        for host in ["127.0.0.1", "localhost"] {
            assert_eq!(tier(&kind.url(host, &server, &format!("&tls-ca={ca}"))).await, kind.hit(), "{host}");
        }
        assert_eq!(tier(&kind.url("127.0.0.1", &server, &format!("&tls-ca={stranger}"))).await, Tier::Store);
        let by_name = (kind.start)(&ours.issue("named", &["localhost"]), None);
        assert_eq!(tier(&kind.url("localhost", &by_name, &format!("&tls-ca={ca}"))).await, kind.hit());
        assert_eq!(tier(&kind.url("127.0.0.1", &by_name, &format!("&tls-ca={ca}"))).await, Tier::Store);
        // Without TLS nobody answers there.
        let plain = kind.url("127.0.0.1", &server, "").replace("rediss://", "redis://");
        assert_eq!(tier(&plain).await, Tier::Store);
    }
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_ours() {
    for kind in KINDS {
        if !has(kind.program) {
            return;
        }
        let (ours, other) = (Authority::new(), Authority::new());
        let ca = ours.file("ca.pem");
        let server = (kind.start)(&ours.issue("server", &["127.0.0.1"]), Some(&ca));
        let with = |[certificate, key]: [String; 2]| {
            kind.url("127.0.0.1", &server, &format!("&tls-ca={ca}&tls-cert={certificate}&tls-key={key}"))
        };
        assert_eq!(tier(&with(ours.issue("own", &["objectd"]))).await, kind.hit());
        assert_eq!(tier(&with(other.issue("own", &["objectd"]))).await, Tier::Store);
        assert_eq!(tier(&kind.url("127.0.0.1", &server, &format!("&tls-ca={ca}"))).await, Tier::Store);
    }
}

#[tokio::test]
async fn a_server_over_tls_is_killed_and_comes_back() {
    for kind in KINDS {
        if !has(kind.program) {
            return;
        }
        let authority = Authority::new();
        let mut server = (kind.start)(&authority.issue("server", &["127.0.0.1"]), None);
        let cache = kind.url("127.0.0.1", &server, &format!("&tls-ca={}", authority.file("ca.pem")));
        let world = World::new(shared_memory(), &cache).await;
        // Large enough to be sent in several records.
        world.write("large", 700_000).await;
        world.until_sent(1).await;
        world.cool();
        assert_eq!(world.get("large").await, (Some(0), Some(kind.hit())));
        server.kill();
        for value in 1..10 {
            world.cool();
            assert_eq!(world.add("a", 1).await, value);
        }
        world.until("the breaker", |counts| counts.servers_open == 1).await;
        server.restart();
        world.until("the breaker", |counts| counts.servers_open == 0).await;
        let sent = world.counts().stored;
        assert_eq!(world.add("a", 1).await, 10);
        world.until("a put", |counts| counts.stored > sent).await;
        world.cool();
        assert_eq!(world.get("a").await, (Some(10), Some(kind.hit())));
    }
}

#[tokio::test]
async fn a_redis_over_tls_takes_the_login_too() {
    if !has("redis-server") {
        return;
    }
    let authority = Authority::new();
    let own = authority.issue("server", &["127.0.0.1"]);
    let server = Server::redis_over_tls(&own, None, &["--requirepass", "s3cret"]);
    let ca = authority.file("ca.pem");
    let url = |login: &str| format!("rediss://{login}{}/2?{SLOW}&tls-ca={ca}", server.address);
    assert_eq!(tier(&url(":s3cret@")).await, Tier::Shared("redis"));
    assert_eq!(tier(&url(":guess@")).await, Tier::Store);
    assert_eq!(tier(&url("")).await, Tier::Store);
}
