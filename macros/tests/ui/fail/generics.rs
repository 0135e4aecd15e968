#![allow(unused)]
use remote_object::prelude::*;

#[remote_object]
struct Generic<T> {
    value: T,
}

#[remote_object]
impl<T> Generic<T> {
    pub fn value(&self) -> u8 {
        0
    }
}

#[remote_object]
struct Borrowing<'a> {
    value: &'a str,
}

#[remote_object]
struct Thing {
    value: u8,
}

#[remote_object]
impl Thing {
    pub fn set<T: Into<u8>>(&mut self, value: T) {
        self.value = value.into();
    }

    pub fn set_to(&mut self, value: impl Into<u8>) {
        self.value = value.into();
    }

    pub fn later(&self) -> impl Future<Output = u8> {
        std::future::ready(0)
    }

    pub fn see<'a>(&'a self, _cx: &'a ViewContext) -> u8 {
        self.value
    }

    pub fn same(&self) -> u8
    where
        u8: Copy,
    {
        self.value
    }
}

fn main() {}
