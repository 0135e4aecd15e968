#![allow(unused)]
use remote_object::prelude::*;

#[remote_object]
struct Thing {
    value: u8,
}

#[remote_object]
impl Thing {
    pub fn new(value: u8) -> Self {
        Self { value }
    }

    pub fn by_value(self) -> u8 {
        self.value
    }

    pub fn by_value_too(mut self) -> u8 {
        self.value = 0;
        self.value
    }

    pub fn boxed(self: Box<Self>) -> u8 {
        self.value
    }

    pub fn long_lived(&'static self) -> u8 {
        self.value
    }
}

fn main() {}
