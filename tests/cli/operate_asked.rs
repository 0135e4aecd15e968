//! `explain --url`: the story of one object, asked of nodes that run.

use serde_json::{Value, json};

use super::operate::{done, explained, not_now, two_counters};
use super::world::{PATIENCE, Server, dir, objectd, run, within};

const VISITS: &str = "/objects/counter/visits";

fn url(server: &Server) -> String {
    format!("http://{}", server.address)
}

#[test]
fn a_node_that_is_not_the_owner_tells_what_the_owner_knows() {
    let (Some(redis), Some(caches)) = (test_stack::redis(), test_stack::memcached()) else { return };
    let dir = dir();
    let store = format!("redis://{redis}/0?prefix={}:", dir.path().file_name().unwrap().to_str().unwrap());
    let cache = format!("memcached://{}", caches.join(","));
    let start = |host: &str| {
        let args = ["--store", &store, "--cache", &cache, "--listen", "127.0.0.1:0", "--node-name", host];
        Server::start(&mut objectd(dir.path(), &args))
    };
    let (first, second) = (start("first"), start("second"));
    two_counters(&first);
    let moves = || {
        let told = done(&mut objectd(dir.path(), &["shards", "--json", "--store", &store]));
        serde_json::from_str::<Value>(&told).unwrap()["moves"].clone()
    };
    assert!(within(PATIENCE, || moves() == json!([])), "{}", moves());
    let answer = first.get(VISITS);
    let owner = answer.header("remote-object-owner").unwrap().to_owned();
    let first_owns = owner == url(&first);
    assert!(first_owns || owner == url(&second), "{owner}");
    let (has, other) = if first_owns { (first, second) } else { (second, first) };
    let name = if first_owns { "first" } else { "second" };

    // Without a word of the store: in a directory where there is none.
    let asked = |server: &Server| explained(dir.path(), &[VISITS, "--url", &url(server)]);
    let agree = || {
        let told = asked(&other);
        let caches = told["cache"].as_array().unwrap();
        told["memory"]["agrees"] == json!(true)
            && caches.iter().filter(|copy| copy["agrees"] == json!(true)).count() == 2
    };
    assert!(within(PATIENCE, agree), "L1, two caches and the store agree: {}", asked(&other));
    let told = asked(&other);
    let epoch = told["shard"]["epoch"].as_u64();
    assert_eq!((&told["owner"]["node"], &told["memory"]["node"]), (&json!(name), &json!(name)), "{told}");
    assert_eq!((&told["owner"]["address"], &told["store"]), (&json!(owner), &json!("redis")), "{told}");
    assert_eq!(told["memory"]["l1"], told["record"]["version"], "{told}");
    assert_eq!(told["keyed-calls"].as_array().unwrap().len(), 1, "{told}");
    let lines = done(objectd(dir.path(), &["explain", VISITS, "--url"]).arg(url(&other)));
    let version = told["record"]["version"].as_str().unwrap();
    for line in [
        format!("  l1       version {version}, on {name}, agrees with the store"),
        "  waits    nothing".to_owned(),
        "  keyed    calls remembered by their Idempotency-Key: 1".to_owned(),
    ] {
        assert!(lines.lines().any(|other| other == line), "{line:?} is not in {lines}");
    }
    assert_eq!(lines.matches(" agrees with the store").count(), 3, "{lines}");
    assert!(lines.contains(&format!("  owner    node {name}, incarnation ")), "{lines}");
    // What the store alone tells is the same, but for what only a node knows.
    let mut alone = explained(dir.path(), &[VISITS, "--store", &store, "--cache", &cache]);
    let mut told = asked(&other);
    for told in [&mut alone, &mut told] {
        for differs in ["memory", "store"] {
            told[differs] = Value::Null;
        }
        told["owner"]["beat"] = Value::Null;
    }
    assert_eq!(alone, told);

    // One that never was.
    let told = explained(dir.path(), &["/objects/counter/never", "--url", &url(&other)]);
    assert_eq!((&told["record"], &told["wrong"]), (&Value::Null, &json!([])), "{told}");

    // The owner is killed: that is told, with all that can be known without it. Then the other one is the owner.
    has.kill();
    let ended = run(objectd(dir.path(), &["explain", VISITS, "--url"]).arg(url(&other)));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""), "{ended:?}");
    assert!(
        ended.stdout.contains(&format!("  unknown  what its owner has in memory: {owner} was asked: ")),
        "{ended:?}"
    );
    assert!(ended.stdout.contains(&format!("  store    version {version}, ")), "{ended:?}");
    assert!(within(PATIENCE, || other.get(VISITS).status == 200), "it is taken over");
    let told = asked(&other);
    assert_ne!(told["memory"]["node"], json!(name), "{told}");
    assert!(told["shard"]["epoch"].as_u64() > epoch && told["unknown"] == json!({}), "{told}");
}

#[test]
fn a_server_that_has_its_store_for_itself_is_asked() {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    two_counters(&server);
    let url = url(&server);
    let told = done(&mut objectd(dir.path(), &["explain", VISITS, "--url", &url]));
    for line in [
        "  object   born with 1-1, last changed by 1-2, which is its ETag",
        "  shard    0 of 1, epoch 1",
        "  waits    nothing",
        "  keyed    calls remembered by their Idempotency-Key: 1",
    ] {
        assert!(told.lines().any(|other| other == line), "{line:?} is not in {told}");
    }
    assert!(told.contains(", which has the store for itself\n"), "{told}");
    assert!(told.contains("  l1       version 1-2, on ") && told.contains(", agrees with the store\n"), "{told}");
    let told = explained(dir.path(), &["/objects/counter/gone", "--url", &url]);
    assert_eq!((&told["record"]["deleted"], &told["exclusive"]), (&json!(true), &json!(true)), "{told}");
    // The store itself says whom to ask.
    run(&mut objectd(dir.path(), &["explain", VISITS])).refused(&["explain /objects/counter/visits --url"]);

    // A shell's spelling of the same, and what cannot be asked.
    let slash = format!("{url}/");
    done(&mut objectd(dir.path(), &["explain", VISITS, "--url", &slash]));
    let asked = |uri: &str, url: &str| run(&mut objectd(dir.path(), &["explain", uri, "--url", url]));
    asked("/objects/conter/visits", &url).refused(&[&url, "there is no type \"conter\" here", "counter"]);
    asked(VISITS, "127.0.0.1:8080").refused(&["\"127.0.0.1:8080\"", "http://host:port"]);
    asked(VISITS, "https://127.0.0.1:8080").refused(&["http:// only"]);
    asked("counter/visits", &url).refused(&["/objects/{type}/{id}"]);
    asked(VISITS, &format!("{url}/below")).refused(&["there is nothing at /below/objects/counter/visits/_explain"]);
    server.stop();
    not_now(&asked(VISITS, &url), &["nobody can be reached at", &url]);
}
