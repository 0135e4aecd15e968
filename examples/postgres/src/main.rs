//! The server of the sample objects, on PostgreSQL. `DATABASE_URL` says where it is. Any number of them share it, each under
//! a name of its own (`--node-name`), or on a machine of its own.

use std::sync::Arc;

use remote_object::{Service, serve_with};

// The objects of `objectd`: of a store of one's own they know nothing.
#[path = "../../../src/bin/objectd/account.rs"]
mod account;
#[path = "../../../src/bin/objectd/cart.rs"]
mod cart;
#[path = "../../../src/bin/objectd/counter.rs"]
mod counter;
#[path = "../../../src/bin/objectd/product.rs"]
mod product;

#[tokio::main]
async fn main() -> remote_object::Result<()> {
    let url = std::env::var("DATABASE_URL").unwrap_or_else(|_| "postgres://postgres@localhost/postgres".into());
    let store = example_postgres::open(&url, "objects").await?;
    serve_with(Service::builder().datastore("postgres", Arc::new(store))).await
}
