//! What generated code calls. Not API: it changes with the attribute.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

pub use super::args::{Args, ArgsText};
pub use super::call::{Call, Edit, View};
pub use super::context::{Context, ViewContext};
pub use super::failure::{NoError, ProblemDef, RemoteError};
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
pub fn state<T: RemoteState>(state: &dyn State) -> &T {
    match (state as &dyn Any).downcast_ref() {
        Some(state) => state,
        None => unreachable!("a state goes with the table of its own type"),
    }
}

/// The state as its type, to change.
///
/// # Panics
/// As [`state`].
pub fn state_mut<T: RemoteState>(state: &mut dyn State) -> &mut T {
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
pub fn state_box<T: RemoteState>(state: Box<dyn State>) -> Box<T> {
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
pub fn state_arc<T: RemoteState>(state: Arc<dyn State>) -> Arc<T> {
    match (state as Arc<dyn Any + Send + Sync>).downcast() {
        Ok(state) => state,
        Err(_) => unreachable!("a state goes with the table of its own type"),
    }
}

/// A reply.
///
/// # Errors
/// `internal` when serde cannot write it.
pub fn reply<T: Serialize>(value: &T) -> Answer {
    let mut text = Vec::with_capacity(64);
    match serde_json::to_writer(&mut text, value) {
        Ok(()) => Ok(text.into()),
        Err(error) => Err(Error::internal(format!("the reply cannot be written as JSON: {error}"))),
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

/// A member of a problem as JSON.
#[must_use]
pub fn field<T: Serialize>(value: &T) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or(serde_json::Value::Null)
}

/// A member of a problem, read back.
#[must_use]
pub fn read_field<T: serde::de::DeserializeOwned>(error: &Error, name: &str) -> Option<T> {
    let value = error.fields().get(name).cloned().unwrap_or(serde_json::Value::Null);
    serde_json::from_value(value).ok()
}

/// Names that generated code needs where a module has no prelude.
pub mod std_names {
    pub use std::borrow::Cow;
    pub use std::boxed::Box;
    pub use std::option::Option;
    pub use std::result::Result;
    pub use std::string::String;
    pub use std::vec::Vec;
}
