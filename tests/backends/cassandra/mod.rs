//! Cassandra: the kit on three real nodes, and what this store promises beyond the contract.

mod kit;
mod world;
