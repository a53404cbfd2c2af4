//! What the console keeps on disk: jobs, results that the NOC has still to be told, preferences. SQLite in the data folder.
//!
//! Everything that must survive is one [`Change`]; a batch of them is one transaction, on disk when [`Store::save`] returns.

mod applets;
mod messages;
mod rows;

pub use applets::{NewList, StoredList};
pub use messages::{MessageEnd, MessageKey, StoredMessage};

use crate::files;
use crate::problem::Explain;
use crate::view::{JobStep, ProblemView};
use muster_protocol::api::ResultItem;
use muster_protocol::crypto::claim::ClaimKey;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::id::{Mac, Seq, SiteId, Uid};
use muster_protocol::parameters::RawSettings;
use rusqlite::{Connection, ErrorCode, params};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

mod migrations {
    refinery::embed_migrations!("migrations");
}

/// The open database. Calls block; an engine calls it on a blocking thread.
pub struct Store {
    connection: Mutex<Connection>,
    path: PathBuf,
}

/// Why the store did not do it. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder or file cannot be created or opened.
    #[error("cannot open {path}")]
    Open {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No space on the disk.
    #[error("the disk that holds {path} is full; nothing was changed")]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// The schema could not be brought up to date.
    #[error("the database {path} is from another version")]
    Migrate {
        /// The database.
        path: PathBuf,
        /// What the migration says.
        source: Box<refinery::Error>,
    },
    /// Anything else SQLite says.
    #[error("the database {path} failed")]
    Sql {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

impl Explain for StoreError {
    fn code(&self) -> String {
        match self {
            StoreError::Open { .. } => "store_open",
            StoreError::Full { .. } => "disk_full",
            StoreError::Migrate { .. } => "store_version",
            StoreError::Sql { .. } => "store_failed",
        }
        .to_owned()
    }

    fn remedy(&self) -> String {
        match self {
            StoreError::Open { .. } => "Check the permissions of the folder, or choose another with --data-dir.",
            StoreError::Full { .. } => "Make room on that disk; what is waiting goes on by itself.",
            StoreError::Migrate { .. } => "Use the version of Muster that wrote it, or a newer one.",
            StoreError::Sql { .. } => "Check the disk; if the file is damaged, move it away and start again.",
        }
        .to_owned()
    }
}

/// A job as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredJob {
    /// Its number.
    pub id: u32,
    /// The site.
    pub site: SiteId,
    /// When it was started, Unix seconds.
    pub started: u64,
    /// When the last item was done.
    pub finished: Option<u64>,
    /// Cancelled by the administrator.
    pub cancelled: bool,
    /// Its appliances, in the order asked.
    pub items: Vec<StoredItem>,
}

/// One appliance of a job as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredItem {
    /// The appliance.
    pub uid: Uid,
    /// Its MAC.
    pub mac: Mac,
    /// The key its answers are signed with.
    pub device_key: PublicKey,
    /// What it shall have.
    pub settings: RawSettings,
    /// The grant, once it was fetched.
    pub grant: Option<StoredGrant>,
    /// The delivery's own state, once something was (or is about to be) sent. Holds secrets.
    pub saved: Option<Vec<u8>>,
    /// How far it is. Between `waiting` and an end only the start is stored; the delivery knows the rest.
    pub step: JobStep,
    /// Config packets sent.
    pub attempts: u32,
    /// Why it failed.
    pub problem: Option<ProblemView>,
}

/// A grant as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredGrant {
    /// COSE_Sign1 by the NOC root.
    pub signed: Vec<u8>,
    /// Its number.
    pub seq: Seq,
    /// The claim key. A secret.
    pub claim: Option<ClaimKey>,
    /// The vendor's voucher.
    pub voucher: Option<Vec<u8>>,
}

/// Something to keep.
#[derive(Clone, Debug)]
pub enum Change {
    /// A grant arrived.
    Grant {
        /// The job.
        job: u32,
        /// The appliance.
        uid: Uid,
        /// The grant.
        grant: StoredGrant,
    },
    /// The delivery is about to send.
    Delivery {
        /// The job.
        job: u32,
        /// The appliance.
        uid: Uid,
        /// The delivery's state.
        saved: Vec<u8>,
    },
    /// An item ended. Its secrets are deleted, and the NOC will be told `report`.
    Done {
        /// The job.
        job: u32,
        /// The appliance.
        uid: Uid,
        /// `Configured`, `Failed` or `Cancelled`.
        step: JobStep,
        /// Config packets sent.
        attempts: u32,
        /// Why it failed.
        problem: Option<ProblemView>,
        /// What to tell the NOC.
        report: Option<ResultItem>,
    },
    /// An item starts again from nothing.
    Retry {
        /// The job.
        job: u32,
        /// The appliance.
        uid: Uid,
    },
    /// All items of a job are done, or (`None`) some are open again.
    Finished {
        /// The job.
        job: u32,
        /// When, Unix seconds.
        at: Option<u64>,
    },
    /// The administrator cancelled a job, or (false) resumed it.
    Cancelled {
        /// The job.
        job: u32,
        /// Whether it is cancelled now.
        cancelled: bool,
    },
}

impl Store {
    /// Opens or makes `muster.db` in `folder`; the folder is made if need be. Only the owner can read either.
    pub fn open(folder: &Path) -> Result<Store, StoreError> {
        files::private_folder(folder).map_err(|source| StoreError::Open { path: folder.into(), source })?;
        let path = folder.join("muster.db");
        files::open_private(&path).map_err(|source| StoreError::Open { path: path.clone(), source })?;
        let failed = |source| sql_error(&path, source);
        let mut connection = Connection::open(&path).map_err(failed)?;
        connection.busy_timeout(Duration::from_secs(10)).map_err(failed)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON;",
            )
            .map_err(failed)?;
        migrations::migrations::runner()
            .run(&mut connection)
            .map_err(|source| StoreError::Migrate { path: path.clone(), source: Box::new(source) })?;
        Ok(Store { connection: Mutex::new(connection), path })
    }

    /// Makes a job of `items`, which may be what a message of the NOC becomes; its number. All or nothing.
    pub fn create_job(
        &self,
        site: SiteId,
        started: u64,
        items: &[StoredItem],
        message: Option<MessageKey>,
    ) -> Result<u32, StoreError> {
        self.transaction(|tx| {
            tx.execute("INSERT INTO job (site, started) VALUES (?1, ?2)", params![site.0, started as i64])?;
            let job = tx.last_insert_rowid() as u32;
            for (position, item) in items.iter().enumerate() {
                rows::insert_item(tx, job, position, item)?;
            }
            if let Some(message) = message {
                messages::becomes_job(tx, message, job)?;
            }
            Ok(job)
        })
    }

    /// Unfinished jobs and the last hundred, oldest first.
    pub fn jobs(&self) -> Result<Vec<StoredJob>, StoreError> {
        rows::jobs(&self.lock()).map_err(|source| self.error(source))
    }

    /// Writes all changes in one transaction. When it returns, they are on disk.
    pub fn save(&self, changes: &[Change]) -> Result<(), StoreError> {
        self.transaction(|tx| changes.iter().try_for_each(|change| rows::apply(tx, change)))
    }

    /// The oldest results that the NOC has still to be told.
    pub fn outbox(&self, limit: u32) -> Result<Vec<(i64, ResultItem)>, StoreError> {
        rows::outbox(&self.lock(), limit).map_err(|source| self.error(source))
    }

    /// The NOC has these.
    pub fn outbox_remove(&self, ids: &[i64]) -> Result<(), StoreError> {
        self.transaction(|tx| {
            ids.iter().try_for_each(|id| tx.execute("DELETE FROM outbox WHERE id = ?1", [id]).map(drop))
        })
    }

    /// A remembered preference.
    pub fn preference(&self, key: &str) -> Result<Option<String>, StoreError> {
        rows::preference(&self.lock(), key).map_err(|source| self.error(source))
    }

    /// Remembers a preference.
    pub fn set_preference(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.transaction(|tx| {
            tx.execute("INSERT OR REPLACE INTO preference (key, value) VALUES (?1, ?2)", [key, value]).map(drop)
        })
    }

    fn reading<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        work(&self.lock()).map_err(|source| self.error(source))
    }

    fn transaction<T>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut connection = self.lock();
        let result = (|| {
            let tx = connection.transaction()?;
            let value = work(&tx)?;
            tx.commit()?;
            Ok(value)
        })();
        result.map_err(|source| self.error(source))
    }

    /// A panic in another thread leaves no open transaction behind (its guard rolled back), so the lock stays good.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, source: rusqlite::Error) -> StoreError {
        sql_error(&self.path, source)
    }
}

fn sql_error(path: &Path, source: rusqlite::Error) -> StoreError {
    match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full { path: path.into() },
        _ => StoreError::Sql { path: path.into(), source },
    }
}

#[cfg(test)]
mod tests;
