//! `muster-noc policy`: what organisations say to their sites, what is said of single models, and what it comes to.

use super::json_arg::JsonArg;
use super::site::{DriftArg, ProofArg};
use super::{ConfirmArg, FolderArg, Output, answer, operator, site};
use anyhow::bail;
use clap::{Args, Subcommand};
use muster_noc::{DriftRule, Noc, OrganisationPolicy, PolicyValues, Profile};
use muster_protocol::api::Inheritable;
use muster_protocol::text::printable;
use std::str::FromStr;

#[derive(Subcommand)]
pub(super) enum PolicyCommand {
    /// What an organisation says, or what a site's policy comes to and which rule gives each value.
    Show {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Say something to all sites of an organisation, or of one model. What is not named stays.
    Set(Box<SetArgs>),
    /// Say nothing of a model any more.
    Remove {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        place: Place,
        /// The model.
        #[arg(long)]
        model: String,
    },
    /// What a site's appliances would get if they were all configured now. Nothing is held for them.
    Preview {
        #[command(flatten)]
        folder: FolderArg,
        /// The site, by name or number.
        site: String,
        /// Only appliances that would get something else than they have, or nothing.
        #[arg(long)]
        changes: bool,
        #[command(flatten)]
        output: Output,
    },
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

#[derive(Args)]
pub(super) struct SetArgs {
    #[command(flatten)]
    folder: FolderArg,
    #[command(flatten)]
    place: Place,
    /// Only of this model, as the manifest names it.
    #[arg(long)]
    model: Option<String>,
    #[command(flatten)]
    values: Values,
}

#[derive(Args)]
#[group(required = true, multiple = true)]
struct Values {
    /// First and last address for the model at the site; several ranges separated by commas.
    #[arg(long)]
    pool: Option<String>,
    /// The same for IPv6.
    #[arg(long)]
    pool6: Option<String>,
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
    /// Host-name template of {n}, {n:03}, {site}, {model}, {serial}, {mac}.
    #[arg(long)]
    host_name: Option<String>,
    /// Seconds between beats.
    #[arg(long)]
    beat_interval: Option<u32>,
    /// What makes settings final.
    #[arg(long, value_enum)]
    confirm: Option<ConfirmArg>,
    /// Seconds until an unconfirmed configuration is rolled back.
    #[arg(long)]
    window: Option<u16>,
    /// What appliances do about settings that are changed by hand.
    #[arg(long, value_enum)]
    drift: Option<DriftArg>,
    /// Application settings as JSON, or @FILE; empty for none. Appliances have them at their next configuration.
    #[arg(long, value_name = "JSON")]
    application: Option<JsonArg>,
    /// The least proof of ownership that appliances have to ask for before they are configured.
    #[arg(long, value_enum)]
    proof: Option<ProofArg>,
    /// Say nothing of these any more: pool, pool6, domain, dns1, dns2, ntp, search_domains, host_name, beat_interval_s, confirm,
    /// window_s, drift, application, proof.
    #[arg(long, value_delimiter = ',', value_name = "VALUE")]
    unset: Vec<String>,
}

impl Values {
    fn put(self, to: &mut PolicyValues) -> anyhow::Result<()> {
        for name in &self.unset {
            match name.as_str() {
                "pool" => to.pool = None,
                "pool6" => to.pool6 = None,
                "domain" => to.domain = None,
                "dns1" => to.dns1 = None,
                "dns2" => to.dns2 = None,
                "ntp" => to.ntp = None,
                "search_domains" => to.search_domains = None,
                "host_name" => to.host_name = None,
                "beat_interval_s" => to.beat_interval_s = None,
                "confirm" => to.confirm = None,
                "window_s" => to.window_s = None,
                "drift" => to.drift = None,
                "application" => to.application = None,
                "proof" => to.proof = None,
                _ => bail!(
                    "`{name}` is no value of a policy: pool, pool6, domain, dns1, dns2, ntp, search_domains, host_name, beat_interval_s, confirm, window_s, drift, application or proof"
                ),
            }
        }
        let drift = |drift| match drift {
            DriftArg::Image => DriftRule::Image,
            DriftArg::Report => DriftRule::Report,
            DriftArg::Restore => DriftRule::Restore,
        };
        let PolicyValues {
            pool,
            pool6,
            domain,
            dns1,
            dns2,
            ntp,
            search_domains,
            host_name,
            beat_interval_s,
            confirm,
            window_s,
            drift: rule,
            application,
            proof,
        } = to;
        over(pool, self.pool);
        over(pool6, self.pool6);
        over(domain, self.domain);
        over(dns1, self.dns1);
        over(dns2, self.dns2);
        over(ntp, self.ntp);
        over(search_domains, self.search_domains);
        over(host_name, self.host_name);
        over(beat_interval_s, self.beat_interval);
        over(confirm, self.confirm.map(Into::into));
        over(window_s, self.window);
        over(rule, self.drift.map(drift));
        over(application, self.application.map(|text| text.0));
        over(proof, self.proof.map(Into::into));
        Ok(())
    }
}

fn over<T>(to: &mut Option<T>, said: Option<T>) {
    if said.is_some() {
        *to = said;
    }
}

impl PolicyCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            PolicyCommand::Show { folder, place, output } => show(&Noc::open(&folder.dir)?, &place, output),
            PolicyCommand::Set(args) => args.run(),
            PolicyCommand::Remove { folder, place, model } => {
                let noc = Noc::open(&folder.dir)?;
                let mut found = false;
                change_profiles(&noc, &place, |profiles| {
                    let before = profiles.len();
                    profiles.retain(|profile| !is_of(profile, &model));
                    found = profiles.len() < before;
                    Ok(())
                })?;
                if !found {
                    bail!("nothing is said of the model `{model}` there: look with `muster-noc policy show`");
                }
                println!("Nothing is said of {} any more. Settings in force stay as they are.", printable(&model));
                Ok(())
            }
            PolicyCommand::Preview { folder, site, changes, output } => {
                let noc = Noc::open(&folder.dir)?;
                let id = site::find(&noc.sites()?, &site)?.id;
                let mut rows = noc.preview(id)?;
                rows.retain(|row| !changes || !row.changes.is_empty() || row.problem.is_some());
                answer(output, &rows, |rows| {
                    for row in rows {
                        println!("{}", line(row));
                    }
                })
            }
        }
    }
}

fn line(row: &muster_noc::PreviewRow) -> String {
    let uid = row.uid.short();
    match (&row.settings, &row.problem) {
        (Some(settings), _) => {
            let what = if row.current.is_none() {
                "new".to_owned()
            } else if row.changes.is_empty() {
                "keeps everything".to_owned()
            } else {
                format!("other {}", row.changes.join(", "))
            };
            format!("{uid}  {}  {} {}  {what}", printable(&row.model), settings.host_name, settings.address)
        }
        (None, Some(problem)) => format!("{uid}  {}  nothing: {}", printable(&row.model), problem.title),
        (None, None) => format!("{uid}  {}", printable(&row.model)),
    }
}

fn show(noc: &Noc, place: &Place, output: Output) -> anyhow::Result<()> {
    if let Some(name) = &place.site {
        let id = site::find(&noc.sites()?, name)?.id;
        return answer(output, &noc.effective_policy(id)?, |policies| {
            for policy in policies {
                println!(
                    "{}",
                    policy.model.as_deref().map_or("every model".to_owned(), |m| format!("model {}", printable(m)))
                );
                for (name, value) in &policy.values {
                    let shown =
                        if value.value.is_empty() { "-".to_owned() } else { printable(&value.value).to_string() };
                    println!("  {name:16} {shown:28} {}", printable(&value.source));
                }
            }
        });
    }
    let policy = noc.organisation_policy(operator::organisation(noc, &place.organisation)?)?;
    answer(output, &policy, |policy| {
        let OrganisationPolicy { values, profiles } = policy;
        println!("every model");
        print_values(values);
        for Profile { model, values } in profiles {
            println!("model {}", printable(model));
            print_values(values);
        }
    })
}

fn print_values(values: &PolicyValues) {
    let Ok(serde_json::Value::Object(values)) = serde_json::to_value(values) else { return };
    for (name, value) in values {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        println!("  {name:16} {}", printable(&value));
    }
}

impl SetArgs {
    fn run(self) -> anyhow::Result<()> {
        let noc = Noc::open(&self.folder.dir)?;
        match (self.model, &self.place.site) {
            (Some(model), _) => change_profiles(&noc, &self.place, |profiles| {
                let at = profiles.iter().position(|profile| is_of(profile, &model));
                let at = at.unwrap_or_else(|| {
                    profiles.push(Profile { model: model.clone(), ..Profile::default() });
                    profiles.len() - 1
                });
                self.values.put(&mut profiles[at].values)
            })?,
            (None, Some(_)) => {
                bail!("name a --model; what a site says of every model is changed with `muster-noc site set`")
            }
            (None, None) => {
                let organisation = operator::organisation(&noc, &self.place.organisation)?;
                let mut policy = noc.organisation_policy(organisation)?;
                self.values.put(&mut policy.values)?;
                noc.set_organisation_policy(organisation, policy)?;
            }
        }
        println!("The policy is changed. Settings in force stay as they are.");
        Ok(())
    }
}

fn change_profiles(
    noc: &Noc,
    place: &Place,
    change: impl FnOnce(&mut Vec<Profile>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if let Some(name) = &place.site {
        let id = site::find(&noc.sites()?, name)?.id;
        let mut profiles = noc.site_profiles(id)?;
        change(&mut profiles)?;
        noc.set_site_profiles(id, profiles)?;
    } else {
        let organisation = operator::organisation(noc, &place.organisation)?;
        let mut policy = noc.organisation_policy(organisation)?;
        change(&mut policy.profiles)?;
        noc.set_organisation_policy(organisation, policy)?;
    }
    Ok(())
}

fn is_of(profile: &Profile, model: &str) -> bool {
    profile.model.trim().to_lowercase() == model.trim().to_lowercase()
}

/// Values that a site has from its organisation.
#[derive(Clone, Debug, Default)]
pub(super) struct InheritArg(pub(super) Vec<Inheritable>);

impl FromStr for InheritArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let words = || Inheritable::ALL.map(Inheritable::word).join(", ");
        let one = |name: &str| {
            let found = Inheritable::ALL.into_iter().find(|value| value.word() == name);
            found.ok_or_else(|| {
                format!("`{name}` is nothing that a site can have from its organisation: {}, all or none", words())
            })
        };
        match text.trim() {
            "none" | "" => Ok(InheritArg::default()),
            "all" => Ok(InheritArg(Inheritable::ALL.to_vec())),
            names => names.split(',').map(|name| one(name.trim())).collect::<Result<_, _>>().map(InheritArg),
        }
    }
}
