//! What a user sees first: address, store, how durable, and three lines that work as they stand.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::json;

use super::wire::{Answer, Wire};
use super::world::{PATIENCE, Server, dir, example, objectd, program, run};

/// The words of a command line, as a shell reads them.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for letter in line.chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            letter => word.push(letter),
        }
    }
    words.push(word);
    words
}

/// Does what `curl` would do.
pub fn curl(line: &str) -> Answer {
    let (mut verb, mut headers, mut body, mut url) = ("GET".to_owned(), Vec::new(), String::new(), None);
    let mut words = words(line).into_iter();
    assert_eq!(words.next().as_deref(), Some("curl"));
    while let Some(word) = words.next() {
        match word.as_str() {
            "-X" => verb = words.next().unwrap(),
            "-H" => headers.push(words.next().unwrap()),
            "-d" => body = words.next().unwrap(),
            "-i" => {}
            _ => url = Some(word),
        }
    }
    let url = url.unwrap();
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let address: SocketAddr = address.parse().unwrap();
    let headers: Vec<(&str, &str)> = headers.iter().map(|header| header.split_once(": ").unwrap()).collect();
    Wire::to(address).unwrap().ask(&verb, &format!("/{path}"), &headers, &body).unwrap()
}

/// Runs the line itself, where there is a `curl`.
fn real_curl(line: &str) -> Option<String> {
    Command::new("curl").arg("--version").output().ok()?;
    let limit = PATIENCE.as_secs();
    let shell = Command::new("sh").args(["-c", &format!("{line} --silent --max-time {limit}")]).output().unwrap();
    assert!(shell.status.success(), "{line}: {shell:?}");
    Some(String::from_utf8(shell.stdout).unwrap())
}

#[test]
fn the_first_lines_say_where_what_and_how_durable_and_the_three_lines_work() {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    let lines: Vec<&str> = server.first_lines.lines().collect();
    let base = format!("http://{}", server.address);
    assert_eq!(lines[..4], [&format!("listening on {base}"), "store: sqlite:./objectd.db", "synced: yes", "try:"]);
    assert!(dir.path().join("objectd.db").is_file(), "the store lies in the working directory");

    let tries = server.tries();
    assert_eq!(tries.len(), 3);
    curl(tries[0]).is(200, json!(5));
    let state = curl(tries[1]);
    state.is(200, json!({"value": 5}));
    assert!(state.etag().starts_with('"'));
    curl(tries[2]).is(200, json!({"items": [{"uri": "/objects/counter/demo"}], "next": null}));

    if let Some(said) = real_curl(tries[0]) {
        assert_eq!(said, "10");
        let said = real_curl(tries[1]).unwrap();
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with("\r\n\r\n{\"value\":10}"), "{said}");
        assert!(real_curl(tries[2]).unwrap().contains("/objects/counter/demo"));
    }
    server.stop();
}

#[test]
fn a_store_that_forgets_says_so() {
    let dir = dir();
    let server = Server::new(dir.path(), &["--store", "memory:"]);
    let lines: Vec<&str> = server.first_lines.lines().collect();
    assert_eq!(lines[1], "store: memory:");
    assert_eq!(lines[2], "synced: no, acknowledged writes may be lost with the process");
    server.post("/objects/counter/a/add", &json!({"by": 1})).is(200, json!(1));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "no file is made");
    server.stop();
}

#[test]
fn without_flags_it_is_port_8080_of_this_machine_and_a_file_in_the_working_directory() {
    let dir = dir();
    let ended = run(&mut objectd(dir.path(), &["--print-config"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let config: toml::Table = ended.stdout.parse().unwrap();
    assert_eq!(config["listen"].as_str(), Some("127.0.0.1:8080"));
    assert_eq!(config["store"].as_str(), Some("sqlite:./objectd.db"));
    assert_eq!(config["log"].as_str(), Some("text"));
}

#[test]
fn a_server_on_all_addresses_names_one_that_can_be_called() {
    let dir = dir();
    let server = Server::start(&mut objectd(dir.path(), &["--listen", ":0", "--store", "memory:"]));
    assert!(server.first_lines.starts_with("listening on http://0.0.0.0:"), "{}", server.first_lines);
    let here = format!(" http://localhost:{}/objects/counter/demo", server.address.port());
    assert!(server.tries().iter().all(|line| line.contains(here.trim_end_matches("/demo"))), "{}", server.first_lines);
    server.stop();
}

#[test]
fn the_lines_of_a_users_own_program_are_for_his_types() {
    let dir = dir();
    let server = Server::start(program(example("object"), dir.path()).args(["--listen", "127.0.0.1:0"]));
    let tries = server.tries();
    assert!(tries.iter().all(|line| line.contains("/objects/visits")), "{}", server.first_lines);
    curl(tries[0]).is(200, json!(1));
    curl(tries[1]).is(200, json!({"count": 1}));
    curl(tries[2]).is(200, json!({"items": [{"uri": "/objects/visits/demo"}], "next": null}));
    server.get("/objects/counter/a").problem(404, "type-not-found");
    server.stop();

    let ended = run(program(example("object"), dir.path()).arg("--version"));
    assert_eq!((ended.code, ended.stdout.starts_with("object (remote-object ")), (Some(0), true), "{ended:?}");
}
