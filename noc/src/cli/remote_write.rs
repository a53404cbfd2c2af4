//! `muster-noc organisation remote-write`: an organisation's history in another store of measurements.

use super::operator::{organisation, password};
use super::{FolderArg, Output, answer};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use muster_noc::{Noc, RemoteWrite, RemoteWriteSpec, shown_target};
use muster_protocol::text::printable;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Subcommand)]
pub(super) enum RemoteWriteCommand {
    /// Where it is written, and how that does.
    Show {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        output: Output,
    },
    /// Write to a store that takes Prometheus remote write: what comes from now on.
    Set {
        #[command(flatten)]
        of: Of,
        /// Where it takes it, as https://metrics.example.net/api/v1/write.
        #[arg(long)]
        url: String,
        /// What to sign in as. The password is asked for, or read from standard input.
        #[arg(long, default_value = "")]
        user: String,
        /// Sign in with a token, which is asked for, or read from standard input.
        #[arg(long, conflicts_with = "user")]
        token: bool,
        /// A file with certificates in PEM that are trusted instead of those of this machine.
        #[arg(long)]
        ca: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
    /// Write one value of an appliance that there is not, and show what the store answers. Ends with 1 when it did not take it.
    Test {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        output: Output,
    },
    /// Write nothing more for now. What comes meanwhile is not written later.
    Disable {
        #[command(flatten)]
        of: Of,
    },
    /// Write again.
    Enable {
        #[command(flatten)]
        of: Of,
    },
    /// Write nothing more.
    Remove {
        #[command(flatten)]
        of: Of,
    },
}

#[derive(Args)]
pub(super) struct Of {
    #[command(flatten)]
    folder: FolderArg,
    /// The organisation, by handle.
    organisation: String,
}

impl RemoteWriteCommand {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self {
            RemoteWriteCommand::Show { of, output } => {
                let (noc, id) = of.open()?;
                answer(output, &noc.remote_write(id)?, print)?;
            }
            RemoteWriteCommand::Set { of, url, user, token, ca, output } => {
                let (noc, id) = of.open()?;
                let ca = match ca {
                    Some(path) => std::fs::read_to_string(&path)
                        .with_context(|| format!("{} could not be read", path.display()))?,
                    None => String::new(),
                };
                let needs = token || !user.is_empty();
                // An empty one takes away what was there.
                let secret = if needs { password()? } else { String::new().into() };
                let spec = RemoteWriteSpec { url, user, ca, enabled: true };
                answer(output, &noc.set_remote_write(id, spec, Some(secret))?, |set| {
                    print(set);
                    println!("Try it: `muster-noc organisation remote-write test {}`.", printable(&of.organisation));
                })?;
            }
            RemoteWriteCommand::Test { of, output } => {
                let (noc, id) = of.open()?;
                let runtime = tokio::runtime::Runtime::new().context("no threads for the test")?;
                let tested = runtime.block_on(noc.test_remote_write(id))?;
                answer(output, &tested, |tested| {
                    let what = if tested.is_delivered { "Taken" } else { "Not taken" };
                    println!("{what} after {} ms: {}", tested.took_ms, printable(&tested.answer));
                })?;
                if !tested.is_delivered {
                    return Ok(ExitCode::FAILURE);
                }
            }
            RemoteWriteCommand::Disable { of } => of.set_enabled(false)?,
            RemoteWriteCommand::Enable { of } => of.set_enabled(true)?,
            RemoteWriteCommand::Remove { of } => {
                let (noc, id) = of.open()?;
                noc.remove_remote_write(id)?;
                println!("The history of {} is written nowhere else.", printable(&of.organisation));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Of {
    fn open(&self) -> Result<(Noc, muster_noc::OrganisationId)> {
        let noc = Noc::open(&self.folder.dir)?;
        let id = organisation(&noc, &self.organisation)?;
        Ok((noc, id))
    }

    fn set_enabled(&self, enabled: bool) -> Result<()> {
        let (noc, id) = self.open()?;
        let Some(target) = noc.remote_write(id)?.target else {
            let handle = printable(&self.organisation);
            anyhow::bail!(
                "the history of {handle} is written nowhere else: set where with `muster-noc organisation remote-write set`"
            );
        };
        print(&noc.set_remote_write(id, RemoteWriteSpec { enabled, ..target }, None)?);
        Ok(())
    }
}

fn print(write: &RemoteWrite) {
    let Some(target) = &write.target else {
        println!("The history is written nowhere else.");
        return;
    };
    let state = &write.state;
    let how = match (target.enabled, state.failing_since, state.delivered) {
        (false, ..) => "disabled".to_owned(),
        (true, Some(_), _) => format!("failing: {}", printable(&state.outcome)),
        (true, None, Some(_)) => format!("works: {}", printable(&state.outcome)),
        (true, None, None) => "nothing written yet".to_owned(),
    };
    println!("{}  {how}", printable(&shown_target(target)));
    println!("Beats: {} written, {} refused, {} given up.", state.sent, state.refused, state.lost);
}
