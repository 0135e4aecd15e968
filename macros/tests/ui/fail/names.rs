#![allow(unused)]
use remote_object::prelude::*;

#[remote_object]
struct Thing {
    value: u8,
}

#[remote_object]
impl Thing {
    pub fn do_it(&mut self) {}

    pub fn do__it(&mut self) {}

    #[remote(name = "do-it")]
    pub fn other(&self) {}

    pub fn _hidden(&self) {}

    pub fn uri(&self) -> String {
        String::new()
    }

    pub fn id(&self) -> String {
        String::new()
    }

    pub fn max(&self) -> u8 {
        self.value
    }

    pub fn größe(&self) {}

    #[remote(name = "_timers")]
    pub fn timers(&self) {}

    #[remote(name = "getValue")]
    pub fn value(&self) -> u8 {
        self.value
    }
}

#[remote_object(name = "Upper_Case")]
struct Upper {}

fn main() {}
