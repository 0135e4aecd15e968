//! Flags, environment, settings file and defaults: where each comes from, who wins, what is in effect.

use std::path::Path;
use std::process::Command;

use super::world::{Ended, Server, dir, objectd, run};

fn print_config(command: &mut Command) -> toml::Table {
    let ended = run(command.arg("--print-config"));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    ended.stdout.parse().unwrap_or_else(|error| panic!("{error}: {}", ended.stdout))
}

fn file(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).unwrap();
}

const EVERYTHING: &str = r#"
listen = "127.0.0.1:1111"
store = "sqlite:of-file.db"
cache = "memcached://of-file"
accept-weak-durability = true
allow-periodic = true
dev = true
confirm = "shard"
log = "json"
public-url = "https://file.example"
allowed-authorities = ["http://stock.example:8080"]
peer-tls-cert = "cert-of-file.pem"
peer-tls-key = "key-of-file.pem"
peer-tls-ca = "ca-of-file.pem"

[cache-pools]
large = "memcached://large-of-file"

[limits]
body-bytes = 11
state-bytes = 12
uri-bytes = 13
header-bytes = 14
header-count = 15
json-depth = 16
head-timeout-ms = 17
body-timeout-ms = 18
idle-timeout-ms = 19
request-timeout-ms = 20
object-queue = 21
connections = 22
calls = 23
l1-bytes = 24
drain-timeout-ms = 25
"#;

#[test]
fn every_setting_can_stand_in_the_file() {
    let dir = dir();
    file(dir.path(), "all.toml", EVERYTHING);
    let in_effect = print_config(&mut objectd(dir.path(), &["--config", "all.toml"]));
    assert_eq!(in_effect, EVERYTHING.parse().unwrap());
    let mut by_default = print_config(&mut objectd(dir.path(), &[]));
    for none in ["public-url", "cache", "peer-tls-cert", "peer-tls-key", "peer-tls-ca"] {
        by_default.insert(none.into(), "".into());
    }
    let names = |table: &toml::Table| {
        let limits = table["limits"].as_table().unwrap();
        let mut names: Vec<String> = table.keys().chain(limits.keys()).cloned().collect();
        names.sort();
        names
    };
    assert_eq!(names(&in_effect), names(&by_default), "the file above is to have every setting there is");
}

#[test]
fn what_print_config_prints_can_be_fed_back() {
    let dir = dir();
    file(dir.path(), "all.toml", EVERYTHING);
    for args in [&[][..], &["--config", "all.toml"], &["--listen", "[::1]:9", "--store", "memory:", "--log", "json"]] {
        let first = run(objectd(dir.path(), args).arg("--print-config"));
        file(dir.path(), "fed-back.toml", &first.stdout);
        let second = run(&mut objectd(dir.path(), &["--config", "fed-back.toml", "--print-config"]));
        assert_eq!((second.code, &second.stdout), (Some(0), &first.stdout), "{second:?}");
    }
    assert!(!dir.path().join("objectd.db").exists(), "nothing is opened to print the settings");
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file_and_that_over_the_default() {
    let dir = dir();
    file(dir.path(), "all.toml", EVERYTHING);
    let settings = [
        ("listen", "LISTEN", "127.0.0.1:8080", "127.0.0.1:1111", "127.0.0.1:2222", "127.0.0.1:3333"),
        ("store", "STORE", "sqlite:./objectd.db", "sqlite:of-file.db", "sqlite:of-env.db", "sqlite:of-flag.db"),
        ("cache", "CACHE", "", "memcached://of-file", "redis://of-env", "redis://of-flag"),
        ("log", "LOG", "text", "json", "text", "json"),
        ("confirm", "CONFIRM", "node", "shard", "node", "shard"),
        ("public-url", "PUBLIC_URL", "", "https://file.example", "https://env.example", "https://flag.example"),
        ("peer-tls-cert", "PEER_TLS_CERT", "", "cert-of-file.pem", "of-env.pem", "of-flag.pem"),
        ("peer-tls-key", "PEER_TLS_KEY", "", "key-of-file.pem", "of-env.pem", "of-flag.pem"),
        ("peer-tls-ca", "PEER_TLS_CA", "", "ca-of-file.pem", "of-env.pem", "of-flag.pem"),
    ];
    for (name, variable, default, of_file, of_environment, of_flag) in settings {
        let value = |command: &mut Command| {
            let table = print_config(command);
            table.get(name).and_then(toml::Value::as_str).unwrap_or_default().to_owned()
        };
        let mut command = objectd(dir.path(), &[]);
        assert_eq!(value(&mut command), default, "{name}");
        let mut command = objectd(dir.path(), &["--config", "all.toml"]);
        assert_eq!(value(&mut command), of_file, "{name}");
        let variable = format!("REMOTE_OBJECT_{variable}");
        let mut command = objectd(dir.path(), &["--config", "all.toml"]);
        assert_eq!(value(command.env(&variable, of_environment)), of_environment, "{name}");
        let mut command = objectd(dir.path(), &["--config", "all.toml", &format!("--{name}"), of_flag]);
        assert_eq!(value(command.env(&variable, of_environment)), of_flag, "{name}");
    }
}

#[test]
fn a_switch_is_on_by_flag_environment_or_file_and_the_environment_may_turn_it_off_again() {
    let dir = dir();
    file(dir.path(), "all.toml", EVERYTHING);
    for name in ["accept-weak-durability", "allow-periodic", "dev"] {
        let is_on = |command: &mut Command| print_config(command)[name].as_bool().unwrap();
        let flag = format!("--{name}");
        let variable = format!("REMOTE_OBJECT_{}", name.replace('-', "_").to_uppercase());
        assert!(!is_on(&mut objectd(dir.path(), &[])), "{name}");
        assert!(is_on(&mut objectd(dir.path(), &[&flag])), "{name}");
        assert!(is_on(objectd(dir.path(), &[]).env(&variable, "1")), "{name}");
        assert!(is_on(&mut objectd(dir.path(), &["--config", "all.toml"])), "{name}");
        assert!(!is_on(objectd(dir.path(), &["--config", "all.toml"]).env(&variable, "false")), "{name}");
    }
}

#[test]
fn the_environment_may_name_the_file_and_ask_for_the_settings() {
    let dir = dir();
    file(dir.path(), "some.toml", "[limits]\nbody-bytes = 77\n");
    let in_effect = print_config(objectd(dir.path(), &[]).env("REMOTE_OBJECT_CONFIG", "some.toml"));
    assert_eq!(in_effect["limits"]["body-bytes"].as_integer(), Some(77));
    assert_eq!(in_effect["limits"]["json-depth"].as_integer(), Some(128), "what the file does not name stays");
    let asked = run(objectd(dir.path(), &[]).env("REMOTE_OBJECT_PRINT_CONFIG", "1"));
    assert!(asked.code == Some(0) && asked.stdout.contains("[limits]"), "{asked:?}");
    let not = run(objectd(dir.path(), &["--log", "x"]).env("REMOTE_OBJECT_PRINT_CONFIG", "false"));
    not.refused(&[]);
}

#[test]
fn an_address_may_be_written_short_wherever_it_stands() {
    let dir = dir();
    for (short, long) in [(":90", "0.0.0.0:90"), ("localhost:91", "127.0.0.1:91"), ("[::1]:92", "[::1]:92")] {
        let of_flag = print_config(&mut objectd(dir.path(), &["--listen", short]));
        let of_environment = print_config(objectd(dir.path(), &[]).env("REMOTE_OBJECT_LISTEN", short));
        file(dir.path(), "short.toml", &format!("listen = {short:?}"));
        let of_file = print_config(&mut objectd(dir.path(), &["--config", "short.toml"]));
        for in_effect in [of_flag, of_environment, of_file] {
            assert_eq!(in_effect["listen"].as_str(), Some(long));
        }
    }
}

#[test]
fn a_limit_from_the_file_is_one() {
    let dir = dir();
    file(dir.path(), "small.toml", "[limits]\nbody-bytes = 10\n");
    let server = Server::new(dir.path(), &["--config", "small.toml", "--store", "memory:"]);
    let too_large = server.post("/objects/counter/a/add", &serde_json::json!({"by": 1_000_000}));
    too_large.problem(413, "body-too-large");
    server.post("/objects/counter/a/add", &serde_json::json!({"by": 1})).is(200, 1.into());
}

#[test]
fn help_and_version_are_answers_and_not_errors() {
    let dir = dir();
    let Ended { code, stdout, stderr } = run(&mut objectd(dir.path(), &["--help"]));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    for flag in [
        "listen",
        "store",
        "cache",
        "accept-weak-durability",
        "allow-periodic",
        "dev",
        "log",
        "public-url",
        "peer-tls-cert",
        "peer-tls-key",
        "peer-tls-ca",
        "config",
        "print-config",
    ] {
        let variable = format!("[env: REMOTE_OBJECT_{}]", flag.replace('-', "_").to_uppercase());
        assert!(stdout.contains(&format!("--{flag}")) && stdout.contains(&variable), "{flag} in {stdout}");
    }
    for default in ["[default: 127.0.0.1:8080]", "[default: sqlite:./objectd.db]", "[default: text]"] {
        assert!(stdout.contains(default), "{default} in {stdout}");
    }
    let Ended { code, stdout, stderr } = run(&mut objectd(dir.path(), &["--version"]));
    let version = format!("objectd (remote-object {})\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((code, stdout, stderr.as_str()), (Some(0), version, ""));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is opened");
}
