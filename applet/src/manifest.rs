//! What a bundle says of itself: the file `applet.json`.

use crate::{Fault, is_name};
use muster_protocol::text::misleads;
use semver::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The name of the manifest's file.
pub const MANIFEST: &str = "applet.json";
/// The form of bundles that this version reads.
pub const FORMAT: u32 = 1;

const MAX_TITLE: usize = 80;
const MAX_DESCRIPTION: usize = 500;
const MOST_MODELS: usize = 32;
const MOST_TEMPLATES: usize = 16;
const MOST_LANGUAGES: usize = 32;

/// The manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// What it is called everywhere: lower-case letters, digits and dashes.
    pub name: String,
    /// Its version (semver.org).
    pub version: Version,
    /// Its name for people.
    pub title: String,
    /// What it is for, in a sentence or two.
    #[serde(default)]
    pub description: String,
    /// Models of the appliances it is for; a `*` at the end stands for any rest. Empty: all.
    #[serde(default)]
    pub models: Vec<String>,
    /// What its own page may ask the console for.
    #[serde(default)]
    pub permissions: Vec<Permission>,
    /// The file of the form of application settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// Settings to begin with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<Template>,
    /// The file of its help: plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Its own page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Page>,
    /// How it looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branding: Option<Branding>,
    /// Files of translations, by language: each an object from a text of the bundle to the same in that language.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub translations: BTreeMap<String, String>,
}

/// What the page of an applet may ask the console for. It can never change anything by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Which appliances the administrator has selected.
    Appliances,
    /// What such an appliance has, or is to have.
    Parameters,
    /// To put values into the form, for the administrator to see and to take.
    Propose,
    /// To say something beside the form.
    Say,
}

impl Permission {
    /// Its word in the manifest.
    pub fn word(self) -> &'static str {
        match self {
            Permission::Appliances => "appliances",
            Permission::Parameters => "parameters",
            Permission::Propose => "propose",
            Permission::Say => "say",
        }
    }
}

/// Settings to begin with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// What it is called.
    pub title: String,
    /// Its file: values of the form.
    pub file: String,
}

/// The applet's own page: what it looks like, and its program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// HTML without scripts.
    pub html: String,
    /// A style sheet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub css: Option<String>,
    /// The program, which draws by sending HTML.
    pub logic: String,
}

/// How an applet looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branding {
    /// A colour, `#1f6feb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accent: Option<String>,
    /// A file in PNG.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo: Option<String>,
}

impl Manifest {
    /// Reads a manifest.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, Fault> {
        serde_json::from_slice(bytes).map_err(|error| Fault::new(MANIFEST, format!("it does not read: {error}")))
    }

    /// True if it is for appliances of a model.
    pub fn fits(&self, model: &str) -> bool {
        self.models.is_empty()
            || self.models.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(start) => model.starts_with(start),
                None => model == pattern,
            })
    }

    /// The files it names, and what each is for.
    pub(crate) fn files(&self) -> Vec<&str> {
        let page = self.page.iter().flat_map(|page| [Some(&page.html), page.css.as_ref(), Some(&page.logic)]);
        let logo = self.branding.iter().filter_map(|branding| branding.logo.as_ref());
        let mut files: Vec<&str> = self.form.iter().chain(&self.help).map(String::as_str).collect();
        files.extend(self.templates.iter().map(|template| template.file.as_str()));
        files.extend(page.flatten().chain(logo).chain(self.translations.values()).map(String::as_str));
        files
    }

    /// What is wrong with it by itself.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut wrong = |place: &str, message: String| faults.push(Fault::new(format!("{MANIFEST} {place}"), message));
        if self.format != FORMAT {
            wrong(
                "format",
                format!("{} is not a form of bundles that this version reads: write {FORMAT}", self.format),
            );
        }
        if !is_name(&self.name) {
            let name = self.name.escape_debug();
            wrong("name", format!("`{name}` is not a name: use 1 to 64 lower-case letters, digits and dashes"));
        }
        text(&mut wrong, "title", &self.title, 1, MAX_TITLE);
        text(&mut wrong, "description", &self.description, 0, MAX_DESCRIPTION);
        if self.models.len() > MOST_MODELS {
            wrong("models", format!("more than {MOST_MODELS}: use `*` at the end of a name"));
        }
        for model in &self.models {
            let rest = model.strip_suffix('*').unwrap_or(model);
            if model.is_empty() || model.len() > 64 || rest.contains('*') || model.chars().any(misleads) {
                let model = model.escape_debug();
                wrong("models", format!("`{model}` is not a model: use its name, with `*` only at the end"));
            }
        }
        if self.templates.len() > MOST_TEMPLATES {
            wrong("templates", format!("more than {MOST_TEMPLATES}"));
        }
        for template in &self.templates {
            text(&mut wrong, "templates", &template.title, 1, MAX_TITLE);
        }
        if !self.templates.is_empty() && self.form.is_none() {
            wrong("templates", "templates are values of a form, and there is no form".to_owned());
        }
        if self.form.is_none() && self.page.is_none() {
            wrong("form", "an applet without a form and without a page does nothing: name a form".to_owned());
        }
        if self.page.is_none() && !self.permissions.is_empty() {
            wrong("permissions", "only a page asks for anything, and there is no page: leave them out".to_owned());
        }
        if let Some(accent) = self.branding.as_ref().and_then(|branding| branding.accent.as_ref())
            && !is_colour(accent)
        {
            wrong("branding", format!("`{}` is not a colour: use the form #1f6feb", accent.escape_debug()));
        }
        if self.translations.len() > MOST_LANGUAGES {
            wrong("translations", format!("more than {MOST_LANGUAGES} languages"));
        }
        for language in self.translations.keys().filter(|language| !is_language(language)) {
            wrong(
                "translations",
                format!("`{}` is not a language: use a tag like de or pt-BR", language.escape_debug()),
            );
        }
        faults
    }
}

fn text(wrong: &mut impl FnMut(&str, String), place: &str, text: &str, least: usize, most: usize) {
    let length = text.chars().count();
    if length > most || text.trim().len() < least || text.chars().any(misleads) {
        wrong(place, format!("a text of {least} to {most} characters is expected, without control characters"));
    }
}

fn is_colour(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    parts.next().is_some_and(|first| (2..=3).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_lowercase()))
        && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> serde_json::Value {
        serde_json::json!({ "format": 1, "name": "mail", "version": "1.0.0", "title": "Mail", "form": "form.json" })
    }

    fn faults(change: impl FnOnce(&mut serde_json::Value)) -> Vec<String> {
        let mut manifest = good();
        change(&mut manifest);
        match Manifest::parse(manifest.to_string().as_bytes()) {
            Ok(manifest) => manifest.faults().iter().map(Fault::to_string).collect(),
            Err(fault) => vec![fault.to_string()],
        }
    }

    #[test]
    fn every_fault_is_named_at_its_place() {
        assert_eq!(faults(|_| {}), Vec::<String>::new());
        let cases: [(&str, serde_json::Value, &str); 15] = [
            ("format", 2.into(), "applet.json format: 2 is not a form"),
            ("name", "Mail".into(), "applet.json name: `Mail`"),
            ("name", "-".into(), "applet.json name"),
            ("version", "1".into(), "applet.json: it does not read"),
            ("title", " ".into(), "applet.json title"),
            ("title", "a\u{202e}b".into(), "applet.json title"),
            ("description", "x".repeat(501).into(), "applet.json description"),
            ("models", serde_json::json!(["a*b"]), "applet.json models: `a*b`"),
            ("permissions", serde_json::json!(["everything"]), "applet.json: it does not read"),
            ("permissions", serde_json::json!(["say"]), "applet.json permissions"),
            ("templates", serde_json::json!([{ "title": "", "file": "a" }]), "applet.json templates"),
            ("branding", serde_json::json!({ "accent": "red;" }), "applet.json branding"),
            ("translations", serde_json::json!({ "../de": "a" }), "applet.json translations"),
            ("form", serde_json::Value::Null, "applet.json form"),
            ("more", 1.into(), "applet.json: it does not read: unknown field `more`"),
        ];
        for (field, value, said) in cases {
            let found = faults(|manifest| manifest[field] = value.clone());
            assert!(found.iter().any(|fault| fault.starts_with(said)), "{field} {value}: {found:?}");
        }
        let without_form = faults(|manifest| {
            manifest["form"] = serde_json::Value::Null;
            manifest["page"] = serde_json::json!({ "html": "a", "logic": "b" });
            manifest["templates"] = serde_json::json!([{ "title": "T", "file": "a" }]);
        });
        assert_eq!(without_form.len(), 1, "{without_form:?}");
    }

    #[test]
    fn a_star_at_the_end_stands_for_any_rest() {
        let fits = |models: serde_json::Value, model: &str| {
            let mut manifest = good();
            manifest["models"] = models;
            Manifest::parse(manifest.to_string().as_bytes()).expect("reads").fits(model)
        };
        assert!(fits(serde_json::json!([]), "anything"));
        assert!(fits(serde_json::json!(["mail-*"]), "mail-200"));
        assert!(!fits(serde_json::json!(["mail-*", "router"]), "router-2"));
        assert!(fits(serde_json::json!(["router"]), "router"));
    }
}
