//! The commands on a Cassandra cluster: tables that are made by one who is asked, objects explained while a server runs,
//! a purge when none does.

use serde_json::json;

use super::operate::{done, explained, not_now, two_counters};
use super::world::{PATIENCE, Server, dir, objectd, run, within};

/// A keyspace of its own, until it is dropped.
struct Keyspace {
    hosts: String,
    name: String,
}

impl Keyspace {
    fn new() -> Option<Self> {
        let hosts = test_stack::cassandra()?;
        Some(Self { hosts, name: format!("objectd_cli_{}", std::process::id()) })
    }

    fn url(&self) -> String {
        format!("cassandra://{}/{}", self.hosts, self.name)
    }

    /// A statement, by a session that has nothing to do with the store's.
    fn run(&self, text: &str) {
        let mut statement = scylla::statement::Statement::new(text);
        statement.set_request_timeout(Some(3 * PATIENCE));
        let work = async {
            let builder = scylla::client::session_builder::SessionBuilder::new();
            let session = builder.known_nodes(self.hosts.split(',')).build().await.unwrap();
            session.query_unpaged(statement, &[]).await.unwrap();
        };
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work);
    }
}

impl Drop for Keyspace {
    fn drop(&mut self) {
        self.run(&format!("DROP KEYSPACE IF EXISTS {}", self.name));
    }
}

#[test]
fn tables_are_made_when_asked_and_objects_explained_and_purged() {
    let Some(keyspace) = Keyspace::new() else { return };
    let (dir, url) = (dir(), keyspace.url());
    let store = ["--store", url.as_str(), "--allow-periodic"];
    let command = |args: &[&str]| {
        let mut command = objectd(dir.path(), args);
        command.args(store);
        command
    };
    // Nothing is made unasked.
    let cure = format!("objectd schema apply --store '{url}'");
    let ended = run(&mut command(&["--listen", "127.0.0.1:0"]));
    assert!(ended.code == Some(2) && ended.stderr.contains(&cure), "{ended:?}");
    let ended = run(&mut command(&["doctor"]));
    assert!(ended.code == Some(2) && ended.stdout.contains(&cure), "{ended:?}");
    let printed = done(&mut command(&["schema", "print"]));
    assert!(printed.contains(&format!("CREATE TABLE IF NOT EXISTS {}.object (", keyspace.name)), "{printed}");
    let ended = run(&mut command(&["schema", "apply"]));
    assert!(ended.code == Some(2) && ended.stdout.contains(&printed), "what it would do is shown: {ended:?}");
    assert!(ended.stderr.contains("no terminal") && ended.stderr.contains("--yes"), "{ended:?}");

    let told = done(&mut command(&["schema", "apply", "--yes"]));
    assert!(told.ends_with("statements applied: 5\n"), "{told}");
    let told = done(&mut command(&["schema", "apply", "--yes"]));
    assert!(told.ends_with("all of it was there\n"), "{told}");
    let told = run(&mut command(&["doctor"]));
    assert!(told.code == Some(0) && told.stdout.ends_with("all is as it should be\n"), "{told:?}");

    let server = Server::start(command(&["--listen", "127.0.0.1:0"]).env("HOSTNAME", "first"));
    two_counters(&server);
    let of = |uri: &str| explained(dir.path(), &[&[uri][..], &store].concat());
    let found = of("/objects/counter/visits");
    assert_eq!((&found["owner"]["node"], &found["owner"]["up"]), (&json!("first"), &json!(true)), "{found}");
    assert_eq!((&found["shard"]["of"], &found["shard"]["epoch"]), (&json!(1024), &json!(1)), "{found}");
    assert_eq!(found["keyed-calls"][0]["reply-bytes"], json!(1), "{found}");
    assert_eq!(of("/objects/counter/gone")["record"]["deleted"], json!(true));
    not_now(&run(&mut command(&["purge", "--yes"])), &["in use: first (", "beats", "SIGTERM"]);
    // The log of a start that says what the store keeps is on stderr.
    let told = run(&mut command(&["nodes", "--json"]));
    let nodes: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!((&nodes["nodes"][0]["node"], &nodes["nodes"][0]["beats"]), (&json!("first"), &json!(true)), "{nodes}");
    let told = run(&mut command(&["shards"]));
    assert!(told.code == Some(0) && told.stdout.contains("\n1024 shards\nfirst ("), "{told:?}");
    server.stop();

    let told = run(&mut command(&["purge", "--yes"]));
    assert!(told.code == Some(0) && told.stdout.ends_with("records of deleted objects removed: 2\n"), "{told:?}");
    assert_eq!(of("/objects/counter/gone")["record"], json!(null));
    let server = Server::start(&mut command(&["--listen", "127.0.0.1:0"]));
    server.get("/objects/counter/visits").is(200, json!({"value": 7}));
    server.get("/objects/counter/gone").problem(404, "object-not-found");
    server.post("/objects/counter/gone/add", &json!({"by": 1})).is(200, 1.into());
    let listed = || server.get("/objects/counter").json()["items"].as_array().unwrap().len() == 2;
    assert!(within(PATIENCE, listed), "what was born again is listed beside the other");
    server.stop();

    // A plain write of another tool wins for ever, and is seen.
    let foreign = "SET state = '{\"value\":9}' WHERE type = 'counter' AND id = 'visits'";
    keyspace.run(&format!("UPDATE {}.object {foreign}", keyspace.name));
    let ended = run(&mut command(&["explain", "/objects/counter/visits"]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("  object   not readable\n"), "{ended:?}");
    assert!(ended.stdout.contains("another program wrote it"), "{ended:?}");
}
