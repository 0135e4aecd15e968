//! The objects of one type: the list, and POST of a new one.

use std::fmt::Write;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response};
use http_body_util::Full;
use hyper::body::Body;
use serde_json::json;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::body;
use super::extract::{Head, query_pairs};
use super::layers::{Answer, Asked, TypeEntry};
use super::metrics::Slot;
use super::names::{CACHE_STATUS, JSON};
use super::object::{refuse_query, request};
use super::problem::{Refusal, shown};
use super::reply::{self, Shape};
use crate::clock;
use crate::config::{LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX};
use crate::error::{Error, Kind, Result};
use crate::model::ObjectKey;
use crate::objects::{Conditions, Op, Tags, check_json, is_blank};

/// The verbs of a collection.
pub(crate) const VERBS: &str = "GET, HEAD, OPTIONS, POST";

/// Answers a request for `/objects/{type}`.
///
/// # Errors
/// The problem to answer.
pub(crate) async fn answer<'a, B>(
    asked: &Asked<'a>,
    entry: &'a TypeEntry,
    body: &mut B,
    slot: &mut &'a Slot,
) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: std::fmt::Display,
{
    match asked.parts.method {
        Method::GET | Method::HEAD => *slot = &entry.slots.list,
        Method::POST => *slot = &entry.slots.create,
        Method::OPTIONS => return Ok(reply::options(VERBS)),
        _ => return Err(Refusal::verb(&asked.parts.method, VERBS)),
    }
    let head = Head::read(&asked.parts.headers)?;
    reply::check_accept(&head)?;
    if asked.parts.method == Method::POST {
        create(asked, entry, &head, body).await
    } else {
        body::refuse_body(asked, &head, body).await?;
        Ok(list(asked, entry, &head).await?)
    }
}

async fn create<B>(asked: &Asked<'_>, entry: &TypeEntry, head: &Head<'_>, body: &mut B) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: std::fmt::Display,
{
    refuse_query(asked)?;
    let bytes = body::read_json(asked, head, body, false).await?;
    let state = if is_blank(&bytes) {
        None
    } else {
        check_json(&bytes, asked.api.limits().json_depth)?;
        if !entry.def.options.replace {
            let what = format!("a new {} begins as its default: it takes no state, send no body", entry.def.name);
            return Err(Error::invalid(what).into());
        }
        Some(bytes)
    };
    let id = match head.idempotency_key {
        Some(key) => id_of_key(entry.def.name, key),
        None => new_id(asked),
    };
    let key = ObjectKey::new(entry.def.name, &id)?;
    let location = key.path();
    let mut question = request(asked, head, key, Op::Create(state), false);
    if question.conditions == Conditions::default() {
        // What a creation means anyway, and what a type that demands a condition asks for.
        question.conditions.if_none_match = Some(Tags::Any);
    }
    match asked.host_answer(question).await {
        Ok(reply) => Ok(reply::response(asked, reply, Shape { described: true, location: Some(&location) })),
        // It was created, by who sent this before: he is to find it.
        Err(error) if error.kind() == Kind::ReplyNotKept => {
            Err(Refusal { location: Some(reply::place(asked, &location)), ..error.into() })
        }
        Err(error) => Err(error.into()),
    }
}

/// A UUIDv7: the time in milliseconds, the rest random.
fn new_id(asked: &Asked<'_>) -> String {
    let random = asked.api.random.next_bytes();
    let mut rest = [0; 10];
    rest.copy_from_slice(&random[..10]);
    uuid::Builder::from_unix_timestamp_millis(clock::unix_ms(), &rest).into_uuid().to_string()
}

/// A UUIDv8 of caller, type and key, so that a retry finds the same object. There is one caller as yet, without a name.
fn id_of_key(type_name: &str, key: &str) -> String {
    let hash = xxh3_128(format!("\0{type_name}\0{key}").as_bytes());
    uuid::Builder::from_custom_bytes(hash.to_be_bytes()).into_uuid().to_string()
}

async fn list(asked: &Asked<'_>, entry: &TypeEntry, head: &Head<'_>) -> Result<Answer> {
    let type_name = entry.def.name;
    if head.freshness.only_if_cached {
        return Err(Error::new(Kind::NotCached, "lists are read from the store and never from a cache"));
    }
    let (limit, after) = page(asked.parts.uri.query(), type_name)?;
    let listing = asked.api.host.list(type_name, after.as_deref(), limit);
    let listed = match tokio::time::timeout_at(asked.deadline(head), listing).await {
        Ok(listed) => listed?,
        Err(_) => return Err(Error::new(Kind::DeadlineExceeded, "the deadline passed before the list was read")),
    };
    let items: Vec<_> = listed.keys.iter().map(|key| json!({"uri": key.path()})).collect();
    let next = listed.next.as_deref().map(|mark| write_cursor(type_name, mark));
    let mut answer = Response::new(Full::from(json!({"items": items, "next": next}).to_string()));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    headers.insert(CACHE_STATUS, asked.api.from_store.clone());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    let next = next.map(|cursor| format!("/objects/{type_name}?limit={limit}&cursor={cursor}"));
    reply::describe(headers, asked.prefix, next.as_deref());
    Ok(answer)
}

/// Reads `limit` and `cursor`.
fn page(query: Option<&str>, type_name: &str) -> Result<(usize, Option<String>)> {
    let (mut limit, mut after) = (None, None);
    for (name, value) in query_pairs(query)? {
        let again = match name.as_str() {
            "limit" => limit.replace(read_limit(&value)?).is_some(),
            "cursor" => after.replace(read_cursor(type_name, &value)?).is_some(),
            _ => {
                let what = format!("a list takes `limit` and `cursor`, not {:?}", shown(&name));
                return Err(Error::bad_request(what));
            }
        };
        if again {
            return Err(Error::bad_request(format!("the query names `{name}` twice")));
        }
    }
    Ok((limit.unwrap_or(LIST_LIMIT_DEFAULT), after))
}

fn read_limit(text: &str) -> Result<usize> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(limit) if digits && (1..=LIST_LIMIT_MAX).contains(&limit) => Ok(limit),
        _ => Err(Error::bad_request(format!("`limit` is a number of 1 to {LIST_LIMIT_MAX}"))),
    }
}

/// The store's mark in hex, behind a check sum of type and mark.
fn write_cursor(type_name: &str, mark: &str) -> String {
    let mut cursor = format!("{:016x}", mark_sum(type_name, mark));
    for byte in mark.bytes() {
        let _ = write!(cursor, "{byte:02x}");
    }
    cursor
}

fn read_cursor(type_name: &str, cursor: &str) -> Result<String> {
    let read = || {
        let (sum, hex) = cursor.split_at_checked(16)?;
        let hex = hex.as_bytes();
        if hex.len() % 2 != 0 {
            return None;
        }
        let digit = |b: u8| char::from(b).to_digit(16);
        let bytes: Option<Vec<u8>> =
            hex.chunks_exact(2).map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect();
        let mark = String::from_utf8(bytes?).ok()?;
        (u64::from_str_radix(sum, 16).ok()? == mark_sum(type_name, &mark)).then_some(mark)
    };
    read().ok_or_else(|| Error::bad_request("`cursor` is not one that a list of this type has given"))
}

fn mark_sum(type_name: &str, mark: &str) -> u64 {
    xxh3_64(format!("{type_name}\0{mark}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_for_its_own_type_only() {
        for mark in ["", "visits", "é/\u{1F600}", "a\0b"] {
            let cursor = write_cursor("counter", mark);
            assert_eq!(read_cursor("counter", &cursor).unwrap(), mark);
            assert!(read_cursor("account", &cursor).is_err());
            assert!(read_cursor("counter", &cursor[1..]).is_err());
        }
        for wrong in ["", "x", "é", "0000000000000000", "+000000000000000", &"é".repeat(8), &"0".repeat(17)] {
            assert!(read_cursor("counter", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_always_makes_the_same_id_and_another_for_each_type() {
        assert_eq!(id_of_key("counter", "k"), id_of_key("counter", "k"));
        assert_ne!(id_of_key("counter", "k"), id_of_key("account", "k"));
        let id: uuid::Uuid = id_of_key("counter", "k").parse().unwrap();
        assert_eq!(id.get_version_num(), 8);
    }

    #[test]
    fn limits_of_a_list_are_1_to_1000() {
        assert_eq!(page(None, "counter").unwrap(), (100, None));
        assert_eq!(page(Some("limit=1000"), "counter").unwrap(), (1000, None));
        for query in ["limit=0", "limit=1001", "limit=", "limit=+5", "limit=5&limit=5", "cursor=x", "page=1"] {
            assert!(page(Some(query), "counter").is_err(), "{query}");
        }
    }
}
