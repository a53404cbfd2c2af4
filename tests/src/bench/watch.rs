//! The status daemon with a large table: from a deadline to the alert in the database, the cost of waiting, and many that go silent at
//! once. The real program; appliances that never beat are rows of its database, those whose deadlines are measured beat over TLS.

use super::beats::client::{self, Connection, Target};
use super::beats::fleet::Fleet;
use super::usage;
use crate::process::{Running, program};
use anyhow::{Context, ensure};
use rusqlite::params;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seconds between the beats of those that are measured: the shortest that there are.
const INTERVAL_S: u32 = 5;
/// From their last beat until they are silent: three intervals, and the least grace.
const SILENT: Duration = Duration::from_secs(3 * 5 + 15);
/// Sites of those that only are there, and of those that go silent together.
const SITES: usize = 100;
const STORM_SITES: usize = 5;
/// Between two looks into the database.
const LOOK: Duration = Duration::from_millis(2);

/// What is measured.
pub struct Run {
    /// Appliances of the table.
    pub appliances: usize,
    /// How many of them beat once and fall silent, one after another.
    pub probes: usize,
    /// How many fall silent together, at five sites.
    pub storm: usize,
    /// Their interval, seconds: long enough for what is measured before.
    pub storm_interval_s: u32,
    /// Seconds for which the NOC's idle processor time is measured.
    pub idle_s: u64,
}

/// Measures; one line of JSON.
pub fn run(run: &Run) -> anyhow::Result<Value> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    ensure!(run.probes >= 1 && run.storm >= 3 * STORM_SITES, "nobody would fall silent");
    usage::allow_many_files()?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("noc");
    let fleet = Fleet::make(&data, run.probes, INTERVAL_S)?;
    fill(&data, run)?;

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let begun = Instant::now();
    let mut command = Command::new(program("muster-noc"));
    command.args(["serve", "--log", "info", "--dir"]).arg(&data).env_remove("RUST_LOG");
    let noc = Running::start(&mut command, &folder.path().join("noc.log"));
    let watching = loop {
        if let Some(at) = watching_since(&noc.said()) {
            break at;
        }
        ensure!(begun.elapsed() < Duration::from_secs(300), "the NOC does not watch: {}", noc.said());
        std::thread::sleep(Duration::from_millis(20));
    };
    let identities = runtime.block_on(fleet.enrol(run.probes))?;
    let restore_s = begun.elapsed().as_secs_f64();

    let mut idle_percent = idle(&noc, run)?;

    let target = Target::new(fleet.address(), fleet.ca_pem())?;
    // One after another: whose answer came when is what is measured.
    let mut connections = runtime.block_on(async {
        let mut all = Vec::with_capacity(identities.len());
        for identity in &identities {
            all.push(Connection::open(&target, identity.config(&target, false)?, identity.seq()).await?);
        }
        anyhow::Ok(all)
    })?;
    let apart = Duration::from_secs(5) / u32::try_from(run.probes)?;
    let answered = runtime.block_on(client::beat_apart(&mut connections, apart))?;
    let db =
        rusqlite::Connection::open_with_flags(data.join("noc.sqlite"), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut late_ms = alerts(&db, run, &fleet, &answered)?;
    late_ms.sort_by(f64::total_cmp);
    let at = |share: f64| late_ms[((late_ms.len() - 1) as f64 * share) as usize];
    drop(connections);

    let due = watching + Duration::from_secs(3 * u64::from(run.storm_interval_s)) + grace(run.storm_interval_s);
    // After its start the NOC looks through the history of all; where there is time, it is measured when that is over.
    if due.saturating_duration_since(Instant::now()) > Duration::from_secs(run.idle_s + 5) {
        idle_percent = idle(&noc, run)?;
    }
    let storm = storm(&db, run, due)?;
    let peak_mib = usage::of_process(noc.id())?.peak_mib;
    let hundredths = |value: f64| (value * 100.0).round() / 100.0;
    Ok(json!({
        "bench": "watch",
        "appliances": run.appliances,
        "alerts": late_ms.len(),
        "alert_p50_ms": hundredths(at(0.5)),
        "alert_p99_ms": hundredths(at(0.99)),
        "idle_cpu_percent": hundredths(idle_percent),
        "storm": run.storm,
        "storm_sites": STORM_SITES,
        "storm_s": hundredths(storm),
        "restore_s": hundredths(restore_s),
        "peak_mib": peak_mib,
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
    }))
}

/// Percent of a processor that the whole NOC takes while nothing is overdue.
fn idle(noc: &Running, run: &Run) -> anyhow::Result<f64> {
    let before = usage::of_process(noc.id())?.cpu_ms;
    std::thread::sleep(Duration::from_secs(run.idle_s));
    Ok((usage::of_process(noc.id())?.cpu_ms - before) / (run.idle_s as f64 * 10.0))
}

/// A quarter of the interval, at least fifteen seconds.
fn grace(interval_s: u32) -> Duration {
    Duration::from_millis(u64::from(interval_s) * 250).max(Duration::from_secs(15))
}

/// Rows of appliances that have been well for long: the NOC takes them up as it would after a restart.
fn fill(data: &Path, run: &Run) -> anyhow::Result<()> {
    let mut db = rusqlite::Connection::open(data.join("noc.sqlite"))?;
    db.pragma_update(None, "synchronous", "OFF")?;
    let transaction = db.transaction()?;
    for n in 0..SITES + STORM_SITES {
        let sql = "INSERT INTO sites (organisation, name, pool, netmask, gateway, domain, dns1, dns2, host_name, beat_interval_s, confirm, window_s)
                   SELECT organisation, 'Site ' || ?1, pool, netmask, gateway, domain, dns1, dns2, host_name, beat_interval_s, confirm, window_s
                   FROM sites WHERE id = 1";
        transaction.execute(sql, [n])?;
    }
    let first: i64 = transaction.query_row("SELECT id FROM sites WHERE name = 'Site 0'", [], |row| row.get(0))?;
    let quiet = run.appliances.saturating_sub(run.probes + run.storm);
    let storm_at = first + SITES as i64;
    {
        let sql = "INSERT INTO appliances (uid, mac, serial, model, claim, site, seq, applied, pinned, settings, interval_s, provisioning,
                   health, last_beat, revision, organisation)
                   VALUES (randomblob(20), randomblob(6), ?1, 'Model', '', ?2, 1, 1, 1, ?3, ?4, 'configured', 'well', unixepoch(), 1, 1)";
        let mut insert = transaction.prepare(sql)?;
        for n in 0..quiet + run.storm {
            let (site, interval_s) = match n.checked_sub(quiet) {
                // Enough beside those that fall silent, so that it is not their site's line.
                None if n < 4 * run.probes => (1, 86_400),
                None => (first + (n % SITES) as i64, 86_400),
                Some(n) => (storm_at + (n % STORM_SITES) as i64, run.storm_interval_s),
            };
            let [_, a, b, c] = u32::try_from(n)?.to_be_bytes();
            let settings = json!({
                "address": format!("11.{a}.{b}.{c}"), "netmask": "255.0.0.0", "gateway": "11.255.255.254",
                "host_name": format!("s-{n}"), "domain": "bench.example.net", "dns1": "", "dns2": "",
            });
            insert.execute(params![format!("SX{n}"), site, settings.to_string(), interval_s])?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// When the status daemon began, by its log: everybody's grace is counted from then.
fn watching_since(log: &str) -> Option<Instant> {
    let line = log.lines().find(|line| line.contains("the status daemon watches"))?;
    let time = line.split('T').nth(1)?.split('Z').next()?;
    let mut parts = time.split(':').map(str::parse::<f64>);
    let (hours, minutes, seconds) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let then = hours * 3_600.0 + minutes * 60.0 + seconds;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64() % 86_400.0;
    // Over midnight the day is another one.
    let ago = (now - then).rem_euclid(86_400.0);
    Instant::now().checked_sub(Duration::from_secs_f64(ago))
}

/// Milliseconds from the deadline of each that has beaten to its alert in the database. An answer comes a little after the beat was
/// taken, so what is told is a little less than it was.
fn alerts(db: &rusqlite::Connection, run: &Run, fleet: &Fleet, answered: &[Instant]) -> anyhow::Result<Vec<f64>> {
    let numbers: HashMap<[u8; 20], usize> = fleet.uids().enumerate().map(|(n, uid)| (uid.0, n)).collect();
    let sql = "SELECT a.id, p.uid FROM alerts a JOIN alert_appliances m ON m.alert = a.id JOIN appliances p ON p.id = m.appliance
               WHERE a.id > ?1 AND a.kind = 'silent' ORDER BY a.id";
    let mut statement = db.prepare(sql)?;
    let (mut last, mut late) = (0_i64, Vec::new());
    let end = Instant::now() + SILENT + Duration::from_secs(60);
    while late.len() < run.probes {
        let mut rows = statement.query([last])?;
        while let Some(row) = rows.next()? {
            last = row.get(0)?;
            let n = numbers.get(&row.get::<_, [u8; 20]>(1)?).context("an alert about somebody else")?;
            let due = answered[*n] + SILENT;
            let now = Instant::now();
            let ms = |time: Duration| time.as_secs_f64() * 1e3;
            late.push(if now >= due { ms(now - due) } else { -ms(due - now) });
        }
        ensure!(Instant::now() < end, "{} of {} alerts came", late.len(), run.probes);
        std::thread::sleep(LOOK);
    }
    Ok(late)
}

/// Seconds from the common deadline until each site has its one alert, with everybody in it.
fn storm(db: &rusqlite::Connection, run: &Run, due: Instant) -> anyhow::Result<f64> {
    let sql = "SELECT count(DISTINCT a.id), count(*) FROM alerts a JOIN alert_appliances m ON m.alert = a.id
               WHERE a.kind = 'site' AND a.closed IS NULL";
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        let (alerts, members): (usize, usize) = db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if members == run.storm {
            let took = due.elapsed().as_secs_f64();
            ensure!(alerts == STORM_SITES, "{alerts} alerts for {STORM_SITES} sites");
            return Ok(took);
        }
        ensure!(Instant::now() < end, "{members} of {} are in {alerts} alerts", run.storm);
        std::thread::sleep(Duration::from_millis(20));
    }
}
