//! The stores: the conformance kit on each, stores that are broken on purpose, and disks that fail.
#![allow(clippy::unwrap_used, missing_docs)]

#[cfg(feature = "cassandra")]
mod authority;
mod broken;
#[cfg(feature = "cassandra")]
mod cassandra;
#[cfg(any(feature = "redis", feature = "cassandra"))]
mod confirm;
mod disk;
mod kit;
mod ordered;
#[cfg(feature = "redis")]
mod redis;
mod sqlite;
