//! The OpenAPI 3.1 document, made from the table of routes and the types that they take and answer with.

use super::route::{Audience, Body, Doc, Route, Shape};
use super::routes;
use crate::operators::access::Needs;
use crate::store::word;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// What every route may be refused with: it failed inside, or has too much to do.
const INSIDE: [u16; 3] = [500, 503, 507];

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| build(&routes()));

/// The document.
pub(super) fn document() -> &'static Value {
    &DOCUMENT
}

fn build(routes: &[Route]) -> Value {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    schemas.insert("Problem".into(), problem());
    for route in routes {
        let Some(doc) = &route.doc else { continue };
        let operation = operation(route, doc, &mut schemas);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Muster NOC",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The interface for operators and their programs. Consoles and appliances have routes of their own, with \
                            client certificates: docs/protocol-noc.md. What belongs to another organisation is answered like \
                            what does not exist.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "The secret of a session or an API token." },
                "cookie": {
                    "type": "apiKey", "in": "cookie", "name": super::caller::COOKIE,
                    "description": "A browser's session. What changes something also needs the header X-Muster-Csrf."
                },
            },
        },
    })
}

fn operation(route: &Route, doc: &Doc, schemas: &mut Map<String, Value>) -> Value {
    let mut parameters: Vec<Value> = names_in(route.path).map(path_parameter).collect();
    parameters.extend(doc.query.iter().map(|parameter| json!(parameter)));
    if doc.is_keyed {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "The same request with the same key is carried out once; for a day it is answered alike. What is shown \
                            only once is not shown again: 409.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_.:-]+$" },
        }));
    }
    if doc.is_conditional {
        parameters.push(json!({
            "name": "If-Match", "in": "header", "required": true,
            "description": "The ETag of what was read: a change of another version is refused.",
            "schema": { "type": "string" },
        }));
    }
    let mut operation = json!({
        "tags": [doc.tag],
        "summary": doc.summary,
        "operationId": operation_id(route),
        "parameters": parameters,
        "responses": responses(route, doc, schemas),
    });
    if let Some(shape) = &doc.body {
        let schema = reference(shape, schemas);
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    match route.audience {
        Audience::Operators(Needs::Scope(scope)) => {
            operation["security"] = json!([{ "bearer": [] }, { "cookie": [] }]);
            operation["description"] = json!(format!("An API token needs the scope `{}`.", word(&scope)));
        }
        Audience::Operators(Needs::Session) => {
            operation["security"] = json!([{ "bearer": [] }, { "cookie": [] }]);
            operation["description"] = json!("Needs a session: an API token is not enough.");
        }
        _ => operation["security"] = json!([]),
    }
    operation
}

fn responses(route: &Route, doc: &Doc, schemas: &mut Map<String, Value>) -> Value {
    let mut good = json!({ "description": doc.summary });
    let (kind, schema) = match &doc.answer {
        Body::Nothing => ("", Value::Null),
        Body::Json(shape) => ("application/json", reference(shape, schemas)),
        Body::Page(shape) => {
            let row = reference(shape, schemas);
            let next = "Where the next page begins: give it as `after`. Absent on the last page.";
            let page = json!({
                "type": "object", "required": ["items"],
                "properties": {
                    "items": { "type": "array", "items": row },
                    "next": { "type": "string", "description": next },
                },
            });
            ("application/json", page)
        }
        Body::Other("application/json") => ("application/json", json!({ "type": "object" })),
        Body::Other(kind) => (*kind, json!({ "type": "string" })),
    };
    if !kind.is_empty() {
        good["content"] = json!({ kind: { "schema": schema } });
    }
    let mut headers = Map::new();
    if doc.is_tagged {
        let text = "The version of what is shown, for If-Match.";
        headers.insert("ETag".into(), json!({ "description": text, "schema": { "type": "string" } }));
    }
    if doc.status == 201 {
        let text = "Where it is found.";
        headers.insert("Location".into(), json!({ "description": text, "schema": { "type": "string" } }));
    }
    if !headers.is_empty() {
        good["headers"] = Value::Object(headers);
    }
    let mut responses = Map::new();
    responses.insert(doc.status.to_string(), good);
    for fault in faults(route, doc) {
        let problem = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
        let mut answer = json!({ "description": reason(fault), "content": { "application/problem+json": problem } });
        if fault == 429 {
            let text = "Seconds to wait.";
            answer["headers"] = json!({ "Retry-After": { "description": text, "schema": { "type": "integer" } } });
        }
        responses.insert(fault.to_string(), answer);
    }
    Value::Object(responses)
}

/// Every status of a refusal that a route may answer with.
fn faults(route: &Route, doc: &Doc) -> Vec<u16> {
    let mut faults = doc.faults.clone();
    if !matches!(doc.answer, Body::Other(_)) {
        faults.extend(INSIDE);
    }
    if !doc.query.is_empty() {
        faults.push(400);
    }
    if doc.body.is_some() {
        faults.extend([400, 408, 413, 415, 422]);
    }
    if doc.is_keyed {
        faults.extend([400, 409, 422]);
    }
    if doc.is_conditional {
        faults.extend([412, 428]);
    }
    if matches!(route.audience, Audience::Operators(_)) {
        faults.extend([401, 403]);
    }
    if names_in(route.path).next().is_some() {
        faults.push(404);
    }
    faults.sort_unstable();
    faults.dedup();
    faults
}

fn reason(status: u16) -> &'static str {
    axum::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Refused")
}

/// A reference to a type, whose schema goes into the document.
fn reference(shape: &Shape, schemas: &mut Map<String, Value>) -> Value {
    for (name, schema) in &shape.schemas {
        let schema = json!(schema);
        let known = schemas.entry(name.clone()).or_insert_with(|| schema.clone());
        debug_assert_eq!(*known, schema, "two types are called {name}: give one another name with #[schema(as = ...)]");
    }
    json!({ "$ref": format!("#/components/schemas/{}", shape.name) })
}

fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn path_parameter(name: &str) -> Value {
    let schema = match name {
        "uid" => json!({ "type": "string", "pattern": "^[A-Z2-7]{4}(-[A-Z2-7]{4}){7}$" }),
        // Milliseconds of a clock; as far as every program reads whole numbers.
        "message" => json!({ "type": "integer", "minimum": 1, "maximum": 9_007_199_254_740_991_u64 }),
        "applet" => json!({ "type": "string", "pattern": "^[a-z][a-z0-9-]{0,63}$" }),
        "applet_channel" | "component_channel" => json!({ "type": "string", "enum": ["stable", "test"] }),
        "applet_version" => json!({ "type": "string", "pattern": "^[0-9]{1,9}[.][0-9]{1,9}[.][0-9]{1,9}$" }),
        "invite" => json!({ "type": "string", "pattern": "^[0-9a-f]{20}$" }),
        _ => json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX }),
    };
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}

/// `get_sites`, `patch_operators_operator`.
fn operation_id(route: &Route) -> String {
    let path = route.path.trim_start_matches("/v1/").replace(['{', '}'], "").replace(['/', '.'], "_");
    format!("{}_{path}", route.method.as_str().to_ascii_lowercase())
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457 problem details.",
        "required": ["status", "code", "title", "detail"],
        "properties": {
            "status": { "type": "integer", "description": "The HTTP status." },
            "code": { "type": "string", "description": "A stable word for programs." },
            "title": { "type": "string", "description": "What is wrong." },
            "detail": { "type": "string", "description": "What to do about it." },
            "faults": {
                "type": "array", "description": "What is wrong with which value, where values are refused.",
                "items": {
                    "type": "object", "required": ["field", "code", "message"],
                    "properties": {
                        "field": { "type": "string", "description": "The value's name in the request." },
                        "code": { "type": "string", "description": "A stable word for programs." },
                        "message": { "type": "string", "description": "What is wrong with it." },
                    },
                },
            },
            "lines": {
                "type": "array", "description": "What is wrong with which line, where a file is refused; of many the first.",
                "items": {
                    "type": "object", "required": ["line", "code", "message"],
                    "properties": {
                        "line": { "type": "integer", "description": "The line of the file, from 1; 0 for the whole file." },
                        "code": { "type": "string", "description": "A stable word for programs." },
                        "message": { "type": "string", "description": "What is wrong with it." },
                    },
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn everything_that_is_referred_to_is_there_and_every_operation_has_a_name_of_its_own() {
        let document = document();
        let text = document.to_string();
        let schemas = document["components"]["schemas"].as_object().expect("schemas");
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().expect("a name");
            assert!(schemas.contains_key(name), "{name}");
        }
        let documented = routes().into_iter().filter(|route| route.doc.is_some()).collect::<Vec<_>>();
        let names: BTreeSet<_> = documented.iter().map(operation_id).collect();
        assert_eq!(names.len(), documented.len());
        assert!(documented.len() > 35, "{}", documented.len());
    }
}
