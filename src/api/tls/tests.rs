//! Real sockets and certificates made for the test: who is a node, who is not, and what changes under way.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri, Version};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tower_service::Service as _;

use super::*;
use crate::Service;
use crate::api::stream::{Entrance, Proved};
use crate::error::Kind;
use crate::prelude::*;

const PATIENCE: Duration = Duration::from_secs(20);
const HERE: &str = "127.0.0.1";

/// A sum.
#[remote_object]
struct Till {
    value: i64,
}

#[remote_object]
impl Till {
    pub fn add(&mut self, by: i64) -> i64 {
        self.value += by;
        self.value
    }
}

/// Who signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for this host, and its key; `expired`: of yesterday's world.
    fn signed(&self, host: &str, expired: bool) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        if expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    /// A client of HTTPS that knows this authority, and shows nothing.
    fn stranger(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        TlsConnector::from(Arc::new(builder.with_no_client_auth()))
    }
}

/// The files of a node.
struct Place(tempfile::TempDir);

impl Place {
    /// Of a node at `host`, whom `signer` has signed and who trusts `trusted`.
    fn new(host: &str, signer: &Authority, trusted: &Authority) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("ca.pem", &trusted.0.pem());
        place.renew(host, signer);
        place
    }

    fn of(host: &str, authority: &Authority) -> Self {
        Self::new(host, authority, authority)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn renew(&self, host: &str, signer: &Authority) {
        let (cert, key) = signer.signed(host, false);
        self.write("cert.pem", &cert);
        self.write("key.pem", &key);
    }

    fn config(&self) -> Config {
        let file = |name| Some(self.0.path().join(name));
        let mut config = Config::default();
        (config.peer_tls_cert, config.peer_tls_key, config.peer_tls_ca) =
            (file("cert.pem"), file("key.pem"), file("ca.pem"));
        config
    }

    fn tls(&self) -> PeerTls {
        PeerTls::open(&self.config()).unwrap().unwrap()
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A service, as it is.
struct Serving {
    address: SocketAddr,
    stop: tokio::sync::oneshot::Sender<()>,
    running: tokio::task::JoinHandle<crate::Result<()>>,
}

impl Serving {
    async fn with(config: Config) -> Self {
        let service = Service::builder().config(config).store("memory:").only_given_types().object::<Till>();
        let service = service.build().await.unwrap();
        let (listener, address) = listen().await;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let running = tokio::spawn(async move { service.run(listener, async { _ = stopped.await }).await });
        Self { address, stop, running }
    }
}

/// A server that answers whether the connection is a node's, as the routes between nodes ask.
async fn node(config: &Config) -> SocketAddr {
    let entrance = Entrance::of(config).unwrap();
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let entrance = entrance.clone();
            tokio::spawn(async move {
                let Ok((stream, proved)) = entrance.enter(stream).await else { return };
                let service = service_fn(move |mut request: Request<Incoming>| async move {
                    if proved {
                        request.extensions_mut().insert(Proved);
                    }
                    let proved = Proved::is_in(request.extensions());
                    Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(proved.to_string())))
                });
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

/// What a node with these files is told there, over HTTP/2.
async fn ask(tls: &PeerTls, url: &str) -> Result<String, String> {
    let pool: Pool<_, Empty<Bytes>> = Pool::builder(TokioExecutor::new()).build(Connector::new(Some(tls.clone())));
    let asked = async {
        let response = pool.get(url.parse::<Uri>().unwrap()).await.map_err(|error| format!("{error:?}"))?;
        assert_eq!(response.version(), Version::HTTP_2);
        let body = response.into_body().collect().await.map_err(|error| format!("{error:?}"))?;
        Ok(String::from_utf8(body.to_bytes().to_vec()).unwrap())
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap()
}

/// What one request over this connection is answered, head and body.
async fn request(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A peer may close without a word more.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

fn here() -> ServerName<'static> {
    ServerName::try_from(HERE).unwrap()
}

#[tokio::test]
async fn who_shows_a_certificate_of_the_authority_is_a_node_and_nobody_else_is() {
    let authority = Authority::new("ours");
    let address = node(&Place::of(HERE, &authority).config()).await;
    let url = format!("https://{address}/");
    assert_eq!(ask(&Place::of("elsewhere", &authority).tls(), &url).await.unwrap(), "true");
    // No certificate: served, and no node.
    let mut stranger = authority.stranger().connect(here(), TcpStream::connect(address).await.unwrap()).await.unwrap();
    assert!(request(&mut stranger, "/").await.ends_with("\r\n\r\nfalse"));
    // No TLS: the same.
    assert!(request(&mut TcpStream::connect(address).await.unwrap(), "/").await.ends_with("\r\n\r\nfalse"));
    // Signed by somebody else, who need not say so himself: refused.
    let other = Authority::new("other");
    let mut forged = Place::of(HERE, &other);
    forged.write("ca.pem", &format!("{}{}", authority.0.pem(), other.0.pem()));
    ask(&forged.tls(), &url).await.unwrap_err();
    forged = Place::of(HERE, &authority);
    assert_eq!(ask(&forged.tls(), &url).await.unwrap(), "true", "the server is well");
}

#[tokio::test]
async fn a_server_is_a_node_only_by_its_authority_and_for_the_host_of_the_url() {
    let authority = Authority::new("ours");
    let own = Place::of(HERE, &authority).tls();
    let by_name = node(&Place::of("localhost", &authority).config()).await;
    assert_eq!(ask(&own, &format!("https://localhost:{}/", by_name.port())).await.unwrap(), "true");
    let error = ask(&own, &format!("https://{by_name}/")).await.unwrap_err();
    assert!(error.contains("NotValidForName"), "{error}");
    let other = Authority::new("other");
    let foreign = node(&Place::of(HERE, &other).config()).await;
    let error = ask(&own, &format!("https://{foreign}/")).await.unwrap_err();
    assert!(error.contains("UnknownIssuer"), "{error}");
}

#[tokio::test]
async fn certificates_that_change_under_way_count_and_bad_ones_do_not() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let (here, there) = (Place::of(HERE, &before), Place::of(HERE, &before));
    let url = format!("https://{}/", node(&here.config()).await);
    let own = there.tls();
    assert_eq!(ask(&own, &url).await.unwrap(), "true");
    let look = || tokio::time::sleep(LOOK + Duration::from_millis(50));

    // Half of a change, and nonsense: as before.
    let (cert, key) = after.signed(HERE, false);
    here.write("cert.pem", &cert);
    there.write("ca.pem", "nonsense");
    look().await;
    assert_eq!(ask(&own, &url).await.unwrap(), "true");
    assert_eq!(ask(&own, &url).await.unwrap(), "true");

    // The whole of it: the server is another authority's now.
    here.write("key.pem", &key);
    here.write("ca.pem", &after.0.pem());
    there.write("ca.pem", &before.0.pem());
    look().await;
    let error = ask(&own, &url).await.unwrap_err();
    assert!(error.contains("UnknownIssuer"), "{error}");

    // The other end follows.
    there.renew(HERE, &after);
    there.write("ca.pem", &after.0.pem());
    look().await;
    assert_eq!(ask(&own, &url).await.unwrap(), "true");
}

#[tokio::test]
async fn a_service_with_certificates_serves_http_and_https_on_one_port() {
    let authority = Authority::new("ours");
    let place = Place::of(HERE, &authority);
    let mut config = place.config();
    config.limits.head_timeout_ms = 700;
    let serving = Serving::with(config).await;
    let address = serving.address;
    let plain = async || TcpStream::connect(address).await.unwrap();
    let stranger = async || authority.stranger().connect(here(), plain().await).await.unwrap();

    assert!(request(&mut plain().await, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(request(&mut stranger().await, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(ask(&place.tls(), &format!("https://{address}/openapi.json")).await.unwrap().contains("till"));

    // Who says nothing, who does not end his handshake, and who does not end his head, is not waited for.
    let mut silent = plain().await;
    let mut halting = plain().await;
    halting.write_all(&[22, 3, 1]).await.unwrap();
    let mut slow = stranger().await;
    slow.write_all(b"GET /healthz HTT").await.unwrap();
    let mut said = [String::new(), String::new(), String::new()];
    let [first, second, third] = &mut said;
    let ends = async {
        let _ = silent.read_to_string(first).await;
        let _ = halting.read_to_string(second).await;
        let _ = slow.read_to_string(third).await;
    };
    tokio::time::timeout(PATIENCE, ends).await.unwrap();
    assert_eq!((&*said[0], &*said[1]), ("", ""));
    assert!(said[2].starts_with("HTTP/1.1 408") && said[2].contains("request-timeout"), "{}", said[2]);
}

#[tokio::test]
async fn who_has_not_ended_his_handshake_does_not_keep_a_service_from_ending() {
    let place = Place::of(HERE, &Authority::new("ours"));
    let serving = Serving::with(place.config()).await;
    let connect = async || TcpStream::connect(serving.address).await.unwrap();
    let _silent = connect().await;
    let mut halting = connect().await;
    halting.write_all(&[22, 3, 1]).await.unwrap();
    // Both were accepted: this one came after them.
    assert!(request(&mut connect().await, "/healthz").await.starts_with("HTTP/1.1 200"));
    serving.stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), serving.running).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_node_with_certificates_speaks_to_nobody_without_and_the_other_way_round() {
    let authority = Authority::new("ours");
    let connect = async |tls: Option<PeerTls>, url: &str| {
        let error = Connector::new(tls).call(url.parse().unwrap()).await.unwrap_err();
        error.to_string()
    };
    let tls = Place::of(HERE, &authority).tls();
    assert!(connect(Some(tls), "http://127.0.0.1:1/").await.contains("would have them too"));
    assert!(connect(None, "https://127.0.0.1:1/").await.contains("set peer-tls-cert"));
    // Without any, it is a plain connector.
    let (listener, address) = listen().await;
    let connected = Connector::new(None).call(format!("http://{address}").parse().unwrap()).await.unwrap();
    assert!(matches!(connected.into_inner(), connector::PeerStream::Plain(_)));
    drop(listener);
}

#[tokio::test]
async fn what_is_wrong_with_the_files_is_said_with_the_name_of_the_file() {
    let authority = Authority::new("ours");
    let wrong = |spoil: &dyn Fn(&Place)| {
        let place = Place::of(HERE, &authority);
        spoil(&place);
        let error = PeerTls::open(&place.config()).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        let dir = place.0.path().display().to_string();
        assert!(error.message().contains(&dir), "{error}");
        error.message().replace(&format!("{dir}/"), "")
    };
    let remove = |place: &Place| std::fs::remove_file(place.0.path().join("key.pem")).unwrap();
    let says = [
        (wrong(&remove), "the setting peer-tls-key: key.pem cannot be read: "),
        (wrong(&|place| _ = place.write("ca.pem", "")), "the setting peer-tls-ca: ca.pem has no certificate in PEM"),
        (
            wrong(&|place| _ = place.write("key.pem", "x")),
            "the setting peer-tls-key: key.pem has no private key in PEM",
        ),
        (
            wrong(&|place| _ = place.write("key.pem", &authority.signed(HERE, false).1)),
            "the setting peer-tls-key: key.pem is not the key of the certificate in cert.pem",
        ),
        (
            wrong(&|place| place.renew(HERE, &Authority::new("other"))),
            "the setting peer-tls-cert: other nodes would refuse cert.pem, checked by ca.pem of the setting peer-tls-ca: ",
        ),
    ];
    for (message, says) in says {
        assert!(message.starts_with(says), "{message}");
    }
    let expired = |place: &Place| {
        let (cert, key) = authority.signed(HERE, true);
        place.write("cert.pem", &cert);
        place.write("key.pem", &key);
    };
    assert!(wrong(&expired).contains("xpired"), "{}", wrong(&expired));

    let mut half = Place::of(HERE, &authority).config();
    half.peer_tls_ca = None;
    let error = half.check().unwrap_err();
    assert!(error.message().starts_with("the setting peer-tls-cert is there and peer-tls-ca is not"), "{error}");
    assert!(PeerTls::open(&Config::default()).unwrap().is_none());
}
