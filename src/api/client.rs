//! The other end: typed calls of objects in another process. Errors come back as they were there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

#[cfg(feature = "cli")]
use super::names::EXPLAIN;
use super::names::{IDEMPOTENCY_KEY, JSON, METHOD_ERROR_TYPE, PROBLEM_MEMBERS, REQUEST_TIMEOUT, TRACEPARENT};
use crate::clock::{self, Instant, Random};
use crate::config::{Limits, REQUEST_TIMEOUT_MAX};
use crate::error::{Error, Kind, Outcome, Result};
#[cfg(feature = "cli")]
use crate::model::ObjectKey;
use crate::model::Version;
use crate::objects::{Call, CallError, CallKind, CallRequest, Elsewhere, RemoteError, Returned, Tags, read_reply};

/// The largest reply that is read, in bytes.
pub(super) const REPLY_BYTES_MAX: usize = 64 << 20;
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How much longer than its deadline an answer is waited for: the other end says best what became of the call.
pub(super) const GRACE: Duration = Duration::from_millis(500);
/// Idle connections are closed before a server with the default settings would.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Calls objects over HTTP. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    /// What the URIs of objects are put behind, unless they have an authority of their own.
    base: Option<Arc<str>>,
    pool: Pool<HttpConnector, Full<Bytes>>,
    random: Arc<Random>,
}

impl Client {
    /// A client of the service at `url`, such as `http://127.0.0.1:8080`, or `http://shop.example/api` where the
    /// objects are mounted below a prefix. Nothing is connected to yet.
    ///
    /// # Errors
    /// `config` when `url` is no `http://` URL. TLS is not built in: an `https://` URL is refused too.
    pub fn new(url: &str) -> Result<Self> {
        let uri: Uri = url.parse().map_err(|_| not_a_url(url))?;
        if uri.scheme_str() == Some("https") {
            return Err(Error::config(format!("{url}: this client speaks http:// only; put a TLS proxy beside it")));
        }
        if uri.scheme_str() != Some("http") || uri.host().is_none_or(str::is_empty) || uri.query().is_some() {
            return Err(not_a_url(url));
        }
        let mut client = Self::outbound();
        client.base = Some(url.trim_end_matches('/').into());
        Ok(client)
    }

    /// A client that calls objects by absolute URIs only.
    pub(crate) fn outbound() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Self { base: None, pool, random: Arc::new(Random::from_os()) }
    }

    /// Runs a call and waits for its answer: for its own timeout, else 30 seconds. An edit without an idempotency key
    /// is given a random one.
    ///
    /// # Errors
    /// As in the process of the object: the method's own error as its enum, or what went wrong on the way. A service
    /// that cannot be reached is `store-unavailable`; an edit that was sent and not answered `outcome-unknown`.
    pub async fn call<T: DeserializeOwned, E: RemoteError, K: CallKind>(
        &self,
        call: Call<T, E, K>,
    ) -> Result<T, CallError<E>> {
        self.call_tagged(call).await.map(|(reply, _)| reply)
    }

    /// As [`Client::call`], with the version of the state that the reply is of (the `ETag` of the answer), for
    /// [`Call::if_match`]. Without one: a view of an object that is not there, or one that asked other objects.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_tagged<T: DeserializeOwned, E: RemoteError, K: CallKind>(
        &self,
        call: Call<T, E, K>,
    ) -> Result<(T, Option<Version>), CallError<E>> {
        let request = call.into_request();
        let default = Duration::from_millis(Limits::default().request_timeout_ms);
        let timeout = request.timeout.unwrap_or(default).min(REQUEST_TIMEOUT_MAX);
        read_reply(self.call_raw(request, clock::now() + timeout, None).await)
    }

    /// All there is to know of an object of this service, as JSON: what `explain` asks.
    ///
    /// # Errors
    /// `store-unavailable` when nobody answers; else what the service says.
    #[cfg(feature = "cli")]
    pub(crate) async fn explain(&self, key: &ObjectKey, timeout: Duration) -> Result<Bytes> {
        let base = self.base.as_deref().unwrap_or_default();
        let seconds = timeout.as_secs_f64();
        let request = Request::get(format!("{base}{}/{EXPLAIN}", key.path()))
            .header(ACCEPT, HeaderValue::from_static(JSON))
            .header(REQUEST_TIMEOUT, format!("{seconds:.3}"))
            .body(Full::default());
        let request = request.map_err(|error| Error::bad_request(format!("the question cannot be sent: {error}")))?;
        let silent = |why: String| Error::new(Kind::StoreUnavailable, format!("{base} did not answer: {why}"));
        let answered = async {
            let response = self.pool.request(request).await.map_err(|error| match error.is_connect() {
                true => Error::new(Kind::StoreUnavailable, format!("nobody can be reached at {base}"))
                    .with_detail(chain_of(&error)),
                false => silent(error.to_string()),
            })?;
            let status = response.status();
            let body = Limited::new(response.into_body(), REPLY_BYTES_MAX).collect().await;
            let body = body.map_err(|error| silent(error.to_string()))?.to_bytes();
            if status.is_success() { Ok(body) } else { Err(read_problem(status, &body, false)) }
        };
        let late = || Err(silent(format!("it had {seconds} s")));
        tokio::time::timeout(timeout + GRACE, answered).await.unwrap_or_else(|_| late())
    }

    /// Runs a call without its types.
    ///
    /// # Errors
    /// As [`Client::call`].
    async fn call_raw(&self, call: CallRequest, deadline: Instant, trace: Option<&str>) -> Result<Returned> {
        let edit = !call.view;
        let request = self.request(call, deadline, trace)?;
        let answered = async {
            let response = self.pool.request(request).await.map_err(|error| {
                let detail = format!("{error:?}");
                if error.is_connect() { unreachable_error(detail) } else { lost(edit, detail) }
            })?;
            let status = response.status();
            let tag = response.headers().get(ETAG).and_then(read_tag);
            let body = Limited::new(response.into_body(), REPLY_BYTES_MAX).collect().await;
            let body = body.map_err(|error| lost(edit, error.to_string()))?.to_bytes();
            if status.is_success() { Ok(Returned { body, tag }) } else { Err(read_problem(status, &body, edit)) }
        };
        match tokio::time::timeout_at(deadline + GRACE, answered).await {
            Ok(answered) => answered,
            Err(_) if edit => Err(lost(edit, "no answer before the deadline".into())),
            Err(_) => Err(Error::new(Kind::DeadlineExceeded, "the deadline passed before the answer came")),
        }
    }

    fn request(&self, call: CallRequest, deadline: Instant, trace: Option<&str>) -> Result<Request<Full<Bytes>>> {
        let args = call.args?;
        let base = match call.uri.origin() {
            Some(origin) if origin.starts_with("https:") => {
                let what = format!("{origin} cannot be called: calls of other clusters speak http:// only");
                return Err(Error::new(Kind::AuthorityNotAllowed, what));
            }
            Some(origin) => origin,
            None => self.base.as_deref().ok_or_else(|| Error::internal("an object of this process was called out"))?,
        };
        let uri = format!("{base}{}/{}", call.uri.key().path(), call.method);
        let left = deadline.saturating_duration_since(clock::now());
        if left.is_zero() {
            return Err(Error::new(Kind::DeadlineExceeded, "the deadline passed before the call was sent"));
        }
        let seconds = left.min(REQUEST_TIMEOUT_MAX).as_secs_f64().max(0.001);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(CONTENT_TYPE, HeaderValue::from_static(JSON))
            .header(ACCEPT, HeaderValue::from_static(JSON))
            .header(REQUEST_TIMEOUT, format!("{seconds:.3}"));
        if !call.view {
            let [high, low] = [self.random.next_u64(), self.random.next_u64()];
            request = request
                .header(IDEMPOTENCY_KEY, call.idempotency_key.unwrap_or_else(|| format!("{high:016x}{low:016x}")));
        }
        if let Some(tags) = &call.conditions.if_match {
            request = request.header(IF_MATCH, write_tags(tags));
        }
        if let Some(tags) = &call.conditions.if_none_match {
            request = request.header(IF_NONE_MATCH, write_tags(tags));
        }
        if let Some(trace) = trace {
            request = request.header(TRACEPARENT, trace);
        }
        request.body(Full::new(args)).map_err(|error| Error::bad_request(format!("the call cannot be sent: {error}")))
    }
}

/// Calls of objects in other clusters, for the methods of this one.
#[derive(Debug)]
pub(crate) struct Outbound(Client);

impl Outbound {
    /// Nothing is connected to yet.
    pub(crate) fn new() -> Self {
        Self(Client::outbound())
    }
}

impl Elsewhere for Outbound {
    fn call(
        &self,
        call: CallRequest,
        deadline: Instant,
        trace: Option<Arc<str>>,
    ) -> BoxFuture<'static, Result<Returned>> {
        let client = self.0.clone();
        Box::pin(async move { client.call_raw(call, deadline, trace.as_deref()).await })
    }
}

pub(super) fn write_tags(tags: &Tags) -> String {
    match tags {
        Tags::Any => "*".to_owned(),
        // None of them is ours: a tag that nothing has.
        Tags::These(versions) if versions.is_empty() => "\"\"".to_owned(),
        Tags::These(versions) => versions.iter().map(|version| format!("\"{version}\"")).collect::<Vec<_>>().join(", "),
    }
}

pub(super) fn read_tag(header: &HeaderValue) -> Option<Version> {
    header.to_str().ok()?.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

fn not_a_url(url: &str) -> Error {
    Error::config(format!("{url:?} is not the URL of a service: it would be http://host:port"))
}

/// What an error was caused by, from the outside in.
#[cfg(feature = "cli")]
fn chain_of(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Nothing was sent.
fn unreachable_error(detail: String) -> Error {
    Error::new(Kind::StoreUnavailable, "the service that keeps the object cannot be reached").with_detail(detail)
}

/// It was sent, and nobody knows what became of it; a view changes nothing, whatever became of it.
fn lost(edit: bool, detail: String) -> Error {
    let error = if edit {
        Error::new(Kind::OutcomeUnknown, "the call was sent and not answered: it may have taken effect")
    } else {
        Error::new(Kind::StoreUnavailable, "the service that keeps the object did not answer")
    };
    error.with_detail(detail)
}

/// The error that a problem document was made of.
pub(super) fn read_problem(status: StatusCode, body: &[u8], edit: bool) -> Error {
    let Some((mut members, code)) = problem_members(body) else {
        // Something between here and there has answered.
        let detail = format!("the answer was {status} and no problem document");
        return if status.is_server_error() { lost(edit, detail) } else { Error::internal(detail) };
    };
    let text = |members: &Map<String, Value>, name| members.get(name).and_then(Value::as_str).map(str::to_owned);
    let message = text(&members, "detail").unwrap_or_default();
    let own = text(&members, "type").is_some_and(|uri| uri.starts_with(METHOD_ERROR_TYPE));
    let outcome = text(&members, "outcome").and_then(|name| Outcome::from_name(&name));
    for name in PROBLEM_MEMBERS {
        members.remove(name);
    }
    let mut error = if own {
        Error::from_method(status.as_u16(), code, message, members)
    } else {
        let kind = Kind::from_code(&code).unwrap_or(Kind::Internal);
        members.into_iter().fold(Error::new(kind, message), |error, (name, value)| error.with_field(&name, value))
    };
    if let Some(outcome) = outcome {
        error = error.with_outcome(outcome);
    }
    error
}

fn problem_members(body: &[u8]) -> Option<(Map<String, Value>, String)> {
    let members: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let code = members.get("code")?.as_str()?.to_owned();
    Some((members, code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_is_none_is_said_to_be_none() {
        assert!(Client::new("http://127.0.0.1:8080/").is_ok());
        assert!(Client::new("http://shop.example/api").is_ok());
        for url in ["", "127.0.0.1:8080", "ftp://x", "http://", "http:///x", "http://x?y=1", "/objects"] {
            assert_eq!(Client::new(url).unwrap_err().kind(), Kind::Config, "{url}");
        }
        assert!(Client::new("https://x").unwrap_err().message().contains("http:// only"));
    }

    #[cfg(feature = "http")]
    #[test]
    fn an_error_is_the_same_after_the_wire() {
        use crate::api::problem::{document, status};
        let fields = [("balance".to_owned(), Value::from(3))].into_iter().collect();
        let errors = [
            Error::from_method(402, "insufficient", "Not enough.", fields),
            Error::from_method(404, "object-not-found", "A name that is ours too.", Map::new()),
            Error::invalid("the argument `by` is missing").with_field("argument", "by"),
            Error::new(Kind::StoreUnavailable, "gone").with_outcome(Outcome::Unknown),
            Error::new(Kind::CallCycle, "a ring").with_field("cycle", vec!["/objects/a/1", "/objects/a/1"]),
        ];
        for error in errors {
            let back = read_problem(status(&error), &document(&error, status(&error), "/objects/a/1"), true);
            assert_eq!(back.kind(), error.kind());
            assert_eq!((back.code(), back.message()), (error.code(), error.message()));
            assert_eq!((back.outcome(), back.retryable()), (error.outcome(), error.retryable()));
            assert_eq!((back.method(), back.fields()), (error.method(), error.fields()));
        }
    }

    #[test]
    fn an_answer_of_a_proxy_leaves_an_edit_unknown() {
        let gateway = StatusCode::BAD_GATEWAY;
        assert_eq!(read_problem(gateway, b"<html>", true).kind(), Kind::OutcomeUnknown);
        assert_eq!(read_problem(gateway, b"<html>", false).kind(), Kind::StoreUnavailable);
    }
}
