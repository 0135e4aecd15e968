//! What a user sees: the real binary and the examples as child processes, over real sockets, with real signals.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod cart;
mod crash;
mod disk;
mod examples;
mod first_lines;
mod log;
mod operate;
#[cfg(all(feature = "memcached", feature = "redis"))]
mod operate_asked;
mod operate_caches;
#[cfg(feature = "cassandra")]
mod operate_cassandra;
mod operate_nodes;
mod refusals;
mod samples;
mod secrets;
mod settings;
mod stop;
mod wire;
mod world;
