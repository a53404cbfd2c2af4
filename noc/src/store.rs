//! The database. One thread writes; an answer means that the write is on disk.
//!
//! Writes that wait together are committed together (group commit): each runs in its own savepoint, so one that fails
//! leaves the others alone, and all are answered after the one commit. Reads run beside it on connections of their own.

pub(crate) mod alert_events;
pub(crate) mod alerts;
pub(crate) mod applets;
pub(crate) mod appliances;
pub(crate) mod application;
pub(crate) mod audit;
pub(crate) mod beats;
pub(crate) mod changes;
pub(crate) mod channels;
pub(crate) mod component_plans;
pub(crate) mod component_vendors;
pub(crate) mod components;
pub(crate) mod consoles;
pub(crate) mod copy;
pub(crate) mod deliveries;
pub(crate) mod drafts;
mod drift;
pub(crate) mod fleet;
pub(crate) mod given;
pub(crate) mod grants;
pub(crate) mod handover;
pub(crate) mod history;
pub(crate) mod holdings;
pub(crate) mod idempotency;
pub(crate) mod instructions;
mod intake;
pub(crate) mod inventory;
pub(crate) mod invites;
mod late;
pub(crate) mod logs;
pub(crate) mod maintenance;
pub(crate) mod monitoring;
pub(crate) mod news;
pub(crate) mod operators;
pub(crate) mod organisations;
pub(crate) mod plans;
pub(crate) mod policies;
pub(crate) mod preview;
pub(crate) mod proof;
pub(crate) mod queue;
pub(crate) mod remote_write;
pub(crate) mod reservations;
pub(crate) mod restored;
pub(crate) mod results;
pub(crate) mod retirement;
pub(crate) mod rollouts;
pub(crate) mod sessions;
pub(crate) mod sites;
pub(crate) mod sorting;
mod sqlite;
pub(crate) mod standings;
pub(crate) mod strips;
pub(crate) mod tokens;
pub(crate) mod transfer;
#[cfg(test)]
mod upgrade;
pub(crate) mod versions;
mod words;
pub(crate) mod work;
mod writer;

pub(crate) use sqlite::{Store, limit_size, schema};
pub(crate) use words::{from_word, word};
pub(crate) use writer::QUEUE;

use crate::error::StoreError;
use rusqlite::{Connection, Params, Row};

/// The next number of the log of changes; given to every row that consoles follow.
pub(crate) fn next_revision(db: &Connection) -> Result<u64, StoreError> {
    let sql = "UPDATE noc SET revision = revision + 1 RETURNING revision";
    Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// The number of the last change.
pub(crate) fn revision(db: &Connection) -> Result<u64, StoreError> {
    Ok(db.prepare_cached("SELECT revision FROM noc")?.query_row([], |row| row.get(0))?)
}

/// Every row of a question.
pub(crate) fn rows<T, E: From<StoreError>>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, E>,
) -> Result<Vec<T>, E> {
    let failed = |error: rusqlite::Error| E::from(error.into());
    let mut statement = db.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(params).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(read(row)?);
    }
    Ok(found)
}
