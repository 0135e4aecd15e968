//! The API description: what it says, that it is OpenAPI 3.1, and that nobody changes it unawares.

use std::path::Path;

use remote_object::Service;
use serde_json::{Value, json};

use crate::account::Account;
use crate::cart::Cart;
use crate::counter::Counter;
use crate::product::Product;
use crate::world::{Answer, Wire, World};

/// The official schema of OpenAPI 3.1 documents, without that of the schemas in them. By the OpenAPI Initiative, under
/// Apache-2.0: <https://spec.openapis.org/oas/3.1/schema/2022-10-07>.
const OPENAPI: &str = include_str!("openapi-3.1.schema.json");

async fn of_samples() -> Answer {
    let builder = Service::builder().only_given_types().store("memory:");
    let builder = builder.object::<Counter>().object::<Account>().object::<Product>().object::<Cart>();
    let service = builder.build().await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { service.run(listener, std::future::pending()).await });
    Wire::to(address).await.ask("GET", "/openapi.json", &[], "").await
}

/// Every schema in the document.
fn schemas<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if name == "schema" {
                    found.push(member);
                }
                schemas(member, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| schemas(item, found)),
        _ => {}
    }
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[track_caller]
fn assert_valid(document: &Value) {
    let schema: Value = serde_json::from_str(OPENAPI).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let mut found = Vec::new();
    schemas(document, &mut found);
    found.extend(document["components"]["schemas"].as_object().unwrap().values());
    assert!(found.len() > 20);
    for schema in found {
        jsonschema::draft202012::meta::validate(schema).unwrap_or_else(|error| panic!("{error} in {schema}"));
    }
    let mut pointers = Vec::new();
    references(document, &mut pointers);
    for pointer in pointers {
        let path = pointer.strip_prefix('#').expect("references stay in the document");
        assert!(document.pointer(path).is_some(), "{pointer} leads nowhere");
    }
    let mut ids: Vec<_> = Vec::new();
    for item in document["paths"].as_object().unwrap().values() {
        ids.extend(item.as_object().unwrap().values().filter_map(|op| op.get("operationId")).map(Value::to_string));
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "an operationId stands twice");
}

#[tokio::test]
async fn the_description_of_the_samples_is_the_golden_one() {
    let answer = of_samples().await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let text = String::from_utf8(answer.body).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/openapi.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == text,
        "schemas/openapi.json differs; if that is meant: UPDATE_GOLDEN=1 cargo test --test http openapi"
    );
}

#[tokio::test]
async fn the_description_is_valid() {
    assert_valid(&of_samples().await.json());
    assert_valid(&World::new().await.get("/openapi.json").await.json());
}

#[tokio::test]
async fn a_wrong_description_is_seen() {
    let mut document = of_samples().await.json();
    document["paths"]["/objects/counter"]["get"]["responses"] = json!([]);
    let schema: Value = serde_json::from_str(OPENAPI).unwrap();
    assert!(!jsonschema::validator_for(&schema).unwrap().is_valid(&document));
}

#[tokio::test]
async fn methods_stand_in_it_with_arguments_replies_problems_and_docs() {
    let document = of_samples().await.json();
    let paths = &document["paths"];
    let add = &paths["/objects/counter/{id}/add"];
    assert!(add.get("get").is_none());
    let body = &add["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!((&body["required"], &body["additionalProperties"]), (&json!(["by"]), &json!(false)));
    assert_eq!(body["properties"]["by"]["format"], "int64");
    assert!(add["post"]["description"].as_str().unwrap().contains("answers the new value"));
    assert_eq!(add["post"]["responses"]["200"]["content"]["application/json"]["schema"]["format"], "int64");
    assert!(add["post"]["responses"]["422"]["description"].as_str().unwrap().contains("`overflow`"));
    let withdraw = &paths["/objects/account/{id}/withdraw"]["post"]["responses"]["402"];
    let own = &withdraw["content"]["application/problem+json"]["schema"];
    assert_eq!(own["properties"]["code"], json!({"const": "insufficient"}));
    assert!(own["properties"]["balance"].is_object());
    assert!(paths["/objects/counter/{id}/value"]["get"].is_object());
    assert!(paths["/objects/counter/{id}"]["put"].is_object() && paths["/objects/account/{id}"].get("put").is_none());
    assert_eq!(paths["/objects/counter/{id}/reset"]["post"]["responses"]["204"]["description"], "Done");
    let state = &paths["/objects/account/{id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    let state = document.pointer(&state["$ref"].as_str().unwrap()[1..]).unwrap();
    assert!(state["properties"]["balance"]["description"].is_string(), "{state}");
}
