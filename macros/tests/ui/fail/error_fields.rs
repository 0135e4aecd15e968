#![allow(unused)]
use remote_object::prelude::*;

struct Opaque;

#[derive(RemoteError)]
enum Fails {
    With { inner: Opaque },
}

fn main() {}
