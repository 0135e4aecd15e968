//! # api: HTTP and nothing else
//!
//! Adds: routes, headers, media types, preconditions of reads, status codes, problem documents, limits on what a
//! stranger may send, the API description, metrics.
//! Never knows: how an object runs, who owns it, where it is kept. It turns a request into one question to
//! [`Host`](crate::Host) and the answer into a response.
//! Door: [`Api`] (a router for an axum app, or a server of its own), and [`Client`] for the other end.
//!
//! The contract stands in `docs/http.md`; a test compares its tables with the constants here.

mod names;

#[cfg(feature = "http")]
mod at_once;
#[cfg(feature = "http")]
mod body;
#[cfg(feature = "http")]
mod calls;
#[cfg(feature = "http")]
mod collection;
#[cfg(feature = "http")]
mod connection;
#[cfg(all(test, feature = "http"))]
mod documented;
#[cfg(feature = "http")]
mod explain;
#[cfg(feature = "http")]
mod extract;
#[cfg(all(fuzzing, feature = "http"))]
pub mod fuzzing;
#[cfg(feature = "http")]
mod health;
#[cfg(feature = "http")]
mod inner;
#[cfg(feature = "http")]
mod layers;
#[cfg(feature = "http")]
mod metrics;
#[cfg(feature = "http")]
mod object;
#[cfg(feature = "http")]
mod openapi;
#[cfg(feature = "http")]
mod problem;
#[cfg(feature = "http")]
mod reply;
#[cfg(feature = "http")]
mod routes;
#[cfg(feature = "http")]
mod server;
#[cfg(feature = "http")]
mod stream;
#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod peers;

#[cfg(feature = "client")]
pub use client::Client;
#[cfg(feature = "client")]
pub(crate) use client::Outbound;
#[cfg(feature = "http")]
pub use layers::Api;
#[cfg(feature = "client")]
pub(crate) use peers::Nodes;
