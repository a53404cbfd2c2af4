//! The audit log's rows: appended, never changed.

use super::rows;
use crate::api::{Page, Window};
use crate::audit::{Anchor, By, Cut, Event, NOTHING, Record};
use crate::error::StoreError;
use crate::operators::Role;
use crate::operators::access::{OperatorId, OrganisationId, visible_to};
use muster_protocol::id::SiteId;
use rusqlite::{Connection, OptionalExtension, Row, params};

const COLUMNS: &str = "seq, time, actor, address, organisation, site, action, subject, detail, hash";
/// Records whose reading goes on in one question.
const STEP: i64 = 1_000;

/// Appends a record, in the transaction of what it records.
pub(crate) fn record(db: &Connection, now: u64, by: &By, event: Event) -> Result<(), StoreError> {
    let (last, before) = last(db)?.unwrap_or((0, NOTHING));
    let Event { place, action, subject, detail } = event;
    let mut record = Record {
        seq: last + 1,
        time: now,
        actor: by.actor.clone(),
        address: by.address.clone(),
        organisation: place.organisation,
        site: place.site,
        action: action.to_owned(),
        subject,
        detail: detail.to_string(),
        hash: NOTHING,
    };
    record.hash = record.chained(&before);
    let sql = format!("INSERT INTO audit ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    db.prepare_cached(&sql)?.execute(params![
        record.seq,
        record.time,
        record.actor,
        record.address,
        record.organisation,
        record.site.map(|site| site.0),
        record.action,
        record.subject,
        record.detail,
        record.hash
    ])?;
    // Whoever follows what is done hears of it, also of what changes nothing that consoles follow.
    super::next_revision(db)?;
    Ok(())
}

/// Number and hash of the last record.
pub(crate) fn last(db: &Connection) -> Result<Option<(u64, [u8; 32])>, StoreError> {
    let sql = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1";
    Ok(db.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// When the oldest record that is not pruned was written.
pub(crate) fn oldest(db: &Connection) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT time FROM audit WHERE seq > coalesce((SELECT seq FROM audit_cut), 0) ORDER BY seq LIMIT 1";
    Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?)
}

/// Number and hash of the last record before the first one of `time` or later.
pub(crate) fn last_before(db: &Connection, time: u64) -> Result<Option<(u64, [u8; 32])>, StoreError> {
    let sql = "SELECT seq, hash FROM audit WHERE seq < coalesce(
               (SELECT seq FROM audit WHERE seq > coalesce((SELECT seq FROM audit_cut), 0) AND time >= ?1 ORDER BY seq LIMIT 1),
               9223372036854775807) ORDER BY seq DESC LIMIT 1";
    Ok(db.prepare_cached(sql)?.query_row([time], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Where the log begins, if not with its first record.
pub(crate) fn cut(db: &Connection) -> Result<Option<Cut>, StoreError> {
    let corrupt = |_| StoreError::Corrupt { what: "beginning of the audit log" };
    let signed: Option<Vec<u8>> =
        db.prepare_cached("SELECT signed FROM audit_cut")?.query_row([], |row| row.get(0)).optional()?;
    signed.map(|signed| serde_json::from_slice(&signed).map_err(corrupt)).transpose()
}

/// Has the log begin behind a record. What was signed of those before it has nothing to speak of any more.
pub(crate) fn keep_cut(db: &Connection, cut: &Cut) -> Result<(), StoreError> {
    let signed = serde_json::to_vec(cut).unwrap_or_default();
    db.execute("INSERT OR REPLACE INTO audit_cut (id, seq, signed) VALUES (1, ?1, ?2)", params![cut.seq, signed])?;
    db.execute("DELETE FROM audit_checkpoints WHERE seq <= ?1", [cut.seq])?;
    Ok(())
}

/// Deletes one step of what lies before the beginning; true when there may be more.
pub(crate) fn prune_step(db: &Connection) -> Result<bool, StoreError> {
    let sql = "DELETE FROM audit WHERE seq IN
               (SELECT seq FROM audit WHERE seq <= (SELECT seq FROM audit_cut) ORDER BY seq LIMIT ?1)";
    Ok(db.prepare_cached(sql)?.execute([STEP])? as i64 == STEP)
}

/// The highest number that was ever given.
pub(crate) fn highest(db: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'audit'";
    Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Reads record after record, from the one after `cut`, until `take` has had enough.
pub(crate) fn each(db: &Connection, cut: Option<&Cut>, mut take: impl FnMut(Record) -> bool) -> Result<(), StoreError> {
    let mut after = cut.map_or(i64::MIN, |cut| i64::try_from(cut.seq).unwrap_or(i64::MAX));
    loop {
        let sql = format!("SELECT {COLUMNS} FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2");
        let step =
            rows(db, &sql, params![after, STEP], |row| Ok::<_, StoreError>((row.get::<_, i64>(0)?, read(row)?)))?;
        let Some((last, _)) = step.last() else { return Ok(()) };
        after = *last;
        for (_, record) in step {
            if !take(record) {
                return Ok(());
            }
        }
    }
}

/// What is looked for. Texts count from their beginning.
#[derive(Clone, Debug, Default)]
pub(crate) struct Search {
    pub(crate) organisation: Option<OrganisationId>,
    pub(crate) site: Option<SiteId>,
    pub(crate) actor: Option<String>,
    pub(crate) action: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) since: Option<u64>,
    pub(crate) until: Option<u64>,
}

/// Records, newest first. `reader`: an operator, who sees what they administer; none for all.
pub(crate) fn search(
    db: &Connection,
    reader: Option<OperatorId>,
    search: &Search,
    window: Window,
) -> Result<Page<Record>, StoreError> {
    let administered = visible_to(Some(Role::Administrator), "audit.organisation", "audit.site");
    let sql = format!(
        "SELECT {COLUMNS} FROM audit WHERE (?1 IS NULL OR {administered}) AND seq < ?2
         AND (?3 IS NULL OR organisation = ?3) AND (?4 IS NULL OR site = ?4)
         AND (?5 IS NULL OR substr(actor, 1, length(?5)) = ?5) AND (?6 IS NULL OR substr(action, 1, length(?6)) = ?6)
         AND (?7 IS NULL OR substr(subject, 1, length(?7)) = ?7) AND time >= ?8 AND time <= ?9
         ORDER BY seq DESC LIMIT ?10"
    );
    let asked = params![
        reader,
        window.after.unwrap_or(i64::MAX),
        search.organisation,
        search.site.map(|site| site.0),
        search.actor,
        search.action,
        search.subject,
        search.since.unwrap_or(0),
        search.until.unwrap_or(i64::MAX as u64),
        window.rows()
    ];
    let found = rows(db, &sql, asked, read)?;
    Ok(Page::of(found, window.limit, |record| record.seq as i64))
}

/// What the root has signed, by number.
pub(crate) fn checkpoints(db: &Connection) -> Result<Vec<Anchor>, StoreError> {
    let corrupt = |_| StoreError::Corrupt { what: "checkpoint of the audit log" };
    rows(db, "SELECT signed FROM audit_checkpoints ORDER BY seq", [], |row| {
        serde_json::from_slice(&row.get::<_, Vec<u8>>(0)?).map_err(corrupt)
    })
}

/// Keeps what the root has signed.
pub(crate) fn keep_checkpoint(db: &Connection, anchor: &Anchor) -> Result<(), StoreError> {
    let signed = serde_json::to_vec(anchor).unwrap_or_default();
    let sql = "INSERT OR REPLACE INTO audit_checkpoints (seq, signed) VALUES (?1, ?2)";
    db.prepare_cached(sql)?.execute(params![anchor.seq, signed])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Record, StoreError> {
    // A forged row may hold any number: it is shown as one that no record has.
    let number = |column| row.get::<_, i64>(column).map(|n| u64::try_from(n).unwrap_or(u64::MAX));
    Ok(Record {
        seq: number(0)?,
        time: number(1)?,
        actor: row.get(2)?,
        address: row.get(3)?,
        organisation: row.get(4)?,
        site: row.get::<_, Option<u32>>(5)?.map(SiteId),
        action: row.get(6)?,
        subject: row.get(7)?,
        detail: row.get(8)?,
        hash: row.get(9)?,
    })
}
