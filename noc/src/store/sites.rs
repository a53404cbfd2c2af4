//! Sites.

use super::appliances::{from_json, json};
use super::{drift, from_word, organisations, word};
use crate::error::StoreError;
use crate::operators::OrganisationId;
#[cfg(test)]
use crate::operators::access::DEFAULT_ORGANISATION;
use crate::policy::site::{Policy, SiteError};
use muster_protocol::api::Site;
use muster_protocol::id::{ConsoleId, SiteId};
use rusqlite::{Connection, OptionalExtension, Row, params};

const COLUMNS: &str = "id, name, pool, netmask, gateway, domain, dns1, dns2, host_name, beat_interval_s, confirm, window_s, \
                       drift, pool6, gateway6, exclude, inherit, application, ntp, search_domains, proof";

/// Adds a site to the default organisation.
#[cfg(test)]
pub(crate) fn add(db: &Connection, policy: &Policy) -> Result<Site, SiteError> {
    add_to(db, DEFAULT_ORGANISATION, policy)
}

/// Adds a site whose values were checked; the number in `policy` is ignored.
pub(crate) fn add_to(db: &Connection, organisation: OrganisationId, policy: &Policy) -> Result<Site, SiteError> {
    let s = &policy.site;
    name_is_free(db, organisation, s)?;
    db.execute(
        "INSERT INTO sites (name, pool, netmask, gateway, domain, dns1, dns2, host_name, beat_interval_s, confirm, window_s,
         drift, pool6, gateway6, organisation, exclude, inherit, application, ntp, search_domains, proof)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)",
        params![
            s.name,
            s.pool,
            s.netmask,
            s.gateway,
            s.domain,
            s.dns1,
            s.dns2,
            s.host_name,
            s.beat_interval_s,
            word(&s.confirm),
            s.window_s,
            s.drift.as_ref().map(word),
            s.pool6,
            s.gateway6,
            organisation,
            s.exclude,
            json(&s.inherit),
            s.application,
            s.ntp,
            s.search_domains,
            s.proof.word()
        ],
    )?;
    super::next_revision(db)?;
    Ok(Site { id: SiteId(db.last_insert_rowid() as u32), ..s.clone() })
}

/// Replaces a site's values.
pub(crate) fn update(db: &Connection, policy: &Policy) -> Result<(), SiteError> {
    let s = &policy.site;
    let organisation = organisations::of_site(db, s.id)?.ok_or(SiteError::UnknownSite { site: s.id })?;
    name_is_free(db, organisation, s)?;
    let changed = db.execute(
        "UPDATE sites SET name = ?2, pool = ?3, netmask = ?4, gateway = ?5, domain = ?6, dns1 = ?7, dns2 = ?8,
         host_name = ?9, beat_interval_s = ?10, confirm = ?11, window_s = ?12, drift = ?13, pool6 = ?14, gateway6 = ?15,
         exclude = ?16, inherit = ?17, application = ?18, ntp = ?19, search_domains = ?20, proof = ?21 WHERE id = ?1",
        params![
            s.id.0,
            s.name,
            s.pool,
            s.netmask,
            s.gateway,
            s.domain,
            s.dns1,
            s.dns2,
            s.host_name,
            s.beat_interval_s,
            word(&s.confirm),
            s.window_s,
            s.drift.as_ref().map(word),
            s.pool6,
            s.gateway6,
            s.exclude,
            json(&s.inherit),
            s.application,
            s.ntp,
            s.search_domains,
            s.proof.word()
        ],
    )?;
    if changed == 0 {
        return Err(SiteError::UnknownSite { site: s.id });
    }
    super::next_revision(db)?;
    Ok(())
}

/// Every site, by number.
pub(crate) fn all(db: &Connection) -> Result<Vec<Site>, StoreError> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM sites ORDER BY id"))?;
    let mut rows = statement.query([])?;
    collect(&mut rows)
}

/// The sites of an organisation, by number.
pub(crate) fn of_organisation(db: &Connection, organisation: OrganisationId) -> Result<Vec<Site>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM sites WHERE organisation = ?1 ORDER BY id");
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query([organisation])?;
    collect(&mut rows)
}

/// The sites of a console, by number.
pub(crate) fn of_console(db: &Connection, console: ConsoleId) -> Result<Vec<Site>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM sites WHERE id IN (SELECT site FROM console_sites WHERE console = ?1) ORDER BY id"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query([console.0])?;
    collect(&mut rows)
}

/// One site.
pub(crate) fn find(db: &Connection, id: SiteId) -> Result<Option<Site>, StoreError> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM sites WHERE id = ?1"))?;
    statement.query_row([id.0], |row| Ok(read(row))).optional()?.transpose()
}

fn name_is_free(db: &Connection, organisation: OrganisationId, site: &Site) -> Result<(), SiteError> {
    let sql = "SELECT id FROM sites WHERE organisation = ?1 AND name = ?2";
    let other: Option<u32> = db.query_row(sql, params![organisation, site.name], |row| row.get(0)).optional()?;
    match other {
        Some(id) if id != site.id.0 => Err(SiteError::NameTaken { name: site.name.clone() }),
        _ => Ok(()),
    }
}

fn collect(rows: &mut rusqlite::Rows<'_>) -> Result<Vec<Site>, StoreError> {
    let mut sites = Vec::new();
    while let Some(row) = rows.next()? {
        sites.push(read(row)?);
    }
    Ok(sites)
}

fn read(row: &Row<'_>) -> Result<Site, StoreError> {
    Ok(Site {
        id: SiteId(row.get(0)?),
        name: row.get(1)?,
        pool: row.get(2)?,
        netmask: row.get(3)?,
        gateway: row.get(4)?,
        domain: row.get(5)?,
        dns1: row.get(6)?,
        dns2: row.get(7)?,
        host_name: row.get(8)?,
        beat_interval_s: row.get(9)?,
        confirm: from_word("site", &row.get::<_, String>(10)?)?,
        window_s: row.get(11)?,
        drift: drift::read(row.get(12)?)?,
        pool6: row.get(13)?,
        gateway6: row.get(14)?,
        exclude: row.get(15)?,
        inherit: from_json("site", &row.get::<_, String>(16)?)?,
        application: row.get(17)?,
        ntp: row.get(18)?,
        search_domains: row.get(19)?,
        proof: from_word("site", &row.get::<_, String>(20)?)?,
    })
}
