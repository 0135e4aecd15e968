//! The shared cache before the store: whatever happens to it, answers stay right, come in time, and are no errors.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]
#![allow(clippy::disallowed_methods, reason = "what is real here is the servers and their time")]

#[path = "../backends/authority.rs"]
mod authority;
mod chaos;
mod faults;
mod http;
#[path = "../protocol/ordered.rs"]
mod ordered;
mod pools;
mod raw;
mod redis;
mod servers;
mod store;
mod tls;
mod trust;
mod wire;
mod world;
