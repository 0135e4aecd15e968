//! The nodes, and keyspaces and tables on them for each test.
//!
//! To make four tables takes seconds and to drop them longer, so sets of tables are kept in one keyspace, and those that
//! were written to are emptied before the next use: a truncation costs the nodes more than most tests.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};

use remote_object::Config;
use remote_object::conformance::Place;
use remote_object::storage::{Cassandra, schema_apply};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::statement::Statement;
use tokio::sync::Mutex;

use super::wire::Wire;

/// Where the sets of tables are.
const KEYSPACE: &str = "objectd_kit";
const TABLES: [&str; 4] = ["object", "hint", "roster", "register"];
/// A set rests a while before it is used again: a request that nobody waited for may come late.
const SETS_MIN: usize = 6;
/// A truncation is slow, and slower beside others.
const SCHEMA_MAX: std::time::Duration = std::time::Duration::from_secs(60);

pub(crate) fn is_there() -> bool {
    test_stack::cassandra().is_some()
}

/// The settings of a store in a keyspace; `parameters` begin with `?`, or are empty.
pub(crate) fn config(keyspace: &str, parameters: &str) -> Config {
    let hosts = test_stack::cassandra().unwrap();
    let mut config = Config::default();
    config.store = format!("cassandra://{hosts}/{keyspace}{parameters}");
    config.allow_periodic = true;
    config
}

/// A session that has nothing to do with the store's.
pub(crate) async fn session() -> Session {
    let hosts = test_stack::cassandra().unwrap();
    SessionBuilder::new().known_nodes(hosts.split(',')).build().await.unwrap()
}

/// Runs a statement that is not to fail.
pub(crate) async fn run(session: &Session, text: &str) {
    let mut statement = Statement::new(text);
    statement.set_request_timeout(Some(SCHEMA_MAX));
    session.query_unpaged(statement, &[]).await.unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// A set of tables: the place that uses it, and the file that keeps other processes off it.
struct Set {
    prefix: String,
    place: Option<String>,
    /// The way to it, if it is a faulty one.
    wire: Option<Wire>,
    /// What they had seen of writes when they were last empty.
    writes: Option<Writes>,
    _lock: File,
}

impl Set {
    fn is_of(&self, place: &str) -> bool {
        self.place.as_deref() == Some(place)
    }
}

/// By the table: how many writes each node has carried out.
type Writes = BTreeMap<&'static str, Vec<i64>>;

/// Those this process has, the one that rested longest first.
static SETS: Mutex<Vec<Set>> = Mutex::const_new(Vec::new());

/// The settings of the store of a place, whose tables are empty at first.
pub(crate) async fn config_for(place: &Place) -> Config {
    let prefix = prefix_for(place.name()).await;
    config(KEYSPACE, &format!("?prefix={prefix}"))
}

/// A store of a place over a faulty way. It is opened while the way is well: a start that fails is tried again by whoever
/// starts it.
pub(crate) async fn open_over_a_faulty_way(place: &Place) -> Cassandra {
    let config = config_for(place).await;
    let mut wire = wire_of(place).await;
    match &mut wire {
        Some(wire) => wire.mend(),
        None => wire = Some(Wire::up().await),
    }
    let mut wire = wire.unwrap();
    let store = Cassandra::open(&wire.config(&config)).await.unwrap();
    wire.be_faulty();
    let mut sets = SETS.lock().await;
    sets.iter_mut().find(|set| set.is_of(place.name())).unwrap().wire = Some(wire);
    store
}

async fn wire_of(place: &Place) -> Option<Wire> {
    SETS.lock().await.iter_mut().find(|set| set.is_of(place.name()))?.wire.take()
}

async fn prefix_for(place: &str) -> String {
    let mut sets = SETS.lock().await;
    if let Some(set) = sets.iter().find(|set| set.is_of(place)) {
        return set.prefix.clone();
    }
    let mut set = match sets.iter().position(|set| set.place.is_none()) {
        Some(at) if sets.len() >= SETS_MIN => sets.remove(at),
        _ => {
            let set = new_set(sets.len());
            schema_apply(&config(KEYSPACE, &format!("?prefix={}", set.prefix))).await.unwrap();
            set
        }
    };
    set.place = Some(place.to_owned());
    let (prefix, before) = (set.prefix.clone(), set.writes.take());
    sets.push(set);
    drop(sets);
    let session = session().await;
    let writes = writes(&session, &prefix).await;
    let changed = TABLES.iter().filter(|table| before.as_ref().is_none_or(|before| before[**table] != writes[**table]));
    let truncate = changed.map(|table| format!("TRUNCATE {KEYSPACE}.{prefix}{table}"));
    futures_util::future::join_all(truncate.map(async |text| run(&session, &text).await)).await;
    let mut sets = SETS.lock().await;
    sets.iter_mut().find(|set| set.is_of(place)).unwrap().writes = Some(writes);
    prefix
}

/// How many writes each node has carried out since its start, to each table of a set.
async fn writes(session: &Session, prefix: &str) -> Writes {
    let mut writes = Writes::default();
    for node in session.get_cluster_state().get_nodes_info() {
        let mut statement =
            Statement::new("SELECT keyspace_name, table_name, count FROM system_views.local_write_latency");
        let node = NodeIdentifier::Node(node.clone());
        statement.set_load_balancing_policy(Some(SingleTargetLoadBalancingPolicy::new(node, None)));
        let rows = session.query_unpaged(statement, &[]).await.unwrap().into_rows_result().unwrap();
        for row in rows.rows::<(String, String, i64)>().unwrap() {
            let (keyspace, name, count) = row.unwrap();
            let table = name.strip_prefix(prefix).and_then(|name| TABLES.into_iter().find(|table| *table == name));
            if let (KEYSPACE, Some(table)) = (keyspace.as_str(), table) {
                writes.entry(table).or_default().push(count);
            }
        }
    }
    writes
}

/// Runs a test on tables that are empty at first, and its own meanwhile.
pub(crate) async fn with_tables<F: Future<Output = ()>>(test: impl FnOnce(Config) -> F) {
    let name = fresh("test");
    let prefix = prefix_for(&name).await;
    test(config(KEYSPACE, &format!("?prefix={prefix}"))).await;
    give_back(&name).await;
}

/// The place is done with.
pub(crate) async fn done(place: Place) {
    give_back(place.name()).await;
}

async fn give_back(place: &str) {
    let mut sets = SETS.lock().await;
    let Some(at) = sets.iter().position(|set| set.is_of(place)) else { return };
    let mut set = sets.remove(at);
    set.place = None;
    let wire = set.wire.take();
    sets.push(set);
    drop(sets);
    if let Some(wire) = wire {
        wire.down().await;
    }
}

/// A set that no other process has.
fn new_set(from: usize) -> Set {
    for number in from.. {
        let lock = std::env::temp_dir().join(format!("remote-object-{KEYSPACE}-{number}.lock"));
        let lock = File::options().create(true).truncate(false).write(true).open(lock).unwrap();
        if lock.try_lock().is_ok() {
            return Set { prefix: format!("set{number}_"), place: None, wire: None, writes: None, _lock: lock };
        }
    }
    unreachable!("some number is free")
}

/// The settings of a store in tables that all tests share: each uses names of its own, see [`fresh`].
pub(crate) async fn shared_config() -> Config {
    static MADE: Mutex<bool> = Mutex::const_new(false);
    let config = config(KEYSPACE, "?prefix=shared_");
    let mut made = MADE.lock().await;
    if !*made {
        schema_apply(&config).await.unwrap();
        *made = true;
    }
    config
}

/// The full name of a table of [`shared_config`].
pub(crate) fn shared_table(table: &str) -> String {
    format!("{KEYSPACE}.shared_{table}")
}

/// A name that no other test has, nor an earlier run.
pub(crate) fn fresh(label: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    format!("{label}-{}-{now}-{count}", std::process::id())
}
