//! What can go wrong in the app itself. The engine and the NOC explain their own errors.

use muster_console::problem::Explain;
use std::io;
use std::path::PathBuf;

/// Why the practice fleet does not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PracticeError {
    /// The program is not there.
    #[error("the practice fleet's program is not at {}", path.display())]
    NotInstalled {
        /// Where it should be.
        path: PathBuf,
    },
    /// The program does not start.
    #[error("{} does not start", program.display())]
    Start {
        /// Which.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It started and did not become ready.
    #[error("the practice fleet did not become ready{}", if said.is_empty() { String::new() } else { format!("; it said: {said}") })]
    NotReady {
        /// Its first line.
        said: String,
    },
    /// It is no longer there.
    #[error("the practice fleet is no longer running")]
    Gone {
        /// What happened on the last attempt.
        source: io::Error,
    },
    /// There is none.
    #[error("no practice fleet is running")]
    NotRunning,
}

impl Explain for PracticeError {
    fn code(&self) -> String {
        match self {
            Self::NotInstalled { .. } => "practice_not_installed",
            Self::Start { .. } => "practice_start",
            Self::NotReady { .. } => "practice_not_ready",
            Self::Gone { .. } => "practice_gone",
            Self::NotRunning => "practice_not_running",
        }
        .to_owned()
    }

    fn remedy(&self) -> String {
        match self {
            Self::NotInstalled { .. } | Self::Start { .. } => {
                "Install Muster completely, or name the program in MUSTER_FLEET; without it, untick the practice fleet."
            }
            Self::NotReady { .. } => {
                "Try again; if it stays, start with fewer appliances: muster-desktop --practice 10."
            }
            Self::Gone { .. } => "Quit Muster in the tray and start it again; the appliances keep what they have.",
            Self::NotRunning => "Start Muster with --practice 24 to practise.",
        }
        .to_owned()
    }
}

/// Why this computer does not become a NOC.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// There is a NOC already.
    #[error("this console has joined a NOC already")]
    AlreadyJoined,
    /// No port on loopback.
    #[error("no port is free for the NOC on this computer")]
    Address {
        /// Why.
        source: io::Error,
    },
    /// The practice fleet's own manifest is refused.
    #[error("the practice fleet's manifest does not fit this version: {message}")]
    Manifest {
        /// What is wrong with it.
        message: String,
    },
    /// The data folder cannot be written.
    #[error("it cannot be kept that the practice fleet belongs to this NOC")]
    Remember {
        /// Why.
        source: io::Error,
    },
    /// Only a NOC on this computer has its inventory here.
    #[error("the inventory of this NOC is not on this computer")]
    NocElsewhere,
}

impl Explain for SetupError {
    fn code(&self) -> String {
        match self {
            Self::AlreadyJoined => "already_joined",
            Self::Address { .. } => "no_free_port",
            Self::Manifest { .. } => "practice_manifest",
            Self::Remember { source } if source.kind() == io::ErrorKind::StorageFull => "disk_full",
            Self::Remember { .. } => "data_folder",
            Self::NocElsewhere => "noc_elsewhere",
        }
        .to_owned()
    }

    fn remedy(&self) -> String {
        match self {
            Self::AlreadyJoined => "To start over, quit Muster and start it with another folder: --data-dir DIR.",
            Self::Address { .. } => "Close programs that keep many connections open, then try again.",
            Self::Manifest { .. } => "Install Muster completely: the fleet and the app are of different versions.",
            Self::Remember { source } if source.kind() == io::ErrorKind::StorageFull => "Make room on that disk.",
            Self::Remember { .. } => "Check the permissions of the data folder, or choose another with --data-dir.",
            Self::NocElsewhere => "Import the manifest at the NOC: muster-noc inventory import FILE.",
        }
        .to_owned()
    }
}

/// Settings were not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// They are no hours.
    #[error("these quiet hours cannot be: {why}")]
    QuietHours {
        /// What is wrong.
        why: &'static str,
    },
    /// A list is too long.
    #[error("more than {most} sites or models are named")]
    TooMany {
        /// So many are possible.
        most: usize,
    },
    /// The file cannot be written.
    #[error("the settings were not kept in {}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Explain for SettingsError {
    fn code(&self) -> String {
        match self {
            Self::QuietHours { .. } => "quiet_hours",
            Self::TooMany { .. } => "too_many_filters",
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => "disk_full",
            Self::Write { .. } => "settings_not_kept",
        }
        .to_owned()
    }

    fn remedy(&self) -> String {
        match self {
            Self::QuietHours { .. } => "Choose at least one day, and a beginning and an end that differ.",
            Self::TooMany { .. } => "Take a whole site or kind out instead of single models.",
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => "Make room on that disk.",
            Self::Write { .. } => "Check the permissions of the data folder; what was set before still holds.",
        }
        .to_owned()
    }
}

/// A file was not saved.
#[derive(Debug, thiserror::Error)]
#[error("{} was not saved", path.display())]
pub(crate) struct ExportError {
    /// Which.
    pub(crate) path: PathBuf,
    /// Why.
    pub(crate) source: io::Error,
}

impl Explain for ExportError {
    fn code(&self) -> String {
        if self.source.kind() == io::ErrorKind::StorageFull { "disk_full" } else { "export_failed" }.to_owned()
    }

    fn remedy(&self) -> String {
        "Choose a folder that you may write to, on a disk with free space; the job itself is unchanged.".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_error_has_its_own_code_and_a_remedy() {
        let io = || io::Error::other("refused");
        let path = || PathBuf::from("/nowhere");
        let errors: Vec<Box<dyn Explain>> = vec![
            Box::new(PracticeError::NotInstalled { path: path() }),
            Box::new(PracticeError::Start { program: path(), source: io() }),
            Box::new(PracticeError::NotReady { said: "no port".to_owned() }),
            Box::new(PracticeError::Gone { source: io() }),
            Box::new(PracticeError::NotRunning),
            Box::new(SetupError::AlreadyJoined),
            Box::new(SetupError::Address { source: io() }),
            Box::new(SetupError::Manifest { message: "line 2".to_owned() }),
            Box::new(SetupError::Remember { source: io() }),
            Box::new(SetupError::NocElsewhere),
            Box::new(SettingsError::QuietHours { why: "no day is chosen" }),
            Box::new(SettingsError::TooMany { most: 1 }),
            Box::new(SettingsError::Write { path: path(), source: io() }),
            Box::new(ExportError { path: path(), source: io() }),
        ];
        let codes: BTreeSet<String> = errors.iter().map(|error| error.code()).collect();
        assert_eq!(codes.len(), errors.len(), "{codes:?}");
        for error in &errors {
            let problem = error.problem();
            assert!(!problem.remedy.is_empty() && !problem.message.is_empty(), "{problem:?}");
        }
    }

    #[test]
    fn a_full_disk_is_named() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(SetupError::Remember { source: full() }.code(), "disk_full");
        assert_eq!(ExportError { path: PathBuf::from("/x"), source: full() }.code(), "disk_full");
    }
}
