//! JSON that strangers send: bodies, arguments, merge patches.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| remote_object::fuzzing::json(bytes));
