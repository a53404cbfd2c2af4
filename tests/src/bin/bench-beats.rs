//! `bench-beats`: how many beats a second are on disk before they are answered, beside the bare parts; one JSON line.

use clap::{Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;
use system_tests::bench::beats::{self, Run, bare_https};

/// Beats over mutual TLS, each on disk before it is answered.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    part: Option<Part>,
    /// Appliances of the table.
    #[arg(long, default_value_t = 10_000)]
    appliances: usize,
    /// How many of them are connected and beat.
    #[arg(long, default_value_t = 10_000)]
    connected: usize,
    /// How many wait for an answer at the same time.
    #[arg(long, default_value_t = 512)]
    in_flight: usize,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Also measure what one would use instead.
    #[arg(long)]
    peers: bool,
}

/// Parts that run as processes of their own.
#[derive(Subcommand)]
enum Part {
    /// The same TLS and HTTP, which answers 204 to whatever it is sent.
    #[command(hide = true)]
    BareHttps {
        /// Data folder of the NOC whose CA signs its certificate.
        #[arg(long)]
        dir: PathBuf,
        /// Where it listens, on loopback.
        #[arg(long)]
        port: u16,
    },
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if let Some(Part::BareHttps { dir, port }) = options.part {
        return bare_https::serve(&dir, port);
    }
    let run = Run {
        appliances: options.appliances.max(options.connected),
        connected: options.connected,
        in_flight: options.in_flight,
        seconds: options.seconds,
        peers: options.peers,
    };
    let line = beats::run(&run)?;
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
