//! Reading a body: counted, timed, one copy at most.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Method;
use http_body_util::BodyExt;
use hyper::body::Body;

use super::extract::{Head, is_media_type};
use super::layers::Asked;
use super::names::JSON;
use super::problem::Refusal;
use crate::clock::{self, Instant};
use crate::config::Limits;
use crate::error::{Error, Kind, Result};

/// How much of a body that nobody wants is read, so that its sender comes to read the answer: a socket closed with
/// unread bytes in it is reset, and the answer lost.
const DRAIN_BYTES_MAX: usize = 64 << 20;
/// How long that may take.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// Reads a body of JSON; empty when there is none. `merge_patch`: its media type is welcome too.
///
/// # Errors
/// `unsupported-media-type`, `body-too-large`, `request-timeout`, `deadline-exceeded`, `bad-request`.
pub(crate) async fn read_json<B>(
    asked: &Asked<'_>,
    head: &Head<'_>,
    body: &mut B,
    merge_patch: bool,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: std::fmt::Display,
{
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if head.encoded {
        let what = "the body must come as it is, without a Content-Encoding";
        return Err(Error::new(Kind::UnsupportedMediaType, what).into());
    }
    let types: &[&str] = if merge_patch { &["application/merge-patch+json", JSON] } else { &[JSON] };
    if let Some(media) = head.content_type.filter(|media| !is_media_type(media, types)) {
        // It is named, since who calls may not know it: `curl -d` says another of its own accord.
        let media = String::from_utf8_lossy(media.as_bytes());
        let what = format!("the body must be {} in UTF-8; its content-type is {media:.100}", types.join(" or "));
        let mut refusal = Refusal::from(Error::new(Kind::UnsupportedMediaType, what));
        refusal.accept_patch = merge_patch;
        return Err(refusal);
    }
    Ok(read(asked, head, body).await?)
}

/// Refuses a body where none is taken.
///
/// # Errors
/// `bad-request`, and those of reading.
pub(crate) async fn refuse_body<B>(asked: &Asked<'_>, head: &Head<'_>, body: &mut B) -> Result<()>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: std::fmt::Display,
{
    if body.is_end_stream() || read(asked, head, body).await?.is_empty() {
        return Ok(());
    }
    let what = match asked.parts.method {
        Method::GET | Method::HEAD => "a GET has no body: arguments go into the query, or use POST",
        _ => "this request takes no body",
    };
    Err(Error::bad_request(what))
}

async fn read<B>(asked: &Asked<'_>, head: &Head<'_>, body: &mut B) -> Result<Bytes>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: std::fmt::Display,
{
    let limits = asked.api.limits();
    let too_large =
        || Error::new(Kind::BodyTooLarge, format!("the body is larger than the {} bytes allowed", limits.body_bytes));
    if head.content_length.is_some_and(|length| length > limits.body_bytes as u64) {
        return Err(too_large());
    }
    let collected = async {
        let Some(first) = next(body).await? else { return Ok(Bytes::new()) };
        if first.len() > limits.body_bytes {
            return Err(too_large());
        }
        if body.is_end_stream() {
            return Ok(first);
        }
        let expected = head.content_length.unwrap_or(0) as usize;
        let mut all = BytesMut::with_capacity(expected.clamp(first.len(), limits.body_bytes));
        all.extend_from_slice(&first);
        while let Some(more) = next(body).await? {
            if all.len() + more.len() > limits.body_bytes {
                return Err(too_large());
            }
            all.extend_from_slice(&more);
        }
        Ok(all.freeze())
    };
    let slow = asked.started + Duration::from_millis(limits.body_timeout_ms);
    let deadline = asked.deadline(head);
    match tokio::time::timeout_at(slow.min(deadline), collected).await {
        Ok(read) => read,
        Err(_) => Err(too_late(slow, deadline)),
    }
}

fn too_late(slow: Instant, deadline: Instant) -> Error {
    if deadline < slow {
        Error::new(Kind::DeadlineExceeded, "the deadline passed before the body had come")
    } else {
        Error::new(Kind::RequestTimeout, "the body did not come in time")
    }
}

/// The next piece of data, trailers left out.
async fn next<B>(body: &mut B) -> Result<Option<Bytes>>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: std::fmt::Display,
{
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Error::bad_request(format!("the body cannot be read: {error}")))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Reads and forgets what is left of a body, within bounds.
pub(crate) async fn drain<B>(body: &mut B, limits: &Limits)
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: std::fmt::Display,
{
    let until = clock::now() + DRAIN_TIME_MAX.min(Duration::from_millis(limits.body_timeout_ms));
    let mut left = DRAIN_BYTES_MAX;
    let all = async {
        while let Ok(Some(data)) = next(body).await {
            left = left.saturating_sub(data.len());
            if left == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout_at(until, all).await;
}
