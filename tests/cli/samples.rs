//! The sample objects over HTTP: every method, status, code and member of a problem. The cart has a file of its own.

use serde_json::{Value, json};

use super::world::{Server, dir};

fn server() -> (tempfile::TempDir, Server) {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    (dir, server)
}

/// Which verbs an object of a type takes, and what it says to others.
#[track_caller]
fn takes(server: &Server, path: &str, allow: &str, refuses: &[&str]) {
    let options = server.ask("OPTIONS", path, &[], "");
    options.is_empty(204);
    assert_eq!(options.header("allow"), Some(allow), "{path}");
    for verb in refuses {
        let answer = server.with_json(verb, path, &json!({}));
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), Some(allow), "{verb} {path}");
    }
}

#[test]
fn a_counter_counts() {
    let (_dir, server) = server();
    let path = "/objects/counter/visits";
    server.get(path).problem(404, "object-not-found");
    server.get(&format!("{path}/value")).is(200, json!(0));
    server.post(&format!("{path}/add"), &json!({"by": 5})).is(200, json!(5));
    server.post(&format!("{path}/add"), &json!({"by": -7})).is(200, json!(-2));
    server.get(&format!("{path}/value")).is(200, json!(-2));
    server.post(&format!("{path}/value"), &json!({})).is(200, json!(-2));
    server.get(path).is(200, json!({"value": -2}));
    server.ask("POST", &format!("{path}/reset"), &[], "").is_empty(204);
    server.get(path).is(200, json!({"value": 0}));
    server.get(&format!("{path}/add?by=1")).problem(405, "method-not-allowed");
    server.post(&format!("{path}/add"), &json!({"by": "5"})).problem(422, "invalid-arguments");
    server.post(&format!("{path}/add"), &json!({"by": i64::MAX as u64 + 1})).problem(422, "invalid-arguments");
    server.post(&format!("{path}/add"), &json!({})).problem(422, "invalid-arguments");
    server.post(&format!("{path}/double"), &json!({})).problem(404, "method-not-found");
}

#[test]
fn a_counter_that_would_overflow_stays_as_it_was() {
    let (_dir, server) = server();
    let path = "/objects/counter/full";
    let full = server.post(&format!("{path}/add"), &json!({"by": i64::MAX}));
    full.is(200, json!(i64::MAX));
    let problem = server.post(&format!("{path}/add"), &json!({"by": 1})).problem(422, "overflow");
    assert_eq!((&problem["outcome"], &problem["retryable"]), (&json!("not-executed"), &json!(false)));
    assert_eq!(problem["instance"], "/objects/counter/full/add");
    let state = server.get(path);
    state.is(200, json!({"value": i64::MAX}));
    assert_eq!(state.etag(), full.etag(), "nothing has moved");
}

#[test]
fn a_counter_can_be_replaced_and_deleted() {
    let (_dir, server) = server();
    let path = "/objects/counter/a";
    takes(&server, path, "DELETE, GET, HEAD, OPTIONS, PATCH, PUT", &["POST"]);
    server.with_json("PUT", path, &json!({"value": 7})).is(201, json!({"value": 7}));
    server.with_json("PUT", path, &json!({"value": 8})).is(200, json!({"value": 8}));
    server.with_json("PATCH", path, &json!({"value": 9})).is(200, json!({"value": 9}));
    server.with_json("PUT", path, &json!({"value": 1, "more": 1})).problem(422, "invalid-arguments");
    server.ask("DELETE", path, &[], "").is_empty(204);
    server.get(path).problem(404, "object-not-found");
    server.ask("DELETE", path, &[], "").problem(404, "object-not-found");
    server.post(&format!("{path}/add"), &json!({"by": 1})).is(200, json!(1));
    let made = server.with_json("POST", "/objects/counter", &json!({"value": 3}));
    made.is(201, json!({"value": 3}));
    server.get(made.header("location").unwrap()).is(200, json!({"value": 3}));
}

#[test]
fn an_account_is_opened_once_and_never_overdrawn() {
    let (_dir, server) = server();
    let path = "/objects/account/alice";
    let call = |method: &str, args: Value| server.post(&format!("{path}/{method}"), &args);
    server.get(&format!("{path}/balance")).is(200, json!(0));
    call("deposit", json!({"amount": 10})).is(200, json!(10));
    server.get(path).is(200, json!({"owner": null, "balance": 10}));
    call("open", json!({"owner": "Alice"})).is_empty(204);
    call("open", json!({"owner": "Bob"})).problem(409, "already-open");
    server.get(path).is(200, json!({"owner": "Alice", "balance": 10}));
    call("withdraw", json!({"amount": 4})).is(200, json!(6));
    let problem = call("withdraw", json!({"amount": 7})).problem(402, "insufficient");
    assert_eq!(problem["balance"], 6);
    assert_eq!(problem["outcome"], "not-executed");
    server.get(&format!("{path}/balance")).is(200, json!(6));
    call("deposit", json!({"amount": -1})).problem(422, "invalid-arguments");
    call("deposit", json!({"amount": u64::from(u32::MAX) + 1})).problem(422, "invalid-arguments");
    call("deposit", json!({"amount": u32::MAX})).is(200, json!(6 + i64::from(u32::MAX)));
    call("open", json!({"owner": null})).problem(422, "invalid-arguments");
}

#[test]
fn an_account_is_changed_by_its_methods_alone() {
    let (_dir, server) = server();
    takes(&server, "/objects/account/a", "GET, HEAD, OPTIONS", &["PUT", "PATCH", "DELETE", "POST"]);
    let made = server.ask("POST", "/objects/account", &[], "");
    made.is(201, json!({"owner": null, "balance": 0}));
    server
        .with_json("POST", "/objects/account", &json!({"owner": "x", "balance": 9}))
        .problem(422, "invalid-arguments");
}

#[test]
fn a_product_is_taken_while_there_is_any() {
    let (_dir, server) = server();
    let path = "/objects/product/tea";
    takes(&server, path, "DELETE, GET, HEAD, OPTIONS, PATCH, PUT", &["POST"]);
    let tea = json!({"name": "Tea", "price": 450, "stock": 3});
    server.with_json("PUT", path, &tea).is(201, tea.clone());
    server.get(&format!("{path}/price")).is(200, json!(450));
    let call = |method: &str, quantity: Value| server.post(&format!("{path}/{method}"), &json!({"quantity": quantity}));
    call("take", json!(2)).is(200, json!(1));
    let problem = call("take", json!(2)).problem(409, "out-of-stock");
    assert_eq!(problem["stock"], 1);
    call("give-back", json!(4)).is(200, json!(5));
    call("give_back", json!(4)).problem(404, "method-not-found");
    call("take", json!(-1)).problem(422, "invalid-arguments");
    server.get(path).is(200, json!({"name": "Tea", "price": 450, "stock": 5}));
    server.with_json("PATCH", path, &json!({"price": 500})).is(200, json!({"name": "Tea", "price": 500, "stock": 5}));
    server.with_json("PUT", path, &json!({"name": "Tea", "price": 1})).problem(422, "invalid-arguments");
    server.ask("DELETE", path, &[], "").is_empty(204);
    let problem = call("take", json!(1)).problem(409, "out-of-stock");
    assert_eq!(problem["stock"], 0);
    server.get(path).problem(404, "object-not-found");
}
