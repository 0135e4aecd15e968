//! States, lists, creation: `GET`, `PUT`, `PATCH`, `DELETE`, `POST` on a type.

use std::collections::BTreeSet;

use serde_json::json;

use crate::world::World;

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

#[tokio::test]
async fn an_object_is_there_once_it_was_written() {
    let world = World::new().await;
    let problem = world.get("/objects/counter/a").await.is_problem(404, "object-not-found");
    assert_eq!(problem["instance"], "/objects/counter/a");
    // A view runs on the default, and names no version of what is not there.
    assert_eq!(world.get("/objects/counter/a/value").await.is(200, 0).header("etag"), None);
    let edit = world.post("/objects/counter/a/add", r#"{"by":5}"#).await;
    let read = world.get("/objects/counter/a").await;
    assert_eq!(edit.is(200, 5).etag(), read.is(200, json!({"value": 5})).etag());
    assert_eq!(read.header("link"), Some("</openapi.json>; rel=\"service-desc\""));
    assert_eq!(read.header("cache-control"), Some("private, no-cache"));
    assert_eq!(read.header("cache-status"), Some("l1; hit"));
    world.service.host().forget();
    assert_eq!(world.get("/objects/counter/a").await.header("cache-status"), Some("memory; fwd=miss"));
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let world = World::new().await;
    world.post("/objects/counter/a/add", r#"{"by":5}"#).await.is(200, 5);
    let paths = [
        "/objects/counter/a",
        "/objects/counter/a/value",
        "/objects/counter",
        "/objects/counter/nobody",
        "/healthz",
        "/readyz",
        "/openapi.json",
    ];
    for path in paths {
        let mut wire = world.wire().await;
        let (get, head) = (wire.ask("GET", path, &[], "").await, wire.ask("HEAD", path, &[], "").await);
        assert_eq!((get.status, head.body.len()), (head.status, 0), "{path}");
        for name in ["content-type", "content-length", "etag", "cache-status", "link", "outcome"] {
            assert_eq!(get.header(name), head.header(name), "{name} of {path}");
        }
        // Nothing of a body was left in the connection.
        assert_eq!(wire.ask("GET", path, &[], "").await.body, get.body, "{path}");
    }
}

#[tokio::test]
async fn options_and_405_say_which_verbs_there_are() {
    let world = World::new().await;
    let cases = [
        ("/objects/counter/a", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT", "POST"),
        ("/objects/account/a", "GET, HEAD, OPTIONS", "PUT"),
        ("/objects/account/a", "GET, HEAD, OPTIONS", "PATCH"),
        ("/objects/account/a", "GET, HEAD, OPTIONS", "DELETE"),
        ("/objects/counter", "GET, HEAD, OPTIONS, POST", "DELETE"),
        ("/objects/counter/a/value", "GET, HEAD, OPTIONS, POST", "PUT"),
        ("/objects/counter/a/add", "OPTIONS, POST", "GET"),
        ("/objects/counter/a/add", "OPTIONS, POST", "HEAD"),
        ("/objects/counter/a/add", "OPTIONS, POST", "BREW"),
        ("/healthz", "GET, HEAD, OPTIONS", "POST"),
        ("/openapi.json", "GET, HEAD, OPTIONS", "DELETE"),
    ];
    for (path, allow, wrong) in cases {
        let options = world.ask("OPTIONS", path, &[], "").await;
        assert_eq!(options.is_empty(204).header("allow"), Some(allow), "{path}");
        let refused = world.ask(wrong, path, &[], "").await;
        assert_eq!((refused.status, refused.header("allow")), (405, Some(allow)), "{wrong} {path}");
        if wrong != "HEAD" {
            refused.is_problem(405, "method-not-allowed");
        }
    }
    let patch = world.ask("OPTIONS", "/objects/counter/a", &[], "").await;
    assert_eq!(patch.header("accept-patch"), Some("application/merge-patch+json, application/json"));
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_not_there() {
    let world = World::new().await;
    for path in
        ["/", "/nothing", "/objects", "/objects/", "/objects/counter/a/add/more", "/objects/counter/a/", "/healthz/"]
    {
        world.get(path).await.is_problem(404, "route-not-found");
    }
    for path in
        ["/objects/nothing", "/objects/nothing/a", "/objects/nothing/a/add", "/objects/Counter/a", "/objects//a"]
    {
        world.get(path).await.is_problem(404, "type-not-found");
        world.ask("BREW", path, &[], "").await.is_problem(404, "type-not-found");
    }
    for path in ["/objects/counter/a/nothing", "/objects/counter/a/_calls", "/objects/counter/a/Add"] {
        world.get(path).await.is_problem(404, "method-not-found");
        world.ask("PUT", path, &[], "").await.is_problem(404, "method-not-found");
    }
}

#[tokio::test]
async fn spellings_that_decode_alike_are_one_object() {
    let world = World::new().await;
    world.post("/objects/counter/a%2fb%C3%A9/add", r#"{"by":1}"#).await.is(200, 1);
    world.post("/objects/counter/%61%2Fb%c3%a9/add", r#"{"by":1}"#).await.is(200, 2);
    let list = world.get("/objects/counter").await;
    list.is(200, json!({"items": [{"uri": "/objects/counter/a%2Fb%C3%A9"}], "next": null}));
    world.get("/objects/%63ounter/a%2Fb%C3%A9/%76alue").await.is(200, 2);
    // Decoded once only.
    world.get("/objects/counter/a%252Fb%25C3%25A9").await.is_problem(404, "object-not-found");
}

#[tokio::test]
async fn an_id_is_1_to_512_bytes_without_control_characters() {
    let world = World::new().await;
    let (longest, too_long) = ("x".repeat(512), "x".repeat(513));
    for id in [longest.as_str(), "%20", "...", ".a", "~", "%F0%9F%98%80", "a+b", "_", "a%3Fb%23"] {
        world.post(&format!("/objects/counter/{id}/add"), r#"{"by":1}"#).await.is(200, 1);
    }
    let wrong =
        ["", ".", "..", "%2e", "%2E%2e", ".%2e", "%00", "a%0Ab", "%7f", "%C2%85", "%ff", "%c3", "%", "%4", "%zz"];
    for id in wrong.into_iter().chain([too_long.as_str()]) {
        world.get(&format!("/objects/counter/{id}")).await.is_problem(400, "bad-request");
        world.post(&format!("/objects/counter/{id}/add"), r#"{"by":1}"#).await.is_problem(400, "bad-request");
    }
}

#[tokio::test]
async fn put_replaces_and_creates() {
    let world = World::new().await;
    let created = world.ask("PUT", "/objects/counter/a", JSON, r#"{"value":3}"#).await;
    created.is(201, json!({"value": 3})).etag();
    let replaced = world.ask("PUT", "/objects/counter/a", JSON, r#"{"value":4}"#).await;
    assert_ne!(replaced.is(200, json!({"value": 4})).etag(), created.etag());
    for body in ["", "{}", r#"{"value":1,"more":2}"#, r#"{"value":"x"}"#, "[]", "null", r#"{"value":1.5}"#] {
        world.ask("PUT", "/objects/counter/a", JSON, body).await.is_problem(422, "invalid-arguments");
    }
    for body in ["{", r#"{"value":1,"value":1}"#, "x", r#"{"value":1e999}"#, "{}{}"] {
        world.ask("PUT", "/objects/counter/a", JSON, body).await.is_problem(400, "bad-request");
    }
    assert_eq!(world.get("/objects/counter/a").await.is(200, json!({"value": 4})).etag(), replaced.etag());
}

#[tokio::test]
async fn patch_merges() {
    let world = World::new().await;
    let merge = [("content-type", "application/merge-patch+json")];
    world.ask("PATCH", "/objects/product/a", &merge, r#"{"price":3}"#).await.is_problem(404, "object-not-found");
    let state = r#"{"name":"tea","price":1,"stock":2}"#;
    world.ask("PUT", "/objects/product/a", JSON, state).await;
    let patched = world.ask("PATCH", "/objects/product/a", &merge, r#"{"price":3}"#).await;
    patched.is(200, json!({"name": "tea", "price": 3, "stock": 2})).etag();
    let patched = world.ask("PATCH", "/objects/product/a", JSON, r#"{"name":"oil"}"#).await;
    patched.is(200, json!({"name": "oil", "price": 3, "stock": 2}));
    for body in ["", r#"{"price":null}"#, r#"{"more":1}"#, r#"{"stock":-1}"#, "[]"] {
        world.ask("PATCH", "/objects/product/a", &merge, body).await.is_problem(422, "invalid-arguments");
    }
    world.ask("PATCH", "/objects/product/a", &merge, "{").await.is_problem(400, "bad-request");
    let other = [("content-type", "application/json-patch+json")];
    let refused = world.ask("PATCH", "/objects/product/a", &other, "[]").await;
    refused.is_problem(415, "unsupported-media-type");
    assert_eq!(refused.header("accept-patch"), Some("application/merge-patch+json, application/json"));
}

#[tokio::test]
async fn a_deleted_object_is_gone_and_its_tags_never_come_back() {
    let world = World::new().await;
    world.ask("DELETE", "/objects/counter/a", &[], "").await.is_problem(404, "object-not-found");
    let first = world.post("/objects/counter/a/add", r#"{"by":5}"#).await;
    world.ask("DELETE", "/objects/counter/a", &[], "").await.is_empty(204);
    world.get("/objects/counter/a").await.is_problem(404, "object-not-found");
    world.ask("DELETE", "/objects/counter/a", &[], "").await.is_problem(404, "object-not-found");
    let second = world.post("/objects/counter/a/add", r#"{"by":5}"#).await;
    assert_ne!(first.etag(), second.is(200, 5).etag());
}

#[tokio::test]
async fn a_list_gives_every_object_once_page_by_page() {
    let world = World::new().await;
    world.get("/objects/counter").await.is(200, json!({"items": [], "next": null}));
    for n in 0..7 {
        world.post(&format!("/objects/counter/c{n}/add"), r#"{"by":1}"#).await.is(200, 1);
    }
    world.post("/objects/account/a/deposit", r#"{"amount":1}"#).await.is(200, 1);
    let (mut path, mut found, mut pages) = ("/objects/counter?limit=3".to_owned(), BTreeSet::new(), 0);
    loop {
        let page = world.get(&path).await;
        assert_eq!(page.status, 200, "{page:?}");
        pages += 1;
        let body = page.json();
        for item in body["items"].as_array().unwrap() {
            assert!(found.insert(item["uri"].as_str().unwrap().to_owned()), "{item} twice");
        }
        let link = page.header("link").unwrap();
        assert!(link.contains("</openapi.json>; rel=\"service-desc\""), "{link}");
        let Some(next) = body["next"].as_str() else {
            assert!(!link.contains("rel=\"next\""), "{link}");
            break;
        };
        path = link.strip_prefix('<').unwrap().split('>').next().unwrap().to_owned();
        assert!(link.contains("rel=\"next\"") && path.contains(next), "{link}");
    }
    assert_eq!((found.len(), pages), (7, 3));
    let cursor = world.get("/objects/counter?limit=3").await.json()["next"].as_str().unwrap().to_owned();
    world.get(&format!("/objects/account?cursor={cursor}")).await.is_problem(400, "bad-request");
    let flipped = format!("{}{}", if cursor.starts_with('0') { '1' } else { '0' }, &cursor[1..]);
    world.get(&format!("/objects/counter?cursor={flipped}")).await.is_problem(400, "bad-request");
    for query in
        ["limit=0", "limit=1001", "limit=x", "limit=-1", "limit=", "cursor=", "cursor=zz", "page=2", "limit=%zz"]
    {
        world.get(&format!("/objects/counter?{query}")).await.is_problem(400, "bad-request");
    }
}

#[tokio::test]
async fn a_new_object_gets_an_id_of_its_own() {
    let world = World::new().await;
    let created = world.ask("POST", "/objects/account", &[], "").await;
    created.is(201, json!({"owner": null, "balance": 0})).etag();
    let location = created.header("location").unwrap();
    let id: uuid::Uuid = location.strip_prefix("/objects/account/").unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    assert_eq!(world.get(location).await.is(200, json!({"owner": null, "balance": 0})).etag(), created.etag());
    let other = world.ask("POST", "/objects/account", &[], "").await;
    assert_ne!(other.header("location"), created.header("location"));
    world.get("/objects/account").await.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|i| i["uri"] == location)
        .unwrap();
    world.post("/objects/account", r#"{"owner":null,"balance":9}"#).await.is_problem(422, "invalid-arguments");
    world.post("/objects/counter", r#"{"value":9}"#).await.is(201, json!({"value": 9}));
    world.post("/objects/counter", "{}").await.is_problem(422, "invalid-arguments");
    world.post("/objects/counter", "{").await.is_problem(400, "bad-request");
    world.post("/objects/counter?x=1", "").await.is_problem(400, "bad-request");
}

#[tokio::test]
async fn a_creation_with_a_key_happens_once() {
    let world = World::new().await;
    let key = [("idempotency-key", "k1"), ("content-type", "application/json")];
    let first = world.ask("POST", "/objects/counter", &key, r#"{"value":9}"#).await;
    let again = world.ask("POST", "/objects/counter", &key, r#"{ "value": 9 }"#).await;
    first.is(201, json!({"value": 9}));
    again.is(201, json!({"value": 9}));
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(first.etag(), again.etag());
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), (None, Some("true")));
    let id = first.header("location").unwrap().rsplit('/').next().unwrap().parse::<uuid::Uuid>().unwrap();
    assert_eq!(id.get_version_num(), 8);
    world.ask("POST", "/objects/counter", &key, r#"{"value":8}"#).await.is_problem(422, "idempotency-key-reused");
    let account = world.ask("POST", "/objects/account", &key, "").await;
    assert_ne!(account.header("location"), first.header("location"));
    assert_eq!(world.get("/objects/counter").await.json()["items"].as_array().unwrap().len(), 1);
}
