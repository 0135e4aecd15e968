//! A user's own program around `serve_with`: own types, an own datastore, no types at all, a method that panics.
//!
//! A test without a harness, so that this very binary can be the program: it starts itself, in a role.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

#[allow(dead_code, reason = "shared with the tests of the server")]
mod wire;
#[allow(dead_code, reason = "shared with the tests of the server")]
mod world;

use std::process::{Command, ExitCode};

use bytes::Bytes;
use remote_object::model::{Cas, Durability, Entry, Rev};
use remote_object::prelude::*;
use remote_object::storage::{KeyValue, Memory};
use remote_object::{Service, ServiceBuilder, serve_with};
use serde_json::{Value, json};

use world::{Server, dir, program, run};

const ROLE: &str = "OWN_PROGRAM_ROLE";

/// A list of parcels. It has no edit whose arguments are a single number.
#[remote_object(name = "depot")]
pub struct Depot {
    parcels: Vec<Parcel>,
}

/// A parcel.
#[remote_value]
pub struct Parcel {
    what: String,
    grams: u16,
    size: Size,
    next_to: Option<Remote<Depot>>,
}

/// How large it is.
#[remote_value]
#[derive(Default)]
pub enum Size {
    /// Fits a letter box.
    #[default]
    Small,
    /// Does not.
    Large,
}

/// Why a depot refuses.
#[derive(RemoteError, Debug)]
pub enum DepotError {
    /// There is no parcel.
    #[status(409)]
    Empty,
}

#[remote_object]
impl Depot {
    /// Takes the first one out.
    pub fn fetch(&mut self, anything: bool) -> Result<Parcel, DepotError> {
        if self.parcels.is_empty() || !anything {
            return Err(DepotError::Empty);
        }
        Ok(self.parcels.remove(0))
    }

    /// Puts one in; `it's` in no way special.
    pub fn store(&mut self, parcel: Parcel, after: Option<u64>) -> usize {
        let at = after.map_or(0, |after| usize::try_from(after).unwrap_or(usize::MAX)).min(self.parcels.len());
        self.parcels.insert(at, parcel);
        self.parcels.len()
    }

    /// Has a bug.
    pub fn explode(&mut self) {
        panic!("the bug of the depot");
    }
}

/// A type none of whose arguments can be made up.
#[remote_object(name = "locker")]
pub struct Locker {
    key: char,
}

#[remote_object]
impl Locker {
    /// Changes the key.
    pub fn lock(&mut self, key: char) {
        self.key = key;
    }
}

/// A store that is not safe.
#[derive(Debug)]
struct Careless {
    memory: Memory,
    fault: Fault,
}

#[derive(Debug, PartialEq)]
enum Fault {
    /// Whoever writes last wins.
    Overwrites,
    /// Acknowledges, and keeps nothing but registers.
    Loses,
    /// Never says what became of a write.
    Silent,
}

impl KeyValue for Careless {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.memory.get(key).await
    }

    async fn compare_and_set(&self, key: &str, seen: Option<&Rev>, new: Bytes) -> Cas {
        match self.fault {
            Fault::Overwrites => {
                let there = self.memory.get(key).await.unwrap();
                self.memory.compare_and_set(key, there.as_ref().map(|there| &there.rev), new).await
            }
            Fault::Loses if !key.starts_with("r/") => Cas::Applied(Rev::Number(1)),
            Fault::Silent => Cas::Unknown(Error::store("the shelf is locked")),
            Fault::Loses => self.memory.compare_and_set(key, seen, new).await,
        }
    }

    async fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>> {
        self.memory.scan(prefix, after, limit).await
    }
}

fn careless(builder: ServiceBuilder, fault: Fault) -> ServiceBuilder {
    builder.key_value("careless", Careless { memory: Memory::new(), fault }, Durability::ProcessSafe)
}

#[tokio::main]
async fn serve_as(role: &str) -> Result<()> {
    let builder = Service::builder();
    serve_with(match role {
        "depot" => builder.only_given_types().object::<Depot>().store("memory:"),
        "locker" => builder.only_given_types().object::<Locker>().store("memory:"),
        "own-store" => builder.datastore("shelf", Memory::store()),
        "overwrites" => careless(builder, Fault::Overwrites),
        "loses" => careless(builder, Fault::Loses),
        "silent" => careless(builder, Fault::Silent),
        "no-types" => builder.only_given_types(),
        other => panic!("no role {other}"),
    })
    .await
}

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(ROLE) {
        return match serve_as(&role) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let checks: [(&str, fn()); 7] = [
        ("a program without object types says so and does not start", no_types),
        ("arguments of the lines to try are made up from their shape", made_up_arguments),
        ("there are three lines that work for any type", any_type),
        ("a datastore of one's own is named, and cannot be set away", own_store),
        ("a panic is one event of the log", panic_in_the_log),
        ("the commands are about a datastore of one's own too", commands_on_an_own_store),
        ("a doctor finds a datastore that is not safe", a_store_that_is_not_safe),
    ];
    for (what, check) in checks {
        check();
        println!("test {what} ... ok");
    }
    println!("test result: ok. {} passed; 0 failed", checks.len());
    ExitCode::SUCCESS
}

fn own(role: &str, dir: &tempfile::TempDir, args: &[&str]) -> Command {
    let mut command = program(std::env::current_exe().unwrap(), dir.path());
    command.env(ROLE, role).args(args).args(["--listen", "127.0.0.1:0"]);
    command
}

fn no_types() {
    let dir = dir();
    run(&mut own("no-types", &dir, &[])).refused(&["this service has no object types", "#[remote_object]"]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// What the shell is given, without its quotes.
fn body(line: &str) -> Value {
    let text = line.split(" -d '").nth(1).unwrap().trim_end_matches('\'');
    serde_json::from_str(text).unwrap()
}

fn made_up_arguments() {
    let dir = dir();
    let server = Server::start(&mut own("depot", &dir, &[]));
    let tries = server.tries();
    // Not `fetch`, which may refuse.
    assert!(tries[0].contains("/objects/depot/demo/store "), "{}", server.first_lines);
    let args = body(tries[0]);
    let parcel = json!({"what": "hello", "grams": 5, "size": "Small", "next_to": "/objects/depot/some-id"});
    assert_eq!(args["after"], 5);
    for (name, value) in args["parcel"].as_object().unwrap() {
        assert_eq!(value, &parcel[name]);
    }
    server.post("/objects/depot/demo/store", &args).is(200, json!(1));
    assert_eq!(server.get("/objects/depot/demo").status, 200);
    server.stop();
}

fn any_type() {
    let dir = dir();
    let server = Server::start(&mut own("locker", &dir, &[]));
    let base = format!("http://{}", server.address);
    let lines = [
        format!("curl -i -X POST {base}/objects/locker"),
        format!("curl {base}/objects/locker"),
        format!("curl {base}/openapi.json"),
    ];
    assert_eq!(server.tries(), lines);
    assert_eq!(server.ask("POST", "/objects/locker", &[], "").status, 201);
    assert_eq!(server.get("/objects/locker").json()["items"].as_array().unwrap().len(), 1);
    assert_eq!(server.get("/openapi.json").json()["openapi"].as_str().unwrap()[..3], *"3.1");
    server.stop();
}

fn own_store() {
    let dir = dir();
    let server = Server::start(&mut own("own-store", &dir, &[]));
    assert!(server.first_lines.contains("\nstore: shelf\nsynced: no, "), "{}", server.first_lines);
    server.stop();
    let refused = ["memory:", "shelf", "leave the setting out"];
    run(&mut own("own-store", &dir, &["--store", "memory:"])).refused(&refused);
    run(own("own-store", &dir, &[]).env("REMOTE_OBJECT_STORE", "memory:")).refused(&refused);
}

fn panic_in_the_log() {
    let dir = dir();
    for backtrace in ["0", "1"] {
        let server = Server::start(own("depot", &dir, &["--log", "json"]).env("RUST_BACKTRACE", backtrace));
        let answer = server.ask("POST", "/objects/depot/a/explode", &[], "");
        answer.problem(500, "method-panicked");
        assert!(!answer.body.contains("bug"), "{answer:?}");
        let log = server.stop();
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let panicked = lines.iter().find(|line| line["message"] == "panicked").unwrap();
        assert_eq!(panicked["error.message"], "the bug of the depot");
        assert_eq!(panicked["log.level"], "error");
        assert_eq!(panicked["service.name"], lines[0]["service.name"]);
        assert!(panicked["labels"]["place"].as_str().unwrap().contains("own_program.rs:"), "{panicked}");
        assert_eq!(panicked.get("error.stack_trace").is_some(), backtrace == "1", "{panicked}");
        let failed = lines.iter().find(|line| line["error.code"] == "method-panicked").unwrap();
        assert_eq!(failed["url.path"], "/objects/depot/a/explode");
    }
}

fn commands_on_an_own_store() {
    let dir = dir();
    let told = run(&mut own("own-store", &dir, &["doctor"]));
    assert!(told.code == Some(0) && told.stdout.starts_with("store: shelf\nok "), "{told:?}");
    let told = run(&mut own("own-store", &dir, &["explain", "/objects/depot/a"]));
    assert!(told.code == Some(0) && told.stdout.contains("no record, in shelf"), "{told:?}");
    let told = run(&mut own("own-store", &dir, &["schema", "print"]));
    assert!(told.code == Some(0) && told.stdout.contains("nothing is to be applied to shelf"), "{told:?}");
    let told = run(&mut own("own-store", &dir, &["purge", "--yes"]));
    assert!(told.code == Some(2) && told.stderr.contains("no key is ever removed"), "{told:?}");
    run(&mut own("own-store", &dir, &["doctor", "--store", "memory:"])).refused(&["shelf", "leave the setting out"]);
}

fn a_store_that_is_not_safe() {
    let dir = dir();
    for (role, words) in [
        (
            "overwrites",
            &["FAIL a second creation of it is refused: it took effect, so that two could own the same objects; "][..],
        ),
        ("overwrites", &["FAIL a stale put of it is refused: it took effect over an acknowledged write; "]),
        (
            "loses",
            &[
                "ok   it reads as it was written last",
                "FAIL it reads back byte for byte: it was acknowledged, and is not there; ",
            ],
        ),
        (
            "silent",
            &["FAIL a register is created: nobody knows what became of it: ", "(the shelf is locked); ask again; "],
        ),
    ] {
        let told = run(&mut own(role, &dir, &["doctor"]));
        assert_eq!((told.code, told.stderr.as_str()), (Some(1), ""), "{told:?}");
        for words in words {
            assert!(told.stdout.contains(words), "{words:?} is not in {}", told.stdout);
        }
        assert!(told.stdout.ends_with("not everything is as it should be\n"), "{}", told.stdout);
    }
}
