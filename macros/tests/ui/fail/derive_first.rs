#![allow(unused)]
use remote_object::prelude::*;

#[derive(Clone)]
#[remote_object]
struct Thing {
    value: u8,
}

fn main() {}
