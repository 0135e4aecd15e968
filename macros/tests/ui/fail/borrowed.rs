#![allow(unused)]
use std::borrow::Cow;

use remote_object::prelude::*;

#[remote_object]
struct Thing {
    value: u8,
}

#[remote_object]
impl Thing {
    pub fn name(&mut self, name: &str) {}

    pub fn bytes(&mut self, bytes: &[u8], more: &mut Vec<u8>) {}

    pub fn nested(&self, names: Vec<&'static str>) {}

    pub fn elided(&self, name: Cow<'_, str>) {}

    pub fn answer(&self) -> &u8 {
        &self.value
    }

    pub fn optional(&self) -> Result<Option<&str>> {
        Ok(None)
    }
}

fn main() {}
