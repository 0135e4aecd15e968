#![allow(unused)]
use remote_object::prelude::*;

#[remote_object]
enum State {
    On,
    Off,
}

#[remote_object]
union Bits {
    a: u8,
    b: i8,
}

#[remote_object]
trait Counts {
    fn count(&self) -> u8;
}

#[remote_object]
fn count() {}

#[remote_object]
mod counting {}

#[remote_object]
struct Unit;

#[remote_object]
struct Tuple(u8);

#[remote_object]
struct Thing {
    value: u8,
}

#[remote_object]
impl Counts for Thing {
    fn count(&self) -> u8 {
        0
    }
}

fn main() {}
