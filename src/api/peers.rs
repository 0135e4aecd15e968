//! Asking another node of this cluster: the question to the host as an HTTP/2 request, its answer read back.
//!
//! The form is that of the public routes, below a path of its own and with a few headers more, so that nodes of different
//! builds understand each other as long as clients do.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use h2::client::SendRequest;
use h2::{Ping, PingPong, RecvStream};
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, IF_MATCH, IF_NONE_MATCH, InvalidHeaderValue,
};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version as HttpVersion};
#[cfg(not(feature = "tls"))]
use hyper_util::client::legacy::connect::HttpConnector as Connector;
use tower_service::Service;

use super::client::{GRACE, REPLY_BYTES_MAX, read_problem, read_tag, write_tags};
use super::names::{
    AT, CHAIN, EPOCH, EXPLAIN, IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED, INNER, JSON, KNOWN, LIFE, OWNER_LIFE,
    PROBLEM_JSON, REQUEST_TIMEOUT, RESENT, SECRET, TIER, TRACEPARENT,
};
#[cfg(feature = "tls")]
use super::tls::{Connector, PeerTls};
use crate::clock::{self, Instant};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::model::{ObjectKey, Version};
use crate::objects::{Forward, Forwarded, Op, Peer, Peers, Reply, Success, Tier, WireArgs};

/// How long a connection to another node may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a connection is tried, and how long the answer may take.
const PING: Duration = Duration::from_secs(2);
/// A connection that was not used for so long is about to be closed by the other end.
const UNUSED_MAX: Duration = Duration::from_secs(60);
/// As many headers as a question usually has.
const HEADERS: usize = 8;
/// What may be under way of one answer, and of all on a connection, in bytes.
const WINDOW: u32 = 1 << 20;

/// The other nodes of this cluster. Connections are made when they are needed, one a node, and kept.
#[derive(Debug)]
pub(crate) struct Nodes {
    /// Each with when it was asked for last.
    connections: Mutex<HashMap<Arc<str>, (Connecting, Instant)>>,
    connector: Connector,
    secret: HeaderValue,
}

/// A connection, made or on its way; or why there is none.
type Connecting = Shared<BoxFuture<'static, Result<Open, Error>>>;

/// A connection that was made. Questions are put on it, and answers taken from it, by those who ask: a task between would cost
/// each of them two more changes of tasks.
#[derive(Clone, Debug)]
struct Open {
    requests: SendRequest<Bytes>,
    /// It takes no more questions.
    closed: Arc<AtomicBool>,
}

impl Nodes {
    /// `secret` is what nodes show each other that have no certificates.
    ///
    /// # Errors
    /// `config` when a certificate cannot be used.
    pub(crate) fn new(secret: &str, config: &Config) -> Result<Self> {
        let connector = connector(config)?;
        let mut secret = HeaderValue::try_from(secret).map_err(|_| Error::internal("the secret is no header"))?;
        secret.set_sensitive(true);
        Ok(Self { connections: Mutex::default(), connector, secret })
    }

    /// The connection to a node; another one where the last has ended, or was never made.
    fn connection(&self, addr: &Arc<str>) -> Connecting {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        // Nodes come and go, each at an address of its own.
        connections.retain(|_, (known, used)| match known.peek() {
            None => true,
            Some(Ok(open)) => !open.closed.load(Ordering::Relaxed) && now.saturating_duration_since(*used) < UNUSED_MAX,
            Some(Err(_)) => false,
        });
        if let Some((known, used)) = connections.get_mut(addr) {
            *used = now;
            return known.clone();
        }
        let connecting = connect(self.connector.clone(), Arc::clone(addr)).boxed().shared();
        connections.insert(Arc::clone(addr), (connecting.clone(), now));
        connecting
    }
}

async fn connect(mut connector: Connector, addr: Arc<str>) -> Result<Open> {
    let failed = |detail: String| {
        Error::new(Kind::WrongNode, "the node that has the object cannot be reached")
            .with_detail(format!("{addr}: {detail}"))
    };
    let uri: Uri = addr.parse().map_err(|error| failed(format!("{error}")))?;
    let made = async {
        poll_fn(|cx| connector.poll_ready(cx)).await.map_err(|error| failed(format!("{error:?}")))?;
        let io = connector.call(uri).await.map_err(|error| failed(format!("{error:?}")))?;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(WINDOW).initial_connection_window_size(16 * WINDOW).enable_push(false);
        builder.handshake(io.into_inner()).await.map_err(|error| failed(format!("{error:?}")))
    };
    let late = |_| failed("no connection in time".into());
    let (requests, mut connection) = tokio::time::timeout(CONNECT_TIMEOUT, made).await.map_err(late)??;
    let closed = Arc::new(AtomicBool::new(false));
    let open = Open { requests, closed: Arc::clone(&closed) };
    tokio::spawn(async move {
        let pings = connection.ping_pong();
        let ended = tokio::select! {
            ended = connection => ended.map_err(|error| error.to_string()),
            () = silent(pings) => Err("it does not answer any more".to_owned()),
        };
        closed.store(true, Ordering::Relaxed);
        if let Err(why) = ended {
            tracing::debug!(error.message = why, "a connection to another node ended");
        }
    });
    Ok(open)
}

/// Resolves once the other end does not answer.
async fn silent(pings: Option<PingPong>) {
    if let Some(mut pings) = pings {
        loop {
            tokio::time::sleep(PING).await;
            match tokio::time::timeout(PING, pings.ping(Ping::opaque())).await {
                Ok(Ok(_)) => {}
                // The connection ends by itself.
                Ok(Err(_)) => break,
                Err(_) => return,
            }
        }
    }
    std::future::pending().await
}

#[cfg(feature = "tls")]
fn connector(config: &Config) -> Result<Connector> {
    Ok(Connector::new(PeerTls::open(config)?))
}

#[cfg(not(feature = "tls"))]
fn connector(_: &Config) -> Result<Connector> {
    let mut connector = Connector::new();
    connector.set_nodelay(true);
    Ok(connector)
}

impl Peers for Nodes {
    fn ask(&self, peer: &Peer, asked: Forward) -> BoxFuture<'static, Forwarded> {
        let edit = !asked.op.is_view();
        let deadline = asked.deadline;
        let (connecting, addr) = (self.connection(&peer.addr), Arc::clone(&peer.addr));
        let sent = Arc::clone(&asked.sent);
        let request = request(&addr, asked, &self.secret);
        Box::pin(async move {
            let (request, question) = match request {
                Ok(request) => request,
                Err(error) => return Forwarded::Answered(Err(error)),
            };
            let answered = async {
                let open = match connecting.await {
                    Ok(open) => open,
                    Err(error) => return Forwarded::Unsent(error),
                };
                sent.store(true, Ordering::Release);
                match exchange(open, &addr, request, question).await {
                    Ok(answer) => read(&addr, answer.status(), answer.headers(), answer.body().clone(), edit),
                    Err(unanswered) => unanswered.into(),
                }
            };
            let late = || match edit {
                true => Forwarded::Lost(Error::store("the node that was asked did not answer before the deadline")),
                false => Forwarded::Answered(Err(Error::new(
                    Kind::DeadlineExceeded,
                    "the deadline passed before the view was answered",
                ))),
            };
            tokio::time::timeout_at(deadline + GRACE, answered).await.unwrap_or_else(|_| late())
        })
    }

    fn explain(&self, peer: &Peer, key: &ObjectKey, deadline: Instant) -> BoxFuture<'static, Result<Bytes>> {
        let connecting = self.connection(&peer.addr);
        let left = deadline.saturating_duration_since(clock::now()).as_secs_f64().max(0.001);
        let request = Request::get(format!("{}{INNER}{}/{EXPLAIN}", peer.addr.trim_end_matches('/'), key.path()))
            .version(HttpVersion::HTTP_2)
            .header(SECRET, &self.secret)
            .header(LIFE, &*peer.id)
            .header(REQUEST_TIMEOUT, format!("{left:.3}"))
            .body(());
        let addr = Arc::clone(&peer.addr);
        let answered = async move {
            let request = request.map_err(|error| Error::internal(error.to_string()))?;
            match exchange(connecting.await?, &addr, request, Bytes::new()).await {
                Ok(answer) if answer.status().is_success() => Ok(answer.into_body()),
                Ok(answer) => Err(read_problem(answer.status(), answer.body(), false)),
                Err(unanswered) => Err(unanswered.error),
            }
        };
        let late = || Err(Error::new(Kind::StoreUnavailable, "it did not answer in time"));
        Box::pin(async move { tokio::time::timeout_at(deadline, answered).await.unwrap_or_else(|_| late()) })
    }
}

/// Puts a question on a connection, and takes its answer.
async fn exchange(
    mut open: Open,
    addr: &str,
    request: Request<()>,
    question: Bytes,
) -> std::result::Result<Response<Bytes>, Unanswered> {
    let (answer, mut stream) = match open.requests.send_request(request, question.is_empty()) {
        Ok(sent) => sent,
        Err(error) => {
            // It has ended, or is about to: the next question goes over another one.
            open.closed.store(true, Ordering::Relaxed);
            return Err(unsent(addr, &error));
        }
    };
    if !question.is_empty() {
        stream.send_data(question, true).map_err(|error| unanswered(addr, &error))?;
    }
    let (head, body) = answer.await.map_err(|error| unanswered(addr, &error))?.into_parts();
    let broken =
        |why| Unanswered { begun: true, error: Error::store(format!("the answer of {addr} broke off: {why}")) };
    Ok(Response::from_parts(head, whole(body).await.map_err(broken)?))
}

/// All of an answer's body; most have one part.
async fn whole(mut body: RecvStream) -> std::result::Result<Bytes, String> {
    let mut whole = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part.map_err(|error| error.to_string())?;
        if whole.len() + part.len() > REPLY_BYTES_MAX {
            return Err(format!("it is longer than {REPLY_BYTES_MAX} bytes"));
        }
        let _ = body.flow_control().release_capacity(part.len());
        if whole.is_empty() && body.is_end_stream() {
            return Ok(part);
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole.freeze())
}

/// The head of the question, and its body.
fn request(addr: &str, asked: Forward, secret: &HeaderValue) -> Result<(Request<()>, Bytes)> {
    let left = asked.deadline.saturating_duration_since(clock::now());
    if left.is_zero() {
        return Err(Error::new(Kind::DeadlineExceeded, "the deadline passed before the call was sent"));
    }
    let mut uri = format!("{}{INNER}{}", addr.trim_end_matches('/'), asked.key.path());
    let (verb, body) = match asked.op {
        Op::Get => (Method::GET, Bytes::new()),
        Op::Replace(state) => (Method::PUT, state),
        Op::Patch(patch) => (Method::PATCH, patch),
        Op::Delete => (Method::DELETE, Bytes::new()),
        Op::Create(state) => (Method::POST, state.unwrap_or_default()),
        Op::Call(method, args) => {
            uri.push('/');
            uri.push_str(method.name);
            match args.to_wire() {
                WireArgs::Body(body) => (Method::POST, body),
                WireArgs::Query(pairs) => {
                    for (at, (name, value)) in pairs.iter().enumerate() {
                        uri.push(if at == 0 { '?' } else { '&' });
                        uri.push_str(name);
                        uri.push('=');
                        crate::model::percent_encode(value, &mut uri);
                    }
                    (Method::GET, Bytes::new())
                }
            }
        }
    };
    let failed = |error: &dyn std::fmt::Display| Error::internal(format!("the call cannot be sent on: {error}"));
    let mut request = Request::new(());
    *request.version_mut() = HttpVersion::HTTP_2;
    *request.method_mut() = verb;
    *request.uri_mut() = Uri::try_from(uri).map_err(|error| failed(&error))?;
    let headers = request.headers_mut();
    headers.reserve(HEADERS);
    let mut add = |name, value: std::result::Result<HeaderValue, InvalidHeaderValue>| {
        headers.append(name, value.map_err(|error| failed(&error))?);
        Ok::<(), Error>(())
    };
    if !body.is_empty() {
        add(CONTENT_LENGTH, Ok(body.len().into()))?;
    }
    add(SECRET, Ok(secret.clone()))?;
    add(CONTENT_TYPE, Ok(HeaderValue::from_static(JSON)))?;
    add(REQUEST_TIMEOUT, format!("{:.6}", left.as_secs_f64().max(0.000_001)).try_into())?;
    if let Some(key) = &asked.idempotency_key {
        add(IDEMPOTENCY_KEY, key.try_into())?;
    }
    if let Some(tags) = &asked.conditions.if_match {
        add(IF_MATCH, write_tags(tags).try_into())?;
    }
    if let Some(tags) = &asked.conditions.if_none_match {
        add(IF_NONE_MATCH, write_tags(tags).try_into())?;
    }
    if let Some(age) = asked.freshness.max_age {
        add(CACHE_CONTROL, format!("max-age={}", age.as_secs()).try_into())?;
    }
    if asked.freshness.only_if_cached {
        add(CACHE_CONTROL, Ok(HeaderValue::from_static("only-if-cached")))?;
    }
    if let Some(trace) = &asked.trace {
        add(TRACEPARENT, HeaderValue::from_str(trace))?;
    }
    if !asked.way.chain.is_empty() {
        let chain: Vec<String> = asked.way.chain.iter().map(crate::model::ObjectKey::path).collect();
        add(CHAIN, chain.join(" ").try_into())?;
    }
    add(KNOWN, asked.way.known.to_string().try_into())?;
    if let Some(life) = &asked.way.life {
        add(LIFE, HeaderValue::from_str(life))?;
    }
    if let Some(version) = asked.way.resent {
        add(RESENT, version.to_string().try_into())?;
    }
    Ok((request, body))
}

/// Why there is no answer.
struct Unanswered {
    /// Whether the other node may have come to it.
    begun: bool,
    error: Error,
}

impl From<Unanswered> for Forwarded {
    fn from(Unanswered { begun, error }: Unanswered) -> Self {
        if begun { Self::Lost(error) } else { Self::Unsent(error) }
    }
}

/// It was not even begun to be sent.
fn unsent(addr: &str, error: &h2::Error) -> Unanswered {
    let what = "the node that has the object cannot be reached";
    Unanswered { begun: false, error: Error::new(Kind::WrongNode, what).with_detail(format!("{addr}: {error:?}")) }
}

/// Whether the other node has come to it at all decides what may have become of it. HTTP/2 says so: it refused the stream, or
/// went away before it came to it.
fn unanswered(addr: &str, error: &h2::Error) -> Unanswered {
    let was_refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
    let has_left = error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR);
    if was_refused || has_left {
        return unsent(addr, error);
    }
    Unanswered { begun: true, error: Error::store(format!("{addr}: {error:?}")) }
}

fn read(addr: &str, status: StatusCode, headers: &HeaderMap, body: Bytes, edit: bool) -> Forwarded {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if status.is_success() {
        return Forwarded::Answered(Ok(Reply {
            success: match status {
                StatusCode::CREATED => Success::Created,
                StatusCode::NO_CONTENT => Success::NoContent,
                _ => Success::Ok,
            },
            body,
            tag: headers.get(ETAG).and_then(read_tag),
            at: text(AT).and_then(|at| at.parse::<Version>().ok()),
            replayed: headers.contains_key(IDEMPOTENCY_REPLAYED),
            tier: match text(TIER) {
                Some("l1") => Tier::L1,
                Some("memcached") => Tier::Shared("memcached"),
                Some("redis") => Tier::Shared("redis"),
                _ => Tier::Store,
            },
        }));
    }
    if status == StatusCode::MISDIRECTED_REQUEST {
        let epoch = text(EPOCH).and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
        return Forwarded::Elsewhere(text(OWNER_LIFE).map(str::to_owned), epoch);
    }
    if headers.get(CONTENT_TYPE).is_none_or(|media| media.as_bytes() != PROBLEM_JSON.as_bytes()) {
        let what = format!("something between here and {addr} answered {status}");
        return Forwarded::Lost(Error::store(what));
    }
    let error = read_problem(status, &body, edit);
    match error.kind() {
        Kind::RouteNotFound => Forwarded::Answered(Err(Error::internal(format!(
            "the node at {addr} does not take this one for a node of its cluster: they have other secrets or certificates"
        )))),
        _ => Forwarded::Answered(Err(error)),
    }
}
