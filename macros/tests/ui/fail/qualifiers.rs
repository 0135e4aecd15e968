#![allow(unused)]
use remote_object::prelude::*;

#[remote_object]
struct Thing {
    value: u8,
}

#[remote_object]
impl Thing {
    pub unsafe fn danger(&self) {}

    pub extern "C" fn foreign(&self) {}

    pub const fn constant(&self) -> u8 {
        self.value
    }

    pub unsafe extern "C" fn variadic(&self, args: ...) {}
}

fn main() {}
