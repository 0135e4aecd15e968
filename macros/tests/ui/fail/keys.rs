#![allow(unused)]
use remote_object::prelude::*;

#[remote_object(rename = "thing", replace = true, delete, delete, keyed_calls = "many", name)]
struct Thing {
    value: u8,
}

#[remote_object(manual(Debug), keyed_bytes = 99999999999, crate = 1)]
struct Other {}

#[remote_object(cache_pool = "Hot Ones")]
struct Third {}

#[remote_object(cache_pool)]
struct Fourth {}

#[remote_object(name = "thing")]
impl Thing {
    #[remote(rename = "a")]
    pub fn a(&self) {}

    #[remote]
    pub fn b(&self) {}

    #[remote(skip, name = "c")]
    pub fn c(&self) {}

    #[remote(skip)]
    fn d(&self) {}

    #[remote(skip)]
    pub const E: u8 = 0;
}

fn main() {}
