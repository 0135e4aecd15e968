//! Calls of methods: arguments, replies, errors, deadlines.

use std::time::Duration;

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_call_takes_its_arguments_by_name_and_replies_json() {
    let world = World::new().await;
    world.post("/objects/probe/a/echo", r#"{"text":"hi","times":2}"#).await.is(200, "hihi");
    world.post("/objects/probe/a/echo", r#"{"text":"hi"}"#).await.is(200, "hi");
    world.post("/objects/probe/a/hit", "{}").await.is(200, 1);
    world.post("/objects/probe/a/hit", "  \n ").await.is(200, 2);
    world.ask("POST", "/objects/probe/a/hit", &[], "").await.is(200, 3);
    world.post("/objects/counter/a/reset", "").await.is_empty(204).etag();
}

#[tokio::test]
async fn a_view_is_read_with_a_query_too() {
    let world = World::new().await;
    world.get("/objects/probe/a/echo?text=hi").await.is(200, "hi");
    world.get("/objects/probe/a/echo?text=5&times=3").await.is(200, "555");
    world.get("/objects/probe/a/echo?text=a+b%2B%C3%A9").await.is(200, "a b+é");
    let sum = "point=%7B%22x%22%3A1%2C%22y%22%3A2%7D&scale=1.5&negative=true";
    world.get(&format!("/objects/probe/a/sum?{sum}")).await.is(200, -4.5);
    for query in ["", "text=hi&more=1", "times=1", "text=hi&times=x", "text=hi&times=300", "text=hi&times=-1"] {
        world.get(&format!("/objects/probe/a/echo?{query}")).await.is_problem(422, "invalid-arguments");
    }
    for query in ["text=hi&text=ho", "text=%zz", "text=%ff", "%"] {
        world.get(&format!("/objects/probe/a/echo?{query}")).await.is_problem(400, "bad-request");
    }
    world.get("/objects/probe/a/echo?text=hi").await.header("cache-status").unwrap();
}

#[tokio::test]
async fn arguments_that_do_not_fit_name_themselves() {
    let world = World::new().await;
    let cases = [
        ("", "text"),
        ("{}", "text"),
        (r#"{"text":5}"#, "text"),
        (r#"{"text":null}"#, "text"),
        (r#"{"text":"hi","times":-1}"#, "times"),
        (r#"{"text":"hi","times":256}"#, "times"),
        (r#"{"text":"hi","times":1.5}"#, "times"),
        (r#"{"text":"hi","more":1}"#, "more"),
    ];
    for (body, argument) in cases {
        let problem = world.post("/objects/probe/a/echo", body).await.is_problem(422, "invalid-arguments");
        assert_eq!(problem["argument"], argument, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(argument), "{problem}");
    }
    for body in ["[]", "5", "\"x\"", "null", "[{\"text\":\"hi\"}]"] {
        world.post("/objects/probe/a/echo", body).await.is_problem(422, "invalid-arguments");
    }
    world.post("/objects/probe/a/hit", r#"{"x":1}"#).await.is_problem(422, "invalid-arguments");
    world.post("/objects/probe/a/echo?text=hi", "").await.is_problem(400, "bad-request");
    world.get("/objects/probe/a?x=1").await.is_problem(400, "bad-request");
}

#[tokio::test]
async fn references_of_a_wrong_type_or_a_strange_cluster_are_refused() {
    let world = World::new().await;
    let look_at = |uri: &str| json!({"other": uri}).to_string();
    world.post("/objects/probe/a/look-at", &look_at("/objects/probe/b")).await.is(200, "seen");
    for uri in ["/objects/counter/b", "probe/b", "/objects/probe", "/objects/probe/..", "", "ftp://x/objects/probe/b"] {
        let problem = world.post("/objects/probe/a/look-at", &look_at(uri)).await.is_problem(422, "invalid-arguments");
        assert_eq!(problem["argument"], "other");
    }
    let strange = world.post("/objects/probe/a/look-at", &look_at("http://127.0.0.1:1/objects/probe/b")).await;
    strange.is_problem(422, "authority-not-allowed");
}

#[tokio::test]
async fn a_methods_own_error_has_its_status_code_and_fields() {
    let world = World::new().await;
    world.post("/objects/account/a/deposit", r#"{"amount":3}"#).await.is(200, 3);
    let refused = world.post("/objects/account/a/withdraw", r#"{"amount":5}"#).await;
    let problem = refused.is_problem(402, "insufficient");
    assert_eq!((&problem["balance"], &problem["outcome"]), (&3.into(), &"not-executed".into()));
    assert_eq!(problem["type"], "urn:remote-object:method-error:insufficient");
    world.post("/objects/counter/a/add", &format!(r#"{{"by":{}}}"#, i64::MAX)).await.is(200, i64::MAX);
    world.post("/objects/counter/a/add", r#"{"by":1}"#).await.is_problem(422, "overflow");
    let problem = world.post("/objects/probe/a/refuse", r#"{"why":"so"}"#).await.is_problem(409, "refused");
    assert_eq!((&problem["hits"], &problem["why"]), (&0.into(), &"so".into()));
    world.post("/objects/probe/a/swamp", "").await.is_problem(503, "swamped");
    world.get("/objects/probe/a").await.is_problem(404, "object-not-found");
}

#[tokio::test]
async fn a_panic_is_500_and_says_nothing() {
    let world = World::new().await;
    let problem = world.post("/objects/probe/a/boom", "").await.is_problem(500, "method-panicked");
    assert!(!problem.to_string().contains("secret"), "{problem}");
    world.post("/objects/probe/a/hit", "").await.is(200, 1);
}

#[tokio::test]
async fn a_ring_of_calls_is_508_with_the_ring() {
    let world = World::new().await;
    let body = r#"{"to":"/objects/probe/b","back":"/objects/probe/a"}"#;
    let problem = world.post("/objects/probe/a/pass", body).await.is_problem(508, "call-cycle");
    assert_eq!(problem["cycle"], json!(["/objects/probe/a", "/objects/probe/b", "/objects/probe/a"]));
}

#[tokio::test]
async fn a_deadline_is_seconds_from_the_head_to_the_answer() {
    let world = World::new().await;
    let timeout = |text| [("request-timeout", text), ("content-type", "application/json")];
    let slow = r#"{"ms":3000}"#;
    let before = remote_object::clock::now();
    world.ask("POST", "/objects/probe/a/slow-view", &timeout("0.1"), slow).await.is_problem(504, "deadline-exceeded");
    world.ask("POST", "/objects/probe/a/slow", &timeout("0.1"), slow).await.is_problem(504, "deadline-exceeded");
    assert!(before.elapsed() < Duration::from_secs(2));
    world.ask("POST", "/objects/probe/a/slow", &timeout("300"), r#"{"ms":1}"#).await.is(200, 1);
    for text in ["0", "301", "-1", "x", "1e1", ""] {
        world.ask("POST", "/objects/probe/a/hit", &timeout(text), "").await.is_problem(400, "bad-request");
    }
    let twice = [("request-timeout", "1"), ("request-timeout", "1")];
    world.ask("GET", "/objects/probe/a", &twice, "").await.is_problem(400, "bad-request");
    let trace = [("traceparent", "garbage")];
    world.ask("POST", "/objects/probe/a/hit", &trace, "").await.is(200, 2);
}

#[tokio::test]
async fn only_json_comes_in() {
    let world = World::new().await;
    let body = r#"{"by":1}"#;
    for media in ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=\"UTF-8\""] {
        let answer = world.ask("POST", "/objects/counter/a/add", &[("content-type", media)], body).await;
        assert_eq!(answer.status, 200, "{media}");
    }
    // Nothing said is taken as JSON.
    world.ask("POST", "/objects/counter/a/add", &[], body).await.is(200, 4);
    for media in
        ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "x", "application/xml"]
    {
        let answer = world.ask("POST", "/objects/counter/a/add", &[("content-type", media)], body).await;
        let problem = answer.is_problem(415, "unsupported-media-type");
        assert!(problem["detail"].as_str().unwrap().ends_with(&format!("its content-type is {media}")), "{problem}");
    }
    // Where there is no body, its type does not matter.
    world.ask("POST", "/objects/counter/a/reset", &[("content-type", "text/plain")], "").await.is_empty(204);
    for verb in ["GET", "DELETE"] {
        world.ask(verb, "/objects/counter/a", &[], body).await.is_problem(400, "bad-request");
    }
    world.get("/objects/counter/a").await.is(200, json!({"value": 0}));
}

#[tokio::test]
async fn only_json_goes_out() {
    let world = World::new().await;
    for accept in ["*/*", "application/json", "application/*;q=0.1", "text/html, */*;q=0.5"] {
        world.ask("POST", "/objects/counter/a/reset", &[("accept", accept)], "").await.is_empty(204);
    }
    for accept in ["text/html", "application/json;q=0", "*/*;q=0", "application/problem+json", "image/*"] {
        let cases = [
            ("GET", "/objects/counter/a"),
            ("GET", "/objects/counter"),
            ("POST", "/objects/counter"),
            ("DELETE", "/objects/counter/a"),
            ("GET", "/objects/counter/a/value"),
            ("POST", "/objects/counter/a/reset"),
        ];
        for (verb, path) in cases {
            world.ask(verb, path, &[("accept", accept)], "").await.is_problem(406, "not-acceptable");
        }
    }
    world.get("/objects/counter/a").await.is(200, json!({"value": 0}));
}
