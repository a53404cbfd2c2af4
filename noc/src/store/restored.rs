//! What a database has to change before it serves in the place of a later one that is lost (decision 0028).

use super::{appliances, audit, copy, given, handover, rows, standings, word};
use crate::audit::{By, Cut, Event};
use crate::error::StoreError;
use crate::operators::access::Place;
use crate::signer::Signer;
use muster_protocol::api::{Health, Provisioning};
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::id::{Seq, Uid};
use rusqlite::{Connection, OpenFlags, params};
use serde::Serialize;
use std::path::Path;

/// Numbers left out beside one for each second since the copy was made.
const MARGIN: u64 = 1_000;
/// Changes in the time of one number: far more than any machine writes in a second.
const CHANGES: u64 = 100_000;

/// What was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Resumed {
    /// Grants have numbers above this one.
    pub seq_floor: u64,
    /// Messages to consoles that waited, and were taken back.
    pub messages: usize,
    /// Instructions to appliances that waited, and were taken back.
    pub instructions: usize,
    /// Settings for appliances that waited, and were taken back.
    pub grants: usize,
    /// Invites that nobody had used, and that nobody can use any more.
    pub invites: usize,
    /// Sessions that were ended.
    pub sessions: usize,
    /// A hand-over was under way, and was called off.
    pub handover: bool,
    /// Vendors sign for components of their own: what they signed since the backup has to be published again.
    pub vendors: bool,
    /// With new keys: appliances that have to be handed over by the former NOC.
    pub appliances: usize,
    /// With new keys: consoles that have to join again.
    pub consoles: usize,
}

/// Makes the copy of `taken` fit to go on at `now`: no number is given twice, and nothing goes out that may have been called off since.
///
/// `new_keys`: the former root and the new one, if it comes back under other keys.
pub(crate) fn resume(
    db: &Connection,
    now: u64,
    taken: u64,
    new_keys: Option<(&PublicKey, &Signer)>,
) -> Result<Resumed, StoreError> {
    let skipped = now.saturating_sub(taken) + MARGIN;
    let sql = "UPDATE noc SET seq_floor = max(seq_floor, (SELECT coalesce(max(seq), 0) FROM appliances)) + ?1,
               revision = revision + ?2, first_revision = revision + ?2 RETURNING seq_floor";
    let seq_floor = db.query_row(sql, params![skipped, skipped * CHANGES], |row| row.get(0))?;
    db.execute("UPDATE appliances SET serial_floor = max(serial_floor, ?1)", [now])?;
    skip_row_numbers(db, skipped)?;

    // Made anew under numbers above those that appliances have seen.
    db.execute("DELETE FROM component_metadata", [])?;

    let why = "the NOC was restored from a backup in which this message waited; send it again if it is still wanted";
    let sql = "UPDATE queue SET state = 'cancelled', code = 'restored', detail = ?1 WHERE state = 'waiting'";
    let messages = db.execute(sql, [why])?;
    let instructions = db.execute("DELETE FROM instructions WHERE done IS NULL", [])?;
    let grants = take_grants_back(db, now)?;
    let invites = db.execute("UPDATE invites SET expires = 0 WHERE used IS NULL AND expires > 0", [])?;
    let sessions = db.execute("UPDATE sessions SET revoked = ?1 WHERE revoked IS NULL", [now])?;
    let sql = "SELECT count(*) FROM handover WHERE ended IS NULL AND finished IS NULL";
    let handover = db.query_row(sql, [], |row| row.get::<_, i64>(0))? > 0;
    if handover {
        handover::end(db, now)?;
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM component_vendors WHERE removed IS NULL)";
    let vendors = db.query_row(sql, [], |row| row.get(0))?;
    let (mut appliances, mut consoles) = (0, 0);
    if let Some((former, signer)) = new_keys {
        sign_cut_anew(db, former, signer)?;
        (appliances, consoles) = (expect_anew(db, now)?, revoke_consoles(db, now)?);
    }
    copy::note_backup(db, taken)?;
    let resumed = Resumed {
        seq_floor,
        messages,
        instructions,
        grants,
        invites,
        sessions,
        handover,
        vendors,
        appliances,
        consoles,
    };
    let detail = serde_json::json!({ "taken": taken, "changed": resumed });
    let event = Event::new(Place { organisation: None, site: None }, "noc.restore", "noc");
    audit::record(db, now, &By::local(), event.with(detail))?;
    Ok(resumed)
}

/// Gives a database that nobody has open to another root. What the former one has signed for in the audit log, the new one cannot vouch
/// for; it signs the end of the log itself. The former root.
pub(crate) fn change_root(path: &Path, root: &PublicKey) -> Result<PublicKey, StoreError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let former = db.query_row("SELECT root FROM noc", [], |row| row.get(0)).map(PublicKey)?;
    db.execute("UPDATE noc SET root = ?1", [root.0])?;
    db.execute("DELETE FROM audit_checkpoints", [])?;
    Ok(former)
}

/// What the former root has signed of where the audit log begins, the new one signs; and nothing else.
fn sign_cut_anew(db: &Connection, former: &PublicKey, signer: &Signer) -> Result<(), StoreError> {
    match audit::cut(db)? {
        Some(cut) if cut.is_signed(former) => audit::keep_cut(db, &Cut::sign(signer, cut.seq, cut.time, &cut.hash)),
        _ => Ok(()),
    }
}

/// Appliances are in force under the former root: each counts here from its first beat, as one that was announced by a hand-over.
fn expect_anew(db: &Connection, now: u64) -> Result<usize, StoreError> {
    db.execute("DELETE FROM handed_over", [])?;
    db.execute("DELETE FROM handover", [])?;
    let sql = "UPDATE grants SET configured = NULL, reported = NULL
               WHERE seq > 0 AND seq = (SELECT applied FROM appliances WHERE id = grants.appliance)";
    db.execute(sql, [])?;
    standings::end_all(db, now)?;
    let sql = "UPDATE appliances SET applied = 0, provisioning = ?1, health = ?2 WHERE applied > 0";
    Ok(db.execute(sql, params![word(&Provisioning::Granted), word(&Health::NotExpected)])?)
}

/// Their certificates are of the former CA, and their credentials of the former root.
fn revoke_consoles(db: &Connection, now: u64) -> Result<usize, StoreError> {
    Ok(db.execute("UPDATE consoles SET revoked = ?1 WHERE revoked IS NULL", [now])?)
}

/// Rows whose number is known outside, as consoles are by theirs: in certificates, credentials and grants.
fn skip_row_numbers(db: &Connection, skipped: u64) -> Result<(), StoreError> {
    // The audit log's numbers have no gap: that is how a cut is noticed.
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%' AND name <> 'audit'";
    for table in rows(db, sql, [], |row| Ok::<String, StoreError>(row.get(0)?))? {
        let changed =
            db.execute("UPDATE sqlite_sequence SET seq = seq + ?2 WHERE name = ?1", params![table, skipped])?;
        if changed == 0 {
            db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)", params![table, skipped])?;
        }
    }
    Ok(())
}

fn take_grants_back(db: &Connection, now: u64) -> Result<usize, StoreError> {
    let sql = "SELECT a.uid FROM given_grants g JOIN appliances a ON a.id = g.appliance ORDER BY a.id";
    let mut taken_back = 0;
    for uid in rows(db, sql, [], |row| Ok::<_, StoreError>(Uid(row.get(0)?)))? {
        if let Some(appliance) = appliances::find(db, &uid)?
            && given::cancel(db, now, &By::local(), &appliance)?
        {
            taken_back += 1;
        }
    }
    Ok(taken_back)
}

/// The number above which grants are: that of an appliance, or that of the whole NOC since it was restored.
pub(super) fn at_least(db: &Connection, seq: Seq) -> Result<Seq, StoreError> {
    let floor = db.prepare_cached("SELECT seq_floor FROM noc")?.query_row([], |row| row.get(0))?;
    Ok(seq.max(Seq(floor)))
}

/// The revision below which no console's knowledge is of this database.
pub(crate) fn first_revision(db: &Connection) -> Result<u64, StoreError> {
    Ok(db.prepare_cached("SELECT first_revision FROM noc")?.query_row([], |row| row.get(0))?)
}
