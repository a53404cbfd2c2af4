//! The command line of the NOC: it works while `serve` runs, on the same data folder.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line answers on its terminal")]

mod cli;

use clap::Parser;
use muster_noc::{AsProblem, ImportError};
use muster_protocol::api::Problem;
use muster_protocol::text::printable;
use std::process::ExitCode;

fn main() -> ExitCode {
    let command = cli::Muster::parse();
    // Fails only when somebody else installed one before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match command.run() {
        Ok(code) => code,
        Err(error) => {
            tell(&error);
            ExitCode::FAILURE
        }
    }
}

/// What happened, why, and what to do.
fn tell(error: &anyhow::Error) {
    eprintln!("muster-noc: {}", printable(&error.to_string()));
    for cause in error.chain().skip(1) {
        eprintln!("  because: {}", printable(&cause.to_string()));
    }
    if let Some(ImportError::Lines { count, lines }) = error.downcast_ref() {
        for line in lines {
            eprintln!("  line {}: {} [{}]", line.line, printable(&line.message), line.code);
        }
        if lines.len() < *count {
            eprintln!("  and {} more", count - lines.len());
        }
    }
    if let Some(problem) = problem(error) {
        eprintln!("  what to do: {} [{}]", printable(&problem.detail), problem.code);
    }
}

fn problem(error: &anyhow::Error) -> Option<Problem> {
    fn of<E: AsProblem + std::error::Error + Send + Sync + 'static>(error: &anyhow::Error) -> Option<Problem> {
        error.downcast_ref::<E>().map(AsProblem::problem)
    }
    None.or_else(|| of::<muster_noc::InitError>(error))
        .or_else(|| of::<muster_noc::OpenError>(error))
        .or_else(|| of::<muster_noc::BackupError>(error))
        .or_else(|| of::<muster_noc::RestoreError>(error))
        .or_else(|| of::<muster_noc::ServeError>(error))
        .or_else(|| of::<muster_noc::SiteError>(error))
        .or_else(|| of::<muster_noc::InviteError>(error))
        .or_else(|| of::<muster_noc::WorkError>(error))
        .or_else(|| of::<muster_noc::QueueError>(error))
        .or_else(|| of::<muster_noc::HandoverError>(error))
        .or_else(|| of::<muster_noc::ComponentError>(error))
        .or_else(|| of::<muster_noc::RolloutError>(error))
        .or_else(|| of::<muster_noc::StoreError>(error))
        .or_else(|| of::<muster_noc::PeopleError>(error))
        .or_else(|| of::<muster_noc::AnchorError>(error))
        .or_else(|| of::<muster_noc::VoucherToolError>(error))
        .or_else(|| of::<ImportError>(error))
}
