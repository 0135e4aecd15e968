//! Asking another node of this cluster: the question to the host as an HTTP/2 request, its answer read back.
//!
//! The form is that of the public routes, below a path of its own and with a few headers more, so that nodes of different
//! builds understand each other as long as clients do.

mod kept;

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use http::response::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
#[cfg(not(feature = "tls"))]
use hyper_util::client::legacy::connect::HttpConnector as Connector;
use tower_service::Service;

use self::kept::{Kept, Unanswered};
use super::client::{GRACE, read_problem, read_tag, write_tags};
use super::names::{
    AT, CHAIN, EPOCH, EXPLAIN, IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED, INNER, JSON, KNOWN, LIFE, OWNER_LIFE,
    PROBLEM_JSON, RELAY, RELAYED, REQUEST_TIMEOUT, RESENT, SECRET, TIER, TRACEPARENT, once,
};
#[cfg(feature = "tls")]
use super::tls::{Connector, PeerTls};
use crate::clock::{self, Instant};
use crate::config::Config;
use crate::error::{Error, Kind, Outcome, Result};
use crate::model::{ObjectKey, Version};
use crate::objects::{Forward, Forwarded, Op, Peer, Peers, Reply, Success, Tier, WireArgs};

/// How long a connection to another node may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that was not used for so long is not used again: the other end may be about to close it. Less where such an end does
/// so sooner, by the settings that nodes share.
const UNUSED_MAX: Duration = Duration::from_secs(60);

/// The other nodes of this cluster. Connections are made when they are needed, one a node, and kept.
pub(crate) struct Nodes {
    /// Each with when it was asked for last.
    connections: Mutex<HashMap<Arc<str>, (Connecting, Instant)>>,
    connector: Connector,
    unused_max: Duration,
    /// In the table of headers that come often, so that it is written once a connection: no header of a client comes by that
    /// name on one, so that nobody can try what it is.
    secret: HeaderValue,
}

impl std::fmt::Debug for Nodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nodes").finish_non_exhaustive()
    }
}

/// A connection, made or on its way; or why there is none.
type Connecting = Shared<BoxFuture<'static, Result<Kept, Error>>>;

impl Nodes {
    /// `secret` is what nodes show each other that have no certificates.
    ///
    /// # Errors
    /// `config` when a certificate cannot be used.
    pub(crate) fn new(secret: &str, config: &Config) -> Result<Self> {
        let connector = connector(config)?;
        let secret = HeaderValue::try_from(secret).map_err(|_| Error::internal("the secret is no header"))?;
        let unused_max = UNUSED_MAX.min(Duration::from_millis(config.limits.idle_timeout_ms) * 3 / 4);
        Ok(Self { connections: Mutex::default(), connector, unused_max, secret })
    }

    /// The connection to a node; another one where the last has ended, or was never made.
    fn connection(&self, addr: &Arc<str>) -> Connecting {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        // Nodes come and go, each at an address of its own.
        connections.retain(|_, (known, used)| match known.peek() {
            None => true,
            Some(Ok(connection)) => !connection.is_over() && now.saturating_duration_since(*used) < self.unused_max,
            Some(Err(_)) => false,
        });
        if let Some((known, used)) = connections.get_mut(addr)
            && known.peek().is_none_or(|known| known.clone().is_ok_and(|mut kept| kept.is_open()))
        {
            *used = now;
            return known.clone();
        }
        let connecting = connect(self.connector.clone(), Arc::clone(addr)).boxed().shared();
        // To its end, also when all who wait for it give up.
        clock::spawn(connecting.clone());
        connections.insert(Arc::clone(addr), (connecting.clone(), now));
        connecting
    }
}

fn unreached(addr: &str, detail: &str) -> Error {
    Error::new(Kind::WrongNode, "the node that has the object cannot be reached")
        .with_detail(format!("{addr}: {detail}"))
}

async fn connect(mut connector: Connector, addr: Arc<str>) -> Result<Kept> {
    let failed = |detail: String| unreached(&addr, &detail);
    let uri: Uri = addr.parse().map_err(|error| failed(format!("{error}")))?;
    let made = async {
        poll_fn(|cx| connector.poll_ready(cx)).await.map_err(|error| failed(format!("{error:?}")))?;
        let io = connector.call(uri).await.map_err(|error| failed(format!("{error:?}")))?;
        Kept::open(io.into_inner()).await.map_err(|error| failed(format!("{error:?}")))
    };
    let late = |_| failed("no connection in time".into());
    tokio::time::timeout(CONNECT_TIMEOUT, made).await.map_err(late)?
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
        let (deadline, relay) = (asked.deadline, asked.way.relay);
        let (connecting, addr) = (self.connection(&peer.addr), Arc::clone(&peer.addr));
        let (sent, begun, addr_asked) = (Arc::clone(&asked.sent), Arc::clone(&asked.sent), Arc::clone(&addr));
        let request = request(&addr, asked, &self.secret);
        Box::pin(async move {
            let (request, body) = match request {
                Ok(request) => request,
                Err(error) => return Forwarded::Answered(Err(error)),
            };
            let answered = async {
                let connection = match connecting.await {
                    Ok(connection) => connection,
                    Err(error) => return Forwarded::Unsent(error),
                };
                match connection.ask(request, body, &sent).await {
                    Ok(answer) if relay => read_relayed(&addr, answer, edit),
                    Ok(answer) => read(&addr, answer, edit),
                    Err(Unanswered::Unsent(detail)) => Forwarded::Unsent(unreached(&addr, &detail)),
                    Err(Unanswered::Lost(detail)) => Forwarded::Lost(Error::store(format!("{addr}: {detail}"))),
                }
            };
            let late = || match edit {
                // Its time went by before there was a connection.
                true if !begun.load(Ordering::Acquire) => {
                    Forwarded::Unsent(unreached(&addr_asked, "no connection in time"))
                }
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
            .header(SECRET, &self.secret)
            .header(LIFE, &*peer.id)
            .header(REQUEST_TIMEOUT, format!("{left:.3}"))
            .body(());
        let answered = async move {
            let request = request.map_err(|error| Error::internal(error.to_string()))?;
            let gone = |(Unanswered::Unsent(detail) | Unanswered::Lost(detail))| {
                Error::new(Kind::StoreUnavailable, format!("it did not answer: {detail}"))
            };
            let asked = connecting.await?.ask(request, Bytes::new(), &AtomicBool::new(false)).await;
            let answer = asked.map_err(gone)?;
            if answer.status().is_success() {
                return Ok(answer.into_body());
            }
            Err(read_problem(answer.status(), answer.body(), false))
        };
        let late = || Err(Error::new(Kind::StoreUnavailable, "it did not answer in time"));
        Box::pin(async move { tokio::time::timeout_at(deadline, answered).await.unwrap_or_else(|_| late()) })
    }
}

/// The verb, the URI and the body of a question.
fn target(addr: &str, key: &ObjectKey, op: Op) -> (Method, String, Bytes) {
    let mut uri = format!("{}{INNER}{}", addr.trim_end_matches('/'), key.path());
    let (verb, body) = match op {
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
    (verb, uri, body)
}

fn request(addr: &str, asked: Forward, secret: &HeaderValue) -> Result<(Request<()>, Bytes)> {
    let left = asked.deadline.saturating_duration_since(clock::now());
    if left.is_zero() {
        return Err(Error::new(Kind::DeadlineExceeded, "the deadline passed before the call was sent"));
    }
    let (verb, uri, body) = target(addr, &asked.key, asked.op);
    let cannot = |error: &dyn std::fmt::Display| Error::internal(format!("the call cannot be sent on: {error}"));
    let mut request = Request::new(());
    *request.method_mut() = verb;
    *request.uri_mut() = uri.parse().map_err(|error| cannot(&error))?;
    let headers = request.headers_mut();
    headers.reserve(12);
    headers.insert(SECRET, secret.clone());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    let mut say = |name, text: String| -> Result<()> {
        headers.insert(name, once(text).map_err(|error| cannot(&error))?);
        Ok(())
    };
    say(REQUEST_TIMEOUT, format!("{}.{:06}", left.as_secs(), left.subsec_micros().max(1)))?;
    say(KNOWN, asked.way.known.to_string())?;
    if let Some(key) = asked.idempotency_key {
        say(IDEMPOTENCY_KEY, key)?;
    }
    if let Some(tags) = &asked.conditions.if_match {
        say(IF_MATCH, write_tags(tags))?;
    }
    if let Some(tags) = &asked.conditions.if_none_match {
        say(IF_NONE_MATCH, write_tags(tags))?;
    }
    if let Some(trace) = &asked.trace {
        say(TRACEPARENT, trace.to_string())?;
    }
    if !asked.way.chain.is_empty() {
        let chain: Vec<String> = asked.way.chain.iter().map(crate::model::ObjectKey::path).collect();
        say(CHAIN, chain.join(" "))?;
    }
    if let Some(version) = asked.way.resent {
        say(RESENT, version.to_string())?;
    }
    if let Some(age) = asked.freshness.max_age {
        headers.append(CACHE_CONTROL, once(format!("max-age={}", age.as_secs())).map_err(|error| cannot(&error))?);
    }
    if asked.freshness.only_if_cached {
        headers.append(CACHE_CONTROL, HeaderValue::from_static("only-if-cached"));
    }
    if let Some(life) = &asked.way.life {
        headers.insert(LIFE, HeaderValue::try_from(&**life).map_err(|error| cannot(&error))?);
    }
    if asked.way.relay {
        headers.insert(RELAY, HeaderValue::from_static("1"));
    }
    Ok((request, body))
}

/// What came of a question that the node at `addr` was to hand on.
fn read_relayed(addr: &str, answer: Response<Bytes>, edit: bool) -> Forwarded {
    let unsent = |detail: String| {
        let what =
            "the node that has the object is reached neither by this one nor by the one that was to hand the call on";
        Forwarded::Unsent(Error::new(Kind::WrongNode, what).with_detail(format!("{addr}: {detail}")))
    };
    match answer.headers().get(RELAYED).and_then(|came| came.to_str().ok()) {
        Some("unsent") => unsent(String::from_utf8_lossy(answer.body()).into_owned()),
        Some("lost") => Forwarded::Lost(Error::store(format!("{addr} handed the call on, and had no answer"))),
        Some(_) => read(addr, answer, edit),
        // An answer of its own, as of a release that hands nothing on.
        None => match read(addr, answer, edit) {
            Forwarded::Elsewhere(..) => unsent("it hands nothing on".to_owned()),
            Forwarded::Answered(Err(error))
                if error.outcome() == Outcome::NotExecuted && error.kind() != Kind::Internal =>
            {
                unsent(format!("{error:?}"))
            }
            forwarded => forwarded,
        },
    }
}

fn read(addr: &str, answer: Response<Bytes>, edit: bool) -> Forwarded {
    let (Parts { status, headers, .. }, body) = answer.into_parts();
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
