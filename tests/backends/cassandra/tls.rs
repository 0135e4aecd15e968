//! TLS from PEM files, with and without a certificate of our own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use remote_object::Config;
use remote_object::model::{Cas, Register};
use remote_object::storage::{Cassandra, Datastore};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::wire::{free_port, nodes};
use super::world::{self, fresh, is_there};

/// Who signs, and where the PEM files are.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, dir: tempfile::tempdir().unwrap() };
        authority.write("ca.pem", &authority.issuer.pem());
        authority
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A certificate for these names, and its key.
    fn signed(&self, names: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        (certificate, key)
    }

    /// A server's side; with `asks`, only for those who show a certificate of this authority.
    fn server(&self, names: &[&str], asks: bool) -> Arc<ServerConfig> {
        let (certificate, key) = self.signed(names);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = if asks {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).unwrap())
    }

    fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }
}

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
    refusal(&config(&hosts, "").await).await;
    let by_name = serve(ours.server(&["cassandra.example"], false)).await;
    let misnamed = refusal(&config(&by_name, &format!("&tls-ca={}", ours.file("ca.pem"))).await).await;
    assert!(misnamed.contains("certificate"), "{misnamed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_ask_for_a_certificate_are_shown_ours() {
    if !is_there() {
        return;
    }
    let authority = Authority::new();
    let hosts = serve(authority.server(&ADDRESSES, true)).await;
    let (certificate, key) = authority.signed(&["objectd"]);
    authority.write("own.pem", &certificate.pem());
    authority.write("key.pem", &key.serialize_pem());
    let ca = format!("&tls-ca={}", authority.file("ca.pem"));
    let own = format!("{ca}&tls-cert={}&tls-key={}", authority.file("own.pem"), authority.file("key.pem"));
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
