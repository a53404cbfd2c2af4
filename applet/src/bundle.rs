//! The files of one applet, checked against each other.

use crate::form::Form;
use crate::manifest::{MANIFEST, Manifest};
use crate::{Fault, Faults, none};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use muster_protocol::text::misleads;
use muster_protocol::wire::{from_cbor, to_cbor};
use serde_json::Value;
use std::collections::BTreeMap;

/// Longest bundle, bytes.
pub const MAX_BUNDLE: usize = 1024 * 1024;
/// Most files of a bundle.
pub const MOST_FILES: usize = 64;
/// Longest help, page, style or program, bytes.
const MAX_TEXT: usize = 256 * 1024;
/// Longest page and style sheet, characters.
const MAX_HTML: usize = 65_536;
const MAX_CSS: usize = 32_768;
/// Longest logo, bytes.
const MAX_LOGO: usize = 64 * 1024;
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The files as they are packed: by name, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Packed {
    #[n(0)]
    files: BTreeMap<String, ByteVec>,
}

/// A bundle that is in order.
#[derive(Debug)]
pub struct Bundle {
    manifest: Manifest,
    form: Option<Form>,
    files: BTreeMap<String, ByteVec>,
}

/// What the applet's own page consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageFiles {
    /// HTML.
    pub html: String,
    /// A style sheet, or empty.
    pub css: String,
    /// The program.
    pub logic: String,
}

impl Bundle {
    /// Puts files together; everything that is wrong is told at once.
    pub fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Bundle, Faults> {
        Bundle::of(files.into_iter().map(|(name, bytes)| (name, bytes.into())).collect())
    }

    fn of(files: BTreeMap<String, ByteVec>) -> Result<Bundle, Faults> {
        let one = |fault| Faults(vec![fault]);
        let bytes: usize = files.iter().map(|(name, bytes)| name.len() + bytes.len()).sum();
        if bytes > MAX_BUNDLE || files.len() > MOST_FILES {
            let message = format!("it is too large: {MOST_FILES} files and {MAX_BUNDLE} bytes at most");
            return Err(one(Fault::new("the bundle", message)));
        }
        if let Some(name) = files.keys().find(|name| !is_file_name(name)) {
            let message = "a file's name is of letters, digits, `.`, `-`, `_` and `/`, and stays in the bundle";
            return Err(one(Fault::new(name.clone(), message)));
        }
        let manifest = files.get(MANIFEST).ok_or_else(|| one(Fault::new(MANIFEST, "it is missing")))?;
        let manifest = Manifest::parse(manifest).map_err(one)?;
        let mut faults = manifest.faults();
        let named = manifest.files();
        for name in named.iter().filter(|name| !files.contains_key(**name)) {
            faults.push(Fault::new(*name, "the manifest names it, and it is not there"));
        }
        for name in files.keys().filter(|name| *name != MANIFEST && !named.contains(&name.as_str())) {
            faults.push(Fault::new(name.clone(), "the manifest does not name it: take it out"));
        }
        none(faults)?;
        let mut bundle = Bundle { manifest, form: None, files };
        let (form, faults) = bundle.contents();
        none(faults)?;
        bundle.form = form;
        Ok(bundle)
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Bundle, Faults> {
        if bytes.len() > MAX_BUNDLE + 16 * MOST_FILES {
            return Err(Faults(vec![Fault::new("the bundle", format!("it is longer than {MAX_BUNDLE} bytes"))]));
        }
        let packed: Packed = from_cbor(bytes).map_err(|_| {
            Faults(vec![Fault::new("the bundle", "it is no bundle: make it with `muster applet pack`")])
        })?;
        Bundle::of(packed.files)
    }

    /// Packs it: the same files are the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_cbor(&Packed { files: self.files.clone() })
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The form of its settings, if it asks for any.
    pub fn form(&self) -> Option<&Form> {
        self.form.as_ref()
    }

    /// Its templates: title and values.
    pub fn templates(&self) -> Vec<(String, Value)> {
        let read = |file: &str| serde_json::from_slice(self.file(file)).unwrap_or_default();
        self.manifest.templates.iter().map(|template| (template.title.clone(), read(&template.file))).collect()
    }

    /// Its help, plain text.
    pub fn help(&self) -> String {
        self.manifest.help.as_ref().map_or_else(String::new, |file| self.text(file))
    }

    /// Its logo in PNG.
    pub fn logo(&self) -> Option<&[u8]> {
        Some(self.file(self.manifest.branding.as_ref()?.logo.as_ref()?))
    }

    /// Its own page.
    pub fn page(&self) -> Option<PageFiles> {
        let page = self.manifest.page.as_ref()?;
        let css = page.css.as_ref().map_or_else(String::new, |file| self.text(file));
        Some(PageFiles { html: self.text(&page.html), css, logic: self.text(&page.logic) })
    }

    /// Translations into a language, or into what it is a dialect of: `de` for `de-AT`.
    pub fn texts(&self, language: &str) -> BTreeMap<String, String> {
        let base = language.split('-').next().unwrap_or_default();
        let file = [language, base].into_iter().find_map(|language| self.manifest.translations.get(language));
        file.and_then(|file| serde_json::from_slice(self.file(file)).ok()).unwrap_or_default()
    }

    fn file(&self, name: &str) -> &[u8] {
        self.files.get(name).map_or(&[], |bytes| bytes.as_slice())
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(self.file(name)).into_owned()
    }

    /// The form, and what is wrong inside the files.
    fn contents(&self) -> (Option<Form>, Vec<Fault>) {
        let mut faults = Vec::new();
        let form = self
            .manifest
            .form
            .as_ref()
            .and_then(|file| Form::parse(file, self.file(file)).map_err(|found| faults.extend(found.0)).ok());
        for template in &self.manifest.templates {
            self.template(&template.file, form.as_ref(), &mut faults);
        }
        let page = self.manifest.page.iter().flat_map(|page| [Some(&page.html), page.css.as_ref(), Some(&page.logic)]);
        for file in page.flatten().chain(&self.manifest.help) {
            let text = std::str::from_utf8(self.file(file));
            let may = |c: char| !misleads(c) || matches!(c, '\n' | '\r' | '\t');
            if text.is_err() || text.is_ok_and(|text| text.len() > MAX_TEXT || !text.chars().all(may)) {
                let message =
                    format!("a text in UTF-8 of up to {MAX_TEXT} bytes is expected, without control characters");
                faults.push(Fault::new(file.clone(), message));
            }
        }
        faults.extend(self.page_faults());
        if let Some(logo) = self.logo()
            && (logo.len() > MAX_LOGO || !logo.starts_with(PNG))
        {
            let file = self.manifest.branding.as_ref().and_then(|branding| branding.logo.clone()).unwrap_or_default();
            faults.push(Fault::new(file, format!("a picture in PNG of up to {MAX_LOGO} bytes is expected")));
        }
        for file in self.manifest.translations.values() {
            let read: Result<BTreeMap<String, String>, _> = serde_json::from_slice(self.file(file));
            let may = |text: &String| !text.chars().any(|c| misleads(c) && c != '\n');
            if !read.is_ok_and(|texts| texts.values().all(may)) {
                faults.push(Fault::new(
                    file.clone(),
                    "an object from texts to texts is expected, without control characters",
                ));
            }
        }
        (form, faults)
    }

    /// What the frame of a page would refuse (`ui/src/applets/host/bridge.js`).
    fn page_faults(&self) -> Vec<Fault> {
        let Some(page) = &self.manifest.page else { return Vec::new() };
        let long = |file: &String, most: usize| {
            let is_long = self.text(file).chars().count() > most;
            is_long.then(|| Fault::new(file.clone(), format!("it is longer than {most} characters")))
        };
        let mut faults: Vec<Fault> = long(&page.html, MAX_HTML).into_iter().collect();
        faults.extend(page.css.as_ref().and_then(|css| long(css, MAX_CSS)));
        let logic = self.text(&page.logic);
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        if logic.split(|c| !is_word(c)).any(|word| word == "import") {
            faults.push(Fault::new(
                page.logic.clone(),
                "it has the word `import`: an applet loads nothing, and is one file",
            ));
        }
        faults
    }

    fn template(&self, file: &str, form: Option<&Form>, faults: &mut Vec<Fault>) {
        match serde_json::from_slice::<Value>(self.file(file)) {
            Err(error) => faults.push(Fault::new(file, format!("it does not read as JSON: {error}"))),
            // What is missing is left for the administrator: a licence, say.
            Ok(values) => faults.extend(
                form.iter()
                    .flat_map(|form| form.check(&values))
                    .filter(|problem| !problem.message.starts_with("it is missing"))
                    .map(|problem| Fault::new(format!("{file} {}", problem.path), problem.message)),
            ),
        }
    }
}

/// True for a name that stays in its folder on every system.
pub fn is_file_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name.split('/').all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && !part.ends_with('.')
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        })
}

#[cfg(test)]
pub(crate) mod tests;
