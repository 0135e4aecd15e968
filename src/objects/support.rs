//! What generated code calls. Not API: it changes with the attribute.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use super::args::{Args, ArgsText};
pub use super::call::{Call, Edit, View};
pub use super::context::{Context, ViewContext};
pub use super::failure::{CallError, NoError, ProblemDef, RemoteError};
pub use super::object::{
    Answer, EditFuture, Method, Options, Param, RemoteMethods, RemoteObject, RemoteState, Run, State, TypeDef,
};
pub use super::registry::Registration;
pub use crate::error::{Error, Kind};
pub use crate::model::ObjectUri;
pub use futures_util::future::BoxFuture;
pub use inventory;
pub use schemars::{self, JsonSchema, Schema, SchemaGenerator};
pub use serde;
pub use serde_json;

/// The state as its type, to look at.
///
/// # Panics
/// When a table of one type is used with the state of another, which the registry rules out.
#[must_use]
pub fn state<T: 'static>(state: &dyn State) -> &T {
    match (state as &dyn Any).downcast_ref() {
        Some(state) => state,
        None => unreachable!("a state goes with the table of its own type"),
    }
}

/// The state as its type, to change.
///
/// # Panics
/// As [`state`].
pub fn state_mut<T: 'static>(state: &mut dyn State) -> &mut T {
    match (state as &mut dyn Any).downcast_mut() {
        Some(state) => state,
        None => unreachable!("a state goes with the table of its own type"),
    }
}

/// The working copy as its type, to own while a future runs.
///
/// # Panics
/// As [`state`].
#[must_use]
pub fn state_box<T: 'static>(state: Box<dyn State>) -> Box<T> {
    match (state as Box<dyn Any>).downcast() {
        Ok(state) => state,
        Err(_) => unreachable!("a state goes with the table of its own type"),
    }
}

/// The published state as its type, to share.
///
/// # Panics
/// As [`state`].
#[must_use]
pub fn state_arc<T: Send + Sync + 'static>(state: Arc<dyn State>) -> Arc<T> {
    match (state as Arc<dyn Any + Send + Sync>).downcast() {
        Ok(state) => state,
        Err(_) => unreachable!("a state goes with the table of its own type"),
    }
}

/// The working copy as a state again.
#[must_use]
pub fn erase<T: State>(state: Box<T>) -> Box<dyn State> {
    state
}

/// The future of an async view.
pub fn view_future(future: impl Future<Output = Answer> + Send + 'static) -> BoxFuture<'static, Answer> {
    Box::pin(future)
}

/// The future of an async edit.
pub fn edit_future(future: impl Future<Output = (Box<dyn State>, Answer)> + Send + 'static) -> EditFuture {
    Box::pin(future)
}

/// The future of a user's method. Asked for here, so that one that is not `Send` is told where it stands.
pub fn send<F: Future + Send>(future: F) -> impl Future<Output = F::Output> + Send {
    future
}

/// The schema of a type, by reference where it has a name.
pub fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What can be an argument.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a remote method",
    label = "an argument is JSON on its way to the object",
    note = "an argument owns what it holds and implements `Serialize`, `Deserialize` and `JsonSchema`: \
            write `#[remote_value]` on a type of your own"
)]
pub trait Argument: Sized {
    /// Reads the argument at `at`.
    ///
    /// # Errors
    /// `invalid-arguments`, naming the argument.
    fn read(args: &Args, at: usize) -> Result<Self, Error>;
    /// Adds it to a call.
    fn write(&self, args: ArgsText, name: &'static str) -> ArgsText;
    /// Its schema.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + JsonSchema> Argument for T {
    fn read(args: &Args, at: usize) -> Result<Self, Error> {
        args.get(at)
    }

    fn write(&self, args: ArgsText, name: &'static str) -> ArgsText {
        args.with(name, self)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        schema_of::<T>(generator)
    }
}

/// What can be a reply.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the reply of a remote method",
    label = "a reply is JSON on its way to the caller",
    note = "a reply owns what it holds and implements `Serialize`, `Deserialize` and `JsonSchema`: \
            write `#[remote_value]` on a type of your own"
)]
pub trait Reply {
    /// As JSON.
    ///
    /// # Errors
    /// `internal` when serde cannot write it.
    fn write(&self) -> Answer;
    /// Its schema.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + JsonSchema> Reply for T {
    fn write(&self) -> Answer {
        let mut text = Vec::with_capacity(64);
        match serde_json::to_writer(&mut text, self) {
            Ok(()) => Ok(text.into()),
            Err(error) => Err(Error::internal(format!("the reply cannot be written as JSON: {error}"))),
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        schema_of::<T>(generator)
    }
}

/// The reply of a method that returns nothing.
///
/// # Errors
/// None.
pub fn reply_unit((): ()) -> Answer {
    Ok(Bytes::new())
}

/// A `Result` of a method, taken apart.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is named `Result` and is no `Result<T, E>`",
    note = "a reply of one's own that is named `Result` needs another name"
)]
pub trait Fallible {
    /// The reply.
    type Ok;
    /// The method's own error.
    type Err: RemoteError;

    /// Its error as it leaves the method.
    ///
    /// # Errors
    /// The method's own.
    fn answer(self) -> Result<Self::Ok, Error>;
}

impl<T, E: RemoteError> Fallible for Result<T, E> {
    type Ok = T;
    type Err = E;

    fn answer(self) -> Result<T, Error> {
        self.map_err(E::into_error)
    }
}

/// What can be a field of a method's own error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a remote method's error",
    label = "a field of an error is JSON on its way to the caller",
    note = "it owns what it holds and implements `Serialize`, `Deserialize` and `JsonSchema`: \
            write `#[remote_value]` on a type of your own"
)]
pub trait Member: Sized {
    /// As a member of the problem; null where serde cannot write it.
    fn write(&self) -> serde_json::Value;
    /// Reads it back, if it fits.
    fn read(error: &Error, name: &str) -> Option<Self>;
    /// Its schema.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + JsonSchema> Member for T {
    fn write(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or(serde_json::Value::Null)
    }

    fn read(error: &Error, name: &str) -> Option<Self> {
        let value = error.fields().get(name).unwrap_or(&serde_json::Value::Null);
        T::deserialize(value).ok()
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        schema_of::<T>(generator)
    }
}

/// A method's own error.
#[must_use]
pub fn method_error<const N: usize>(
    status: u16,
    code: &'static str,
    message: &'static str,
    members: [(&'static str, serde_json::Value); N],
) -> Error {
    let fields = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Error::from_method(status, code, message, fields)
}

/// Whether a method answered with this code.
#[must_use]
pub fn has_code(error: &Error, code: &str) -> bool {
    error.method().is_some_and(|method| method.code == code)
}

/// Whether a method's own error may have this code: the library has none that is spelled so.
#[must_use]
pub const fn is_free_code(code: &str) -> bool {
    let mut at = 0;
    while at < Kind::ALL.len() {
        if same(Kind::ALL[at].code().as_bytes(), code.as_bytes()) {
            return false;
        }
        at += 1;
    }
    true
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// A list.
#[must_use]
pub fn list<T, const N: usize>(items: [T; N]) -> Vec<T> {
    items.into()
}

/// Names that generated code needs where a module has no prelude.
pub mod std_names {
    pub use std::borrow::Cow;
    pub use std::option::Option;
    pub use std::result::Result;
    pub use std::vec::Vec;
}

/// The traits whose methods derived code calls, without their names.
pub mod prelude_traits {
    pub use std::borrow::ToOwned as _;
    pub use std::clone::Clone as _;
    pub use std::convert::{From as _, Into as _, TryFrom as _, TryInto as _};
    pub use std::default::Default as _;
    pub use std::iter::{Extend as _, FromIterator as _, IntoIterator as _, Iterator as _};
    pub use std::string::ToString as _;
}
