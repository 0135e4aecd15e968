//! The meta of a record: hostile bytes are refused, and what is read is kept, with the fields nobody knows.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| remote_object::fuzzing::record(bytes));
