//! What a user sees: the real binary and the examples as child processes, over real sockets, with real signals.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

#[cfg(all(feature = "memcached", feature = "redis"))]
#[path = "../backends/authority.rs"]
mod authority;
#[cfg(all(feature = "memcached", feature = "redis"))]
#[path = "../cache/servers.rs"]
#[allow(clippy::disallowed_methods, reason = "real servers take real time")]
#[allow(dead_code, reason = "not all of it is used here")]
mod cache_servers;
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
#[cfg(all(feature = "memcached", feature = "redis"))]
mod operate_tls;
mod refusals;
mod samples;
mod secrets;
mod settings;
mod stop;
mod wire;
mod world;
