//! As much HTTP/1.1 as a client needs that wrote its questions itself, and that tells apart what was not sent from what
//! was not answered.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const CONNECT_MAX: Duration = Duration::from_secs(2);
/// Servers that come and go leave connections behind.
const KEPT_MAX: usize = 8;

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    /// Whether it says that there was no effect, nor will be.
    pub fn is_not_executed(&self) -> bool {
        self.header("outcome") == Some("not-executed")
    }

    /// The `code` of a problem.
    pub fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or("").to_owned()
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// Nobody took the connection: nothing was sent.
    NotSent,
    /// It was sent, or a part of it.
    Lost,
}

/// A client with a connection to each server that it has asked.
#[derive(Debug)]
pub struct Client {
    /// How long it waits for an answer.
    patience: Duration,
    kept: HashMap<SocketAddr, TcpStream>,
}

impl Client {
    pub fn new(patience: Duration) -> Self {
        Self { patience, kept: HashMap::new() }
    }

    /// Asks and waits.
    pub fn ask(
        &mut self,
        to: SocketAddr,
        verb: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Result<Answer, NoAnswer> {
        let stream = match self.kept.remove(&to) {
            Some(stream) if is_open(&stream) => stream,
            _ => connect(to, self.patience).map_err(|_| NoAnswer::NotSent)?,
        };
        let length = body.len();
        let request =
            format!("{verb} {path} HTTP/1.1\r\nhost: test\r\n{headers}content-length: {length}\r\n\r\n{body}");
        let answer = exchange(&stream, &request).map_err(|_| NoAnswer::Lost)?;
        if answer.header("connection") != Some("close") {
            if self.kept.len() >= KEPT_MAX {
                self.kept.clear();
            }
            self.kept.insert(to, stream);
        }
        Ok(answer)
    }

    pub fn get(&mut self, to: SocketAddr, path: &str) -> Result<Answer, NoAnswer> {
        self.ask(to, "GET", path, "", "")
    }
}

fn connect(to: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, CONNECT_MAX)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    Ok(stream)
}

/// Whether the other side has left a connection open, as far as one knows here.
fn is_open(stream: &TcpStream) -> bool {
    let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    let waits = peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    waits && stream.set_nonblocking(false).is_ok()
}

fn exchange(mut stream: &TcpStream, request: &str) -> io::Result<Answer> {
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::with_capacity(1024);
    let mut more = [0; 4096];
    loop {
        if let Some(answer) = whole(&bytes) {
            return Ok(answer);
        }
        match stream.read(&mut more)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => bytes.extend_from_slice(&more[..read]),
        }
    }
}

/// The answer that these bytes are, once they are all there.
fn whole(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let mut answer = Answer { status, head, body: String::new() };
    let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    answer.body = String::from_utf8_lossy(bytes.get(end..end + length)?).into_owned();
    Some(answer)
}
