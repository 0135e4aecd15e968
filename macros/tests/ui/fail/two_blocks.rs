#![allow(unused)]
use remote_object::prelude::*;

#[remote_object]
struct Thing {
    value: u8,
}

#[remote_object]
impl Thing {
    pub fn a(&self) {}
}

#[remote_object]
impl Thing {
    pub fn b(&self) {}
}

fn main() {}
