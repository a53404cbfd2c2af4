//! Alerts, and what the status daemon needs to go on after a restart.

use super::appliances::set_health;
use super::{audit, from_word, organisations, word};
use crate::audit::{By, Event};
use crate::error::StoreError;
use crate::operators::access::Place;
use muster_protocol::api::{Alert, AlertKind};
use muster_protocol::beat_watch::{AlertId, Input, Output};
use muster_protocol::id::{ConsoleId, SiteId, Uid};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Closed alerts older than this are no longer listed.
const LISTED_S: u64 = 90 * 86_400;

/// Keeps what the status daemon decided.
pub(crate) fn apply(db: &Connection, now: u64, outputs: &[Output]) -> Result<(), StoreError> {
    for output in outputs {
        match output {
            Output::Health { uid, health } => set_health(db, uid, *health)?,
            Output::Open(id, alert) => {
                let revision = super::next_revision(db)?;
                let opened = db
                    .prepare_cached(
                        "INSERT OR IGNORE INTO alerts (id, site, kind, opened, revision, rule) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    )?
                    .execute(params![id.0, alert.site.0, word(&alert.kind), now, revision, alert.rule])?;
                if opened > 0 {
                    let mut detail = serde_json::json!({ "kind": alert.kind, "appliances": alert.uids });
                    if !alert.rule.is_empty() {
                        detail["rule"] = alert.rule.clone().into();
                    }
                    record(db, now, *id, alert.site, "alert.open", detail)?;
                }
                for uid in &alert.uids {
                    attach(db, *id, uid)?;
                }
            }
            Output::Attach { alert, uid } => {
                attach(db, *alert, uid)?;
                touch(db, *alert)?;
            }
            Output::Close(id) => {
                let sql = "UPDATE alerts SET closed = ?2 WHERE id = ?1 AND closed IS NULL RETURNING site";
                let site: Option<u32> =
                    db.prepare_cached(sql)?.query_row(params![id.0, now], |row| row.get(0)).optional()?;
                if let Some(site) = site {
                    record(db, now, *id, SiteId(site), "alert.close", serde_json::Value::Null)?;
                }
                touch(db, *id)?;
            }
        }
    }
    Ok(())
}

/// What the daemon does is in the audit log like what people do about it.
fn record(
    db: &Connection,
    now: u64,
    alert: AlertId,
    site: SiteId,
    action: &'static str,
    detail: serde_json::Value,
) -> Result<(), StoreError> {
    let place = Place { organisation: organisations::of_site(db, site)?, site: Some(site) };
    let event = Event::new(place, action, format!("alert:{}", alert.0));
    audit::record(db, now, &By::noc(), event.with(detail))
}

/// The stored state as the status daemon takes it in, and the number of the last alert.
pub(crate) fn restore(db: &Connection) -> Result<(Vec<Input>, u64), StoreError> {
    let mut inputs = Vec::new();
    let sql = "SELECT uid, site, interval_s, health FROM appliances WHERE applied > 0 AND site IS NOT NULL";
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        inputs.push(Input::Restore {
            uid: Uid(row.get(0)?),
            site: SiteId(row.get(1)?),
            interval_s: row.get(2)?,
            health: from_word("health", &row.get::<_, String>(3)?)?,
        });
    }
    let mut statement = db.prepare("SELECT id, site, kind, rule FROM alerts WHERE closed IS NULL ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        inputs.push(Input::RestoreAlert {
            id: AlertId(id),
            site: SiteId(row.get(1)?),
            kind: from_word::<AlertKind>("alert", &row.get::<_, String>(2)?)?,
            uids: members(db, id)?,
            rule: row.get(3)?,
        });
    }
    let last = db.query_row("SELECT coalesce(max(id), 0) FROM alerts", [], |row| row.get(0))?;
    Ok((inputs, last))
}

/// The alerts of a console's sites, newest first, at most `limit`.
pub(crate) fn of_console(
    db: &Connection,
    now: u64,
    console: ConsoleId,
    open_only: bool,
    limit: usize,
) -> Result<Vec<Alert>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT id, site, kind, opened, closed, rule FROM alerts
         WHERE site IN (SELECT site FROM console_sites WHERE console = ?1)
         AND (closed IS NULL OR (NOT ?2 AND closed >= ?3)) ORDER BY opened DESC, id DESC LIMIT ?4",
    )?;
    let mut rows = statement.query(params![console.0, open_only, now.saturating_sub(LISTED_S), limit as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(db, row)?);
    }
    Ok(found)
}

/// The alerts of a console's sites that changed after a revision, oldest change first, at most `limit`.
pub(crate) fn changed(
    db: &Connection,
    console: ConsoleId,
    after: u64,
    limit: usize,
) -> Result<Vec<(u64, Alert)>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT id, site, kind, opened, closed, rule, revision FROM alerts WHERE revision > ?2
         AND site IN (SELECT site FROM console_sites WHERE console = ?1) ORDER BY revision LIMIT ?3",
    )?;
    let mut rows = statement.query(params![console.0, after, limit as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row.get(6)?, read(db, row)?));
    }
    Ok(found)
}

fn attach(db: &Connection, alert: AlertId, uid: &Uid) -> Result<(), StoreError> {
    let sql = "INSERT OR IGNORE INTO alert_appliances (alert, appliance) SELECT ?1, id FROM appliances WHERE uid = ?2";
    db.prepare_cached(sql)?.execute(params![alert.0, uid.0])?;
    Ok(())
}

fn touch(db: &Connection, alert: AlertId) -> Result<(), StoreError> {
    let revision = super::next_revision(db)?;
    db.prepare_cached("UPDATE alerts SET revision = ?2 WHERE id = ?1")?.execute(params![alert.0, revision])?;
    Ok(())
}

fn members(db: &Connection, alert: u64) -> Result<Vec<Uid>, StoreError> {
    let sql =
        "SELECT uid FROM alert_appliances JOIN appliances ON appliances.id = appliance WHERE alert = ?1 ORDER BY uid";
    let mut statement = db.prepare_cached(sql)?;
    let uids = statement.query_map([alert], |row| row.get(0).map(Uid))?;
    Ok(uids.collect::<Result<_, _>>()?)
}

pub(super) fn read(db: &Connection, row: &Row<'_>) -> Result<Alert, StoreError> {
    let id = row.get(0)?;
    Ok(Alert {
        id,
        site: SiteId(row.get(1)?),
        kind: from_word("alert", &row.get::<_, String>(2)?)?,
        appliances: members(db, id)?,
        opened: row.get(3)?,
        closed: row.get(4)?,
        rule: row.get(5)?,
    })
}
