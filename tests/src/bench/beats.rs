//! Beats: the real NOC over mutual TLS on kept connections, and in the same run what bounds it: a server of the same parts that
//! does nothing, and a database of the same kind that does nothing else.

pub mod bare_https;
pub(super) mod client;
pub(super) mod fleet;
mod kill;
mod peers;
mod sqlite;

pub use kill::soak;

use super::usage;
use crate::process::{Running, program};
use anyhow::{Context, ensure};
use client::{Identity, Outcome, Target};
use fleet::Fleet;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What is measured, and for how long.
pub struct Run {
    /// Appliances of the table.
    pub appliances: usize,
    /// How many of them beat.
    pub connected: usize,
    /// Requests at the same time.
    pub in_flight: usize,
    /// Seconds of each measurement.
    pub seconds: f64,
    /// Also measure the peers that are installed.
    pub peers: bool,
}

/// Measures; one line of JSON.
pub fn run(run: &Run) -> anyhow::Result<Value> {
    // The console's client and ours are of one process.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    ensure!(run.connected >= 1 && run.in_flight >= 1, "nobody would beat");
    usage::allow_many_files()?;
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let data = folder.path().join("noc");

    let fleet = Fleet::make(&data, run.appliances, 3_600)?;
    let noc = serve(&data, folder.path());
    let identities = runtime.block_on(fleet.enrol(run.connected))?;
    let target = Target::new(fleet.address(), fleet.ca_pem())?;

    let resident_before = usage::resident_kib(noc.id())?;
    let mut connections = runtime.block_on(client::connect(&target, &identities))?;
    // One beat each: what a connection needs once it was used.
    let first = runtime.block_on(client::beat_once(&mut connections))?;
    let resident_after = usage::resident_kib(noc.id())?;
    let each = |kib: u64| kib as f64 / run.connected as f64;

    let (stored_before, written_before) = (stored(&data)?, usage::written_bytes(noc.id())?);
    let cpu_before = usage::of_process(noc.id())?.cpu_ms;
    let beats = runtime.block_on(client::beat(&mut connections, run.in_flight, time(run)))?;
    let cpu_ms = usage::of_process(noc.id())?.cpu_ms - cpu_before;
    let written = usage::written_bytes(noc.id())? - written_before;
    drop(connections);
    let fresh = runtime.block_on(client::reconnect(&target, &identities, false, time(run) / 2))?;
    let resumed = runtime.block_on(client::reconnect(&target, &identities, true, time(run) / 2))?;
    let peak_mib = usage::of_process(noc.id())?.peak_mib;
    let all = first + beats.count + fresh.count + resumed.count;
    // As by a power cut: what was acknowledged is there all the same.
    drop(noc);
    settle(&data, all)?;
    let stored = stored(&data)?.saturating_sub(stored_before);

    let bare = bare(&data, folder.path(), &runtime, &fleet, &identities, run)?;
    let sqlite_per_s = sqlite::group_commits(folder.path(), run.appliances, run.in_flight, time(run) / 2)?;
    let peers = match run.peers {
        true => runtime.block_on(peers::measure(folder.path(), run.in_flight, time(run) / 2))?,
        false => Vec::new(),
    };
    let whole = |value: f64| value.round();
    let tenths = |value: f64| (value * 10.0).round() / 10.0;
    Ok(json!({
        "bench": "beats",
        "appliances": run.appliances,
        "connected": run.connected,
        "in_flight": run.in_flight,
        "beats_per_s": whole(beats.per_s()),
        "p50_ms": tenths(beats.at(0.5)),
        "p99_ms": tenths(beats.at(0.99)),
        "cpu_us_per_beat": tenths(cpu_ms * 1e3 / beats.count as f64),
        "bytes_per_beat": whole(stored as f64 / all as f64),
        "written_per_beat": whole(written as f64 / beats.count as f64),
        "bare_https_per_s": whole(bare.per_s()),
        "ratio": (beats.per_s() / bare.per_s() * 100.0).round() / 100.0,
        "bare_sqlite_per_s": whole(sqlite_per_s),
        "new_connections_per_s": whole(fresh.per_s()),
        "resumed_connections_per_s": whole(resumed.per_s()),
        "resumed_share": (resumed.resumed as f64 / resumed.count.max(1) as f64 * 100.0).round() / 100.0,
        "kib_per_connection": tenths(each(resident_after.saturating_sub(resident_before))),
        "peak_mib": peak_mib,
        "peers": peers.into_iter().map(|(name, per_s)| (name.to_owned(), json!(whole(per_s)))).collect::<Map<_, _>>(),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
    }))
}

fn time(run: &Run) -> Duration {
    Duration::from_secs_f64(run.seconds)
}

fn serve(data: &Path, folder: &Path) -> Running {
    let mut command = Command::new(program("muster-noc"));
    command.args(["serve", "--dir"]).arg(data).env_remove("RUST_LOG");
    // Few appliances stand for many.
    command.env("MUSTER_NOC_BEATS_PER_S_APPLIANCE", "100000").env("MUSTER_NOC_BEATS_PER_S_ORGANISATION", "1000000");
    Running::start(&mut command, &folder.join("noc.log"))
}

fn bare(
    data: &Path,
    folder: &Path,
    runtime: &tokio::runtime::Runtime,
    fleet: &Fleet,
    identities: &[Identity],
    run: &Run,
) -> anyhow::Result<Outcome> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bare-https", "--dir"]).arg(data).args(["--port", &port.to_string()]);
    let server = Running::start(&mut command, &folder.join("bare.log"));
    let target = Target::new(&format!("127.0.0.1:{port}"), fleet.ca_pem())?;
    crate::wait::until("the bare server to listen", Duration::from_secs(20), || {
        std::net::TcpStream::connect(("127.0.0.1", port)).map(drop).map_err(|_| server.said())
    });
    let mut connections = runtime.block_on(client::connect(&target, identities))?;
    runtime.block_on(client::beat(&mut connections, run.in_flight, time(run)))
}

/// Bytes of the database that hold something.
fn stored(data: &Path) -> anyhow::Result<u64> {
    let db = rusqlite::Connection::open(data.join("noc.sqlite"))?;
    let number = |pragma: &str| db.pragma_query_value(None, pragma, |row| row.get::<_, u64>(0));
    Ok((number("page_count")? - number("freelist_count")?) * number("page_size")?)
}

/// Looks whether all is there, and puts it where it stays.
fn settle(data: &Path, least: u64) -> anyhow::Result<()> {
    let noc = muster_noc::Noc::open(data).context("the NOC's data")?;
    let held = noc.beats_held()?;
    ensure!(held >= least, "{least} beats were acknowledged, and {held} are there");
    noc.fold_history()?;
    Ok(())
}
