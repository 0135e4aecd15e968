//! Whatever is set up wrongly is said in one line on stderr, with what would be right, and exit code 2.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::world::{Server, dir, objectd, run};

const NOWHERE: &[&str] = &["--listen", "127.0.0.1:0", "--store", "memory:"];

#[track_caller]
fn refused(dir: &Path, args: &[&str], words: &[&str]) {
    run(&mut objectd(dir, args)).refused(words);
}

#[test]
fn a_wrong_flag() {
    let dir = dir();
    let flags = "there are --listen, --store, --cache, --accept-weak-durability, --allow-periodic, --dev, --confirm, --log, --advertise, --node-name, --public-url, --peer-tls-cert, --peer-tls-key, --peer-tls-ca, --config, --print-config, --help, --version";
    refused(dir.path(), &["--lisen", "127.0.0.1:0"], &["no argument --lisen", flags]);
    refused(dir.path(), &["-l", "x"], &["no argument -l", flags]);
    refused(dir.path(), &["--store"], &["--store <URL>", "value is required"]);
    refused(dir.path(), &["--store", "memory:", "--store", "memory:"], &["--store", "multiple times"]);
    refused(dir.path(), &["--log", "xml"], &["--log is \"xml\"", "text or json"]);
    refused(dir.path(), &["--confirm", "all"], &["--confirm is \"all\"", "node or shard"]);
    for address in ["x", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x", "example.com:80", "", ":"] {
        refused(dir.path(), &["--listen", address], &[&format!("--listen is {address:?}"), "such as 127.0.0.1:8080"]);
    }
    for url in ["shop.example", "ftp://x", "https://", "https://x/path"] {
        refused(dir.path(), &["--public-url", url], &["public-url", &format!("{url:?}"), "http(s)://host"]);
    }
}

#[test]
fn certificates_that_cannot_be_used() {
    let dir = dir();
    let one = &["--peer-tls-ca", "ca.pem"];
    refused(dir.path(), one, &["the setting peer-tls-ca is there and peer-tls-cert is not"]);
    let all = ["--peer-tls-cert", "cert.pem", "--peer-tls-key", "key.pem", "--peer-tls-ca", "ca.pem"];
    let why = if cfg!(feature = "tls") { "the setting peer-tls-ca: ca.pem cannot be read" } else { "the feature tls" };
    let ended = run(&mut objectd(dir.path(), &[NOWHERE, &all].concat()));
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains(why), "{ended:?}");
}

#[test]
fn a_wrong_variable_is_called_by_its_name() {
    let dir = dir();
    let cases = [
        ("REMOTE_OBJECT_LISTEN", "nowhere", "such as 127.0.0.1:8080"),
        ("REMOTE_OBJECT_LISTEN", "", "such as 127.0.0.1:8080"),
        ("REMOTE_OBJECT_LOG", "yaml", "text or json"),
        ("REMOTE_OBJECT_CONFIRM", "", "node or shard"),
        ("REMOTE_OBJECT_STORE", "objectd.db", "sqlite:PATH"),
    ];
    for (name, value, right) in cases {
        let ended = run(objectd(dir.path(), &[]).env("REMOTE_OBJECT_LISTEN", "127.0.0.1:0").env(name, value));
        ended.refused(&[&format!("{value:?}"), right]);
        assert!(name == "REMOTE_OBJECT_STORE" || ended.stderr.contains(name), "{ended:?}");
    }
    let ended = run(objectd(dir.path(), &[]).env("REMOTE_OBJECT_STORE", OsStr::from_bytes(b"sqlite:\xff")));
    ended.refused(&["REMOTE_OBJECT_STORE", "no UTF-8"]);
}

#[test]
fn a_wrong_settings_file() {
    let dir = dir();
    let limits = "there are `body-bytes`, `state-bytes`";
    let cases: &[(&[u8], &[&str])] = &[
        (b"lisen = \"x\"", &["line 1", "`lisen`", "there are `listen`, `store`, `cache`"]),
        (b"\n[limits]\nbody-byte = 3", &["line 3", "`body-byte`", limits]),
        (b"[limit]\nbody-bytes = 3", &["line 1", "`limit`", "`limits`"]),
        (b"listen = 8080", &["line 1", "listen = 8080", "expected a string"]),
        (b"listen = \"x\"", &["line 1", "such as 127.0.0.1:8080"]),
        (b"log = \"xml\"", &["line 1", "`text` or `json`"]),
        (b"confirm = \"all\"", &["line 1", "`node` or `shard`"]),
        (b"limits = 3", &["line 1", "expected a table"]),
        (b"allowed-authorities = \"x\"", &["line 1", "expected a list"]),
        (b"allowed-authorities = [\"x\"]", &["allowed-authorities", "\"x\"", "http(s)://host"]),
        (b"[limits]\nbody-bytes = \"1 MiB\"", &["line 2", "body-bytes = \"1 MiB\"", "expected a whole number"]),
        (b"[limits]\nbody-bytes = -1", &["line 2", "`-1`", "expected a whole number, 0 or more"]),
        (b"[limits]\nbody-bytes = 1.5", &["line 2", "expected a whole number"]),
        (b"[limits]\nbody-bytes = 0", &["limits.body-bytes is 0", "at least 1"]),
        (b"[limits]\njson-depth = 100000", &["limits.json-depth is 100000", "at most 512"]),
        (b"store = \"a\"\nstore = \"b\"", &["line 2", "duplicate key"]),
        (b"store = ", &["line 1", "store ="]),
        (b"store = \"\xff\"", &["wrong.toml cannot be read", "UTF-8"]),
        (b"store = \"what:ever\"", &["no store what:", "sqlite:PATH", "memory:"]),
    ];
    for (text, words) in cases {
        std::fs::write(dir.path().join("wrong.toml"), text).unwrap();
        refused(dir.path(), &["--config", "wrong.toml", "--listen", "127.0.0.1:0"], words);
    }
    refused(dir.path(), &["--config", "none.toml"], &["none.toml cannot be read", "No such file"]);
    refused(dir.path(), &["--config", "."], &["the settings file . cannot be read", "directory"]);
}

#[test]
fn an_address_that_cannot_be_had_leaves_no_file_behind() {
    let dir = dir();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(dir.path(), &["--listen", &address], &[&format!("port {} is in use", &address[10..]), "--listen"]);
    refused(dir.path(), &["--listen", "192.0.2.1:80"], &["192.0.2.1 is no address of this machine", "0.0.0.0"]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_url_of_no_store() {
    let dir = dir();
    for url in ["", "objectd.db", "etcd:127.0.0.1/ks", "memory:x", "sqlite:", "sqlite://x.db"] {
        let args = ["--listen", "127.0.0.1:0", "--store", url];
        let right = if url == "memory:x" { "memory:" } else { "sqlite:PATH" };
        refused(dir.path(), &args, &[right]);
    }
}

/// It has the feature, so the URL itself is what is wrong.
#[cfg(feature = "cassandra")]
#[test]
fn a_url_without_servers() {
    let dir = dir();
    let like = "it would be like scheme://user:password@host:port,host/path?name=value";
    refused(dir.path(), &["--listen", "127.0.0.1:0", "--store", "cassandra:c1/ks"], &["no scheme://", like]);
}

/// The error for a file, which has to name it.
#[track_caller]
fn refused_file(dir: &Path, path: &str, words: &[&str]) {
    let url = format!("sqlite:{path}");
    let words: Vec<&str> = words.iter().copied().chain([path]).collect();
    refused(dir, &["--listen", "127.0.0.1:0", "--store", &url], &words);
}

#[test]
fn a_file_that_cannot_be_used() {
    let dir = dir();
    let nowhere = ["--listen", "127.0.0.1:0", "--store", "sqlite:none/objectd.db"];
    refused(dir.path(), &nowhere, &["the directory none cannot be used", "make it first, or name another file"]);
    refused_file(dir.path(), ".", &["is a directory", "name a file in it"]);
    std::fs::write(dir.path().join("text"), "this is no database, whatever it may be called").unwrap();
    refused_file(dir.path(), "text", &["is no SQLite database", "name another file"]);
    refused_file(dir.path(), "text/objectd.db", &["is no directory"]);
    // Not even root may make a file there.
    refused_file(dir.path(), "/proc/objectd.db", &["name a file where this process may write"]);

    let other = rusqlite::Connection::open(dir.path().join("other.db")).unwrap();
    other.execute_batch("CREATE TABLE theirs (x)").unwrap();
    refused_file(dir.path(), "other.db", &["is a SQLite database of another program", "name another file"]);
}

#[test]
fn a_file_that_another_process_uses() {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    // However it is called.
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    let holder = format!("is used by process {} ", server.pid());
    for url in ["sqlite:./objectd.db", "sqlite:objectd.db", "sqlite:sub/../objectd.db"] {
        refused(dir.path(), &["--listen", "127.0.0.1:0", "--store", url], &[&holder, "stop it, or use another file"]);
    }
    server.post("/objects/counter/a/add", &serde_json::json!({"by": 1})).is(200, 1.into());
    server.stop();
    Server::new(dir.path(), &[]).stop();
}

#[test]
fn a_file_from_the_future() {
    let dir = dir();
    Server::new(dir.path(), &[]).stop();
    let path = dir.path().join("objectd.db");
    let file = rusqlite::Connection::open(&path).unwrap();
    file.pragma_update(None, "user_version", 99).unwrap();
    drop(file);
    let before = std::fs::read(&path).unwrap();
    refused_file(dir.path(), "objectd.db", &["written by a newer release", "version 99", "use the newer release"]);
    assert!(std::fs::read(&path).unwrap() == before, "it is left as it is");
}

#[test]
fn no_mistake_shows_a_backtrace() {
    let dir = dir();
    let mut command = objectd(dir.path(), &["--listen", "x"]);
    run(command.env("RUST_BACKTRACE", "full")).refused(&[]);
    let mut command = objectd(dir.path(), NOWHERE);
    run(command.args(["--config", "none.toml"]).env("RUST_BACKTRACE", "1")).refused(&[]);
}
