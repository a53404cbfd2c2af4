//! Errors as operators meet them: a stable code, what happened, what to do.

use muster_protocol::api::Problem;
use std::fmt::Display;

/// An error that can be shown: as an HTTP answer, in the window or on a terminal.
pub trait AsProblem {
    /// The error with its stable code and remedy.
    fn problem(&self) -> Problem;
}

pub(crate) fn problem(status: u16, code: &str, title: impl Display, remedy: &str) -> Problem {
    Problem { status, code: code.to_owned(), title: title.to_string(), detail: remedy.to_owned() }
}

/// Why the database did not do what it was asked. Nothing of the request was kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk, or the limit set for the database, is full.
    #[error("the NOC's disk is full; nothing of this request was kept")]
    Full,
    /// Another process held the database for too long, or too many writes wait.
    #[error("the NOC's database is busy")]
    Busy,
    /// The store has been closed.
    #[error("the NOC is shutting down")]
    Closed,
    /// A row does not read back.
    #[error("the NOC's database holds a {what} that does not read back")]
    Corrupt {
        /// What was being read.
        what: &'static str,
    },
    /// Anything else.
    #[error("the NOC's database failed")]
    Sqlite(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => StoreError::Full,
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => StoreError::Busy,
            _ => StoreError::Sqlite(error),
        }
    }
}

impl AsProblem for StoreError {
    fn problem(&self) -> Problem {
        match self {
            StoreError::Full => problem(
                507,
                "store_full",
                self,
                "Free space on the NOC's disk, or raise `database_limit_mib` in noc.toml; then try again.",
            ),
            StoreError::Busy => problem(503, "store_busy", self, "Try again in a few seconds."),
            StoreError::Closed => problem(503, "shutting_down", self, "Try again when the NOC is back."),
            StoreError::Corrupt { .. } => problem(
                500,
                "store_corrupt",
                self,
                "Restore the NOC's data folder from a backup; the log names the row.",
            ),
            StoreError::Sqlite(_) => problem(500, "store_failed", self, "Look at the NOC's log, then try again."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let full = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None);
        assert_eq!(StoreError::from(full).problem().code, "store_full");
        let busy = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None);
        assert_eq!(StoreError::from(busy).problem().code, "store_busy");
        assert_eq!(StoreError::from(rusqlite::Error::InvalidQuery).problem().code, "store_failed");
    }
}
