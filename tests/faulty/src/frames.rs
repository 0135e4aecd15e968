//! Where a request and where an answer ends, in the protocols there are.

/// What is spoken on a wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// Redis.
    Resp,
    /// PostgreSQL, unencrypted. What a client sends up to the next `Sync` is one request.
    Postgres,
    /// Cassandra's native protocol, version 4 and before.
    Cql,
}

/// One whole message, or several that belong together, at the beginning of what has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    pub(crate) bytes: usize,
    /// What connects a request with its answer, if the protocol says so; else they come in one order.
    pub(crate) stream: Option<i16>,
    /// A request is answered; an answer answers a request.
    pub(crate) pairs: bool,
}

impl Protocol {
    /// The request at the beginning of `bytes`, when it is there as a whole. `is_first` on its connection.
    pub(crate) fn request(self, bytes: &[u8], is_first: bool) -> Option<Frame> {
        match self {
            Self::Resp => in_order(resp(bytes)?),
            // The first message has no type.
            Self::Postgres if is_first => in_order(number(bytes, 0)?),
            Self::Postgres => postgres(bytes, |kind| match kind {
                // Sync, Query.
                b'S' | b'Q' => Some(true),
                // Terminate, and a password, which is no request of its own.
                b'X' | b'p' => Some(false),
                _ => None,
            }),
            Self::Cql => cql(bytes),
        }
        .filter(|frame| frame.bytes <= bytes.len())
    }

    /// The answer at the beginning of `bytes`, when it is there as a whole.
    pub(crate) fn answer(self, bytes: &[u8]) -> Option<Frame> {
        match self {
            Self::Resp => in_order(resp(bytes)?),
            // ReadyForQuery ends an answer; a request for a password comes before there is one.
            Self::Postgres => postgres(bytes, |kind| match kind {
                b'Z' => Some(true),
                b'R' if bytes.get(5..9) != Some(&[0; 4]) => Some(false),
                _ => None,
            }),
            Self::Cql => cql(bytes),
        }
        .filter(|frame| frame.bytes <= bytes.len())
    }
}

#[allow(clippy::unnecessary_wraps, reason = "it stands where the others may find nothing")]
fn in_order(bytes: usize) -> Option<Frame> {
    Some(Frame { bytes, stream: None, pairs: true })
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let number = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(number) as usize)
}

/// Messages of a type and a length, up to the first that `ends` says ends them, and whether they then are one of a pair.
fn postgres(bytes: &[u8], ends: impl Fn(u8) -> Option<bool>) -> Option<Frame> {
    let mut at = 0;
    loop {
        let kind = *bytes.get(at)?;
        at += 1 + number(bytes, at + 1)?;
        if let Some(pairs) = ends(kind) {
            return Some(Frame { bytes: at, stream: None, pairs });
        }
        if at > bytes.len() {
            return None;
        }
    }
}

fn cql(bytes: &[u8]) -> Option<Frame> {
    let stream = i16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
    // Negative: an event, which answers nothing.
    Some(Frame { bytes: 9 + number(bytes, 5)?, stream: Some(stream), pairs: stream >= 0 })
}

/// The length of the value at the beginning of `bytes`, or more than there is.
fn resp(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|two| two == b"\r\n")? + 2;
    let count = || std::str::from_utf8(bytes.get(1..line - 2)?).ok()?.parse::<i64>().ok();
    let parts = match bytes[0] {
        b'$' | b'!' | b'=' => return Some(count().map_or(line, |n| if n < 0 { line } else { line + n as usize + 2 })),
        b'*' | b'~' | b'>' => count()?,
        b'%' => count()? * 2,
        _ => 0,
    };
    let mut at = line;
    for _ in 0..parts {
        at += resp(bytes.get(at..)?)?;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found when it is whole, and at no earlier byte.
    fn is_one(bytes: &[u8], find: impl Fn(&[u8]) -> Option<Frame>) -> Frame {
        for cut in 0..bytes.len() {
            assert_eq!(find(&bytes[..cut]), None, "cut at {cut}");
        }
        let more = [bytes, b"$1\r\n"].concat();
        let frame = find(&more).unwrap();
        assert_eq!(frame.bytes, bytes.len());
        frame
    }

    #[test]
    fn values_of_redis_end_where_they_end() {
        for value in [
            &b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4\r\n\r\n\r\n\r\n"[..],
            b"+OK\r\n",
            b"-ERR no\r\n",
            b":12\r\n",
            b"$-1\r\n",
            b"$0\r\n\r\n",
            b"*-1\r\n",
            b"*0\r\n",
            b"*2\r\n$-1\r\n*2\r\n:1\r\n+x\r\n",
            b"%1\r\n+a\r\n:1\r\n",
        ] {
            assert!(is_one(value, |bytes| Protocol::Resp.answer(bytes)).pairs);
        }
    }

    #[test]
    fn a_request_of_postgresql_goes_to_its_sync() {
        let startup = [&[0, 0, 0, 8][..], &[0, 3, 0, 0]].concat();
        assert!(is_one(&startup, |bytes| Protocol::Postgres.request(bytes, true)).pairs);
        let parse_and_sync = [&b"P"[..], &[0, 0, 0, 6], b"ab", b"S", &[0, 0, 0, 4]].concat();
        assert!(is_one(&parse_and_sync, |bytes| Protocol::Postgres.request(bytes, false)).pairs);
        let password = [&b"p"[..], &[0, 0, 0, 5], b"x"].concat();
        assert!(!is_one(&password, |bytes| Protocol::Postgres.request(bytes, false)).pairs);
        let answer = [&b"T"[..], &[0, 0, 0, 5], b"x", b"Z", &[0, 0, 0, 5], b"I"].concat();
        assert!(is_one(&answer, |bytes| Protocol::Postgres.answer(bytes)).pairs);
        let asks_for_password = [&b"R"[..], &[0, 0, 0, 8], &[0, 0, 0, 3]].concat();
        assert!(!is_one(&asks_for_password, |bytes| Protocol::Postgres.answer(bytes)).pairs);
    }

    #[test]
    fn frames_of_cassandra_have_a_stream() {
        let frame = [4, 0, 0, 7, 5, 0, 0, 0, 2, 1, 2];
        let found = is_one(&frame, |bytes| Protocol::Cql.request(bytes, false));
        assert_eq!((found.stream, found.pairs), (Some(7), true));
        let event = [0x84, 0, 0xff, 0xff, 12, 0, 0, 0, 0];
        assert!(!is_one(&event, |bytes| Protocol::Cql.answer(bytes)).pairs);
    }
}
