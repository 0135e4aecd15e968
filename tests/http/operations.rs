//! What operators and tools ask.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_service_says_that_it_is_alive_and_ready() {
    let world = World::new().await;
    world.get("/healthz").await.is(200, json!({"status": "alive"}));
    world.get("/readyz").await.is(200, json!({"status": "ready", "store": "memory", "durability": "weak"}));
    world.service.host().drain();
    world.get("/healthz").await.is(200, json!({"status": "alive"}));
    world.get("/readyz").await.is_problem(503, "draining");
    world.get("/objects/counter/a").await.is_problem(503, "draining");
}

#[tokio::test]
async fn what_happened_is_counted() {
    let world = World::new().await;
    world.post("/objects/counter/a/add", r#"{"by":1}"#).await.is(200, 1);
    world.post("/objects/counter/a/add", r#"{"by":"x"}"#).await.is_problem(422, "invalid-arguments");
    world.get("/objects/counter/a").await.is(200, json!({"value": 1}));
    world.get("/nothing").await.is_problem(404, "route-not-found");
    let answer = world.get("/metrics").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = String::from_utf8(answer.body).unwrap();
    for line in [
        r#"remote_object_requests_total{type="counter",operation="edit",method="add",status="2xx"} 1"#,
        r#"remote_object_requests_total{type="counter",operation="edit",method="add",status="4xx"} 1"#,
        r#"remote_object_requests_total{type="counter",operation="get",method="",status="2xx"} 1"#,
        r#"remote_object_request_duration_seconds_count{type="counter",operation="edit"} 2"#,
        r#"remote_object_problems_total{code="invalid-arguments"} 1"#,
        r#"remote_object_problems_total{code="route-not-found"} 1"#,
        "remote_object_requests_in_work 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    let accept = [("accept", "application/openmetrics-text; version=1.0.0")];
    let answer = world.ask("GET", "/metrics", &accept, "").await;
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(answer.body.ends_with(b"# EOF\n"));
}

#[tokio::test]
async fn the_page_loads_nothing_from_anywhere() {
    let world = World::new().await;
    let page = world.get("/docs").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    let text = String::from_utf8(page.body.clone()).unwrap();
    let nonce = policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert!(policy.starts_with("default-src 'none'") && policy.contains("connect-src 'self'"), "{policy}");
    assert_eq!(text.matches(&format!("nonce=\"{nonce}\"")).count(), 2);
    assert!(!text.contains("NONCE"));
    for elsewhere in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!text.contains(elsewhere), "{elsewhere}");
    }
    let again = world.get("/docs").await;
    assert_ne!(again.header("content-security-policy"), page.header("content-security-policy"));
}
