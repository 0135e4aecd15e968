#![allow(unused)]
use remote_object::prelude::*;

#[remote_object]
struct Thing {
    value: u8,
}

#[remote_object]
impl Thing {
    pub fn pair(&mut self, (a, b): (u8, u8)) {
        self.value = a + b;
    }

    pub fn unnamed(&mut self, _: u8) {}

    pub fn by_reference(&mut self, ref value: u8) {
        self.value = *value;
    }
}

fn main() {}
