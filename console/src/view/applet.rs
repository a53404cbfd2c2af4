//! What a person sees of an applet.

use super::ProblemView;
use data_encoding::BASE64;
use muster_applet::bundle::Bundle;
use muster_applet::form;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use ts_rs::TS;

/// An applet of a site, in the language that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct AppletView {
    /// What it is called everywhere.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its name for people, to be translated by `texts`.
    pub title: String,
    /// What it is for, to be translated.
    pub description: String,
    /// Models of the appliances it is for; a `*` at the end stands for any rest. Empty: all.
    pub models: Vec<String>,
    /// What its own page may ask for.
    pub permissions: Vec<String>,
    /// The form of its settings: the part of JSON Schema that muster-applet's `form` lets through; `items` have as their
    /// `default` what a new item of the list begins with.
    #[ts(type = "unknown | null")]
    pub form: Option<Value>,
    /// The values that the form begins with.
    #[ts(type = "unknown")]
    pub defaults: Value,
    /// Settings to begin with.
    pub templates: Vec<AppletTemplate>,
    /// Its help, plain text.
    pub help: String,
    /// It has a page of its own.
    pub has_page: bool,
    /// Its colour, `#1f6feb`.
    pub accent: Option<String>,
    /// Its logo, a `data:` address of a PNG.
    pub logo: Option<String>,
    /// Translations of its texts; what is missing stays as it is.
    pub texts: BTreeMap<String, String>,
}

/// The applet in a folder that its vendor works on, as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
pub struct AppletPreview {
    /// The folder.
    pub folder: String,
    /// The applet; absent while it is not in order.
    pub applet: Option<AppletView>,
    /// Languages that it is translated into.
    pub languages: Vec<String>,
    /// Another one for other contents.
    pub revision: String,
    /// What is wrong with it.
    pub problem: Option<ProblemView>,
}

/// Settings to begin with.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
pub struct AppletTemplate {
    /// What they are called, to be translated.
    pub title: String,
    /// Values of the form; secrets and the like are missing.
    #[ts(type = "unknown")]
    pub values: Value,
}

/// What became of the values of a form.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
pub struct ApplicationChecked {
    /// What is wrong, by place.
    pub problems: Vec<ApplicationProblem>,
    /// The values as they are sent to appliances: the same values are the same text.
    pub text: String,
    /// Its length.
    pub bytes: u32,
}

/// What is wrong with a value of a form.
#[derive(Clone, Debug, PartialEq, Serialize, TS)]
pub struct ApplicationProblem {
    /// Where, as a JSON pointer.
    pub path: String,
    /// A sentence that names what is wrong and what to do.
    pub message: String,
}

impl AppletView {
    /// What is seen of a bundle in a language.
    pub(crate) fn of(bundle: &Bundle, language: &str) -> AppletView {
        let manifest = bundle.manifest();
        let branding = manifest.branding.as_ref();
        let template = |(title, values)| AppletTemplate { title, values };
        AppletView {
            name: manifest.name.clone(),
            version: manifest.version.to_string(),
            title: manifest.title.clone(),
            description: manifest.description.clone(),
            models: manifest.models.clone(),
            permissions: manifest.permissions.iter().map(|permission| permission.word().to_owned()).collect(),
            form: bundle.form().map(form::Form::drawn),
            defaults: bundle.form().map_or_else(|| Value::Object(serde_json::Map::new()), |form| form.defaults()),
            templates: bundle.templates().into_iter().map(template).collect(),
            help: bundle.help(),
            has_page: manifest.page.is_some(),
            accent: branding.and_then(|branding| branding.accent.clone()),
            logo: bundle.logo().map(|logo| format!("data:image/png;base64,{}", BASE64.encode(logo))),
            texts: bundle.texts(language),
        }
    }
}

impl ApplicationChecked {
    /// Judges values by a bundle's form.
    pub(crate) fn of(bundle: &Bundle, values: &Value) -> ApplicationChecked {
        let problems = bundle.form().map_or_else(Vec::new, |form| form.check(values));
        let text = form::canonical(values);
        let said = |problem: form::Problem| ApplicationProblem { path: problem.path, message: problem.message };
        let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
        ApplicationChecked { problems: problems.into_iter().map(said).collect(), text, bytes }
    }
}
