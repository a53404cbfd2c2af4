//! `muster-noc doctor`: is this NOC well?

use super::{FolderArg, Output, answer};
use anyhow::Result;
use clap::Args;
use muster_noc::{Finding, Level, examine};
use muster_protocol::text::printable;
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    folder: FolderArg,
    #[command(flatten)]
    output: Output,
}

impl DoctorArgs {
    /// 0: all is well, 1: warnings, 2: errors.
    pub(super) fn run(self) -> Result<ExitCode> {
        let findings = examine(&self.folder.dir);
        answer(self.output, &findings, |findings| findings.iter().for_each(print))?;
        let worst = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
        Ok(ExitCode::from(worst as u8))
    }
}

fn print(finding: &Finding) {
    let Finding { check, level, what, remedy } = finding;
    let level = match level {
        Level::Ok => "ok",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    println!("{level:<7}  {check:<13}  {}", printable(what));
    if !remedy.is_empty() {
        println!("{:24}{}", "", printable(remedy));
    }
}
