//! What the attributes expand to: tables, schemas, names, references, errors.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)]

mod errors;
mod hygiene;
mod lints;
mod references;
mod samples;
mod tables;
