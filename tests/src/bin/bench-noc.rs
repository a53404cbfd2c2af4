//! `bench-noc`: plans and grants, pages, and many operators' programs at once, with a large inventory; one JSON line.

use clap::Parser;
use serde_json::{Map, json};
use std::io::Write;
use system_tests::bench::noc;

/// The NOC with a large inventory.
#[derive(Parser)]
struct Options {
    /// Appliances of the inventory.
    #[arg(long, default_value_t = 100_000)]
    inventory: usize,
    /// Operators' programs at the same time.
    #[arg(long, default_value_t = 200)]
    clients: usize,
    /// Seconds for which they ask.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let figures = noc::run(options.inventory, options.clients, options.seconds)?;
    let round = |value: f64| (value * 100.0).round() / 100.0;
    let grants: Map<_, _> =
        figures.grants_per_s.iter().map(|(batch, per_s)| (batch.to_string(), json!(per_s.round()))).collect();
    let line = json!({
        "bench": "noc",
        "inventory": options.inventory,
        "grants_per_s": grants,
        "first_page_ms": round(figures.first_page_ms),
        "filter_page_ms": round(figures.filter_page_ms),
        "clients": options.clients,
        "api_p50_ms": round(figures.api_p50_ms),
        "api_p99_ms": round(figures.api_p99_ms),
        "api_per_s": figures.api_per_s.round(),
        "preview_s": round(figures.preview_s),
        "draft_appliances": figures.draft_s.0,
        "draft_s": round(figures.draft_s.1),
        "rss_mib": figures.peak_mib,
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
    });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
