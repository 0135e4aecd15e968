//! Successes: what an object answered, as a response.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, LINK, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;

use super::extract::Head;
use super::layers::{Answer, Asked};
use super::names::{CACHE_STATUS, IDEMPOTENCY_REPLAYED, JSON};
use crate::error::{Error, Kind, Result};
use crate::model::Version;
use crate::objects::{Conditions, Reply, Success, Tags, Tier};

/// What is particular about a success.
#[derive(Clone, Copy, Default)]
pub(crate) struct Shape<'a> {
    /// The body is a state or a list, so it says where the description is.
    pub(crate) described: bool,
    /// Where the new object is.
    pub(crate) location: Option<&'a str>,
}

/// The response to a reply.
pub(crate) fn response(asked: &Asked<'_>, reply: Reply, shape: Shape<'_>) -> Answer {
    let status = match reply.success {
        Success::Created => StatusCode::CREATED,
        Success::NotModified => StatusCode::NOT_MODIFIED,
        Success::NoContent => StatusCode::NO_CONTENT,
        Success::Ok if reply.body.is_empty() => StatusCode::NO_CONTENT,
        Success::Ok => StatusCode::OK,
    };
    let has_body = matches!(status, StatusCode::OK | StatusCode::CREATED);
    let mut answer = Response::new(Full::new(if has_body { reply.body } else { Bytes::new() }));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.reserve(6);
    if has_body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    }
    if let Some(tag) = reply.tag {
        headers.insert(ETAG, etag(tag));
    }
    if is_safe(&asked.parts.method) {
        let tier = match reply.tier {
            Tier::L1 => HeaderValue::from_static("l1; hit"),
            Tier::Shared("memcached") => HeaderValue::from_static("memcached; hit"),
            Tier::Shared("redis") => HeaderValue::from_static("redis; hit"),
            Tier::Shared(_) => HeaderValue::from_static("l2; hit"),
            Tier::Store => asked.api.from_store.clone(),
        };
        headers.insert(CACHE_STATUS, tier);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
    if shape.described && has_body {
        describe(headers, asked.prefix, None);
    }
    if reply.replayed {
        headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(location) = shape.location {
        set_text(headers, LOCATION, place(asked, location));
    }
    answer
}

/// Where clients find what stands at a path: behind the URL by which they come, where that is said, else on this host.
pub(crate) fn place(asked: &Asked<'_>, path: &str) -> String {
    let public = asked.api.host.config().public_url.as_deref().unwrap_or_default();
    format!("{}{}{path}", public.trim_end_matches('/'), asked.prefix)
}

/// Says where the description is, and the next page where there is one.
pub(crate) fn describe(headers: &mut HeaderMap, prefix: &str, next: Option<&str>) {
    const BARE: &str = "</openapi.json>; rel=\"service-desc\"";
    match next {
        None if prefix.is_empty() => {
            headers.insert(LINK, HeaderValue::from_static(BARE));
        }
        None => set_text(headers, LINK, format!("<{prefix}/openapi.json>; rel=\"service-desc\"")),
        Some(next) => {
            let both = format!("<{prefix}{next}>; rel=\"next\", <{prefix}/openapi.json>; rel=\"service-desc\"");
            set_text(headers, LINK, both);
        }
    }
}

/// Every text that comes here is percent-encoded ASCII; one that is not would be left out, not break the answer.
fn set_text(headers: &mut HeaderMap, name: http::HeaderName, text: String) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}

/// `"epoch-seq"`, a strong entity tag.
pub(crate) fn etag(version: Version) -> HeaderValue {
    let mut text = [0u8; 24];
    let mut at = text.len();
    let mut put = |byte: u8| {
        at -= 1;
        text[at] = byte;
    };
    put(b'"');
    for (number, before) in [(version.seq(), b'-'), (version.epoch(), b'"')] {
        let mut left = number;
        loop {
            put(b'0' + (left % 10) as u8);
            left /= 10;
            if left == 0 {
                break;
            }
        }
        put(before);
    }
    HeaderValue::from_bytes(&text[at..]).unwrap_or(HeaderValue::from_static("\"\""))
}

/// 204 with the verbs there are.
pub(crate) fn options(allow: &'static str) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    answer
}

/// Whether a verb promises to change nothing.
pub(crate) fn is_safe(verb: &Method) -> bool {
    matches!(*verb, Method::GET | Method::HEAD)
}

/// Refuses a client that does not take JSON.
///
/// # Errors
/// `not-acceptable`.
pub(crate) fn check_accept(head: &Head<'_>) -> Result<()> {
    match head.accepts_json() {
        true => Ok(()),
        false => Err(Error::new(Kind::NotAcceptable, "answers are application/json, which Accept leaves out")),
    }
}

/// Holds the answer of a read against its conditions (RFC 9110 §13.2.2). Those of edits are held in the turn.
///
/// # Errors
/// `precondition-failed`.
pub(crate) fn check_read(reply: &mut Reply, conditions: &Conditions, safe: bool) -> Result<()> {
    if conditions.if_match.as_ref().is_some_and(|tags| !tags.contain(reply.at)) {
        return Err(Error::new(Kind::PreconditionFailed, "the object is not at what If-Match names"));
    }
    // That the object has not moved does not mean that a view of more than it would say the same.
    let known = |tags: &Tags| tags.contain(if safe && *tags != Tags::Any { reply.tag } else { reply.at });
    if conditions.if_none_match.as_ref().is_some_and(known) {
        if !safe {
            return Err(Error::new(Kind::PreconditionFailed, "the object is at what If-None-Match names"));
        }
        reply.success = Success::NotModified;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_tag_is_the_version_in_quotes() {
        for version in [Version::new(0, 0), Version::new(1, 20), Version::new(u32::MAX, u32::MAX)] {
            assert_eq!(etag(version), format!("\"{version}\""));
        }
    }
}
