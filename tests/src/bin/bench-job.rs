//! `bench-job --appliances N`: from the first ping to the last accepted first beat, one JSON line.

use clap::Parser;
use serde_json::json;
use std::io::Write;
use system_tests::bench::bare::{Bare, COUNTS};
use system_tests::bench::job;

/// From the first ping to the last accepted first beat.
#[derive(Parser)]
struct Options {
    /// How many simulated appliances.
    #[arg(long, default_value_t = 100)]
    appliances: u32,
    /// How often each operation of the bare cryptography is measured.
    #[arg(long, default_value_t = 500)]
    operations: u32,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let bare = Bare::measure(options.operations)?;
    let job = job::run(options.appliances)?;

    let round = |value: f64| (value * 1_000.0).round() / 1_000.0;
    let each = |ms: f64| round(ms / f64::from(job.appliances));
    let line = json!({
        "bench": "job",
        "appliances": job.appliances,
        "seconds": round(job.seconds),
        "cpu_ms_each": {
            "console": each(job.console.cpu_ms),
            "noc": each(job.noc.cpu_ms),
            "fleet": each(job.fleet.cpu_ms),
        },
        "bare_crypto_ms_each": round(bare.ms_each(&COUNTS)),
        "ratio": round(job.cpu_ms_each() / bare.ms_each(&COUNTS)),
        "packets": job.packets,
        "peak_mib": { "console": job.console.peak_mib, "noc": job.noc.peak_mib },
        "bare_us": bare,
        "bare_counts": COUNTS,
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
    });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
