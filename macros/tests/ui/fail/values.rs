#![allow(unused)]
use remote_object::prelude::*;

#[remote_value(name = "x", manual(Default, Eq))]
struct Thing {
    value: u8,
}

#[remote_value]
fn function() {}

fn main() {}
