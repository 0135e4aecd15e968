//! The sample objects, served from PostgreSQL.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// The program, until it is dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(database: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_example-postgres"))
            .args(["--listen", "127.0.0.1:0"])
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

    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let head = "host: test\r\nconnection: close\r\ncontent-type: application/json";
        write!(stream, "{method} {path} HTTP/1.1\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
        body.to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_the_process_was_killed() {
    let Some(server) = test_stack::postgres() else { return };
    let schema = format!("served_{}", std::process::id());
    let url = format!("postgres://postgres@{server}/postgres");
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("CREATE SCHEMA {schema}")).await.unwrap();
    let database = format!("{url}?options=-csearch_path%3D{schema}");
    tokio::task::spawn_blocking(move || {
        for round in 1..=3 {
            let server = Server::start(&database);
            assert_eq!(server.ask("POST", "/objects/counter/visits/add", "{\"by\":5}"), (round * 5).to_string());
            assert_eq!(server.ask("POST", "/objects/account/alice/deposit", "{\"amount\":1}"), round.to_string());
            assert!(server.ask("GET", "/objects/counter", "").contains("/objects/counter/visits"));
        }
    })
    .await
    .unwrap();
    client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
}
