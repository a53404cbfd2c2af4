//! API tokens of operators.

use super::appliances::{from_json, json};
use super::organisations::checked_name;
use super::sessions::TOUCH_S;
use super::{operators, rows};
use crate::api::{Fault, Refused};
use crate::error::StoreError;
use crate::operators::ApiToken;
use crate::operators::access::{Access, OperatorId, Scope, Via};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Longest life of a token, in days.
pub(crate) const MOST_DAYS: u32 = 366;
/// Most tokens of one operator.
const MOST: u32 = 100;

const COLUMNS: &str = "id, operator, name, scopes, created, used, expires";

/// Makes a token.
pub(crate) fn add(
    db: &Connection,
    now: u64,
    operator: OperatorId,
    secret_hash: &[u8; 32],
    name: &str,
    scopes: &[Scope],
    days: u32,
) -> Result<ApiToken, Refused> {
    let name = checked_name("name", name)?;
    if scopes.is_empty() {
        return Err(Fault::invalid("scopes", "is empty").into());
    }
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(Fault::invalid("days", format!("is not 1 to {MOST_DAYS}")).into());
    }
    let (mut scopes, expires) = (scopes.to_vec(), now + u64::from(days) * 86_400);
    scopes.sort_unstable();
    scopes.dedup();
    let sql = "SELECT count(*) FROM api_tokens WHERE operator = ?1 AND revoked IS NULL AND expires > ?2";
    let count: u32 = db.query_row(sql, params![operator, now], |row| row.get(0))?;
    if count >= MOST {
        return Err(
            Fault::invalid("name", format!("would be the operator's token number {}: revoke some", count + 1)).into()
        );
    }
    let sql = "INSERT INTO api_tokens (operator, name, secret_hash, scopes, created, expires)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    db.execute(sql, params![operator, name, secret_hash, json(&scopes), now, expires])?;
    let id = db.last_insert_rowid() as u32;
    Ok(ApiToken { id, operator, name, scopes, created: now, used: None, expires })
}

/// Who comes with a token, and for what; none when the token is over.
pub(crate) fn access(
    db: &Connection,
    now: u64,
    secret_hash: &[u8; 32],
) -> Result<Option<(Access, Vec<Scope>)>, StoreError> {
    let sql = "SELECT t.id, o.id, o.login, t.scopes, coalesce(t.used, 0) + ?3 < ?2
               FROM api_tokens t JOIN operators o ON o.id = t.operator
               WHERE t.secret_hash = ?1 AND t.revoked IS NULL AND t.expires > ?2 AND o.disabled IS NULL";
    type Found = (u32, OperatorId, String, String, bool);
    let found: Option<Found> = db
        .prepare_cached(sql)?
        .query_row(params![secret_hash, now, TOUCH_S], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })
        .optional()?;
    let Some((id, operator, login, scopes, is_stale)) = found else { return Ok(None) };
    let (roles, address) = (operators::roles(db, operator)?, String::new());
    let access = Access { operator, login, roles, via: Via::Token(id), address, is_stale };
    Ok(Some((access, from_json("scopes", &scopes)?)))
}

/// Notes that a token was used.
pub(crate) fn touch(db: &Connection, now: u64, id: u32) -> Result<(), StoreError> {
    let sql = "UPDATE api_tokens SET used = ?2 WHERE id = ?1 AND coalesce(used, 0) + ?3 < ?2";
    db.prepare_cached(sql)?.execute(params![id, now, TOUCH_S])?;
    Ok(())
}

/// Somebody's tokens that are not over.
pub(crate) fn of_operator(db: &Connection, now: u64, operator: OperatorId) -> Result<Vec<ApiToken>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM api_tokens WHERE operator = ?1 AND revoked IS NULL AND expires > ?2 ORDER BY id"
    );
    rows(db, &sql, params![operator, now], read)
}

/// One that is not over.
pub(crate) fn find(db: &Connection, now: u64, id: u32) -> Result<Option<ApiToken>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM api_tokens WHERE id = ?1 AND revoked IS NULL AND expires > ?2");
    Ok(rows(db, &sql, params![id, now], read)?.into_iter().next())
}

/// Ends a token.
pub(crate) fn revoke(db: &Connection, now: u64, id: u32) -> Result<(), StoreError> {
    db.execute("UPDATE api_tokens SET revoked = ?2 WHERE id = ?1", params![id, now])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<ApiToken, StoreError> {
    Ok(ApiToken {
        id: row.get(0)?,
        operator: row.get(1)?,
        name: row.get(2)?,
        scopes: from_json("scopes", &row.get::<_, String>(3)?)?,
        created: row.get(4)?,
        used: row.get(5)?,
        expires: row.get(6)?,
    })
}
