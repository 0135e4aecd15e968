//! What a server's settings make of it: a class, or a refusal that says what to change.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use remote_object::error::Kind;
use remote_object::model::{Cas, Durability};
use remote_object::storage::{self, Datastore, KeyValue, Redis};
use remote_object::{Config, Error};

use super::servers::{SYNCED, Server};

async fn refused(config: &Config) -> Error {
    let error = storage::open(config).await.expect_err("it was opened");
    assert!(!error.message().contains('\n'), "{error}");
    error
}

async fn opened(config: &Config) -> Arc<dyn Datastore> {
    storage::open(config).await.unwrap()
}

#[tokio::test]
async fn a_server_that_syncs_every_write_is_power_safe() {
    let Some(server) = Server::start(SYNCED) else { return };
    assert_eq!(opened(&server.config()).await.caps().durability, Durability::PowerSafe);
    assert!(!opened(&server.config()).await.caps().exclusive);
}

#[tokio::test]
async fn a_server_that_may_lose_writes_is_refused_unless_that_is_accepted() {
    for (args, class, why) in [
        (&["--appendonly", "no"][..], Durability::Weak, "appendonly is no"),
        (&["--appendonly", "yes", "--appendfsync", "everysec"], Durability::Weak, "appendfsync is everysec"),
        (&["--appendonly", "yes", "--appendfsync", "no"], Durability::ProcessSafe, "appendfsync is no"),
        (&[SYNCED, &["--no-appendfsync-on-rewrite", "yes"]].concat(), Durability::ProcessSafe, "on-rewrite is yes"),
    ] {
        let Some(server) = Server::start(args) else { return };
        let mut config = server.config();
        let error = refused(&config).await;
        assert_eq!(error.kind(), Kind::Config);
        for part in [why, "appendfsync always", "--accept-weak-durability"] {
            assert!(error.message().contains(part), "{part}: {error}");
        }
        config.accept_weak_durability = true;
        assert_eq!(opened(&config).await.caps().durability, class, "{args:?}");
    }
}

#[tokio::test]
async fn a_server_whose_settings_may_not_be_read_counts_as_weak() {
    let Some(server) = Server::start(SYNCED) else { return };
    server.tell(&["ACL", "SETUSER", "objects", "on", ">s3cret", "~*", "+@all", "-config"]);
    let url = format!("redis://objects:s3cret@127.0.0.1:{}", server.port);
    let redis = Redis::connect(&url).await.unwrap();
    assert_eq!(redis.durability(), Durability::Weak);
    assert!(redis.durability_reason().contains("CONFIG GET is not allowed"), "{}", redis.durability_reason());
}

#[tokio::test]
async fn a_server_that_would_evict_records_is_refused() {
    let Some(server) = Server::start(SYNCED) else { return };
    server.tell(&["CONFIG", "SET", "maxmemory", "100mb"]);
    opened(&server.config()).await;
    for policy in ["allkeys-lru", "volatile-lru"] {
        server.tell(&["CONFIG", "SET", "maxmemory-policy", policy]);
        let mut config = server.config();
        config.accept_weak_durability = true;
        let error = refused(&config).await;
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.message().contains(policy) && error.message().contains("noeviction"), "{error}");
    }
}

#[tokio::test]
async fn a_replica_is_refused() {
    let Some(master) = Server::start(SYNCED) else { return };
    let of = format!("127.0.0.1 {}", master.port);
    let Some(replica) = Server::start(&[SYNCED, &["--replicaof", &of]].concat()) else { return };
    let error = refused(&replica.config()).await;
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.message().contains("name the master"), "{error}");
}

#[tokio::test]
async fn a_node_of_a_cluster_is_refused() {
    let Some(server) = Server::start(&[SYNCED, &["--cluster-enabled", "yes"]].concat()) else { return };
    let error = refused(&server.config()).await;
    assert!(error.message().contains("Redis Cluster"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_told_and_no_password_shows() {
    let Some(server) = Server::start(&[SYNCED, &["--requirepass", "r1ght"]].concat()) else { return };
    let mut config = server.config();
    config.store = format!("redis://:r1ght@127.0.0.1:{}", server.port);
    opened(&config).await;
    for login in [":wr0ng@", "nobody:wr0ng@", ""] {
        config.store = format!("redis://{login}127.0.0.1:{}", server.port);
        let error = refused(&config).await;
        assert_eq!(error.kind(), Kind::Config, "{error:?}");
        assert!(!format!("{error:?}").contains("wr0ng"), "{error:?}");
    }
    let redis = Redis::connect(&format!("redis://:r1ght@127.0.0.1:{}", server.port)).await.unwrap();
    assert!(!format!("{redis:?}").contains("r1ght"), "{redis:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_no_mistake_of_the_settings() {
    let mut config = Config::default();
    config.store = "redis://127.0.0.1:1".into();
    let error = refused(&config).await;
    assert_eq!(error.kind(), Kind::StoreUnavailable);
    assert!(error.detail().unwrap().contains("redis://127.0.0.1:1: "), "{error:?}");
}

#[tokio::test]
async fn stores_of_other_prefixes_and_databases_share_a_server() {
    const KEYS: [&str; 3] = ["h/1/a/1", "o/a/1", "r/index"];
    let Some(server) = Server::start(SYNCED) else { return };
    let parts = ["/0", "/0?prefix=shop:", "/0?prefix=shop:k:", "/1"];
    let mut stores = Vec::new();
    for part in parts {
        let redis = Redis::connect(&format!("{}{part}", server.url())).await.unwrap();
        assert_eq!(redis.scan("", None, 10).await.unwrap(), []);
        for key in KEYS {
            let answer = redis.compare_and_set(key, None, Bytes::from(part)).await;
            assert!(matches!(answer, Cas::Applied(_)), "{part} {key}: {answer:?}");
        }
        stores.push(redis);
    }
    for (redis, part) in stores.iter().zip(parts) {
        let found = redis.scan("", None, 10).await.unwrap();
        assert_eq!(found.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), KEYS);
        assert!(found.iter().all(|(_, entry)| entry.value == part), "{part}: {found:?}");
    }
}

/// A certificate authority, and a server's certificate of it, as files.
fn certificates(dir: &std::path::Path) -> [String; 3] {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut of_ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    of_ca.distinguished_name.push(rcgen::DnType::CommonName, "the authority");
    of_ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = of_ca.self_signed(&key).unwrap();
    let of_server = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&of_server, &rcgen::Issuer::new(of_ca, key)).unwrap();
    [("ca", ca.pem()), ("cert", certificate.pem()), ("key", of_server.serialize_pem())].map(|(name, pem)| {
        let path = dir.join(name).display().to_string();
        std::fs::write(&path, pem).unwrap();
        path
    })
}

#[tokio::test]
async fn a_server_is_reached_over_tls_and_known_by_its_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let [ca, cert, key] = certificates(dir.path());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (at, tls) = (port.to_string(), ["--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-ca-cert-file", &ca]);
    let args = [SYNCED, &["--tls-port", &at, "--tls-auth-clients", "yes"], &tls].concat();
    let Some(_server) = Server::start_at(port, &args) else { return };
    let known = format!("tls-ca={ca}&tls-cert={cert}&tls-key={key}");
    let redis = Redis::connect(&format!("rediss://localhost:{port}?{known}")).await.unwrap();
    assert!(matches!(redis.compare_and_set("a", None, Bytes::from("1")).await, Cas::Applied(_)));
    // By another name, by an authority nobody knows, and without a certificate of ours.
    for url in [
        format!("rediss://127.0.0.1:{port}?{known}"),
        format!("rediss://localhost:{port}?tls-cert={cert}&tls-key={key}"),
        format!("rediss://localhost:{port}?tls-ca={ca}"),
        format!("redis://localhost:{port}"),
    ] {
        Redis::connect(&url).await.expect_err(&url);
    }
}

/// The error of connecting to what gives `answer` to whatever it is asked first, and ends the connection.
async fn of_one_that_answers(answer: &'static [u8]) -> Error {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let read = stream.read(&mut [0; 1024]).unwrap();
        assert!(read > 0);
        stream.write_all(answer).unwrap();
    });
    let error = Redis::connect(&format!("redis://{address}")).await.expect_err("it was connected to");
    server.join().unwrap();
    assert!(!error.message().contains('\n'), "{error}");
    error
}

#[tokio::test]
async fn what_is_no_redis_is_refused_and_an_answer_cut_short_is_an_outage() {
    let error = of_one_that_answers(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.message().contains("cannot be read as one of Redis"), "{error}");
    // Parts of an answer, whichever of the first commands it is to.
    for answer in [&b"$5000\r\n# Server\r\nredis_v"[..], b"+O", b"$50"] {
        let error = of_one_that_answers(answer).await;
        assert_eq!(error.kind(), Kind::StoreUnavailable, "{error}");
    }
}
