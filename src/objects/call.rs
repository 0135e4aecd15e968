//! A call as a plain value: what is asked of which object. Who runs it decides how.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::args::ArgsText;
use super::failure::{CallError, NoError, RemoteError};
use super::request::{Conditions, Tags};
use crate::error::{Error, Result};
use crate::model::{ObjectUri, Version};

/// A call of a method that replies `T` or fails with `E`; `K` says whether it is a [`View`] or an [`Edit`].
#[must_use = "a call does nothing until it is run: `cx.call(…)`, `host.call(…)` or `client.call(…)`"]
pub struct Call<T, E = NoError, K = Edit> {
    request: CallRequest,
    types: Types<T, E, K>,
}

/// A call is sent between threads whatever its types are.
type Types<T, E, K> = PhantomData<fn() -> (T, E, K)>;

/// The kind of a `&self` method.
#[derive(Clone, Copy, Debug)]
pub enum View {}

/// The kind of a `&mut self` method.
#[derive(Clone, Copy, Debug)]
pub enum Edit {}

/// [`View`] or [`Edit`].
pub trait CallKind: private::Sealed + 'static {
    /// Whether it is [`View`].
    const VIEW: bool;
}

impl CallKind for View {
    const VIEW: bool = true;
}

impl CallKind for Edit {
    const VIEW: bool = false;
}

/// What a view may call.
#[diagnostic::on_unimplemented(
    message = "a view can call views only, and this is a call of an edit",
    label = "this method takes `&mut self`",
    note = "make the calling method an edit: `&mut self` and `cx: &Context`"
)]
pub trait FromView: CallKind {}

impl FromView for View {}

mod private {
    pub trait Sealed {}
    impl Sealed for super::View {}
    impl Sealed for super::Edit {}
}

/// A call without its types.
#[derive(Clone, Debug)]
pub struct CallRequest {
    /// Which object.
    pub uri: ObjectUri,
    /// The method's name in URIs.
    pub method: &'static str,
    /// Whether it is a `&self` method.
    pub view: bool,
    /// The arguments as a JSON object, or why they could not be written.
    pub args: Result<Bytes>,
    /// The key under which it may be sent again.
    pub idempotency_key: Option<String>,
    /// What must hold of the object in its turn.
    pub conditions: Conditions,
    /// How long it may take; the caller's own deadline bounds it too.
    pub timeout: Option<Duration>,
}

/// What came back of a call without its types.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Returned {
    /// The reply as JSON; empty for `()`.
    pub body: Bytes,
    /// The version of the state it is of, where the answer has one: its `ETag`.
    pub tag: Option<Version>,
}

impl<T, E, K: CallKind> Call<T, E, K> {
    /// For generated code.
    #[doc(hidden)]
    pub fn new(uri: &ObjectUri, method: &'static str, args: ArgsText) -> Self {
        let request = CallRequest {
            uri: uri.clone(),
            method,
            view: K::VIEW,
            args: args.finish(),
            idempotency_key: None,
            conditions: Conditions::default(),
            timeout: None,
        };
        Self { request, types: PhantomData }
    }

    /// Gives the call a key (1..=255 visible ASCII characters): sent again under it, it takes effect once.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.request.idempotency_key = Some(key.into());
        self
    }

    /// Bounds the call from its start to its answer.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout = Some(timeout);
        self
    }

    /// What is asked, for a runner of one's own.
    pub fn into_request(self) -> CallRequest {
        self.request
    }
}

impl<T, E> Call<T, E, Edit> {
    /// Runs only if the object is still at this version, which `call_tagged` tells; else it fails with
    /// `precondition-failed`. A type with `require_match` demands this or [`Call::if_absent`].
    pub fn if_match(mut self, version: Version) -> Self {
        self.request.conditions.if_match = Some(Tags::These(vec![version]));
        self
    }

    /// Runs only if the object is not there; else it fails with `precondition-failed`.
    pub fn if_absent(mut self) -> Self {
        self.request.conditions.if_none_match = Some(Tags::Any);
        self
    }
}

impl<T, E, K> fmt::Debug for Call<T, E, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({}/{})", self.request.uri, self.request.method)
    }
}

/// Reads the reply of a call with the caller's types, and its tag.
///
/// # Errors
/// The method's own error as its enum, or what went wrong on the way.
pub fn read_reply<T: DeserializeOwned, E: RemoteError>(
    returned: Result<Returned>,
) -> Result<(T, Option<Version>), CallError<E>> {
    let Returned { body, tag } = returned.map_err(CallError::from_error)?;
    let text: &[u8] = if body.is_empty() { b"null" } else { &body };
    let reply = super::json::decode(text).map_err(|error| {
        CallError::Failed(Error::internal(format!("the reply does not fit the caller's type: {error}")))
    })?;
    Ok((reply, tag))
}
