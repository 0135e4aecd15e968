//! The head of a request: every header of ours, many at once, and the query.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| remote_object::fuzzing::headers(bytes));
