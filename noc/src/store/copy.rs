//! A copy of the database while it is in use, and whether a database is whole.

use super::Store;
use crate::error::StoreError;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long another process may keep the database from being read.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// Notes that a backup was taken, for whoever watches that there are any.
pub(crate) fn note_backup(db: &Connection, taken: u64) -> Result<(), StoreError> {
    db.execute("UPDATE noc SET last_backup = ?1", [taken])?;
    Ok(())
}

/// When the last backup was taken.
pub(crate) fn last_backup(db: &Connection) -> Result<Option<u64>, StoreError> {
    Ok(db.prepare_cached("SELECT last_backup FROM noc")?.query_row([], |row| row.get(0))?)
}

impl Store {
    /// Copies the database of one moment to an empty file, as one file without a journal beside it. Writes go on meanwhile.
    pub(crate) fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let from = self.reader()?;
        let mut to = open(path)?;
        {
            // All in one step, which is one transaction: in several, a write of another process would start it anew.
            let backup = Backup::new(&from, &mut to)?;
            let started = Instant::now();
            while backup.step(-1)? != StepResult::Done {
                if started.elapsed() > PATIENCE {
                    return Err(StoreError::Busy);
                }
                std::thread::sleep(PAUSE);
            }
        }
        to.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
        Ok(())
    }
}

/// What is wrong with a database file, in SQLite's words; none when it is whole and every reference leads somewhere.
pub(crate) fn fault_of(path: &Path) -> Result<Option<String>, StoreError> {
    fault(&open(path)?, "integrity_check")
}

/// What is wrong with an opened database; `check`: `integrity_check`, or `quick_check`, which does not compare the indexes.
pub(crate) fn fault(db: &Connection, check: &str) -> Result<Option<String>, StoreError> {
    let said: String = match db.pragma_query_value(None, check, |row| row.get(0)) {
        Err(error) if is_damage(&error) => return Ok(Some(error.to_string())),
        said => said?,
    };
    if said != "ok" {
        return Ok(Some(said));
    }
    let sql = "SELECT count(*), max(\"table\") FROM pragma_foreign_key_check";
    let (dangling, table): (i64, Option<String>) = db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let table = table.unwrap_or_default();
    Ok((dangling > 0).then(|| format!("{dangling} rows refer to rows that are not there, as in {table}")))
}

/// Whether SQLite refuses to read a file because it is no database, or no longer one.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(Connection::open_with_flags(path, flags)?)
}
