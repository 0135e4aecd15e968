//! Cassandra: the kit on three real nodes, and what this store promises beyond the contract.
#![allow(clippy::disallowed_methods, reason = "tests of real servers look at the real clock")]

mod frames;
mod kit;
mod lists;
mod outcomes;
mod refusals;
mod registers;
mod tls;
mod wire;
pub(super) mod world;
