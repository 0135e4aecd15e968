//! The names that both ends of the wire use: headers of ours, media types, the URIs of problems.

use http::header::InvalidHeaderValue;
use http::{HeaderName, HeaderValue};

/// The key under which an unsafe request may be sent again.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// How many seconds a call may take.
pub(crate) const REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("request-timeout");
/// The trace a call belongs to (W3C Trace Context).
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// On every answer that is not 2xx or 3xx: whether the call took effect.
#[cfg(feature = "http")]
pub(crate) const OUTCOME: HeaderName = HeaderName::from_static("outcome");
/// The answer is the stored one of an earlier call with the same key.
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Where the state of an answer came from (RFC 9211).
#[cfg(feature = "http")]
pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// The media types PATCH takes (RFC 5789).
#[cfg(feature = "http")]
pub(crate) const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Where the node is that has the object, for those who would rather ask it themselves.
#[cfg(feature = "http")]
pub(crate) const OWNER: HeaderName = HeaderName::from_static("remote-object-owner");

/// The last segment of the path where an object is explained: no method has such a name.
pub(crate) const EXPLAIN: &str = "_explain";

/// Below this path nodes ask each other; nobody else is answered there.
pub(crate) const INNER: &str = "/_nodes";
/// Between nodes: that the sender is one of them.
pub(crate) const SECRET: HeaderName = HeaderName::from_static("remote-object-secret");
/// Between nodes: the objects whose methods wait for this call, from the root call on, as paths.
pub(crate) const CHAIN: HeaderName = HeaderName::from_static("remote-object-chain");
/// Between nodes: the incarnation that it is for.
pub(crate) const LIFE: HeaderName = HeaderName::from_static("remote-object-life");
/// Between nodes: a version from before all that the call can be; its epoch is that which the sender knows.
pub(crate) const KNOWN: HeaderName = HeaderName::from_static("remote-object-known");
/// Between nodes: the call was sent before; a version from before the first time.
pub(crate) const RESENT: HeaderName = HeaderName::from_static("remote-object-resent");
/// Between nodes: who gets it is to hand it on to the incarnation that it is for, once, and to nobody else.
pub(crate) const RELAY: HeaderName = HeaderName::from_static("remote-object-relay");
/// Between nodes, in the answer to [`RELAY`]: what came of it, `answered`, `elsewhere`, `unsent` or `lost`.
pub(crate) const RELAYED: HeaderName = HeaderName::from_static("remote-object-relayed");
/// Between nodes: the version of the object that was read.
pub(crate) const AT: HeaderName = HeaderName::from_static("remote-object-at");
/// Between nodes: where the state came from.
pub(crate) const TIER: HeaderName = HeaderName::from_static("remote-object-tier");
/// Between nodes, with 421: the incarnation that owns the shard, as far as is known, and its epoch.
pub(crate) const OWNER_LIFE: HeaderName = HeaderName::from_static("remote-object-owner-life");
/// See [`OWNER_LIFE`].
pub(crate) const EPOCH: HeaderName = HeaderName::from_static("remote-object-epoch");

/// Every header the docs must name, ours and the standard ones that have a meaning here.
#[cfg(all(test, feature = "http"))]
pub(crate) const DOCUMENTED: &[&str] = &[
    "Idempotency-Key",
    "Request-Timeout",
    "traceparent",
    "If-Match",
    "If-None-Match",
    "Cache-Control",
    "Accept",
    "Content-Type",
    "Expect",
    "Outcome",
    "Idempotency-Replayed",
    "Cache-Status",
    "Accept-Patch",
    "Allow",
    "ETag",
    "Link",
    "Location",
    "Remote-Object-Owner",
    "Retry-After",
];

/// The media type of states, arguments and replies.
pub(crate) const JSON: &str = "application/json";
/// The media type of problems (RFC 9457).
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// `type` of a problem of ours is this and its code.
#[cfg(feature = "http")]
pub(crate) const PROBLEM_TYPE: &str = "urn:remote-object:problem:";
/// `type` of a method's own error is this and its code.
pub(crate) const METHOD_ERROR_TYPE: &str = "urn:remote-object:method-error:";

/// The members every problem has; a method's error cannot have a field of such a name.
pub(crate) const PROBLEM_MEMBERS: [&str; 8] =
    ["type", "title", "status", "detail", "instance", "code", "retryable", "outcome"];

/// A header's value that will not come again. HTTP/2 is told to keep it out of the table of those that come often, which
/// it would only push others out of.
pub(super) fn once(text: String) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::try_from(text)?;
    value.set_sensitive(true);
    Ok(value)
}
