//! What becomes of alerts: each change of one is written with its event, its deliveries and its record of the audit log.

use super::{alerts, audit, deliveries, from_word, organisations, rows, word};
use crate::api::{Page, Window};
use crate::audit::{By, Event};
use crate::error::StoreError;
use crate::operators::access::{OrganisationId, Place};
use muster_protocol::id::SiteId;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// The status daemon opened it.
    Opened,
    /// More appliances belong to it.
    Attached,
    /// Somebody said that they saw it.
    Acknowledged,
    /// Somebody silenced it for a time.
    Silenced,
    /// That time is over, or was ended.
    Unsilenced,
    /// Nobody acknowledged or silenced it in time.
    Escalated,
    /// It is over.
    Resolved,
}

impl Happening {
    fn action(self) -> &'static str {
        match self {
            Happening::Opened => "alert.open",
            Happening::Attached => "alert.attach",
            Happening::Acknowledged => "alert.acknowledge",
            Happening::Silenced => "alert.silence",
            Happening::Unsilenced => "alert.unsilence",
            Happening::Escalated => "alert.escalate",
            Happening::Resolved => "alert.close",
        }
    }
}

/// Who did something about an alert.
#[derive(Clone, Debug)]
pub(crate) struct Someone {
    pub(crate) by: By,
    /// As people call them; empty for the NOC itself.
    pub(crate) who: String,
}

impl Someone {
    pub(crate) fn noc() -> Someone {
        Someone { by: By::noc(), who: String::new() }
    }
}

/// What is written down of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) note: String,
    pub(crate) until: Option<u64>,
    pub(crate) appliances: usize,
    pub(crate) detail: serde_json::Value,
}

/// One event of an alert's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertEvent {
    /// Its number.
    pub id: u64,
    /// When, Unix seconds.
    pub time: u64,
    /// What.
    pub what: Happening,
    /// Who, as in the audit log; empty when an earlier version did not write it down.
    pub actor: String,
    /// Who, as people call them; empty for the NOC itself.
    pub who: String,
    /// What they said.
    pub note: String,
    /// Until when it is silenced.
    pub until: Option<u64>,
    /// How many appliances came with it.
    pub appliances: u32,
}

/// Writes down that something became of an alert, and has channels tell it.
pub(crate) fn happened(
    db: &Connection,
    now: u64,
    alert: u64,
    what: Happening,
    someone: &Someone,
    said: Said,
) -> Result<(), StoreError> {
    let Said { note, until, appliances, detail } = said;
    let sql = "INSERT INTO alert_events (alert, time, what, actor, who, note, until, appliances)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let values = params![alert, now, word(&what), someone.by.actor, someone.who, note, until, appliances as u64];
    db.prepare_cached(sql)?.execute(values)?;
    let event = db.last_insert_rowid();
    deliveries::queue(db, now, event, alert, what)?;
    let sql = "SELECT site FROM alerts WHERE id = ?1";
    let site = SiteId(db.prepare_cached(sql)?.query_row([alert], |row| row.get(0))?);
    let place = Place { organisation: organisations::of_site(db, site)?, site: Some(site) };
    let recorded = Event::new(place, what.action(), format!("alert:{alert}")).with(detail);
    audit::record(db, now, &someone.by, recorded)?;
    alerts::touch(db, alert)
}

/// What became of an alert, oldest first.
pub(crate) fn of_alert(db: &Connection, alert: u64, window: Window) -> Result<Page<AlertEvent>, StoreError> {
    let sql = "SELECT id, time, what, actor, who, note, until, appliances FROM alert_events
               WHERE alert = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    let found = rows(db, sql, params![alert, window.after.unwrap_or(0), window.rows()], |row| {
        Ok::<_, StoreError>(AlertEvent {
            id: row.get(0)?,
            time: row.get(1)?,
            what: from_word("happening", &row.get::<_, String>(2)?)?,
            actor: row.get(3)?,
            who: row.get(4)?,
            note: row.get(5)?,
            until: row.get(6)?,
            appliances: row.get(7)?,
        })
    })?;
    Ok(Page::of(found, window.limit, |event| i64::try_from(event.id).unwrap_or(i64::MAX)))
}

/// Notes who has seen an alert, and what they say of it. From now on nobody is waited for, so it is not escalated.
pub(crate) fn acknowledge(
    db: &Connection,
    now: u64,
    alert: u64,
    someone: &Someone,
    note: &str,
) -> Result<(), StoreError> {
    let sql =
        "UPDATE alerts SET acknowledged = ?2, acknowledged_by = ?3, note = ?4, due = silenced_until WHERE id = ?1";
    db.execute(sql, params![alert, now, someone.who, note])?;
    let said = Said { note: note.to_owned(), detail: serde_json::json!({ "note": note }), ..Said::default() };
    happened(db, now, alert, Happening::Acknowledged, someone, said)
}

/// Has nobody be told of an open alert until a time.
pub(crate) fn silence(
    db: &Connection,
    now: u64,
    alert: u64,
    someone: &Someone,
    until: u64,
    note: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE alerts SET silenced_until = ?2, silenced_by = ?3, silence_note = ?4, due = ?2 WHERE id = ?1";
    db.execute(sql, params![alert, until, someone.who, note])?;
    let detail = serde_json::json!({ "until": until, "note": note });
    let said = Said { note: note.to_owned(), until: Some(until), detail, ..Said::default() };
    happened(db, now, alert, Happening::Silenced, someone, said)
}

/// Ends that. Whoever does not acknowledge it now has the whole time again until it is escalated.
pub(crate) fn unsilence(db: &Connection, now: u64, alert: u64, someone: &Someone) -> Result<(), StoreError> {
    let sql = "UPDATE alerts SET silenced_until = NULL, silenced_by = '', silence_note = '' WHERE id = ?1";
    db.execute(sql, [alert])?;
    expect(db, now, alert)?;
    happened(db, now, alert, Happening::Unsilenced, someone, Said::default())
}

/// From now on somebody has to acknowledge an alert, if its place says so.
pub(super) fn expect(db: &Connection, now: u64, alert: u64) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE alerts SET due = ?2 + {ESCALATE_AFTER} WHERE id = ?1 AND acknowledged IS NULL AND escalated IS NULL"
    );
    db.prepare_cached(&sql)?.execute(params![alert, now])?;
    db.prepare_cached(
        "UPDATE alerts SET due = NULL WHERE id = ?1 AND (acknowledged IS NOT NULL OR escalated IS NOT NULL)",
    )?
    .execute([alert])?;
    Ok(())
}

/// Seconds until an alert is escalated; `NULL` for never.
const ESCALATE_AFTER: &str = "(SELECT nullif(coalesce(s.escalate_after_s, o.escalate_after_s), 0)
    FROM sites s JOIN organisations o ON o.id = s.organisation WHERE s.id = alerts.site)";

/// When alerts want to be looked at next.
pub(crate) fn next_due(db: &Connection) -> Result<Option<u64>, StoreError> {
    Ok(db.prepare_cached("SELECT min(due) FROM alerts WHERE due IS NOT NULL")?.query_row([], |row| row.get(0))?)
}

/// Most alerts of one look, so that other writes get in between.
const LOOK: i64 = 500;

/// Escalates alerts and ends silences whose time has come; true when there are more.
pub(crate) fn look(db: &Connection, now: u64) -> Result<bool, StoreError> {
    let sql =
        "SELECT id, silenced_until IS NOT NULL FROM alerts WHERE due IS NOT NULL AND due <= ?1 ORDER BY due LIMIT ?2";
    let found =
        rows(db, sql, params![now, LOOK], |row| Ok::<_, StoreError>((row.get::<_, u64>(0)?, row.get::<_, bool>(1)?)))?;
    for (alert, is_silenced) in &found {
        if *is_silenced {
            unsilence(db, now, *alert, &Someone::noc())?;
        } else {
            db.execute("UPDATE alerts SET escalated = ?2, due = NULL WHERE id = ?1", params![alert, now])?;
            happened(db, now, *alert, Happening::Escalated, &Someone::noc(), Said::default())?;
        }
    }
    Ok(found.len() as i64 == LOOK)
}

/// Whose alerts are escalated after which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EscalationOf {
    Organisation(OrganisationId),
    Site(SiteId),
}

/// What a place says of escalation: none for nothing (a site: what its organisation says), 0 for never.
pub(crate) fn escalation(db: &Connection, of: EscalationOf) -> Result<Option<u32>, StoreError> {
    let (sql, id) = match of {
        EscalationOf::Organisation(id) => ("SELECT escalate_after_s FROM organisations WHERE id = ?1", id.0),
        EscalationOf::Site(id) => ("SELECT escalate_after_s FROM sites WHERE id = ?1", id.0),
    };
    Ok(db.query_row(sql, [id], |row| row.get(0)).optional()?.flatten())
}

/// Sets that. Alerts that are open already follow it.
pub(crate) fn set_escalation(
    db: &Connection,
    now: u64,
    by: &By,
    of: EscalationOf,
    after_s: Option<u32>,
) -> Result<(), StoreError> {
    let (sql, id, sites) = match of {
        EscalationOf::Organisation(id) => (
            "UPDATE organisations SET escalate_after_s = ?2 WHERE id = ?1",
            id.0,
            "(SELECT id FROM sites WHERE organisation = ?1)",
        ),
        EscalationOf::Site(id) => ("UPDATE sites SET escalate_after_s = ?2 WHERE id = ?1", id.0, "(?1)"),
    };
    db.execute(sql, params![id, after_s])?;
    let sql = format!(
        "UPDATE alerts SET due = opened + {ESCALATE_AFTER} WHERE closed IS NULL AND acknowledged IS NULL
         AND escalated IS NULL AND silenced_until IS NULL AND site IN {sites}"
    );
    db.execute(&sql, [id])?;
    let (place, subject) = match of {
        EscalationOf::Organisation(id) => (Place::organisation(id), format!("organisation:{id}")),
        EscalationOf::Site(id) => {
            (Place { organisation: organisations::of_site(db, id)?, site: Some(id) }, format!("site:{id}"))
        }
    };
    let event = Event::new(place, "escalation.change", subject);
    audit::record(db, now, by, event.with(serde_json::json!({ "after_s": after_s })))
}
