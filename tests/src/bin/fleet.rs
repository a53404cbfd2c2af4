//! `fleet`: the practice fleet as a program, steered by lines of JSON on standard input.
//!
//! It says `{"ready":true,"port":P,"manifest":"<csv>"}` and ends when its standard input does.

use anyhow::Context;
use clap::Parser;
use serde_json::json;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use system_tests::fleet::{Command, Fleet, Knobs, Options, bind, bind_network};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;
use tracing_subscriber::EnvFilter;

/// A fleet of simulated appliances on loopback
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// How many appliances
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// UDP port on 127.0.0.1; 0 for a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Serve a whole network on Muster's port: the first appliance has this address, the next one the next. All of them
    /// must be addresses of this computer
    #[arg(long, value_name = "ADDRESS", conflicts_with = "port")]
    first_address: Option<Ipv4Addr>,
    /// The same seed makes the same appliances
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep what the appliances keep in this folder, and go on with it
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// How long an installation takes, milliseconds
    #[arg(long, default_value_t = 0)]
    install_ms: u64,
    /// How many of 100 installations fail
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    fail_percent: u8,
    /// How many of 100 datagrams are lost, each way
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    loss_percent: u8,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let cli = Cli::parse();
    allow_many_connections();
    let options = Options {
        count: cli.count as usize,
        seed: cli.seed,
        first_address: cli.first_address,
        knobs: Knobs {
            install_ms: Some(cli.install_ms),
            fail_percent: Some(cli.fail_percent),
            loss_percent: Some(cli.loss_percent),
            silent: None,
        },
    };
    let socket = match cli.first_address {
        Some(_) => bind_network().context("Muster's UDP port is not free")?,
        None => bind(cli.port).with_context(|| format!("UDP port {} on 127.0.0.1 is not free", cli.port))?,
    };
    let fleet = match &cli.state {
        Some(folder) => Fleet::resume(&options, socket, folder)?,
        None => Fleet::start(&options, socket)?,
    };
    say(&json!({ "ready": true, "port": fleet.address()?.port(), "manifest": fleet.manifest() }));

    let (command, commands) = mpsc::channel(16);
    let (told, mut stats) = mpsc::unbounded_channel();
    tokio::spawn(read_commands(command));
    tokio::spawn(async move {
        while let Some(stats) = stats.recv().await {
            let mut line = json!({ "event": "stats" });
            if let (Some(line), Ok(serde_json::Value::Object(stats))) =
                (line.as_object_mut(), serde_json::to_value(stats))
            {
                line.extend(stats);
            }
            say(&line);
        }
    });
    Ok(fleet.run(commands, told).await?)
}

async fn read_commands(command: mpsc::Sender<Command>) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str(&line) {
            Ok(parsed) => {
                if command.send(parsed).await.is_err() {
                    return;
                }
            }
            Err(error) => say(&json!({ "event": "error", "message": error.to_string() })),
        }
    }
}

/// One line. Who no longer listens has closed our standard input, too, which ends the program.
fn say(line: &serde_json::Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Each appliance keeps its own connection to the NOC.
fn allow_many_connections() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
