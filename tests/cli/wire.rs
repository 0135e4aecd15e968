//! A blocking client that sends exactly the bytes it is given.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::world::PATIENCE;

/// A connection.
pub struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// The connection was closed before the first byte of one.
    Closed,
    /// It was closed within one, or said something that is none.
    Cut(String),
}

impl Wire {
    pub fn to(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::new() })
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends one request; the connection stays open.
    pub fn request(&mut self, verb: &str, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<()> {
        let mut text = format!("{verb} {path} HTTP/1.1\r\nhost: test\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            text += &format!("content-length: {}\r\n", body.len());
        }
        self.send(format!("{text}\r\n{body}"))
    }

    /// One request and its answer.
    pub fn ask(&mut self, verb: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer, NoAnswer> {
        // A server that closes first may make the writing fail; what it said before is still to be read.
        let _ = self.request(verb, path, headers, body);
        self.answer()
    }

    /// The next answer, to anything but HEAD.
    pub fn answer(&mut self) -> Result<Answer, NoAnswer> {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.more()?;
        };
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status: u16 = status.ok_or_else(|| NoAnswer::Cut(head.clone()))?;
        let answer = Answer { status, head, body: String::new() };
        let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while self.read.len() < end + length {
            self.more()?;
        }
        let body = String::from_utf8_lossy(&self.read[end..end + length]).into_owned();
        self.read.drain(..end + length);
        Ok(Answer { body, ..answer })
    }

    /// Whether the server has closed it, or does so within the patience.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.more(), Err(NoAnswer::Closed))
    }

    fn more(&mut self) -> Result<(), NoAnswer> {
        let mut bytes = [0; 16 << 10];
        match self.stream.read(&mut bytes) {
            Ok(count) if count > 0 => {
                self.read.extend_from_slice(&bytes[..count]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Err(NoAnswer::Cut(format!("nothing came for {PATIENCE:?}")))
            }
            _ if self.read.is_empty() => Err(NoAnswer::Closed),
            _ => Err(NoAnswer::Cut(String::from_utf8_lossy(&self.read).into_owned())),
        }
    }
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The `ETag`, which has to be there.
    #[track_caller]
    pub fn etag(&self) -> &str {
        self.header("etag").unwrap_or_else(|| panic!("no ETag: {self:?}"))
    }

    /// It is this success, with this JSON.
    #[track_caller]
    pub fn is(&self, status: u16, json: Value) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.json(), json, "{self:?}");
    }

    /// It is this success, without a body.
    #[track_caller]
    pub fn is_empty(&self, status: u16) {
        assert_eq!((self.status, self.body.as_str()), (status, ""), "{self:?}");
    }

    /// It is a problem document with this status and code; gives its members.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{self:?}");
        assert_eq!(problem["status"], status, "{self:?}");
        assert_eq!(problem["outcome"].as_str(), self.header("outcome"), "{self:?}");
        problem
    }
}
