//! What an administrator will see of an applet, in words: for a vendor at a terminal.

use super::say;
use crate::cli::{CommandError, Exit, Streams};
use crate::view::applet::AppletView;
use muster_applet::bundle::Bundle;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, Write};

pub(super) fn preview(
    json: bool,
    bundle: &Bundle,
    language: &str,
    streams: &mut Streams<'_>,
) -> Result<Exit, CommandError> {
    let view = AppletView::of(bundle, language);
    let value = serde_json::to_value(&view).unwrap_or_default();
    say(json, streams, &value, |out| write(out, &view))
}

fn write(out: &mut dyn Write, view: &AppletView) -> io::Result<()> {
    let said = |text| translated(&view.texts, text);
    writeln!(out, "{} ({} {})", said(&view.title), view.name, view.version)?;
    if !view.description.is_empty() {
        writeln!(out, "{}", said(&view.description))?;
    }
    let models = if view.models.is_empty() { "all models".to_owned() } else { view.models.join(", ") };
    writeln!(out, "For {models}.")?;
    if let Some(form) = &view.form {
        writeln!(out)?;
        fields(out, form, &view.texts, 0)?;
    }
    for template in &view.templates {
        writeln!(out, "\nTemplate {}: {}", said(&template.title), template.values)?;
    }
    if view.has_page {
        let may = if view.permissions.is_empty() { "nothing".to_owned() } else { view.permissions.join(", ") };
        writeln!(out, "\nIt has a page of its own, which may ask for: {may}.")?;
    }
    if !view.help.is_empty() {
        writeln!(out, "\n{}", view.help.trim_end())?;
    }
    Ok(())
}

fn fields(out: &mut dyn Write, schema: &Value, texts: &BTreeMap<String, String>, depth: usize) -> io::Result<()> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Ok(()) };
    let listed = |word: &str| schema.get(word).and_then(Value::as_array).cloned().unwrap_or_default();
    let (required, order) = (listed("required"), listed("x-order"));
    let mut names: Vec<&String> = properties.keys().collect();
    names.sort_by_key(|name| order.iter().position(|other| other == name.as_str()).unwrap_or(usize::MAX));
    for name in names {
        let field = &properties[name];
        let word = |word: &str| field.get(word).and_then(Value::as_str);
        let title = translated(texts, word("title").unwrap_or(name));
        let star = if required.iter().any(|other| other == name.as_str()) { " *" } else { "" };
        let kind = match (word("type").unwrap_or_default(), field.get("enum")) {
            (_, Some(options)) => format!("one of {options}"),
            ("array", _) => "list".to_owned(),
            ("string", _) if field.get("writeOnly") == Some(&true.into()) => "secret".to_owned(),
            (kind, _) => word("format").unwrap_or(kind).to_owned(),
        };
        let default = field.get("default").map_or_else(String::new, |value| format!(", {value}"));
        writeln!(out, "{:indent$}{title}{star}  ({name}: {kind}{default})", "", indent = 2 * depth)?;
        fields(out, field.get("items").unwrap_or(field), texts, depth + 1)?;
    }
    Ok(())
}

fn translated(texts: &BTreeMap<String, String>, text: &str) -> String {
    texts.get(text).map_or_else(|| text.to_owned(), String::clone)
}
