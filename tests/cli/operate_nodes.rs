//! `nodes` and `shards`: who is up and owns what, asked of a store that servers share, and of a file.

use std::path::Path;

use serde_json::{Value, json};

use super::operate::{done, two_counters};
use super::world::{PATIENCE, Server, dir, objectd, run, within};

/// A store in Redis of a test's own.
struct Shared<'a> {
    dir: &'a Path,
    url: String,
}

impl Shared<'_> {
    /// A server under the name of a host.
    fn start(&self, host: &str) -> Server {
        Server::start(objectd(self.dir, &["--store", &self.url, "--listen", "127.0.0.1:0"]).env("HOSTNAME", host))
    }

    fn told(&self, args: &[&str]) -> String {
        done(objectd(self.dir, args).args(["--store", &self.url]))
    }

    fn asked(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.told(&[args, &["--json"]].concat())).unwrap()
    }

    /// The only life of a host that is told of.
    fn node(&self, host: &str, args: &[&str]) -> Option<Value> {
        let nodes = self.asked(&[&["nodes"], args].concat());
        let mut found = nodes["nodes"].as_array().unwrap().iter().filter(|node| node["node"] == json!(host)).cloned();
        let node = found.next();
        assert_eq!(found.next(), None, "{nodes}");
        node
    }
}

fn count(groups: &Value) -> u64 {
    groups.as_array().unwrap().iter().map(|group| group["count"].as_u64().unwrap()).sum()
}

/// How many numbers there are in ranges such as `0-3` and `7`.
fn width(ranges: &Value) -> u64 {
    let number = |text: &str| text.parse::<u64>().unwrap();
    let ranges = ranges.as_array().unwrap().iter().map(|range| {
        let range = range.as_str().unwrap();
        range.split_once('-').map_or(1, |(first, last)| number(last) - number(first) + 1)
    });
    ranges.sum()
}

#[test]
fn nodes_and_shards_are_told_while_servers_come_and_go() {
    let Some(redis) = test_stack::redis() else { return };
    let dir = dir();
    let url = format!("redis://{redis}/0?prefix={}:", dir.path().file_name().unwrap().to_str().unwrap());
    let shared = Shared { dir: dir.path(), url };
    for command in ["nodes", "shards"] {
        assert!(shared.told(&[command]).ends_with("\nnobody has ever served from this store\n"));
    }
    assert_eq!(shared.asked(&["nodes"])["nodes"], json!([]));

    let first = shared.start("first");
    two_counters(&first);
    let told = shared.told(&["nodes"]);
    let lines: Vec<Vec<&str>> = told.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1], ["node", "state", "since", "address", "format", "shards", "incarnation"], "{told}");
    assert_eq!(lines[2][..2], ["first", "up"], "{told}");
    assert!(lines[2][2].starts_with("20") && lines[2][2].ends_with('Z'), "since when: {told}");
    let node = shared.node("first", &[]).unwrap();
    assert_eq!((&node["up"], &node["beats"], &node["draining"]), (&json!(true), &json!(true), &json!(false)), "{node}");
    assert!(node["age-seconds"].as_u64().unwrap() < 60 && node["format"].as_u64() >= Some(1), "{node}");
    assert!(node["shards"].as_u64().unwrap() >= 2, "two counters are in two shards: {node}");

    let second = shared.start("second");
    assert!(shared.node("first", &[]).is_some() && shared.node("second", &[]).is_some());
    let shards = shared.asked(&["shards"]);
    assert_eq!((&shards["shards"], count(&shards["owners"])), (&json!(1024), 1024), "{shards}");
    for group in shards["owners"].as_array().unwrap().iter().chain(shards["moves"].as_array().unwrap()) {
        assert_eq!(group["count"], json!(width(&group["shards"])), "{group}");
    }
    for moved in shards["moves"].as_array().unwrap() {
        assert!([json!("first"), json!("second")].contains(&moved["to"]), "{moved}");
        assert_ne!(moved["to"], moved["from"]["node"], "{moved}");
    }
    let told = shared.told(&["shards"]);
    assert!(told.contains("\n1024 shards\nfirst (") && told.contains("), up: "), "{told}");

    first.kill();
    let is_seen = || shared.node("first", &["--all"]).unwrap()["beats"] == json!(false);
    assert!(within(PATIENCE, is_seen), "it is seen that it does not beat: {}", shared.told(&["nodes", "--all"]));
    let told = shared.told(&["nodes", "--all"]);
    let of_first = told.lines().find(|line| line.starts_with("first ")).unwrap();
    let is_silent = of_first.contains(" silent ") && told.contains("has not beaten for 3 s and is probably dead");
    assert!(is_silent || of_first.contains(" dead "), "{told}");

    second.stop();
    // Ends the life that was killed, unless somebody has done so.
    shared.start("first").stop();
    assert_eq!(shared.node("second", &[]), None, "the dead are not shown unasked");
    let node = shared.node("second", &["--all"]).unwrap();
    assert_eq!((&node["up"], &node["beats"]), (&json!(false), &json!(false)), "{node}");
    let told = shared.told(&["nodes"]);
    assert!(told.contains("no node is up") && told.contains("dead and not shown: "), "{told}");
    let told = shared.told(&["shards"]);
    assert!(told.ends_with("\nnothing moves: there is no node that could take a shard\n"), "{told}");
}

#[test]
fn of_a_file_one_process_owns_all() {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    for command in ["nodes", "shards"] {
        let told = done(&mut objectd(dir.path(), &[command]));
        let holder = format!("process {} on host ", server.pid());
        assert!(told.contains(&holder) && told.ends_with(" has it for itself, and owns all that is in it\n"), "{told}");
        let asked: Value = serde_json::from_str(&done(&mut objectd(dir.path(), &[command, "--json"]))).unwrap();
        assert_eq!(asked["exclusive"], json!(true), "{asked}");
        assert!(asked["holder"].as_str().unwrap().starts_with(&holder), "{asked}");
    }
    server.stop();
    for command in ["nodes", "shards"] {
        let told = done(&mut objectd(dir.path(), &[command]));
        assert!(told.ends_with("owns all that is in it; none has it open now\n"), "{told}");
        let other = run(objectd(dir.path(), &[command]).args(["--store", "sqlite:other.db"]));
        other.refused(&["no file other.db"]);
    }
}
