//! What the repository says of a component: the `muster` object in a target's `custom` metadata, signed like its hash.

use super::Problem;
use muster_protocol::api::{MAX_COMPONENT_NAME, RequiredComponent};
use serde::{Deserialize, Serialize};
use std::path::{Component, Path};
use std::time::Duration;

/// How a component is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A tar archive, plain or gzip: unpacked beside the version before, then a link is switched.
    Archive,
    /// A Debian package.
    Deb,
    /// Whatever the vendor's program makes of it.
    Exec,
}

/// What is signed about a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Custom {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How it is installed.
    pub kind: Kind,
    /// Bytes that it takes unpacked.
    #[serde(default)]
    pub unpacked: Option<u64>,
    /// The service that is restarted when the version changes.
    #[serde(default)]
    pub unit: Option<String>,
    /// How it is found out whether it works.
    #[serde(default)]
    pub health: Option<HealthCheck>,
}

/// A program of the component that succeeds once the component works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Program and arguments: a path inside an archive, or an absolute one that belongs to the package.
    #[serde(default)]
    pub command: Vec<String>,
    /// Seconds within which it must have succeeded.
    #[serde(default = "usual_seconds")]
    pub within_s: u64,
}

fn usual_seconds() -> u64 {
    60
}

/// Longest time that a component may take to become well.
const LONGEST: Duration = Duration::from_secs(15 * 60);

impl Custom {
    /// Reads it, and compares it with what is required: the plan says which target, the repository what that is.
    pub fn read(custom: &serde_json::Value, required: &RequiredComponent) -> Result<Custom, Problem> {
        let wrong = |text: String| Problem::lasting("target_custom", text);
        let target = &required.target;
        let custom: Custom = Custom::deserialize(custom)
            .map_err(|error| wrong(format!("what the repository says of {target} cannot be read ({error})")))?;
        if custom.name != required.name || custom.version != required.version {
            let text = format!(
                "{target} is {} {} and not {} {}. Correct the policy, or publish it anew",
                custom.name, custom.version, required.name, required.version
            );
            return Err(Problem::lasting("target_mismatch", text));
        }
        // Whoever may sign for the targets of one component says nothing of another one.
        if !target.strip_prefix(custom.name.as_str()).is_some_and(|rest| rest.starts_with('_')) {
            let text = format!("{target} is no name for a target of {}. Publish it anew", custom.name);
            return Err(Problem::lasting("target_mismatch", text));
        }
        if custom.unit.as_deref().is_some_and(|unit| !is_unit(unit)) {
            return Err(wrong(format!("the unit of {target} has a name that no unit has. Publish it anew")));
        }
        if let Some(program) = custom.health.as_ref().and_then(|health| health.command.first()) {
            let fits = match custom.kind {
                Kind::Archive => is_inside(Path::new(program)),
                Kind::Deb => program.starts_with('/') && is_inside(Path::new(program.trim_start_matches('/'))),
                Kind::Exec => false,
            };
            if !fits {
                let text =
                    "an archive's is a path inside it, a package's an absolute one, and for `exec` there is none";
                return Err(wrong(format!("the health command of {target} is not of the component ({text})")));
            }
        }
        Ok(custom)
    }

    /// How long it may take to become well.
    pub fn patience(&self) -> Duration {
        let seconds = self.health.as_ref().map_or_else(usual_seconds, |health| health.within_s);
        Duration::from_secs(seconds.max(1)).min(LONGEST)
    }
}

/// A name or version that may become part of a path.
pub fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_+~".contains(c);
    (1..=MAX_COMPONENT_NAME).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain)
}

/// A target's name as the NOC's route takes it: no folder leads out of it.
pub fn is_target_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_+~".contains(c);
    (1..=128).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain)
}

fn is_unit(unit: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_@:\\".contains(c);
    (1..=255).contains(&unit.len()) && !unit.starts_with('-') && unit.chars().all(plain)
}

/// A relative path that no part of leads up.
pub fn is_inside(path: &Path) -> bool {
    let mut parts = path.components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn required() -> RequiredComponent {
        let text = |text: &str| text.to_owned();
        RequiredComponent { name: text("filter"), version: text("1.0"), target: text("filter_1.0.tar.gz") }
    }

    #[test]
    fn what_is_signed_must_be_what_is_required() {
        let custom = json!({"name": "filter", "version": "1.0", "kind": "archive", "later": true});
        let read = Custom::read(&custom, &required()).expect("the same");
        assert_eq!((read.kind, read.patience().as_secs()), (Kind::Archive, 60));
        for other in [
            json!({"name": "other", "version": "1.0", "kind": "archive"}),
            json!({"name": "filter", "version": "0.9", "kind": "archive"}),
        ] {
            assert_eq!(Custom::read(&other, &required()).expect_err("another").code, "target_mismatch");
        }
        for target in ["other_1.0.tar.gz", "filter-1.0.tar.gz", "filters_1.0", "filter"] {
            let required = RequiredComponent { target: target.to_owned(), ..required() };
            assert_eq!(Custom::read(&custom, &required).expect_err("another's").code, "target_mismatch", "{target}");
        }
        for wrong in [
            json!(null),
            json!({"name": "filter", "version": "1.0", "kind": "rpm"}),
            json!({"name": "filter", "version": "1.0", "kind": "archive", "unit": "-M other"}),
            json!({"name": "filter", "version": "1.0", "kind": "archive", "unit": "a b"}),
            json!({"name": "filter", "version": "1.0", "kind": "archive", "health": {"command": ["/bin/sh"]}}),
            json!({"name": "filter", "version": "1.0", "kind": "archive", "health": {"command": ["../sh"]}}),
            json!({"name": "filter", "version": "1.0", "kind": "deb", "health": {"command": ["/usr/../sh"]}}),
            json!({"name": "filter", "version": "1.0", "kind": "deb", "health": {"command": ["bin/sh"]}}),
            json!({"name": "filter", "version": "1.0", "kind": "exec", "health": {"command": ["bin/sh"]}}),
        ] {
            assert_eq!(Custom::read(&wrong, &required()).expect_err("refused").code, "target_custom", "{wrong}");
        }
    }

    #[test]
    fn a_name_never_leads_out_of_a_folder() {
        assert!(is_plain("mail-filter") && is_plain("1.2.0+b~1") && is_target_name("filter-1.0_amd64.deb"));
        for bad in ["", ".", "..", ".hidden", "a/b", "/etc", "../a", "a\\b", "a b", "a\0", "ä", "%2e%2e"] {
            assert!(!is_plain(bad) && !is_target_name(bad), "{bad}");
        }
        assert!(!is_plain(&"a".repeat(65)) && !is_target_name(&"a".repeat(129)));
    }
}
