//! Sessions of operators.

use super::{from_word, operators, rows, word};
use crate::api::{Page, Window};
use crate::error::StoreError;
use crate::operators::access::{Access, OperatorId, OrganisationId, Via};
use crate::operators::{OpenSession, Session, SessionKind};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Seconds until a session ends at the latest.
pub(crate) const LONGEST_S: u64 = 30 * 86_400;
/// Seconds within which another use is not written down.
pub(super) const TOUCH_S: u64 = 300;
/// Ended sessions are forgotten after this.
const REMEMBERED_S: u64 = 7 * 86_400;

const COLUMNS: &str = "id, operator, kind, created, used, expires, address, program";
/// Twelve hours without use end it.
const ALIVE: &str = "revoked IS NULL AND expires > ?2 AND used + 43200 > ?2";

/// Begins a session.
pub(crate) fn add(
    db: &Connection,
    now: u64,
    operator: OperatorId,
    secret_hash: &[u8; 32],
    kind: SessionKind,
    address: &str,
    program: &str,
) -> Result<Session, StoreError> {
    db.execute("DELETE FROM sessions WHERE expires < ?1", [now.saturating_sub(REMEMBERED_S)])?;
    let expires = now + LONGEST_S;
    let sql = "INSERT INTO sessions (operator, secret_hash, kind, created, used, expires, address, program)
               VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7)";
    db.execute(sql, params![operator, secret_hash, word(&kind), now, expires, address, program])?;
    let id = db.last_insert_rowid() as u32;
    let (address, program) = (address.to_owned(), program.to_owned());
    Ok(Session { id, operator, kind, created: now, used: now, expires, address, program })
}

/// Who comes with a session's secret; none when the session is over.
pub(crate) fn access(db: &Connection, now: u64, secret_hash: &[u8; 32]) -> Result<Option<Access>, StoreError> {
    let sql = format!(
        "SELECT s.id, o.id, o.login, used + {TOUCH_S} < ?2 FROM sessions s JOIN operators o ON o.id = s.operator
         WHERE s.secret_hash = ?1 AND o.disabled IS NULL AND {ALIVE}"
    );
    type Found = (u32, OperatorId, String, bool);
    let found: Option<Found> = db
        .prepare_cached(&sql)?
        .query_row(params![secret_hash, now], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let Some((id, operator, login, is_stale)) = found else { return Ok(None) };
    let (roles, address) = (operators::roles(db, operator)?, String::new());
    Ok(Some(Access { operator, login, roles, via: Via::Session(id), address, is_stale }))
}

/// Notes that a session was used.
pub(crate) fn touch(db: &Connection, now: u64, id: u32) -> Result<(), StoreError> {
    let sql = "UPDATE sessions SET used = ?2 WHERE id = ?1 AND used + ?3 < ?2";
    db.prepare_cached(sql)?.execute(params![id, now, TOUCH_S])?;
    Ok(())
}

/// Somebody's sessions that are not over.
pub(crate) fn of_operator(db: &Connection, now: u64, operator: OperatorId) -> Result<Vec<Session>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM sessions WHERE operator = ?1 AND {ALIVE} ORDER BY id");
    rows(db, &sql, params![operator, now], read)
}

/// The sessions of an organisation's people, or of everybody, that are not over.
pub(crate) fn page(
    db: &Connection,
    now: u64,
    organisation: Option<OrganisationId>,
    window: Window,
) -> Result<Page<OpenSession>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, (SELECT login FROM operators o WHERE o.id = sessions.operator) FROM sessions
         WHERE id > ?1 AND {ALIVE} AND (?3 IS NULL OR operator IN (SELECT id FROM operators WHERE organisation = ?3))
         ORDER BY id LIMIT ?4"
    );
    let asked = params![window.after.unwrap_or(0), now, organisation, window.rows()];
    let found =
        rows(db, &sql, asked, |row| Ok::<_, StoreError>(OpenSession { session: read(row)?, login: row.get(8)? }))?;
    Ok(Page::of(found, window.limit, |one| i64::from(one.session.id)))
}

/// One that is not over.
pub(crate) fn find(db: &Connection, now: u64, id: u32) -> Result<Option<Session>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM sessions WHERE id = ?1 AND {ALIVE}");
    Ok(rows(db, &sql, params![id, now], read)?.into_iter().next())
}

/// Ends a session.
pub(crate) fn revoke(db: &Connection, now: u64, id: u32) -> Result<(), StoreError> {
    db.execute("UPDATE sessions SET revoked = ?2 WHERE id = ?1", params![id, now])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Session, StoreError> {
    Ok(Session {
        id: row.get(0)?,
        operator: row.get(1)?,
        kind: from_word("session", &row.get::<_, String>(2)?)?,
        created: row.get(3)?,
        used: row.get(4)?,
        expires: row.get(5)?,
        address: row.get(6)?,
        program: row.get(7)?,
    })
}
