//! `soak-beats`: kills a NOC again and again while a fleet beats, and looks whether what it acknowledged is there; one JSON line.

use clap::Parser;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};
use system_tests::bench::beats;

/// SIGKILL for a NOC under load.
#[derive(Parser)]
struct Options {
    /// How often it is killed.
    #[arg(long, default_value_t = 300)]
    kills: u64,
    /// How many appliances beat.
    #[arg(long, default_value_t = 200)]
    appliances: usize,
    /// When it is killed; another one each time unless said.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos();
    let line = beats::soak(options.kills, options.appliances, options.seed.unwrap_or(u64::from(now)))?;
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
