//! Instructions to appliances: given one after the other with the answers to beats, until a beat says that each was accepted.

use super::appliances::Appliance;
use super::{from_word, handover, word};
use crate::error::StoreError;
use crate::work::InstructionView;
use muster_protocol::api::InstructionReport;
use muster_protocol::instruction::{Act, Serial};
use muster_protocol::text::misleads;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Seconds for which an instruction is good.
const INSTRUCTION_S: u64 = 7 * 86_400;
/// Longest word of a problem, in characters.
const MAX_PROBLEM: usize = 64;
/// Instructions of one appliance that are remembered.
const MOST: i64 = 100;

const COLUMNS: &str = "serial, act, issued, expires, given, done, problem";

/// Adds an instruction. The same again while the first waits is the first.
pub(crate) fn add(db: &Connection, now: u64, appliance: &Appliance, act: Act) -> Result<InstructionView, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM instructions WHERE appliance = ?1 AND act = ?2 AND done IS NULL AND expires >= ?3
         ORDER BY serial DESC LIMIT 1"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let waiting = statement.query_row(params![appliance.id, word(&act), now], |row| Ok(read(row))).optional()?;
    if let Some(waiting) = waiting {
        return waiting;
    }
    let last = handover::highest_serial(db, appliance.id)?;
    // Numbers follow the clock, so that a NOC restored from an old copy goes on above what it has lost.
    let serial = Serial(now.max(last + 1));
    let view = InstructionView {
        serial,
        act,
        issued: now,
        expires: now + INSTRUCTION_S,
        given: None,
        done: None,
        problem: String::new(),
    };
    db.prepare_cached(
        "INSERT INTO instructions (appliance, serial, act, issued, expires) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![appliance.id, serial.0, word(&act), view.issued, view.expires])?;
    let sql = "DELETE FROM instructions WHERE appliance = ?1 AND done IS NOT NULL AND serial <=
               (SELECT serial FROM instructions WHERE appliance = ?1 ORDER BY serial DESC LIMIT 1 OFFSET ?2)";
    db.prepare_cached(sql)?.execute(params![appliance.id, MOST])?;
    Ok(view)
}

/// The oldest one that is neither accepted nor over.
pub(super) fn due(db: &Connection, now: u64, appliance: &Appliance) -> Result<Option<InstructionView>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM instructions WHERE appliance = ?1 AND done IS NULL AND expires >= ?2 ORDER BY serial LIMIT 1"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let found = statement.query_row(params![appliance.id, now], |row| Ok(read(row))).optional()?.transpose()?;
    if let Some(found) = found.as_ref().filter(|found| found.given.is_none()) {
        tracing::info!(uid = %appliance.record.uid, serial = %found.serial, act = ?found.act, "an instruction goes to an appliance");
        db.prepare_cached("UPDATE instructions SET given = ?3 WHERE appliance = ?1 AND serial = ?2")?
            .execute(params![appliance.id, found.serial.0, now])?;
    }
    Ok(found)
}

/// An appliance has accepted these, up to a number; those that are news.
pub(super) fn accepted(
    db: &Connection,
    now: u64,
    appliance: &Appliance,
    report: &InstructionReport,
) -> Result<Vec<Act>, StoreError> {
    let sql = "UPDATE instructions SET done = ?3 WHERE appliance = ?1 AND serial <= ?2 AND done IS NULL RETURNING act";
    let mut statement = db.prepare_cached(sql)?;
    let acts = statement.query_map(params![appliance.id, report.serial.0, now], |row| row.get::<_, String>(0))?;
    let acts = acts.collect::<Result<Vec<_>, _>>()?;
    let problem: String = report.problem.chars().filter(|c| !misleads(*c)).take(MAX_PROBLEM).collect();
    if !problem.is_empty() {
        let sql = "UPDATE instructions SET problem = ?3 WHERE appliance = ?1 AND serial = ?2 AND problem <> ?3";
        db.prepare_cached(sql)?.execute(params![appliance.id, report.serial.0, problem])?;
    }
    for act in &acts {
        tracing::info!(uid = %appliance.record.uid, serial = %report.serial, act, "an appliance has accepted an instruction");
    }
    acts.iter().map(|act| from_word("instruction", act)).collect()
}

/// All that are remembered, newest first.
pub(crate) fn all(db: &Connection, appliance: i64) -> Result<Vec<InstructionView>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM instructions WHERE appliance = ?1 ORDER BY serial DESC");
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query([appliance])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// Takes back what no appliance has accepted; how many. One that has got an instruction already may carry it out all the same.
pub(crate) fn cancel(db: &Connection, appliance: i64) -> Result<usize, StoreError> {
    Ok(db.prepare_cached("DELETE FROM instructions WHERE appliance = ?1 AND done IS NULL")?.execute([appliance])?)
}

fn read(row: &Row<'_>) -> Result<InstructionView, StoreError> {
    Ok(InstructionView {
        serial: Serial(row.get(0)?),
        act: from_word("instruction", &row.get::<_, String>(1)?)?,
        issued: row.get(2)?,
        expires: row.get(3)?,
        given: row.get(4)?,
        done: row.get(5)?,
        problem: row.get(6)?,
    })
}
