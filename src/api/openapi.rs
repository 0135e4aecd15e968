//! The OpenAPI 3.1 description, built from the types: their states, methods, arguments, replies and problems.

mod operations;
mod shared;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::objects::TypeDef;

/// Where schemas stand in the document.
const SCHEMAS: &str = "#/components/schemas/";

/// The description of these types, as JSON in a stable order.
pub(crate) fn text(types: &[TypeDef]) -> String {
    let mut text = serde_json::to_string_pretty(&document(types)).unwrap_or_default();
    text.push('\n');
    text
}

fn document(types: &[TypeDef]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    let mut tags = Vec::new();
    for def in types {
        operations::add(def, &mut generator, &mut paths);
        tags.push(json!({"name": def.name, "description": def.doc}));
    }
    shared::add_operations(&mut paths);
    tags.push(json!({"name": "operations", "description": "What operators and tools ask"}));
    let problem = free_name("Problem", &generator);
    let list = free_name("List", &generator);
    let mut schemas = generator.take_definitions(true);
    schemas.insert(problem.clone(), shared::problem_schema());
    schemas.insert(list.clone(), shared::list_schema());
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": env!("CARGO_PKG_NAME"),
            "version": env!("CARGO_PKG_VERSION"),
            "summary": env!("CARGO_PKG_DESCRIPTION"),
            "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
        },
        // Relative to where this document was read, so that it holds below a prefix too.
        "servers": [{"url": "."}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": shared::responses(),
            "parameters": shared::parameters(),
            "headers": shared::headers(),
        },
    });
    let renamed = |name: &str| match name {
        shared::PROBLEM => problem.clone(),
        shared::LIST => list.clone(),
        name => legal(name),
    };
    rename(&mut document, &renamed);
    document.sort_all_objects();
    document
}

/// A name that no type of the user has taken.
fn free_name(wanted: &str, generator: &SchemaGenerator) -> String {
    let taken = |name: &str| generator.definitions().keys().any(|key| legal(key) == name);
    let mut name = wanted.to_owned();
    let mut number = 2;
    while taken(&name) {
        name = format!("{wanted}{number}");
        number += 1;
    }
    name
}

/// A component's name may hold these characters only; what else a type's name holds becomes `_`.
fn legal(name: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    name.chars().map(|c| if keep(c) { c } else { '_' }).collect()
}

/// Gives the schemas their names in the document, where they stand and where they are referred to.
fn rename(document: &mut Value, name: &impl Fn(&str) -> String) {
    let schemas = document["components"]["schemas"].take();
    if let Value::Object(schemas) = schemas {
        let ours = [shared::PROBLEM, shared::LIST];
        let named = schemas.into_iter().map(|(key, schema)| {
            // Ours came in under their final names.
            if ours.contains(&key.as_str()) { (key, schema) } else { (legal(&key), schema) }
        });
        document["components"]["schemas"] = Value::Object(named.collect());
    }
    rename_references(document, name);
}

fn rename_references(value: &mut Value, name: &impl Fn(&str) -> String) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match member {
                    Value::String(text) if key == "$ref" && text.starts_with(SCHEMAS) => {
                        let old = pointer_segment(&text[SCHEMAS.len()..]);
                        *text = format!("{SCHEMAS}{}", name(&old));
                    }
                    member => rename_references(member, name),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename_references(item, name)),
        _ => {}
    }
}

/// A segment of a JSON pointer in a URI fragment, decoded.
fn pointer_segment(text: &str) -> String {
    let text = crate::model::percent_decode(text).map_or_else(|_| text.to_owned(), |text| text.into_owned());
    text.replace("~1", "/").replace("~0", "~")
}

/// A reference to a schema of ours, by the name it is given at the end.
fn schema_ref(name: &str) -> Value {
    json!({"$ref": format!("{SCHEMAS}{name}")})
}
