//! One error for all rooms: what went wrong, said so that a client may read it, with the rest for the log.
//!
//! A leaf: it knows no room and no status code (those are given in `api/problem.rs` and nowhere else). A new [`Kind`]
//! needs a yes to "does anybody react differently?".

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::model::ObjectKey;

/// The result of most things here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $code:literal $outcome:ident $retryable:literal,)*) => {
        /// What went wrong, by what one may do about it.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Every kind, for tables and tests.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)*];

            /// The stable code of a problem document.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Kind::$name => $code,)* }
            }

            /// Whether the call took effect, unless the error says otherwise.
            #[must_use]
            pub fn outcome(self) -> Outcome {
                match self { $(Kind::$name => Outcome::$outcome,)* }
            }

            /// Whether the same call may succeed when it is sent again.
            #[must_use]
            pub fn retryable(self) -> bool {
                match self { $(Kind::$name => $retryable,)* }
            }

            /// The kind of a code, if it is one of ours.
            #[must_use]
            pub fn from_code(code: &str) -> Option<Kind> {
                match code { $($code => Some(Kind::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// No such route.
    RouteNotFound "route-not-found" NotExecuted false,
    /// No such type in this service.
    TypeNotFound "type-not-found" NotExecuted false,
    /// The object was never written, or is deleted.
    ObjectNotFound "object-not-found" NotExecuted false,
    /// The type has no such method.
    MethodNotFound "method-not-found" NotExecuted false,
    /// The verb does not fit the route.
    MethodNotAllowed "method-not-allowed" NotExecuted false,
    /// A path, query, header or body cannot be parsed.
    BadRequest "bad-request" NotExecuted false,
    /// It was parsed, and has the wrong shape.
    InvalidArguments "invalid-arguments" NotExecuted false,
    /// A URI names a cluster that is not on the allow-list.
    AuthorityNotAllowed "authority-not-allowed" NotExecuted false,
    /// The method answered with its own error; see [`Error::method`].
    Method "method-error" NotExecuted false,
    /// `If-Match` or `If-None-Match` does not hold.
    PreconditionFailed "precondition-failed" NotExecuted false,
    /// The type demands `If-Match`.
    PreconditionRequired "precondition-required" NotExecuted false,
    /// A call with this key is running.
    IdempotencyKeyInUse "idempotency-key-in-use" NotExecuted true,
    /// The key was used for another request.
    IdempotencyKeyReused "idempotency-key-reused" NotExecuted false,
    /// The call of this key took effect; its reply was too large to keep.
    ReplyNotKept "reply-not-kept" Executed false,
    /// The chain of calls comes back to an object that waits for it.
    CallCycle "call-cycle" NotExecuted false,
    /// The chain of calls is too long.
    CallChainTooDeep "call-chain-too-deep" NotExecuted false,
    /// The object's queue is full.
    ObjectBusy "object-busy" NotExecuted true,
    /// This node has too much to do.
    Overloaded "overloaded" NotExecuted true,
    /// This node is shutting down.
    Draining "draining" NotExecuted true,
    /// The method panicked; the object is as before.
    MethodPanicked "method-panicked" NotExecuted false,
    /// A bug of ours.
    Internal "internal" NotExecuted false,
    /// The stored record contradicts itself or does not fit the type. It is never overwritten.
    RecordCorrupt "record-corrupt" NotExecuted false,
    /// Not known to be durable before the deadline: it may have happened.
    OutcomeUnknown "outcome-unknown" Unknown true,
    /// The store does not answer; the call has not happened.
    StoreUnavailable "store-unavailable" NotExecuted true,
    /// The deadline passed before the call took effect.
    DeadlineExceeded "deadline-exceeded" NotExecuted true,
    /// The client was too slow to send its request.
    RequestTimeout "request-timeout" NotExecuted true,
    /// The body is larger than the limit.
    BodyTooLarge "body-too-large" NotExecuted false,
    /// The URI is longer than the limit.
    UriTooLong "uri-too-long" NotExecuted false,
    /// The headers are larger, or more, than the limits.
    HeadersTooLarge "headers-too-large" NotExecuted false,
    /// The call would make the state larger than the limit.
    StateTooLarge "state-too-large" NotExecuted false,
    /// The body is of another media type.
    UnsupportedMediaType "unsupported-media-type" NotExecuted false,
    /// The client does not accept JSON.
    NotAcceptable "not-acceptable" NotExecuted false,
    /// `only-if-cached`, and no copy is fresh enough.
    NotCached "not-cached" NotExecuted true,
    /// Another node owns the object.
    WrongNode "wrong-node" NotExecuted true,
    /// The service was set up wrongly: it does not start.
    Config "config" NotExecuted false,
}

/// Whether a call that was answered with an error took effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It certainly had and will have no effect.
    NotExecuted,
    /// It may have had, or may still have, its effect.
    Unknown,
    /// It had its effect; only its reply is gone.
    Executed,
}

impl Outcome {
    /// As in the header `Outcome` and the problem's member `outcome`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::NotExecuted => "not-executed",
            Outcome::Unknown => "unknown",
            Outcome::Executed => "executed",
        }
    }

    /// The inverse of [`Outcome::as_str`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Outcome::NotExecuted, Outcome::Unknown, Outcome::Executed].into_iter().find(|o| o.as_str() == name)
    }
}

/// The part of an error that a user's own enum decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MethodError {
    /// The HTTP status it names, 400..=599.
    pub status: u16,
    /// The variant's name in kebab-case.
    pub code: Cow<'static, str>,
}

/// What went wrong. Cheap to move and to clone.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: Kind,
    message: Cow<'static, str>,
    detail: Option<String>,
    key: Option<ObjectKey>,
    operation: Option<&'static str>,
    outcome: Outcome,
    method: Option<MethodError>,
    fields: Map<String, Value>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with a message that clients may read.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            detail: None,
            key: None,
            operation: None,
            outcome: kind.outcome(),
            method: None,
            fields: Map::new(),
            source: None,
        }))
    }

    /// [`Kind::BadRequest`].
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::BadRequest, message)
    }

    /// [`Kind::InvalidArguments`].
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::InvalidArguments, message)
    }

    /// [`Kind::Internal`]: the text goes to the log, the client reads that it was our bug.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(Kind::Internal, "an error inside the server").with_detail(detail)
    }

    /// [`Kind::Config`]: what is wrong with the set-up and what would be right, in one line.
    pub fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Config, message)
    }

    /// [`Kind::StoreUnavailable`]: the text goes to the log.
    pub fn store(detail: impl Into<String>) -> Self {
        Self::new(Kind::StoreUnavailable, "the datastore does not answer").with_detail(detail)
    }

    /// A method's own error, as its enum decided it. `fields` become members of the problem.
    pub fn from_method(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
        fields: Map<String, Value>,
    ) -> Self {
        let mut error = Self::new(Kind::Method, message);
        error.0.method = Some(MethodError { status, code: code.into() });
        error.0.fields = fields;
        error
    }

    /// Adds what only the log may show.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds the object it is about.
    #[must_use]
    pub fn with_key(mut self, key: &ObjectKey) -> Self {
        self.0.key.get_or_insert_with(|| key.clone());
        self
    }

    /// Adds what was being done, such as `load`.
    #[must_use]
    pub fn with_operation(mut self, operation: &'static str) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    /// Says something else of the call's effect than the kind does.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    /// Adds a member of the problem document.
    #[must_use]
    pub fn with_field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Adds the error it comes from, for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The code of the problem: the method's own, else the kind's.
    #[must_use]
    pub fn code(&self) -> &str {
        self.0.method.as_ref().map_or(self.0.kind.code(), |method| &method.code)
    }

    /// The sentence for clients.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The text for the log.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The object it is about.
    #[must_use]
    pub fn key(&self) -> Option<&ObjectKey> {
        self.0.key.as_ref()
    }

    /// What was being done.
    #[must_use]
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// Whether the call took effect.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// Whether the same call may succeed when it is sent again; of a method's own error, whether its status says so (429 and
    /// 503).
    #[must_use]
    pub fn retryable(&self) -> bool {
        self.0.kind.retryable() || self.method().is_some_and(|own| matches!(own.status, 429 | 503))
    }

    /// What the method's own enum decided, if it was the method that failed.
    #[must_use]
    pub fn method(&self) -> Option<&MethodError> {
        self.0.method.as_ref()
    }

    /// Further members of the problem.
    #[must_use]
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0.fields
    }
}

/// Equal is what a client cannot tell apart: the log's part does not count.
impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        let told = |e: &Self| (e.0.kind, e.0.outcome, e.0.message.clone(), e.0.method.clone(), e.0.fields.clone());
        told(self) == told(other)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.0.message)
    }
}

/// Everything, the log's part included: for logs and for `main` functions that return it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        if let Some(operation) = self.0.operation {
            write!(f, " (in {operation})")?;
        }
        if let Some(key) = &self.0.key {
            write!(f, " [{key}]")?;
        }
        if let Some(detail) = &self.0.detail {
            write!(f, ": {detail}")?;
        }
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_read_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_code(kind.code()), Some(*kind));
        }
    }
}
