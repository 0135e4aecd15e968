//! TLS from PEM files, with and without a certificate of our own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use remote_object::Config;
use remote_object::model::{Cas, Register};
use remote_object::storage::{Cassandra, Datastore};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::super::authority::Authority;
use super::wire::{free_port, nodes};
use super::world::{self, fresh, is_there};

/// Speaks TLS before each node, and gives the hosts of a URL.
async fn serve(config: Arc<ServerConfig>) -> String {
    let nodes = nodes();
    let port = free_port(&nodes);
    let mut hosts = Vec::new();
    for node in nodes {
        let before = SocketAddr::new(node.ip(), port);
        let listener = TcpListener::bind(before).await.unwrap();
        hosts.push(before.to_string());
        let acceptor = TlsAcceptor::from(Arc::clone(&config));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut outside) = acceptor.accept(stream).await else { return };
                    let mut inside = TcpStream::connect(node).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
    }
    hosts.join(",")
}

async fn config(hosts: &str, parameters: &str) -> Config {
    let mut config = world::shared_config().await;
    let (_, tables) = config.store["cassandra://".len()..].split_once('/').unwrap();
    config.store = format!("cassandra://{hosts}/{tables}{parameters}");
    config
}

async fn works(config: &Config) {
    let store = Cassandra::open(config).await.unwrap();
    assert!(matches!(store.cas(&Register::named(fresh("tls")), None, b"1").await, Cas::Applied(_)));
}

async fn refusal(config: &Config) -> String {
    let error = Cassandra::open(config).await.unwrap_err();
    assert!(!error.message().contains('\n'), "{error}");
    error.message().to_owned()
}

const ADDRESSES: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_spoken_to_over_tls_and_must_be_who_they_are() {
    if !is_there() {
        return;
    }
    let (ours, other) = (Authority::new(), Authority::new());
    let hosts = serve(ours.server(&ADDRESSES, false)).await;
    works(&config(&hosts, &format!("&tls-ca={}", ours.file("ca.pem"))).await).await;
    let stranger = refusal(&config(&hosts, &format!("&tls-ca={}", other.file("ca.pem"))).await).await;
    assert!(stranger.contains("cannot be used") && stranger.contains("certificate"), "{stranger}");
    let plain = refusal(&config(&hosts, "").await).await;
    assert!(plain.contains("see that these servers run, speak no TLS"), "{plain}");
    let by_name = serve(ours.server(&["cassandra.example"], false)).await;
    let misnamed = refusal(&config(&by_name, &format!("&tls-ca={}", ours.file("ca.pem"))).await).await;
    assert!(misnamed.contains("certificates for their IP addresses"), "{misnamed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_ask_for_a_certificate_are_shown_ours() {
    if !is_there() {
        return;
    }
    let authority = Authority::new();
    let hosts = serve(authority.server(&ADDRESSES, true)).await;
    let [certificate, key] = authority.issue("own", &["objectd"]);
    let ca = format!("&tls-ca={}", authority.file("ca.pem"));
    let own = format!("{ca}&tls-cert={certificate}&tls-key={key}");
    works(&config(&hosts, &own).await).await;
    refusal(&config(&hosts, &ca).await).await;
}

#[tokio::test]
async fn a_tls_file_that_cannot_be_used_is_named() {
    let authority = Authority::new();
    let (certificate, _) = authority.signed(&["objectd"]);
    let (_, other_key) = authority.signed(&["objectd"]);
    authority.write("own.pem", &certificate.pem());
    authority.write("other-key.pem", &other_key.serialize_pem());
    authority.write("empty.pem", "");
    let file = |name: &str| authority.file(name);
    let ca = file("ca.pem");
    for (parameters, says) in [
        (format!("tls-ca={}", file("none.pem")), "none.pem has no certificate in PEM"),
        (format!("tls-ca={}", file("empty.pem")), "empty.pem has no certificate in PEM"),
        (format!("tls-ca={}", file("other-key.pem")), "other-key.pem has no certificate in PEM"),
        (format!("tls-ca={ca}&tls-cert={ca}&tls-key={ca}"), "ca.pem has no private key in PEM"),
        (
            format!("tls-ca={ca}&tls-cert={}&tls-key={}", file("own.pem"), file("other-key.pem")),
            "the TLS files do not go together",
        ),
    ] {
        let mut config = Config::default();
        config.store = format!("cassandra://127.0.0.1:1/ks?{parameters}");
        let text = refusal(&config).await;
        assert!(text.contains(says), "{says:?} is not in {text:?}");
    }
    assert!(Path::new(&ca).exists());
}
