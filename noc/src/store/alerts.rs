//! Alerts, and what the status daemon needs to go on after a restart.

use super::alert_events::{self, Happening, Said, Someone, happened};
use super::appliances::set_health;
use super::{from_word, standings, word};
use crate::error::StoreError;
use muster_protocol::api::{Alert, AlertKind, Handling};
use muster_protocol::beat_watch::{AlertId, Input, OpenAlert, Output};
use muster_protocol::id::{ConsoleId, SiteId, Uid};
use rusqlite::{Connection, Row, params};
use std::collections::BTreeMap;

/// Closed alerts older than this are no longer listed.
const LISTED_S: u64 = 90 * 86_400;

/// Columns that [`read`] takes, of a table that is called `a`.
pub(super) const COLUMNS: &str = "a.id, a.site, a.kind, a.opened, a.closed, a.acknowledged, a.acknowledged_by, a.note,
    a.silenced_until, a.silenced_by, a.silence_note, a.escalated, a.rule";

/// Appliances that a record names of those that are attached at once.
const NAMED: usize = 20;

/// Keeps what the status daemon decided.
pub(crate) fn apply(db: &Connection, now: u64, outputs: &[Output]) -> Result<(), StoreError> {
    // Hundreds may be attached to a site's alert in one go: that is one event.
    let mut attached: BTreeMap<u64, Vec<Uid>> = BTreeMap::new();
    for output in outputs {
        match output {
            Output::Health { uid, health } => set_health(db, now, uid, *health)?,
            Output::Open(id, alert) => {
                let revision = super::next_revision(db)?;
                let opened = db
                    .prepare_cached(
                        "INSERT OR IGNORE INTO alerts (id, site, kind, opened, revision, rule, about)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, (SELECT id FROM appliances WHERE uid = ?7))",
                    )?
                    .execute(params![id.0, alert.site.0, word(&alert.kind), now, revision, alert.rule, about(alert)])?;
                for uid in &alert.uids {
                    attach(db, *id, uid)?;
                    if alert.kind == AlertKind::NeverReported {
                        standings::never_reported(db, now, uid)?;
                    }
                }
                if opened > 0 {
                    let mut detail = serde_json::json!({ "kind": alert.kind, "appliances": alert.uids });
                    if !alert.rule.is_empty() {
                        detail["rule"] = alert.rule.clone().into();
                    }
                    let said = Said { appliances: alert.uids.len(), detail, ..Said::default() };
                    alert_events::expect(db, now, id.0)?;
                    happened(db, now, id.0, Happening::Opened, &Someone::noc(), said)?;
                }
            }
            Output::Attach { alert, uid } => {
                if attach(db, *alert, uid)? {
                    attached.entry(alert.0).or_default().push(*uid);
                }
                touch(db, alert.0)?;
            }
            Output::Close(id) => {
                tell_attached(db, now, &mut attached, Some(id.0))?;
                let sql = "UPDATE alerts SET closed = ?2, due = NULL, silenced_until = NULL, silenced_by = '',
                           silence_note = '' WHERE id = ?1 AND closed IS NULL";
                if db.prepare_cached(sql)?.execute(params![id.0, now])? > 0 {
                    happened(db, now, id.0, Happening::Resolved, &Someone::noc(), Said::default())?;
                }
                touch(db, id.0)?;
            }
        }
    }
    tell_attached(db, now, &mut attached, None)
}

/// Writes down what was attached: to one alert, or to all.
fn tell_attached(
    db: &Connection,
    now: u64,
    attached: &mut BTreeMap<u64, Vec<Uid>>,
    only: Option<u64>,
) -> Result<(), StoreError> {
    let told: Vec<_> = match only {
        Some(alert) => attached.remove(&alert).map(|uids| (alert, uids)).into_iter().collect(),
        None => std::mem::take(attached).into_iter().collect(),
    };
    for (alert, uids) in told {
        let detail =
            serde_json::json!({ "appliances": uids.iter().take(NAMED).collect::<Vec<_>>(), "count": uids.len() });
        let said = Said { appliances: uids.len(), detail, ..Said::default() };
        happened(db, now, alert, Happening::Attached, &Someone::noc(), said)?;
    }
    Ok(())
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
    let sql = format!(
        "SELECT {COLUMNS} FROM alerts a WHERE site IN (SELECT site FROM console_sites WHERE console = ?1)
         AND (closed IS NULL OR (NOT ?2 AND closed >= ?3)) ORDER BY opened DESC, id DESC LIMIT ?4"
    );
    let mut statement = db.prepare_cached(&sql)?;
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
    let sql = format!(
        "SELECT {COLUMNS}, revision FROM alerts a WHERE revision > ?2
         AND site IN (SELECT site FROM console_sites WHERE console = ?1) ORDER BY revision LIMIT ?3"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params![console.0, after, limit as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row.get(13)?, read(db, row)?));
    }
    Ok(found)
}

/// Alerts of all sites, newest first, at most `limit`.
pub(crate) fn all(db: &Connection, open_only: bool, limit: usize) -> Result<Vec<Alert>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM alerts a WHERE a.closed IS NULL OR NOT ?1 ORDER BY opened DESC, id DESC LIMIT ?2"
    );
    super::rows(db, &sql, params![open_only, limit as i64], |row| read(db, row))
}

/// An alert of one of a console's sites.
pub(crate) fn of_console_by_id(db: &Connection, console: ConsoleId, id: u64) -> Result<Option<Alert>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM alerts a WHERE id = ?2 AND site IN (SELECT site FROM console_sites WHERE console = ?1)"
    );
    Ok(super::rows(db, &sql, params![console.0, id], |row| read(db, row))?.into_iter().next())
}

/// False when it was there already.
/// The one appliance that an alert opens about.
fn about(alert: &OpenAlert) -> Option<[u8; 20]> {
    match alert.uids[..] {
        [uid] if alert.kind != AlertKind::Site => Some(uid.0),
        _ => None,
    }
}

fn attach(db: &Connection, alert: AlertId, uid: &Uid) -> Result<bool, StoreError> {
    let sql = "INSERT OR IGNORE INTO alert_appliances (alert, appliance) SELECT ?1, id FROM appliances WHERE uid = ?2";
    Ok(db.prepare_cached(sql)?.execute(params![alert.0, uid.0])? > 0)
}

/// Consoles that follow changes hear of it.
pub(super) fn touch(db: &Connection, alert: u64) -> Result<(), StoreError> {
    let revision = super::next_revision(db)?;
    db.prepare_cached("UPDATE alerts SET revision = ?2 WHERE id = ?1")?.execute(params![alert, revision])?;
    Ok(())
}

fn members(db: &Connection, alert: u64) -> Result<Vec<Uid>, StoreError> {
    let sql =
        "SELECT uid FROM alert_appliances JOIN appliances ON appliances.id = appliance WHERE alert = ?1 ORDER BY uid";
    let mut statement = db.prepare_cached(sql)?;
    let uids = statement.query_map([alert], |row| row.get(0).map(Uid))?;
    Ok(uids.collect::<Result<_, _>>()?)
}

/// From [`COLUMNS`].
pub(super) fn read(db: &Connection, row: &Row<'_>) -> Result<Alert, StoreError> {
    let id = row.get(0)?;
    Ok(Alert {
        id,
        site: SiteId(row.get(1)?),
        kind: from_word("alert", &row.get::<_, String>(2)?)?,
        appliances: members(db, id)?,
        opened: row.get(3)?,
        closed: row.get(4)?,
        rule: row.get(12)?,
        handling: Handling {
            acknowledged: row.get(5)?,
            acknowledged_by: row.get(6)?,
            note: row.get(7)?,
            silenced_until: row.get(8)?,
            silenced_by: row.get(9)?,
            silence_note: row.get(10)?,
            escalated: row.get(11)?,
        },
    })
}
