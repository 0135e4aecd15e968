//! The protocol against a store that does its worst: who may write, when an answer may leave, what it then says.

mod caller;
mod durable;
mod objects;
mod ordered;
mod refused;
mod store;
mod unknown;
