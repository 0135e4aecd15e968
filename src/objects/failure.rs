//! A method's own errors, and what a caller gets: the same enum, whether the object lives here or elsewhere.

use std::borrow::Cow;
use std::fmt;

use schemars::{Schema, SchemaGenerator};

use crate::error::{Error, Kind};

/// An error enum of methods. Implemented by `#[derive(RemoteError)]`.
///
/// A variant's name in kebab-case is the problem's `code`, `#[status(…)]` its status (422 by default), the first
/// paragraph of its doc comment the `detail`, which clients read; its fields become members of the problem. The `title`
/// is the code in words.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a remote method",
    label = "this error does not say which status and code it is",
    note = "write `#[derive(RemoteError)]` on the enum, or answer `remote_object::Result<…>`"
)]
pub trait RemoteError: Sized + Send + Sync + 'static {
    /// As it leaves the method.
    fn into_error(self) -> Error;

    /// The inverse of [`into_error`](RemoteError::into_error).
    ///
    /// # Errors
    /// The same error, when it is none of this enum's.
    fn from_error(error: Error) -> Result<Self, Error>;

    /// The variant's code.
    fn code(&self) -> Cow<'_, str>;

    /// What the enum adds to the API description.
    fn problems(generator: &mut SchemaGenerator) -> Vec<ProblemDef>;
}

/// One problem a method can answer with.
#[derive(Clone, Debug)]
pub struct ProblemDef {
    /// The HTTP status.
    pub status: u16,
    /// The code.
    pub code: &'static str,
    /// The variant's doc comment.
    pub doc: &'static str,
    /// The members it adds.
    pub fields: Vec<(&'static str, Schema)>,
}

/// The error type of methods that have none. It has no values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoError {}

impl RemoteError for NoError {
    fn into_error(self) -> Error {
        match self {}
    }

    fn from_error(error: Error) -> Result<Self, Error> {
        Err(error)
    }

    fn code(&self) -> Cow<'_, str> {
        match *self {}
    }

    fn problems(_: &mut SchemaGenerator) -> Vec<ProblemDef> {
        Vec::new()
    }
}

/// A method may hand on whatever went wrong in the calls it made.
impl RemoteError for Error {
    fn into_error(self) -> Error {
        self
    }

    fn from_error(error: Error) -> Result<Self, Error> {
        Ok(error)
    }

    fn code(&self) -> Cow<'_, str> {
        Error::code(self).into()
    }

    fn problems(_: &mut SchemaGenerator) -> Vec<ProblemDef> {
        Vec::new()
    }
}

/// Why a call failed: the method's own error, or something on the way.
pub enum CallError<E> {
    /// The method answered with its own error.
    Method(E),
    /// The call did not come to an answer of the method.
    Failed(Error),
}

impl<E: RemoteError> CallError<E> {
    /// Sorts an error by whose it is.
    #[must_use]
    pub fn from_error(error: Error) -> Self {
        if error.kind() != Kind::Method {
            return CallError::Failed(error);
        }
        match E::from_error(error) {
            Ok(own) => CallError::Method(own),
            Err(error) => CallError::Failed(error),
        }
    }

    /// The code of the problem.
    #[must_use]
    pub fn code(&self) -> Cow<'_, str> {
        match self {
            CallError::Method(own) => own.code(),
            CallError::Failed(error) => error.code().into(),
        }
    }

    /// The method's own error, if it is that.
    #[must_use]
    pub fn method(self) -> Option<E> {
        match self {
            CallError::Method(own) => Some(own),
            CallError::Failed(_) => None,
        }
    }
}

impl<E: RemoteError> From<CallError<E>> for Error {
    fn from(error: CallError<E>) -> Self {
        match error {
            CallError::Method(own) => own.into_error(),
            CallError::Failed(error) => error,
        }
    }
}

impl<E: RemoteError> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Method(own) => f.write_str(&own.code()),
            CallError::Failed(error) => error.fmt(f),
        }
    }
}

impl<E: RemoteError> fmt::Debug for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Method(own) => write!(f, "Method({})", own.code()),
            CallError::Failed(error) => write!(f, "Failed({error:?})"),
        }
    }
}

impl<E: RemoteError> std::error::Error for CallError<E> {}
