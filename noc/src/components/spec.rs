//! What is said of a component, and how it is checked.

use super::ComponentError;
use crate::operators::OrganisationId;
use crate::policy::values::model_key;
use muster_protocol::api::MAX_COMPONENT_NAME;
use muster_protocol::id::SiteId;
use muster_protocol::text::misleads;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// Longest name of a target, bytes.
const MAX_TARGET: usize = 128;
/// Most models or sites of one component, and most words of a command.
const MOST: usize = 64;
/// Longest model or word of a command, bytes.
const MAX_WORD: usize = 256;
/// Seconds for which health may be watched.
const MAX_WITHIN_S: u32 = 3_600;

/// How a component is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComponentKind {
    /// A tar archive packed with gzip, unpacked to a folder of its own.
    Archive,
    /// A Debian package.
    Deb,
    /// One program.
    Exec,
}

impl ComponentKind {
    fn ending(self) -> &'static str {
        match self {
            ComponentKind::Archive => ".tar.gz",
            ComponentKind::Deb => ".deb",
            ComponentKind::Exec => "",
        }
    }

    /// Whether a file begins as one of this kind does; else what it should begin with.
    pub(crate) fn check(self, start: &[u8]) -> Result<(), ComponentError> {
        let (is_one, what) = match self {
            ComponentKind::Archive => (start.starts_with(&[0x1f, 0x8b]), "a tar archive packed with gzip"),
            ComponentKind::Deb => (start.starts_with(b"!<arch>\n"), "a Debian package"),
            ComponentKind::Exec => (start.starts_with(b"\x7fELF") || start.starts_with(b"#!"), "a program or script"),
        };
        if is_one { Ok(()) } else { Err(ComponentError::invalid("file", format!("is not {what}"))) }
    }
}

/// How it is found out that a component is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// A program inside of the component, and its arguments.
    pub command: Vec<String>,
    /// Seconds within which it has to end well.
    pub within_s: u32,
}

/// What is said of a component when it is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentSpec {
    /// Whose it is; none for all organisations.
    pub organisation: Option<OrganisationId>,
    /// Lower-case letters, digits and dashes.
    pub name: String,
    /// Letters, digits and `.+~-`.
    pub version: String,
    /// How it is installed.
    pub kind: ComponentKind,
    /// Models that it is for, `*` at the end for any ending; empty: all.
    pub models: Vec<String>,
    /// Sites that it is for; empty: all.
    pub sites: Vec<SiteId>,
    /// The systemd unit that runs it.
    pub unit: Option<String>,
    /// How it is found out that it is well.
    pub health: Option<HealthCheck>,
}

/// A component of the library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Component {
    /// Its number.
    pub id: u32,
    /// Whose it is; none for all organisations.
    #[schema(value_type = Option<u32>)]
    pub organisation: Option<OrganisationId>,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How it is installed.
    pub kind: ComponentKind,
    /// The name of its target in the repository.
    pub target: String,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// Models that it is for; empty: all.
    pub models: Vec<String>,
    /// Sites that it is for; empty: all.
    #[schema(value_type = Vec<u32>)]
    pub sites: Vec<SiteId>,
    /// Channels that lead to it: `stable`, `test`.
    pub channels: Vec<String>,
    /// When it was added, Unix seconds.
    pub added: u64,
    /// When it was retired, if it was.
    pub retired: Option<u64>,
    /// The vendor that signs for it; none: this NOC.
    pub vendor: Option<String>,
}

impl Component {
    /// Whether appliances of a model at a site may have it.
    pub(crate) fn is_for(&self, site: Option<SiteId>, model: &str) -> bool {
        let model = model_key(model);
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => model.starts_with(&model_key(start)),
            None => model == model_key(pattern),
        };
        (self.models.is_empty() || self.models.iter().any(fits))
            && (self.sites.is_empty() || site.is_some_and(|site| self.sites.contains(&site)))
    }
}

impl ComponentSpec {
    /// Whether it can be kept.
    pub(crate) fn check(&self) -> Result<(), ComponentError> {
        check_name(&self.name)?;
        check_version(&self.version)?;
        let bad = |word: &str| word.is_empty() || word.len() > MAX_WORD || word.chars().any(misleads);
        if self.models.len() > MOST || self.sites.len() > MOST {
            return Err(ComponentError::invalid("models", format!("and sites are at most {MOST}")));
        }
        let stars = |model: &String| model.trim_end_matches('*').contains('*') || model.ends_with("**");
        if self.models.iter().any(|model| bad(model.trim()) || stars(model)) {
            return Err(ComponentError::invalid("models", "are names, with `*` at the end only"));
        }
        if let Some(unit) = &self.unit {
            let good = |c: char| c.is_ascii_alphanumeric() || "@._:-".contains(c);
            if bad(unit) || !unit.ends_with(".service") || !unit.chars().all(good) {
                return Err(ComponentError::invalid("unit", "is not the name of a service, as mail-filter.service"));
            }
        }
        let Some(HealthCheck { command, within_s }) = &self.health else { return Ok(()) };
        // Nothing of such a component is known to be its own, so the installer would refuse it.
        if self.kind == ComponentKind::Exec {
            return Err(ComponentError::invalid("health", "is for archives and packages: name a unit for this kind"));
        }
        if command.is_empty() || command.len() > MOST || command.iter().any(|word| bad(word)) {
            let why = format!("is a program and its arguments, at most {MOST} words of {MAX_WORD} bytes");
            return Err(ComponentError::invalid("health", why));
        }
        if !(1..=MAX_WITHIN_S).contains(within_s) {
            return Err(ComponentError::invalid("within_s", format!("must be 1 to {MAX_WITHIN_S}, not {within_s}")));
        }
        let program = command.first().map_or("", String::as_str);
        let is_inside = match self.kind {
            ComponentKind::Deb => program.starts_with('/'),
            _ => !program.starts_with('/'),
        };
        if !is_inside || program.split('/').any(|part| part == "..") {
            let why = "begins with a path inside of the component: absolute for a package, else relative, without `..`";
            return Err(ComponentError::invalid("health", why));
        }
        Ok(())
    }

    /// The name of its target.
    pub(crate) fn target(&self) -> String {
        format!("{}_{}{}", self.name, self.version, self.kind.ending())
    }

    /// What the installer has to know, as it stands in the target's `custom`.
    pub(crate) fn facts(&self, unpacked: Option<u64>) -> Value {
        let mut facts = json!({ "name": self.name, "version": self.version, "kind": self.kind, "models": self.models });
        if let Some(facts) = facts.as_object_mut() {
            facts.extend(unpacked.map(|bytes| ("unpacked".to_owned(), json!(bytes))));
            facts.extend(self.unit.as_ref().map(|unit| ("unit".to_owned(), json!(unit))));
            facts.extend(self.health.as_ref().map(|health| ("health".to_owned(), json!(health))));
        }
        facts
    }
}

/// A component's name: also the start of its target's, which ends at the first `_`.
pub(crate) fn check_name(name: &str) -> Result<(), ComponentError> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=MAX_COMPONENT_NAME).contains(&name.len()) && name.bytes().all(good) && !name.starts_with('-') {
        return Ok(());
    }
    let why = format!("is not 1 to {MAX_COMPONENT_NAME} lower-case letters, digits and dashes");
    Err(ComponentError::invalid("name", why))
}

pub(crate) fn check_version(version: &str) -> Result<(), ComponentError> {
    // Room for the name, and for an ending.
    let most = MAX_TARGET - MAX_COMPONENT_NAME - 8;
    let good = |b: u8| b.is_ascii_alphanumeric() || b".+~-".contains(&b);
    let begins = version.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if begins && version.len() <= most && version.bytes().all(good) && !version.contains("..") {
        return Ok(());
    }
    let why = format!("is not 1 to {most} letters, digits and `.+~-` that begin with a letter or digit");
    Err(ComponentError::invalid("version", why))
}

/// Whether a name can be that of a target, or of a file of metadata: no folder, nothing that leads out of one.
pub(crate) fn is_file_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._+~-".contains(&b);
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    begins && name.len() <= MAX_TARGET + 65 && name.bytes().all(good) && !name.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ComponentSpec {
        ComponentSpec {
            organisation: None,
            name: "mail-filter".into(),
            version: "1.2.0+b1~rc-2".into(),
            kind: ComponentKind::Archive,
            models: vec!["Mail*".into()],
            sites: Vec::new(),
            unit: Some("mail-filter@1.service".into()),
            health: Some(HealthCheck { command: vec!["bin/check".into(), "--quick".into()], within_s: 60 }),
        }
    }

    #[test]
    fn what_leads_out_of_a_folder_or_reads_as_something_else_is_no_name() {
        spec().check().expect("good");
        assert_eq!(spec().target(), "mail-filter_1.2.0+b1~rc-2.tar.gz");
        assert!(is_file_name(&spec().target()));
        for name in ["", "../x", "a/b", "/etc", "A", "a_b", "a b", "-a", "\u{430}", &"a".repeat(65)] {
            assert!(ComponentSpec { name: name.into(), ..spec() }.check().is_err(), "{name}");
        }
        for version in ["", "1/2", "../1", "1..2", "~1", ".1", "1_2", "1:2", "1 2", &"1".repeat(57)] {
            assert!(ComponentSpec { version: version.into(), ..spec() }.check().is_err(), "{version}");
        }
        for file in ["", "..", ".", "../a", "a/../b", "a\\b", "%2e%2e", "a\0", ".hidden", &"a".repeat(194)] {
            assert!(!is_file_name(file), "{file}");
        }
        let longest = ComponentSpec { name: "a".repeat(64), version: "1".repeat(56), ..spec() };
        longest.check().expect("good");
        assert!(
            longest.target().len() <= MAX_TARGET && is_file_name(&format!("{}.{}", "0".repeat(64), longest.target()))
        );
    }

    #[test]
    fn what_the_installer_is_told_is_checked() {
        for unit in ["", "x", "x.socket", "../x.service", "a b.service"] {
            assert!(ComponentSpec { unit: Some(unit.into()), ..spec() }.check().is_err(), "{unit}");
        }
        let health = |kind, words: &[&str], within_s| {
            let command = words.iter().map(ToString::to_string).collect();
            ComponentSpec { kind, health: Some(HealthCheck { command, within_s }), ..spec() }.check()
        };
        use ComponentKind::{Archive, Deb, Exec};
        assert!(health(Deb, &["/usr/bin/check"], 60).is_ok());
        for (kind, words, within_s) in [
            (Exec, &["bin/check"][..], 60),
            (Archive, &["/bin/sh"], 60),
            (Archive, &["bin/../../sh"], 60),
            (Archive, &[], 60),
            (Archive, &["a", ""], 60),
            (Deb, &["bin/check"], 60),
            (Archive, &["bin/check"], 0),
            (Archive, &["bin/check"], 3_601),
        ] {
            assert!(health(kind, words, within_s).is_err(), "{words:?} {within_s}");
        }
        for model in ["", "*a", "a*b", "a**", "a\u{202e}"] {
            assert!(ComponentSpec { models: vec![model.into()], ..spec() }.check().is_err(), "{model}");
        }
        assert!(ComponentKind::Archive.check(&[0x1f, 0x8b, 8]).is_ok() && ComponentKind::Archive.check(b"PK").is_err());
        assert!(ComponentKind::Deb.check(b"!<arch>\ndeb").is_ok() && ComponentKind::Deb.check(b"").is_err());
        assert!(ComponentKind::Exec.check(b"#!/bin/sh").is_ok() && ComponentKind::Exec.check(b"MZ").is_err());
    }
}
