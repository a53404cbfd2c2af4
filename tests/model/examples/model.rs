//! One search within bounds of your choice: `make model MODEL="--jobs 2,1 --cuts 1"`. Prints what was found, and fails if
//! something is broken.

use clap::Parser;
use muster_model::{Bounds, Setup, search};
use std::process::ExitCode;
use std::time::Duration;

/// Search every state of one console, two appliances and an attacker. Two numbers are for the appliances A and B; one is
/// for A, and B then has none.
#[derive(Parser)]
struct Options {
    /// Jobs that the operator starts.
    #[arg(long, value_delimiter = ',', default_value = "1,1")]
    jobs: Vec<u8>,
    /// Grants that the NOC signs.
    #[arg(long, value_delimiter = ',', default_value = "2,1")]
    grants: Vec<u64>,
    /// Of these, grants that the NOC gives itself, with a beat.
    #[arg(long, value_delimiter = ',', default_value = "0,0")]
    given: Vec<u64>,
    /// Appliances want vouchers instead of claim codes.
    #[arg(long)]
    vouched: bool,
    /// Different pings that the console sends.
    #[arg(long, value_delimiter = ',', default_value = "2,1")]
    pings: Vec<u8>,
    /// Power cuts.
    #[arg(long, value_delimiter = ',', default_value = "1,0")]
    cuts: Vec<u8>,
    /// Factory resets.
    #[arg(long, value_delimiter = ',', default_value = "0,0")]
    resets: Vec<u8>,
    /// Failed applies and writes.
    #[arg(long, value_delimiter = ',', default_value = "0,0")]
    failures: Vec<u8>,
    /// How often time passes.
    #[arg(long, default_value_t = 0)]
    waits: u8,
    /// Attack each one-time key, not only the newest.
    #[arg(long)]
    all_keys: bool,
    /// Give up after so many minutes.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
}

#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
fn main() -> ExitCode {
    let options = Options::parse();
    let bounds = [0, 1].map(|who| Bounds {
        jobs: options.jobs.get(who).copied().unwrap_or(0),
        grants: options.grants.get(who).copied().unwrap_or(0),
        given: options.given.get(who).copied().unwrap_or(0),
        pings: options.pings.get(who).copied().unwrap_or(0),
        cuts: options.cuts.get(who).copied().unwrap_or(0),
        resets: options.resets.get(who).copied().unwrap_or(0),
        failures: options.failures.get(who).copied().unwrap_or(0),
    });
    let setup = Setup {
        bounds,
        waits: options.waits,
        all_keys: options.all_keys,
        vouched: options.vouched,
        ..Setup::default()
    };
    let report = search(setup, Duration::from_secs(options.minutes * 60));
    println!("{report}");
    if report.is_complete && report.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
