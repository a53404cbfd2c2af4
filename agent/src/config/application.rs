//! `[application]` of `agent.toml`: where the vendor's application takes its settings from.

use crate::network::application::ApplicationPlace;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What others than owner and group may do with the file, unless the image says it: nothing.
const MODE: u32 = 0o640;
/// How long a program may take, in seconds.
const TIMEOUT_S: u64 = 30;
/// The longest that it may be given: a console asks as long as this, and longer.
const LONGEST_S: u64 = 120;

/// The section as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Section {
    /// The file that holds the settings.
    pub file: Option<PathBuf>,
    /// Its mode, in octal, as `"0640"`.
    pub mode: Option<String>,
    /// A program and its arguments.
    pub exec: Vec<String>,
    /// How long it may take for one operation.
    pub timeout_s: Option<u64>,
}

/// Why the section cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// Settings would go nowhere.
    #[error("it names neither `file` nor `exec`. Name one of them, or remove the section")]
    Nowhere,
    /// A path depends on where the agent was started, or leads out of where it seems to.
    #[error("{path} is no absolute path without `..`. Write it from / on")]
    Relative {
        /// As it was written.
        path: PathBuf,
    },
    /// The mode is no mode of a file.
    #[error("`mode` is not three or four octal digits like \"0640\"")]
    Mode,
    /// A mode of no file.
    #[error("`mode` is the file's, and there is no `file`")]
    ModeWithoutFile,
    /// Too short to do anything, or longer than a console waits.
    #[error("`timeout_s` must be 1 to 120 seconds, not {seconds}")]
    Timeout {
        /// As it was written.
        seconds: u64,
    },
}

impl SectionError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            SectionError::Nowhere => "config_application_nowhere",
            SectionError::Relative { .. } => "config_application_relative",
            SectionError::Mode | SectionError::ModeWithoutFile => "config_application_mode",
            SectionError::Timeout { .. } => "config_application_timeout",
        }
    }
}

impl Section {
    /// The same, checked.
    pub fn place(self) -> Result<ApplicationPlace, SectionError> {
        let Section { file, mode, exec, timeout_s } = self;
        if file.is_none() && exec.is_empty() {
            return Err(SectionError::Nowhere);
        }
        for path in file.as_deref().into_iter().chain(exec.first().map(Path::new)) {
            let leads_up = path.components().any(|part| part == std::path::Component::ParentDir);
            if !path.is_absolute() || leads_up || path.file_name().is_none() {
                return Err(SectionError::Relative { path: path.to_owned() });
            }
        }
        let mode = match mode {
            Some(_) if file.is_none() => return Err(SectionError::ModeWithoutFile),
            Some(mode) if matches!(mode.len(), 3 | 4) => {
                u32::from_str_radix(&mode, 8).ok().filter(|mode| *mode <= 0o777).ok_or(SectionError::Mode)?
            }
            Some(_) => return Err(SectionError::Mode),
            None => MODE,
        };
        let seconds = timeout_s.unwrap_or(TIMEOUT_S);
        if !(1..=LONGEST_S).contains(&seconds) {
            return Err(SectionError::Timeout { seconds });
        }
        Ok(ApplicationPlace { file, mode, exec, patience: Duration::from_secs(seconds) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Result<ApplicationPlace, SectionError> {
        toml::from_str::<Section>(text).expect("a section").place()
    }

    #[test]
    fn a_section_names_a_file_or_a_program_or_both() {
        let file = place("file = \"/etc/vendor/settings.json\"").expect("a file");
        assert_eq!((file.mode, file.exec.len(), file.patience.as_secs()), (0o640, 0, 30));
        let both = place("file = \"/f\"\nmode = \"0604\"\nexec = [\"/hook\", \"--now\"]\ntimeout_s = 5").expect("both");
        assert_eq!((both.mode, both.exec.len(), both.patience.as_secs()), (0o604, 2, 5));
        assert!(place("exec = [\"/hook\"]").expect("a program").file.is_none());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_to_do() {
        for (text, code) in [
            ("", "config_application_nowhere"),
            ("file = \"settings.json\"", "config_application_relative"),
            ("file = \"/etc/../shadow\"", "config_application_relative"),
            ("file = \"/\"", "config_application_relative"),
            ("exec = [\"hook\"]", "config_application_relative"),
            ("exec = [\"\"]", "config_application_relative"),
            ("file = \"/f\"\nmode = \"rw\"", "config_application_mode"),
            ("file = \"/f\"\nmode = \"4755\"", "config_application_mode"),
            ("file = \"/f\"\nmode = \"8\"", "config_application_mode"),
            ("exec = [\"/hook\"]\nmode = \"0640\"", "config_application_mode"),
            ("exec = [\"/hook\"]\ntimeout_s = 0", "config_application_timeout"),
            ("exec = [\"/hook\"]\ntimeout_s = 121", "config_application_timeout"),
        ] {
            assert_eq!(place(text).expect_err(text).code(), code, "{text}");
        }
        assert!(toml::from_str::<Section>("files = \"/f\"").is_err(), "a name that is mistyped");
    }
}
