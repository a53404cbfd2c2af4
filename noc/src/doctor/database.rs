//! The database: whether it is whole, of our version and of our root, and what it says of clock, audit log and backups.

use super::{Finding, components};
use crate::config::Config;
use crate::error::StoreError;
use crate::store::{channels, copy, remote_write, schema};
use crate::{audit, clock};
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::text::printable;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// Days after which a backup is an old one.
const BACKUP_DAYS: u64 = 7;
/// Seconds that two clocks may differ.
const CLOCK_S: u64 = 300;
/// How full, in hundredths, a database may be that has a limit.
const FULL: u64 = 90;
const BUSY: Duration = Duration::from_secs(10);

/// What other checks want to know.
#[derive(Default)]
pub(super) struct Known {
    /// Bytes.
    pub(super) size: u64,
    /// Appliances that beat.
    pub(super) appliances: u64,
}

pub(super) fn examine(path: &Path, root: Option<&PublicKey>, config: &Config, findings: &mut Vec<Finding>) -> Known {
    let file = path.join("noc.sqlite");
    let size = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
    let mut known = Known { size, appliances: 0 };
    match look(path, &file, root, &mut known, findings) {
        Ok(()) => {}
        Err(error) => {
            let what = match &error {
                StoreError::Sqlite(cause) => format!("the database does not read: {cause}"),
                other => other.to_string(),
            };
            findings.push(Finding::error("database", what, RESTORE));
        }
    }
    if let Some(limit) = config.database_limit_mib.map(|mib| u64::from(mib) << 20)
        && size * 100 > limit * FULL
    {
        let what = format!("the database has {} MiB of the {} that it may have", size >> 20, limit >> 20);
        findings.push(Finding::warning("limit", what, "Raise `database_limit_mib` in noc.toml."));
    }
    known
}

const RESTORE: &str = "Put the last good backup back with `muster-noc restore`, into another folder.";

fn look(
    path: &Path,
    file: &Path,
    root: Option<&PublicKey>,
    known: &mut Known,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(file, flags)?;
    db.busy_timeout(BUSY)?;
    if let Some(what) = copy::fault(&db, "quick_check")? {
        findings.push(Finding::error("database", format!("the database is damaged: {what}"), RESTORE));
        return Ok(());
    }
    let sql = "SELECT max(version) FROM refinery_schema_history";
    let (found, ours): (i64, i64) = (db.query_row(sql, [], |row| row.get(0))?, schema());
    if found > ours {
        let what = format!("its tables are of version {found}; this program knows {ours}");
        findings.push(Finding::error("schema", what, "Install a program at least as new as the one that made them."));
        return Ok(());
    }
    findings.push(Finding::ok("database", format!("{} MiB, whole, every reference leads somewhere", known.size >> 20)));
    if found < ours {
        let what = format!("its tables are of version {found}; the next start makes them version {ours}");
        findings.push(Finding::warning("schema", what, "Take a backup, then restart the service."));
        return Ok(());
    }
    findings.push(Finding::ok("schema", format!("its tables are of version {ours}")));
    let belongs: [u8; 32] = db.query_row("SELECT root FROM noc", [], |row| row.get(0))?;
    if root.is_some_and(|root| root.0 != belongs) {
        let remedy = "Restore root.key and noc.sqlite from the same backup.";
        findings.push(Finding::error("database", "it belongs to another NOC than root.key beside it", remedy));
    }
    known.appliances = db.query_row("SELECT count(*) FROM appliances WHERE applied > 0", [], |row| row.get(0))?;
    if let Some(root) = root {
        findings.push(audit_log(path, &db, root)?);
    }
    findings.push(clock_of(&db)?);
    findings.push(last_backup(&db)?);
    findings.push(channels_of(&db)?);
    findings.push(remote_writes_of(&db)?);
    components::examine(path, &db, findings);
    Ok(())
}

/// Whoever is told of alerts elsewhere relies on being told.
fn channels_of(db: &Connection) -> Result<Finding, StoreError> {
    let all: Vec<_> = channels::all(db, None)?.into_iter().filter(|channel| channel.channel.enabled).collect();
    let bad = all.iter().filter(|channel| channel.state.failing_since.is_some() || channel.state.given_up > 0);
    let words: Vec<String> = bad
        .map(|channel| {
            let (name, state) = (printable(&channel.channel.name), &channel.state);
            let given_up = if state.given_up > 0 {
                format!("{} messages given up in seven days", state.given_up)
            } else {
                String::new()
            };
            let failing = if state.failing_since.is_some() { "failing".to_owned() } else { String::new() };
            let both: Vec<_> = [failing, given_up].into_iter().filter(|words| !words.is_empty()).collect();
            format!("channel {} ({name}): {}", channel.id, both.join(", "))
        })
        .collect();
    if words.is_empty() {
        return Ok(Finding::ok("channels", format!("{} channels, none of them failing", all.len())));
    }
    let remedy =
        "Look at what each receiver says with `muster-noc channel list`, and try it with `muster-noc channel test`.";
    Ok(Finding::warning("channels", words.join("; "), remedy))
}

/// Nobody sees on a chart that what it shows has stopped.
fn remote_writes_of(db: &Connection) -> Result<Finding, StoreError> {
    let all = remote_write::all(db)?;
    let failing = remote_write::failing(db)?;
    let words: Vec<String> =
        failing.iter().map(|(id, outcome)| format!("organisation {id}: {}", printable(outcome))).collect();
    if words.is_empty() {
        return Ok(Finding::ok("remote write", format!("{} other stores, none of them failing", all.len())));
    }
    let remedy = "Look with `muster-noc organisation remote-write show`, and try it with `test`.";
    Ok(Finding::warning("remote write", words.join("; "), remedy))
}

fn audit_log(path: &Path, db: &Connection, root: &PublicKey) -> Result<Finding, StoreError> {
    let remedy = "Somebody has written to the NOC's folder, or it was put together from several copies: find out who.";
    let anchor = match audit::read_anchor(&audit::anchor_file(path), root) {
        Ok(anchor) => anchor,
        Err(error) => return Ok(Finding::error("audit", error, remedy)),
    };
    let verdict = audit::verify(db, root, anchor.as_slice())?;
    Ok(match verdict.broken {
        Some(broken) => Finding::error("audit", broken, remedy),
        None => {
            let (good, anchored) = (verdict.good, verdict.anchored);
            let pruned = verdict.cut.map_or(0, |cut| cut.seq);
            let kept = good - pruned;
            let what =
                format!("{kept} records are as they were written; signed up to {anchored}, pruned up to {pruned}");
            Finding::ok("audit", what)
        }
    })
}

/// What the NOC has written down cannot be of later than now.
fn clock_of(db: &Connection) -> Result<Finding, StoreError> {
    let sql = "SELECT max(coalesce((SELECT max(last_beat) FROM appliances), 0),
               coalesce((SELECT time FROM audit ORDER BY seq DESC LIMIT 1), 0))";
    let (last, now): (u64, u64) = (db.query_row(sql, [], |row| row.get(0))?, clock::now());
    if last > now + CLOCK_S {
        let what = format!("this machine's clock is {} s behind what the database says", last - now);
        return Ok(Finding::error("clock", what, "Set the clock: numbers and ends of grants follow it."));
    }
    Ok(Finding::ok("clock", "the clock is not behind the database"))
}

fn last_backup(db: &Connection) -> Result<Finding, StoreError> {
    let remedy = "Take one every day with `muster-noc backup`, and keep it on another machine.";
    let Some(last) = copy::last_backup(db)? else {
        return Ok(Finding::warning("backup", "no backup was ever taken", remedy));
    };
    let days = clock::now().saturating_sub(last) / 86_400;
    Ok(if days >= BACKUP_DAYS {
        Finding::warning("backup", format!("the last backup is {days} days old"), remedy)
    } else {
        Finding::ok("backup", format!("the last backup is {days} days old"))
    })
}
