//! Where organisations have their history written besides, and what of it has not gone out yet (decision 0041).
//!
//! A target knows up to which row of the journal it has been sent. What is folded before everybody has it is kept apart under
//! its number, so that a beat costs nothing more for being written twice.

#[cfg(test)]
mod tests;

use super::rows;
use crate::error::StoreError;
use crate::history::{self, Shapes};
use crate::operators::access::OrganisationId;
use crate::remote_write::{Checked, Labels, RemoteWriteSpec, Series};
use muster_protocol::api::Health;
use muster_protocol::id::Uid;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// Beats of one message.
const TOGETHER: u64 = 2_000;
/// Rows of the journal that are looked at for one message, and that are deleted in one step.
const ROWS: i64 = 4_096;
const STEP: i64 = 256;

/// Where an organisation's history is written, and how that does.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RemoteWrite {
    /// As it was set; absent: nowhere.
    pub target: Option<RemoteWriteSpec>,
    /// Whether it has a password or a token.
    pub has_password: bool,
    /// Whether it was set by people of the NOC itself, so that it may be in networks that noc.toml allows.
    pub is_trusted: bool,
    /// How it does.
    pub state: RemoteWriteState,
}

/// How it does.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct RemoteWriteState {
    /// Beats that the store took.
    pub sent: u64,
    /// Beats that it did not want, and that are not offered again.
    pub refused: u64,
    /// Beats that waited for so long that there was no room for them any more.
    pub lost: u64,
    /// When the oldest beat that waits came, Unix seconds.
    pub waiting_since: Option<u64>,
    /// When it last took something.
    pub delivered: Option<u64>,
    /// When it was last tried.
    pub tried: Option<u64>,
    /// What the store said then, or why it said nothing.
    pub outcome: String,
    /// Since when every attempt has failed, if the last one did.
    pub failing_since: Option<u64>,
}

impl RemoteWrite {
    /// What a change has to name the version of: not how it does, which changes by itself.
    pub(crate) fn version(&self) -> impl Serialize + use<> {
        (self.target.clone(), self.has_password)
    }
}

/// One that was set, with what is never shown.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) organisation: OrganisationId,
    /// Counts what was set.
    pub(crate) version: u64,
    pub(crate) spec: RemoteWriteSpec,
    pub(crate) secret: Zeroizing<String>,
    pub(crate) is_trusted: bool,
    cursor: i64,
    state: RemoteWriteState,
}

const COLUMNS: &str =
    "organisation, version, url, user, secret, ca, is_trusted, is_enabled, cursor, sent, refused, lost, delivered,
    tried, outcome, failing_since";

/// What an organisation has set.
pub(crate) fn find(db: &Connection, id: OrganisationId) -> Result<Option<Kept>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM remote_writes WHERE organisation = ?1");
    Ok(rows(db, &sql, [id], read)?.into_iter().next())
}

/// Every one, by organisation.
pub(crate) fn all(db: &Connection) -> Result<Vec<Kept>, StoreError> {
    rows(db, &format!("SELECT {COLUMNS} FROM remote_writes ORDER BY organisation"), [], read)
}

/// What is shown of an organisation's.
pub(crate) fn shown(db: &Connection, id: OrganisationId) -> Result<RemoteWrite, StoreError> {
    let Some(kept) = find(db, id)? else {
        return Ok(RemoteWrite {
            target: None,
            has_password: false,
            is_trusted: false,
            state: RemoteWriteState::default(),
        });
    };
    let waiting_since = if kept.spec.enabled { oldest(db, kept.cursor)? } else { None };
    Ok(RemoteWrite {
        has_password: !kept.secret.is_empty(),
        is_trusted: kept.is_trusted,
        state: RemoteWriteState { waiting_since, ..kept.state },
        target: Some(kept.spec),
    })
}

/// Sets where an organisation's history is written: what comes from now on. What waits for the same target goes on waiting.
pub(crate) fn set(
    db: &Connection,
    id: OrganisationId,
    checked: &Checked,
    is_trusted: bool,
    goes_on: bool,
) -> Result<(), StoreError> {
    let Checked { spec, secret } = checked;
    let version = super::next_revision(db)?;
    let cursor = newest(db)?;
    let sql = "INSERT INTO remote_writes (organisation, url, user, secret, ca, is_trusted, is_enabled, version, cursor)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
        ON CONFLICT (organisation) DO UPDATE SET url = ?2, user = ?3, secret = ?4, ca = ?5, is_trusted = ?6, is_enabled = ?7,
            version = ?8, cursor = CASE WHEN ?10 THEN cursor ELSE ?9 END, failing_since = NULL, tried = NULL, outcome = ''";
    db.execute(
        sql,
        params![id, spec.url, spec.user, **secret, spec.ca, is_trusted, spec.enabled, version, cursor, goes_on],
    )?;
    Ok(())
}

/// Nothing more is written.
pub(crate) fn remove(db: &Connection, id: OrganisationId) -> Result<(), StoreError> {
    db.execute("DELETE FROM remote_writes WHERE organisation = ?1", [id])?;
    super::next_revision(db)?;
    Ok(())
}

/// What goes out next.
pub(crate) struct Part {
    /// Up to which row of the journal it is.
    pub(crate) upto: i64,
    pub(crate) beats: u64,
    pub(crate) series: Series,
    /// There is more.
    pub(crate) is_full: bool,
}

/// What an organisation's target is to be sent next; none if it has everything, or was set anew.
pub(crate) fn next(db: &Connection, id: OrganisationId, version: u64) -> Result<Option<Part>, StoreError> {
    let Some(kept) = find(db, id)?.filter(|kept| kept.version == version && kept.spec.enabled) else { return Ok(None) };
    let mut owners = Owners::default();
    let (shapes, mut series) = (&mut Shapes::default(), Series::default());
    let (mut upto, mut beats, mut looked) = (kept.cursor, 0, 0);
    // What was folded is older than what was not.
    for table in ["beat_outbox", "beat_journal"] {
        let sql = format!("SELECT id, records FROM {table} WHERE id > ?1 ORDER BY id LIMIT ?2");
        let mut statement = db.prepare_cached(&sql)?;
        let mut found = statement.query(params![upto, ROWS])?;
        while beats < TOGETHER && looked < ROWS {
            let Some(row) = found.next()? else { break };
            upto = row.get(0)?;
            looked += 1;
            let records = history::records(row.get_ref(1)?.as_blob().unwrap_or_default(), None, shapes);
            for (appliance, sample) in records.ok_or(history_damaged())? {
                if let Some(labels) = owners.of(db, appliance, id)? {
                    series.add(&labels, sample.time, &sample.values());
                    beats += 1;
                }
            }
        }
    }
    let is_full = beats >= TOGETHER || looked >= ROWS;
    Ok((looked > 0).then_some(Part { upto, beats, series, is_full }))
}

/// What became of a message.
pub(crate) enum Outcome {
    /// The store took it.
    Taken { answer: String },
    /// The store does not want it: it is not sent again.
    Refused { answer: String },
    /// It is tried again.
    Failed { why: String },
}

/// Keeps what became of a part: up to where it was, and how many beats.
pub(crate) fn settle(
    db: &Connection,
    now: u64,
    id: OrganisationId,
    version: u64,
    upto: i64,
    beats: u64,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    let (sql, words) = match outcome {
        Outcome::Taken { answer } => (
            "UPDATE remote_writes SET cursor = max(cursor, ?3), sent = sent + ?4, delivered = ?5, tried = ?5, outcome = ?6,
             failing_since = NULL WHERE organisation = ?1 AND version = ?2",
            answer,
        ),
        Outcome::Refused { answer } => (
            "UPDATE remote_writes SET cursor = max(cursor, ?3), refused = refused + ?4, tried = ?5, outcome = ?6,
             failing_since = coalesce(failing_since, ?5) WHERE organisation = ?1 AND version = ?2",
            answer,
        ),
        Outcome::Failed { why } => (
            "UPDATE remote_writes SET tried = ?5, outcome = ?6, failing_since = coalesce(failing_since, ?5)
             WHERE organisation = ?1 AND version = ?2 AND ?3 IS NOT NULL AND ?4 IS NOT NULL",
            why,
        ),
    };
    db.prepare_cached(sql)?.execute(params![id, version, upto, beats, now, words])?;
    Ok(())
}

/// Goes on after rows in which there was nothing for a target.
pub(crate) fn skip(db: &Connection, id: OrganisationId, version: u64, upto: i64) -> Result<(), StoreError> {
    let sql = "UPDATE remote_writes SET cursor = max(cursor, ?3) WHERE organisation = ?1 AND version = ?2";
    db.prepare_cached(sql)?.execute(params![id, version, upto])?;
    Ok(())
}

/// Whether each appliance of an organisation reports in time, now.
pub(crate) fn ups(db: &Connection, id: OrganisationId) -> Result<Vec<(Arc<Labels>, Health)>, StoreError> {
    let sql = format!(
        "SELECT {LABELS}, a.health FROM appliances a LEFT JOIN sites s ON s.id = a.site
         WHERE a.organisation = ?1 AND a.health <> 'not_expected' ORDER BY a.id"
    );
    rows(db, &sql, [id], |row| Ok((Arc::new(labels(row)?), super::from_word("health", &row.get::<_, String>(4)?)?)))
}

/// Puts rows of the journal that are about to be deleted where those find them who do not have them yet.
pub(crate) fn keep(db: &Connection, upto: i64, rows: i64) -> Result<(), StoreError> {
    let Some(cursor) = slowest(db)? else { return Ok(()) };
    let sql = "INSERT OR IGNORE INTO beat_outbox SELECT id, beats, records FROM beat_journal
               WHERE id IN (SELECT id FROM beat_journal WHERE id <= ?1 ORDER BY id LIMIT ?2) AND id > ?3";
    db.prepare_cached(sql)?.execute(params![upto, rows, cursor])?;
    Ok(())
}

/// Deletes a step of what everybody has; true if there is more.
pub(crate) fn clear(db: &Connection) -> Result<bool, StoreError> {
    let upto = slowest(db)?.unwrap_or(i64::MAX);
    let sql = "DELETE FROM beat_outbox WHERE id IN (SELECT id FROM beat_outbox WHERE id <= ?1 ORDER BY id LIMIT ?2)";
    Ok(db.prepare_cached(sql)?.execute(params![upto, STEP])? as i64 == STEP)
}

/// Bytes that wait apart from the journal.
pub(crate) fn waiting_bytes(db: &Connection) -> Result<u64, StoreError> {
    Ok(db.query_row("SELECT coalesce(sum(length(records)), 0) FROM beat_outbox", [], |row| row.get(0))?)
}

/// Gives up the oldest step of what waits; how many bytes that was.
pub(crate) fn give_up(db: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT id, records FROM beat_outbox ORDER BY id LIMIT ?1";
    let step: Vec<(i64, Vec<u8>)> = rows(db, sql, [STEP], |row| Ok::<_, StoreError>((row.get(0)?, row.get(1)?)))?;
    let Some((last, _)) = step.last() else { return Ok(0) };
    let (mut owners, shapes) = (Owners::default(), &mut Shapes::default());
    for kept in all(db)?.iter().filter(|kept| kept.spec.enabled && kept.cursor < *last) {
        let mut lost = 0;
        for (_, records) in step.iter().filter(|(id, _)| *id > kept.cursor) {
            for (appliance, _) in history::records(records, None, shapes).ok_or(history_damaged())? {
                lost += u64::from(owners.of(db, appliance, kept.organisation)?.is_some());
            }
        }
        let sql = "UPDATE remote_writes SET lost = lost + ?2, cursor = max(cursor, ?3) WHERE organisation = ?1";
        db.execute(sql, params![kept.organisation, lost, last])?;
    }
    db.execute("DELETE FROM beat_outbox WHERE id <= ?1", [last])?;
    Ok(step.iter().map(|(_, records)| records.len() as u64).sum())
}

/// Whose an appliance is, and what it is known by.
#[derive(Default)]
struct Owners(HashMap<i64, Option<(OrganisationId, Arc<Labels>)>>);

impl Owners {
    /// The labels of an appliance of an organisation.
    fn of(
        &mut self,
        db: &Connection,
        appliance: i64,
        organisation: OrganisationId,
    ) -> Result<Option<Arc<Labels>>, StoreError> {
        let known = match self.0.get(&appliance) {
            Some(known) => known,
            None => {
                let sql = format!(
                    "SELECT {LABELS}, a.organisation FROM appliances a LEFT JOIN sites s ON s.id = a.site WHERE a.id = ?1"
                );
                let read = |row: &Row<'_>| Ok((row.get(4)?, Arc::new(labels(row)?)));
                let found = db.prepare_cached(&sql)?.query_row([appliance], read).optional()?;
                self.0.entry(appliance).or_insert(found)
            }
        };
        Ok(known.as_ref().filter(|(owner, _)| *owner == organisation).map(|(_, labels)| labels.clone()))
    }
}

const LABELS: &str = "a.uid, a.model, coalesce(s.name, ''), coalesce(json_extract(a.settings, '$.host_name'), '')";

fn labels(row: &Row<'_>) -> rusqlite::Result<Labels> {
    Ok(Labels { uid: Uid(row.get(0)?), model: row.get(1)?, site: row.get(2)?, host: row.get(3)? })
}

/// Up to where everybody has everything; none if nobody is written to.
fn slowest(db: &Connection) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT min(cursor) FROM remote_writes WHERE is_enabled";
    Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// The last number that the journal gave.
fn newest(db: &Connection) -> Result<i64, StoreError> {
    let sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'beat_journal'";
    Ok(db.query_row(sql, [], |row| row.get(0))?)
}

/// When the first beat after a row came.
fn oldest(db: &Connection, cursor: i64) -> Result<Option<u64>, StoreError> {
    for table in ["beat_outbox", "beat_journal"] {
        let sql = format!("SELECT records FROM {table} WHERE id > ?1 ORDER BY id LIMIT 1");
        let found: Option<Vec<u8>> = db.prepare_cached(&sql)?.query_row([cursor], |row| row.get(0)).optional()?;
        if let Some(found) = found {
            let records = history::records(&found, None, &mut Shapes::default()).ok_or(history_damaged())?;
            return Ok(records.first().map(|(_, sample)| sample.time));
        }
    }
    Ok(None)
}

fn history_damaged() -> StoreError {
    StoreError::Corrupt { what: "part of the history" }
}

fn read(row: &Row<'_>) -> Result<Kept, StoreError> {
    Ok(Kept {
        organisation: row.get(0)?,
        version: row.get(1)?,
        spec: RemoteWriteSpec { url: row.get(2)?, user: row.get(3)?, ca: row.get(5)?, enabled: row.get(7)? },
        secret: Zeroizing::new(row.get(4)?),
        is_trusted: row.get(6)?,
        cursor: row.get(8)?,
        state: RemoteWriteState {
            sent: row.get(9)?,
            refused: row.get(10)?,
            lost: row.get(11)?,
            waiting_since: None,
            delivered: row.get(12)?,
            tried: row.get(13)?,
            outcome: row.get(14)?,
            failing_since: row.get(15)?,
        },
    })
}

/// Sums over organisations, for `/metrics` and `doctor`.
pub(crate) fn failing(db: &Connection) -> Result<BTreeMap<OrganisationId, String>, StoreError> {
    let bad = all(db)?.into_iter().filter(|kept| kept.spec.enabled && kept.state.failing_since.is_some());
    Ok(bad.map(|kept| (kept.organisation, kept.state.outcome)).collect())
}
