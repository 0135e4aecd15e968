//! `/objects/{type}/{id}/_explain`: all there is to know of one object, for who runs the servers. Whoever may read objects here
//! may ask it; it tells nothing of the state but its size.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response};
use http_body_util::Full;
use hyper::body::Body;

use super::body;
use super::extract::Head;
use super::layers::{Answer, Asked, TypeEntry};
use super::names::{JSON, LIFE};
use super::object::refuse_query;
use super::problem::Refusal;
use super::reply;
use crate::model::ObjectKey;

const VERBS: &str = "GET, HEAD, OPTIONS";

/// Answers a request for it.
///
/// # Errors
/// The problem to answer.
pub(crate) async fn answer<B>(asked: &Asked<'_>, entry: &TypeEntry, id: &str, body: &mut B) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: std::fmt::Display,
{
    let key = ObjectKey::new(entry.def.name, id)?;
    match asked.parts.method {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => return Ok(reply::options(VERBS)),
        _ => return Err(Refusal::verb(&asked.parts.method, VERBS)),
    }
    let head = Head::read(&asked.parts.headers)?;
    reply::check_accept(&head)?;
    refuse_query(asked)?;
    body::refuse_body(asked, &head, body).await?;
    let told = asked.api.host.explain(&key, &asked.api.store, asked.deadline(&head)).await?;
    Ok(asked.with_owner(json(told), asked.shared_key(&key).as_ref()))
}

/// Answers another node, which takes this one for the owner.
///
/// # Errors
/// `wrong-node` when it is not; else as there.
pub(crate) async fn inner(asked: &Asked<'_>, head: &Head<'_>, key: &ObjectKey) -> Result<Answer, Refusal> {
    let life = asked.parts.headers.get(LIFE).and_then(|life| life.to_str().ok());
    asked.api.host.has(key, life)?;
    Ok(json(asked.api.host.explain_here(key, &asked.api.store, asked.deadline(head), None).await?))
}

fn json(told: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(told));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    answer
}
