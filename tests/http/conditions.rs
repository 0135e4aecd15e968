//! `ETag`, `If-Match`, `If-None-Match`, `Cache-Control`.

use serde_json::json;

use crate::world::{Answer, World};

async fn add(world: &World, headers: &[(&str, &str)]) -> Answer {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    world.ask("POST", "/objects/counter/a/add", &all, r#"{"by":1}"#).await
}

#[tokio::test]
async fn a_tag_moves_with_every_edit_and_not_without() {
    let world = World::new().await;
    let first = add(&world, &[]).await;
    let second = add(&world, &[]).await;
    assert_ne!(first.etag(), second.etag());
    for path in ["/objects/counter/a", "/objects/counter/a/value"] {
        assert_eq!(world.get(path).await.etag(), second.etag());
    }
    world.post("/objects/counter/a/add", r#"{"by":"x"}"#).await.is_problem(422, "invalid-arguments");
    world.service.host().forget();
    assert_eq!(world.get("/objects/counter/a").await.etag(), second.etag());
    // A view with a context may have seen other objects.
    world.post("/objects/probe/a/hit", "").await.etag();
    let looked = world.post("/objects/probe/a/look-at", r#"{"other":"/objects/probe/b"}"#).await;
    assert_eq!(looked.is(200, "seen").header("etag"), None);
}

#[tokio::test]
async fn who_has_it_already_is_told_so() {
    let world = World::new().await;
    let tag = add(&world, &[]).await.etag().to_owned();
    let weak = format!("W/{tag}");
    let list = format!("\"x\", {tag}, \"9-9\"");
    for seen in [tag.as_str(), "*", &weak, &list] {
        for path in ["/objects/counter/a", "/objects/counter/a/value"] {
            for verb in ["GET", "HEAD"] {
                let answer = world.ask(verb, path, &[("if-none-match", seen)], "").await;
                assert_eq!(answer.is_empty(304).etag(), tag, "{seen}");
                assert!(answer.header("cache-status").is_some() && answer.header("cache-control").is_some());
            }
        }
    }
    for other in ["\"9-9\"", "\"x\"", "\"\"", "W/\"9-9\""] {
        let answer = world.ask("GET", "/objects/counter/a", &[("if-none-match", other)], "").await;
        answer.is(200, json!({"value": 1}));
    }
    let absent = world.ask("GET", "/objects/counter/b", &[("if-none-match", "*")], "").await;
    absent.is_problem(404, "object-not-found");
}

#[tokio::test]
async fn an_edit_of_what_moved_is_refused() {
    let world = World::new().await;
    let old = add(&world, &[]).await.etag().to_owned();
    let now = add(&world, &[("if-match", &old)]).await.is(200, 2).etag().to_owned();
    add(&world, &[("if-match", &old)]).await.is_problem(412, "precondition-failed");
    add(&world, &[("if-match", &format!("W/{now}"))]).await.is_problem(412, "precondition-failed");
    add(&world, &[("if-match", "\"foreign\"")]).await.is_problem(412, "precondition-failed");
    add(&world, &[("if-none-match", &now)]).await.is_problem(412, "precondition-failed");
    add(&world, &[("if-none-match", "*")]).await.is_problem(412, "precondition-failed");
    add(&world, &[("if-match", "*"), ("if-none-match", &old)]).await.is(200, 3);
    let conditional = |verb, name, tag: String| {
        let world = &world;
        async move {
            let headers = [(name, tag.as_str()), ("content-type", "application/json")];
            let body = if verb == "DELETE" || verb == "GET" { "" } else { r#"{"value":7}"# };
            world.ask(verb, "/objects/counter/a", &headers, body).await
        }
    };
    for verb in ["GET", "PUT", "PATCH", "DELETE"] {
        conditional(verb, "if-match", old.clone()).await.is_problem(412, "precondition-failed");
    }
    for verb in ["PUT", "PATCH", "DELETE"] {
        conditional(verb, "if-none-match", "*".into()).await.is_problem(412, "precondition-failed");
    }
    let tag = world.get("/objects/counter/a").await.is(200, json!({"value": 3})).etag().to_owned();
    conditional("GET", "if-match", tag.clone()).await.is(200, json!({"value": 3}));
    conditional("DELETE", "if-match", tag).await.is_empty(204);
}

#[tokio::test]
async fn only_if_absent_makes_a_new_one_or_nothing() {
    let world = World::new().await;
    add(&world, &[("if-match", "*")]).await.is_problem(412, "precondition-failed");
    let new = [("if-none-match", "*"), ("content-type", "application/json")];
    world.ask("PUT", "/objects/counter/a", &new, r#"{"value":1}"#).await.is(201, json!({"value": 1}));
    world.ask("PUT", "/objects/counter/a", &new, r#"{"value":2}"#).await.is_problem(412, "precondition-failed");
}

#[tokio::test]
async fn a_view_by_post_is_held_to_conditions_too() {
    let world = World::new().await;
    let tag = add(&world, &[]).await.etag().to_owned();
    let value = |name, tag: String| {
        let world = &world;
        async move { world.ask("POST", "/objects/counter/a/value", &[(name, tag.as_str())], "").await }
    };
    value("if-match", tag.clone()).await.is(200, 1);
    value("if-match", "\"9-9\"".into()).await.is_problem(412, "precondition-failed");
    value("if-none-match", tag).await.is_problem(412, "precondition-failed");
}

#[tokio::test]
async fn what_is_no_tag_is_refused() {
    let world = World::new().await;
    for tag in ["1-1", "", "\"1-1", "*, \"1-1\"", "\"a\" \"b\""] {
        for name in ["if-match", "if-none-match"] {
            world.ask("GET", "/objects/counter/a", &[(name, tag)], "").await.is_problem(400, "bad-request");
            add(&world, &[(name, tag)]).await.is_problem(400, "bad-request");
        }
    }
    world.get("/objects/counter/a").await.is_problem(404, "object-not-found");
}

#[tokio::test]
async fn a_type_may_demand_a_condition() {
    let world = World::new().await;
    let path = "/objects/careful/a";
    let json = ("content-type", "application/json");
    world.post("/objects/careful/a/add", r#"{"by":1}"#).await.is_problem(428, "precondition-required");
    for verb in ["PUT", "PATCH"] {
        world.ask(verb, path, &[json], r#"{"value":1}"#).await.is_problem(428, "precondition-required");
    }
    world.ask("DELETE", path, &[], "").await.is_problem(428, "precondition-required");
    let absent = [json, ("if-none-match", "*")];
    let created = world.ask("PUT", path, &absent, r#"{"value":1}"#).await;
    let seen = [json, ("if-match", created.is(201, json!({"value": 1})).etag())];
    world.ask("POST", "/objects/careful/a/add", &seen, r#"{"by":1}"#).await.is(200, 2);
    world.ask("POST", "/objects/careful/a/add", &seen, r#"{"by":1}"#).await.is_problem(412, "precondition-failed");
    world.get("/objects/careful/a/value").await.is(200, 2);
    world.post("/objects/careful", "").await.is(201, json!({"value": 0}));
}

#[tokio::test]
async fn a_reader_says_how_old_an_answer_may_be() {
    let world = World::new().await;
    add(&world, &[]).await.is(200, 1);
    let get = |text: &'static str| {
        let world = &world;
        async move { world.ask("GET", "/objects/counter/a", &[("cache-control", text)], "").await }
    };
    for text in ["max-age=60", "no-cache", "no-store", "only-if-cached, max-age=60", "garbage =,;\"", "max-age=x"] {
        get(text).await.is(200, json!({"value": 1}));
    }
    world.service.host().forget();
    get("only-if-cached").await.is_problem(504, "not-cached");
    get("max-age=60").await.is(200, json!({"value": 1}));
    get("only-if-cached").await.is(200, json!({"value": 1}));
}
