//! Problem documents (RFC 9457): the only place that gives status codes to errors.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Map, Value};

use super::names::{ACCEPT_PATCH, METHOD_ERROR_TYPE, OUTCOME, PROBLEM_JSON, PROBLEM_MEMBERS, PROBLEM_TYPE};
use crate::error::{Error, Kind};

/// The media types PATCH takes.
pub(crate) const PATCH_TYPES: &str = "application/merge-patch+json, application/json";

/// An error on its way out, with what only an HTTP answer says.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: Error,
    pub(crate) allow: Option<&'static str>,
    pub(crate) accept_patch: bool,
    /// Of an object that was created, though its answer is kept no more.
    pub(crate) location: Option<String>,
}

impl Refusal {
    /// The verb does not fit the route; `allow` lists those that do.
    pub(crate) fn verb(verb: &http::Method, allow: &'static str) -> Self {
        let message = format!("{} is not for this resource: {allow} are", shown(verb.as_str()));
        Self { allow: Some(allow), ..Self::from(Error::new(Kind::MethodNotAllowed, message)) }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, allow: None, accept_patch: false, location: None }
    }
}

/// The beginning of a text a stranger sent, to be quoted.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The status of a kind. A method's own error has its own ([`status`]).
pub(crate) fn kind_status(kind: Kind) -> StatusCode {
    match kind {
        Kind::BadRequest => StatusCode::BAD_REQUEST,
        Kind::RouteNotFound | Kind::TypeNotFound | Kind::ObjectNotFound | Kind::MethodNotFound => StatusCode::NOT_FOUND,
        Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Kind::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        Kind::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Kind::IdempotencyKeyInUse | Kind::ReplyNotKept => StatusCode::CONFLICT,
        Kind::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Kind::BodyTooLarge | Kind::StateTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::UriTooLong => StatusCode::URI_TOO_LONG,
        Kind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::WrongNode => StatusCode::MISDIRECTED_REQUEST,
        Kind::InvalidArguments | Kind::AuthorityNotAllowed | Kind::IdempotencyKeyReused | Kind::Method => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Kind::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
        Kind::ObjectBusy => StatusCode::TOO_MANY_REQUESTS,
        Kind::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Kind::MethodPanicked | Kind::Internal | Kind::RecordCorrupt | Kind::Config => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::Overloaded | Kind::Draining | Kind::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::OutcomeUnknown | Kind::DeadlineExceeded | Kind::NotCached => StatusCode::GATEWAY_TIMEOUT,
        Kind::CallCycle | Kind::CallChainTooDeep => StatusCode::LOOP_DETECTED,
    }
}

/// The status an error is answered with.
pub(crate) fn status(error: &Error) -> StatusCode {
    match error.method() {
        Some(own) => match StatusCode::from_u16(own.status) {
            Ok(status) if status.is_client_error() || status.is_server_error() => status,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        },
        None => kind_status(error.kind()),
    }
}

/// The problem as the response to a request for `instance`.
pub(crate) fn response(refusal: &Refusal, instance: &str) -> Response<Full<Bytes>> {
    let error = &refusal.error;
    let status = status(error);
    let mut response = Response::new(Full::new(document(error, status, instance)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    headers.insert(OUTCOME, HeaderValue::from_static(error.outcome().as_str()));
    // A 404 or 405 without it may be cached by heuristics (RFC 9110 §15.1).
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    let later = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    if later || error.kind() == Kind::IdempotencyKeyInUse {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if let Some(allow) = refusal.allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if let Some(location) = refusal.location.as_deref().and_then(|location| HeaderValue::from_str(location).ok()) {
        headers.insert(LOCATION, location);
    }
    if refusal.accept_patch {
        headers.insert(ACCEPT_PATCH, HeaderValue::from_static(PATCH_TYPES));
    }
    response
}

/// The path of a request as a URI: what hyper lets through beyond that is percent-encoded, the rest stays as it came.
pub(crate) fn instance(prefix: &str, path: &str) -> String {
    use std::fmt::Write;
    let mut instance = String::with_capacity(prefix.len() + path.len());
    instance.push_str(prefix);
    let bytes = path.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let hex = |ahead: usize| bytes.get(at + ahead).is_some_and(u8::is_ascii_hexdigit);
        let stays = match byte {
            b'%' => hex(1) && hex(2),
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
            byte => byte.is_ascii_graphic(),
        };
        if stays {
            instance.push(char::from(*byte));
        } else {
            let _ = write!(instance, "%{byte:02X}");
        }
    }
    instance
}

/// The document itself.
pub(crate) fn document(error: &Error, status: StatusCode, instance: &str) -> Bytes {
    let code = error.code();
    let origin = if error.method().is_some() { METHOD_ERROR_TYPE } else { PROBLEM_TYPE };
    let mut members = Map::new();
    let mut add = |name: &str, value: Value| members.insert(name.to_owned(), value);
    add("type", format!("{origin}{code}").into());
    add("title", title(code).into());
    add("status", status.as_u16().into());
    add("detail", error.message().into());
    add("instance", instance.into());
    add("code", code.into());
    add("retryable", error.retryable().into());
    add("outcome", error.outcome().as_str().into());
    for (name, value) in error.fields() {
        if !PROBLEM_MEMBERS.contains(&name.as_str()) {
            members.insert(name.clone(), value.clone());
        }
    }
    Value::Object(members).to_string().into()
}

/// A code in words: the same for every occurrence of a problem, as the RFC asks.
pub(crate) fn title(code: &str) -> String {
    let mut title = code.replace('-', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(error: &Error) -> Value {
        serde_json::from_slice(&document(error, status(error), "/objects/counter/a")).unwrap()
    }

    #[test]
    fn a_problem_says_what_who_and_whether_it_happened() {
        let problem = parsed(&Error::new(Kind::OutcomeUnknown, "it may have happened"));
        assert_eq!(problem["type"], "urn:remote-object:problem:outcome-unknown");
        assert_eq!(problem["title"], "Outcome unknown");
        assert_eq!(problem["status"], 504);
        assert_eq!(problem["detail"], "it may have happened");
        assert_eq!(problem["instance"], "/objects/counter/a");
        assert_eq!(problem["code"], "outcome-unknown");
        assert_eq!(problem["retryable"], true);
        assert_eq!(problem["outcome"], "unknown");
    }

    #[test]
    fn a_methods_error_keeps_its_status_code_and_fields_and_cannot_shadow_ours() {
        let fields = [("balance".to_owned(), 3.into()), ("status".to_owned(), "gold".into())].into_iter().collect();
        let problem = parsed(&Error::from_method(402, "insufficient", "Not enough.", fields));
        assert_eq!(problem["type"], "urn:remote-object:method-error:insufficient");
        assert_eq!((&problem["status"], &problem["balance"]), (&402.into(), &3.into()));
    }

    #[test]
    fn who_is_told_when_to_ask_again_is_told_that_he_may() {
        for (status, again) in [(402, false), (429, true), (503, true)] {
            let refusal = Refusal::from(Error::from_method(status, "closed", "Closed.", Map::new()));
            assert_eq!(parsed(&refusal.error)["retryable"], again, "{status}");
            assert_eq!(response(&refusal, "/").headers().contains_key(RETRY_AFTER), again, "{status}");
        }
    }

    #[test]
    fn a_methods_error_is_never_a_success() {
        assert_eq!(status(&Error::from_method(200, "odd", "", Map::new())).as_u16(), 422);
        assert_eq!(status(&Error::from_method(9, "odd", "", Map::new())).as_u16(), 422);
    }

    #[test]
    fn what_is_for_the_log_stays_out() {
        let problem = parsed(&Error::internal("the secret detail"));
        assert!(!problem.to_string().contains("secret"));
    }
}
