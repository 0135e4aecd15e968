//! The operations of one type.

use std::collections::{BTreeMap, BTreeSet};

use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::schema_ref;
use super::shared::{LIST, PROBLEM, own_title, parameter_ref, reason, response_ref};
use crate::api::names::{JSON, METHOD_ERROR_TYPE, PROBLEM_JSON};
use crate::api::problem::kind_status;
use crate::config::{LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX};
use crate::error::Kind;
use crate::objects::{Method, Param, ProblemDef, TypeDef};

/// What any request on objects can be answered with.
const ANY: &[Kind] = &[
    Kind::BadRequest,
    Kind::NotAcceptable,
    Kind::UriTooLong,
    Kind::HeadersTooLarge,
    Kind::Internal,
    Kind::Overloaded,
    Kind::DeadlineExceeded,
];
/// What a request with a body can be answered with, besides.
const BODY: &[Kind] = &[Kind::BodyTooLarge, Kind::UnsupportedMediaType, Kind::InvalidArguments, Kind::RequestTimeout];
/// What a change can be answered with, besides.
const CHANGE: &[Kind] =
    &[Kind::PreconditionFailed, Kind::IdempotencyKeyInUse, Kind::IdempotencyKeyReused, Kind::ObjectBusy];

/// One operation while it is put together.
struct Operation<'a> {
    def: &'a TypeDef,
    id: String,
    doc: String,
    parameters: Vec<Value>,
    body: Option<Value>,
    responses: Map<String, Value>,
    kinds: Vec<Kind>,
}

/// Adds the paths of a type.
pub(super) fn add(def: &TypeDef, generator: &mut SchemaGenerator, paths: &mut Map<String, Value>) {
    let state = (def.schema)(generator).to_value();
    let collection = format!("/objects/{}", def.name);
    let object = format!("{collection}/{{id}}");
    paths.insert(collection, json!({"get": list(def), "post": create(def, &state)}));
    let mut verbs = json!({"parameters": [parameter_ref("id")], "get": get(def, &state)});
    if def.options.replace {
        verbs["put"] = put(def, &state);
        verbs["patch"] = patch(def, &state);
    }
    if def.options.delete {
        verbs["delete"] = delete(def);
    }
    paths.insert(object.clone(), verbs);
    for method in def.methods {
        let params: Vec<Value> = method.params.iter().map(|param| (param.schema)(generator).to_value()).collect();
        let reply = method.reply.map(|schema| schema(generator));
        let problems = (method.problems)(generator);
        let definitions = generator.definitions();
        let mut verbs = json!({"parameters": [parameter_ref("id")]});
        verbs["post"] = call(def, method, &params, reply.as_ref(), &problems, None);
        if method.is_view() {
            verbs["get"] = call(def, method, &params, reply.as_ref(), &problems, Some(definitions));
        }
        paths.insert(format!("{object}/{}", method.name), verbs);
    }
}

fn list(def: &TypeDef) -> Value {
    let mut operation = Operation::new(def, "list", format!("The objects of type `{}`, page by page", def.name));
    let limit = json!({"type": "integer", "minimum": 1, "maximum": LIST_LIMIT_MAX, "default": LIST_LIMIT_DEFAULT});
    operation.parameters = vec![
        json!({"name": "limit", "in": "query", "description": "Objects on a page", "schema": limit}),
        json!({"name": "cursor", "in": "query", "description": "`next` of the page before", "schema": {"type": "string", "minLength": 1}}),
    ];
    operation.success("200", "One page", Some(&schema_ref(LIST)), &["Link", "Cache-Status"]);
    operation.kinds.push(Kind::StoreUnavailable);
    operation.finish()
}

fn create(def: &TypeDef, state: &Value) -> Value {
    let mut operation = Operation::new(def, "create", format!("A new `{}` under an id of its own", def.name));
    operation.change();
    if def.options.replace {
        let content = json_of(&closed(state));
        operation.body = Some(json!({"description": "The state; the default without one", "content": content}));
    }
    operation.kinds.extend_from_slice(BODY);
    operation.success("201", "The new state", Some(state), &["ETag", "Location", "Link", "Idempotency-Replayed"]);
    operation.finish()
}

fn get(def: &TypeDef, state: &Value) -> Value {
    let mut operation = Operation::new(def, "get", format!("The state of a `{}`", def.name));
    operation.read();
    operation.kinds.push(Kind::ObjectNotFound);
    operation.success("200", "The state", Some(state), &["ETag", "Cache-Status", "Link"]);
    operation.finish()
}

fn put(def: &TypeDef, state: &Value) -> Value {
    let mut operation = Operation::new(def, "replace", "This state instead, or a new object of it".into());
    operation.change();
    operation.body = Some(json!({"required": true, "content": json_of(&closed(state))}));
    operation.kinds.extend_from_slice(BODY);
    operation.success("200", "The state", Some(state), &["ETag", "Link", "Idempotency-Replayed"]);
    operation.success("201", "The state of the new object", Some(state), &["ETag", "Link", "Idempotency-Replayed"]);
    operation.finish()
}

fn patch(def: &TypeDef, state: &Value) -> Value {
    let mut operation = Operation::new(def, "patch", "The state with this merge patch (RFC 7396)".into());
    operation.change();
    let any = json!({"schema": {"type": "object"}});
    let content = json!({"application/merge-patch+json": any, JSON: any});
    operation.body = Some(json!({"required": true, "content": content}));
    operation.kinds.extend_from_slice(BODY);
    operation.kinds.push(Kind::ObjectNotFound);
    operation.success("200", "The new state", Some(state), &["ETag", "Link", "Idempotency-Replayed"]);
    operation.finish()
}

fn delete(def: &TypeDef) -> Value {
    let mut operation =
        Operation::new(def, "delete", "Ends this life of the object; its next edit begins another".into());
    operation.change();
    operation.kinds.push(Kind::ObjectNotFound);
    operation.success("204", "It is gone", None, &["Idempotency-Replayed"]);
    operation.finish()
}

fn call(
    def: &TypeDef,
    method: &Method,
    params: &[Value],
    reply: Option<&Schema>,
    problems: &[ProblemDef],
    by_get: Option<&Map<String, Value>>,
) -> Value {
    let name = if by_get.is_some() { format!("{}.get", method.name) } else { method.name.to_owned() };
    let mut operation = Operation::new(def, &name, method.doc.to_owned());
    if by_get.is_some() {
        operation.read();
    } else if method.is_view() {
        operation.conditions(&[]);
    } else {
        operation.change();
    }
    operation.kinds.extend_from_slice(&[Kind::InvalidArguments, Kind::MethodPanicked]);
    if method.context {
        operation.kinds.extend_from_slice(&[Kind::CallCycle, Kind::CallChainTooDeep]);
    }
    if let Some(definitions) = by_get {
        let query = method.params.iter().zip(params).map(|(param, schema)| query_parameter(param, schema, definitions));
        operation.parameters.extend(query);
    } else {
        operation.body = Some(arguments(method, params));
        operation.kinds.extend_from_slice(BODY);
    }
    let mut headers = vec!["ETag"];
    if method.is_view() && method.context {
        headers.clear();
    }
    if by_get.is_some() {
        headers.push("Cache-Status");
    }
    if !method.is_view() {
        headers.push("Idempotency-Replayed");
    }
    match reply.map(|schema| schema.clone().to_value()) {
        Some(schema) => operation.success("200", "The reply", Some(&schema), &headers),
        None => operation.success("204", "Done", None, &headers),
    }
    operation.own_problems(problems);
    operation.finish()
}

fn arguments(method: &Method, params: &[Value]) -> Value {
    let properties: Map<String, Value> =
        method.params.iter().zip(params).map(|(param, schema)| (param.name.to_owned(), schema.clone())).collect();
    let required: Vec<_> = method.params.iter().filter(|param| !param.optional).map(|param| param.name).collect();
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    json!({"required": !required.is_empty(), "content": json_of(&schema)})
}

/// What reads strings takes the query's text as it is, and plain values look the same either way; all else is JSON text.
fn query_parameter(param: &Param, schema: &Value, definitions: &Map<String, Value>) -> Value {
    let plain = |name: &Value| matches!(name.as_str(), Some("string" | "integer" | "number" | "boolean" | "null"));
    let is_plain = match &schema["type"] {
        Value::Array(names) => names.iter().all(plain),
        name => plain(name),
    };
    let mut parameter = json!({"name": param.name, "in": "query", "required": !param.optional});
    if is_plain || reads_text(schema, definitions, SCHEMAS_DEEP) {
        parameter["schema"] = schema.clone();
    } else {
        parameter["content"] = json_of(schema);
    }
    parameter
}

/// A type that is its own alternative ends here.
const SCHEMAS_DEEP: usize = 16;

/// Whether a string is among the values of a schema.
fn reads_text(schema: &Value, definitions: &Map<String, Value>, deep: usize) -> bool {
    let Some(deep) = deep.checked_sub(1) else { return false };
    let Value::Object(members) = schema else { return schema == &Value::Bool(true) };
    let any = |schemas: &Value| {
        schemas.as_array().is_some_and(|schemas| schemas.iter().any(|schema| reads_text(schema, definitions, deep)))
    };
    let named = |name: &Value| name == "string";
    match members.get("type") {
        Some(Value::Array(names)) => return names.iter().any(named),
        Some(name) => return named(name),
        None => {}
    }
    if let Some(name) = members.get("$ref").and_then(|name| name.as_str()?.rsplit('/').next()) {
        return definitions.get(name).is_some_and(|schema| reads_text(schema, definitions, deep));
    }
    let alternatives: Vec<_> = ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| members.get(*key)).collect();
    match (members.get("const"), members.get("enum")) {
        (Some(value), _) => value.is_string(),
        (None, Some(values)) => values.as_array().is_some_and(|values| values.iter().any(Value::is_string)),
        // Without a word of what it is, it may be anything.
        (None, None) => alternatives.is_empty() || alternatives.into_iter().any(any),
    }
}

/// A state that a client sends: it has no members but those of its type.
fn closed(state: &Value) -> Value {
    json!({"allOf": [state], "unevaluatedProperties": false})
}

fn json_of(schema: &Value) -> Value {
    json!({JSON: {"schema": schema}})
}

impl<'a> Operation<'a> {
    fn new(def: &'a TypeDef, name: &str, doc: String) -> Self {
        Self {
            def,
            id: format!("{}.{name}", def.name),
            doc,
            parameters: Vec::new(),
            body: None,
            responses: Map::new(),
            kinds: ANY.to_vec(),
        }
    }

    fn read(&mut self) {
        self.conditions(&["Cache-Control"]);
        self.kinds.push(Kind::NotCached);
        self.responses.insert("304".into(), json!({"description": "The reader has it already"}));
    }

    /// Of what changes nothing.
    fn conditions(&mut self, others: &[&str]) {
        for name in ["If-Match", "If-None-Match"].iter().chain(others) {
            self.parameters.push(parameter_ref(name));
        }
        self.kinds.extend_from_slice(&[Kind::PreconditionFailed, Kind::StoreUnavailable]);
    }

    fn change(&mut self) {
        for name in ["Idempotency-Key", "If-Match", "If-None-Match"] {
            self.parameters.push(parameter_ref(name));
        }
        self.kinds.extend_from_slice(CHANGE);
        self.kinds.extend_from_slice(&[Kind::StateTooLarge, Kind::StoreUnavailable, Kind::OutcomeUnknown]);
        if self.def.options.require_match {
            self.kinds.push(Kind::PreconditionRequired);
        }
    }

    fn success(&mut self, status: &str, description: &str, schema: Option<&Value>, headers: &[&str]) {
        let reference = |name: &&str| (String::from(*name), json!({"$ref": format!("#/components/headers/{name}")}));
        let headers: Map<String, Value> = headers.iter().map(reference).collect();
        let mut response = json!({"description": description, "headers": headers});
        if let Some(schema) = schema {
            response["content"] = json_of(schema);
        }
        self.responses.insert(status.to_owned(), response);
    }

    /// The problems of a method's own enum, beside ours of the same status.
    fn own_problems(&mut self, problems: &[ProblemDef]) {
        let mut by_status: BTreeMap<u16, Vec<&ProblemDef>> = BTreeMap::new();
        for problem in problems {
            by_status.entry(problem.status).or_default().push(problem);
        }
        let ours: BTreeSet<u16> = self.kinds.iter().map(|kind| kind_status(*kind).as_u16()).collect();
        for (status, own) in by_status {
            let mut codes: Vec<_> = own.iter().map(|problem| format!("`{}`", problem.code)).collect();
            let mut schemas: Vec<_> = own.iter().map(|problem| own_schema(problem)).collect();
            if ours.contains(&status) {
                let same = self.kinds.iter().filter(|kind| kind_status(**kind).as_u16() == status);
                codes.extend(same.map(|kind| format!("`{}`", kind.code())));
                schemas.push(schema_ref(PROBLEM));
            }
            let schema = if schemas.len() == 1 { schemas.remove(0) } else { json!({"anyOf": schemas}) };
            let response = json!({
                "description": format!("{}: {}", reason(status), codes.join(", ")),
                "headers": {"Outcome": {"$ref": "#/components/headers/Outcome"}},
                "content": {PROBLEM_JSON: {"schema": schema}},
            });
            self.responses.insert(status.to_string(), response);
        }
    }

    fn finish(mut self) -> Value {
        self.parameters.push(parameter_ref("Request-Timeout"));
        self.parameters.push(parameter_ref("traceparent"));
        for kind in &self.kinds {
            let status = kind_status(*kind).as_u16();
            self.responses.entry(status.to_string()).or_insert_with(|| response_ref(status));
        }
        let summary = self.doc.lines().next().unwrap_or_default().trim();
        let mut operation = json!({
            "tags": [self.def.name],
            "operationId": self.id,
            "summary": summary,
            "description": self.doc.trim(),
            "parameters": self.parameters,
            "responses": self.responses,
        });
        if let Some(body) = self.body {
            operation["requestBody"] = body;
        }
        operation
    }
}

fn own_schema(problem: &ProblemDef) -> Value {
    let mut properties = json!({
        "type": {"const": format!("{METHOD_ERROR_TYPE}{}", problem.code)},
        "title": {"const": own_title(problem.code)},
        "status": {"const": problem.status},
        "code": {"const": problem.code},
    });
    let mut required = vec!["code"];
    for (name, schema) in &problem.fields {
        properties[*name] = schema.clone().to_value();
        required.push(name);
    }
    json!({
        "description": problem.doc,
        "allOf": [schema_ref(PROBLEM)],
        "properties": properties,
        "required": required,
    })
}
