//! The stores the suite runs on: for each, a place of a case's own, and what is done with it afterwards.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use remote_object::ServiceBuilder;
use remote_object::clock::Random;

/// The store a user would bring.
#[path = "../../examples/postgres/src/lib.rs"]
#[allow(dead_code, missing_docs, reason = "it is a crate of its own")]
mod example_postgres;

/// A service on a store, still to be built.
pub struct Ground {
    pub builder: ServiceBuilder,
    /// Done when the service has stopped.
    pub clean_up: Option<BoxFuture<'static, ()>>,
    /// Kept until then.
    pub keep: Box<dyn Any + Send>,
}

/// A name no other case has, here or in another process.
fn name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("behaviour_{:016x}_{}", Random::from_os().next_u64(), COUNT.fetch_add(1, Ordering::Relaxed))
}

pub async fn sqlite(builder: ServiceBuilder) -> Option<Ground> {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("objects.db").display());
    Some(Ground { builder: builder.store(url), clean_up: None, keep: Box::new(dir) })
}

#[cfg(feature = "redis")]
pub async fn redis(builder: ServiceBuilder) -> Option<Ground> {
    use redis::Commands;

    let server = format!("redis://{}", test_stack::redis()?);
    let prefix = format!("{}:", name());
    let builder = builder.store(format!("{server}/?prefix={prefix}"));
    let clean_up = async move {
        let mut connection = redis::Client::open(server).unwrap().get_connection().unwrap();
        let keys: Vec<String> = connection.scan_match(format!("{prefix}*")).unwrap().map(Result::unwrap).collect();
        let _: () = connection.unlink(keys).unwrap();
    };
    Some(Ground { builder, clean_up: Some(Box::pin(clean_up)), keep: Box::new(()) })
}

pub async fn postgres(builder: ServiceBuilder) -> Option<Ground> {
    let url = format!("postgres://postgres@{}/postgres", test_stack::postgres()?);
    let table = name();
    let store = example_postgres::open(&url, &table).await.unwrap();
    let builder = builder.datastore("postgres", std::sync::Arc::new(store));
    let clean_up = async move {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&format!("DROP TABLE {table}")).await.unwrap();
    };
    Some(Ground { builder, clean_up: Some(Box::pin(clean_up)), keep: Box::new(()) })
}

/// One case after the other: to make tables takes seconds, so that all use the same, emptied before each. A file keeps
/// other processes off them.
#[cfg(feature = "cassandra")]
pub async fn cassandra(builder: ServiceBuilder) -> Option<Ground> {
    use scylla::client::session_builder::SessionBuilder;

    const KEYSPACE: &str = "objectd_behaviour";
    static TABLES: tokio::sync::Mutex<Option<(String, std::fs::File)>> = tokio::sync::Mutex::const_new(None);

    let hosts = test_stack::cassandra()?;
    let mut tables = TABLES.lock().await;
    if tables.is_none() {
        let (number, file) = (0..).find_map(lock_of).unwrap();
        let prefix = format!("set{number}_");
        let mut config = builder.settings().clone();
        config.store = format!("cassandra://{hosts}/{KEYSPACE}?prefix={prefix}");
        config.allow_periodic = true;
        remote_object::storage::schema_apply(&config).await.unwrap();
        *tables = Some((prefix, file));
    }
    let (prefix, _) = tables.as_ref().unwrap();
    let session = SessionBuilder::new().known_nodes(hosts.split(',')).build().await.unwrap();
    for table in ["object", "hint", "roster", "register"] {
        let mut empty = scylla::statement::Statement::new(format!("TRUNCATE {KEYSPACE}.{prefix}{table}"));
        empty.set_request_timeout(Some(std::time::Duration::from_secs(60)));
        session.query_unpaged(empty, &[]).await.unwrap();
    }
    let mut config = builder.settings().clone();
    config.store = format!("cassandra://{hosts}/{KEYSPACE}?prefix={prefix}");
    config.allow_periodic = true;
    Some(Ground { builder: builder.config(config), clean_up: None, keep: Box::new(tables) })
}

/// The file that goes with a number, unless another process has it.
#[cfg(feature = "cassandra")]
fn lock_of(number: u32) -> Option<(u32, std::fs::File)> {
    let path = std::env::temp_dir().join(format!("remote-object-behaviour-{number}.lock"));
    let file = std::fs::File::options().create(true).truncate(false).write(true).open(path).unwrap();
    file.try_lock().is_ok().then_some((number, file))
}
