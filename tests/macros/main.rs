//! What the attributes expand to: tables, schemas, names, references, errors.

mod happy;
mod samples;
