//! The state of one object: GET, and PUT, PATCH, DELETE where the type opts in.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use hyper::body::Body;

use super::body;
use super::extract::Head;
use super::layers::{Answer, Asked, TypeEntry};
use super::metrics::Slot;
use super::problem::Refusal;
use super::reply::{self, Shape};
use crate::error::{Error, Result};
use crate::model::ObjectKey;
use crate::objects::{Conditions, Freshness, Op, Options, Request, check_json, is_blank};

/// Answers a request for `/objects/{type}/{id}`.
///
/// # Errors
/// The problem to answer.
pub(crate) async fn answer<'a, B>(
    asked: &Asked<'a>,
    entry: &'a TypeEntry,
    id: &str,
    body: &mut B,
    slot: &mut &'a Slot,
) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: std::fmt::Display,
{
    let key = ObjectKey::new(entry.def.name, id)?;
    let options = entry.def.options;
    *slot = match asked.parts.method {
        Method::GET | Method::HEAD => &entry.slots.get,
        Method::PUT if options.replace => &entry.slots.put,
        Method::PATCH if options.replace => &entry.slots.patch,
        Method::DELETE if options.delete => &entry.slots.delete,
        Method::OPTIONS => return Ok(options_answer(options)),
        _ => return Err(Refusal::verb(&asked.parts.method, allow(options))),
    };
    let head = Head::read(&asked.parts.headers)?;
    reply::check_accept(&head)?;
    refuse_query(asked)?;
    let safe = reply::is_safe(&asked.parts.method);
    let op = if safe && body.is_end_stream() { Op::Get } else { Box::pin(read_op(asked, &head, body)).await? };
    let shared = asked.shared_key(&key);
    let mut reply = asked.host_answer(request(asked, &head, key, op, safe)).await?;
    if safe {
        reply::check_read(&mut reply, &head.conditions, true)?;
    }
    let shape = Shape { described: true, location: None };
    Ok(asked.with_owner(reply::response(asked, reply, shape), shared.as_ref()))
}

async fn read_op<B>(asked: &Asked<'_>, head: &Head<'_>, body: &mut B) -> Result<Op, Refusal>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: std::fmt::Display,
{
    Ok(match asked.parts.method {
        Method::PUT => Op::Replace(state(asked, head, body, false).await?),
        Method::PATCH => Op::Patch(state(asked, head, body, true).await?),
        Method::DELETE => {
            body::refuse_body(asked, head, body).await?;
            Op::Delete
        }
        _ => {
            body::refuse_body(asked, head, body).await?;
            Op::Get
        }
    })
}

/// The question to the host. Conditions of reads are held against the answer, here; keys mean nothing to them.
pub(crate) fn request(asked: &Asked<'_>, head: &Head<'_>, key: ObjectKey, op: Op, read: bool) -> Request {
    let mut freshness = if reply::is_safe(&asked.parts.method) { head.freshness } else { Freshness::default() };
    freshness.max_age = freshness.max_age.filter(|age| *age > Duration::ZERO);
    Request {
        key,
        op,
        conditions: if read { Conditions::default() } else { head.conditions.clone() },
        idempotency_key: head.idempotency_key.filter(|_| !read).map(str::to_owned),
        deadline: asked.deadline(head),
        freshness,
        trace: head.trace.map(Arc::from),
        way: None,
    }
}

/// Refuses a query where none is taken: a misspelt route must not look like a success.
pub(crate) fn refuse_query(asked: &Asked<'_>) -> Result<()> {
    match asked.parts.uri.query() {
        None | Some("") => Ok(()),
        Some(_) => Err(Error::bad_request("this request takes no query")),
    }
}

async fn state<B>(asked: &Asked<'_>, head: &Head<'_>, body: &mut B, patch: bool) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: std::fmt::Display,
{
    let bytes = body::read_json(asked, head, body, patch).await?;
    if is_blank(&bytes) {
        let what = if patch { "the body is missing: a merge patch" } else { "the body is missing: the whole state" };
        return Err(Error::invalid(what).into());
    }
    check_json(&bytes, asked.api.limits().json_depth)?;
    Ok(bytes)
}

fn allow(options: Options) -> &'static str {
    match (options.replace, options.delete) {
        (false, false) => "GET, HEAD, OPTIONS",
        (true, false) => "GET, HEAD, OPTIONS, PATCH, PUT",
        (false, true) => "DELETE, GET, HEAD, OPTIONS",
        (true, true) => "DELETE, GET, HEAD, OPTIONS, PATCH, PUT",
    }
}

fn options_answer(options: Options) -> Answer {
    let mut answer = reply::options(allow(options));
    if options.replace {
        let types = http::HeaderValue::from_static(super::problem::PATCH_TYPES);
        answer.headers_mut().insert(super::names::ACCEPT_PATCH, types);
    }
    answer
}
