//! `bench-agent --agent PROGRAM`: what the agent costs beside what one would use instead, one JSON line. Root.

use anyhow::{Context, ensure};
use clap::Parser;
use serde_json::{Map, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use system_tests::bench::agent::Agents;
use system_tests::bench::monitors;

/// What the agent costs beside what one would use instead.
#[derive(Parser)]
struct Options {
    /// The agent to measure.
    #[arg(long)]
    agent: PathBuf,
    /// How long nothing happens.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// How often the time to start is measured.
    #[arg(long, default_value_t = 21)]
    starts: usize,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let missing = monitors::missing();
    ensure!(missing.is_empty(), "not installed: {} (make bench-agent installs it)", missing.join(", "));
    let program = options.agent.canonicalize().with_context(|| options.agent.display().to_string())?;

    let mut agents = Agents::start(&program)?;
    let start_ms = agents.start_ms(options.starts.max(1));
    let folder = tempfile::tempdir()?;
    let peers = monitors::start(folder.path())?;
    // What each did to start is over; from here on nobody asks anything.
    let idle = agents.idle()?;
    let beating = agents.beating()?;
    let peers_before = peers.iter().map(|peer| peer.watched.restart()).collect::<anyhow::Result<Vec<_>>>()?;
    let beats = agents.beats()?;
    let seconds = options.minutes * 60.0;
    std::thread::sleep(Duration::from_secs_f64(seconds));

    let percent = |cpu_ms: f64| (cpu_ms / (seconds * 10.0) * 10_000.0).round() / 10_000.0;
    let mib = |value: f64| (value * 100.0).round() / 100.0;
    let mut others = Map::new();
    for (peer, watched) in peers.iter().zip(peers_before) {
        let sizes = watched.sizes(&peer.plugins)?;
        let values = json!({
            "binary_mib": mib(sizes.binary_mib),
            "mapped_mib": mib(sizes.mapped_mib),
            "rss_mib": mib(watched.rss_mib()?),
            "pss_mib": mib(watched.pss_mib()?),
            "cpu_percent": percent(watched.cpu_ms()?),
        });
        others.insert(peer.name.to_owned(), values);
    }
    let sizes = idle.sizes(Path::new("/nonexistent"))?;
    let line = json!({
        "bench": "agent",
        "binary_mib": mib(sizes.binary_mib),
        "mapped_mib": mib(sizes.mapped_mib),
        "rss_idle_mib": mib(idle.rss_mib()?),
        "rss_beating_mib": mib(beating.rss_mib()?),
        "pss_idle_mib": mib(idle.pss_mib()?),
        "pss_beating_mib": mib(beating.pss_mib()?),
        "cpu_percent": percent(idle.cpu_ms()?),
        "cpu_beating_percent": percent(beating.cpu_ms()?),
        "start_ms": mib(start_ms),
        "minutes": options.minutes,
        "beats": agents.beats()? - beats,
        "peers": others,
    });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
