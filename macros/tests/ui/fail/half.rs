#![allow(unused)]
use remote_object::prelude::*;

struct NoStruct {
    value: u8,
}

#[remote_object]
impl NoStruct {
    pub fn value(&self) -> u8 {
        self.value
    }
}

#[remote_object]
struct Thing {
    value: u8,
}

fn table() {
    let _ = remote_object::TypeDef::of::<Thing>();
    let _ = Remote::<String>::new("a");
}

fn main() {}
