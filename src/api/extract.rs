//! The head of a request, read: one pass over the headers, each of ours parsed only when it is there.

use std::borrow::Cow;
use std::time::Duration;

use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderMap, HeaderName, HeaderValue,
    IF_MATCH, IF_NONE_MATCH,
};

use super::names::{IDEMPOTENCY_KEY, JSON, REQUEST_TIMEOUT, TRACEPARENT};
use super::problem::shown;
use crate::config::{IDEMPOTENCY_KEY_BYTES_MAX, REQUEST_TIMEOUT_MAX};
use crate::error::{Error, Result};
use crate::objects::{Conditions, Freshness, Tags};

/// What the headers of a request say.
#[derive(Debug, Default)]
pub(crate) struct Head<'a> {
    pub(crate) content_type: Option<&'a HeaderValue>,
    pub(crate) content_length: Option<u64>,
    /// The body is compressed, or encoded otherwise.
    pub(crate) encoded: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) idempotency_key: Option<&'a str>,
    pub(crate) conditions: Conditions,
    pub(crate) freshness: Freshness,
    pub(crate) trace: Option<&'a str>,
    accept: Accept,
}

impl<'a> Head<'a> {
    /// Reads the headers.
    ///
    /// # Errors
    /// `bad-request` for a header of ours that does not parse or stands twice.
    pub(crate) fn read(headers: &'a HeaderMap) -> Result<Self> {
        let mut head = Self::default();
        for (name, value) in headers {
            if *name == CONTENT_TYPE {
                once(name, head.content_type.replace(value).is_some())?;
            } else if *name == CONTENT_LENGTH {
                head.content_length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
            } else if *name == CONTENT_ENCODING {
                head.encoded |= !value.as_bytes().eq_ignore_ascii_case(b"identity");
            } else if *name == ACCEPT {
                head.accept.add(value);
            } else if *name == IF_MATCH {
                add_tags(&mut head.conditions.if_match, name, value, Weak::NeverMatch)?;
            } else if *name == IF_NONE_MATCH {
                add_tags(&mut head.conditions.if_none_match, name, value, Weak::MatchAsStrong)?;
            } else if *name == CACHE_CONTROL {
                read_cache_control(value, &mut head.freshness);
            } else if *name == IDEMPOTENCY_KEY {
                once(name, head.idempotency_key.replace(idempotency_key(value)?).is_some())?;
            } else if *name == REQUEST_TIMEOUT {
                once(name, head.timeout.replace(request_timeout(value)?).is_some())?;
            } else if *name == TRACEPARENT {
                head.trace = head.trace.or_else(|| traceparent(value));
            }
        }
        Ok(head)
    }

    /// Whether the client takes JSON.
    pub(crate) fn accepts_json(&self) -> bool {
        self.accept.json()
    }
}

/// Whether the client waits for `100 Continue` before it sends the body.
pub(crate) fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

fn once(name: &HeaderName, again: bool) -> Result<()> {
    match again {
        true => Err(Error::bad_request(format!("the header {name} stands twice"))),
        false => Ok(()),
    }
}

fn malformed(name: &str, value: &HeaderValue, right: &str) -> Error {
    let text = shown(&String::from_utf8_lossy(value.as_bytes()));
    Error::bad_request(format!("the header {name}: {text:?} does not parse; it would be {right}"))
}

fn idempotency_key(value: &HeaderValue) -> Result<&str> {
    let visible = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(text) if (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&text.len()) && visible(text.as_bytes()) => Ok(text),
        // The words are those of a call that is made in this process.
        _ => Err(Error::bad_request("an idempotency key is 1 to 255 visible ASCII characters")),
    }
}

fn request_timeout(value: &HeaderValue) -> Result<Duration> {
    let digits = |text: &str| !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    let seconds = value.to_str().ok().filter(|text| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        digits(whole) && digits(fraction)
    });
    let seconds = seconds.and_then(|text| text.parse::<f64>().ok()).filter(|seconds| *seconds > 0.0);
    match seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        // Less than a nanosecond is above 0 all the same.
        Some(timeout) if timeout <= REQUEST_TIMEOUT_MAX => Ok(timeout.max(Duration::from_nanos(1))),
        _ => Err(malformed("Request-Timeout", value, "seconds such as 2.5, above 0 and at most 300")),
    }
}

/// A valid `traceparent`; anything else is ignored, as its standard asks.
fn traceparent(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?;
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, len: usize| {
        part.len() == len && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let nonzero = |part: &str| part.bytes().any(|b| b != b'0');
    let well_formed = hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
    let whole = version != "00" || parts.next().is_none();
    (well_formed && whole && version != "ff" && nonzero(trace) && nonzero(span)).then_some(text)
}

/// What a weak tag in a list means (RFC 9110 §13.1).
#[derive(Clone, Copy, PartialEq)]
enum Weak {
    NeverMatch,
    MatchAsStrong,
}

fn add_tags(all: &mut Option<Tags>, name: &HeaderName, value: &HeaderValue, weak: Weak) -> Result<()> {
    let Some(tags) = parse_tags(value.as_bytes(), weak) else {
        return Err(malformed(name.as_str(), value, "\"*\" without quotes, or a list of entity tags in double quotes"));
    };
    match (all.as_mut(), tags) {
        (None, tags) => *all = Some(tags),
        (Some(Tags::These(known)), Tags::These(more)) => known.extend(more),
        _ => return Err(malformed(name.as_str(), value, "either one \"*\" or a list of entity tags")),
    }
    Ok(())
}

fn parse_tags(bytes: &[u8], weak: Weak) -> Option<Tags> {
    let mut rest = bytes.trim_ascii();
    if rest == b"*" {
        return Some(Tags::Any);
    }
    let mut tags = Vec::new();
    let mut found = false;
    loop {
        while let [b',' | b' ' | b'\t', after @ ..] = rest {
            rest = after;
        }
        if rest.is_empty() {
            return found.then_some(Tags::These(tags));
        }
        let is_weak = rest.starts_with(b"W/");
        let opened = if is_weak { &rest[2..] } else { rest }.strip_prefix(b"\"")?;
        let end = opened.iter().position(|b| *b == b'"')?;
        let (tag, after) = (&opened[..end], opened[end + 1..].trim_ascii_start());
        if !tag.iter().all(|b| matches!(b, 0x21 | 0x23..=0x7E | 0x80..)) || !(after.is_empty() || after[0] == b',') {
            return None;
        }
        found = true;
        rest = after;
        let ours = std::str::from_utf8(tag).ok().and_then(|text| text.parse().ok());
        if let Some(version) = ours.filter(|_| !is_weak || weak == Weak::MatchAsStrong) {
            tags.push(version);
        }
    }
}

/// Directives that are not understood are ignored.
fn read_cache_control(value: &HeaderValue, freshness: &mut Freshness) {
    let Ok(text) = value.to_str() else { return };
    for directive in text.split(',') {
        let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
        let name = name.trim();
        if name.eq_ignore_ascii_case("only-if-cached") {
            freshness.only_if_cached = true;
        } else if name.eq_ignore_ascii_case("max-age") {
            let digits = argument.trim().trim_matches('"');
            if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
                let age = Duration::from_secs(digits.parse().unwrap_or(u64::MAX));
                freshness.max_age = Some(freshness.max_age.map_or(age, |other| other.min(age)));
            }
        } else if name.eq_ignore_ascii_case("no-cache") {
            freshness.max_age = Some(Duration::ZERO);
        }
    }
}

/// What `Accept` says of JSON: the most specific range that fits decides.
#[derive(Debug, Default)]
struct Accept {
    said: bool,
    /// 1 for `*/*`, 2 for `application/*`, 3 for `application/json`.
    fits: u8,
    refused: bool,
}

impl Accept {
    fn add(&mut self, value: &HeaderValue) {
        for range in value.as_bytes().split(|b| *b == b',') {
            let Ok(range) = std::str::from_utf8(range) else { continue };
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            if !media.contains('/') {
                continue;
            }
            self.said = true;
            let fits = match media {
                "*/*" => 1,
                media if media.eq_ignore_ascii_case("application/*") => 2,
                media if media.eq_ignore_ascii_case(JSON) => 3,
                _ => continue,
            };
            if fits >= self.fits {
                self.fits = fits;
                self.refused = parts.any(is_zero_weight);
            }
        }
    }

    fn json(&self) -> bool {
        !self.said || (self.fits > 0 && !self.refused)
    }
}

fn is_zero_weight(parameter: &str) -> bool {
    let weight = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
    weight.and_then(|text| text.trim().parse::<f32>().ok()).is_some_and(|weight| weight <= 0.0)
}

/// Whether a media type is one of those, in UTF-8.
pub(crate) fn is_media_type(value: &HeaderValue, allowed: &[&str]) -> bool {
    let Ok(text) = value.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    allowed.iter().any(|allowed| media.eq_ignore_ascii_case(allowed))
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
                let charset = charset.trim().trim_matches('"');
                charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
            }
            _ => true,
        })
}

/// The pairs of a query.
///
/// # Errors
/// `bad-request` for a malformed percent-encoding or what is not UTF-8.
pub(crate) fn query_pairs(query: Option<&str>) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((query_text(name)?, query_text(value)?));
    }
    Ok(pairs)
}

fn query_text(raw: &str) -> Result<String> {
    let spaced: Cow<'_, str> = if raw.contains('+') { raw.replace('+', " ").into() } else { raw.into() };
    crate::model::percent_decode(&spaced)
        .map(Cow::into_owned)
        .map_err(|error| Error::bad_request(error.message().replace("path", "query")))
}

#[cfg(test)]
#[path = "extract/tests.rs"]
mod tests;
