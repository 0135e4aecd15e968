//! PostgreSQL keeps the contract, on a real server.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use example_postgres::Postgres;
use remote_object::conformance;

conformance::key_value!(
    postgres,
    |place| async move {
        let server = test_stack::postgres().unwrap();
        Postgres::open(&format!("postgres://postgres@{server}/postgres"), place.name()).await.unwrap()
    },
    reopens,
    lists_deleted_for(Duration::ZERO),
    needs(|| test_stack::postgres().is_some()),
);
