//! `muster-noc site set`.

use super::json_arg::JsonArg;
use super::policy::InheritArg;
use super::{ConfirmArg, FolderArg, Output, SiteArgs, answer};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use muster_noc::{Noc, OrganisationId, SiteSpec, TableError};
use muster_protocol::api::{Inheritable, RequiredProof, Site};
use muster_protocol::parameters::{Confirm, DriftPolicy};
use muster_protocol::text::printable;
use std::path::Path;

/// What appliances of a site do about settings that are changed by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DriftArg {
    /// What the image of each appliance says.
    Image,
    /// Tell which.
    Report,
    /// Tell which, and set them again.
    Restore,
}

impl From<DriftArg> for Option<DriftPolicy> {
    fn from(drift: DriftArg) -> Self {
        match drift {
            DriftArg::Image => None,
            DriftArg::Report => Some(DriftPolicy::Report),
            DriftArg::Restore => Some(DriftPolicy::Restore),
        }
    }
}

/// The least proof of ownership that appliances of a site have to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ProofArg {
    /// None: also those that take whoever comes first.
    Any,
    /// The code of the label, or a voucher of the vendor.
    Claim,
    /// A voucher of the vendor.
    Voucher,
}

impl From<ProofArg> for RequiredProof {
    fn from(proof: ProofArg) -> Self {
        match proof {
            ProofArg::Any => RequiredProof::Any,
            ProofArg::Claim => RequiredProof::Claim,
            ProofArg::Voucher => RequiredProof::Voucher,
        }
    }
}

/// The word of a policy in a list.
pub(super) fn drift_word(policy: Option<DriftPolicy>) -> &'static str {
    match policy {
        None => "image",
        Some(DriftPolicy::Report) => "report",
        Some(DriftPolicy::Restore) => "restore",
    }
}

/// A site, as a line of a list.
pub(super) fn print(site: &Site) {
    println!(
        "{}  {}  {} {}  gateway {}  {}  drift {}",
        site.id,
        printable(&site.name),
        site.pool,
        site.netmask,
        site.gateway,
        printable(&site.host_name),
        drift_word(site.drift)
    );
}

impl From<SiteArgs> for SiteSpec {
    fn from(args: SiteArgs) -> Self {
        SiteSpec {
            name: args.name,
            pool: args.pool,
            netmask: args.netmask,
            gateway: args.gateway,
            domain: args.domain,
            dns1: args.dns1,
            dns2: args.dns2,
            ntp: args.ntp,
            search_domains: args.search_domains,
            pool6: args.pool6,
            gateway6: args.gateway6,
            host_name: args.host_name,
            beat_interval_s: args.beat_interval,
            confirm: args.confirm.into(),
            window_s: args.window,
            drift: args.drift.into(),
            application: args.application.map_or_else(String::new, |text| text.0),
            proof: args.proof.into(),
            exclude: args.exclude,
            inherit: args.inherit.unwrap_or_default().0,
        }
    }
}

impl From<ConfirmArg> for Confirm {
    fn from(confirm: ConfirmArg) -> Self {
        match confirm {
            ConfirmArg::KickStart => Confirm::KickStart,
            ConfirmArg::FirstBeat => Confirm::FirstBeat,
        }
    }
}

#[derive(Args)]
pub(super) struct SetArgs {
    #[command(flatten)]
    folder: FolderArg,
    /// The site, by name or number.
    site: String,
    #[command(flatten)]
    values: Values,
    #[command(flatten)]
    output: Output,
}

/// What is absent stays.
#[derive(Args)]
#[group(required = true, multiple = true)]
struct Values {
    /// Another name.
    #[arg(long)]
    name: Option<String>,
    /// First and last address; several ranges separated by commas.
    #[arg(long)]
    pool: Option<String>,
    /// Netmask.
    #[arg(long)]
    netmask: Option<String>,
    /// Default gateway; empty for none.
    #[arg(long)]
    gateway: Option<String>,
    /// Domain.
    #[arg(long)]
    domain: Option<String>,
    /// Primary name server; empty for none.
    #[arg(long)]
    dns1: Option<String>,
    /// Secondary name server; empty for none.
    #[arg(long)]
    dns2: Option<String>,
    /// Time servers, addresses or names separated by commas; empty for none. Appliances have them at their next configuration.
    #[arg(long)]
    ntp: Option<String>,
    /// Domains that are searched beside the domain, separated by commas; empty for none.
    #[arg(long)]
    search_domains: Option<String>,
    /// IPv6 addresses to give out; empty for none.
    #[arg(long)]
    pool6: Option<String>,
    /// IPv6 default gateway; empty for none.
    #[arg(long)]
    gateway6: Option<String>,
    /// Host-name template.
    #[arg(long)]
    host_name: Option<String>,
    /// Seconds between beats. Appliances hear of it with the answers to their beats.
    #[arg(long)]
    beat_interval: Option<u32>,
    /// What makes settings final.
    #[arg(long, value_enum)]
    confirm: Option<ConfirmArg>,
    /// Seconds until an unconfirmed configuration is rolled back.
    #[arg(long)]
    window: Option<u16>,
    /// What appliances do about settings that are changed by hand. They hear of it with the answers to their beats.
    #[arg(long, value_enum)]
    drift: Option<DriftArg>,
    /// Application settings as JSON, or @FILE; empty for none. Appliances have them at their next configuration.
    #[arg(long, value_name = "JSON")]
    application: Option<JsonArg>,
    /// The least proof of ownership that appliances have to ask for before they are configured.
    #[arg(long, value_enum)]
    proof: Option<ProofArg>,
    /// Addresses inside the pools that are not given out; empty for none.
    #[arg(long)]
    exclude: Option<String>,
    /// Which values it has from its organisation, separated by commas, or all or none. What is set here is its own.
    #[arg(long, value_name = "VALUES")]
    inherit: Option<InheritArg>,
}

impl Values {
    fn of(self, site: Site) -> SiteSpec {
        let site = SiteSpec::from(site);
        let said = [
            (Inheritable::Domain, self.domain.is_some()),
            (Inheritable::Dns1, self.dns1.is_some()),
            (Inheritable::Dns2, self.dns2.is_some()),
            (Inheritable::Ntp, self.ntp.is_some()),
            (Inheritable::SearchDomains, self.search_domains.is_some()),
            (Inheritable::HostName, self.host_name.is_some()),
            (Inheritable::BeatIntervalS, self.beat_interval.is_some()),
            (Inheritable::Confirm, self.confirm.is_some()),
            (Inheritable::WindowS, self.window.is_some()),
            (Inheritable::Drift, self.drift.is_some()),
            (Inheritable::Application, self.application.is_some()),
            (Inheritable::Proof, self.proof.is_some()),
        ];
        let mut inherit = self.inherit.map_or(site.inherit, |inherit| inherit.0);
        inherit.retain(|value| !said.contains(&(*value, true)));
        SiteSpec {
            name: self.name.unwrap_or(site.name),
            pool: self.pool.unwrap_or(site.pool),
            netmask: self.netmask.unwrap_or(site.netmask),
            gateway: self.gateway.unwrap_or(site.gateway),
            domain: self.domain.unwrap_or(site.domain),
            dns1: self.dns1.unwrap_or(site.dns1),
            dns2: self.dns2.unwrap_or(site.dns2),
            ntp: self.ntp.unwrap_or(site.ntp),
            search_domains: self.search_domains.unwrap_or(site.search_domains),
            pool6: self.pool6.unwrap_or(site.pool6),
            gateway6: self.gateway6.unwrap_or(site.gateway6),
            host_name: self.host_name.unwrap_or(site.host_name),
            beat_interval_s: self.beat_interval.unwrap_or(site.beat_interval_s),
            confirm: self.confirm.map_or(site.confirm, Confirm::from),
            window_s: self.window.unwrap_or(site.window_s),
            drift: self.drift.map_or(site.drift, Into::into),
            application: self.application.map_or(site.application, |text| text.0),
            proof: self.proof.map_or(site.proof, Into::into),
            exclude: self.exclude.unwrap_or(site.exclude),
            inherit,
        }
    }
}

impl SetArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let noc = Noc::open(&self.folder.dir)?;
        let site = find(&noc.sites()?, &self.site)?.clone();
        let id = site.id;
        answer(self.output, &noc.update_site(id, self.values.of(site))?, |site| {
            println!("Site {} is changed. Settings in force stay as they are.", printable(&site.name));
        })
    }
}

/// `muster-noc site import`
pub(super) fn import(noc: &Noc, organisation: OrganisationId, file: &Path, output: Output) -> anyhow::Result<()> {
    let report = taken(noc.import_sites(organisation, &table(file)?))?;
    answer(output, &report, |report| {
        println!("{} added, {} changed, {} as before", report.added, report.changed, report.unchanged);
    })
}

/// A file of a table.
pub(super) fn table(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{} could not be read as UTF-8 text", file.display()))
}

/// What an import came to; each line that is wrong is printed.
pub(super) fn taken<T>(outcome: Result<T, TableError>) -> anyhow::Result<T> {
    if let Err(error) = &outcome {
        for line in error.lines() {
            eprintln!("line {}: {}", line.line, line.message);
        }
    }
    Ok(outcome?)
}

/// A site by its name or number.
pub(super) fn find<'a>(sites: &'a [Site], name: &str) -> anyhow::Result<&'a Site> {
    let mut found = sites.iter().filter(|site| site.name == name || site.id.to_string() == name);
    match (found.next(), found.next()) {
        (Some(site), None) => Ok(site),
        (None, _) => bail!("there is no site `{name}`: list the sites with `muster-noc site list`"),
        _ => bail!("several sites are called `{name}`: name the organisation, or give the site's number"),
    }
}
