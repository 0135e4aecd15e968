//! The routes inside an axum app that has routes of its own.

use std::net::SocketAddr;

use axum::http::StatusCode;
use axum::routing::get;
use remote_object::Service;
use serde_json::json;

use crate::world::{Answer, Wire};

async fn serve(app: axum::Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

async fn ask(address: SocketAddr, verb: &str, path: &str, body: &str) -> Answer {
    Wire::to(address).await.ask(verb, path, &[("content-type", "application/json")], body).await
}

#[tokio::test]
async fn beside_an_apps_own_routes_its_fallback_stays_its_own() {
    let service = Service::builder().store("memory:").build().await.unwrap();
    let app = axum::Router::new()
        .route("/own", get(|| async { "own" }))
        .merge(service.router())
        .fallback(|| async { (StatusCode::IM_A_TEAPOT, "fallback") });
    let address = serve(app).await;
    assert_eq!(ask(address, "GET", "/own", "").await.body, b"own");
    assert_eq!(ask(address, "GET", "/nothing", "").await.body, b"fallback");
    ask(address, "POST", "/objects/counter/a/add", r#"{"by":5}"#).await.is(200, 5);
    let state = ask(address, "GET", "/objects/counter/a", "").await;
    state.is(200, json!({"value": 5})).etag();
    assert_eq!(ask(address, "HEAD", "/objects/counter/a", "").await.header("content-length"), Some("11"));
    ask(address, "GET", "/objects", "").await.is_problem(404, "route-not-found");
    ask(address, "GET", "/objects/counter/%2e%2e", "").await.is_problem(400, "bad-request");
    ask(address, "GET", "/objects/counter/a/b/c", "").await.is_problem(404, "route-not-found");
    let refused = ask(address, "POST", "/objects/counter/a", "").await;
    refused.is_problem(405, "method-not-allowed");
    assert!(refused.header("allow").is_some());
    ask(address, "GET", "/healthz", "").await.is(200, json!({"status": "alive"}));
}

#[tokio::test]
async fn below_a_prefix_paths_in_answers_have_it_too() {
    let service = Service::builder().store("memory:").build().await.unwrap();
    let address = serve(axum::Router::new().nest("/api/v1", service.router())).await;
    ask(address, "POST", "/api/v1/objects/counter/a%2Fb/add", r#"{"by":5}"#).await.is(200, 5);
    let problem = ask(address, "GET", "/api/v1/objects/counter/x%2Fy", "").await.is_problem(404, "object-not-found");
    assert_eq!(problem["instance"], "/api/v1/objects/counter/x%2Fy");
    let state = ask(address, "GET", "/api/v1/objects/counter/a%2Fb", "").await;
    assert_eq!(state.header("link"), Some("</api/v1/openapi.json>; rel=\"service-desc\""));
    let created = ask(address, "POST", "/api/v1/objects/counter", "").await;
    let location = created.header("location").unwrap();
    assert!(location.starts_with("/api/v1/objects/counter/"), "{location}");
    ask(address, "GET", location, "").await.is(200, json!({"value": 0}));
    let list = ask(address, "GET", "/api/v1/objects/counter?limit=1", "").await;
    assert!(list.header("link").unwrap().starts_with("</api/v1/objects/counter?limit=1&cursor="));
    // The objects' own names do not depend on where they are mounted.
    let first = list.json()["items"][0]["uri"].as_str().unwrap().to_owned();
    assert!(first.starts_with("/objects/counter/"), "{first}");
    assert_eq!(ask(address, "GET", "/api/v1/openapi.json", "").await.json()["servers"], json!([{"url": "."}]));
    let client = remote_object::Client::new(&format!("http://{address}/api/v1")).unwrap();
    let probe = remote_object::Remote::<crate::objects::Probe>::new("a");
    assert_eq!(client.call(probe.hit()).await.unwrap(), 1);
}
