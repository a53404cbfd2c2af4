//! Maintenance windows.

use super::monitoring::changed;
use super::{appliances, from_word, organisations, rows, word};
use crate::api::{Page, Window};
use crate::audit::{By, Event};
use crate::error::StoreError;
use crate::maintenance::{Every, MaintenanceSpec, MaintenanceView, Span};
use crate::monitoring::MonitoringError;
use crate::operators::access::{OperatorId, Place, visible};
use muster_protocol::id::{SiteId, Uid};
use rusqlite::{Connection, OptionalExtension, Row, params};

const COLUMNS: &str =
    "m.id, m.site, a.uid, m.starts, m.ends, m.every, m.note, m.made_by, m.ended, m.ended_by FROM maintenance m
     LEFT JOIN appliances a ON a.id = m.appliance";
/// Windows that are kept at the same time in one site.
const MOST: u32 = 200;

/// A window as the status daemon needs it.
pub(crate) struct Kept {
    pub(crate) site: SiteId,
    pub(crate) appliance: Option<Uid>,
    pub(crate) span: Span,
}

/// Makes a window.
pub(crate) fn add(
    db: &Connection,
    now: u64,
    by: &By,
    spec: &MaintenanceSpec,
) -> Result<MaintenanceView, MonitoringError> {
    let span = spec.span(now)?;
    let place = Place { organisation: organisations::of_site(db, spec.site)?, site: Some(spec.site) };
    if place.organisation.is_none() {
        return Err(MonitoringError::invalid("site", format!("{} is not known: list the sites", spec.site)));
    }
    let appliance = match spec.appliance {
        None => None,
        Some(uid) => {
            let known = appliances::find(db, &uid)?.filter(|known| known.record.site == Some(spec.site));
            let why = "is no appliance of this site: check its UID, and where it is".to_owned();
            Some(known.ok_or_else(|| MonitoringError::invalid("appliance", why))?.id)
        }
    };
    let sql = "SELECT count(*) FROM maintenance WHERE site = ?1 AND ended IS NULL AND (every <> 'once' OR ends > ?2)";
    let kept: u32 = db.query_row(sql, params![spec.site.0, now], |row| row.get(0))?;
    if kept >= MOST {
        let why = format!("has {MOST} windows already: end some first");
        return Err(MonitoringError::invalid("site", why));
    }
    let sql = "INSERT INTO maintenance (site, appliance, starts, ends, every, note, made, made_by)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let Span { starts, ends, every } = span;
    db.execute(sql, params![spec.site.0, appliance, starts, ends, word(&every), spec.note, now, by.actor])?;
    let id = db.last_insert_rowid();
    let made = find(db, now, id)?.ok_or(StoreError::Corrupt { what: "maintenance" })?;
    let event = Event::new(place, "maintenance.add", format!("maintenance:{id}"));
    changed(db, now, by, event.with(serde_json::json!(made)))?;
    Ok(made)
}

/// Ends a window; false when it is not there, or has ended.
pub(crate) fn end(db: &Connection, now: u64, by: &By, id: i64) -> Result<bool, StoreError> {
    let sql = "UPDATE maintenance SET ended = ?2, ended_by = ?3 WHERE id = ?1 AND ended IS NULL
               AND (every <> 'once' OR ends > ?2) RETURNING site";
    let site: Option<u32> = db.query_row(sql, params![id, now, by.actor], |row| row.get(0)).optional()?;
    let Some(site) = site.map(SiteId) else { return Ok(false) };
    let place = Place { organisation: organisations::of_site(db, site)?, site: Some(site) };
    changed(db, now, by, Event::new(place, "maintenance.end", format!("maintenance:{id}")))?;
    Ok(true)
}

/// One window.
pub(crate) fn find(db: &Connection, now: u64, id: i64) -> Result<Option<MaintenanceView>, StoreError> {
    let found = rows(db, &format!("SELECT {COLUMNS} WHERE m.id = ?1"), [id], |row| read(now, row))?;
    Ok(found.into_iter().next())
}

/// Windows, newest first. `reader`: an operator, who sees what they may; none for all.
pub(crate) fn page(
    db: &Connection,
    now: u64,
    reader: Option<OperatorId>,
    site: Option<SiteId>,
    is_over: Option<bool>,
    window: Window,
) -> Result<Page<MaintenanceView>, StoreError> {
    let seen = visible("s.organisation", "s.id");
    let sql = format!(
        "SELECT {COLUMNS} JOIN sites s ON s.id = m.site WHERE (?1 IS NULL OR {seen}) AND m.id < ?2
         AND (?3 IS NULL OR m.site = ?3)
         AND (?4 IS NULL OR ?4 = (m.ended IS NOT NULL OR (m.every = 'once' AND m.ends <= ?5)))
         ORDER BY m.id DESC LIMIT ?6"
    );
    let after = window.after.unwrap_or(i64::MAX);
    let asked = params![reader, after, site.map(|site| site.0), is_over, now, window.rows()];
    let found = rows(db, &sql, asked, |row| read(now, row))?;
    Ok(Page::of(found, window.limit, |shown| i64::from(shown.id)))
}

/// Those that are on, or will be.
pub(crate) fn kept(db: &Connection, now: u64) -> Result<Vec<Kept>, StoreError> {
    let sql = format!("SELECT {COLUMNS} WHERE m.ended IS NULL AND (m.every <> 'once' OR m.ends > ?1)");
    rows(db, &sql, [now], |row| {
        let shown = read(now, row)?;
        let span = Span { starts: shown.starts, ends: shown.ends, every: shown.every };
        Ok(Kept { site: shown.site, appliance: shown.appliance, span })
    })
}

fn read(now: u64, row: &Row<'_>) -> Result<MaintenanceView, StoreError> {
    let every: Every = from_word("maintenance", &row.get::<_, String>(5)?)?;
    let span = Span { starts: row.get(3)?, ends: row.get(4)?, every };
    let ended: Option<u64> = row.get(8)?;
    Ok(MaintenanceView {
        id: row.get(0)?,
        site: SiteId(row.get(1)?),
        appliance: row.get::<_, Option<[u8; 20]>>(2)?.map(Uid),
        starts: span.starts,
        ends: span.ends,
        every,
        note: row.get(6)?,
        is_active: ended.is_none() && span.is_on(now),
        made_by: row.get(7)?,
        ended,
        ended_by: row.get(9)?,
    })
}
