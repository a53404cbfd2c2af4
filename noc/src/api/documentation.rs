//! The description of the interface: for programs as OpenAPI, for people as a page without scripts or foreign hosts.

use super::openapi;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::fmt::Write as _;
use std::sync::LazyLock;

/// Nothing but our own style sheet.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const STYLE: &str = include_str!("documentation.css");

static PAGE: LazyLock<String> = LazyLock::new(|| render(openapi::document()));

/// `GET /v1/openapi.json`
pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi::document().to_string()).into_response()
}

/// `GET /v1/docs`
pub(super) async fn page() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (headers, PAGE.as_str()).into_response()
}

/// `GET /v1/docs/style.css`
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

fn render(document: &Value) -> String {
    let mut html = String::from("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    html += "<meta name=\"viewport\" content=\"width=device-width\"><title>Muster NOC</title>";
    html += "<link rel=\"stylesheet\" href=\"/v1/docs/style.css\"></head><body>";
    let info = &document["info"];
    let (title, version) = (escaped(text(&info["title"])), escaped(text(&info["version"])));
    let _ = write!(html, "<header><h1>{title} {version}</h1><p>{}</p>", escaped(text(&info["description"])));
    html += "<p><a href=\"/v1/openapi.json\">OpenAPI document</a></p></header>";
    let mut tags: Vec<&str> = Vec::new();
    let operations = operations(document);
    for (_, _, operation) in &operations {
        let tag = text(&operation["tags"][0]);
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    html += "<nav><ul>";
    for tag in &tags {
        let tag = escaped(tag);
        let _ = write!(html, "<li><a href=\"#{tag}\">{tag}</a></li>");
    }
    html += "<li><a href=\"#schemas\">schemas</a></li></ul></nav><main>";
    for tag in tags {
        let _ = write!(html, "<section id=\"{0}\"><h2>{0}</h2>", escaped(tag));
        for (path, method, operation) in operations.iter().filter(|(.., operation)| operation["tags"][0] == tag) {
            html += &one(path, method, operation);
        }
        html += "</section>";
    }
    html += "<section id=\"schemas\"><h2>schemas</h2>";
    for (name, schema) in object(&document["components"]["schemas"]) {
        let name = escaped(name);
        let _ = write!(html, "<details id=\"schema-{name}\"><summary>{name}</summary>{}</details>", shown(schema));
    }
    html + "</section></main></body></html>"
}

fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = object(&document["paths"]);
    let each = |(path, item)| object(item).into_iter().map(move |(method, operation)| (path, method, operation));
    paths.into_iter().flat_map(each).collect()
}

fn one(path: &str, method: &str, operation: &Value) -> String {
    let (path, method) = (escaped(path), escaped(&method.to_uppercase()));
    let mut html =
        format!("<details><summary><code>{method} {path}</code> {}</summary>", escaped(text(&operation["summary"])));
    if !text(&operation["description"]).is_empty() {
        let _ = write!(html, "<p>{}</p>", escaped(text(&operation["description"])));
    }
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        html += "<h3>Parameters</h3><table><tbody>";
        for parameter in parameters {
            let _ = write!(
                html,
                "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{}</td></tr>",
                escaped(text(&parameter["name"])),
                escaped(text(&parameter["in"])),
                escaped(text(&parameter["description"]))
            );
        }
        html += "</tbody></table>";
    }
    if let Some(schema) = operation["requestBody"]["content"]["application/json"].get("schema") {
        let _ = write!(html, "<h3>Body</h3>{}", shown(schema));
    }
    html += "<h3>Answers</h3><table><tbody>";
    for (status, answer) in object(&operation["responses"]) {
        let schema = object(&answer["content"]).into_iter().filter_map(|(_, content)| content.get("schema")).next();
        let _ = write!(
            html,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
            escaped(status),
            escaped(text(&answer["description"])),
            schema.map(shown).unwrap_or_default()
        );
    }
    html + "</tbody></table></details>"
}

/// A schema: a link to one with a name, else as it is.
fn shown(schema: &Value) -> String {
    match schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        Some(name) => format!("<a href=\"#schema-{0}\">{0}</a>", escaped(name)),
        None => format!("<pre>{}</pre>", escaped(&serde_json::to_string_pretty(schema).unwrap_or_default())),
    }
}

fn object(value: &Value) -> Vec<(&str, &Value)> {
    value.as_object().map(|map| map.iter().map(|(key, value)| (key.as_str(), value)).collect()).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_operation_and_runs_nothing() {
        let page = render(openapi::document());
        for (path, method, _) in operations(openapi::document()) {
            assert!(page.contains(&format!("<code>{} {}</code>", method.to_uppercase(), escaped(path))), "{path}");
        }
        for forbidden in ["<script", "style=", "http:", "https:", "javascript:", "onclick", "<img", "<iframe"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert_eq!(escaped("<b a=\"&\">"), "&lt;b a=&quot;&amp;&quot;&gt;");
    }
}
