//! `Idempotency-Key`.

use std::time::Duration;

use serde_json::json;

use crate::world::{Answer, World};

async fn keyed(world: &World, path: &str, key: &str, body: &str) -> Answer {
    world.ask("POST", path, &[("idempotency-key", key), ("content-type", "application/json")], body).await
}

#[tokio::test]
async fn the_same_request_under_a_key_takes_effect_once() {
    let world = World::new().await;
    let first = keyed(&world, "/objects/counter/a/add", "k", r#"{"by":5}"#).await;
    world.post("/objects/counter/a/add", r#"{"by":1}"#).await.is(200, 6);
    let again = keyed(&world, "/objects/counter/a/add", "k", " { \"by\" : 5 } ").await;
    assert_eq!(first.is(200, 5).header("idempotency-replayed"), None);
    assert_eq!(again.is(200, 5).header("idempotency-replayed"), Some("true"));
    assert_eq!(first.etag(), again.etag());
    world.get("/objects/counter/a").await.is(200, json!({"value": 6}));
    // The scope of a key is the object.
    keyed(&world, "/objects/counter/b/add", "k", r#"{"by":5}"#).await.is(200, 5);
}

#[tokio::test]
async fn a_key_is_kept_through_preconditions_and_deletion() {
    let world = World::new().await;
    let tag = keyed(&world, "/objects/counter/a/add", "k", r#"{"by":5}"#).await.is(200, 5).etag().to_owned();
    let headers = [("idempotency-key", "k"), ("if-match", "\"9-9\""), ("content-type", "application/json")];
    let again = world.ask("POST", "/objects/counter/a/add", &headers, r#"{"by":5}"#).await;
    assert_eq!(again.is(200, 5).etag(), tag);
    let gone = [("idempotency-key", "d")];
    world.ask("DELETE", "/objects/counter/a", &gone, "").await.is_empty(204);
    keyed(&world, "/objects/counter/a/add", "k", r#"{"by":5}"#).await.is(200, 5);
    world.get("/objects/counter/a").await.is_problem(404, "object-not-found");
    let again = world.ask("DELETE", "/objects/counter/a", &gone, "").await;
    assert_eq!(again.is_empty(204).header("idempotency-replayed"), Some("true"));
}

#[tokio::test]
async fn a_key_for_another_request_is_refused() {
    let world = World::new().await;
    keyed(&world, "/objects/counter/a/add", "k", r#"{"by":5}"#).await.is(200, 5);
    keyed(&world, "/objects/counter/a/add", "k", r#"{"by":6}"#).await.is_problem(422, "idempotency-key-reused");
    keyed(&world, "/objects/counter/a/reset", "k", "").await.is_problem(422, "idempotency-key-reused");
    world.get("/objects/counter/a").await.is(200, json!({"value": 5}));
}

#[tokio::test]
async fn a_key_that_is_still_running_asks_for_patience() {
    let world = World::new().await;
    let (slow, hasty) = tokio::join!(keyed(&world, "/objects/probe/a/slow", "k", r#"{"ms":600}"#), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        keyed(&world, "/objects/probe/a/slow", "k", r#"{"ms":600}"#).await
    });
    slow.is(200, 1);
    hasty.is_problem(409, "idempotency-key-in-use");
    assert!(hasty.header("retry-after").is_some());
    keyed(&world, "/objects/probe/a/slow", "k", r#"{"ms":600}"#).await.is(200, 1);
}

#[tokio::test]
async fn a_reply_too_large_to_keep_is_not_given_again() {
    let world = World::new().await;
    keyed(&world, "/objects/probe/a/big", "k", r#"{"bytes":5000}"#).await.is(200, "x".repeat(5000));
    let problem =
        keyed(&world, "/objects/probe/a/big", "k", r#"{"bytes":5000}"#).await.is_problem(409, "reply-not-kept");
    assert_eq!(problem["outcome"], "executed");
    world.get("/objects/probe/a").await.is(200, json!({"hits": 1, "text": ""}));

    let state = json!({"name": "x".repeat(5000), "price": 1, "stock": 1}).to_string();
    let create = async || keyed(&world, "/objects/product", "k", &state).await;
    let created = create().await;
    let location = created.header("location").unwrap();
    let again = create().await;
    again.is_problem(409, "reply-not-kept");
    assert_eq!(again.header("location"), Some(location), "who has lost the first answer finds what he made");
}

#[tokio::test]
async fn a_failed_call_runs_again_under_its_key() {
    let world = World::new().await;
    keyed(&world, "/objects/account/a/withdraw", "k", r#"{"amount":5}"#).await.is_problem(402, "insufficient");
    world.post("/objects/account/a/deposit", r#"{"amount":9}"#).await.is(200, 9);
    keyed(&world, "/objects/account/a/withdraw", "k", r#"{"amount":5}"#).await.is(200, 4);
}

#[tokio::test]
async fn a_key_is_1_to_255_visible_characters_and_means_nothing_to_reads() {
    let world = World::new().await;
    let longest = "k".repeat(255);
    keyed(&world, "/objects/counter/a/add", &longest, r#"{"by":1}"#).await.is(200, 1);
    for key in ["", "a b", "\u{e9}", &"k".repeat(256)] {
        keyed(&world, "/objects/counter/a/add", key, r#"{"by":1}"#).await.is_problem(400, "bad-request");
    }
    for _ in 0..2 {
        let answer = world.ask("GET", "/objects/counter/a", &[("idempotency-key", "k")], "").await;
        assert_eq!(answer.is(200, json!({"value": 1})).header("idempotency-replayed"), None);
        keyed(&world, "/objects/counter/a/value", "k", "").await.is(200, 1);
    }
}
