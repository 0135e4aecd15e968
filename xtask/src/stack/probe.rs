//! Whether a server answers, in its own protocol: a port that accepts connections says little.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::server::{Kind, Server};

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// CQL's consistency level ALL.
const ALL: u16 = 5;

/// Whether it takes what clients ask.
pub(crate) fn answers(server: &Server) -> bool {
    let asked = connect(server).and_then(|mut stream| match server.kind {
        Kind::Cassandra => cql_startup(&mut stream),
        Kind::Memcached => begins(&mut stream, b"version\r\n", b"VERSION "),
        Kind::Redis => begins(&mut stream, b"PING\r\n", b"+PONG"),
        Kind::Postgres => begins(&mut stream, &postgres_login(), b"R"),
    });
    asked == Some(true)
}

/// Whether it answers, and is a node of a whole cluster where it is a node.
pub(crate) fn is_ready(server: &Server) -> bool {
    if server.kind == Kind::Cassandra {
        connect(server).and_then(|mut stream| reaches_all_nodes(&mut stream)) == Some(true)
    } else {
        answers(server)
    }
}

fn connect(server: &Server) -> Option<TcpStream> {
    let address: SocketAddr = server.address.parse().ok()?;
    let stream = TcpStream::connect_timeout(&address, ANSWER_MAX).ok()?;
    stream.set_read_timeout(Some(ANSWER_MAX)).ok()?;
    stream.set_write_timeout(Some(ANSWER_MAX)).ok()?;
    Some(stream)
}

fn begins(stream: &mut TcpStream, question: &[u8], answer: &[u8]) -> Option<bool> {
    stream.write_all(question).ok()?;
    let mut bytes = vec![0; answer.len()];
    stream.read_exact(&mut bytes).ok()?;
    Some(bytes == answer)
}

/// The first message of a client; while the server starts, it is refused.
fn postgres_login() -> Vec<u8> {
    let mut message = vec![0, 0, 0, 0, 0, 3, 0, 0];
    message.extend_from_slice(b"user\0postgres\0database\0postgres\0\0");
    let length = message.len() as u32;
    message[..4].copy_from_slice(&length.to_be_bytes());
    message
}

fn cql_startup(stream: &mut TcpStream) -> Option<bool> {
    const STARTUP: u8 = 1;
    const READY: u8 = 2;
    let mut startup = vec![0, 1];
    for word in ["CQL_VERSION", "3.0.0"] {
        startup.extend_from_slice(&(word.len() as u16).to_be_bytes());
        startup.extend_from_slice(word.as_bytes());
    }
    Some(cql(stream, STARTUP, &startup)? == READY)
}

/// Reads a table that is kept three times, from all three.
fn reaches_all_nodes(stream: &mut TcpStream) -> Option<bool> {
    const QUERY: u8 = 7;
    const RESULT: u8 = 8;
    if !cql_startup(stream)? {
        return Some(false);
    }
    let text = "SELECT keyspace_name FROM system_distributed.view_build_status";
    let mut query = (text.len() as u32).to_be_bytes().to_vec();
    query.extend_from_slice(text.as_bytes());
    query.extend_from_slice(&ALL.to_be_bytes());
    query.push(0);
    Some(cql(stream, QUERY, &query)? == RESULT)
}

/// One frame of version 4 there, one back: what kind the answer is.
fn cql(stream: &mut TcpStream, opcode: u8, body: &[u8]) -> Option<u8> {
    let mut frame = vec![4, 0, 0, 0, opcode];
    frame.extend_from_slice(&(body.len() as u32).to_be_bytes());
    frame.extend_from_slice(body);
    stream.write_all(&frame).ok()?;
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    std::io::copy(&mut stream.take(length.into()), &mut std::io::sink()).ok()?;
    Some(head[4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_says_its_own_length() {
        let login = postgres_login();
        assert_eq!(login[..4], (login.len() as u32).to_be_bytes());
    }
}
