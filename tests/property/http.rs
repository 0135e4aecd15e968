//! As little HTTP as it takes to ask and to read the answer.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub status: u16,
    pub tag: Option<String>,
    pub replayed: bool,
    pub outcome: Option<String>,
    pub body: serde_json::Value,
}

/// Asks on a connection of its own.
pub async fn ask(addr: SocketAddr, verb: &str, path: &str, headers: &[(&str, String)], body: &str) -> Answer {
    let mut request = format!("{verb} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str("content-type: application/json\r\n");
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    let mut stream = BufReader::new(TcpStream::connect(addr).await.unwrap());
    stream.write_all(request.as_bytes()).await.unwrap();
    read(&mut stream).await
}

async fn read(stream: &mut BufReader<TcpStream>) -> Answer {
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{line:?}"));
    let mut answer = Answer { status, tag: None, replayed: false, outcome: None, body: serde_json::Value::Null };
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "etag" => answer.tag = Some(value.trim_matches('"').to_owned()),
            "idempotency-replayed" => answer.replayed = value == "true",
            "outcome" => answer.outcome = Some(value.to_owned()),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    if !body.is_empty() {
        answer.body = serde_json::from_slice(&body).unwrap();
    }
    answer
}
