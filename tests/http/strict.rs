//! What a strict reader of the RFCs and of `docs/http.md` tries that no usual client sends.

use std::collections::BTreeMap;

use remote_object::prelude::*;
use remote_object::{Config, TestHost};

use crate::world::World;

/// Holds what is hard to keep exactly.
#[remote_object(replace)]
pub struct Measure {
    ratio: f64,
    atoms: u128,
    note: Option<String>,
    parts: BTreeMap<String, Option<i128>>,
}

#[remote_object]
impl Measure {
    /// Divides one by it.
    pub fn divide(&mut self, by: f64) -> f64 {
        self.ratio = 1.0 / by;
        self.ratio
    }

    /// Says what it was given.
    pub fn label(&self, name: Option<String>, unit: Unit, count: Option<u8>) -> String {
        format!("{name:?} {unit:?} {count:?}")
    }
}

/// A name of a unit.
#[remote_value]
#[derive(Debug)]
pub struct Unit(String);

/// Leaves out what it cannot be without.
#[remote_object]
pub struct Hamper {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    items: Vec<String>,
}

#[remote_object]
impl Hamper {
    /// Puts one in.
    pub fn put_in(&mut self, item: String) -> usize {
        self.items.push(item);
        self.items.len()
    }

    /// Takes all out.
    pub fn empty(&mut self) {
        self.items.clear();
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");
const ATOMS: &str = "340282366920938463463374607431768211455";

#[tokio::test]
async fn an_optional_text_in_a_query_is_taken_as_it_is() {
    let world = World::new().await;
    let label = async |query: &str| world.get(&format!("/objects/measure/a/label?{query}")).await;
    label("name=x&unit=m").await.is(200, "Some(\"x\") Unit(\"m\") None");
    label("name=5&unit=7&count=3").await.is(200, "Some(\"5\") Unit(\"7\") Some(3)");
    label("name=&unit=&count=null").await.is(200, "Some(\"\") Unit(\"\") None");
    label("unit=m").await.is(200, "None Unit(\"m\") None");
    label("unit=m&count=x").await.is_problem(422, "invalid-arguments");
    let described = world.get("/openapi.json").await.json();
    let parameters = &described["paths"]["/objects/measure/{id}/label"]["get"]["parameters"];
    for name in ["name", "unit", "count"] {
        let parameter = parameters.as_array().unwrap().iter().find(|parameter| parameter["name"] == name).unwrap();
        assert!(parameter.get("schema").is_some(), "who goes by this quotes it: {parameter}");
    }
}

#[tokio::test]
async fn a_state_that_could_not_be_read_again_is_not_written() {
    let world = World::new().await;
    world.post("/objects/measure/a/divide", r#"{"by":2.0}"#).await.is(200, 0.5);
    world.post("/objects/measure/a/divide", r#"{"by":0.0}"#).await.is_problem(500, "internal");
    assert_eq!(world.get("/objects/measure/a").await.json()["ratio"], 0.5);
    world.post("/objects/measure/a/divide", r#"{"by":4.0}"#).await.is(200, 0.25);

    world.post("/objects/hamper/a/put-in", r#"{"item":"ham"}"#).await.is(200, 1);
    world.post("/objects/hamper/a/empty", "").await.is_problem(500, "internal");
    world.get("/objects/hamper/a").await.is(200, serde_json::json!({"items": ["ham"]}));

    let mut config = Config::default();
    config.limits.l1_bytes = 0;
    let host = TestHost::with_config(config);
    let measure = Remote::<Measure>::new("a");
    assert!(host.call(measure.divide(0.0)).await.is_err());
    assert_eq!(host.call(measure.divide(4.0)).await.unwrap(), 0.25);
}

#[tokio::test]
async fn a_patch_leaves_every_other_member_exactly_as_it_was() {
    let world = World::new().await;
    let state = format!(r#"{{"ratio":0.1,"atoms":{ATOMS},"note":null,"parts":{{"a":-{},"b":null}}}}"#, &ATOMS[..38]);
    world.ask("PUT", "/objects/measure/a", &[JSON], &state).await;
    let patch = r#"{"note":"n","parts":{"a":null,"c":{"d":null}}}"#;
    world.ask("PATCH", "/objects/measure/a", &[JSON], patch).await.is_problem(422, "invalid-arguments");
    let patched = world.ask("PATCH", "/objects/measure/a", &[JSON], r#"{"note":"n","parts":{"c":7}}"#).await;
    let expected = state.replace(r#""note":null"#, r#""note":"n""#).replace(r#""b":null"#, r#""b":null,"c":7"#);
    assert_eq!(String::from_utf8_lossy(&patched.body), expected);
    let patched = world.ask("PATCH", "/objects/measure/a", &[JSON], r#"{"parts":{"a":null,"b":null}}"#).await;
    assert_eq!(patched.json()["parts"], serde_json::json!({"c": 7}));
}

#[tokio::test]
async fn a_state_is_an_object_and_not_a_list_of_its_members() {
    let world = World::new().await;
    for (verb, path) in [("PUT", "/objects/counter/a"), ("POST", "/objects/counter"), ("PATCH", "/objects/counter/b")] {
        world.ask("PUT", "/objects/counter/b", &[JSON], r#"{"value":1}"#).await;
        for body in ["[1]", "[]", "null", "1"] {
            world.ask(verb, path, &[JSON], body).await.is_problem(422, "invalid-arguments");
        }
    }
}

#[tokio::test]
async fn the_instance_of_a_problem_is_a_uri_whatever_the_path_holds() {
    let world = World::new().await;
    for (sent, said) in [("ä", "%C3%A4"), ("\"", "%22"), ("{a|b}", "%7Ba%7Cb%7D"), ("%zz", "%25zz"), ("%2f", "%2f")] {
        let problem = world.get(&format!("/objects/counter/{sent}?x=1")).await.json();
        assert_eq!(problem["instance"], format!("/objects/counter/{said}"), "{sent}");
    }
}

#[tokio::test]
async fn a_list_is_never_at_hand_without_asking_the_store() {
    let world = World::new().await;
    let cached = [("cache-control", "only-if-cached")];
    world.ask("GET", "/objects/counter", &cached, "").await.is_problem(504, "not-cached");
}

#[tokio::test]
async fn an_encoded_body_is_refused_and_not_read_as_if_it_were_none() {
    let world = World::new().await;
    let path = "/objects/counter/a/add";
    let gzip = [JSON, ("content-encoding", "gzip")];
    world.ask("POST", path, &gzip, r#"{"by":1}"#).await.is_problem(415, "unsupported-media-type");
    let identity = [JSON, ("content-encoding", "identity")];
    world.ask("POST", path, &identity, r#"{"by":1}"#).await.is(200, 1);
}

#[tokio::test]
async fn a_request_without_a_host_or_with_two_is_refused() {
    let world = World::new().await;
    for hosts in ["", "host: a\r\nhost: b\r\n"] {
        let mut wire = world.wire().await;
        wire.send(format!("GET /objects/counter/a/value HTTP/1.1\r\n{hosts}\r\n")).await;
        wire.answer(false).await.unwrap().is_problem(400, "bad-request");
    }
    let mut wire = world.wire().await;
    wire.send("GET /objects/counter/a/value HTTP/1.0\r\n\r\n").await;
    wire.answer(false).await.unwrap().is(200, 0);
}

#[tokio::test]
async fn any_time_above_zero_is_a_deadline() {
    let world = World::new().await;
    let timeout = [JSON, ("request-timeout", "0.0000000001")];
    let answer = world.ask("POST", "/objects/counter/a/add", &timeout, r#"{"by":1}"#).await;
    answer.is_problem(504, "deadline-exceeded");
}

#[tokio::test]
async fn the_description_refuses_what_the_server_refuses() {
    let world = World::new().await;
    let document = world.get("/openapi.json").await.json();
    let of = |pointer: &str| {
        let mut schema = document.pointer(pointer).unwrap().clone();
        schema["components"] = document["components"].clone();
        jsonschema::validator_for(&schema).unwrap()
    };
    let state = of("/paths/~1objects~1counter~1{id}/put/requestBody/content/application~1json/schema");
    for (body, status) in [(r#"{"value":1}"#, 201), (r#"{"value":1,"x":2}"#, 422), ("{}", 422), ("[1]", 422)] {
        assert_eq!(state.is_valid(&serde_json::from_str(body).unwrap()), status < 400, "{body}");
        assert_eq!(world.ask("PUT", "/objects/counter/a", &[JSON], body).await.status, status, "{body}");
    }
    let tags = of("/components/parameters/If-None-Match/schema");
    for (text, status) in
        [("*", 304), ("\"a\", W/\"b\"", 200), ("\"\"", 200), ("", 400), ("1-1", 400), ("\"a\" \"b\"", 400)]
    {
        assert_eq!(tags.is_valid(&text.into()), status < 400, "{text}");
        let answer = world.ask("GET", "/objects/counter/a", &[("if-none-match", text)], "").await;
        assert_eq!(answer.status, status, "{text}");
    }
}

#[tokio::test]
async fn a_view_of_more_than_its_object_is_held_to_the_version_of_its_object() {
    let world = World::new().await;
    let put = world.post("/objects/cart/a/put", r#"{"product":"/objects/product/p","quantity":2}"#).await;
    let tag = put.etag();
    for (verb, header, value, status) in [
        ("GET", "if-match", tag, 200),
        ("POST", "if-match", tag, 200),
        ("GET", "if-match", "*", 200),
        ("GET", "if-match", "\"9-9\"", 412),
        ("POST", "if-none-match", tag, 412),
        ("POST", "if-none-match", "\"9-9\"", 200),
        // The product's price may have changed since.
        ("GET", "if-none-match", tag, 200),
        ("GET", "if-none-match", "*", 304),
    ] {
        let answer = world.ask(verb, "/objects/cart/a/total", &[(header, value)], "").await;
        assert_eq!((answer.status, answer.header("etag")), (status, None), "{verb} {header}: {value}");
    }
}
