//! What an object is: the traits the attribute implements, and the table it fills for the rooms.
//!
//! Generated code is a table of thin shims; everything they share stands in [`support`](super::support), so that a
//! method costs a user a few hundred bytes and no compile time to speak of.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use schemars::{Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::args::Args;
use super::context::{Context, ViewContext};
use super::failure::ProblemDef;
use super::json;
use crate::config::{KEYED_BYTES_MAX, KEYED_CALLS_MAX};
use crate::error::{Error, Result};
use crate::model::ObjectUri;

/// The state of an object type. Implemented by `#[remote_object]` on the struct.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a remote object",
    label = "this type has no `#[remote_object]`",
    note = "write `#[remote_object]` on the struct and on its impl block"
)]
pub trait RemoteState: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The type's name in URIs: kebab-case of the struct's, unless `name = "…"` says otherwise.
    const TYPE: &'static str;
    /// What the type opts into.
    const OPTIONS: Options;
    /// The struct's doc comment.
    const DOC: &'static str;
    /// The typed reference: one method for each remote method, answering a [`Call`](super::Call).
    type Methods: RemoteMethods;

    /// The JSON schema of the state.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

/// A type of objects: a state with its methods. Implemented by `#[remote_object]` on the impl block.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no remote methods",
    label = "this type has no `#[remote_object]` on an impl block",
    note = "write `#[remote_object]` on its impl block too, even on an empty one"
)]
pub trait RemoteObject: RemoteState {
    /// The table of methods.
    fn methods() -> &'static [Method];
}

/// What [`Remote`](super::Remote) dereferences to: the generated struct that holds a URI.
pub trait RemoteMethods: Send + Sync + 'static {
    /// The reference to one object.
    fn at(uri: ObjectUri) -> Self;
    /// Which object it is.
    fn uri(&self) -> &ObjectUri;
}

/// What a type opts into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// PUT, PATCH, and POST of a whole state.
    pub replace: bool,
    /// DELETE.
    pub delete: bool,
    /// Unsafe requests must carry `If-Match`.
    pub require_match: bool,
    /// Keyed calls an object remembers.
    pub keyed_calls: u32,
    /// Bytes of their replies an object remembers.
    pub keyed_bytes: u32,
    /// The shared cache its objects are in; `None`: the default one.
    pub cache_pool: Option<&'static str>,
}

impl Options {
    /// What a type has that asks for nothing.
    pub const DEFAULT: Self = Self {
        replace: false,
        delete: false,
        require_match: false,
        keyed_calls: KEYED_CALLS_MAX,
        keyed_bytes: KEYED_BYTES_MAX,
        cache_pool: None,
    };
}

/// A state whose type is not known at compile time.
pub trait State: Any + Send + Sync {
    /// A working copy.
    fn copy(&self) -> Box<dyn State>;
    /// Appends the state as JSON.
    ///
    /// # Errors
    /// `internal` when serde cannot write it (a map whose keys are no strings, say), or not so that it can be read again
    /// (a float that is no number, a field that is left out and has no default).
    fn encode(&self, out: &mut Vec<u8>) -> Result<()>;
}

impl<T: RemoteState> State for T {
    fn copy(&self) -> Box<dyn State> {
        Box::new(self.clone())
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        serde_json::to_writer(&mut *out, self).map_err(|error| {
            Error::internal(format!("the state of a {} cannot be written as JSON: {error}", T::TYPE))
        })?;
        // An object whose state cannot be read again would be lost at its next load: serde writes NaN as null, which no
        // number reads, and leaves out a field with `skip_serializing_if` that has no `default`.
        if let Err(error) = json::decode::<T>(&out[start..]) {
            let what = format!("the state of a {} is written as JSON that it cannot be read from: {error}", T::TYPE);
            return Err(Error::internal(what));
        }
        Ok(())
    }
}

/// A reply as JSON; empty for `()`.
pub type Answer = Result<Bytes>;

/// What an async edit leaves: its working copy and its reply.
pub type EditFuture = BoxFuture<'static, (Box<dyn State>, Answer)>;

/// How a method is run. The shims decode arguments, call, and encode the reply; they decide nothing.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// `&self`.
    View(fn(&dyn State, &ViewContext, &Args) -> Answer),
    /// `async`, `&self`.
    AsyncView(fn(Arc<dyn State>, ViewContext, Args) -> BoxFuture<'static, Answer>),
    /// `&mut self`.
    Edit(fn(&mut dyn State, &Context, &Args) -> Answer),
    /// `async`, `&mut self`.
    AsyncEdit(fn(Box<dyn State>, Context, Args) -> EditFuture),
}

impl Run {
    /// Whether it may wait for other objects.
    #[must_use]
    pub fn is_async(&self) -> bool {
        matches!(self, Run::AsyncView(_) | Run::AsyncEdit(_))
    }
}

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its name in the arguments' JSON object.
    pub name: &'static str,
    /// Its JSON schema.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// Whether it may be left out (an `Option`).
    pub optional: bool,
}

/// A remote method.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Its name in URIs: kebab-case of the function's, unless `name = "…"` says otherwise.
    pub name: &'static str,
    /// Its doc comment.
    pub doc: &'static str,
    /// Its parameters, the context left out.
    pub params: &'static [Param],
    /// Whether it takes a context, and so may look at other objects.
    pub context: bool,
    /// The schema of its reply; `None` for `()`.
    pub reply: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// The problems of its own error enum.
    pub problems: fn(&mut SchemaGenerator) -> Vec<ProblemDef>,
    /// How to run it.
    pub run: Run,
}

impl Method {
    /// Whether it is a `&self` method.
    #[must_use]
    pub fn is_view(&self) -> bool {
        matches!(self.run, Run::View(_) | Run::AsyncView(_))
    }
}

/// All that the rooms know of a type.
#[derive(Clone, Copy)]
pub struct TypeDef {
    /// [`RemoteState::TYPE`].
    pub name: &'static str,
    /// [`RemoteState::DOC`].
    pub doc: &'static str,
    /// [`RemoteState::OPTIONS`].
    pub options: Options,
    /// [`RemoteObject::methods`].
    pub methods: &'static [Method],
    /// [`RemoteState::schema`].
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// The state of an object nobody has written.
    pub default: fn() -> Box<dyn State>,
    /// Reads a stored state, old ones with fields that are gone included.
    pub decode: fn(&[u8]) -> Result<Box<dyn State>>,
    /// Reads a state a client sent: unknown members are errors.
    pub decode_strict: fn(&[u8]) -> Result<Box<dyn State>>,
}

impl TypeDef {
    /// The table of `T`.
    #[must_use]
    pub fn of<T: RemoteObject>() -> Self {
        Self {
            name: T::TYPE,
            doc: T::DOC,
            options: T::OPTIONS,
            methods: T::methods(),
            schema: T::schema,
            default: || Box::new(T::default()),
            decode: |bytes| {
                json::decode::<T>(bytes).map(|state| Box::new(state) as _).map_err(|e| Error::invalid(e.to_string()))
            },
            decode_strict: |bytes| json::decode_strict::<T>(bytes).map(|state| Box::new(state) as _),
        }
    }

    /// A method by its name in URIs.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<&'static Method> {
        self.methods.iter().find(|method| method.name == name)
    }
}

impl std::fmt::Debug for TypeDef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TypeDef").field("name", &self.name).finish_non_exhaustive()
    }
}
