//! What the fuzz targets call of this room: the decoders of a request's head and query.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::extract::{Head, expects_continue, is_media_type, query_pairs};

/// Lines of `name: value` as the headers of a request, and the first line as a query.
pub fn headers(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let query = lines.next().and_then(|line| std::str::from_utf8(line).ok());
    if let Ok(pairs) = query_pairs(query) {
        assert!(pairs.len() <= bytes.len(), "a pair is at least a byte");
    }
    let mut map = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            map.append(name, value);
        }
    }
    expects_continue(&map);
    if let Ok(head) = Head::read(&map) {
        head.accepts_json();
        head.content_type.map(|value| is_media_type(value, &["application/json"]));
        assert!(head.idempotency_key.is_none_or(|key| (1..=255).contains(&key.len())));
        assert!(head.timeout.is_none_or(|timeout| !timeout.is_zero()), "no time at all is refused");
    }
}
