//! The form of application settings: a part of JSON Schema (2020-12) that a console can show by its own means, and whether values
//! fit it.
//!
//! The part is small on purpose: whatever `check` lets through is shown natively, in every console, and judged by the same rules
//! at the NOC. References, conditions and choices between schemas are refused.

use crate::{Fault, Faults, none};
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{PatternOptions, ValidationError, Validator};
use muster_protocol::text::misleads;
use serde::Serialize;
use serde_json::{Map, Value};

/// Most properties of a form, with those of its parts.
pub const MOST_PROPERTIES: usize = 100;
/// How deep objects and lists may lie in each other: the form itself is the first.
pub const DEEPEST: usize = 4;
/// Longest title, description or pattern, bytes.
const MAX_TEXT: usize = 500;
/// Most memory of a compiled pattern, bytes.
const MAX_PATTERN: usize = 256 * 1024;
/// Most new items that a list begins with.
const MOST_NEW_ITEMS: u64 = 100;
/// Most problems that are told at once.
const MOST_PROBLEMS: usize = 100;

const FORMATS: [&str; 5] = ["ipv4", "ipv6", "hostname", "email", "uri"];

/// A form that can be shown.
#[derive(Debug)]
pub struct Form {
    schema: Value,
    validator: Validator,
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where, as a JSON pointer (RFC 6901): `/relays/0/host`.
    pub path: String,
    /// A sentence that names what is wrong and what to do; it holds no value, which may be a secret.
    pub message: String,
}

impl Form {
    /// Reads a form; `file` is named in faults.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Form, Faults> {
        let schema = serde_json::from_slice(bytes)
            .map_err(|error| Faults(vec![Fault::new(file, format!("it does not read as JSON: {error}"))]))?;
        Form::new(file, schema)
    }

    fn new(file: &str, schema: Value) -> Result<Form, Faults> {
        let mut walk = Walk { file, properties: 0, faults: Vec::new() };
        walk.object("", &schema, 1);
        none(walk.faults)?;
        let mut options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012);
        options = options.should_validate_formats(true);
        // Without look-around and references back, so that no text takes a pattern long.
        let options =
            options.with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN));
        let validator = options.build(&schema).map_err(|error| {
            Faults(vec![Fault::new(
                format!("{file} {}", error.instance_path()),
                format!("it is no schema: {}", error.masked()),
            )])
        })?;
        Ok(Form { schema, validator })
    }

    /// The schema.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// The schema for whoever draws the form: `items` of each list have, as their `default`, what a new item begins with.
    pub fn drawn(&self) -> Value {
        let mut schema = self.schema.clone();
        with_new_items(&mut schema);
        schema
    }

    /// What is wrong with values; nothing if they fit.
    pub fn check(&self, values: &Value) -> Vec<Problem> {
        let mut problems: Vec<Problem> =
            self.validator.iter_errors(values).take(MOST_PROBLEMS).flat_map(|error| said(&error)).collect();
        problems.sort_by(|one, other| one.path.cmp(&other.path));
        problems.dedup();
        problems
    }

    /// The values that the form begins with: its defaults, and as many new items as each list must have.
    pub fn defaults(&self) -> Value {
        defaults(&self.schema).unwrap_or_else(|| Value::Object(Map::new()))
    }
}

fn defaults(schema: &Value) -> Option<Value> {
    if let Some(value) = schema.get("default") {
        return Some(value.clone());
    }
    if let Some(items) = schema.get("items") {
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(MOST_NEW_ITEMS);
        return (least > 0).then(|| (0..least).map(|_| new_item(items)).collect());
    }
    let properties = schema.get("properties")?.as_object()?;
    let of = properties.iter().filter_map(|(name, schema)| Some((name.clone(), defaults(schema)?)));
    let map: Map<String, Value> = of.collect();
    (!map.is_empty()).then_some(Value::Object(map))
}

/// What a new item of a list begins with: nothing is right yet, but a field can show it.
fn new_item(items: &Value) -> Value {
    defaults(items).unwrap_or_else(|| match items.get("type").and_then(Value::as_str) {
        Some("string") => Value::String(String::new()),
        Some("boolean") => Value::Bool(false),
        Some("object") => Value::Object(Map::new()),
        _ => Value::Null,
    })
}

fn with_new_items(schema: &mut Value) {
    if let Some(items) = schema.get_mut("items") {
        let item = new_item(items);
        if let Some(items) = items.as_object_mut() {
            items.insert("default".to_owned(), item);
        }
        with_new_items(items);
    }
    for schema in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        with_new_items(schema);
    }
}

/// A sentence for each thing that is wrong. The validator's own name values; these do not.
fn said(error: &ValidationError<'_>) -> Vec<Problem> {
    use ValidationErrorKind as Kind;
    let path = error.instance_path().to_string();
    let at = |path: String, message: String| vec![Problem { path, message }];
    let here = |message: String| at(path.clone(), message);
    match error.kind() {
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            at(format!("{path}/{}", escaped(name)), "it is missing: fill it in".to_owned())
        }
        Kind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|name| Problem {
                path: format!("{path}/{}", escaped(name)),
                message: "the form has no such field: take it out".to_owned(),
            })
            .collect(),
        Kind::Enum { options } => {
            let options: Vec<String> = options.as_array().into_iter().flatten().map(shown).collect();
            here(format!("it is none of those that can be: choose {}", options.join(", ")))
        }
        Kind::Format { format } => here(format!("it is not {}", of_format(format))),
        Kind::MaxItems { limit } => here(format!("there are too many: {limit} at most")),
        Kind::MinItems { limit } => here(format!("there are too few: {limit} at least")),
        Kind::Maximum { limit } => here(format!("it is too large: {limit} at most")),
        Kind::Minimum { limit } => here(format!("it is too small: {limit} at least")),
        Kind::MaxLength { limit } => here(format!("it is too long: {limit} characters at most")),
        Kind::MinLength { limit: 1 } => here("it is empty: fill it in".to_owned()),
        Kind::MinLength { limit } => here(format!("it is too short: {limit} characters at least")),
        Kind::Pattern { pattern } => here(format!("it does not have the form that is asked for: {pattern}")),
        Kind::Type { kind: TypeKind::Single(kind) } => here(format!("it must be of type {kind}")),
        Kind::UniqueItems => here("some are there twice: take one of them out".to_owned()),
        _ => here(error.masked_with("it").to_string()),
    }
}

fn of_format(format: &str) -> &'static str {
    match format {
        "ipv4" => "an IPv4 address: use four numbers like 192.0.2.10",
        "ipv6" => "an IPv6 address: use the form 2001:db8::10",
        "hostname" => "a host name: use labels like mail.example.net",
        "email" => "an e-mail address: use the form name@example.net",
        _ => "an address with its scheme, like ldap://directory.example.net",
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A name in a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Looks whether a schema keeps to the part that can be shown.
struct Walk<'a> {
    file: &'a str,
    properties: usize,
    faults: Vec<Fault>,
}

impl Walk<'_> {
    fn wrong(&mut self, path: &str, message: impl Into<String>) {
        let place = if path.is_empty() { self.file.to_owned() } else { format!("{} {path}", self.file) };
        self.faults.push(Fault::new(place, message));
    }

    /// The words that a schema may have; everything else is refused by its name.
    fn only(&mut self, path: &str, schema: &Map<String, Value>, words: &[&str]) {
        for word in schema.keys().filter(|word| !words.contains(&word.as_str()) && !COMMON.contains(&word.as_str())) {
            let message = format!("`{}` is not known here: use {}", word.escape_debug(), words.join(", "));
            self.wrong(path, message);
        }
        for word in ["title", "description"] {
            if schema.get(word).is_some_and(|text| !is_text(text)) {
                self.wrong(path, format!("`{word}` is a text of up to {MAX_TEXT} bytes, without control characters"));
            }
        }
    }

    fn object(&mut self, path: &str, schema: &Value, depth: usize) {
        let Some(schema) = schema.as_object().filter(|schema| schema.get("type") == Some(&"object".into())) else {
            return self.wrong(path, "a schema of type `object` is expected");
        };
        self.only(path, schema, &["properties", "required", "additionalProperties", "x-order"]);
        if schema.get("additionalProperties") != Some(&false.into()) {
            self.wrong(path, "`additionalProperties` must be false, so that no mistyped name goes unnoticed");
        }
        let Some(properties) = schema.get("properties").and_then(Value::as_object).filter(|all| !all.is_empty()) else {
            return self.wrong(path, "`properties` must name the fields");
        };
        for word in ["required", "x-order"] {
            let Some(names) = schema.get(word) else { continue };
            let known = |name: &Value| name.as_str().is_some_and(|name| properties.contains_key(name));
            if !names.as_array().is_some_and(|names| names.iter().all(known)) {
                self.wrong(path, format!("`{word}` is a list of the names in `properties`"));
            }
        }
        for (name, schema) in properties {
            let path = format!("{path}/properties/{}", escaped(name));
            self.properties += 1;
            if self.properties == MOST_PROPERTIES + 1 {
                self.wrong(&path, format!("there are more than {MOST_PROPERTIES} fields"));
            }
            if !is_field(name) {
                let message = "a field's name is 1 to 64 letters, digits, dashes and underscores, a letter first";
                self.wrong(&path, message);
            }
            self.any(&path, schema, depth + 1);
        }
    }

    fn any(&mut self, path: &str, schema: &Value, depth: usize) {
        let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
        match (kind, schema.as_object()) {
            ("object" | "array", _) if depth > DEEPEST => {
                self.wrong(path, format!("it lies too deep: {DEEPEST} levels of objects and lists can be shown"));
            }
            ("object", _) => self.object(path, schema, depth),
            ("array", Some(map)) => {
                self.only(path, map, &["items", "minItems", "maxItems", "uniqueItems"]);
                match map.get("items") {
                    Some(items) if items.get("type") == Some(&"array".into()) => {
                        self.wrong(path, "a list of lists cannot be shown: use a list of objects");
                    }
                    Some(items) => self.any(&format!("{path}/items"), items, depth + 1),
                    None => self.wrong(path, "`items` must say what the list is of"),
                }
            }
            ("string", Some(map)) => self.string(path, map),
            ("integer" | "number", Some(map)) => self.only(path, map, &["minimum", "maximum", "enum"]),
            ("boolean", Some(map)) => self.only(path, map, &[]),
            _ => self.wrong(path, "`type` must be object, array, string, integer, number or boolean"),
        }
    }

    fn string(&mut self, path: &str, map: &Map<String, Value>) {
        let words = ["minLength", "maxLength", "pattern", "format", "enum", "writeOnly", "x-lines"];
        self.only(path, map, &words);
        if map.get("format").is_some_and(|format| !FORMATS.iter().any(|known| format == known)) {
            self.wrong(path, format!("`format` is one of {}", FORMATS.join(", ")));
        }
        if map.get("pattern").is_some_and(|pattern| !is_text(pattern)) {
            self.wrong(path, format!("`pattern` is a text of up to {MAX_TEXT} bytes, without control characters"));
        }
        let is_small = |lines: &Value| lines.as_u64().is_some_and(|lines| (2..=20).contains(&lines));
        if map.get("x-lines").is_some_and(|lines| !is_small(lines)) {
            self.wrong(path, "`x-lines` is the height of the field: 2 to 20");
        }
        if map.get("writeOnly") == Some(&true.into()) && map.contains_key("default") {
            self.wrong(path, "a secret has no default: it would be the same everywhere");
        }
    }
}

const COMMON: [&str; 5] = ["type", "title", "description", "default", "$schema"];

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() <= MAX_TEXT && !text.chars().any(|c| misleads(c) && c != '\n'))
}

fn is_field(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        // Names that mean something else to programs in a browser.
        && !["constructor", "prototype", "toString", "valueOf", "hasOwnProperty"].contains(&name)
}

/// JSON text with sorted keys and without spaces: the same values are the same text, whoever wrote them.
pub fn canonical(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by_key(|(name, _)| *name);
                Value::Object(entries.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect())
            }
            Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
            other => other.clone(),
        }
    }
    sorted(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(properties: Value) -> Value {
        json!({ "type": "object", "additionalProperties": false, "properties": properties })
    }

    fn form() -> Form {
        let relay = json!({ "type": "object", "additionalProperties": false, "required": ["host"], "properties": {
            "host": { "type": "string", "format": "hostname" }, "port": { "type": "integer", "minimum": 1, "maximum": 65535, "default": 25 }
        }});
        let mut schema = object(json!({
            "relays": { "type": "array", "items": relay, "minItems": 1, "maxItems": 3, "uniqueItems": true },
            "licence": { "type": "string", "pattern": "^[A-Z]{4}$", "writeOnly": true },
            "mode": { "type": "string", "enum": ["keep", "drop"], "default": "keep" },
            "days": { "type": "integer", "minimum": 1, "maximum": 90 },
            "name": { "type": "string", "minLength": 1, "maxLength": 5 }
        }));
        schema["required"] = json!(["relays"]);
        Form::new("form.json", schema).expect("a form")
    }

    fn problems(values: Value) -> Vec<(String, String)> {
        form().check(&values).into_iter().map(|problem| (problem.path, problem.message)).collect()
    }

    #[test]
    fn values_are_judged_at_their_field_and_no_value_is_repeated() {
        assert_eq!(problems(json!({ "relays": [{ "host": "mail.example.net" }] })), []);
        let relays = |values: Value| json!({ "relays": values });
        let cases = [
            (json!({}), "/relays", "it is missing"),
            (json!([]), "", "it must be of type object"),
            (relays(json!([])), "/relays", "there are too few: 1"),
            (relays(json!([{ "host": "-" }])), "/relays/0/host", "it is not a host name"),
            (relays(json!([{ "host": "a", "port": 0 }])), "/relays/0/port", "it is too small: 1"),
            (relays(json!([{ "host": "a", "port": 70000 }])), "/relays/0/port", "it is too large: 65535"),
            (relays(json!([{ "host": "a", "port": "x" }])), "/relays/0/port", "it must be of type integer"),
            (relays(json!([{ "host": "a", "more": 1 }])), "/relays/0/more", "the form has no such field"),
            (relays(json!([{ "host": "a" }, { "host": "a" }])), "/relays", "some are there twice"),
            (json!({ "relays": [{ "host": "a" }], "licence": "secret" }), "/licence", "it does not have the form"),
            (
                json!({ "relays": [{ "host": "a" }], "mode": "eat" }),
                "/mode",
                "it is none of those that can be: choose keep, drop",
            ),
            (json!({ "relays": [{ "host": "a" }], "name": "" }), "/name", "it is empty"),
            (json!({ "relays": [{ "host": "a" }], "name": "123456" }), "/name", "it is too long: 5"),
            (
                json!({ "relays": [{ "host": "a" }], "__proto__": { "a": 1 } }),
                "/__proto__",
                "the form has no such field",
            ),
        ];
        for (values, path, message) in cases {
            let found = problems(values.clone());
            assert!(found.len() == 1 && found[0].0 == path && found[0].1.starts_with(message), "{values}: {found:?}");
            assert!(!found[0].1.contains("secret"));
        }
    }

    #[test]
    fn a_form_begins_with_its_defaults_and_with_as_many_items_as_a_list_must_have() {
        assert_eq!(form().defaults(), json!({ "mode": "keep", "relays": [{ "port": 25 }] }));
        let list = |items: Value| json!({ "type": "array", "minItems": 2, "items": items });
        let schema = object(json!({
            "names": list(json!({ "type": "string" })),
            "days": list(json!({ "type": "integer" })),
            "known": { "type": "array", "minItems": 1, "items": { "type": "string" }, "default": ["a", "b"] },
            "any": { "type": "array", "items": { "type": "boolean" } }
        }));
        let form = Form::new("form.json", schema).expect("a form");
        let begins = json!({ "names": ["", ""], "days": [null, null], "known": ["a", "b"] });
        assert_eq!(form.defaults(), begins);
        let drawn = form.drawn();
        let of = |list: &str| drawn["properties"][list]["items"]["default"].clone();
        assert_eq!([of("names"), of("days"), of("any")], [json!(""), Value::Null, json!(false)]);
        assert!(form.schema()["properties"]["names"]["items"].get("default").is_none(), "the vendor's stays as it is");
    }

    #[test]
    fn what_cannot_be_shown_is_refused_by_its_name() {
        let deep = object(
            json!({ "a": object(json!({ "b": object(json!({ "c": object(json!({ "d": object(json!({ "e": { "type": "string" } })) })) })) })) }),
        );
        let many: Map<String, Value> =
            (0..=MOST_PROPERTIES).map(|n| (format!("a{n}"), json!({ "type": "boolean" }))).collect();
        let cases = [
            (json!(true), "form.json: a schema of type `object`"),
            (
                json!({ "type": "object", "properties": { "a": { "type": "string" } } }),
                "form.json: `additionalProperties`",
            ),
            (object(json!({})), "form.json: `properties`"),
            (object(json!({ "a": { "$ref": "#" } })), "form.json /properties/a: `type`"),
            (
                object(json!({ "a": { "type": "string", "oneOf": [] } })),
                "form.json /properties/a: `oneOf` is not known",
            ),
            (
                object(json!({ "a": { "type": "string", "format": "regex" } })),
                "form.json /properties/a: `format` is one of",
            ),
            (
                object(json!({ "a": { "type": "string", "pattern": "(?=a)" } })),
                "form.json /properties/a/pattern: it is no schema",
            ),
            (
                object(json!({ "a": { "type": "string", "pattern": "(a{1000}){1000}" } })),
                "form.json /properties/a/pattern: it is no schema",
            ),
            (object(json!({ "a": { "type": "string", "title": "a\u{1b}" } })), "form.json /properties/a: `title`"),
            (
                object(json!({ "a": { "type": "string", "writeOnly": true, "default": "x" } })),
                "form.json /properties/a: a secret",
            ),
            (object(json!({ "a": { "type": "string", "x-lines": 1 } })), "form.json /properties/a: `x-lines`"),
            (object(json!({ "a": { "type": "array" } })), "form.json /properties/a: `items`"),
            (
                object(json!({ "a": { "type": "array", "items": { "type": "array" } } })),
                "form.json /properties/a: a list of lists",
            ),
            (object(json!({ "__proto__": { "type": "string" } })), "form.json /properties/__proto__: a field's name"),
            (
                object(json!({ "constructor": { "type": "string" } })),
                "form.json /properties/constructor: a field's name",
            ),
            (deep, "form.json /properties/a/properties/b/properties/c/properties/d: it lies too deep"),
            (object(Value::Object(many)), "form.json /properties/a"),
        ];
        for (schema, said) in cases {
            let faults = Form::new("form.json", schema.clone()).expect_err("cannot be shown").to_string();
            assert!(faults.starts_with(said), "{schema}: {faults}");
        }
        let order = json!({ "type": "object", "additionalProperties": false, "properties": { "a": { "type": "string" } }, "x-order": ["b"] });
        assert!(Form::new("form.json", order).expect_err("of nobody").to_string().contains("`x-order`"));
    }

    #[test]
    fn the_same_values_are_the_same_text() {
        let value: Value = serde_json::from_str(r#"{ "b": [1, {"z": null, "a": "ü"}], "a": 1.5 }"#).expect("reads");
        assert_eq!(canonical(&value), r#"{"a":1.5,"b":[1,{"a":"ü","z":null}]}"#);
    }
}
