//! `muster-noc report`: what there is to say of a month.

use super::{FolderArg, Output, answer, operator, site};
use clap::{Args, Subcommand};
use muster_noc::{AvailabilityReport, Month, Noc, Tally};
use muster_protocol::text::printable;

#[derive(Subcommand)]
pub(super) enum ReportCommand {
    /// For how long sites and their appliances were available, and for how long silent. Months are of UTC.
    Availability(AvailabilityArgs),
}

#[derive(Args)]
pub(super) struct AvailabilityArgs {
    #[command(flatten)]
    folder: FolderArg,
    /// The month, as 2026-11; this one, so far, if none is named.
    #[arg(long)]
    month: Option<Month>,
    /// Only of this organisation, by handle.
    #[arg(long, conflicts_with = "site")]
    organisation: Option<String>,
    /// Only of this site, by name or number.
    #[arg(long)]
    site: Option<String>,
    /// Answer in CSV: a line for each appliance.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    output: Output,
}

impl ReportCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let ReportCommand::Availability(AvailabilityArgs { folder, month, organisation, site, csv, output }) = self;
        let noc = Noc::open(&folder.dir)?;
        let organisation = organisation.map(|handle| operator::organisation(&noc, &handle)).transpose()?;
        let site = site.map(|name| Ok::<_, anyhow::Error>(site::find(&noc.sites()?, &name)?.id)).transpose()?;
        if csv {
            print!("{}", noc.availability_csv(month, organisation, site)?);
            return Ok(());
        }
        answer(output, &noc.availability(month, organisation, site)?, show)
    }
}

fn show(report: &AvailabilityReport) {
    let so_far = if report.is_whole { "" } else { ", so far" };
    println!("{}{so_far}; months are of UTC, times in seconds", report.month);
    for site in &report.sites {
        line(&site.site.name, site.site.percent, &site.site.tally);
        for one in &site.appliances {
            let name = if one.host_name.is_empty() { one.uid.short() } else { one.host_name.clone() };
            line(&format!("  {name}"), one.percent, &one.tally);
        }
    }
}

fn line(name: &str, percent: Option<f64>, tally: &Tally) {
    let percent = percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.3} %"));
    let Tally { available_s, silent_s, silences, maintenance_s, noc_away_s, .. } = tally;
    println!(
        "{}  {percent}  available {available_s}  silent {silent_s} in {silences}  maintenance {maintenance_s}  NOC away {noc_away_s}",
        printable(name)
    );
}
