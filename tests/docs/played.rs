//! The `curl` lines of the README, played against its first program.

use remote_object::Service;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::object::Visits;
use crate::{blocks, read};

/// One `curl` line and what it prints.
#[derive(Debug, PartialEq)]
struct Shown {
    method: String,
    path: String,
    headers: Vec<String>,
    body: String,
    with_head: bool,
    output: String,
}

/// The words of a command line, quotes taken away.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    parts
        .flat_map(|(at, part)| match at % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

fn shown(command: &str, output: &str) -> Shown {
    let mut shown = Shown {
        method: "GET".into(),
        path: String::new(),
        headers: Vec::new(),
        body: String::new(),
        with_head: false,
        output: output.trim_end().to_owned(),
    };
    let mut words = words(command).into_iter().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-X" => shown.method = words.next().unwrap(),
            "-H" => shown.headers.push(words.next().unwrap()),
            "-d" => shown.body = words.next().unwrap(),
            "-i" => shown.with_head = true,
            url => shown.path = url.strip_prefix("localhost:8080").expect(url).to_owned(),
        }
    }
    shown
}

fn commands(block: &str) -> Vec<Shown> {
    let parts = format!("\n{block}");
    let parts = parts.split("\n$ ").skip(1).map(|part| part.split_once('\n').unwrap_or((part, "")));
    parts.filter(|(command, _)| command.starts_with("curl ")).map(|(command, output)| shown(command, output)).collect()
}

async fn ask(address: &str, shown: &Shown) -> (Vec<String>, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let headers: String = shown.headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = shown.body.len();
    let request = format!(
        "{} {} HTTP/1.1\r\nhost: localhost:8080\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{}",
        shown.method, shown.path, shown.body
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split("\r\n").map(str::to_owned).collect(), body.to_owned())
}

#[tokio::test]
async fn the_commands_of_the_readme_print_what_it_shows() {
    let builder = Service::builder().only_given_types().object::<Visits>().store("memory:");
    let service = builder.build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = service.clone();
    tokio::spawn(async move { serving.run(listener, std::future::pending()).await });

    let consoles = blocks(&read("README.md")).into_iter().filter(|(info, _)| info == "console");
    let all: Vec<Shown> = consoles.flat_map(|(_, text)| commands(&text)).collect();
    assert_eq!(all.len(), 3);
    for shown in all {
        let (head, body) = ask(&address, &shown).await;
        let Some((expected_head, expected_body)) = shown.output.split_once("\n\n").filter(|_| shown.with_head) else {
            assert_eq!(body, shown.output, "{shown:?}");
            continue;
        };
        assert_eq!(body, expected_body);
        for line in expected_head.lines() {
            assert!(head.iter().any(|other| other == line), "{line:?} is not in {head:?}");
        }
    }
}

#[test]
fn a_command_is_read_as_a_shell_would() {
    let read = commands("$ curl -i -X POST localhost:8080/a -H 'b: c' -d '{\"d\":1}'\nHTTP/1.1 200 OK\n\n5\n$ ls\n");
    let output = "HTTP/1.1 200 OK\n\n5".to_owned();
    let (method, path, headers, body) = ("POST".into(), "/a".into(), vec!["b: c".into()], "{\"d\":1}".into());
    assert_eq!(read, [Shown { method, path, headers, body, with_head: true, output }]);
}
