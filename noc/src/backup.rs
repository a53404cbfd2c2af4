//! Everything that a NOC is, in a folder of its own: taken while it serves, put back into an empty one (decision 0028).
//!
//! Keys and configuration do not change; the database is copied as of one moment, and the anchor of the audit log before it, so
//! that the anchor never speaks of records that are not in the copy.

mod manifest;
mod restore;

pub use restore::{RestoreError, RestoreKeys, Restored, restore};

use crate::audit::{self, By, Event};
use crate::clock;
use crate::components;
use crate::config::{create_private, make_private_folder};
use crate::error::{AsProblem, StoreError, problem};
use crate::noc::Noc;
use crate::operators::access::Place;
use crate::store::{self, audit as log, copy, schema};
use manifest::{ANCHOR, COMPONENT_KEYS, COMPONENTS, DATABASE, KEPT, MANIFEST, Manifest, SUMS};
use muster_protocol::api::Problem;
use serde::Serialize;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// A backup that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupReport {
    /// The folder.
    pub folder: PathBuf,
    /// When it was begun, Unix seconds.
    pub taken: u64,
    /// The version of the database's tables.
    pub schema: i64,
    /// Bytes in all.
    pub size: u64,
}

/// Why no backup was taken. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is something already.
    #[error("{} is there already", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// Another backup to the same place is under way, or was cut off.
    #[error("{} is there: another backup is under way, or one was cut off", path.display())]
    Unfinished {
        /// What is there.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error("{} could not be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder could not be written.
    #[error("{} could not be written", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database is damaged, so that a copy would be worth nothing.
    #[error("the database is damaged: {what}")]
    Damaged {
        /// What SQLite says.
        what: String,
    },
    /// The database could not be copied.
    #[error("the database could not be copied")]
    Store(#[from] StoreError),
}

impl AsProblem for BackupError {
    fn problem(&self) -> Problem {
        match self {
            BackupError::Exists { .. } => {
                problem(409, "backup_exists", self, "Name a folder that is not there yet: a backup overwrites nothing.")
            }
            BackupError::Unfinished { path } => {
                let remedy = format!("Wait for the other one. If there is none, delete {}.", path.display());
                problem(409, "backup_unfinished", self, &remedy)
            }
            BackupError::Read { .. } => {
                problem(500, "folder_unreadable", self, "Run as the user that owns the NOC's folder.")
            }
            BackupError::Write { .. } => problem(
                500,
                "backup_unwritable",
                self,
                "Name a folder inside of one that is there and that you may write to, with free space.",
            ),
            BackupError::Damaged { .. } => problem(
                500,
                "database_damaged",
                self,
                "Look at the disk, and put the last good backup back with `muster-noc restore`.",
            ),
            BackupError::Store(error) => error.problem(),
        }
    }
}

impl Noc {
    /// Copies all of this NOC to a new folder that only its owner can read. It may be served meanwhile, by any process.
    pub fn back_up(&self, to: &Path) -> Result<BackupReport, BackupError> {
        if fs::symlink_metadata(to).is_ok() {
            return Err(BackupError::Exists { path: to.to_owned() });
        }
        let beside = beside(to);
        let write = |path: &Path| {
            let path = path.to_owned();
            move |source| BackupError::Write { path, source }
        };
        match make_private_folder(&beside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(BackupError::Unfinished { path: beside });
            }
            made => made.map_err(write(&beside))?,
        }
        let filled = self.fill(&beside, to).and_then(|report| {
            fs::rename(&beside, to).and_then(|()| sync_folder(to)).map_err(write(to))?;
            Ok(report)
        });
        if filled.is_err() {
            // The first error is the one that matters.
            let _ = fs::remove_dir_all(&beside);
        }
        let report = filled?;
        let detail = serde_json::json!({ "folder": to, "size": report.size });
        let event = Event::new(Place { organisation: None, site: None }, "backup.take", "noc").with(detail);
        let taken = report.taken;
        self.inner.store.write_now(move |db| {
            log::record(db, taken, &By::local(), event)?;
            copy::note_backup(db, taken)
        })?;
        Ok(report)
    }

    fn fill(&self, folder: &Path, to: &Path) -> Result<BackupReport, BackupError> {
        let taken = clock::now();
        let anchor = audit::anchor_file(&self.inner.path);
        for name in KEPT {
            copy_private(&self.inner.path.join(name), &folder.join(name))?;
        }
        if anchor.exists() {
            copy_private(&anchor, &folder.join(ANCHOR))?;
        }
        for name in COMPONENT_KEYS.into_iter().filter(|name| self.inner.path.join(name).exists()) {
            copy_private(&self.inner.path.join(name), &folder.join(name))?;
        }
        let database = folder.join(DATABASE);
        create_private(&database, b"").map_err(|source| BackupError::Write { path: database.clone(), source })?;
        self.inner.store.copy_to(&database).map_err(|error| match error {
            // Not the NOC's own disk, of which that error speaks.
            StoreError::Full => {
                BackupError::Write { path: database.clone(), source: io::ErrorKind::StorageFull.into() }
            }
            other => other.into(),
        })?;
        if let Some(what) = copy::fault_of(&database)? {
            return Err(BackupError::Damaged { what });
        }
        // After the database: what it names was there before it.
        self.copy_components(folder)?;
        let manifest = Manifest::new(taken, &self.noc_address(), &self.root());
        let path = folder.join(MANIFEST);
        create_private(&path, manifest.text().as_bytes()).map_err(|source| BackupError::Write { path, source })?;
        let sums = manifest::sums_of(folder).map_err(|(path, source)| BackupError::Read { path, source })?;
        let path = folder.join(SUMS);
        create_private(&path, sums.text.as_bytes()).map_err(|source| BackupError::Write { path, source })?;
        Ok(BackupReport { folder: to.to_owned(), taken, schema: schema(), size: sums.size })
    }
}

impl Noc {
    /// Copies the files of components. One that is retired meanwhile may be gone.
    fn copy_components(&self, folder: &Path) -> Result<(), BackupError> {
        let wanted = self.inner.store.read_now(store::components::files)?;
        if wanted.is_empty() {
            return Ok(());
        }
        let to = folder.join(COMPONENTS);
        make_private_folder(&to).map_err(|source| BackupError::Write { path: to.clone(), source })?;
        for sha256 in wanted {
            let from = components::folder::path(&self.inner.path, &sha256);
            copy_large(&from, &to.join(&sha256)).map_err(|(path, is_read, source)| match is_read {
                true => BackupError::Read { path, source },
                false => BackupError::Write { path, source },
            })?;
        }
        Ok(())
    }
}

/// Copies a file that may be larger than the memory. An error names its file, and whether it was the one that is read.
fn copy_large(from: &Path, to: &Path) -> Result<(), (PathBuf, bool, io::Error)> {
    let mut source = File::open(from).map_err(|error| (from.to_owned(), true, error))?;
    let write = |error| (to.to_owned(), false, error);
    create_private(to, b"").map_err(write)?;
    let mut copy = File::options().write(true).open(to).map_err(write)?;
    io::copy(&mut source, &mut copy).map_err(write)?;
    copy.sync_all().map_err(write)
}

/// Where a backup is put together before it has its name.
fn beside(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    to.with_file_name(name)
}

fn copy_private(from: &Path, to: &Path) -> Result<(), BackupError> {
    let contents = fs::read(from).map(zeroize::Zeroizing::new);
    let contents = contents.map_err(|source| BackupError::Read { path: from.to_owned(), source })?;
    create_private(to, &contents).map_err(|source| BackupError::Write { path: to.to_owned(), source })
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}
