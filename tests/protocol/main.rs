//! The protocol against a store that does its worst: who may write, when an answer may leave, what it then says.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod caller;
mod columns;
mod confirm;
mod deadlines;
mod drain;
mod durable;
mod explained;
#[cfg(debug_assertions)]
mod formats;
mod hangups;
mod keys;
mod nodes;
mod objects;
mod ordered;
mod refused;
mod relay;
mod remnants;
mod seals;
mod shared;
mod store;
mod tags;
mod unknown;
