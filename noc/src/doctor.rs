//! Is this NOC well? Looks at its folder, its database and how it is reached, and changes nothing.
//!
//! Also a NOC that does not start has to be looked at: what one check needs and another found missing is left out.

mod components;
mod database;
mod folder;
mod reach;

use crate::settings::Settings;
use serde::Serialize;
use std::fmt::Display;
use std::path::Path;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing is wrong.
    Ok,
    /// It works, but not for ever or not for all.
    Warning,
    /// It does not work, or what it does is not safe.
    Error,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: a stable word.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// What to do; empty when nothing is wrong.
    pub remedy: String,
}

impl Finding {
    fn ok(check: &'static str, what: impl Display) -> Finding {
        Finding { check, level: Level::Ok, what: what.to_string(), remedy: String::new() }
    }

    fn warning(check: &'static str, what: impl Display, remedy: impl Display) -> Finding {
        Finding { check, level: Level::Warning, what: what.to_string(), remedy: remedy.to_string() }
    }

    fn error(check: &'static str, what: impl Display, remedy: impl Display) -> Finding {
        Finding { check, level: Level::Error, what: what.to_string(), remedy: remedy.to_string() }
    }
}

/// Looks at everything.
pub fn examine(path: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let settings = match Settings::read(path) {
        Ok(settings) => settings,
        Err(error) => {
            findings.push(of_error("configuration", &error));
            return findings;
        }
    };
    findings.push(Finding::ok("configuration", "noc.toml and the environment read"));
    findings.extend(folder::permissions(path));
    let keys = folder::keys(path, &mut findings);
    let known = database::examine(path, keys.as_ref().map(|keys| &keys.root), &settings.config, &mut findings);
    findings.push(folder::disk(path, known.size));
    findings.push(reach::open_files(known.appliances));
    reach::examine(path, &settings.config, keys.as_ref(), &mut findings);
    findings
}

/// An error as everywhere else: with its causes, and what to do.
fn of_error<E: crate::error::AsProblem + std::error::Error>(check: &'static str, error: &E) -> Finding {
    let causes = std::iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string);
    let what: Vec<_> = std::iter::once(error.to_string()).chain(causes).collect();
    Finding::error(check, what.join(": "), error.problem().detail)
}
