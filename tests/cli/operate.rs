//! The commands beside serving, as an operator runs them: on a file, in memory, and on a store that servers share.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::world::{Ended, OBJECTD, Server, dir, objectd, run, within};

/// A line of a report without its time.
fn untimed(line: &str) -> String {
    line.split(" (").next().unwrap_or_default().to_owned()
}

#[track_caller]
pub(crate) fn done(command: &mut Command) -> String {
    let ended = run(command);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    ended.stdout
}

/// It does not do it, for a reason other than the settings.
#[track_caller]
pub(crate) fn not_now(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.stderr.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word:?} is not in {:?}", ended.stderr);
    }
}

pub(crate) fn explained(dir: &Path, args: &[&str]) -> Value {
    let ended = run(objectd(dir, &["explain", "--json"]).args(args));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

/// A counter that was added to twice, the second time with a key, and one that was deleted.
pub(crate) fn two_counters(server: &Server) {
    server.post("/objects/counter/visits/add", &json!({"by": 4})).is(200, 4.into());
    let headers = [("content-type", "application/json"), ("idempotency-key", "once")];
    server.ask("POST", "/objects/counter/visits/add", &headers, r#"{"by": 3}"#).is(200, 7.into());
    server.post("/objects/counter/gone/add", &json!({"by": 1})).is(200, 1.into());
    server.ask("DELETE", "/objects/counter/gone", &[("idempotency-key", "away")], "").is_empty(204);
}

#[test]
fn without_a_command_it_serves_and_an_unknown_one_is_told_which_there_are() {
    let dir = dir();
    let commands = "there are schema, doctor, explain, nodes, shards, epochs, purge, and without one it serves";
    run(&mut objectd(dir.path(), &["serve"])).refused(&["no command serve", commands]);
    run(&mut objectd(dir.path(), &["--store", "memory:", "expain"])).refused(&["no command expain", commands]);
    run(&mut objectd(dir.path(), &["schema"])).refused(&["print, apply"]);
    run(&mut objectd(dir.path(), &["explain"])).refused(&["<URI>"]);
    run(&mut objectd(dir.path(), &["doctor", "--yes"])).refused(&["no argument --yes", "--store"]);
    run(&mut objectd(dir.path(), &["purge", "--yess"])).refused(&["no argument --yess", "--store", "--yes,"]);
    run(&mut objectd(dir.path(), &["doctor", "/objects/a/b"])).refused(&["no argument /objects/a/b"]);
    run(&mut objectd(dir.path(), &["explain", "counter/a"])).refused(&["\"counter/a\"", "/objects/{type}/{id}"]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is opened");
}

#[test]
fn the_settings_of_a_command_may_stand_before_and_behind_it() {
    let dir = dir();
    std::fs::write(dir.path().join("memory.toml"), "store = \"memory:\"").unwrap();
    for args in [
        &["doctor", "--store", "memory:"][..],
        &["--store", "memory:", "doctor"],
        &["--config", "memory.toml", "doctor"],
        &["doctor", "--config", "memory.toml"],
    ] {
        assert!(done(&mut objectd(dir.path(), args)).starts_with("store: memory:\n"), "{args:?}");
    }
    let told = done(objectd(dir.path(), &["doctor"]).env("REMOTE_OBJECT_STORE", "memory:"));
    assert!(told.starts_with("store: memory:\n"), "{told}");
    assert!(!dir.path().join("objectd.db").exists());
    let in_effect = done(&mut objectd(dir.path(), &["doctor", "--store", "memory:", "--print-config"]));
    assert!(in_effect.contains("store = \"memory:\""), "{in_effect}");
}

#[test]
fn a_doctor_tries_each_thing_and_finds_a_file_in_order() {
    let dir = dir();
    let told = done(&mut objectd(dir.path(), &["doctor"]));
    let lines: Vec<String> = told.lines().map(untimed).collect();
    assert_eq!(lines.first().unwrap(), "store: sqlite:./objectd.db");
    assert_eq!(lines.last().unwrap(), "all is as it should be");
    for what in [
        "the checks of the start",
        "a register is created",
        "a second creation of it is refused",
        "it is changed by who has seen it",
        "a stale change of it is refused",
        "it reads as it was written last",
        "an object is put",
        "it is put over what was seen",
        "a stale put of it is refused",
        "it reads back byte for byte",
        "its version is told without it",
        "it is listed",
        "a hint for it is kept and cleared",
        "a state of 1048576 bytes is put and reads back",
        "it is deleted",
    ] {
        assert!(lines.contains(&format!("ok   {what}")), "{what:?} is not in {told}");
    }
    assert!(told.lines().filter(|line| line.starts_with("ok ")).all(|line| line.contains(" ms)")), "{told}");

    // It has disturbed nothing, and a purge takes away what it left.
    let server = Server::new(dir.path(), &[]);
    two_counters(&server);
    server.stop();
    assert_eq!(
        done(&mut objectd(dir.path(), &["purge", "--yes"])).lines().last(),
        Some("records of deleted objects removed: 2")
    );
    let file = rusqlite::Connection::open(dir.path().join("objectd.db")).unwrap();
    let left = "SELECT (SELECT count(*) FROM register WHERE name LIKE 'doctor%') + (SELECT count(*) FROM hint)";
    assert_eq!(file.query_row(left, [], |row| row.get::<_, u32>(0)).unwrap(), 0);
}

#[test]
fn a_doctor_says_what_keeps_a_server_from_starting() {
    let dir = dir();
    for (url, code, words) in [
        ("sqlite:none/objectd.db", 2, "FAIL the checks of the start: the directory none cannot be used"),
        ("redis://127.0.0.1:1/0", 1, "FAIL the checks of the start: "),
    ] {
        let ended = run(&mut objectd(dir.path(), &["doctor", "--store", url]));
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stdout.contains(words), "{ended:?}");
    }
    let server = Server::new(dir.path(), &[]);
    let ended = run(&mut objectd(dir.path(), &["doctor"]));
    assert!(ended.stdout.contains(&format!("is used by process {}", server.pid())), "{ended:?}");
}

#[test]
fn an_object_in_a_file_is_explained() {
    let dir = dir();
    run(&mut objectd(dir.path(), &["explain", "/objects/counter/visits"]))
        .refused(&["no file ./objectd.db", "--store"]);
    let server = Server::new(dir.path(), &[]);
    two_counters(&server);
    // A server has the file for itself.
    run(&mut objectd(dir.path(), &["explain", "/objects/counter/visits"])).refused(&[
        &format!("in use by process {}", server.pid()),
        "explain /objects/counter/visits --url",
        "stop it",
    ]);
    server.stop();

    let told = done(&mut objectd(dir.path(), &["explain", "/objects/counter/visits"]));
    for line in [
        "/objects/counter/visits",
        "  object   born with 1-1, last changed by 1-2, which is its ETag",
        "  shard    0 of 1, epoch 1",
        "  hint     none",
        "  keyed    calls remembered by their Idempotency-Key: 1",
    ] {
        assert!(told.lines().any(|other| other == line), "{line:?} is not in {told}");
    }
    assert!(told.contains("  owner    nobody now: the last was "), "{told}");
    assert!(told.contains("  store    version 1-2, 11 bytes of state and "), "{told}");
    assert!(told.contains("  ok, reply kept (1 B)"), "{told}");

    let found = explained(dir.path(), &["/objects/counter/gone"]);
    assert_eq!(found["record"]["deleted"], json!(true), "{found}");
    assert_eq!(found["record"]["state-bytes"], json!(0), "{found}");
    assert_eq!(found["keyed-calls"][0]["answered"], json!("no content"), "{found}");
    assert_eq!(found["wrong"], json!([]), "{found}");
    let found = explained(dir.path(), &["http://other.example/objects/counter/never"]);
    assert_eq!((&found["record"], &found["uri"]), (&Value::Null, &json!("/objects/counter/never")), "{found}");
}

#[test]
fn a_record_that_contradicts_itself_is_explained() {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    two_counters(&server);
    server.stop();
    let file = rusqlite::Connection::open(dir.path().join("objectd.db")).unwrap();
    file.execute("UPDATE object SET state = '{\"value\":8}' WHERE id = 'visits'", []).unwrap();
    file.execute("UPDATE object SET version = 9 << 32 WHERE id = 'gone'", []).unwrap();
    drop(file);
    let ended = run(&mut objectd(dir.path(), &["explain", "/objects/counter/visits"]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("  wrong    the record cannot be served (the state is not the one"), "{ended:?}");
    let ended = run(&mut objectd(dir.path(), &["explain", "/objects/counter/gone", "--json"]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("the record is of epoch 9, its shard of epoch 1"), "{ended:?}");
}

#[test]
fn a_purge_forgets_deleted_objects_and_nothing_else() {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    two_counters(&server);
    let holder = format!("is used by process {}", server.pid());
    run(&mut objectd(dir.path(), &["purge", "--yes"])).refused(&[&holder, "stop it"]);
    server.stop();
    let ended = run(&mut objectd(dir.path(), &["purge"]));
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("no terminal") && ended.stderr.contains("--yes"), "{ended:?}");
    assert_eq!(explained(dir.path(), &["/objects/counter/gone"])["record"]["deleted"], json!(true));

    let told = done(&mut objectd(dir.path(), &["purge", "--yes"]));
    assert_eq!(told, "store: sqlite:./objectd.db\nrecords of deleted objects removed: 1\n");
    assert_eq!(explained(dir.path(), &["/objects/counter/gone"])["record"], Value::Null);
    let server = Server::new(dir.path(), &[]);
    server.get("/objects/counter/visits").is(200, json!({"value": 7}));
    let headers = [("content-type", "application/json"), ("idempotency-key", "once")];
    server.ask("POST", "/objects/counter/visits/add", &headers, r#"{"by": 3}"#).is(200, 7.into());
    // Its versions go on where no earlier one of it has been.
    let again = server.post("/objects/counter/gone/add", &json!({"by": 1}));
    assert_eq!(again.header("etag"), Some("\"2-1\""), "{again:?}");
    server.stop();
}

#[test]
fn raised_epochs_give_versions_that_never_were() {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    two_counters(&server);
    let holder = format!("is used by process {}", server.pid());
    run(&mut objectd(dir.path(), &["epochs", "raise", "--yes"])).refused(&[&holder]);
    server.stop();
    assert!(done(&mut objectd(dir.path(), &["epochs", "raise", "--yes"])).contains("raised by 1000, of 1 shards"));
    assert!(done(&mut objectd(dir.path(), &["epochs", "raise", "--yes", "--by", "5"])).contains("raised by 5,"));
    assert_eq!(explained(dir.path(), &["/objects/counter/visits"])["shard"]["epoch"], json!(1006));
    let ended = run(&mut objectd(dir.path(), &["epochs", "raise", "--yes", "--by", "4000000000"]));
    assert!(ended.code == Some(2) && ended.stderr.contains("more than there are"), "{ended:?}");
    run(&mut objectd(dir.path(), &["epochs", "raise", "--by", "many"])).refused(&["'many'", "--by"]);
    let server = Server::new(dir.path(), &[]);
    server.get("/objects/counter/visits").is(200, json!({"value": 7}));
    let next = server.post("/objects/counter/visits/add", &json!({"by": 1}));
    assert_eq!(next.header("etag"), Some("\"1007-1\""), "{next:?}");
    server.stop();
}

/// A command at a terminal, where somebody types this.
fn at_a_terminal(dir: &Path, args: &[&str], typed: &str) -> Option<Ended> {
    use std::io::Write;
    let line = format!("{OBJECTD} {}", args.join(" "));
    let mut command = super::world::program("script", dir);
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).stdin(std::process::Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("SKIPPED: there is no program `script` to make a terminal ({error})");
            return None;
        }
    };
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Some(Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) })
}

#[test]
fn a_purge_asks_at_a_terminal_and_takes_only_a_yes() {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    two_counters(&server);
    server.stop();
    for typed in ["n\n", "\n", "yess\n"] {
        let Some(ended) = at_a_terminal(dir.path(), &["purge"], typed) else { return };
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stdout.contains("[y/N]") && ended.stdout.contains("nothing was removed"), "{ended:?}");
    }
    let ended = at_a_terminal(dir.path(), &["purge"], "y\n").unwrap();
    assert!(ended.code == Some(0) && ended.stdout.contains("removed: 1"), "{ended:?}");
}

#[test]
fn a_file_has_nothing_to_apply_nor_has_memory() {
    let dir = dir();
    for store in ["sqlite:./objectd.db", "memory:"] {
        for args in [&["schema", "print"][..], &["schema", "apply"], &["schema", "apply", "--yes"]] {
            let told = done(objectd(dir.path(), args).args(["--store", store]));
            assert!(told.contains(&format!("nothing is to be applied to {store}")), "{told}");
        }
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn memory_is_of_one_process_alone() {
    let dir = dir();
    for args in [&["explain", "/objects/counter/a"][..], &["purge", "--yes"], &["nodes"], &["shards"]] {
        run(objectd(dir.path(), args).args(["--store", "memory:"])).refused(&["memory of the process"]);
    }
}

#[test]
fn an_object_in_redis_is_explained_while_servers_run_and_after() {
    let Some(redis) = test_stack::redis() else { return };
    let dir = dir();
    let store = format!("redis://{redis}/0?prefix={}:", dir.path().file_name().unwrap().to_str().unwrap());
    let args = ["--store", store.as_str()];
    let visits = [&["/objects/counter/visits"][..], &args].concat();
    let told = done(objectd(dir.path(), &["explain"]).args(&visits));
    assert!(told.contains("nobody has served from this store"), "{told}");

    let mut command = objectd(dir.path(), &args);
    let server = Server::start(command.args(["--listen", "127.0.0.1:0"]).env("HOSTNAME", "first"));
    two_counters(&server);
    let found = explained(dir.path(), &visits);
    assert_eq!((&found["owner"]["node"], &found["owner"]["up"]), (&json!("first"), &json!(true)), "{found}");
    assert_eq!((&found["shard"]["of"], &found["shard"]["epoch"]), (&json!(1024), &json!(1)), "{found}");
    assert!(found["record"]["version"].as_str().unwrap().starts_with("1-"), "{found}");
    let beat = found["owner"]["beat"].as_u64().unwrap();
    let beats = || explained(dir.path(), &visits)["owner"]["beat"].as_u64().unwrap() > beat;
    assert!(within(std::time::Duration::from_secs(10), beats), "it beats, and that is seen");
    // The doctor looks while it runs, and disturbs nobody.
    let told = done(objectd(dir.path(), &["doctor"]).args(args));
    assert!(told.contains("for many processes") && told.ends_with("all is as it should be\n"), "{told}");
    server.get("/objects/counter/visits").is(200, json!({"value": 7}));

    not_now(&run(objectd(dir.path(), &["purge", "--yes"]).args(args)), &["in use: first (", "beats", "SIGTERM"]);
    server.kill();
    assert_eq!(explained(dir.path(), &visits)["owner"]["up"], json!(true), "nobody has declared it dead");
    not_now(
        &run(objectd(dir.path(), &["purge", "--yes"]).args(args)),
        &["stood still for 3 s and is probably dead", "start a server of the same name"],
    );
    // What it says helps.
    let mut command = objectd(dir.path(), &args);
    Server::start(command.args(["--listen", "127.0.0.1:0"]).env("HOSTNAME", "first")).stop();
    let told = done(objectd(dir.path(), &["explain"]).args(&visits));
    assert!(told.contains("dead, so that anybody may take the shard"), "{told}");
    let raised = done(objectd(dir.path(), &["epochs", "raise", "--yes"]).args(args));
    assert!(raised.contains("of 1024 shards"), "{raised}");
    assert!(explained(dir.path(), &visits)["shard"]["epoch"].as_u64() > Some(1000));
    let ended = run(objectd(dir.path(), &["purge", "--yes"]).args(args));
    assert!(ended.code == Some(2) && ended.stderr.contains("no key is ever removed"), "{ended:?}");
}
