//! `bench-watch`: from a deadline to the alert in the database, with a large table; one JSON line.

use clap::Parser;
use std::io::Write;
use system_tests::bench::watch::{self, Run};

/// The status daemon with a large table.
#[derive(Parser)]
struct Options {
    /// Appliances of the table.
    #[arg(long, default_value_t = 1_000_000)]
    appliances: usize,
    /// How many of them beat once and fall silent, one after another.
    #[arg(long, default_value_t = 500)]
    probes: usize,
    /// How many fall silent together, at five sites.
    #[arg(long, default_value_t = 50_000)]
    storm: usize,
    /// Their interval, seconds.
    #[arg(long, default_value_t = 60)]
    storm_interval_s: u32,
    /// Seconds for which the idle processor time is measured.
    #[arg(long, default_value_t = 60)]
    idle_s: u64,
}

fn main() -> anyhow::Result<()> {
    let Options { appliances, probes, storm, storm_interval_s, idle_s } = Options::parse();
    let line = watch::run(&Run { appliances, probes, storm, storm_interval_s, idle_s })?;
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
