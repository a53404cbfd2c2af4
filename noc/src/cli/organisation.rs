//! `muster-noc organisation`: customers, and what holds for all of their sites.

use super::operator::organisation;
use super::remote_write::RemoteWriteCommand;
use super::{FolderArg, Output, answer};
use anyhow::Result;
use clap::Subcommand;
use muster_noc::{HistoryKeepingChange, Noc, Organisation};
use muster_protocol::text::printable;
use std::process::ExitCode;

#[derive(Subcommand)]
pub(super) enum OrganisationCommand {
    /// Add an organisation.
    Add {
        #[command(flatten)]
        folder: FolderArg,
        /// Ends the sign-in names of its operators, as `anna@handle`. It never changes.
        #[arg(long)]
        handle: String,
        /// Its name.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        output: Output,
    },
    /// List the organisations.
    List {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        output: Output,
    },
    /// How long an organisation keeps the history of its appliances, or keep it otherwise. What is not named stays.
    History {
        #[command(flatten)]
        folder: FolderArg,
        /// The organisation, by handle.
        organisation: String,
        /// Every beat: 48 to 744 hours.
        #[arg(long)]
        beats_hours: Option<u32>,
        /// Roll-ups of five minutes: 2 to 732 days.
        #[arg(long)]
        five_minutes_days: Option<u32>,
        /// Roll-ups of an hour: 2 to 3,660 days.
        #[arg(long)]
        hours_days: Option<u32>,
        #[command(flatten)]
        output: Output,
    },
    /// Another store of measurements that its history is written to.
    #[command(subcommand)]
    RemoteWrite(RemoteWriteCommand),
}

impl OrganisationCommand {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self {
            OrganisationCommand::RemoteWrite(command) => return command.run(),
            OrganisationCommand::Add { folder, handle, name, output } => {
                let added = Noc::open(&folder.dir)?.add_organisation(&handle, &name)?;
                answer(output, &added, |added| {
                    println!("Organisation {} is number {}.", printable(&added.handle), added.id);
                })?;
            }
            OrganisationCommand::List { folder, output } => {
                answer(output, &Noc::open(&folder.dir)?.organisations()?, |all| {
                    for Organisation { id, handle, name, .. } in all {
                        println!("{id}  {}  {}", printable(handle), printable(name));
                    }
                })?;
            }
            OrganisationCommand::History {
                folder,
                organisation: handle,
                beats_hours,
                five_minutes_days,
                hours_days,
                output,
            } => {
                let noc = Noc::open(&folder.dir)?;
                let wanted = HistoryKeepingChange { beats_hours, five_minutes_days, hours_days };
                let kept = noc.keep_history(organisation(&noc, &handle)?, wanted)?;
                answer(output, &kept, |kept| {
                    println!("Every beat:                {} hours", kept.beats_hours);
                    println!("Roll-ups of five minutes:  {} days", kept.five_minutes_days);
                    println!("Roll-ups of an hour:       {} days", kept.hours_days);
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
