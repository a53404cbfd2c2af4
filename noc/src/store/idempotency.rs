//! Answers to requests with an `Idempotency-Key`: the same request again does nothing more.

use crate::api::{Fault, Refused};
use crate::error::StoreError;
use crate::operators::access::OperatorId;
use rusqlite::{Connection, OptionalExtension, params};

/// Seconds for which a key is remembered.
const REMEMBERED_S: u64 = 86_400;

/// A request that carries a key.
#[derive(Clone, Debug)]
pub(crate) struct Keyed {
    pub(crate) route: &'static str,
    pub(crate) key: String,
    /// Of the path and the body: the same key with another request is a mistake.
    pub(crate) request_hash: [u8; 32],
}

/// An earlier answer to the same request: its body, and where the thing is.
pub(crate) fn earlier(
    db: &Connection,
    now: u64,
    operator: OperatorId,
    keyed: &Keyed,
) -> Result<Option<(String, String)>, Refused> {
    let sql = "SELECT request_hash, answer, location FROM idempotency_keys
               WHERE operator = ?1 AND route = ?2 AND key = ?3 AND made > ?4";
    let since = now.saturating_sub(REMEMBERED_S);
    let found: Option<([u8; 32], Option<String>, String)> = db
        .prepare_cached(sql)?
        .query_row(params![operator, keyed.route, keyed.key, since], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    match found {
        None => Ok(None),
        Some((hash, ..)) if hash != keyed.request_hash => Err(Fault::KeyReused.into()),
        Some((_, None, location)) => Err(Fault::SecretShownOnce { location }.into()),
        Some((_, Some(answer), location)) => Ok(Some((answer, location))),
    }
}

/// Remembers an answer; `None` for one that holds a secret. Forgets those of yesterday.
pub(crate) fn remember(
    db: &Connection,
    now: u64,
    operator: OperatorId,
    keyed: &Keyed,
    answer: Option<&str>,
    location: &str,
) -> Result<(), StoreError> {
    db.execute("DELETE FROM idempotency_keys WHERE made <= ?1", [now.saturating_sub(REMEMBERED_S)])?;
    let sql = "INSERT INTO idempotency_keys (operator, route, key, request_hash, made, answer, location)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let Keyed { route, key, request_hash } = keyed;
    db.execute(sql, params![operator, route, key, request_hash, now, answer, location])?;
    Ok(())
}
