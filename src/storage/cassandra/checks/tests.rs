//! Every refusal, from facts that were made up: clusters of these kinds cannot all be had.

use std::collections::{BTreeMap, HashMap};

use super::*;
use crate::config::Config;
use crate::error::Kind;
use crate::storage::cassandra::facts::Version;

fn server(address: &str, datacenter: &str, product: Product, version: &str, settings: &[(&str, &str)]) -> Server {
    let settings = settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let told = Some(Told { product, version: Version::read(version), settings });
    Server { address: address.into(), datacenter: datacenter.into(), told }
}

fn servers(product: Product, version: &str, settings: &[(&str, &str)]) -> Vec<Server> {
    ["c1", "c2", "c3"].map(|address| server(address, "dc1", product, version, settings)).into()
}

fn table() -> Table {
    Table {
        ttl_s: 0,
        cdc: false,
        read_repair: Some("BLOCKING".into()),
        compaction: "LeveledCompactionStrategy".into(),
        comment: "remote-object schema 1".into(),
    }
}

/// A cluster that nothing is wrong with.
fn good() -> Facts {
    let replication = [("class", "org.apache.cassandra.locator.NetworkTopologyStrategy"), ("dc1", "3")];
    let replication: HashMap<_, _> =
        replication.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Facts {
        servers: servers(Product::Cassandra, "5.0.8", &[("commitlog_sync", "batch")]),
        keyspace: Some(Keyspace { replication, durable_writes: true, tablets: false }),
        tables: TABLES.iter().map(|name| (name.to_string(), table())).collect::<BTreeMap<_, _>>(),
    }
}

fn keyspace(facts: &mut Facts) -> &mut Keyspace {
    facts.keyspace.as_mut().unwrap()
}

fn settings(parameters: &str, change: impl Fn(&mut Config)) -> Settings {
    let store = format!("cassandra://u:s3cret@c1/ks{parameters}");
    let mut config = Config { store, ..Config::default() };
    change(&mut config);
    Settings::read(&config).unwrap()
}

fn checked(parameters: &str, change: impl Fn(&mut Facts)) -> Result<Found> {
    let mut facts = good();
    change(&mut facts);
    check(&settings(parameters, |_| {}), &facts)
}

#[track_caller]
fn refused(parameters: &str, change: impl Fn(&mut Facts), says: &[&str]) {
    let error = checked(parameters, change).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    let text = error.message();
    assert!(!text.contains('\n') && !text.contains("s3cret"), "{text}");
    for part in says {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[test]
fn a_good_cluster_is_taken_as_it_is() {
    let found = checked("", |_| {}).unwrap();
    assert_eq!(found.scope, Scope::Local("dc1".into()));
    assert_eq!((found.durability, found.commitlog.as_str()), (Durability::PowerSafe, "batch"));
    assert_eq!(checked("?scope=global", |_| {}).unwrap().scope, Scope::Global);
    // A server that is down is no reason: a quorum of the others does.
    checked("", |facts| facts.servers[2].told = None).unwrap();
}

#[test]
fn a_scope_that_is_not_there_is_told_which_are() {
    let two = |facts: &mut Facts| facts.servers[2].datacenter = "dc2".into();
    refused("", two, &["the datacenters dc1, dc2", "datacenter=NAME", "scope=global"]);
    refused("?datacenter=dc3", two, &["no datacenter \"dc3\"", "dc1, dc2"]);
    refused("?datacenter=dc2", two, &["has 0 replicas in the datacenter dc2"]);
    assert_eq!(checked("?datacenter=dc1", two).unwrap().scope, Scope::Local("dc1".into()));
    refused("", |facts| facts.servers.iter_mut().for_each(|server| server.told = None), &["no server tells"]);
}

#[test]
fn a_version_whose_transactions_are_broken_is_refused() {
    use Product::{Cassandra, Scylla};
    for (product, version, right) in [
        (Cassandra, "3.11.19", "use 4.0 or newer"),
        (Cassandra, "2.2.0", "use 4.0 or newer"),
        (Cassandra, "4.1.0", "use 4.1.6 or newer"),
        (Cassandra, "4.1.5-SNAPSHOT", "use 4.1.6 or newer"),
        (Scylla, "4.6.11-0.20220911.abc", "use 5.0, 2022.1 or newer"),
        (Scylla, "2021.1.12", "use 5.0, 2022.1 or newer"),
    ] {
        let sync = [("commitlog_sync", "batch")];
        let change = |facts: &mut Facts| facts.servers[1] = server("c2", "dc1", product, version, &sync);
        refused("", change, &["c2 runs", version, right]);
        // In another datacenter it is none of ours.
        checked("?datacenter=dc1", |facts| facts.servers.push(server("d1", "dc2", product, version, &sync))).unwrap();
    }
    for (product, version) in [
        (Cassandra, "4.0.0"),
        (Cassandra, "4.0.19"),
        (Cassandra, "4.1.6"),
        (Cassandra, "5.0.8"),
        (Scylla, "5.0.0"),
        (Scylla, "6.2.3-0.20250119.bec"),
        (Scylla, "2022.1.0"),
        (Scylla, "2025.4.0~rc1"),
    ] {
        checked("", |facts| facts.servers = servers(product, version, &[("commitlog_sync", "batch")])).unwrap();
    }
}

#[test]
fn a_keyspace_is_refused_when_it_is_not_there_or_not_replicated() {
    let apply = "`objectd schema apply --store 'cassandra://u:***@c1/ks'`";
    refused("", |facts| facts.keyspace = None, &["there is no keyspace ks", apply]);
    let replicate = |to: &'static str| {
        move |facts: &mut Facts| {
            keyspace(facts).replication.insert("dc1".into(), to.into());
        }
    };
    let alter = "ALTER KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 3}";
    refused("", replicate("1"), &["has 1 replicas in the datacenter dc1", alter, "--dev"]);
    refused("", replicate("2"), &["has 2 replicas"]);
    refused("", replicate("3/1"), &["\"3/1\" replicas in dc1", "a whole number"]);
    refused("", replicate("7"), &["7 replicas", "where there are 3 servers: there is never a quorum"]);
    refused("?scope=global", replicate("2"), &["has 2 replicas in all"]);
    checked("", replicate("5")).unwrap();
    checked("", replicate("['r1', 'r2', 'r3']")).unwrap();
    let simple = |facts: &mut Facts| {
        let class = "org.apache.cassandra.locator.SimpleStrategy";
        keyspace(facts).replication = [("class", class), ("replication_factor", "3")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    };
    refused("", simple, &["SimpleStrategy, which knows no datacenters", alter]);
    refused("", |facts| keyspace(facts).durable_writes = false, &["keeps no commit log", "durable_writes = true"]);
}

#[test]
fn a_cluster_for_development_may_have_one_replica() {
    let mut facts = good();
    keyspace(&mut facts).replication.insert("dc1".into(), "1".into());
    facts.servers.truncate(1);
    let error = check(&settings("", |_| {}), &facts).unwrap_err();
    assert!(error.message().contains("or start with --dev"), "{error}");
    check(&settings("", |config| config.dev = true), &facts).unwrap();
}

#[test]
fn tablets_are_refused_where_transactions_do_not_work_on_them() {
    let on = |version: &'static str| {
        move |facts: &mut Facts| {
            facts.servers = servers(Product::Scylla, version, &[("commitlog_sync", "batch")]);
            keyspace(facts).tablets = true;
        }
    };
    refused("", on("6.2.1"), &["is on tablets", "from 2025.4 only", "objectd schema apply"]);
    refused("", on("2025.3.2"), &["is on tablets"]);
    checked("", on("2025.4.0")).unwrap();
}

#[test]
fn a_commit_log_that_is_late_is_refused_unless_it_is_taken() {
    let late = |product: Product, sync: &'static str| {
        let mut facts = good();
        facts.servers = servers(product, "2025.4.0", &[("commitlog_sync", "group")]);
        facts.servers[2] = server("c3", "dc1", product, "2025.4.0", &[("commitlog_sync", sync)]);
        facts
    };
    let cure = ["batch or group on every server", "--allow-periodic"];
    for (product, lost, durability) in [
        (Product::Cassandra, "a quorum of servers loses power", Durability::ProcessSafe),
        (Product::Scylla, "when its process dies", Durability::Weak),
    ] {
        let facts = late(product, "periodic");
        let error = check(&settings("", |_| {}), &facts).unwrap_err();
        for part in cure.iter().chain([&"c3 has commitlog_sync periodic", &lost]) {
            assert!(error.message().contains(part), "{part:?} is not in {error}");
        }
        let found = check(&settings("", |config| config.allow_periodic = true), &facts).unwrap();
        assert_eq!((found.durability, found.commitlog.as_str()), (durability, "periodic"));
    }
    let mut hidden = good();
    hidden.servers[0] = server("c1", "dc1", Product::Cassandra, "5.0.8", &[]);
    let error = check(&settings("", |_| {}), &hidden).unwrap_err();
    assert!(error.message().contains("let this user read the server's settings"), "{error}");
}

#[test]
fn a_server_that_refuses_old_timestamps_is_refused() {
    let guarded = |value: &'static str| {
        move |facts: &mut Facts| {
            let settings = [("commitlog_sync", "batch"), ("minimum_timestamp_fail_threshold", value)];
            facts.servers[0] = server("c1", "dc1", Product::Cassandra, "5.0.8", &settings);
        }
    };
    refused("", guarded("1d"), &["c1 refuses writes with old timestamps", "remove minimum_timestamp_fail_threshold"]);
    checked("", guarded("null")).unwrap();
    checked("", guarded("")).unwrap();
}

#[test]
fn tables_are_refused_when_they_are_missing_or_of_another_step() {
    let apply = "`objectd schema apply --store 'cassandra://u:***@c1/ks?prefix=a_'`";
    refused("?prefix=a_", |facts| facts.tables.clear(), &["ks.a_object, ks.a_hint, ks.a_roster, ks.a_register", apply]);
    refused("", |facts| drop(facts.tables.remove("hint")), &["there is no table ks.hint; make it with"]);
    let comment =
        |text: &'static str| move |facts: &mut Facts| facts.tables.get_mut("register").unwrap().comment = text.into();
    refused("", comment("remote-object schema 2"), &["newer release (step 2, this build knows up to 1)"]);
    refused("", comment("remote-object schema 0"), &["at step 0 of 1", "objectd schema apply"]);
    refused("", comment(""), &["does not say which step it is at", "another keyspace or prefix"]);
}

#[test]
fn an_option_of_a_table_that_breaks_a_promise_is_refused() {
    type Change = fn(&mut Table);
    const LEVELED: &str = "compaction = {'class': 'LeveledCompactionStrategy'}";
    let wrong: [(Change, &str, &str); 5] = [
        (|table| table.ttl_s = 60, "forgets its rows after 60 s", "default_time_to_live = 0"),
        (|table| table.cdc = true, "has CDC on", "cdc = false"),
        (|table| table.read_repair = Some("NONE".into()), "has read_repair NONE", "read_repair = 'BLOCKING'"),
        (|table| table.compaction = "TimeWindowCompactionStrategy".into(), "has TimeWindowCompactionStrategy", LEVELED),
        (|table| table.compaction = "SizeTieredCompactionStrategy".into(), "has SizeTieredCompactionStrategy", LEVELED),
    ];
    for name in TABLES {
        for (change, is, should) in wrong {
            let alter = format!("ALTER TABLE ks.{name} WITH {should}");
            refused("", |facts| change(facts.tables.get_mut(name).unwrap()), &[&format!("ks.{name} {is}"), &alter]);
        }
    }
    // Scylla has no such option, and always repairs.
    checked("", |facts| facts.tables.values_mut().for_each(|table| table.read_repair = None)).unwrap();
    // A table of somebody else is none of ours.
    let other = Table { ttl_s: 60, ..table() };
    checked("", |facts| drop(facts.tables.insert("other".into(), other.clone()))).unwrap();
}
