//! Organisations.

use super::rows;
use crate::api::Refused;
use crate::api::{Fault, Page, Window};
use crate::error::StoreError;
use crate::operators::Organisation;
use crate::operators::access::{OperatorId, OrganisationId};
use muster_protocol::id::SiteId;
use muster_protocol::text::misleads;
use rusqlite::{Connection, OptionalExtension, Row, params};

const COLUMNS: &str = "id, handle, name, created";
/// Longest name, in characters.
pub(crate) const MAX_NAME: usize = 64;

/// Adds an organisation.
pub(crate) fn add(db: &Connection, now: u64, handle: &str, name: &str) -> Result<Organisation, Refused> {
    let (handle, name) = (checked_handle(handle)?, checked_name("name", name)?);
    if by_handle(db, &handle)?.is_some() {
        return Err(Fault::HandleTaken { handle }.into());
    }
    let sql = "INSERT INTO organisations (handle, name, created) VALUES (?1, ?2, ?3)";
    db.execute(sql, params![handle, name, now])?;
    super::next_revision(db)?;
    let id = OrganisationId(db.last_insert_rowid() as u32);
    Ok(Organisation { id, handle, name, created: now })
}

/// Gives it another name.
pub(crate) fn rename(db: &Connection, id: OrganisationId, name: &str) -> Result<(), Refused> {
    let name = checked_name("name", name)?;
    db.execute("UPDATE organisations SET name = ?2 WHERE id = ?1", params![id, name])?;
    super::next_revision(db)?;
    Ok(())
}

/// One.
pub(crate) fn find(db: &Connection, id: OrganisationId) -> Result<Option<Organisation>, StoreError> {
    one(db, &format!("SELECT {COLUMNS} FROM organisations WHERE id = ?1"), params![id])
}

/// One, by its handle.
pub(crate) fn by_handle(db: &Connection, handle: &str) -> Result<Option<Organisation>, StoreError> {
    one(db, &format!("SELECT {COLUMNS} FROM organisations WHERE handle = ?1"), params![handle])
}

/// Every organisation, by number.
pub(crate) fn all(db: &Connection) -> Result<Vec<Organisation>, StoreError> {
    rows(db, &format!("SELECT {COLUMNS} FROM organisations ORDER BY id"), [], read)
}

/// Those in which an operator has a role, if only at a site.
pub(crate) fn seen_by(db: &Connection, operator: OperatorId, window: Window) -> Result<Page<Organisation>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM organisations o WHERE EXISTS (SELECT 1 FROM operator_roles r WHERE r.operator = ?1
         AND (r.organisation IS NULL OR r.organisation = o.id)) AND id > ?2 ORDER BY id LIMIT ?3"
    );
    let found = rows(db, &sql, params![operator, window.after.unwrap_or(0), window.rows()], read)?;
    Ok(Page::of(found, window.limit, |organisation| i64::from(organisation.id.0)))
}

/// The organisation of a site.
pub(crate) fn of_site(db: &Connection, site: SiteId) -> Result<Option<OrganisationId>, StoreError> {
    let sql = "SELECT organisation FROM sites WHERE id = ?1";
    Ok(db.prepare_cached(sql)?.query_row([site.0], |row| row.get(0)).optional()?)
}

/// A name that people read.
pub(crate) fn checked_name(field: &'static str, name: &str) -> Result<String, Fault> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(misleads) {
        return Err(Fault::invalid(
            field,
            format!("is empty, longer than {MAX_NAME} characters or holds control characters"),
        ));
    }
    Ok(name.to_owned())
}

fn checked_handle(handle: &str) -> Result<String, Fault> {
    let handle = handle.trim().to_lowercase();
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if handle.len() > 32
        || !handle.chars().all(good)
        || !ends(handle.chars().next())
        || !ends(handle.chars().next_back())
    {
        let why = "is not 1 to 32 letters, digits, dots and hyphens that begin and end with a letter or digit";
        return Err(Fault::invalid("handle", why));
    }
    Ok(handle)
}

fn one(db: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<Option<Organisation>, StoreError> {
    Ok(rows(db, sql, params, read)?.into_iter().next())
}

fn read(row: &Row<'_>) -> Result<Organisation, StoreError> {
    Ok(Organisation { id: row.get(0)?, handle: row.get(1)?, name: row.get(2)?, created: row.get(3)? })
}
