//! A struct becomes a durable object with a URI.

extern crate self as remote_object;

pub mod clock;
pub mod config;
pub mod error;
pub mod model;

#[cfg(any(feature = "http", feature = "client"))]
mod api;
mod cache;
mod locks;
#[cfg(feature = "cli")]
mod log;
pub mod objects;
#[cfg(feature = "cli")]
mod serve;
mod service;
pub mod storage;
mod test_host;

#[cfg(feature = "http")]
pub use api::Api;
#[cfg(feature = "client")]
pub use api::Client;
pub use config::Config;
pub use error::{Error, Result};
#[doc(hidden)]
pub use objects::support as __private;
pub use objects::{
    Call, CallError, Context, Host, NoError, Remote, RemoteError, RemoteObject, RemoteState, TypeDef, ViewContext,
};
pub use remote_object_macros::{RemoteError, remote_object, remote_value};
pub use schemars::{self, JsonSchema};
pub use serde::{self, Deserialize, Serialize};
#[cfg(feature = "cli")]
pub use serve::{serve, serve_with};
pub use service::{Service, ServiceBuilder};
#[cfg(feature = "conformance")]
pub use storage::conformance;
pub use test_host::TestHost;

/// What the fuzz targets call.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::api::fuzzing::headers;
    pub use crate::objects::fuzzing::{json, record};
}

/// What a file with objects in it imports.
pub mod prelude {
    pub use crate::error::{Error, Result};
    pub use crate::objects::{Call, CallError, Context, Remote, RemoteError, ViewContext};
    pub use remote_object_macros::{RemoteError, remote_object, remote_value};
}
