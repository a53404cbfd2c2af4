//! Why a component could not be installed.

use muster_protocol::api::MAX_COMPONENT_PROBLEM;
use muster_protocol::text::misleads;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// A stable word and a sentence, and whether trying again may help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {text}")]
pub struct Problem {
    /// The stable word.
    pub code: String,
    /// What is wrong and what to do.
    pub text: String,
    /// It is tried again without another plan.
    pub passes: bool,
}

impl Problem {
    /// Final: only another plan changes it.
    pub(super) fn lasting(code: &str, text: impl Into<String>) -> Problem {
        Problem { code: code.to_owned(), text: text.into(), passes: false }
    }

    /// Tried again.
    pub(super) fn passing(code: &str, text: impl Into<String>) -> Problem {
        Problem { code: code.to_owned(), text: text.into(), passes: true }
    }

    /// The disk refused.
    pub(super) fn disk(what: &str, path: &Path, error: &io::Error) -> Problem {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        if full {
            return Problem::passing(
                "no_space",
                format!("{} could not be {what}: the disk is full. Make room", path.display()),
            );
        }
        let text = format!("{} could not be {what} ({error}). Check the disk and its permissions", path.display());
        Problem::passing("storage", text)
    }

    /// For a beat: `code: text`, of a length and letters that a beat takes.
    pub(super) fn told(&self) -> String {
        let mut told = String::new();
        for c in self.to_string().chars().map(|c| if c.is_control() || misleads(c) { ' ' } else { c }) {
            if told.len() + c.len_utf8() > MAX_COMPONENT_PROBLEM {
                break;
            }
            told.push(c);
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_called_one_and_no_text_is_too_long_for_a_beat() {
        let full = Problem::disk("written", Path::new("/x"), &io::ErrorKind::StorageFull.into());
        assert_eq!((full.code.as_str(), full.passes), ("no_space", true));
        assert!(full.told().contains("Make room"), "{full}");
        let other = Problem::disk("written", Path::new("/x"), &io::ErrorKind::PermissionDenied.into());
        assert_eq!(other.code, "storage");
        let long = Problem::lasting("install", "ü\u{202e}\n".repeat(1000));
        assert!(long.told().len() <= MAX_COMPONENT_PROBLEM && !long.told().contains(['\n', '\u{202e}']));
    }
}
