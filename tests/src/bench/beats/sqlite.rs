//! What the database can do by itself: the last state of each appliance and a history that is appended to, in groups that are
//! each on disk before the next begins.

use rusqlite::{Connection, params};
use std::path::Path;
use std::time::{Duration, Instant};

/// Rows a second of both tables together with their commit.
pub(super) fn group_commits(folder: &Path, appliances: usize, group: usize, time: Duration) -> anyhow::Result<f64> {
    let mut db = Connection::open(folder.join("bare.sqlite"))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.execute_batch(
        "CREATE TABLE status (appliance INTEGER PRIMARY KEY, time INTEGER NOT NULL, counter INTEGER NOT NULL, report BLOB NOT NULL) STRICT;
         CREATE TABLE history (id INTEGER PRIMARY KEY, appliance INTEGER NOT NULL, time INTEGER NOT NULL, report BLOB NOT NULL) STRICT;",
    )?;
    let report = [7_u8; 200];
    let filling = db.transaction()?;
    for appliance in 0..appliances {
        filling.execute("INSERT INTO status VALUES (?1, 0, 0, ?2)", params![appliance as i64, report])?;
    }
    filling.commit()?;
    let (started, mut rows, mut state) = (Instant::now(), 0_u64, 1_u64);
    while started.elapsed() < time {
        let transaction = db.transaction()?;
        for _ in 0..group {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let appliance = ((state >> 33) % appliances as u64).cast_signed();
            rows += 1;
            transaction
                .prepare_cached("UPDATE status SET time = ?2, counter = counter + 1, report = ?3 WHERE appliance = ?1")?
                .execute(params![appliance, rows, report])?;
            transaction
                .prepare_cached("INSERT INTO history (appliance, time, report) VALUES (?1, ?2, ?3)")?
                .execute(params![appliance, rows, report])?;
        }
        transaction.commit()?;
    }
    Ok(rows as f64 / started.elapsed().as_secs_f64())
}
