//! Faults of one node on the real stack, three Cassandra nodes and three memcached, with 32 clients that write down every
//! question and answer: whatever happens, every acknowledged add is there once, every unanswered one at most once, no value
//! is given twice, reads are linearizable, and no `ETag` stands for two states.
//!
//! Each scenario is played for some seconds here, and for as long as one likes by `cargo xtask faults`. What is judged and
//! how: `tests/history`. That a broken rule would be noticed: `tests/sim`.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]
#![allow(clippy::disallowed_methods, reason = "real servers take real time")]

#[allow(dead_code, reason = "a cluster's tests want more of it")]
mod book;
mod caches;
#[allow(dead_code, reason = "a cluster's tests want more of the load")]
mod clients;
mod clock;
mod cut;
mod freeze;
mod http;
mod kill;
mod node;
#[allow(dead_code, reason = "a cluster's tests want more of a process")]
mod objectd;
mod presence;
mod proxy;
#[path = "../cache/raw.rs"]
mod raw;
mod run;
#[path = "../cache/servers.rs"]
#[allow(dead_code, reason = "those tests want more of a server")]
mod servers;
#[allow(dead_code, reason = "a cluster's tests want more of a node")]
mod stack;
mod tally;
mod torment;
#[allow(dead_code, reason = "a cluster's clocks are off by hours too")]
mod wall;
