#![allow(unused)]
use remote_object::prelude::*;

#[remote_object]
struct Thing {
    value: u8,
}

struct Opaque;

#[remote_object]
impl Thing {
    pub fn take(&mut self, one: Opaque) {}

    pub async fn take_many(&mut self, many: Vec<Opaque>) {}

    pub fn give(&self) -> Opaque {
        Opaque
    }

    pub async fn give_or_fail(&self) -> Result<Option<Opaque>> {
        Ok(None)
    }
}

fn main() {}
