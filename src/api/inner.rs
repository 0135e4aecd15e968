//! What another node of this cluster asks: the question as it was put there, answered here or not at all.
//!
//! With the header `remote-object-relay` it is not for this node: its sender does not reach the one that it is for
//! (`remote-object-life`), so this one hands it on to that life, as it is but for that header, and once. The answer then says
//! in `remote-object-relayed` what came of it: `answered` or `elsewhere`, with the other's answer; `unsent`, so that it had
//! no effect; `lost`, so that nobody knows. A release that knows nothing of this takes it for a question to another life
//! than its own, and answers 421.

use bytes::Bytes;
use http::header::ETAG;
use http::{HeaderMap, HeaderValue, Method};
use hyper::body::Body;

use super::extract::{Head, query_pairs};
use super::layers::{Answer, Asked};
use super::names::{AT, CHAIN, EPOCH, EXPLAIN, KNOWN, LIFE, OWNER_LIFE, RELAY, RELAYED, RESENT, SECRET, TIER, once};
use super::problem::Refusal;
use super::reply::{self, Shape};
use super::routes::{self, Route};
use super::stream::Proved;
use super::{body, explain};
use crate::error::{Error, Kind, Outcome, Result};
use crate::model::{ObjectKey, ObjectUri, Version};
use crate::objects::{Args, Forwarded, Op, Reply, Request, Tier, TypeDef, Way};

/// Whether a node of this cluster sends the request: by its certificate where there are certificates, else by the secret.
pub(crate) fn is_one_of_us(asked: &Asked<'_>) -> bool {
    if asked.api.host.config().peer_tls_cert.is_some() {
        return Proved::is_in(&asked.parts.extensions);
    }
    let secret = asked.api.host.secret().as_bytes();
    let shown = asked.parts.headers.get(SECRET).map_or(&b""[..], HeaderValue::as_bytes);
    // In a time that does not depend on where they differ.
    let differ = shown.iter().zip(secret).fold(0, |differ, (a, b)| differ | (a ^ b));
    shown.len() == secret.len() && !secret.is_empty() && differ == 0
}

/// Answers a request for what stands behind the inner path.
///
/// # Errors
/// The problem to answer.
pub(crate) async fn answer<B>(asked: &Asked<'_>, path: &str, body: &mut B) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: std::fmt::Display,
{
    let head = Head::read(&asked.parts.headers)?;
    let route = routes::parse(path)?;
    if let Route::Method(type_name, id, method) = &route
        && method == EXPLAIN
    {
        let def = &asked.api.type_entry(type_name)?.def;
        return Box::pin(explain::inner(asked, &head, &ObjectKey::new(def.name, id)?)).await;
    }
    let relay = asked.parts.headers.contains_key(RELAY);
    let forwarded = match read_request(asked, &head, route, body).await {
        Ok(request) => Box::pin(asked.api.host.answer_peer(request)).await,
        // What this release does not know the owner may.
        Err(refusal) if relay => Forwarded::Unsent(Error::new(Kind::WrongNode, refusal.error.message().to_owned())),
        // What became of it the first time the record says, and it is not read here.
        Err(refusal) if asked.parts.headers.contains_key(RESENT) => {
            let what = "the call was sent before, and cannot be read by the node that has the object now";
            let unknown = Error::new(Kind::OutcomeUnknown, what).with_detail(refusal.error.message().to_owned());
            return Err(unknown.with_outcome(Outcome::Unknown).into());
        }
        Err(refusal) => return Err(refusal),
    };
    let came = HeaderValue::from_static(forwarded.name());
    let mut answer = match forwarded {
        Forwarded::Answered(Ok(reply)) => answered(asked, reply),
        Forwarded::Answered(Err(error)) | Forwarded::Unsent(error) => asked.refuse(&error.into()),
        Forwarded::Elsewhere(owner, epoch) => {
            let mut answer = asked.refuse(&Error::new(Kind::WrongNode, "another node has this object").into());
            if let Some(owner) = owner.and_then(|owner| HeaderValue::try_from(owner).ok()) {
                answer.headers_mut().insert(OWNER_LIFE, owner);
            }
            answer.headers_mut().insert(EPOCH, HeaderValue::from(epoch));
            answer
        }
        Forwarded::Lost(error) => {
            let what = "the call was handed on and not answered: it may have taken effect";
            let lost = Error::new(Kind::OutcomeUnknown, what).with_detail(format!("{error:?}"));
            asked.refuse(&lost.with_outcome(Outcome::Unknown).into())
        }
    };
    if relay {
        answer.headers_mut().insert(RELAYED, came);
    }
    Ok(answer)
}

fn answered(asked: &Asked<'_>, reply: Reply) -> Answer {
    let at = reply.at.and_then(|at| once(at.to_string()).ok());
    let tier = match reply.tier {
        Tier::L1 => "l1",
        Tier::Shared(name) => name,
        Tier::Store => "store",
    };
    let mut answer = reply::response(asked, reply, Shape::default());
    answer.headers_mut().insert(TIER, HeaderValue::from_static(tier));
    if let Some(at) = at {
        answer.headers_mut().insert(AT, at);
    }
    if let Some(tag) = answer.headers_mut().get_mut(ETAG) {
        tag.set_sensitive(true);
    }
    answer
}

async fn read_request<B>(asked: &Asked<'_>, head: &Head<'_>, route: Route<'_>, body: &mut B) -> Result<Request, Refusal>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: std::fmt::Display,
{
    let (type_name, id, method) = match route {
        Route::Object(type_name, id) => (type_name, id, None),
        Route::Method(type_name, id, method) => (type_name, id, Some(method)),
        _ => return Err(Error::new(Kind::RouteNotFound, "nodes ask each other for objects alone").into()),
    };
    let def = &asked.api.type_entry(&type_name)?.def;
    let key = ObjectKey::new(def.name, &id)?;
    Ok(Request {
        key,
        op: read_op(asked, head, def, method.as_deref(), body).await?,
        conditions: head.conditions.clone(),
        idempotency_key: head.idempotency_key.map(str::to_owned),
        deadline: asked.deadline(head),
        freshness: head.freshness,
        trace: head.trace.map(Into::into),
        way: Some(Box::new(read_way(&asked.parts.headers)?)),
    })
}

async fn read_op<B>(
    asked: &Asked<'_>,
    head: &Head<'_>,
    def: &TypeDef,
    method: Option<&str>,
    body: &mut B,
) -> Result<Op, Refusal>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: std::fmt::Display,
{
    let text = body::read_json(asked, head, body, false).await?;
    let Some(name) = method else {
        return Ok(match asked.parts.method {
            Method::GET => Op::Get,
            Method::PUT => Op::Replace(text),
            Method::PATCH => Op::Patch(text),
            Method::DELETE => Op::Delete,
            Method::POST => Op::Create((!text.is_empty()).then_some(text)),
            _ => return Err(Error::new(Kind::MethodNotAllowed, "no node asks with this verb").into()),
        });
    };
    let unknown =
        || Error::new(Kind::MethodNotFound, format!("{} has no method {name} on the node that has it", def.name));
    let method = def.method(name).ok_or_else(unknown)?;
    let authorities = asked.api.host.authorities();
    let args = match asked.parts.method {
        Method::GET => Args::from_query(query_pairs(asked.parts.uri.query())?, method.params, authorities)?,
        _ => Args::from_body(text, method.params, asked.api.limits().json_depth, authorities)?,
    };
    Ok(Op::Call(method, args))
}

fn read_way(headers: &HeaderMap) -> Result<Way> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let chain = text(CHAIN).unwrap_or_default().split(' ').filter(|path| !path.is_empty());
    let chain = chain.map(|path| ObjectUri::parse(path).map(|uri| uri.key().clone()));
    let version = |name| match text(name) {
        Some(text) => text.parse().map(Some).map_err(|_| Error::bad_request("a version does not parse")),
        None => Ok(None),
    };
    Ok(Way {
        chain: chain.collect::<Result<_, _>>().map_err(|_| Error::bad_request("the chain of calls does not parse"))?,
        life: text(LIFE).map(Into::into),
        known: version(KNOWN)?.unwrap_or(Version::new(0, 0)),
        resent: version(RESENT)?,
        relay: headers.contains_key(RELAY),
    })
}
