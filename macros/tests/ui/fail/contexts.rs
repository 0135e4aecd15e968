#![allow(unused)]
use remote_object::prelude::*;

#[remote_object]
struct Thing {
    value: u8,
}

#[remote_object]
impl Thing {
    pub fn view(&self, cx: &Context) {}

    pub fn edit(&mut self, cx: &ViewContext) {}

    pub fn two(&mut self, cx: &Context, again: &Context) {}

    pub fn changed(&mut self, cx: &mut Context) {}
}

fn main() {}
