//! A password in a URL shows nowhere: not on stdout, not on stderr, not in the log, whatever is wrong with the URL.

use std::path::Path;
use std::process::Command;

use super::world::{Ended, dir, objectd, run};

/// In two parts, since the second stands behind a character that should have been encoded.
const PARTS: [&str; 2] = ["s3cr", "xyzzy"];

/// URLs with the password in them; nobody listens on port 1.
const URLS: &[&str] = &[
    "cassandra://alice:s3crxyzzy@127.0.0.1:1/shop",
    "redis://:s3crxyzzy@127.0.0.1:1/0",
    "memcached://alice:s3crxyzzy@127.0.0.1:1",
    "cassandra://alice:s3cr@xyzzy@127.0.0.1:1/shop",
    "cassandra://alice:s3cr/xyzzy@127.0.0.1:1/shop",
    "cassandra://alice:s3cr?xyzzy@127.0.0.1:1/shop",
    "cassandra://alice:s3cr%zzxyzzy@127.0.0.1:1/shop",
    "cassandra://alice:s3crxyzzy@127.0.0.1:1/shop?what=ever",
    "cassandra://alice:s3crxyzzy@:1,,/shop",
    "cassandra:alice:s3crxyzzy@127.0.0.1:1",
    "cassandar://alice:s3crxyzzy@127.0.0.1:1",
    "alice:s3crxyzzy@127.0.0.1:1",
    "redis://127.0.0.1:1/0?password=s3crxyzzy",
    "rediss://alice:s3crxyzzy@127.0.0.1:1/0",
    "rediss://alice:s3crxyzzy@127.0.0.1:1/0?tls-ca=secret.toml",
    "memcached://alice:s3crxyzzy@127.0.0.1:1?tls-ca=secret.toml",
    "cassandra://alice:s3crxyzzy@127.0.0.1:1/shop?tls-ca=secret.toml&tls-cert=secret.toml&tls-key=secret.toml",
];

/// Waits for no server: what cannot be reached is to be told at once.
#[track_caller]
fn shows_no_secret(command: &mut Command) -> Ended {
    let ended = run(command.env("RUST_LOG", "trace"));
    for part in PARTS {
        assert!(!ended.stdout.contains(part) && !ended.stderr.contains(part), "{command:?}: {ended:?}");
    }
    ended
}

fn file(dir: &Path, text: &str) {
    std::fs::write(dir.join("secret.toml"), text).unwrap();
}

#[test]
fn a_password_shows_in_no_error() {
    let dir = dir();
    for &url in URLS {
        let ended = shows_no_secret(&mut objectd(dir.path(), &["--listen", "127.0.0.1:0", "--store", url]));
        assert!(ended.code != Some(0) && ended.stderr.contains("error: "), "{url}: {ended:?}");
        // A wrong place for a URL.
        for args in [&[url][..], &["--sotre", url], &["--log", url], &["--listen", url], &["--public-url", url]] {
            if url.contains("://") {
                assert_ne!(shows_no_secret(&mut objectd(dir.path(), args)).code, Some(0), "{args:?}");
            }
        }
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_password_shows_in_no_command() {
    let dir = dir();
    for &url in URLS {
        for args in [
            &["doctor"][..],
            &["explain", "/objects/counter/a"],
            &["purge", "--yes"],
            &["epochs", "raise", "--yes"],
            &["schema", "print"],
            &["schema", "apply", "--yes"],
        ] {
            let ended = shows_no_secret(objectd(dir.path(), args).args(["--store", url]));
            assert!(ended.code != Some(0) || args[0] == "schema", "{args:?} {url}: {ended:?}");
        }
        shows_no_secret(objectd(dir.path(), &["doctor", "--store", "memory:"]).args(["--cache", url]));
        shows_no_secret(&mut objectd(dir.path(), &["explain", url]));
    }
}

#[test]
fn a_password_shows_in_no_settings() {
    let dir = dir();
    for &url in URLS {
        file(dir.path(), &format!("store = {url:?}\ncache = {url:?}\n[cache-pools]\nlarge = {url:?}\n"));
        for args in [&["--config", "secret.toml"][..], &["--store", url], &["--cache", url]] {
            let ended = shows_no_secret(objectd(dir.path(), args).arg("--print-config"));
            assert!(ended.code == Some(0) && ended.stdout.contains("***"), "{ended:?}");
        }
        shows_no_secret(objectd(dir.path(), &["--help"]).env("REMOTE_OBJECT_STORE", url));
        for broken in [format!("store = {url:?} x"), format!("store = \"{url}"), format!("log = {url:?}")] {
            file(dir.path(), &broken);
            assert_eq!(shows_no_secret(&mut objectd(dir.path(), &["--config", "secret.toml"])).code, Some(2));
        }
    }
}

#[test]
fn the_settings_that_are_shown_are_not_taken_for_the_real_ones() {
    let dir = dir();
    let shown = run(&mut objectd(dir.path(), &["--store", URLS[0], "--print-config"])).stdout;
    file(dir.path(), &shown);
    let back = run(&mut objectd(dir.path(), &["--config", "secret.toml"]));
    back.refused(&["cassandra://alice:***@127.0.0.1:1/shop", "write that in its place"]);
}
