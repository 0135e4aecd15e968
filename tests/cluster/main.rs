//! Many nodes on one store are one service: three `objectd` processes, with 32 clients that send each call to any one of them
//! and write down every question and answer. Whatever befalls the nodes, every acknowledged add is there once, every
//! unanswered one at most once, no value is given twice, reads are linearizable, and no `ETag` stands for two states.
//!
//! The load, the processes and the books are those of `tests/faults`, the judge is `tests/history`. Each scenario is played
//! for some seconds here, on Redis and on Cassandra, and for as long as one likes by `cargo xtask faults --only
//! cluster-kill` and so on. Partitions need root, since the nodes then stand in network namespaces.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]
#![allow(clippy::disallowed_methods, reason = "real servers take real time")]

#[path = "../faults/book.rs"]
#[allow(dead_code, reason = "the faults of one node want more of it")]
mod book;
mod caches;
#[path = "../faults/clients.rs"]
#[allow(dead_code, reason = "the faults of one node want more of the load")]
mod clients;
mod clocks;
mod cluster;
mod drain;
#[cfg(debug_assertions)]
mod formats;
mod freeze;
mod gaps;
#[path = "../faults/http.rs"]
mod http;
mod kill;
mod names;
mod net;
#[path = "../faults/objectd.rs"]
#[allow(dead_code, reason = "the faults of one node want more of a process")]
mod objectd;
mod own;
mod partition;
#[path = "../cache/raw.rs"]
#[allow(dead_code, reason = "those tests want more of it")]
mod raw;
#[path = "../cache/servers.rs"]
#[allow(dead_code, reason = "those tests want more of a server")]
mod servers;
mod split;
#[path = "../faults/stack.rs"]
mod stack;
mod store;
#[path = "../faults/tally.rs"]
mod tally;
#[path = "../faults/torment.rs"]
mod torment;
#[path = "../faults/wall.rs"]
mod wall;
mod wires;
