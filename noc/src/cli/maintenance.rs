//! `muster-noc maintenance`: when nobody is told of a site or an appliance.

use super::{FolderArg, Output, answer, site};
use anyhow::bail;
use clap::Subcommand;
use muster_noc::{Every, MaintenanceSpec, MaintenanceView, Noc};
use muster_protocol::id::Uid;
use muster_protocol::text::printable;

#[derive(Subcommand)]
pub(super) enum MaintenanceCommand {
    /// Say that a site or an appliance is worked on: nobody is told of its silence meanwhile.
    Add {
        #[command(flatten)]
        folder: FolderArg,
        /// The site, by name or number.
        site: String,
        /// Only this appliance of it.
        #[arg(long)]
        appliance: Option<Uid>,
        /// When it begins, Unix seconds; else now.
        #[arg(long)]
        starts: Option<u64>,
        /// For how many minutes.
        #[arg(long, value_name = "MINUTES")]
        minutes: u32,
        /// How often it comes: once, day or week (in whole days of UTC).
        #[arg(long, default_value = "once")]
        every: Every,
        /// Why.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// List what is under way or to come.
    List {
        #[command(flatten)]
        folder: FolderArg,
        /// Also what is over.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        output: Output,
    },
    /// End one that is under way or to come.
    End {
        #[command(flatten)]
        folder: FolderArg,
        /// Its number.
        number: u32,
    },
}

impl MaintenanceCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            MaintenanceCommand::Add { folder, site, appliance, starts, minutes, every, note } => {
                let noc = Noc::open(&folder.dir)?;
                let site = site::find(&noc.sites()?, &site)?.id;
                let for_s = u64::from(minutes) * 60;
                let made = noc.maintain(MaintenanceSpec { site, appliance, starts, for_s, every, note })?;
                println!("Maintenance {} is kept.", made.id);
                Ok(())
            }
            MaintenanceCommand::List { folder, all, output } => {
                let noc = Noc::open(&folder.dir)?;
                answer(output, &noc.maintenance(all)?, |found| found.iter().for_each(show))
            }
            MaintenanceCommand::End { folder, number } => {
                let noc = Noc::open(&folder.dir)?;
                if !noc.end_maintenance(number)? {
                    bail!(
                        "there is no maintenance {number} that could be ended: list them with `muster-noc maintenance list`"
                    );
                }
                println!("Maintenance {number} is over.");
                Ok(())
            }
        }
    }
}

fn show(one: &MaintenanceView) {
    let what = one.appliance.map_or_else(|| "all of it".to_owned(), |uid| uid.short());
    let every = match one.every {
        Every::Once => "once",
        Every::Day => "every day",
        Every::Week => "every week",
    };
    let now = match (one.ended, one.is_active) {
        (Some(_), _) => "ended",
        (None, true) => "now",
        (None, false) => "",
    };
    let MaintenanceView { id, site, starts, ends, note, .. } = one;
    println!("{id}  site {site}  {what}  {starts} to {ends}  {every}  {now}  {}", printable(note));
}
