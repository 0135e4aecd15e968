//! Tables whose other side is the code: settings, limits, steps, features.

use std::collections::BTreeMap;
use std::time::Duration;

use remote_object::Config;
use remote_object::config::{
    CHAIN_DEPTH_MAX, DEAD_ROW_KEPT, DRAIN_NOTICE, FORMAT_AFTER, ID_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX,
    INDEX_ENTRIES_MAX, KEPT_REPLY_BYTES_MAX, KEYED_BYTES_MAX, KEYED_CALLS_MAX, LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX,
    MAP_REFRESH, NODE_NAME_BYTES_MAX, OWNER_WAIT_MAX, PUT_UNKNOWN_MAX, RELEASE_AFTER, REQUEST_TIMEOUT_MAX, SHARDS,
    SHARED_ITEM_BYTES_MAX, TURN_CALLS_MAX, TURN_RUNNING_MAX, TYPE_NAME_BYTES_MAX,
};

use crate::{names, read, table};

/// Every key with its default, as the table writes it.
fn settings(config: &Config) -> BTreeMap<String, String> {
    fn add(prefix: &str, table: &toml::Table, into: &mut BTreeMap<String, String>) {
        for (name, value) in table {
            let key = format!("{prefix}{name}");
            match value {
                toml::Value::Table(inner) => add(&format!("{key}."), inner, into),
                toml::Value::String(text) => _ = into.insert(key, text.clone()),
                value => _ = into.insert(key, value.to_string()),
            }
        }
    }
    let mut all = BTreeMap::new();
    add("", &toml::Table::try_from(config).unwrap(), &mut all);
    all
}

#[test]
fn every_setting_stands_in_the_page_with_its_default() {
    let mut expected = settings(&Config::default());
    // TOML has no word for "none".
    for none in ["public-url", "cache", "advertise", "node-name", "peer-tls-cert", "peer-tls-key", "peer-tls-ca"] {
        assert_eq!(expected.insert(none.into(), "none".into()), None);
    }
    // A table without entries would have no row.
    expected.insert("cache-pools".into(), "{}".into());
    let rows = table(&read("docs/settings.md"), "TOML key");
    let documented: BTreeMap<String, String> =
        rows.iter().map(|row| (row[0].replace('`', ""), row[2].replace('`', ""))).collect();
    assert_eq!(documented, expected);
    assert_eq!(rows.len(), expected.len(), "a setting stands there twice");
    assert!(rows.iter().all(|row| row.iter().all(|cell| !cell.is_empty())));
}

fn millis(duration: Duration) -> String {
    match duration.as_millis() {
        ms if ms.is_multiple_of(1000) => format!("{} s", ms / 1000),
        ms if ms > 1000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        ms => format!("{ms} ms"),
    }
}

#[test]
fn every_constant_stands_in_the_page_with_its_value() {
    let values = [
        ("TYPE_NAME_BYTES_MAX", TYPE_NAME_BYTES_MAX.to_string()),
        ("ID_BYTES_MAX", ID_BYTES_MAX.to_string()),
        ("IDEMPOTENCY_KEY_BYTES_MAX", IDEMPOTENCY_KEY_BYTES_MAX.to_string()),
        ("CHAIN_DEPTH_MAX", CHAIN_DEPTH_MAX.to_string()),
        ("TURN_CALLS_MAX", TURN_CALLS_MAX.to_string()),
        ("TURN_RUNNING_MAX", millis(TURN_RUNNING_MAX)),
        ("PUT_UNKNOWN_MAX", millis(PUT_UNKNOWN_MAX)),
        ("KEPT_REPLY_BYTES_MAX", KEPT_REPLY_BYTES_MAX.to_string()),
        ("KEYED_CALLS_MAX", KEYED_CALLS_MAX.to_string()),
        ("KEYED_BYTES_MAX", KEYED_BYTES_MAX.to_string()),
        ("LIST_LIMIT_MAX", LIST_LIMIT_MAX.to_string()),
        ("LIST_LIMIT_DEFAULT", LIST_LIMIT_DEFAULT.to_string()),
        ("REQUEST_TIMEOUT_MAX", millis(REQUEST_TIMEOUT_MAX)),
        ("NODE_NAME_BYTES_MAX", NODE_NAME_BYTES_MAX.to_string()),
        ("OWNER_WAIT_MAX", millis(OWNER_WAIT_MAX)),
        ("MAP_REFRESH", millis(MAP_REFRESH)),
        ("RELEASE_AFTER", millis(RELEASE_AFTER)),
        ("FORMAT_AFTER", millis(FORMAT_AFTER)),
        ("DRAIN_NOTICE", millis(DRAIN_NOTICE)),
        ("DEAD_ROW_KEPT", millis(DEAD_ROW_KEPT)),
        ("SHARDS", SHARDS.to_string()),
        ("INDEX_ENTRIES_MAX", INDEX_ENTRIES_MAX.to_string()),
        ("SHARED_ITEM_BYTES_MAX", SHARED_ITEM_BYTES_MAX.to_string()),
    ];
    let expected: BTreeMap<String, String> = values.map(|(name, value)| (name.to_owned(), value)).into();
    let rows = table(&read("docs/settings.md"), "constant");
    let documented: BTreeMap<String, String> =
        rows.iter().map(|row| (row[0].replace('`', ""), row[1].clone())).collect();
    assert_eq!(documented, expected);
    // None is forgotten here.
    let source = read("src/config.rs");
    let declared = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split_once(':'));
    let mut declared: Vec<&str> = declared.map(|(name, _)| name).collect();
    declared.sort_unstable();
    assert_eq!(declared, expected.keys().collect::<Vec<_>>());
}

#[test]
fn every_step_of_the_tests_stands_in_the_page() {
    let source = read("xtask/src/steps.rs");
    let steps = source.lines().filter_map(|line| line.trim().strip_prefix("Step { name: \"")?.split_once('"'));
    let steps = steps.map(|(name, _)| name.to_owned());
    // What most steps are has no name.
    let steps: Vec<String> = steps.filter(|name| !name.is_empty()).collect();
    let rows = table(&read("CONTRIBUTING.md"), "step");
    assert_eq!(rows.iter().flat_map(|row| names(&row[0])).collect::<Vec<_>>(), steps);
}

#[test]
fn every_task_stands_in_the_page() {
    let source = read("xtask/src/main.rs");
    let (_, tasks) = source.split_once("enum Task {").unwrap();
    let tasks = tasks.split_once("\n}").unwrap().0.lines();
    let tasks = tasks.filter_map(|line| line.strip_prefix("    ")?.split([' ', '(', ',']).next());
    let tasks: Vec<String> = tasks.filter(|name| name.starts_with(char::is_uppercase)).map(str::to_lowercase).collect();
    assert!(tasks.len() >= 5, "{tasks:?}");
    let page = read("CONTRIBUTING.md");
    for task in tasks {
        assert!(page.contains(&format!("$ cargo xtask {task}")), "{task}");
    }
}

#[test]
fn every_feature_stands_in_the_crates_front_page() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let features = manifest["features"].as_table().unwrap();
    let default = features["default"].as_array().unwrap();
    let is_default = |name: &str| default.iter().any(|other| other.as_str() == Some(name));
    let expected: BTreeMap<String, bool> =
        features.keys().filter(|name| *name != "default").map(|name| (name.clone(), is_default(name))).collect();
    let front: String = read("src/lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! "))
        .map(|line| format!("{line}\n"))
        .collect();
    let rows = table(&front, "feature");
    let documented = rows.iter().map(|row| (names(&row[0]).remove(0), row[1] == "yes")).collect();
    assert_eq!(expected, documented);
}
