//! The one function every request passes: limits of the head, overload, panics, metrics, problems.
//!
//! No tower layer stands on the object routes: each costs a quarter of what the whole of this costs.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST};
use http::request::Parts;
use http::{HeaderValue, Method, Response, Version};
use http_body_util::Full;
use hyper::body::Body;
use tokio::net::TcpListener;

use super::extract::{Head, expects_continue};
use super::health::Description;
use super::metrics::{Metrics, Slot, TypeSlots};
use super::names::{INNER, OWNER};
use super::problem::{self, Refusal};
use super::routes::{self, Route};
use super::{body, calls, collection, health, inner, object, server};
use crate::clock::{self, Instant, Random};
use crate::config::Limits;
use crate::error::{Error, Kind, Outcome, Result};
use crate::model::{Durability, ObjectKey};
use crate::objects::{Answered, Host, Request, TypeDef};

/// What every answer is.
pub(crate) type Answer = Response<Full<Bytes>>;

/// The objects of a host over HTTP. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) host: Host,
    pub(crate) types: Vec<TypeEntry>,
    pub(crate) metrics: Metrics,
    pub(crate) random: Random,
    pub(crate) description: Description,
    /// `Cache-Status` of a state that came from the store.
    pub(crate) from_store: HeaderValue,
    /// The store's name.
    pub(crate) store: String,
    /// What `/readyz` says while the service is ready.
    pub(crate) ready: Bytes,
}

/// A type of the registry with what is looked up for it on every request.
#[derive(Debug)]
pub(crate) struct TypeEntry {
    pub(crate) def: TypeDef,
    pub(crate) slots: TypeSlots,
}

/// One request: its head, when it came, and below which path the routes are mounted.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) api: &'a Inner,
    pub(crate) parts: &'a Parts,
    pub(crate) prefix: &'a str,
    /// It came from a socket of our own, and nobody has looked at it before.
    pub(crate) from_wire: bool,
    pub(crate) started: Instant,
}

impl Api {
    /// `store` names the datastore in `Cache-Status`, such as `sqlite`; `durability` is what acknowledged writes survive in it.
    #[must_use]
    pub fn new(host: Host, store: &str, durability: Durability) -> Self {
        let metrics = Metrics::new();
        let mut types: Vec<TypeEntry> =
            host.registry().iter().map(|def| TypeEntry { def: *def, slots: metrics.of_type(def) }).collect();
        types.sort_by_key(|entry| entry.def.name);
        let description = Description::new(host.registry());
        let from_store = HeaderValue::try_from(format!("{store}; fwd=miss"))
            .unwrap_or_else(|_| HeaderValue::from_static("store; fwd=miss"));
        let ready = health::ready(store, durability);
        Self(Arc::new(Inner {
            host,
            types,
            metrics,
            random: Random::from_os(),
            description,
            from_store,
            store: store.to_owned(),
            ready,
        }))
    }

    /// The routes, for an axum app: alone, merged, or nested below a prefix. It answers its own paths only; any
    /// other is left to the app and its fallback.
    pub fn router(&self) -> axum::Router {
        let mut router = axum::Router::new();
        for path in routes::MOUNTED {
            let api = self.clone();
            let handler = move |request: axum::extract::Request| async move {
                let original = request.extensions().get::<axum::extract::OriginalUri>();
                let whole = original.map_or("", |original| original.0.path());
                let prefix = whole.strip_suffix(request.uri().path()).unwrap_or_default().to_owned();
                api.handle(request, Some(&prefix)).await.map(axum::body::Body::new)
            };
            router = router.route(path, axum::routing::any(handler));
        }
        router
    }

    /// Serves on `listener` until `shutdown` resolves; then takes no new connections, lets running calls be answered until the
    /// moment that it says, and returns. HTTP/1.0, 1.1 and HTTP/2 with prior knowledge share the port.
    ///
    /// # Errors
    /// None at present: an `accept` that fails is tried again.
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future<Output = Instant> + Send) -> Result<()> {
        server::serve(self.clone(), listener, shutdown).await
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    pub(crate) async fn serve_one<B>(self, request: http::Request<B>) -> Result<Answer, Infallible>
    where
        B: Body<Data = Bytes> + Unpin + Send,
        B::Error: std::fmt::Display,
    {
        Ok(self.handle(request, None).await)
    }

    /// Answers one request, whatever it is. `mounted`: below which path of an app that took it from the wire.
    pub(crate) async fn handle<B>(&self, request: http::Request<B>, mounted: Option<&str>) -> Answer
    where
        B: Body<Data = Bytes> + Unpin + Send,
        B::Error: std::fmt::Display,
    {
        let started = clock::now();
        let (parts, mut body) = request.into_parts();
        let api = &*self.0;
        let asked =
            Asked { api, parts: &parts, prefix: mounted.unwrap_or_default(), from_wire: mounted.is_none(), started };
        let mut slot = &api.metrics.other;
        let answered = AssertUnwindSafe(asked.answer(&mut body, &mut slot)).catch_unwind().await;
        let mut answer = match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(refusal)) => {
                let slow = matches!(refusal.error.kind(), Kind::RequestTimeout | Kind::DeadlineExceeded);
                if !body.is_end_stream() && !slow && !expects_continue(&parts.headers) {
                    Box::pin(body::drain(&mut body, api.limits())).await;
                }
                asked.refuse(&refusal)
            }
            Err(_) => {
                let error = Error::internal("answering the request panicked");
                let safe = parts.method.is_safe();
                asked.refuse(&if safe { error } else { error.with_outcome(Outcome::Unknown) }.into())
            }
        };
        if parts.method == Method::HEAD {
            behead(&mut answer);
        }
        if api.host.is_retiring() && parts.version < Version::HTTP_2 {
            // Whoever asks again finds another node, or this one as long as it listens; none is cut off on the way.
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        slot.observe(answer.status(), started.elapsed());
        answer
    }
}

impl Inner {
    pub(crate) fn limits(&self) -> &Limits {
        &self.host.config().limits
    }

    pub(crate) fn type_entry(&self, name: &str) -> Result<&TypeEntry> {
        let found = self.types.binary_search_by(|entry| entry.def.name.cmp(name));
        found.map(|at| &self.types[at]).map_err(|_| {
            let known: Vec<_> = self.types.iter().map(|entry| entry.def.name).collect();
            let name = problem::shown(name);
            Error::new(Kind::TypeNotFound, format!("there is no type {name:?} here; there is {}", known.join(", ")))
        })
    }
}

impl<'a> Asked<'a> {
    // What is rare, or large, is boxed below here: a future is moved whole several times before it runs, and the size of
    // its largest branch is what every request would pay.
    async fn answer<B>(&self, body: &mut B, slot: &mut &'a Slot) -> Result<Answer, Refusal>
    where
        B: Body<Data = Bytes> + Unpin + Send,
        B::Error: std::fmt::Display,
    {
        if self.from_wire {
            check_host(self.parts)?;
        }
        let path = self.parts.uri.path();
        if let Some(inner) = path.strip_prefix(INNER).filter(|rest| rest.starts_with('/'))
            && inner::is_one_of_us(self)
        {
            *slot = &self.api.metrics.inner;
            return Box::pin(inner::answer(self, inner, body)).await;
        }
        // What nodes ask each other is longer than what they were asked.
        check_head(self.parts, self.api.limits())?;
        let route = routes::parse(path)?;
        if !matches!(route, Route::Collection(_) | Route::Object(..) | Route::Method(..)) {
            return health::answer(self, &route);
        }
        let _in_work = self.api.metrics.begin(self.api.limits().calls)?;
        // Once, at the head: what has begun is answered, however slowly its body comes.
        self.api.host.ready()?;
        match route {
            Route::Collection(type_name) => {
                let entry = self.api.type_entry(&type_name)?;
                Box::pin(collection::answer(self, entry, body, slot)).await
            }
            Route::Object(type_name, id) => {
                let entry = self.api.type_entry(&type_name)?;
                object::answer(self, entry, &id, body, slot).await
            }
            Route::Method(type_name, id, method) => {
                let entry = self.api.type_entry(&type_name)?;
                calls::answer(self, entry, &id, &method, body, slot).await
            }
            _ => Err(Error::internal("a route without objects came to the objects").into()),
        }
    }

    /// The problem document of a refusal; what is a fault of ours goes to the log with all its detail.
    pub(crate) fn refuse(&self, refusal: &Refusal) -> Answer {
        let error = &refusal.error;
        self.api.metrics.problem(error.kind());
        let instance = problem::instance(self.prefix, self.parts.uri.path());
        let answer = problem::response(refusal, &instance);
        if answer.status().as_u16() == 500 && error.method().is_none() {
            let trace = self.parts.headers.get(super::names::TRACEPARENT).and_then(|value| value.to_str().ok());
            tracing::error!(
                http.request.method = %self.parts.method,
                url.path = instance,
                error.code = error.code(),
                error.message = ?error,
                trace.parent = trace,
                "a request failed by our fault"
            );
        }
        answer
    }

    /// Asks the host.
    ///
    /// # Errors
    /// Whatever the object, or the way to it, answers.
    pub(crate) async fn host_answer(&self, question: Request) -> Answered {
        Box::pin(self.api.host.answer_begun(question)).await
    }

    /// The object, where other nodes may have it.
    pub(crate) fn shared_key(&self, key: &ObjectKey) -> Option<ObjectKey> {
        self.api.host.is_shared().then(|| key.clone())
    }

    /// Says where the node is that has the object, so that the client may go straight to it.
    pub(crate) fn with_owner(&self, mut answer: Answer, key: Option<&ObjectKey>) -> Answer {
        let owner = key.and_then(|key| self.api.host.owner_addr(key));
        if let Some(owner) = owner.and_then(|owner| HeaderValue::try_from(&*owner).ok()) {
            answer.headers_mut().insert(OWNER, owner);
        }
        answer
    }

    /// When the answer is worth nothing any more, counted from the head.
    pub(crate) fn deadline(&self, head: &Head<'_>) -> Instant {
        let default = Duration::from_millis(self.api.limits().request_timeout_ms);
        self.started + head.timeout.unwrap_or(default)
    }
}

/// What hyper lets through is larger than what is allowed, so that the answer is a problem document.
fn check_head(parts: &Parts, limits: &Limits) -> Result<()> {
    let too_large = |what: String| Error::new(Kind::HeadersTooLarge, what);
    if parts.headers.len() > limits.header_count {
        let count = parts.headers.len();
        return Err(too_large(format!("{count} headers are more than the {} allowed", limits.header_count)));
    }
    // As they stand in HTTP/1.1: name, colon, blank, value, CRLF.
    let bytes: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > limits.header_bytes {
        return Err(too_large(format!("{bytes} bytes of headers are more than the {} allowed", limits.header_bytes)));
    }
    let uri = parts.uri.path_and_query().map_or(0, |path| path.as_str().len());
    if uri > limits.uri_bytes {
        let what = format!("a URI of {uri} bytes is longer than the {} allowed", limits.uri_bytes);
        return Err(Error::new(Kind::UriTooLong, what));
    }
    Ok(())
}

/// RFC 9112 §3.2: a request that could mean two hosts, or says none, is refused. HTTP/2 names it otherwise.
fn check_host(parts: &Parts) -> Result<()> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if parts.version == Version::HTTP_11 => Err(Error::bad_request("the header host is missing")),
        (_, Some(_)) => Err(Error::bad_request("the header host stands twice")),
        _ => Ok(()),
    }
}

/// What is left of an answer for HEAD: everything but the body.
fn behead(answer: &mut Answer) {
    let length = answer.body().size_hint().exact().unwrap_or(0);
    if !matches!(answer.status().as_u16(), 204 | 304) {
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    *answer.body_mut() = Full::default();
}
