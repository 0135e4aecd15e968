//! The meta protocol on the wire: what is asked, and what an answer says.

use std::io::Write;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

use crate::cache::shared::Name;

/// Asks for nothing but an answer.
pub(super) const PING: &[u8] = b"mn\r\n";
/// The longest line of an answer, and the largest value; what is longer is no memcached.
const LINE_MAX: usize = 2048;
const VALUE_MAX: usize = 64 << 20;

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Reply {
    /// The value.
    Value(Bytes),
    /// There is none.
    Miss,
    /// It was done.
    Done,
    /// It was not done, since there is a value already.
    NotStored,
    /// The server is well, and does not do this.
    Refused(Arc<str>),
    /// It does nothing for who has not logged in.
    Locked,
}

const TO_VEC: &str = "a write to memory succeeds";

pub(super) fn get(out: &mut Vec<u8>, name: Name) {
    write!(out, "mg {name} v\r\n").expect(TO_VEC);
}

pub(super) fn set(out: &mut Vec<u8>, name: Name, value: &[u8], if_absent: bool) {
    let mode = if if_absent { " ME" } else { "" };
    write!(out, "ms {name} {}{mode}\r\n", value.len()).expect(TO_VEC);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

pub(super) fn delete(out: &mut Vec<u8>, name: Name) {
    write!(out, "md {name}\r\n").expect(TO_VEC);
}

/// The login of a server that was started with a file of users: what looks like a classic `set` of anything.
pub(super) fn login(out: &mut Vec<u8>, user_and_password: &str) {
    write!(out, "set auth 0 0 {}\r\n{user_and_password}\r\n", user_and_password.len()).expect(TO_VEC);
}

/// Takes the next answer off, if all of it is there.
///
/// # Errors
/// What came that no memcached says: from there on nothing can be told apart.
pub(super) fn parse(input: &mut BytesMut) -> Result<Option<Reply>, String> {
    let Some(end) = input.iter().take(LINE_MAX).position(|byte| *byte == b'\n') else {
        return if input.len() < LINE_MAX { Ok(None) } else { Err("a line does not end".to_owned()) };
    };
    let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
    let line = std::str::from_utf8(line).map_err(|_| "a line is no text".to_owned())?;
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let reply = match word {
        "HD" | "MN" | "STORED" => Reply::Done,
        "EN" | "NF" => Reply::Miss,
        "NS" => Reply::NotStored,
        "SERVER_ERROR" => Reply::Refused(rest.into()),
        "CLIENT_ERROR" if rest == "unauthenticated" => Reply::Locked,
        "VA" => {
            let size = rest.split(' ').next().and_then(|size| size.parse::<usize>().ok());
            let size = size.filter(|size| *size <= VALUE_MAX).ok_or_else(|| format!("{line:?} is no value"))?;
            let whole = end + 1 + size + 2;
            if input.len() < whole {
                input.reserve(whole - input.len());
                return Ok(None);
            }
            if &input[whole - 2..whole] != b"\r\n" {
                return Err("a value does not end where it should".to_owned());
            }
            // A copy of its own: a slice of what was read would keep all of that in memory.
            let value = Bytes::copy_from_slice(&input[end + 1..whole - 2]);
            input.advance(whole);
            return Ok(Some(Reply::Value(value)));
        }
        _ => return Err(format!("it answered {line:?}")),
    };
    input.advance(end + 1);
    Ok(Some(reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[u8] =
        b"HD\r\nVA 5\r\na\r\nbc\r\nEN\r\nNS\r\nNF\r\nMN\r\nVA 0 s0\r\n\r\nSERVER_ERROR out of memory\r\nSTORED\r\n";

    fn replies(mut pieces: impl Iterator<Item = Vec<u8>>) -> Vec<Reply> {
        let (mut input, mut replies) = (BytesMut::new(), Vec::new());
        loop {
            match parse(&mut input).unwrap() {
                Some(reply) => replies.push(reply),
                None => match pieces.next() {
                    Some(piece) => input.extend_from_slice(&piece),
                    None => break,
                },
            }
        }
        assert!(input.is_empty());
        replies
    }

    #[test]
    fn answers_are_read_however_they_are_cut() {
        use Reply::{Done, Miss, NotStored, Refused, Value};
        let value = |text: &'static str| Value(Bytes::from_static(text.as_bytes()));
        let expected =
            [Done, value("a\r\nbc"), Miss, NotStored, Miss, Done, value(""), Refused("out of memory".into()), Done];
        for size in [1, 2, 3, 7, ALL.len()] {
            assert_eq!(replies(ALL.chunks(size).map(<[u8]>::to_vec)), expected);
        }
    }

    #[test]
    fn what_no_memcached_says_is_an_error_and_no_panic() {
        let long = "x".repeat(LINE_MAX);
        for wrong in [
            "ERROR\r\n",
            "CLIENT_ERROR bad data chunk\r\n",
            "VA\r\n",
            "VA x\r\n",
            "VA -1\r\n",
            "VA 99999999999\r\n",
            "VA 1\r\nabc",
            "\r\n",
            &long,
            "HTTP/1.1 400 Bad Request\r\n",
        ] {
            assert!(parse(&mut BytesMut::from(wrong)).is_err(), "{wrong:?}");
        }
        assert!(parse(&mut BytesMut::from(&b"\xff\xfe\n"[..])).is_err());
        let random = crate::clock::Random::seeded(1);
        for _ in 0..20_000 {
            let mut bytes = ALL.to_vec();
            for _ in 0..=random.next_u64() % 4 {
                let at = random.next_u64() as usize % bytes.len();
                bytes[at] = random.next_u64() as u8;
            }
            let mut input = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = parse(&mut input) {}
        }
    }
}
