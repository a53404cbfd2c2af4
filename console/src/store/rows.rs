//! Structures to rows and back.

use super::{Change, StoredGrant, StoredItem, StoredJob};
use crate::view::{JobStep, ProblemView};
use muster_protocol::api::ResultItem;
use muster_protocol::crypto::claim::ClaimKey;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::id::{Seq, SiteId, Uid};
use muster_protocol::parameters::RawSettings;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use std::collections::BTreeMap;

/// Finished jobs that are shown; older ones stay in the database.
const MOST_FINISHED: u32 = 100;

pub(super) fn insert_item(tx: &Transaction<'_>, job: u32, position: usize, item: &StoredItem) -> rusqlite::Result<()> {
    let settings = serde_json::to_string(&item.settings).unwrap_or_default();
    let mut insert = tx.prepare_cached(
        "INSERT INTO item (job, position, uid, mac, device_key, settings, step) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let step = step_word(item.step);
    let key = &item.device_key.0[..];
    insert.execute(params![job, position as i64, item.uid.to_string(), item.mac.to_string(), key, settings, step])?;
    Ok(())
}

pub(super) fn apply(tx: &Transaction<'_>, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::Grant { job, uid, grant } => {
            let claim = grant.claim.as_ref().map(|key| &key.0[..]);
            let sql = "UPDATE item SET seq = ?3, signed = ?4, claim_key = ?5, voucher = ?6 WHERE job = ?1 AND uid = ?2";
            let StoredGrant { seq, signed, voucher, .. } = grant;
            tx.prepare_cached(sql)?.execute(params![job, uid.to_string(), seq.0 as i64, signed, claim, voucher])?;
        }
        Change::Delivery { job, uid, saved } => {
            tx.prepare_cached("UPDATE item SET saved = ?3, step = 'sending' WHERE job = ?1 AND uid = ?2")?
                .execute(params![job, uid.to_string(), saved])?;
        }
        Change::Done { job, uid, step, attempts, problem, report } => {
            let problem = problem.as_ref().map(problem_to_text);
            tx.prepare_cached(
                "UPDATE item SET step = ?3, attempts = ?4, problem = ?5, signed = NULL, claim_key = NULL, voucher = NULL,
                 saved = NULL WHERE job = ?1 AND uid = ?2",
            )?
            .execute(params![job, uid.to_string(), step_word(*step), attempts, problem])?;
            if let Some(report) = report {
                tx.prepare_cached("INSERT INTO outbox (uid, seq, configured, reason) VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![report.uid.to_string(), report.seq.0 as i64, report.configured, report.reason])?;
            }
        }
        Change::Retry { job, uid } => {
            tx.prepare_cached(
                "UPDATE item SET step = 'waiting', attempts = 0, problem = NULL, seq = NULL, signed = NULL,
                 claim_key = NULL, voucher = NULL, saved = NULL WHERE job = ?1 AND uid = ?2",
            )?
            .execute(params![job, uid.to_string()])?;
        }
        Change::Finished { job, at } => {
            tx.execute("UPDATE job SET finished = ?2 WHERE id = ?1", params![job, at.map(|at| at as i64)])?;
        }
        Change::Cancelled { job, cancelled } => {
            tx.execute("UPDATE job SET cancelled = ?2 WHERE id = ?1", params![job, cancelled])?;
        }
    }
    Ok(())
}

pub(super) fn jobs(connection: &Connection) -> rusqlite::Result<Vec<StoredJob>> {
    let mut jobs: BTreeMap<u32, StoredJob> = BTreeMap::new();
    let mut select = connection.prepare(
        "SELECT id, site, started, finished, cancelled FROM job
         WHERE finished IS NULL OR id > (SELECT max(id) FROM job) - ?1",
    )?;
    let mut rows = select.query([MOST_FINISHED])?;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        let job = StoredJob {
            id,
            site: SiteId(row.get(1)?),
            started: row.get::<_, i64>(2)? as u64,
            finished: row.get::<_, Option<i64>>(3)?.map(|at| at as u64),
            cancelled: row.get(4)?,
            items: Vec::new(),
        };
        jobs.insert(id, job);
    }
    let mut select = connection.prepare(
        "SELECT job, uid, mac, device_key, settings, seq, signed, claim_key, saved, step, attempts, problem,
         voucher FROM item WHERE job = ?1 ORDER BY position",
    )?;
    for (id, job) in &mut jobs {
        let mut rows = select.query([id])?;
        while let Some(row) = rows.next()? {
            job.items.push(item(row)?);
        }
    }
    Ok(jobs.into_values().collect())
}

fn item(row: &Row<'_>) -> rusqlite::Result<StoredItem> {
    let signed: Option<Vec<u8>> = row.get(6)?;
    let seq: Option<i64> = row.get(5)?;
    let claim: Option<[u8; 32]> = row.get(7)?;
    let voucher = row.get(12)?;
    let grant = signed.zip(seq).map(|(signed, seq)| StoredGrant {
        signed,
        seq: Seq(seq as u64),
        claim: claim.map(ClaimKey),
        voucher,
    });
    let settings: String = row.get(4)?;
    let settings: RawSettings = serde_json::from_str(&settings).map_err(|e| bad(4, e))?;
    Ok(StoredItem {
        uid: row.get::<_, String>(1)?.parse().map_err(|e| bad(1, e))?,
        mac: row.get::<_, String>(2)?.parse().map_err(|e| bad(2, e))?,
        device_key: PublicKey(row.get(3)?),
        settings,
        grant,
        saved: row.get(8)?,
        step: step_of(&row.get::<_, String>(9)?),
        attempts: row.get(10)?,
        problem: row.get::<_, Option<String>>(11)?.as_deref().map(problem_of_text),
    })
}

pub(super) fn outbox(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<(i64, ResultItem)>> {
    let mut select = connection.prepare("SELECT id, uid, seq, configured, reason FROM outbox ORDER BY id LIMIT ?1")?;
    let rows = select.query_map([limit], |row| {
        let uid: Uid = row.get::<_, String>(1)?.parse().map_err(|e| bad(1, e))?;
        let seq = Seq(row.get::<_, i64>(2)? as u64);
        Ok((row.get(0)?, ResultItem { uid, seq, configured: row.get(3)?, reason: row.get(4)? }))
    })?;
    rows.collect()
}

pub(super) fn preference(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM preference WHERE key = ?1", [key], |row| row.get(0)).optional()
}

fn bad(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

fn step_word(step: JobStep) -> &'static str {
    match step {
        JobStep::Waiting => "waiting",
        JobStep::Sending | JobStep::Installing | JobStep::KickStarting | JobStep::Confirming => "sending",
        JobStep::Configured => "configured",
        JobStep::Failed => "failed",
        JobStep::Cancelled => "cancelled",
    }
}

fn step_of(word: &str) -> JobStep {
    match word {
        "sending" => JobStep::Sending,
        "configured" => JobStep::Configured,
        "failed" => JobStep::Failed,
        "cancelled" => JobStep::Cancelled,
        _ => JobStep::Waiting,
    }
}

pub(super) fn problem_to_text(problem: &ProblemView) -> String {
    serde_json::to_string(problem).unwrap_or_default()
}

pub(super) fn problem_of_text(text: &str) -> ProblemView {
    #[derive(serde::Deserialize)]
    struct Stored {
        code: String,
        message: String,
        remedy: String,
    }
    match serde_json::from_str(text) {
        Ok(Stored { code, message, remedy }) => ProblemView { code, message, remedy },
        Err(_) => crate::problem::problem("unknown", "its reason could not be read back", "Try again."),
    }
}
