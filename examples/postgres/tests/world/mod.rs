//! The example's program as a process, on a schema of a test's own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program, until it is dropped: `kill -9`.
pub struct Server {
    process: Child,
    pub address: String,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

impl Server {
    /// Under the name of a host, on a port of its own.
    pub fn start(database: &str, host: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_example-postgres"))
            .args(["--listen", "127.0.0.1:0", "--node-name", host])
            .env("DATABASE_URL", database)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let address = lines.next().unwrap().strip_prefix("listening on http://").unwrap().to_owned();
        assert_eq!(lines.next().unwrap(), "store: postgres");
        assert_eq!(lines.next().unwrap(), "synced: yes");
        Self { process, address }
    }

    /// One request that is answered with 200; its body.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let answer = ask(&self.address, method, path, "", body).unwrap();
        assert_eq!(answer.status, 200, "{} {}", answer.head, answer.body);
        answer.body
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// One request on a connection of its own.
pub fn ask(address: &str, method: &str, path: &str, headers: &str, body: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let head = format!("host: test\r\nconnection: close\r\ncontent-type: application/json\r\n{headers}");
    write!(stream, "{method} {path} HTTP/1.1\r\n{head}content-length: {length}\r\n\r\n{body}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// Runs a test with the URL of a database that has nothing in it.
pub async fn on_an_empty_database(name: &str, test: impl FnOnce(String) + Send + 'static) {
    let Some(server) = test_stack::postgres() else { return };
    let schema = format!("{name}_{}", std::process::id());
    let url = format!("postgres://postgres@{server}/postgres");
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("CREATE SCHEMA {schema}")).await.unwrap();
    let database = format!("{url}?options=-csearch_path%3D{schema}");
    let ended = tokio::task::spawn_blocking(move || test(database)).await;
    client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
    ended.unwrap();
}
