//! The commands on shared caches: each server tried, and what each one has of an object beside what the store has.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use remote_object::model::ObjectKey;
use serde_json::{Value, json};

use super::operate::{done, explained};
use super::world::{PATIENCE, Server, dir, objectd, run, within};

/// Says something to a memcached of classic words, and gives the last line of its answer.
fn told(server: &str, words: &str) -> String {
    let mut stream = TcpStream::connect(server).unwrap();
    write!(stream, "{words}quit\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Asks a Redis; the bytes of its answer, without what frames them.
fn redis_says(redis: &str, command: &[&[u8]]) -> Vec<u8> {
    let mut stream = TcpStream::connect(redis).unwrap();
    let mut request = format!("*{}\r\n", command.len()).into_bytes();
    for part in command {
        request.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        request.extend_from_slice(part);
        request.extend_from_slice(b"\r\n");
    }
    stream.write_all(&request).unwrap();
    let mut answer = BufReader::new(stream);
    let mut head = String::new();
    answer.read_line(&mut head).unwrap();
    let Some(length) = head.strip_prefix('$') else { return head.trim_end().as_bytes().to_vec() };
    let mut bytes = vec![0; length.trim_end().parse().unwrap()];
    answer.read_exact(&mut bytes).unwrap();
    bytes
}

/// The name of an object in the caches of a cluster whose store is a Redis.
fn cached_name(redis: &str, prefix: &str, type_name: &str, id: &str) -> String {
    let register = format!("{prefix}:k:r/meta/cluster");
    let cluster = redis_says(redis, &[b"HGET", register.as_bytes(), b"value"]);
    let cluster: Value = serde_json::from_slice(&cluster).unwrap();
    let seed = xxhash_rust::xxh3::xxh3_64(format!("\0{}", cluster["id"].as_str().unwrap()).as_bytes());
    format!("ro-{:032x}", ObjectKey::new(type_name, id).unwrap().hash128(seed))
}

#[test]
fn every_cache_server_is_tried() {
    let Some(servers) = test_stack::memcached() else { return };
    let dir = dir();
    let cache = format!("memcached://{}", servers.join(","));
    let told = done(&mut objectd(dir.path(), &["doctor", "--store", "memory:", "--cache", &cache]));
    assert!(told.contains(&format!("\ncache: {cache}\n")), "{told}");
    for server in &servers {
        assert!(told.contains(&format!("ok   memcached {server} sets, reads and forgets (")), "{told}");
    }
    let cache = format!("memcached://user:s3cret@{},127.0.0.1:1,no-such-name.invalid", servers[0]);
    let ended = run(&mut objectd(dir.path(), &["doctor", "--store", "memory:", "--cache", &cache]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let why = "sets, reads and forgets: Connection refused";
    assert!(ended.stdout.contains(&format!("FAIL memcached 127.0.0.1:1 {why}")), "{ended:?}");
    assert!(ended.stdout.contains("only slower"), "{ended:?}");
    assert!(ended.stdout.contains("FAIL memcached no-such-name.invalid"), "{ended:?}");
    assert!(ended.stdout.contains("its name cannot be resolved"), "{ended:?}");
    assert!(!format!("{ended:?}").contains("s3cret"), "{ended:?}");
    let ended = run(&mut objectd(dir.path(), &["doctor", "--store", "memory:", "--cache", "memcache://m1"]));
    assert!(ended.code == Some(2) && ended.stderr.contains("memcached://host:port"), "{ended:?}");
}

#[test]
fn what_the_caches_have_of_an_object_is_explained() {
    let (Some(servers), Some(redis)) = (test_stack::memcached(), test_stack::redis()) else { return };
    let dir = dir();
    let prefix = dir.path().file_name().unwrap().to_str().unwrap().to_owned();
    let store = format!("redis://{redis}/0?prefix={prefix}:");
    let cache = format!("memcached://{}", servers.join(","));
    let args = ["--store", store.as_str(), "--cache", cache.as_str()];
    let uri = "/objects/counter/visits";
    let explain = || explained(dir.path(), &[&[uri][..], &args].concat());
    let server = Server::start(objectd(dir.path(), &args).args(["--listen", "127.0.0.1:0"]));
    server.post(&format!("{uri}/add"), &json!({"by": 4})).is(200, 4.into());
    let both_agree = || {
        let found = explain();
        let agree = found["cache"].as_array().unwrap().iter().filter(|copy| copy["agrees"] == json!(true));
        agree.count() == 2
    };
    assert!(within(PATIENCE, both_agree), "it is put into two of three caches: {}", explain());
    let told_lines = done(objectd(dir.path(), &["explain", uri]).args(args));
    assert_eq!(told_lines.matches(" agrees with the store").count(), 2, "{told_lines}");
    server.stop();

    // One is emptied, one has what is no entry at all.
    let found = explain();
    let server_of = |at: usize| found["cache"][at]["server"].as_str().unwrap().split_once(' ').unwrap().1.to_owned();
    let (emptied, mixed_up) = (server_of(0), server_of(1));
    let name = cached_name(&redis, &prefix, "counter", "visits");
    told(&emptied, &format!("delete {name}\r\n"));
    told(&mixed_up, &format!("set {name} 0 0 5\r\nhello\r\n"));
    let lines = done(objectd(dir.path(), &["explain", uri]).args(args));
    assert!(lines.contains(&format!("  cache    memcached {emptied} has nothing\n")), "{lines}");
    assert!(
        lines.contains(&format!("  cache    memcached {mixed_up} has something that is not this object")),
        "{lines}"
    );
    let found = explain();
    assert_eq!((&found["cache"][0]["version"], &found["wrong"]), (&Value::Null, &json!([])), "{found}");

    let record = format!("{prefix}:k:o/counter/visits");
    let backup = redis_says(&redis, &[b"DUMP", record.as_bytes()]);

    // After a restore the caches have versions of another history, until the epochs are raised.
    let server = Server::start(objectd(dir.path(), &args).args(["--listen", "127.0.0.1:0"]));
    server.post(&format!("{uri}/add"), &json!({"by": 1})).is(200, 5.into());
    assert!(within(PATIENCE, both_agree), "{}", explain());
    server.stop();
    assert_eq!(redis_says(&redis, &[b"RESTORE", record.as_bytes(), b"0", &backup, b"REPLACE"]), b"+OK");
    let ended = run(objectd(dir.path(), &["explain", uri]).args(args));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("which the store never had: it is of another history"), "{ended:?}");
    done(objectd(dir.path(), &["epochs", "raise", "--yes"]).args(args));
    let lines = done(objectd(dir.path(), &["explain", uri]).args(args));
    assert_eq!(lines.matches(" has nothing").count(), 2, "{lines}");
}
