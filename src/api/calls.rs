//! Calls of methods: POST for all, GET for views whose arguments fit in a query.

use bytes::Bytes;
use http::Method as Verb;
use hyper::body::Body;

use super::extract::{Head, query_pairs};
use super::layers::{Answer, Asked, TypeEntry};
use super::metrics::Slot;
use super::names::EXPLAIN;
use super::object::{refuse_query, request};
use super::problem::{Refusal, shown};
use super::reply::{self, Shape};
use super::{body, explain};
use crate::error::{Error, Kind, Result};
use crate::model::ObjectKey;
use crate::objects::{Args, Op};

/// The verbs of a view.
pub(crate) const VIEW_VERBS: &str = "GET, HEAD, OPTIONS, POST";
/// The verbs of an edit.
pub(crate) const EDIT_VERBS: &str = "OPTIONS, POST";

/// Answers a request for `/objects/{type}/{id}/{method}`.
///
/// # Errors
/// The problem to answer.
pub(crate) async fn answer<'a, B>(
    asked: &Asked<'a>,
    entry: &'a TypeEntry,
    id: &str,
    name: &str,
    body: &mut B,
    slot: &mut &'a Slot,
) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: std::fmt::Display,
{
    let Some(at) = entry.def.methods.iter().position(|method| method.name == name) else {
        return match name {
            EXPLAIN => Box::pin(explain::answer(asked, entry, id, body)).await,
            _ => Err(no_such_method(entry, name).into()),
        };
    };
    let method = &entry.def.methods[at];
    *slot = &entry.slots.methods[at];
    let view = method.is_view();
    let key = ObjectKey::new(entry.def.name, id)?;
    let safe = match asked.parts.method {
        Verb::POST => false,
        Verb::GET | Verb::HEAD if view => true,
        Verb::OPTIONS => return Ok(reply::options(if view { VIEW_VERBS } else { EDIT_VERBS })),
        _ => return Err(Refusal::verb(&asked.parts.method, if view { VIEW_VERBS } else { EDIT_VERBS })),
    };
    let head = Head::read(&asked.parts.headers)?;
    reply::check_accept(&head)?;
    let authorities = asked.api.host.authorities();
    let args = if safe {
        let pairs = query_pairs(asked.parts.uri.query())?;
        if !body.is_end_stream() {
            Box::pin(body::refuse_body(asked, &head, body)).await?;
        }
        Args::from_query(pairs, method.params, authorities)?
    } else {
        refuse_query(asked)?;
        let empty = body.is_end_stream();
        let text = if empty { Bytes::new() } else { Box::pin(body::read_json(asked, &head, body, false)).await? };
        Args::from_body(text, method.params, asked.api.limits().json_depth, authorities)?
    };
    let shared = asked.shared_key(&key);
    let question = request(asked, &head, key, Op::Call(method, args), view);
    let mut reply = asked.host_answer(question).await?;
    if view {
        reply::check_read(&mut reply, &head.conditions, safe)?;
    }
    Ok(asked.with_owner(reply::response(asked, reply, Shape::default()), shared.as_ref()))
}

fn no_such_method(entry: &TypeEntry, name: &str) -> Error {
    let known: Vec<_> = entry.def.methods.iter().map(|method| method.name).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let what = format!("{} has no method {:?}; it has {known}", entry.def.name, shown(name));
    Error::new(Kind::MethodNotFound, what)
}
