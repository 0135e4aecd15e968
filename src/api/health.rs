//! What operators and tools ask: alive, ready, metrics, the description and the page that shows it.

use std::sync::OnceLock;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Response};
use http_body_util::Full;
use serde_json::json;

use super::layers::{Answer, Asked};
use super::names::JSON;
use super::problem::Refusal;
use super::reply;
use super::routes::Route;
use crate::error::{Error, Kind};
use crate::model::Durability;
use crate::objects::Registry;

const VERBS: &str = "GET, HEAD, OPTIONS";
/// The page; `NONCE` is put in anew for each answer.
const PAGE: &str = include_str!("docs.html");

/// The API description, made once and, since types do not change, kept.
#[derive(Debug)]
pub(crate) struct Description(OnceLock<Bytes>, Vec<crate::objects::TypeDef>);

impl Description {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self(OnceLock::new(), registry.iter().copied().collect())
    }

    pub(crate) fn text(&self) -> Bytes {
        self.0.get_or_init(|| super::openapi::text(&self.1).into()).clone()
    }
}

/// What a service that is ready says of itself.
pub(crate) fn ready(store: &str, durability: Durability) -> Bytes {
    json!({"status": "ready", "store": store, "durability": durability.as_str()}).to_string().into()
}

/// Answers a request for a route without objects.
///
/// # Errors
/// `method-not-allowed`, and whatever keeps the service from being ready.
pub(crate) fn answer(asked: &Asked<'_>, route: &Route<'_>) -> Result<Answer, Refusal> {
    match asked.parts.method {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => return Ok(reply::options(VERBS)),
        _ => return Err(Refusal::verb(&asked.parts.method, VERBS)),
    }
    match route {
        Route::Health => Ok(text(JSON, r#"{"status":"alive"}"#)),
        Route::Ready => {
            asked.api.host.ready()?;
            if asked.api.host.is_retiring() {
                return Err(Error::new(Kind::Draining, "this node is leaving").into());
            }
            Ok(text(JSON, asked.api.ready.clone()))
        }
        Route::Metrics => Ok(metrics(asked)),
        Route::OpenApi => Ok(text(JSON, asked.api.description.text())),
        Route::Docs => Ok(page(asked)),
        _ => Err(Error::internal("a route of objects came to operations").into()),
    }
}

fn text(media: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn metrics(asked: &Asked<'_>) -> Answer {
    let accept = asked.parts.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let open_metrics = accept.contains("application/openmetrics-text");
    let media = match open_metrics {
        true => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        false => "text/plain; version=0.0.4; charset=utf-8",
    };
    let host = &asked.api.host;
    text(media, asked.api.metrics.text(&host.cache_counts(), host.cluster_counts(), open_metrics))
}

/// Scripts and styles run by nonce alone, and the page may talk to its own server alone.
fn page(asked: &Asked<'_>) -> Answer {
    let nonce = format!("{:016x}", asked.api.random.next_u64());
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let mut answer = text("text/html; charset=utf-8", PAGE.replace("NONCE", &nonce));
    if let Ok(policy) = HeaderValue::try_from(policy) {
        answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    answer
}
