//! A backup, put back.

use super::copy_large;
use super::manifest::{self, ANCHOR, COMPONENT_KEYS, COMPONENTS, DATABASE, FORMAT, KEPT, MANIFEST, Manifest, SUMS};
use crate::clock;
use crate::config::{self, Config, InitError, OpenError, create_private, make_folder};
use crate::error::{AsProblem, StoreError, problem};
use crate::noc::Noc;
use crate::store::restored::{Resumed, change_root, resume};
use crate::store::{copy, schema};
use muster_protocol::api::Problem;
use serde::Serialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Under which keys a NOC comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreKeys<'a> {
    /// Its own: it is the same NOC.
    Same,
    /// New ones, at another address: the former NOC hands its appliances over to it.
    New {
        /// Where consoles and appliances reach it, `host[:port]`.
        address: &'a str,
    },
}

/// What was put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// Where consoles and appliances reach the NOC.
    pub address: String,
    /// When the backup was taken, Unix seconds: what was done after it is not known any more.
    pub taken: u64,
    /// What was changed so that the NOC goes on safely.
    pub changed: Resumed,
}

/// Why a backup was not put back. The folder is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// No backup there.
    #[error("{} is no backup: there is no {SUMS} in it", path.display())]
    NoBackup {
        /// The folder.
        path: PathBuf,
    },
    /// Not all of it is there, or not as it was written.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A later version made it.
    #[error("the backup was made by version {program}, which this one does not know")]
    Newer {
        /// The version that made it.
        program: String,
    },
    /// There are files already.
    #[error("{} is not empty", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The clock is wrong: numbers that follow it would be given again.
    #[error("this machine's clock is {seconds} s behind the moment at which the backup was taken")]
    ClockBehind {
        /// By how much.
        seconds: u64,
    },
    /// The address for a NOC with new keys is none.
    #[error("`{address}` is not an address for a NOC")]
    BadAddress {
        /// What was given.
        address: String,
    },
    /// The address for a NOC with new keys is that of the former one.
    #[error("the former NOC is at {address}, and two cannot be at one address")]
    SameAddress {
        /// What was given.
        address: String,
    },
    /// New keys could not be made.
    #[error("new keys could not be made")]
    Keys(#[source] InitError),
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
    /// The database could not be made fit to go on.
    #[error("the restored database could not be prepared")]
    Store(#[from] StoreError),
    /// What was put back does not open.
    #[error("the restored NOC does not open")]
    Open(#[source] OpenError),
}

impl AsProblem for RestoreError {
    fn problem(&self) -> Problem {
        match self {
            RestoreError::NoBackup { .. } => {
                problem(404, "no_backup", self, "Name the folder that `muster-noc backup` has made.")
            }
            RestoreError::Damaged { .. } => {
                problem(422, "backup_damaged", self, "It was cut or altered: use another backup, or copy it anew.")
            }
            RestoreError::Newer { program } => {
                problem(409, "backup_newer", self, &format!("Install muster-noc {program} or later, and try again."))
            }
            RestoreError::NotEmpty { .. } => problem(
                409,
                "folder_not_empty",
                self,
                "Name a folder that is empty or not there yet; move what is in this one away.",
            ),
            RestoreError::ClockBehind { .. } => problem(
                409,
                "clock_behind",
                self,
                "Set the clock of this machine, and try again: with a wrong one, numbers would be given twice.",
            ),
            RestoreError::BadAddress { .. } => {
                problem(400, "bad_address", self, "Give a name or IP address with a port, as noc.example.net:6879.")
            }
            RestoreError::SameAddress { .. } => {
                problem(409, "same_address", self, "Both serve while appliances move: give another port or name.")
            }
            RestoreError::Keys(error) => error.problem(),
            RestoreError::Read { .. } => problem(500, "backup_unreadable", self, "Run as a user that may read it."),
            RestoreError::Write { .. } => {
                problem(500, "folder_unwritable", self, "Choose a folder you may write to, with free space.")
            }
            RestoreError::Store(error) => error.problem(),
            RestoreError::Open(error) => error.problem(),
        }
    }
}

/// Puts a backup into a folder that is empty or not there yet, and makes it fit to be served instead of the NOC that was lost.
pub fn restore(from: &Path, to: &Path, keys: RestoreKeys<'_>) -> Result<Restored, RestoreError> {
    let manifest = examine(from)?;
    let config = match keys {
        RestoreKeys::Same => None,
        RestoreKeys::New { address } => Some(moved(from, address)?),
    };
    let now = clock::now();
    if let Some(seconds) = manifest.taken.checked_sub(now).filter(|behind| *behind > 0) {
        return Err(RestoreError::ClockBehind { seconds });
    }
    let write = |path: &Path| {
        let path = path.to_owned();
        move |source| RestoreError::Write { path, source }
    };
    let was_there = match fs::read_dir(to).map(Iterator::count) {
        Ok(1..) => return Err(RestoreError::NotEmpty { path: to.to_owned() }),
        Ok(0) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(source) => return Err(RestoreError::Read { path: to.to_owned(), source }),
    };
    make_folder(to).map_err(write(to))?;
    let restored = fill(from, to, &manifest, config, now);
    if restored.is_err() {
        // It was empty, so all of it is ours. The first error is the one that matters.
        for entry in fs::read_dir(to).into_iter().flatten().flatten() {
            let _ = fs::remove_file(entry.path()).or_else(|_| fs::remove_dir_all(entry.path()));
        }
        if !was_there {
            let _ = fs::remove_dir(to);
        }
    }
    restored
}

/// Checks that a backup is whole and of a form that this program knows.
fn examine(from: &Path) -> Result<Manifest, RestoreError> {
    let damaged = |name: &str, what: &str| RestoreError::Damaged { path: from.join(name), what: what.to_owned() };
    let read = |name: &str| match fs::read_to_string(from.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(damaged(name, "it is missing")),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(damaged(name, "it is no text")),
        read => read.map_err(|source| RestoreError::Read { path: from.join(name), source }),
    };
    let missing = |error: io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    if fs::metadata(from.join(SUMS)).is_err_and(missing) {
        return Err(RestoreError::NoBackup { path: from.to_owned() });
    }
    let sums = read(SUMS)?;
    let manifest: Manifest =
        serde_json::from_str(&read(MANIFEST)?).map_err(|_| damaged(MANIFEST, "it does not read"))?;
    // Before the list, which may name more in a later form.
    if manifest.format > FORMAT || manifest.schema > schema() {
        return Err(RestoreError::Newer { program: manifest.program });
    }
    for (name, sum) in manifest::parse(&sums).map_err(|what| damaged(SUMS, &what))? {
        match manifest::sum_of(&from.join(&name)) {
            Ok((found, _)) if found == sum => {}
            Ok(_) => return Err(damaged(&name, "its checksum is another")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged(&name, "it is missing")),
            Err(source) => return Err(RestoreError::Read { path: from.join(name), source }),
        }
    }
    Ok(manifest)
}

/// The configuration for another address.
fn moved(from: &Path, address: &str) -> Result<Config, RestoreError> {
    let names = |text: &str| config::split_address(text);
    let wanted = names(address).filter(|(_, port)| *port != 0);
    let wanted = wanted.ok_or_else(|| RestoreError::BadAddress { address: address.to_owned() })?;
    let mut config = Config::read(from).map_err(RestoreError::Open)?;
    if config.names().contains(&wanted) {
        return Err(RestoreError::SameAddress { address: address.to_owned() });
    }
    config.listen.set_port(wanted.1);
    config.addresses = vec![config::join_address(&wanted.0, wanted.1)];
    Ok(config)
}

/// `config`: for a NOC with new keys.
fn fill(
    from: &Path,
    to: &Path,
    manifest: &Manifest,
    config: Option<Config>,
    now: u64,
) -> Result<Restored, RestoreError> {
    let copy = |name: &str| {
        let read = fs::read(from.join(name)).map(Zeroizing::new);
        let contents = read.map_err(|source| RestoreError::Read { path: from.join(name), source })?;
        let write = |source| RestoreError::Write { path: to.join(name), source };
        create_private(&to.join(name), &contents).map_err(write)
    };
    let database = to.join(DATABASE);
    create_private(&database, b"").map_err(|source| RestoreError::Write { path: database.clone(), source })?;
    copy_database(&from.join(DATABASE), &database)?;
    if let Some(what) = copy::fault_of(&database)? {
        return Err(RestoreError::Damaged { path: from.join(DATABASE), what });
    }
    // The repository of components stays the same one, also under another root of the NOC.
    COMPONENT_KEYS.into_iter().filter(|name| from.join(name).exists()).try_for_each(copy)?;
    restore_components(from, to)?;
    let mut former = None;
    // As with a new one: a folder without noc.toml is no NOC.
    if let Some(config) = config {
        former = Some(change_root(&database, &config::make_keys(to).map_err(RestoreError::Keys)?)?);
        config::write_config(to, &config).map_err(RestoreError::Keys)?;
    } else {
        let [last, keys @ ..] = KEPT;
        let anchor = from.join(ANCHOR).exists().then_some(ANCHOR);
        keys.into_iter().chain(anchor).chain([last]).try_for_each(copy)?;
    }
    let noc = Noc::open(to).map_err(RestoreError::Open)?;
    let taken = manifest.taken;
    let inner = noc.inner.clone();
    let changed = noc
        .inner
        .store
        .write_now(move |db| resume(db, now, taken, former.as_ref().map(|former| (former, &inner.signer))))?;
    Ok(Restored { address: noc.noc_address(), taken, changed })
}

/// The files of components, as the list of checksums names them.
fn restore_components(from: &Path, to: &Path) -> Result<(), RestoreError> {
    let path = from.join(SUMS);
    let sums = fs::read_to_string(&path).map_err(|source| RestoreError::Read { path: path.clone(), source })?;
    let names = manifest::parse(&sums).map_err(|what| RestoreError::Damaged { path, what })?;
    let folder = to.join(COMPONENTS);
    for sha256 in names.keys().filter_map(|name| manifest::component(name)) {
        make_folder(&folder).map_err(|source| RestoreError::Write { path: folder.clone(), source })?;
        let copied = copy_large(&from.join(COMPONENTS).join(sha256), &folder.join(sha256));
        copied.map_err(|(path, is_read, source)| match is_read {
            true => RestoreError::Read { path, source },
            false => RestoreError::Write { path, source },
        })?;
    }
    Ok(())
}

/// A database may be larger than the memory.
fn copy_database(from: &Path, to: &Path) -> Result<(), RestoreError> {
    let mut source = fs::File::open(from).map_err(|source| RestoreError::Read { path: from.to_owned(), source })?;
    let write = |source| RestoreError::Write { path: to.to_owned(), source };
    let mut copy = fs::OpenOptions::new().write(true).open(to).map_err(write)?;
    io::copy(&mut source, &mut copy).map_err(write)?;
    copy.sync_all().map_err(write)
}
