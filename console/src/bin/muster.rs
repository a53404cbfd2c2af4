//! `muster`: the console without a window.

use muster_console::cli::{Streams, run};
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let mut streams = Streams { out: &mut std::io::stdout(), err: &mut std::io::stderr() };
    let exit = run(std::env::args_os(), &mut streams).await;
    ExitCode::from(exit as u8)
}
