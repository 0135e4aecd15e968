//! What start-up refuses, with what to change: on the real nodes, and on nodes that say they are others.

use bytes::{BufMut, BytesMut};
use remote_object::Config;
use remote_object::error::Kind;
use remote_object::model::Durability;
use remote_object::storage::{Cassandra, Datastore, open, schema_apply};
use scylla::client::session::Session;
use scylla_proxy::{RequestOpcode, RequestRule, ResponseOpcode};

use super::wire::{Wire, answer, forge, string};
use super::world::{self, fresh, is_there, run};

async fn refusal(config: &Config) -> String {
    let error = open(config).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config, "{error:?}");
    assert!(!error.message().contains('\n'), "more than one line: {error}");
    error.message().to_owned()
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

/// A keyspace that goes with the test.
struct Keyspace {
    session: Session,
    name: String,
}

impl Keyspace {
    async fn new(replication: &str) -> Self {
        let session = world::session().await;
        let name = fresh("refused").replace('-', "_");
        run(&session, &format!("CREATE KEYSPACE {name} WITH replication = {replication}")).await;
        Self { session, name }
    }

    fn config(&self) -> Config {
        world::config(&self.name, "")
    }

    async fn alter(&self, text: &str) {
        run(&self.session, &text.replace("{ks}", &self.name)).await;
    }
}

impl Drop for Keyspace {
    fn drop(&mut self) {
        let text = format!("DROP KEYSPACE {}", self.name);
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { run(&world::session().await, &text).await });
        });
        let _ = dropped.join();
    }
}

#[tokio::test]
async fn a_store_whose_tables_are_not_there_is_told_how_to_make_them() {
    if !is_there() {
        return;
    }
    let nowhere = world::config("objectd_no_such_keyspace", "");
    says(
        &refusal(&nowhere).await,
        &["no keyspace objectd_no_such_keyspace", "objectd schema apply --store 'cassandra://"],
    );
    let mut config = world::shared_config().await;
    config.store = config.store.replace("prefix=shared_", "prefix=no_such_");
    says(&refusal(&config).await, &["no table objectd_kit.no_such_object", "objectd schema apply"]);
    config.store = config.store.replace("?prefix=no_such_", "?datacenter=dc9");
    says(&refusal(&config).await, &["no datacenter \"dc9\"", "datacenter1"]);
}

#[tokio::test]
async fn servers_that_are_not_there_are_named() {
    let mut config = Config::default();
    config.store = "cassandra://user:s3cret@127.0.0.1:1/ks".into();
    let error = open(&config).await.unwrap_err();
    // They may come up by themselves.
    assert_eq!(error.kind(), Kind::StoreUnavailable, "{error:?}");
    let text = error.message();
    says(text, &["\"cassandra://user:***@127.0.0.1:1/ks\" cannot be used", "see that these servers run"]);
    assert!(!text.contains("s3cret"));
}

#[tokio::test]
async fn a_commit_log_that_is_late_is_refused_until_it_is_taken() {
    if !is_there() {
        return;
    }
    let mut config = world::shared_config().await;
    let store = Cassandra::open(&config).await.unwrap();
    config.allow_periodic = false;
    match store.caps().durability {
        Durability::PowerSafe => drop(Cassandra::open(&config).await.unwrap()),
        _ => says(&refusal(&config).await, &["commitlog_sync periodic", "batch or group", "--allow-periodic"]),
    }
}

#[tokio::test]
async fn a_keyspace_that_loses_data_with_one_server_is_refused() {
    if !is_there() {
        return;
    }
    let keyspace = Keyspace::new("{'class': 'NetworkTopologyStrategy', 'datacenter1': 1}").await;
    let mut config = keyspace.config();
    let text = refusal(&config).await;
    says(&text, &["has 1 replicas in the datacenter datacenter1", "ALTER KEYSPACE", "--dev"]);
    config.store += "?scope=global";
    says(&refusal(&config).await, &["has 1 replicas in all"]);
    config.dev = true;
    says(&refusal(&config).await, &["there is no table"]);
    keyspace.alter("ALTER KEYSPACE {ks} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}").await;
    says(&refusal(&keyspace.config()).await, &["SimpleStrategy, which knows no datacenters"]);
    let three = "ALTER KEYSPACE {ks} WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 3}";
    keyspace.alter(&format!("{three} AND durable_writes = false")).await;
    says(&refusal(&keyspace.config()).await, &["keeps no commit log", "durable_writes = true"]);
}

#[tokio::test]
async fn an_option_of_a_table_that_breaks_a_promise_is_refused_and_the_cure_cures() {
    if !is_there() {
        return;
    }
    let keyspace = Keyspace::new("{'class': 'NetworkTopologyStrategy', 'datacenter1': 3}").await;
    let config = keyspace.config();
    let applied = schema_apply(&config).await.unwrap();
    assert_eq!(applied.len(), 4, "the keyspace was there: {applied:#?}");
    assert!(schema_apply(&config).await.unwrap().is_empty(), "all is there");
    Cassandra::open(&config).await.unwrap();
    for (option, told) in [
        ("default_time_to_live = 60", "forgets its rows after 60 s"),
        ("read_repair = 'NONE'", "has read_repair NONE"),
        ("compaction = {'class': 'SizeTieredCompactionStrategy'}", "has SizeTieredCompactionStrategy"),
        ("compaction = {'class': 'TimeWindowCompactionStrategy'}", "has TimeWindowCompactionStrategy"),
    ] {
        keyspace.alter(&format!("ALTER TABLE {{ks}}.object WITH {option}")).await;
        let text = refusal(&config).await;
        says(&text, &[told, "change it with `ALTER TABLE"]);
        let cure = text.rsplit('`').nth(1).unwrap();
        run(&keyspace.session, cure).await;
        Cassandra::open(&config).await.unwrap();
    }
    keyspace.alter("ALTER TABLE {ks}.register WITH comment = 'remote-object schema 99'").await;
    says(&refusal(&config).await, &["made by a newer release (step 99, this build knows up to 1)"]);
    assert!(schema_apply(&config).await.unwrap_err().message().contains("newer release"));
    keyspace.alter("ALTER TABLE {ks}.register WITH comment = 'ours'").await;
    says(&refusal(&config).await, &["does not say which step it is at"]);
    keyspace.alter("ALTER TABLE {ks}.register WITH comment = 'remote-object schema 1'").await;
    keyspace.alter("ALTER TABLE {ks}.hint DROP due").await;
    says(&refusal(&config).await, &["cannot be used as ours", "due"]);
}

/// Opens a store on nodes that answer these queries otherwise.
async fn open_forged(forged: impl Fn() -> Vec<RequestRule>, change: impl Fn(&mut Config)) -> Result<Cassandra, String> {
    let mut config = world::shared_config().await;
    let mut wire = Wire::up().await;
    wire.requests(|_| forged());
    config = wire.config(&config);
    config.allow_periodic = false;
    change(&mut config);
    let opened = Cassandra::open(&config).await.map_err(|error| error.message().to_owned());
    wire.down().await;
    opened
}

/// What a node says of itself that is Cassandra.
fn cassandra(version: &str, settings: &[[&str; 2]]) -> Vec<RequestRule> {
    let settings: Vec<&[&str]> = settings.iter().map(<[&str; 2]>::as_slice).collect();
    vec![
        answer("SELECT release_version", &["release_version"], &[&[version]]),
        answer("system_views.settings", &["name", "value"], &settings),
    ]
}

/// What a node says of itself that is Scylla.
fn scylla(version: &str, sync: &str, tablets: bool) -> Vec<RequestRule> {
    let with_tablets: &[&[&str]] = &[&["0"]];
    vec![
        answer("FROM system.versions", &["version"], &[&[version]]),
        // As JSON.
        answer("FROM system.config", &["name", "value"], &[&["commitlog_sync", &format!("\"{sync}\"")]]),
        answer("system_schema.scylla_keyspaces", &["initial_tablets"], if tablets { with_tablets } else { &[] }),
    ]
}

#[tokio::test]
async fn a_cassandra_whose_transactions_are_broken_is_refused() {
    if !is_there() {
        return;
    }
    for (version, right) in [("3.11.19", "use 4.0 or newer"), ("4.1.5", "use 4.1.6 or newer")] {
        let batch = [["commitlog_sync", "batch"]];
        let refused = open_forged(|| cassandra(version, &batch), |_| {}).await.unwrap_err();
        says(&refused, &[version, right]);
    }
    let store = open_forged(|| cassandra("4.1.6", &[["commitlog_sync", "group"]]), |_| {}).await.unwrap();
    assert_eq!(store.caps().durability, Durability::PowerSafe);
}

#[tokio::test]
async fn a_cassandra_that_refuses_our_timestamps_is_refused() {
    if !is_there() {
        return;
    }
    let guarded = [["commitlog_sync", "batch"], ["minimum_timestamp_fail_threshold", "1d"]];
    let refused = open_forged(|| cassandra("5.0.8", &guarded), |_| {}).await.unwrap_err();
    says(&refused, &["refuses writes with old timestamps", "remove minimum_timestamp_fail_threshold"]);
}

#[tokio::test]
async fn a_scylla_is_known_by_what_it_says_and_checked_by_its_own_rules() {
    if !is_there() {
        return;
    }
    let refused = open_forged(|| scylla("4.6.3", "batch", false), |_| {}).await.unwrap_err();
    says(&refused, &["runs Scylla 4.6.3", "use 5.0, 2022.1 or newer"]);
    let refused = open_forged(|| scylla("6.2.3-0.20250119.bec", "batch", true), |_| {}).await.unwrap_err();
    says(&refused, &["is on tablets", "from 2025.4 only"]);
    open_forged(|| scylla("6.2.3", "batch", false), |_| {}).await.unwrap();
    let store = open_forged(|| scylla("2025.4.0", "batch", true), |_| {}).await.unwrap();
    assert_eq!(store.caps().durability, Durability::PowerSafe);
    let refused = open_forged(|| scylla("2025.4.0", "periodic", false), |_| {}).await.unwrap_err();
    says(&refused, &["commitlog_sync periodic", "loses it when its process dies", "--allow-periodic"]);
    let taken = open_forged(|| scylla("2025.4.0", "periodic", false), |config| config.allow_periodic = true).await;
    assert_eq!(taken.unwrap().caps().durability, Durability::Weak);
}

#[tokio::test]
async fn the_keyspace_of_a_scylla_that_needs_it_is_made_without_tablets() {
    if !is_there() {
        return;
    }
    for (version, without) in
        [("5.4.0", false), ("6.2.3", true), ("2024.2.1", true), ("2025.3.9", true), ("2025.4.0", false)]
    {
        let name = fresh("tablets").replace('-', "_");
        let mut wire = Wire::up().await;
        wire.requests(|_| scylla(version, "batch", false));
        let config = wire.config(&world::config(&name, ""));
        let error = schema_apply(&config).await.map(drop);
        wire.down().await;
        if without {
            // A Cassandra knows no tablets, and says so.
            let error = error.unwrap_err();
            says(error.message(), &["AND tablets = {'enabled': false}", "was not applied"]);
        } else {
            error.unwrap();
            run(&world::session().await, &format!("DROP KEYSPACE {name}")).await;
        }
    }
}

#[tokio::test]
async fn a_password_that_is_wrong_is_told_and_never_shown() {
    if !is_there() {
        return;
    }
    let mut wire = Wire::up().await;
    let mut class = BytesMut::new();
    string("org.apache.cassandra.auth.PasswordAuthenticator", &mut class);
    let mut refused = BytesMut::new();
    refused.put_i32(0x0100);
    string("Provided username shop and/or password are incorrect", &mut refused);
    let (class, refused) = (class.freeze(), refused.freeze());
    wire.requests(|_| {
        vec![
            forge(RequestOpcode::Startup, ResponseOpcode::Authenticate, class.clone()),
            forge(RequestOpcode::AuthResponse, ResponseOpcode::Error, refused.clone()),
        ]
    });
    let mut config = wire.config(&world::shared_config().await);
    config.store = config.store.replace("cassandra://", "cassandra://shop:s3cret@");
    let text = refusal(&config).await;
    says(&text, &["username shop and/or password are incorrect", "let this user in", "shop:***@"]);
    assert!(!text.contains("s3cret"), "{text}");
    config.store = config.store.replace("shop:s3cret@", "");
    assert!(refusal(&config).await.contains("cannot be used"));
}
