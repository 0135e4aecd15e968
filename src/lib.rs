//! A struct becomes a durable object with a URI.

extern crate self as remote_object;

pub mod clock;
pub mod config;
pub mod error;
pub mod model;

pub mod objects;

pub use error::{Error, Result};
#[doc(hidden)]
pub use objects::support as __private;
pub use objects::{
    Call, CallError, Context, Host, NoError, Remote, RemoteError, RemoteObject, RemoteState, TypeDef, ViewContext,
};
pub use remote_object_macros::{RemoteError, remote_object, remote_value};
pub use schemars::{self, JsonSchema};
pub use serde::{self, Deserialize, Serialize};

/// What a file with objects in it imports.
pub mod prelude {
    pub use crate::error::{Error, Result};
    pub use crate::objects::{Call, CallError, Context, Remote, RemoteError, ViewContext};
    pub use remote_object_macros::{RemoteError, remote_object, remote_value};
}
