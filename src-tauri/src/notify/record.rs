//! What the administrator was told, in a file: nothing is told again after a restart.

use super::AlertKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What the administrator knows of an open alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Knowledge {
    /// It was told.
    Told,
    /// It opened while nobody was to be disturbed, and is told at the end of that.
    Held,
    /// It is silenced, and told when that ends.
    Silenced,
    /// It is not told: somebody else had it first, or the administrator does not want to hear of such.
    Untold,
}

impl Knowledge {
    /// Somebody acknowledged it: who was not told yet need not be.
    pub(crate) fn see(&mut self) {
        if *self != Self::Told {
            *self = Self::Untold;
        }
    }
}

/// What was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Of open alerts.
    pub(crate) alerts: BTreeMap<AlertKey, Knowledge>,
    /// Since when the NOC is lost, if that was told.
    pub(crate) lost: Option<u32>,
}

/// The form of the file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Now {
        alerts: Vec<(u32, u32, Knowledge)>,
        lost: Option<u32>,
    },
    /// Of versions that knew only of alerts that were told.
    Earlier(Vec<AlertKey>),
}

/// The file.
#[derive(Debug)]
pub(crate) struct Record {
    file: PathBuf,
    written: Told,
}

impl Record {
    /// What is on record in `folder`. An unreadable file is as good as none: then open alerts are told again.
    pub(crate) fn open(folder: &Path) -> (Self, Told) {
        let file = folder.join("notified.json");
        let stored = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let told = match stored {
            Some(Stored::Now { alerts, lost }) => {
                Told { alerts: alerts.into_iter().map(|(id, opened, known)| ((id, opened), known)).collect(), lost }
            }
            Some(Stored::Earlier(keys)) => {
                Told { alerts: keys.into_iter().map(|key| (key, Knowledge::Told)).collect(), lost: None }
            }
            None => Told::default(),
        };
        (Self { file, written: told.clone() }, told)
    }

    /// Writes what is new. A failure costs at most that something is told twice.
    pub(crate) fn keep(&mut self, told: Told) {
        if told == self.written {
            return;
        }
        match self.write(&told) {
            Ok(()) => self.written = told,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "it is not on record which alerts were told");
            }
        }
    }

    fn write(&self, told: &Told) -> std::io::Result<()> {
        let alerts = told.alerts.iter().map(|((id, opened), known)| (*id, *opened, *known)).collect();
        let bytes = serde_json::to_vec(&Stored::Now { alerts, lost: told.lost }).map_err(std::io::Error::other)?;
        replace(&self.file, &bytes)
    }
}

/// Writes a file whole: a power cut leaves the old one or the new one.
pub(crate) fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    let mut written = std::fs::File::create(&new)?;
    written.write_all(bytes)?;
    written.sync_all()?;
    std::fs::rename(new, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        Told { alerts: [((1, 100), Knowledge::Told), ((2, 100), Knowledge::Held)].into(), lost: Some(50) }
    }

    #[test]
    fn what_was_told_is_there_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut record, none) = Record::open(folder.path());
        assert_eq!(none, Told::default());
        record.keep(told());
        assert_eq!(Record::open(folder.path()).1, told());
    }

    #[test]
    fn a_damaged_record_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("notified.json"), b"[[1,").expect("writable");
        let (mut record, none) = Record::open(folder.path());
        assert_eq!(none, Told::default());
        record.keep(told());
        assert_eq!(Record::open(folder.path()).1, told());
    }

    #[test]
    fn the_record_of_an_earlier_version_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("notified.json"), b"[[1,100]]").expect("writable");
        let (_, told) = Record::open(folder.path());
        assert_eq!(told, Told { alerts: [((1, 100), Knowledge::Told)].into(), lost: None });
    }

    #[test]
    fn a_disk_that_takes_nothing_costs_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut record, _) = Record::open(&folder.path().join("missing"));
        record.keep(told());
        std::fs::create_dir(folder.path().join("missing")).expect("writable");
        record.keep(told());
        assert_eq!(Record::open(&folder.path().join("missing")).1, told(), "it is tried again");
    }
}
