//! `muster-noc monitoring`: what organisations and sites say of silence and health.

use super::{FolderArg, Output, answer, operator, site};
use anyhow::Context;
use clap::{Args, Subcommand};
use muster_noc::{Monitoring, Noc, OrganisationId, describe_rule};
use muster_protocol::health_rules::HealthRule;
use muster_protocol::id::{SiteId, Uid};
use muster_protocol::text::printable;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum MonitoringCommand {
    /// What an organisation says, or what it comes to in a site.
    Show {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Say something to all sites of an organisation, or at one. What is not named stays.
    Set(SetArgs),
}

/// Where something is said.
#[derive(Args)]
pub(super) struct Place {
    /// To all sites of an organisation, by handle.
    #[arg(long, conflicts_with = "site", default_value = "default")]
    organisation: String,
    /// At one site, by name or number.
    #[arg(long)]
    site: Option<String>,
}

enum At {
    Organisation(OrganisationId),
    Site(SiteId),
}

impl Place {
    fn find(&self, noc: &Noc) -> anyhow::Result<At> {
        match &self.site {
            Some(name) => Ok(At::Site(site::find(&noc.sites()?, name)?.id)),
            None => Ok(At::Organisation(operator::organisation(noc, &self.organisation)?)),
        }
    }
}

#[derive(Args)]
pub(super) struct SetArgs {
    #[command(flatten)]
    folder: FolderArg,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    values: Values,
}

#[derive(Args)]
#[group(required = true, multiple = true)]
struct Values {
    /// Seconds that follow an interval before an appliance is late.
    #[arg(long)]
    grace: Option<u32>,
    /// Intervals without a beat, and the grace, that make an appliance silent: 1 to 20.
    #[arg(long)]
    misses: Option<u32>,
    /// Beats in a row, in time, that make a silent one well again: 1 to 10.
    #[arg(long)]
    recover: Option<u32>,
    /// Seconds from its kick-start until an appliance that never reported is an alert.
    #[arg(long)]
    never_reported: Option<u32>,
    /// The appliance that is the way to all others of the site, by UID.
    #[arg(long)]
    gateway: Option<Uid>,
    /// Health rules, a JSON file: [{"name": "disk full", "value": "disk", "is": "above", "than": 90, "for_s": 600}]
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Say nothing of these any more: grace, misses, recover, never_reported, gateway, rules.
    #[arg(long, value_delimiter = ',', value_name = "VALUE")]
    unset: Vec<String>,
}

impl Values {
    fn put(self, to: &mut Monitoring) -> anyhow::Result<()> {
        for name in &self.unset {
            match name.as_str() {
                "grace" => to.grace_s = None,
                "misses" => to.miss_intervals = None,
                "recover" => to.recover_beats = None,
                "never_reported" => to.never_reported_s = None,
                "gateway" => to.gateway = None,
                "rules" => to.rules = None,
                _ => anyhow::bail!(
                    "`{}` is nothing that is said: grace, misses, recover, never_reported, gateway or rules",
                    printable(name)
                ),
            }
        }
        to.grace_s = self.grace.or(to.grace_s);
        to.miss_intervals = self.misses.or(to.miss_intervals);
        to.recover_beats = self.recover.or(to.recover_beats);
        to.never_reported_s = self.never_reported.or(to.never_reported_s);
        to.gateway = self.gateway.or(to.gateway);
        if let Some(path) = self.rules {
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let rules: Vec<HealthRule> = serde_json::from_str(&text)
                .with_context(|| format!("{} is no list of health rules as JSON", path.display()))?;
            to.rules = Some(rules);
        }
        Ok(())
    }
}

impl MonitoringCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            MonitoringCommand::Show { folder, place, output } => {
                let noc = Noc::open(&folder.dir)?;
                let shown = match place.find(&noc)? {
                    At::Organisation(id) => noc.organisation_monitoring(id)?,
                    At::Site(id) => noc.site_monitoring(id)?.1,
                };
                answer(output, &shown, show)
            }
            MonitoringCommand::Set(SetArgs { folder, place, values }) => {
                let noc = Noc::open(&folder.dir)?;
                match place.find(&noc)? {
                    At::Organisation(id) => {
                        let mut said = noc.organisation_monitoring(id)?;
                        values.put(&mut said)?;
                        noc.set_organisation_monitoring(id, said)?;
                    }
                    At::Site(id) => {
                        let (mut said, _) = noc.site_monitoring(id)?;
                        values.put(&mut said)?;
                        noc.set_site_monitoring(id, said)?;
                    }
                }
                println!("It is kept; the status daemon goes by it within a second.");
                Ok(())
            }
        }
    }
}

fn show(shown: &Monitoring) {
    let number = |what: &str, value: Option<u32>| match value {
        Some(value) => println!("{what}  {value}"),
        None => println!("{what}  -"),
    };
    number("grace, seconds          ", shown.grace_s);
    number("silent after intervals  ", shown.miss_intervals);
    number("well again after beats  ", shown.recover_beats);
    number("never reported, seconds ", shown.never_reported_s);
    if let Some(gateway) = shown.gateway {
        println!("behind the appliance      {gateway}");
    }
    match &shown.rules {
        None => println!("health rules              -"),
        Some(rules) if rules.is_empty() => println!("health rules              none"),
        Some(rules) => {
            println!("health rules");
            for rule in rules {
                println!("  {}", printable(&describe_rule(rule)));
            }
        }
    }
}
