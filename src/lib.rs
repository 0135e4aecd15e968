//! A struct becomes a durable object with a URI.

extern crate self as remote_object;

pub mod clock;
pub mod config;
pub mod error;
pub mod model;
pub mod storage;

#[cfg(feature = "conformance")]
pub use storage::conformance;
