//! PostgreSQL keeps the contract, on a real server, straight and over a faulty wire.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::OnceLock;
use std::time::Duration;

use example_postgres::Postgres;
use remote_object::conformance;
use test_faulty::{Faults, Protocol, Proxy};

/// A table of the place's own.
async fn open(server: &str, place: &conformance::Place) -> remote_object::Result<Postgres> {
    Postgres::open(&format!("postgres://postgres@{server}/postgres"), place.name()).await
}

fn is_there() -> bool {
    test_stack::postgres().is_some()
}

async fn clean_up(place: conformance::Place) {
    let url = format!("postgres://postgres@{}/postgres", test_stack::postgres().unwrap());
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("DROP TABLE IF EXISTS {}", place.name())).await.unwrap();
}

conformance::key_value!(
    postgres,
    |place| async move { open(&test_stack::postgres().unwrap(), &place).await.unwrap() },
    reopens,
    lists_deleted_for(Duration::ZERO),
    cleans_up(clean_up),
    needs(is_there)
);

/// One for all cases, so that each comes at another point of its chances.
fn proxy() -> &'static Proxy {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    PROXY.get_or_init(|| Proxy::start(&test_stack::postgres().unwrap(), Protocol::Postgres, Faults::usual(1)))
}

async fn open_faulty(place: conformance::Place) -> Postgres {
    loop {
        // Connecting is not what is tried here.
        match open(&proxy().address(), &place).await {
            Ok(postgres) => return postgres,
            Err(error) => assert_eq!(error.code(), "store-unavailable", "{error:?}"),
        }
    }
}

conformance::key_value!(
    postgres_over_a_faulty_wire,
    open_faulty,
    unreliable,
    reopens,
    lists_deleted_for(Duration::ZERO),
    cleans_up(clean_up),
    needs(is_there)
);
