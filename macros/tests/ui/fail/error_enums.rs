#![allow(unused)]
use remote_object::prelude::*;

#[derive(RemoteError)]
struct NotAnEnum {
    value: u8,
}

#[derive(RemoteError)]
enum Generic<T> {
    One { value: T },
}

#[derive(RemoteError)]
#[code("x")]
#[status(200)]
enum Wrong {
    #[status(500)]
    Server,
    #[status("404")]
    Text,
    #[status(404)]
    #[status(405)]
    Twice,
    #[code("Not Kebab")]
    Spelled,
    #[code(sold_out)]
    Unquoted,
    Tuple(u8, u8),
    Members { code: u8, title: String, r#type: u8 },
    Borrowed { text: &'static str },
    Same,
    #[code("same")]
    Again,
    #[transparent]
    Empty,
    #[transparent]
    #[status(404)]
    Failed(Error),
    #[transparent]
    One(Error),
    #[transparent]
    Two(Error),
}

#[derive(RemoteError)]
#[remote_error(path = "x")]
enum Keys {
    One,
}

fn main() {}
