//! The log: on stderr, for people or for machines, as much as was asked for.

use serde_json::{Value, json};

use super::world::{Server, dir, objectd};

const PLACE: &[&str] = &["--listen", "127.0.0.1:0"];

/// Each line as JSON.
fn parsed(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn json_is_one_object_a_line_with_the_names_of_ecs() {
    let dir = dir();
    let server = Server::new(dir.path(), &["--log", "json"]);
    server.post("/objects/counter/a/add", &json!({"by": 1})).is(200, json!(1));
    let lines = parsed(&server.stop());
    assert!(lines.len() >= 3, "{lines:?}");
    for line in &lines {
        let text = |name: &str| line[name].as_str().unwrap_or_else(|| panic!("no {name} in {line}")).to_owned();
        let time = text("@timestamp");
        assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
        assert_eq!((text("log.level"), text("service.name")), ("info".into(), "objectd".into()));
        assert!(text("log.logger").starts_with("remote_object::"));
        assert!(!text("message").is_empty());
        assert_eq!(text("ecs.version"), "8.11.0");
    }
    let told = lines.iter().find(|line| line["message"].as_str().unwrap().starts_with("told to stop")).unwrap();
    assert_eq!(told["labels"]["signal"], "SIGTERM");
}

#[test]
fn a_fault_of_ours_is_logged_with_its_request_and_the_client_reads_none_of_it() {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    server.post("/objects/counter/a/add", &json!({"by": 1})).is(200, json!(1));
    server.stop();
    let file = rusqlite::Connection::open(dir.path().join("objectd.db")).unwrap();
    file.execute("UPDATE object SET state = '{\"value\":666}'", []).unwrap();
    drop(file);

    let server = Server::new(dir.path(), &["--log", "json"]);
    let trace = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];
    let answer = server.ask("GET", "/objects/counter/a", &trace, "");
    answer.problem(500, "record-corrupt");
    assert!(!answer.body.contains("666"));
    let lines = parsed(&server.stop());
    let fault = lines.iter().find(|line| line["log.level"] == "error").unwrap();
    assert_eq!(fault["http.request.method"], "GET");
    assert_eq!(fault["url.path"], "/objects/counter/a");
    assert_eq!(fault["error.code"], "record-corrupt");
    assert_eq!(fault["trace.id"], "0af7651916cd43dd8448eb211c80319c");
    assert!(fault["error.message"].as_str().unwrap().contains("counter/a"), "{fault}");
}

#[test]
fn text_is_for_people() {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    server.post("/objects/counter/a/add", &json!({"by": 1})).is(200, json!(1));
    let log = server.stop();
    assert!(log.contains(" INFO remote_object::") && log.contains("told to stop"), "{log}");
    assert!(!log.contains('\u{1b}'), "no colours where no terminal is: {log:?}");
}

#[test]
fn rust_log_says_how_much() {
    let dir = dir();
    let quiet = Server::start(objectd(dir.path(), PLACE).env("RUST_LOG", "error"));
    quiet.post("/objects/counter/a/add", &json!({"by": 1})).is(200, json!(1));
    assert_eq!(quiet.stop(), "");
    let some = Server::start(objectd(dir.path(), PLACE).env("RUST_LOG", "warn,remote_object::serve=info"));
    some.post("/objects/counter/a/add", &json!({"by": 1})).is(200, json!(2));
    let log = some.stop();
    assert!(log.contains("told to stop") && !log.contains("took a shard"), "{log}");
    let nonsense = Server::start(objectd(dir.path(), PLACE).env("RUST_LOG", "=1=2"));
    let log = nonsense.stop();
    assert!(log.contains("WARN") && log.contains("RUST_LOG is \"=1=2\"") && log.contains("told to stop"), "{log}");
}
