//! Drafts, and how their appliances stand.

use super::appliances::{from_json, json};
use super::preview::differences;
use super::{from_word, rows};
use crate::api::{Page, Window};
use crate::drafts::{DraftRowState, DraftRowView, DraftState, DraftView};
use crate::error::StoreError;
use crate::operators::access::{OperatorId, OrganisationId, visible};
use muster_protocol::id::{Seq, SiteId, Uid};
use muster_protocol::parameters::RawSettings;
use rusqlite::{Connection, Row, params};
use std::collections::{BTreeMap, BTreeSet};

const COLUMNS: &str = "d.id, d.title, d.made, d.made_by, d.state, d.decided, d.decided_by";

/// One appliance of a new draft.
pub(crate) struct NewRow {
    pub(crate) appliance: i64,
    pub(crate) site: SiteId,
    pub(crate) base: RawSettings,
    pub(crate) wanted: RawSettings,
}

/// Keeps a draft.
pub(crate) fn add(db: &Connection, now: u64, title: &str, by: &str, rows: &[NewRow]) -> Result<u32, StoreError> {
    let sites: BTreeSet<SiteId> = rows.iter().map(|row| row.site).collect();
    let sql = "INSERT INTO drafts (site, title, made, made_by) VALUES (?1, ?2, ?3, ?4)";
    db.execute(sql, params![sites.first().map(|site| site.0), title, now, by])?;
    let id = db.last_insert_rowid() as u32;
    let mut insert = db.prepare_cached("INSERT INTO draft_sites (draft, site) VALUES (?1, ?2)")?;
    for site in &sites {
        insert.execute([id, site.0])?;
    }
    let mut insert =
        db.prepare_cached("INSERT INTO draft_rows (draft, appliance, base, wanted) SELECT ?1, id, settings, ?3 FROM appliances WHERE id = ?2")?;
    for row in rows {
        insert.execute(params![id, row.appliance, json(&row.wanted)])?;
    }
    Ok(id)
}

/// One.
pub(crate) fn find(db: &Connection, id: u32) -> Result<Option<DraftView>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM drafts d WHERE d.id = ?1");
    Ok(rows(db, &sql, [id], |row| read(db, row))?.into_iter().next())
}

/// The newest of a site, or of all, newest first.
pub(crate) fn newest(db: &Connection, site: Option<SiteId>, limit: u32) -> Result<Vec<DraftView>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM drafts d WHERE ?1 IS NULL OR {} ORDER BY d.id DESC LIMIT ?2", at("?1"));
    rows(db, &sql, params![site.map(|site| site.0), limit], |row| read(db, row))
}

/// The condition that a draft changes something at a site.
fn at(site: &str) -> String {
    format!("EXISTS (SELECT 1 FROM draft_sites t WHERE t.draft = d.id AND t.site = {site})")
}

/// A page of those that an operator sees, newest first: those of which they see every site.
pub(crate) fn page(
    db: &Connection,
    reader: OperatorId,
    organisation: Option<OrganisationId>,
    site: Option<SiteId>,
    window: Window,
) -> Result<Page<DraftView>, StoreError> {
    let seen = visible("s.organisation", "s.id");
    let sql = format!(
        "SELECT {COLUMNS} FROM drafts d JOIN sites f ON f.id = d.site
         WHERE NOT EXISTS (SELECT 1 FROM draft_sites t JOIN sites s ON s.id = t.site WHERE t.draft = d.id AND NOT {seen})
         AND (?2 IS NULL OR f.organisation = ?2) AND (?3 IS NULL OR {}) AND d.id < ?4 ORDER BY d.id DESC LIMIT ?5",
        at("?3")
    );
    let after = window.after.unwrap_or(i64::MAX);
    let asked = params![reader, organisation, site.map(|site| site.0), after, window.rows()];
    let found = rows(db, &sql, asked, |row| read(db, row))?;
    Ok(Page::of(found, window.limit, |draft| i64::from(draft.id)))
}

/// Its appliances, in the order in which they became known.
pub(crate) fn rows_of(db: &Connection, id: u32, window: Window) -> Result<Page<DraftRowView>, StoreError> {
    let sql = format!(
        "SELECT r.appliance, a.uid, a.serial, a.model, r.base, r.wanted, r.version, coalesce(c.reason, ''), {STATE}, a.site
         FROM {FROM} AND r.appliance > ?2 ORDER BY r.appliance LIMIT ?3"
    );
    let after = window.after.unwrap_or(0);
    let found = rows(db, &sql, params![id, after, window.rows()], |row| {
        Ok::<_, StoreError>((row.get::<_, i64>(0)?, read_row(row)?))
    })?;
    let page = Page::of(found, window.limit, |(appliance, _): &(i64, DraftRowView)| *appliance);
    Ok(Page { items: page.items.into_iter().map(|(_, row)| row).collect(), next: page.next })
}

/// At how many appliances of each site it changes something.
pub(crate) fn counts(db: &Connection, id: u32) -> Result<BTreeMap<SiteId, usize>, StoreError> {
    let sql = "SELECT t.site, (SELECT count(*) FROM draft_rows r JOIN appliances a ON a.id = r.appliance
               WHERE r.draft = t.draft AND a.site = t.site) FROM draft_sites t WHERE t.draft = ?1";
    let found = rows(db, sql, [id], |row| Ok::<_, StoreError>((SiteId(row.get(0)?), row.get(1)?)))?;
    Ok(found.into_iter().collect())
}

/// What each had, and is to have.
pub(crate) fn settings_of(db: &Connection, id: u32) -> Result<Vec<(RawSettings, RawSettings)>, StoreError> {
    rows(db, "SELECT base, wanted FROM draft_rows WHERE draft = ?1", [id], |row| {
        Ok((settings(row.get(0)?)?, settings(row.get(1)?)?))
    })
}

/// Notes which version was signed for an appliance.
pub(crate) fn signed(db: &Connection, id: u32, appliance: i64, version: Option<u32>) -> Result<(), StoreError> {
    let sql = "UPDATE draft_rows SET version = ?3 WHERE draft = ?1 AND appliance = ?2";
    db.prepare_cached(sql)?.execute(params![id, appliance, version])?;
    Ok(())
}

/// What waited was signed anew.
pub(crate) fn renewed(db: &Connection, appliance: i64, old: Seq, new: Seq) -> Result<(), StoreError> {
    let version =
        |seq: &str| format!("(SELECT version FROM configurations c WHERE c.appliance = ?1 AND c.seq = {seq})");
    let sql = format!(
        "UPDATE draft_rows SET version = {} WHERE appliance = ?1 AND version = {}",
        version("?3"),
        version("?2")
    );
    db.prepare_cached(&sql)?.execute(params![appliance, old.0, new.0])?;
    Ok(())
}

/// Notes what was decided.
pub(crate) fn decide(db: &Connection, now: u64, id: u32, is_applied: bool, by: &str) -> Result<(), StoreError> {
    let state = if is_applied { "applied" } else { "discarded" };
    db.execute(
        "UPDATE drafts SET state = ?2, decided = ?3, decided_by = ?4 WHERE id = ?1",
        params![id, state, now, by],
    )?;
    Ok(())
}

/// How an appliance of a draft stands. Settings are compared as they are kept: what was set anew is news, even if it means the same.
const STATE: &str =
    "CASE WHEN c.version IS NULL AND a.settings = r.base THEN 'proposed' WHEN c.version IS NULL THEN 'stale'
    WHEN c.state = 'applied' THEN 'in_force' WHEN c.state = 'failed' THEN 'failed' WHEN c.seq <> a.seq THEN 'overtaken'
    WHEN EXISTS (SELECT 1 FROM given_grants g WHERE g.appliance = r.appliance AND g.seq = c.seq AND g.given IS NOT NULL)
    THEN 'given' ELSE 'waiting' END";
const FROM: &str = "draft_rows r JOIN appliances a ON a.id = r.appliance
    LEFT JOIN configurations c ON c.appliance = r.appliance AND c.version = r.version WHERE r.draft = ?1";

fn read_row(row: &Row<'_>) -> Result<DraftRowView, StoreError> {
    let (base, wanted) = (settings(row.get(4)?)?, settings(row.get(5)?)?);
    Ok(DraftRowView {
        uid: Uid(row.get(1)?),
        serial: row.get(2)?,
        model: row.get(3)?,
        site: row.get::<_, Option<u32>>(9)?.map(SiteId),
        changes: differences(&base, &wanted),
        base,
        wanted,
        version: row.get(6)?,
        reason: row.get(7)?,
        state: from_word("draft", &row.get::<_, String>(8)?)?,
    })
}

fn settings(text: String) -> Result<RawSettings, StoreError> {
    from_json("settings of a draft", &text)
}

fn read(db: &Connection, row: &Row<'_>) -> Result<DraftView, StoreError> {
    let id: u32 = row.get(0)?;
    let sql = format!("SELECT {STATE}, count(*) FROM {FROM} GROUP BY 1");
    let count = |row: &Row<'_>| Ok::<_, StoreError>((from_word("draft", &row.get::<_, String>(0)?)?, row.get(1)?));
    let counts: BTreeMap<DraftRowState, u32> = rows(db, &sql, [id], count)?.into_iter().collect();
    let state: DraftState = from_word("draft", &row.get::<_, String>(4)?)?;
    let of = "SELECT site FROM draft_sites WHERE draft = ?1 ORDER BY site";
    let sites = rows(db, of, [id], |row| Ok::<_, StoreError>(SiteId(row.get(0)?)))?;
    Ok(DraftView {
        id,
        sites,
        title: row.get(1)?,
        made: row.get(2)?,
        made_by: row.get(3)?,
        state,
        decided: row.get(5)?,
        decided_by: row.get(6)?,
        rows: counts,
    })
}
