//! As much HTTP/1.1 as a client needs that wrote the questions itself: requests as bytes, answers by content-length.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A POST with a JSON body, and further header lines, each ended by CRLF.
pub(crate) fn post(path: &str, headers: &str, body: &str) -> Box<[u8]> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
    .into()
}

/// A GET.
pub(crate) fn get(path: &str) -> Box<[u8]> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\r\n").into_bytes().into()
}

/// Where an answer begins and ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    /// The status code.
    pub(crate) status: u16,
    /// Bytes up to and with the empty line.
    pub(crate) head: usize,
    /// Bytes of the body.
    pub(crate) body: usize,
}

impl Frame {
    /// Bytes of the whole answer.
    pub(crate) fn whole(self) -> usize {
        self.head + self.body
    }
}

/// The frame of the answer that `bytes` begin with; `None` while its head is not complete.
///
/// # Errors
/// `InvalidData` for what is no HTTP/1.1 answer with a content-length.
pub(crate) fn frame(bytes: &[u8]) -> io::Result<Option<Frame>> {
    let mut lines = Lines { bytes, at: 0 };
    let Some(first) = lines.next() else { return Ok(None) };
    let status = first.strip_prefix(b"HTTP/1.1 ").and_then(|rest| number(rest.get(..3)?)).ok_or_else(malformed)?;
    let mut length = None;
    loop {
        let Some(line) = lines.next() else { return Ok(None) };
        if line.is_empty() {
            break;
        }
        const NAME: &[u8] = b"content-length:";
        if line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME) {
            length = Some(number(line[NAME.len()..].trim_ascii()).ok_or_else(malformed)?);
        }
    }
    let body = match (length, status) {
        (_, 204 | 304) => 0,
        (Some(length), _) => length,
        (None, _) => return Err(malformed()),
    };
    Ok(Some(Frame { status: status as u16, head: lines.at, body }))
}

/// The lines of a head, without their ends.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        self.at += end + 1;
        Some(rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]))
    }
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP/1.1 with a content-length")
}

/// An answer with what is looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The `ETag`, with its quotes.
    pub(crate) etag: Option<String>,
    /// Whether `Idempotency-Replayed: true` was there.
    pub(crate) replayed: bool,
    /// The `Remote-Object-Owner`: where the node is that has the object.
    pub(crate) owner: Option<String>,
    /// The body.
    pub(crate) body: String,
}

/// One connection that asks and waits.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects; an answer that takes longer than ten seconds is an error.
    ///
    /// # Errors
    /// As the operating system says.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends one request and waits for its answer.
    ///
    /// # Errors
    /// When the connection ends before the answer did, or what comes is not HTTP.
    pub(crate) fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        loop {
            if let Some(frame) = frame(&self.buffer)?
                && self.buffer.len() >= frame.whole()
            {
                return Ok(answer(&self.buffer, frame));
            }
            let mut more = [0; 4096];
            match self.stream.read(&mut more)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.buffer.extend_from_slice(&more[..read]),
            }
        }
    }
}

fn answer(bytes: &[u8], frame: Frame) -> Answer {
    let head = String::from_utf8_lossy(&bytes[..frame.head]);
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim().to_owned())
    };
    Answer {
        status: frame.status,
        etag: header("etag"),
        replayed: header("idempotency-replayed").is_some_and(|value| value == "true"),
        owner: header("remote-object-owner"),
        body: String::from_utf8_lossy(&bytes[frame.head..frame.whole()]).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] =
        b"HTTP/1.1 200 OK\r\nETag: \"1-7\"\r\nContent-Length: 2\r\nidempotency-replayed: true\r\nRemote-Object-Owner: http://a:1\r\n\r\n42";

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let whole = frame(ANSWER).unwrap().unwrap();
        assert_eq!((whole.status, whole.body, whole.whole()), (200, 2, ANSWER.len()));
        for end in 0..whole.head {
            assert_eq!(frame(&ANSWER[..end]).unwrap(), None, "{end}");
        }
        let empty = frame(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap();
        assert_eq!(empty.body, 0);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for wrong in ["HTTP/1.1 abc\r\n\r\n", "SSH-2.0\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
            assert!(frame(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn headers_are_found_in_any_case() {
        let answer = answer(ANSWER, frame(ANSWER).unwrap().unwrap());
        assert_eq!(answer.etag.as_deref(), Some("\"1-7\""));
        assert!(answer.replayed);
        assert_eq!(answer.owner.as_deref(), Some("http://a:1"));
        assert_eq!(answer.body, "42");
    }
}
