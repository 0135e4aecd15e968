//! What every type's description refers to: problems, headers, parameters.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::schema_ref;
use crate::api::names::{JSON, PROBLEM_JSON};
use crate::api::problem::{kind_status, title};
use crate::error::Kind;

/// References to our own schemas stand under these names until it is known whether a user's type has taken them. They
/// are no names that a type can have.
pub(super) const PROBLEM: &str = "/problem";
pub(super) const LIST: &str = "/list";

/// Kinds that never leave as an answer to a client: set-up, and what has a status of its own.
const NEVER: [Kind; 3] = [Kind::Config, Kind::Method, Kind::WrongNode];

/// Our codes, by status.
fn codes() -> BTreeMap<u16, Vec<&'static str>> {
    let mut codes: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
    for kind in Kind::ALL.iter().filter(|kind| !NEVER.contains(kind)) {
        codes.entry(kind_status(*kind).as_u16()).or_default().push(kind.code());
    }
    codes
}

/// One response for each status of ours.
pub(super) fn responses() -> Map<String, Value> {
    let response = |(status, codes): (u16, Vec<&str>)| {
        let listed: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
        let mut headers = json!({"Outcome": {"$ref": "#/components/headers/Outcome"}});
        if matches!(status, 409 | 429 | 503) {
            headers["Retry-After"] = json!({"$ref": "#/components/headers/Retry-After"});
        }
        let response = json!({
            "description": format!("{}: {}", reason(status), listed.join(", ")),
            "headers": headers,
            "content": {PROBLEM_JSON: {"schema": schema_ref(PROBLEM)}},
        });
        (format!("Problem{status}"), response)
    };
    codes().into_iter().map(response).collect()
}

/// The reference to one of [`responses`].
pub(super) fn response_ref(status: u16) -> Value {
    json!({"$ref": format!("#/components/responses/Problem{status}")})
}

/// The reason phrase of a status.
pub(super) fn reason(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Problem")
}

/// RFC 9457, and what we add.
pub(super) fn problem_schema() -> Value {
    json!({
        "type": "object",
        "title": "Problem",
        "description": "RFC 9457. A method's own error adds its fields, `call-cycle` the `cycle`.",
        "required": ["type", "title", "status", "detail", "instance", "code", "retryable", "outcome"],
        "properties": {
            "type": {"type": "string", "format": "uri", "description": "A stable name of the kind of problem"},
            "title": {"type": "string", "description": "The code in words"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "description": "What was wrong, and what would be right"},
            "instance": {"type": "string", "format": "uri-reference", "description": "The request's path"},
            "code": {"type": "string", "description": "What programs decide by"},
            "retryable": {"type": "boolean", "description": "Whether the same request may succeed later"},
            "outcome": {"enum": ["not-executed", "unknown", "executed"]},
        },
    })
}

/// One page of a list.
pub(super) fn list_schema() -> Value {
    json!({
        "type": "object",
        "title": "List",
        "description": "One page of the objects of a type",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": {
                "type": "object",
                "required": ["uri"],
                "properties": {"uri": {"type": "string", "format": "uri-reference"}},
            }},
            "next": {"type": ["string", "null"], "description": "The `cursor` of the next page; null at the end"},
        },
    })
}

/// Headers of answers.
pub(super) fn headers() -> Value {
    let header = |description: &str, schema: Value| json!({"description": description, "schema": schema});
    let text = json!({"type": "string"});
    json!({
        "ETag": header("The version of the object's state, strong", json!({"type": "string", "examples": ["\"1-7\""]})),
        "Cache-Status": header("Where the state came from (RFC 9211)", text.clone()),
        "Location": header("The URI of the new object", json!({"type": "string", "format": "uri-reference"})),
        "Link": header("The next page, and this description (RFC 8288)", text),
        "Idempotency-Replayed": header("The stored answer of an earlier request with the key", json!({"const": "true"})),
        "Outcome": header("Whether the call took effect", json!({"enum": ["not-executed", "unknown", "executed"]})),
        "Retry-After": header("Seconds to wait", json!({"type": "integer", "minimum": 1})),
    })
}

/// `*`, or a list of entity tags.
const TAGS: &str = r#"^(\*|(W/)?"[^"]*"( *, *(W/)?"[^"]*")*)$"#;

/// Headers of requests.
pub(super) fn parameters() -> Value {
    let header = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "header", "required": false, "description": description, "schema": schema});
    let text = json!({"type": "string"});
    let key = json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"});
    let tags = json!({"type": "string", "pattern": TAGS});
    let timeout = json!({"type": "number", "exclusiveMinimum": 0, "maximum": 300});
    json!({
        "Idempotency-Key": header("Idempotency-Key", "Sent again under it, the request takes effect once", key),
        "If-Match": header("If-Match", "Only if the object is at one of these entity tags", tags.clone()),
        "If-None-Match": header("If-None-Match", "Only if the object is at none of these entity tags", tags),
        "Request-Timeout": header("Request-Timeout", "Seconds from the head to the answer; 30 by default", timeout),
        "Cache-Control": header("Cache-Control", "`max-age=n` takes a copy so old, `only-if-cached` no other", text.clone()),
        "traceparent": header("traceparent", "The trace this call belongs to (W3C Trace Context)", text),
        "id": {
            "name": "id", "in": "path", "required": true,
            "description": "The object's id, 1 to 512 bytes when decoded; `/` is written `%2F`",
            "schema": {"type": "string", "minLength": 1, "maxLength": 512},
        },
    })
}

/// The reference to one of [`parameters`].
pub(super) fn parameter_ref(name: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

/// Routes without objects.
pub(super) fn add_operations(paths: &mut Map<String, Value>) {
    let mut add = |path: &str, id: &str, summary: &str, media: &str, schema: Value| {
        let ok = json!({"description": summary, "content": {media: {"schema": schema}}});
        let mut get = json!({
            "tags": ["operations"], "operationId": id, "summary": summary, "responses": {"200": ok},
        });
        if path == "/readyz" {
            get["responses"]["503"] = response_ref(503);
        }
        paths.insert(path.to_owned(), json!({"get": get}));
    };
    let status = |value: &str| json!({"type": "object", "properties": {"status": {"const": value}}});
    add("/healthz", "_healthz", "The process is alive", JSON, status("alive"));
    let mut ready = status("ready");
    ready["properties"]["store"] = json!({"type": "string", "description": "The datastore, such as `sqlite`"});
    ready["properties"]["durability"] = json!({
        "enum": ["power-safe", "process-safe", "weak"],
        "description": "What an acknowledged write survives: the loss of power, the death of a process alone, or less",
    });
    add("/readyz", "_readyz", "New calls are taken", JSON, ready);
    add("/metrics", "_metrics", "Metrics in Prometheus text", "text/plain", json!({"type": "string"}));
    add("/openapi.json", "_openapi", "This description", JSON, json!({"type": "object"}));
    add("/docs", "_docs", "A page that shows this description", "text/html", json!({"type": "string"}));
}

/// The title of a method's own problem.
pub(super) fn own_title(code: &str) -> String {
    title(code)
}
