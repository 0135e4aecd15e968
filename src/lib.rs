//! A struct becomes a durable object with a URI.

extern crate self as remote_object;

pub mod clock;
pub mod config;
pub mod error;
pub mod model;

#[cfg(any(feature = "http", feature = "client"))]
pub mod api;
pub mod objects;

pub use error::{Error, Result};
#[doc(hidden)]
pub use objects::support as __private;
pub use objects::{
    Call, CallError, Context, Host, NoError, Remote, RemoteError, RemoteObject, RemoteState, TypeDef, ViewContext,
};
pub use schemars::{self, JsonSchema};
pub use serde::{self, Deserialize, Serialize};
