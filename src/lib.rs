//! A struct becomes a durable object with a URI: its `&self` methods are views, its `&mut self` methods edits, called over
//! plain HTTP or from Rust. An object runs one edit at a time, and an answer leaves only when what it says is durable.
//!
//! ```no_run,standalone_crate
//! use remote_object::prelude::*;
//!
//! #[remote_object]
//! pub struct Visits {
//!     count: u64,
//! }
//!
//! #[remote_object]
//! impl Visits {
//!     pub fn add(&mut self) -> u64 {
//!         self.count += 1;
//!         self.count
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<()> {
//!     remote_object::serve().await
//! }
//! ```
//!
//! | to | there is |
//! |---|---|
//! | write an object | [`remote_object`](macro@remote_object) on a struct and its impl block, [`RemoteError`](derive@RemoteError) on its errors, [`remote_value`] on other types; [`prelude`] |
//! | name and call one | [`Remote`] makes a [`Call`]; [`Context::call`], [`Host::call`] or [`Client::call`] runs it; [`CallError`] says why not |
//! | serve | [`serve()`] and [`serve_with`], or a [`Service`]: its `router()`, its `run()`, its [`host`](Service::host) |
//! | test | [`TestHost`] |
//! | bring a store | [`storage::KeyValue`] in three methods, or [`storage::Datastore`]; [`conformance`] tests it |
//! | set things | [`Config`] |
//!
//! # The rooms
//!
//! From the top to the bottom; each knows the door of the next one and no other.
//!
//! ```text
//! api       HTTP and nothing else
//! objects   what objects are: types, methods, turns, records
//! locks     who may run an object now
//! cache     speed: published states in memory
//! storage   durability
//! ```
//!
//! `model`, `error`, `clock` and `config` hold the words all of them share and know nobody; `service.rs` puts the
//! rooms on top of each other, `serve.rs` puts a command line around that, `operate/` has its other commands. `docs/architecture.md` tells the whole story.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `sqlite` | yes | the embedded store |
//! | `http` | yes | the HTTP room: `Service::router`, `Service::run` |
//! | `client` | yes | [`Client`], and calls of objects in other clusters |
//! | `cli` | yes | [`serve()`]: flags, environment, settings file, log |
//! | `objectd` | yes | the server with the sample objects; a crate that only uses the library needs it not |
//! | `cassandra` | no | state in Cassandra or Scylla |
//! | `memcached` | no | a memcached cluster before the store |
//! | `redis` | no | Redis, as a store or as a cache |
//! | `tls` | no | TLS between nodes |
//! | `stack` | no | all of them in `objectd`, as it is shipped |
//! | `conformance` | no | the test suite for datastores |

extern crate self as remote_object;

// For the tests and benches of the project; not API.
#[doc(hidden)]
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
#[cfg(feature = "cli")]
mod operate;
// Public for the tests and benches of the project; what is API of it stands below.
#[doc(hidden)]
pub mod objects;
#[cfg(feature = "cli")]
mod serve;
mod service;
pub mod storage;
mod test_host;

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

/// What the benchmark of memcached's clients calls.
#[cfg(feature = "memcached")]
#[doc(hidden)]
pub use cache::lone_memcached as __memcached;

/// What the simulation puts in the place of a shared cache.
#[doc(hidden)]
pub mod __cache {
    pub use crate::cache::{Name, Servers, SharedCache};
}

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

/// The code of the pages is compiled and run with the tests.
#[cfg(all(doctest, feature = "objectd", feature = "client", feature = "conformance"))]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/datastores.md")]
    struct Datastores;
    #[doc = include_str!("../docs/guarantees.md")]
    struct Guarantees;
    #[doc = include_str!("../docs/architecture.md")]
    struct Architecture;
    #[doc = include_str!("../docs/settings.md")]
    struct Settings;
    #[doc = include_str!("../docs/http.md")]
    struct Http;
    #[doc = include_str!("../CONTRIBUTING.md")]
    struct Contributing;
}
