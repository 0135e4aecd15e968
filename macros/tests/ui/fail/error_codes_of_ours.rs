#![allow(unused)]
use remote_object::prelude::*;

#[derive(RemoteError)]
enum Ours {
    Overloaded,
    #[code("internal")]
    Renamed,
}

fn main() {}
