//! The sample objects, served from PostgreSQL.
#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code, reason = "shared")]
mod world;

use world::{Server, on_an_empty_database};

#[tokio::test]
async fn what_was_answered_is_there_after_the_process_was_killed() {
    on_an_empty_database("served", |database| {
        for round in 1..=3 {
            let server = Server::start(&database, "shop");
            assert_eq!(server.ask("POST", "/objects/counter/visits/add", "{\"by\":5}"), (round * 5).to_string());
            assert_eq!(server.ask("POST", "/objects/account/alice/deposit", "{\"amount\":1}"), round.to_string());
            assert!(server.ask("GET", "/objects/counter", "").contains("/objects/counter/visits"));
        }
    })
    .await;
}
