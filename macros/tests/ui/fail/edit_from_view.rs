#![allow(unused)]
use remote_object::prelude::*;

#[remote_object]
struct Thing {
    value: u8,
}

#[remote_object]
impl Thing {
    pub fn set(&mut self, value: u8) {
        self.value = value;
    }

    pub async fn peek(&self, cx: &ViewContext, other: Remote<Thing>) -> Result<u8> {
        cx.call(other.set(1)).await?;
        Ok(self.value)
    }
}

fn main() {}
