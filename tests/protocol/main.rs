//! The protocol against a store that does its worst: who may write, when an answer may leave, what it then says.

mod caller;
mod columns;
mod durable;
mod objects;
mod ordered;
mod refused;
mod shared;
mod store;
mod unknown;
