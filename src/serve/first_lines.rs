//! What a person sees first: where it listens, where the data are and what they survive, and three calls to try.

use std::net::SocketAddr;

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use crate::model::Durability;
use crate::objects::{Method, Param, TypeDef};
use crate::service::Service;

/// How deep arguments are made up.
const DEPTH_MAX: usize = 8;

/// The lines, for a service that listens on `address` and keeps its objects in `store`.
pub(super) fn first_lines(service: &Service, address: SocketAddr, store: &str) -> String {
    let synced = match service.durability() {
        Durability::PowerSafe => "yes",
        Durability::ProcessSafe => "no, acknowledged writes survive the process but not the loss of power",
        Durability::Weak => "no, acknowledged writes may be lost with the process",
    };
    let types: Vec<TypeDef> = service.host().registry().iter().copied().collect();
    let mut text = format!("listening on http://{address}\nstore: {store}\nsynced: {synced}\ntry:\n");
    for line in curl_lines(&types, &reachable(address)) {
        text.push_str("  ");
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// A URL that reaches `address` from this machine: nobody can connect to "all addresses".
fn reachable(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        return format!("http://localhost:{}", address.port());
    }
    format!("http://{address}")
}

/// An edit, the state it leaves, and the list of what there is.
fn curl_lines(types: &[TypeDef], base: &str) -> Vec<String> {
    let best = types.iter().filter_map(|def| Some((def, easiest(def)?)));
    // The simplest first.
    let best = best.min_by_key(|(def, (method, _))| {
        let bare = (method.params.is_empty(), method.params.len());
        (def.options.require_match, method.context, bare, def.methods.len(), def.name)
    });
    let Some((def, (method, args))) = best else {
        // No edit whose arguments can be made up; but every object can be created as its default.
        let Some(def) = types.first() else { return Vec::new() };
        return vec![
            format!("curl -i -X POST {base}/objects/{}", def.name),
            format!("curl {base}/objects/{}", def.name),
            format!("curl {base}/openapi.json"),
        ];
    };
    let (name, method) = (def.name, method.name);
    // Inside single quotes a shell takes everything but a single quote as it is.
    let args = Value::Object(args).to_string().replace('\'', r"\u0027");
    // One that is not there yet, where the type has to be told which state is meant.
    let condition = if def.options.require_match { " -H 'if-none-match: *'" } else { "" };
    vec![
        format!(
            "curl -X POST {base}/objects/{name}/demo/{method} -H 'content-type: application/json'{condition} -d '{args}'"
        ),
        format!("curl -i {base}/objects/{name}/demo"),
        format!("curl {base}/objects/{name}"),
    ]
}

/// The edit of a type that is most likely to succeed, with arguments for it.
fn easiest(def: &TypeDef) -> Option<(&'static Method, Map<String, Value>)> {
    let edits = def.methods.iter().filter(|method| !method.is_view());
    let known = edits.filter_map(|method| Some((method, arguments(method.params)?)));
    known.min_by_key(|(method, _)| {
        let can_refuse = !(method.problems)(&mut SchemaGenerator::default()).is_empty();
        (method.context, method.params.is_empty(), can_refuse, method.params.len())
    })
}

fn arguments(params: &[Param]) -> Option<Map<String, Value>> {
    let mut args = Map::new();
    for param in params {
        let mut generator = SchemaGenerator::default();
        let schema = (param.schema)(&mut generator).to_value();
        match example(&schema, generator.definitions(), DEPTH_MAX) {
            Some(value) => args.insert(param.name.to_owned(), value),
            None if param.optional => continue,
            None => return None,
        };
    }
    Some(args)
}

/// A value that fits a schema, if it is a simple one.
fn example(schema: &Value, named: &Map<String, Value>, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
        return example(named.get(name)?, named, depth);
    }
    if let Some(given) = ["examples", "enum"].iter().find_map(|key| schema.get(key)?.get(0)) {
        return Some(given.clone());
    }
    if let Some(given) = ["const", "default"].iter().find_map(|key| schema.get(key)) {
        return Some(given.clone());
    }
    if let Some(one_of) = ["oneOf", "anyOf"].iter().find_map(|key| schema.get(key)?.as_array()) {
        return one_of.iter().find_map(|schema| example(schema, named, depth));
    }
    let kinds = schema.get("type")?;
    let mut kinds = kinds.as_str().into_iter().chain(kinds.as_array().into_iter().flatten().filter_map(Value::as_str));
    match kinds.find(|kind| *kind != "null")? {
        "integer" | "number" => fits(5, schema).then(|| json!(5)),
        "string" => (!["format", "pattern", "minLength", "maxLength"].iter().any(|rule| schema.get(rule).is_some()))
            .then(|| json!("hello")),
        "boolean" => Some(json!(true)),
        "array" => (!["minItems", "prefixItems"].iter().any(|rule| schema.get(rule).is_some())).then(|| json!([])),
        "object" => {
            let members = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            let made = members.map(|name| {
                let name = name.as_str()?;
                Some((name.to_owned(), example(schema.get("properties")?.get(name)?, named, depth)?))
            });
            made.collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        _ => None,
    }
}

fn fits(number: i64, schema: &Value) -> bool {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    bound("minimum").is_none_or(|min| min <= number as f64)
        && bound("maximum").is_none_or(|max| max >= number as f64)
        && ["exclusiveMinimum", "exclusiveMaximum", "multipleOf"].iter().all(|rule| schema.get(rule).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    fn of<T: schemars::JsonSchema>() -> Option<Value> {
        let mut generator = SchemaGenerator::default();
        let schema = generator.subschema_for::<T>().to_value();
        example(&schema, generator.definitions(), DEPTH_MAX)
    }

    #[derive(schemars::JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    struct Order {
        what: String,
        pieces: u8,
        note: Option<String>,
        size: Size,
        inner: Vec<Order>,
    }

    #[derive(schemars::JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    enum Size {
        Small,
        Large,
    }

    #[test]
    fn arguments_are_made_up_where_their_shape_says_enough() {
        assert_eq!(of::<i64>(), Some(json!(5)));
        assert_eq!(of::<Option<bool>>(), Some(json!(true)));
        assert_eq!(of::<char>(), None);
        let order = json!({"what": "hello", "pieces": 5, "size": "Small", "inner": []});
        assert_eq!(of::<Order>(), Some(order));
    }

    #[remote_object(require_match)]
    struct Board {
        text: String,
    }

    #[remote_object]
    impl Board {
        pub fn write(&mut self, text: String) {
            self.text = text;
        }
    }

    #[test]
    fn a_type_that_is_to_be_told_which_state_is_meant_is_told_that_there_is_none() {
        let lines = curl_lines(&[TypeDef::of::<Board>()], "http://here");
        assert!(
            lines[0].contains("/objects/board/demo/write") && lines[0].contains("-H 'if-none-match: *'"),
            "{lines:?}"
        );
    }

    #[test]
    fn nobody_is_told_to_connect_to_all_addresses() {
        assert_eq!(reachable(([0, 0, 0, 0], 80).into()), "http://localhost:80");
        assert_eq!(reachable(([127, 0, 0, 1], 81).into()), "http://127.0.0.1:81");
    }
}
