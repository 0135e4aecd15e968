//! `kill -9`: the next process serves what the last one acknowledged, tags and stored replies included.

use std::time::Duration;

use remote_object::clock;
use serde_json::json;

use super::world::{Server, dir};

const KEYED: &[(&str, &str)] = &[("content-type", "application/json"), ("idempotency-key", "one")];

#[test]
fn a_killed_server_comes_back_with_states_tags_and_stored_replies() {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    server.post("/objects/counter/a/add", &json!({"by": 5})).is(200, json!(5));
    let first = server.ask("POST", "/objects/counter/a/add", KEYED, r#"{"by":2}"#);
    first.is(200, json!(7));
    let product = json!({"name": "Tea", "price": 450, "stock": 3});
    server.with_json("PUT", "/objects/product/tea", &product).is(201, product.clone());
    server.ask("POST", "/objects/counter/gone/reset", &[], "").is_empty(204);
    server.ask("DELETE", "/objects/counter/gone", &[], "").is_empty(204);
    let made_key = [("idempotency-key", "made")];
    let made = server.ask("POST", "/objects/account", &made_key, "");
    let before: Vec<_> = ["/objects/counter/a", "/objects/product/tea"].map(|path| server.get(path)).into();
    server.kill();

    let began = clock::now();
    let server = Server::new(dir.path(), &[]);
    let counter = server.get("/objects/counter/a");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?} to the first answer", began.elapsed());
    for (before, after) in before.iter().zip([counter, server.get("/objects/product/tea")]) {
        assert_eq!((&after.body, after.etag()), (&before.body, before.etag()));
    }
    server.get("/objects/counter/gone").problem(404, "object-not-found");

    let again = server.ask("POST", "/objects/counter/a/add", KEYED, r#"{"by":2}"#);
    again.is(200, json!(7));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.etag(), first.etag());
    server.ask("POST", "/objects/counter/a/add", KEYED, r#"{"by":3}"#).problem(422, "idempotency-key-reused");
    server.get("/objects/counter/a").is(200, json!({"value": 7}));
    let made_again = server.ask("POST", "/objects/account", &made_key, "");
    assert_eq!((made_again.status, made_again.header("location")), (201, made.header("location")));

    let stale = [("if-match", first.etag())];
    server.ask("POST", "/objects/counter/a/reset", &stale, "").is_empty(204);
    server.ask("POST", "/objects/counter/a/reset", &stale, "").problem(412, "precondition-failed");
}

#[test]
fn a_file_is_free_as_soon_as_its_process_is_dead() {
    let dir = dir();
    for count in 1..=5 {
        let server = Server::new(dir.path(), &[]);
        server.post("/objects/counter/a/add", &json!({"by": 1})).is(200, json!(count));
        server.kill();
    }
}

#[test]
fn the_file_can_be_looked_into_while_it_is_served() {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    server.post("/objects/account/alice/open", &json!({"owner": "Alice"})).is_empty(204);
    let file = rusqlite::Connection::open(dir.path().join("objectd.db")).unwrap();
    let look = "SELECT state FROM object WHERE type = 'account' AND id = 'alice'";
    let state: String = file.query_row(look, [], |row| row.get(0)).unwrap();
    assert_eq!(state, r#"{"owner":"Alice","balance":0}"#);
    server.post("/objects/account/alice/deposit", &json!({"amount": 1})).is(200, json!(1));
}
