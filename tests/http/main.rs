//! The contract of `docs/http.md`, case by case, over real sockets.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod bad_input;
mod calls;
mod client;
mod conditions;
mod connections;
mod limits;
mod mounted;
mod objects;
mod openapi;
mod operations;
mod resources;
mod retries;
mod strict;
mod world;

// The sample objects of the server, for the golden copy of its description.
#[path = "../../src/bin/objectd/account.rs"]
mod account;
#[path = "../../src/bin/objectd/cart.rs"]
mod cart;
#[path = "../../src/bin/objectd/counter.rs"]
mod counter;
#[path = "../../src/bin/objectd/product.rs"]
mod product;
