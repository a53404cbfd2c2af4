//! Consoles and the invites they come with.

use super::{audit, handover, organisations, rows, sites};
use crate::api::ApiError;
use crate::audit::{By, Event};
use crate::error::StoreError;
use crate::invite::InviteError;
use crate::noc::ConsoleRecord;
use crate::operators::OrganisationId;
use crate::operators::access::Place;
use muster_protocol::api::Site;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::id::{ConsoleId, SiteId};
use rusqlite::{Connection, OptionalExtension, params};

/// A console that may act, within the transaction that asked.
#[derive(Clone, Debug)]
pub(crate) struct Console {
    pub(crate) id: ConsoleId,
    pub(crate) key: PublicKey,
    pub(crate) sites: Vec<SiteId>,
}

impl Console {
    /// Refuses sites of others in the same words as sites that are not there.
    pub(crate) fn may_use(&self, site: SiteId) -> Result<(), ApiError> {
        if self.sites.contains(&site) { Ok(()) } else { Err(ApiError::UnknownSite { site }) }
    }
}

/// A console's right to act, looked up with everything it does: a revocation takes effect at once.
pub(crate) fn authorise(db: &Connection, id: ConsoleId) -> Result<Console, ApiError> {
    refuse_if_moved(db)?;
    let mut statement = db.prepare_cached("SELECT public_key, revoked FROM consoles WHERE id = ?1")?;
    let found: Option<([u8; 32], Option<u64>)> =
        statement.query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match found {
        None => Err(ApiError::ConsoleUnknown),
        Some((_, Some(_))) => Err(ApiError::ConsoleRevoked),
        Some((key, None)) => Ok(Console { id, key: PublicKey(key), sites: sites_of(db, id)? }),
    }
}

/// What a console was called when it was enrolled.
pub(crate) fn name(db: &Connection, id: ConsoleId) -> Result<String, StoreError> {
    Ok(db.query_row("SELECT name FROM consoles WHERE id = ?1", [id.0], |row| row.get(0))?)
}

/// After a hand-over of everything there is nothing for consoles here.
fn refuse_if_moved(db: &Connection) -> Result<(), ApiError> {
    handover::moved_to(db)?.map_or(Ok(()), |noc| Err(ApiError::Moved { noc }))
}

/// What a console shows to be enrolled.
#[derive(Clone, Debug)]
pub(crate) struct Enrolment {
    pub(crate) token_hash: [u8; 32],
    pub(crate) name: String,
    pub(crate) key: PublicKey,
    pub(crate) csr_hash: [u8; 32],
}

/// Uses an invite up; the console's number and sites.
pub(crate) fn enrol(db: &Connection, now: u64, e: &Enrolment) -> Result<(ConsoleId, Vec<Site>), ApiError> {
    refuse_if_moved(db)?;
    type Invite = (u64, Option<u64>, Option<u32>, Option<[u8; 32]>);
    let invite: Option<Invite> = db
        .query_row(
            "SELECT expires, used, console, csr_hash FROM invites WHERE token_hash = ?1",
            [e.token_hash],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .optional()?;
    let (expires, used, console, csr_hash) = invite.ok_or(ApiError::InviteUnknown)?;
    if let Some(used) = used {
        // The same console asks again because our answer was lost: the same keys, so nobody else profits.
        let known = console.map(ConsoleId).map(|id| authorise(db, id)).transpose()?;
        return match known {
            Some(known) if known.key == e.key && csr_hash == Some(e.csr_hash) && now < expires => {
                Ok((known.id, sites::of_console(db, known.id)?))
            }
            _ => Err(ApiError::InviteUsed { used }),
        };
    }
    if now >= expires {
        return Err(ApiError::InviteExpired { expires });
    }
    let sql =
        "SELECT organisation FROM sites WHERE id IN (SELECT site FROM invite_sites WHERE token_hash = ?1) LIMIT 1";
    let organisation: OrganisationId = db.query_row(sql, [e.token_hash], |row| row.get(0))?;
    let sql = "SELECT id, revoked, organisation FROM consoles WHERE public_key = ?1";
    let existing: Option<(u32, Option<u64>, OrganisationId)> =
        db.query_row(sql, [e.key.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
    let id = match existing {
        Some((_, Some(_), _)) => return Err(ApiError::ConsoleRevoked),
        // A console that worked for two customers would carry what it knows of one to the other.
        Some((_, None, other)) if other != organisation => return Err(ApiError::InviteOfOther),
        Some((id, None, _)) => {
            db.execute("UPDATE consoles SET name = ?2 WHERE id = ?1", params![id, e.name])?;
            id
        }
        None => {
            let sql = "INSERT INTO consoles (name, public_key, enrolled, organisation) VALUES (?1, ?2, ?3, ?4)";
            db.execute(sql, params![e.name, e.key.0, now, organisation])?;
            db.last_insert_rowid() as u32
        }
    };
    db.execute(
        "INSERT OR IGNORE INTO console_sites (console, site)
         SELECT ?1, site FROM invite_sites WHERE token_hash = ?2",
        params![id, e.token_hash],
    )?;
    db.execute(
        "UPDATE invites SET used = ?2, console = ?3, csr_hash = ?4 WHERE token_hash = ?1",
        params![e.token_hash, now, id, e.csr_hash],
    )?;
    let event = Event::new(Place::organisation(organisation), "console.enrol", format!("console:{id}"));
    let detail = serde_json::json!({ "name": e.name, "sites": sites_of(db, ConsoleId(id))? });
    audit::record(db, now, &By::console(ConsoleId(id)), event.with(detail))?;
    Ok((ConsoleId(id), sites::of_console(db, ConsoleId(id))?))
}

/// Keeps an invite, and forgets those that ended more than a month ago.
pub(crate) fn invite(
    db: &Connection,
    now: u64,
    by: &By,
    token_hash: &[u8; 32],
    expires: u64,
    for_sites: &[SiteId],
) -> Result<(), InviteError> {
    let old = now.saturating_sub(30 * 86_400);
    db.execute(
        "DELETE FROM invite_sites WHERE token_hash IN (SELECT token_hash FROM invites WHERE expires < ?1)",
        [old],
    )?;
    db.execute("DELETE FROM invites WHERE expires < ?1", [old])?;
    db.execute("INSERT INTO invites (token_hash, expires) VALUES (?1, ?2)", params![token_hash, expires])?;
    let mut organisation = None;
    for site in for_sites {
        let of_site = organisations::of_site(db, *site)?.ok_or(InviteError::UnknownSite { site: *site })?;
        if *organisation.get_or_insert(of_site) != of_site {
            return Err(InviteError::Organisations);
        }
        db.execute(
            "INSERT OR IGNORE INTO invite_sites (token_hash, site) VALUES (?1, ?2)",
            params![token_hash, site.0],
        )?;
    }
    let subject = format!("invite:{}", super::invites::id_of(token_hash));
    let event = Event::new(Place { organisation, site: None }, "invite.add", subject);
    let detail = serde_json::json!({ "sites": for_sites, "expires": expires });
    audit::record(db, now, by, event.with(detail))?;
    Ok(())
}

/// Every console, by number.
pub(crate) fn all(db: &Connection) -> Result<Vec<ConsoleRecord>, StoreError> {
    let mut statement = db.prepare("SELECT id, name, enrolled, revoked FROM consoles ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut consoles = Vec::new();
    while let Some(row) = rows.next()? {
        let id = ConsoleId(row.get(0)?);
        let (name, enrolled, revoked) = (row.get(1)?, row.get(2)?, row.get(3)?);
        consoles.push(ConsoleRecord { id, name, enrolled, revoked, sites: sites_of(db, id)? });
    }
    Ok(consoles)
}

/// Whose a console is.
pub(crate) fn organisation(db: &Connection, id: ConsoleId) -> Result<Option<OrganisationId>, StoreError> {
    let sql = "SELECT organisation FROM consoles WHERE id = ?1";
    Ok(db.prepare_cached(sql)?.query_row([id.0], |row| row.get(0)).optional()?)
}

/// One console.
pub(crate) fn find(db: &Connection, id: ConsoleId) -> Result<Option<ConsoleRecord>, StoreError> {
    let mut statement = db.prepare_cached("SELECT name, enrolled, revoked FROM consoles WHERE id = ?1")?;
    let found = statement.query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
    let Some((name, enrolled, revoked)) = found else { return Ok(None) };
    Ok(Some(ConsoleRecord { id, name, enrolled, revoked, sites: sites_of(db, id)? }))
}

/// Revokes a console; false when there is none of that number.
pub(crate) fn revoke(db: &Connection, now: u64, by: &By, id: ConsoleId) -> Result<bool, StoreError> {
    let sql = "UPDATE consoles SET revoked = coalesce(revoked, ?2) WHERE id = ?1 RETURNING organisation";
    let organisation = rows(db, sql, params![id.0, now], |row| Ok::<_, StoreError>(row.get(0)?))?.pop();
    super::next_revision(db)?;
    let Some(organisation) = organisation else { return Ok(false) };
    let event = Event::new(Place::organisation(organisation), "console.revoke", format!("console:{id}"));
    audit::record(db, now, by, event)?;
    Ok(true)
}

/// The sites of a console, by number.
pub(crate) fn sites_of(db: &Connection, id: ConsoleId) -> Result<Vec<SiteId>, StoreError> {
    let mut statement = db.prepare_cached("SELECT site FROM console_sites WHERE console = ?1 ORDER BY site")?;
    let ids = statement.query_map([id.0], |row| row.get(0).map(SiteId))?;
    Ok(ids.collect::<Result<_, _>>()?)
}
