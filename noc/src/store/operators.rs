//! Operators and their roles.

use super::organisations::{self, checked_name};
use super::{from_word, rows, word};
use crate::api::{Fault, Page, Refused, Window};
use crate::error::StoreError;
use crate::operators::access::{OperatorId, OrganisationId, RoleAt, visible_to};
use crate::operators::{Operator, Role};
use muster_protocol::id::SiteId;
use rusqlite::{Connection, OptionalExtension, Row, params};

const COLUMNS: &str = "id, organisation, login, name, created, disabled";
/// Most roles of one operator.
const MOST_ROLES: usize = 200;

/// A new operator. The password is hashed already.
pub(crate) struct New<'a> {
    pub(crate) organisation: Option<OrganisationId>,
    /// What they sign in with; the organisation's handle may be left out.
    pub(crate) login: &'a str,
    pub(crate) name: &'a str,
    pub(crate) password: &'a str,
    pub(crate) roles: &'a [RoleAt],
}

/// Adds an operator.
pub(crate) fn add(db: &Connection, now: u64, new: &New<'_>) -> Result<Operator, Refused> {
    let login = whole_login(db, new.organisation, new.login)?;
    let name = checked_name("name", new.name)?;
    let taken = db.query_row("SELECT 1 FROM operators WHERE login = ?1", [&login], |_| Ok(())).optional()?;
    if taken.is_some() {
        return Err(Fault::LoginTaken { login }.into());
    }
    let sql = "INSERT INTO operators (organisation, login, name, password, created) VALUES (?1, ?2, ?3, ?4, ?5)";
    db.execute(sql, params![new.organisation, login, name, new.password, now])?;
    let id = OperatorId(db.last_insert_rowid() as u32);
    set_roles(db, id, new.organisation, new.roles)?;
    super::next_revision(db)?;
    find(db, id)?.ok_or(Refused::Store(StoreError::Corrupt { what: "operator" }))
}

/// The name that an operator of an organisation signs in with, whole.
pub(crate) fn whole_login(
    db: &Connection,
    organisation: Option<OrganisationId>,
    login: &str,
) -> Result<String, Refused> {
    let login = login.trim().to_lowercase();
    let handle = match organisation {
        Some(id) => Some(organisations::find(db, id)?.ok_or(Fault::NotFound)?.handle),
        None => None,
    };
    let own = match &handle {
        Some(handle) => login.strip_suffix(&format!("@{handle}")).unwrap_or(&login),
        None => &login,
    };
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if own.is_empty() || own.len() > 32 || !own.chars().all(good) {
        let why = "is not 1 to 32 letters, digits, dots, hyphens and underscores, before the organisation's `@handle`";
        return Err(Fault::invalid("login", why).into());
    }
    Ok(handle.map_or_else(|| own.to_owned(), |handle| format!("{own}@{handle}")))
}

/// Replaces somebody's roles. Roles elsewhere than in their own organisation are for people of the NOC.
pub(crate) fn set_roles(
    db: &Connection,
    id: OperatorId,
    home: Option<OrganisationId>,
    roles: &[RoleAt],
) -> Result<(), Refused> {
    if roles.len() > MOST_ROLES {
        return Err(Fault::invalid("roles", format!("names more than {MOST_ROLES}")).into());
    }
    db.execute("DELETE FROM operator_roles WHERE operator = ?1", [id])?;
    for at in roles {
        let place = match (at.organisation, at.site) {
            (None, Some(_)) => return Err(Fault::invalid("roles", "names a site without its organisation").into()),
            (organisation, site) => (organisation, site.map(|site| site.0)),
        };
        if home.is_some() && at.organisation != home {
            return Err(Fault::invalid("roles", "reaches beyond the operator's own organisation").into());
        }
        if let Some(organisation) = at.organisation {
            organisations::find(db, organisation)?.ok_or(Fault::NotFound)?;
        }
        if let Some(site) = at.site
            && organisations::of_site(db, site)? != at.organisation
        {
            return Err(Fault::NotFound.into());
        }
        let sql = "INSERT OR IGNORE INTO operator_roles (operator, organisation, site, role) VALUES (?1, ?2, ?3, ?4)";
        if db.execute(sql, params![id, place.0, place.1, word(&at.role)])? == 0 {
            return Err(Fault::invalid("roles", "names the same place twice").into());
        }
    }
    super::next_revision(db)?;
    Ok(())
}

/// One.
pub(crate) fn find(db: &Connection, id: OperatorId) -> Result<Option<Operator>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM operators WHERE id = ?1");
    Ok(rows(db, &sql, [id], |row| read(db, row))?.into_iter().next())
}

/// One by the name they sign in with, and the hash of the password.
pub(crate) fn by_login(db: &Connection, login: &str) -> Result<Option<(Operator, String)>, StoreError> {
    let sql = format!("SELECT {COLUMNS}, password FROM operators WHERE login = ?1");
    Ok(rows(db, &sql, [login], |row| Ok::<_, StoreError>((read(db, row)?, row.get(6)?)))?.into_iter().next())
}

/// Somebody's hashed password.
pub(crate) fn password(db: &Connection, id: OperatorId) -> Result<String, StoreError> {
    Ok(db.prepare_cached("SELECT password FROM operators WHERE id = ?1")?.query_row([id], |row| row.get(0))?)
}

/// Every operator, by number.
pub(crate) fn all(db: &Connection) -> Result<Vec<Operator>, StoreError> {
    rows(db, &format!("SELECT {COLUMNS} FROM operators ORDER BY id"), [], |row| read(db, row))
}

/// Those whom an administrator may change, and themselves.
pub(crate) fn seen_by(
    db: &Connection,
    reader: OperatorId,
    organisation: Option<OrganisationId>,
    window: Window,
) -> Result<Page<Operator>, StoreError> {
    let administered = visible_to(Some(Role::Administrator), "operators.organisation", "NULL");
    let sql = format!(
        "SELECT {COLUMNS} FROM operators WHERE (id = ?1 OR {administered}) AND (?2 IS NULL OR organisation = ?2)
         AND id > ?3 ORDER BY id LIMIT ?4"
    );
    let asked = params![reader, organisation, window.after.unwrap_or(0), window.rows()];
    let found = rows(db, &sql, asked, |row| read(db, row))?;
    Ok(Page::of(found, window.limit, |operator| i64::from(operator.id.0)))
}

/// Changes name or state. Who is disabled is signed out.
pub(crate) fn change(
    db: &Connection,
    now: u64,
    id: OperatorId,
    name: Option<&str>,
    disabled: Option<bool>,
) -> Result<(), Refused> {
    if let Some(name) = name {
        db.execute("UPDATE operators SET name = ?2 WHERE id = ?1", params![id, checked_name("name", name)?])?;
    }
    match disabled {
        Some(true) => {
            db.execute("UPDATE operators SET disabled = coalesce(disabled, ?2) WHERE id = ?1", params![id, now])?;
            sign_out(db, now, id, None)?;
            revoke_tokens(db, now, id)?;
        }
        Some(false) => {
            db.execute("UPDATE operators SET disabled = NULL WHERE id = ?1", [id])?;
        }
        None => {}
    }
    super::next_revision(db)?;
    Ok(())
}

/// Sets a hashed password. Whoever was signed in with the old one is signed out, but for one session.
pub(crate) fn set_password(
    db: &Connection,
    now: u64,
    id: OperatorId,
    password: &str,
    but: Option<u32>,
) -> Result<(), StoreError> {
    db.execute("UPDATE operators SET password = ?2 WHERE id = ?1", params![id, password])?;
    sign_out(db, now, id, but)
}

/// Ends somebody's sessions, but for one.
fn sign_out(db: &Connection, now: u64, id: OperatorId, but: Option<u32>) -> Result<(), StoreError> {
    let sql = "UPDATE sessions SET revoked = ?2 WHERE operator = ?1 AND revoked IS NULL AND id IS NOT ?3";
    db.execute(sql, params![id, now, but])?;
    Ok(())
}

/// Ends somebody's API tokens.
pub(crate) fn revoke_tokens(db: &Connection, now: u64, id: OperatorId) -> Result<(), StoreError> {
    db.execute("UPDATE api_tokens SET revoked = ?2 WHERE operator = ?1 AND revoked IS NULL", params![id, now])?;
    Ok(())
}

/// Somebody's roles.
pub(crate) fn roles(db: &Connection, id: OperatorId) -> Result<Vec<RoleAt>, StoreError> {
    let sql = "SELECT organisation, site, role FROM operator_roles WHERE operator = ?1
               ORDER BY coalesce(organisation, 0), coalesce(site, 0)";
    rows(db, sql, [id], |row| {
        let site = row.get::<_, Option<u32>>(1)?.map(SiteId);
        Ok(RoleAt { organisation: row.get(0)?, site, role: from_word("role", &row.get::<_, String>(2)?)? })
    })
}

fn read(db: &Connection, row: &Row<'_>) -> Result<Operator, StoreError> {
    let id = row.get(0)?;
    Ok(Operator {
        id,
        organisation: row.get(1)?,
        login: row.get(2)?,
        name: row.get(3)?,
        created: row.get(4)?,
        disabled: row.get(5)?,
        roles: roles(db, id)?,
    })
}
