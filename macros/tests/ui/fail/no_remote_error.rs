#![allow(unused)]
use remote_object::prelude::*;

#[remote_object]
struct Thing {
    value: u8,
}

#[derive(Debug)]
enum PlainError {
    Bad,
}

#[remote_object]
impl Thing {
    pub fn set(&mut self, value: u8) -> Result<u8, PlainError> {
        Err(PlainError::Bad)
    }

    pub async fn get(&self) -> Result<(), PlainError> {
        Err(PlainError::Bad)
    }

    pub fn text(&self) -> Result<u8, String> {
        Ok(0)
    }
}

fn main() {}
