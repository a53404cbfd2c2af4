//! `muster-noc channel`: where organisations are told of their alerts.

use super::{FolderArg, OrganisationArg, Output, answer, operator, site};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use muster_noc::{AddedChannel, Channel, ChannelId, ChannelSpec, MailSecurity, Noc, Quiet, Target};
use muster_protocol::api::AlertKind;
use muster_protocol::text::printable;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

#[expect(clippy::large_enum_variant, reason = "one command is read, once")]
#[derive(Subcommand)]
pub(super) enum ChannelCommand {
    /// Add a channel. The secret of a webhook is shown this once.
    #[command(subcommand)]
    Add(AddCommand),
    /// List the channels, and how they do.
    List {
        #[command(flatten)]
        folder: FolderArg,
        /// Only of this organisation, by handle.
        #[arg(long)]
        organisation: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Send a test, and show what the receiver answers. Ends with 1 when it did not take it.
    Test {
        #[command(flatten)]
        folder: FolderArg,
        /// Its number.
        channel: u32,
        #[command(flatten)]
        output: Output,
    },
    /// Send nothing more for now. What happens meanwhile is not told later.
    Disable {
        #[command(flatten)]
        folder: FolderArg,
        /// Its number.
        channel: u32,
    },
    /// Send again.
    Enable {
        #[command(flatten)]
        folder: FolderArg,
        /// Its number.
        channel: u32,
    },
    /// Give a webhook another secret, which is shown this once.
    Secret {
        #[command(flatten)]
        folder: FolderArg,
        /// Its number.
        channel: u32,
        #[command(flatten)]
        output: Output,
    },
    /// Take a channel away.
    Remove {
        #[command(flatten)]
        folder: FolderArg,
        /// Its number.
        channel: u32,
    },
}

#[derive(Subcommand)]
pub(super) enum AddCommand {
    /// Mail by an SMTP server.
    Email {
        #[command(flatten)]
        common: Common,
        /// The mail server, without its port.
        #[arg(long)]
        server: String,
        /// Its port. Default: 587 with STARTTLS, 465 with TLS, 25 with none.
        #[arg(long)]
        port: Option<u16>,
        /// How the connection is protected.
        #[arg(long, value_enum, default_value_t = SecurityArg::Starttls)]
        security: SecurityArg,
        /// What to sign in as. The password is asked for, or read from standard input.
        #[arg(long, default_value = "")]
        user: String,
        /// The sender's address.
        #[arg(long)]
        from: String,
        /// A receiver's address. May be given several times.
        #[arg(long, required = true)]
        to: Vec<String>,
    },
    /// A signed webhook.
    Webhook {
        #[command(flatten)]
        common: Common,
        /// Where it is sent to.
        #[arg(long)]
        url: String,
    },
    /// A Prometheus Alertmanager.
    Alertmanager {
        #[command(flatten)]
        common: Common,
        /// Where it is, without /api/v2/alerts.
        #[arg(long)]
        url: String,
        /// What to sign in as. The password is asked for, or read from standard input.
        #[arg(long, default_value = "")]
        user: String,
    },
}

#[derive(Args)]
pub(super) struct Common {
    #[command(flatten)]
    folder: FolderArg,
    #[command(flatten)]
    organisation: OrganisationArg,
    /// What it is called.
    #[arg(long)]
    name: String,
    /// Only alerts of this site, by name or number. May be given several times.
    #[arg(long)]
    site: Vec<String>,
    /// Only alerts of this kind, as silent, never_reported or site. May be given several times.
    #[arg(long, value_parser = kind)]
    kind: Vec<AlertKind>,
    /// Only alerts that nobody acknowledged in time.
    #[arg(long)]
    only_escalations: bool,
    /// Hours in which only escalations are told, as 22:00-06:00 in UTC, or 22:00-06:00+01:00.
    #[arg(long, value_parser = quiet)]
    quiet: Option<Quiet>,
    /// A file with certificates in PEM that are trusted instead of those of this machine.
    #[arg(long)]
    ca: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum SecurityArg {
    /// STARTTLS, which the server has to offer.
    Starttls,
    /// TLS from the beginning.
    Tls,
    /// None: only into networks that noc.toml allows.
    None,
}

impl ChannelCommand {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self {
            ChannelCommand::Add(add) => add.run()?,
            ChannelCommand::List { folder, organisation, output } => {
                let noc = Noc::open(&folder.dir)?;
                let organisation = organisation.map(|handle| operator::organisation(&noc, &handle)).transpose()?;
                answer(output, &noc.channels(organisation)?, |channels| channels.iter().for_each(print))?;
            }
            ChannelCommand::Test { folder, channel, output } => {
                let noc = Noc::open(&folder.dir)?;
                let runtime = tokio::runtime::Runtime::new().context("no threads for the test")?;
                let tested = runtime.block_on(noc.test_channel(ChannelId(channel)))?;
                answer(output, &tested, |tested| {
                    let what = if tested.is_delivered { "Delivered" } else { "Not delivered" };
                    println!("{what} after {} ms: {}", tested.took_ms, printable(&tested.answer));
                })?;
                if !tested.is_delivered {
                    return Ok(ExitCode::FAILURE);
                }
            }
            ChannelCommand::Disable { folder, channel } => set_enabled(&folder, channel, false)?,
            ChannelCommand::Enable { folder, channel } => set_enabled(&folder, channel, true)?,
            ChannelCommand::Secret { folder, channel, output } => {
                #[derive(Serialize)]
                struct Renewed {
                    secret: String,
                }
                let secret = Noc::open(&folder.dir)?.renew_channel_secret(ChannelId(channel))?;
                answer(output, &Renewed { secret }, |renewed| println!("{}", renewed.secret))?;
            }
            ChannelCommand::Remove { folder, channel } => {
                Noc::open(&folder.dir)?.remove_channel(ChannelId(channel))?;
                println!("Channel {channel} is removed.");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl AddCommand {
    fn run(self) -> Result<()> {
        let (common, target) = match self {
            AddCommand::Email { common, server, port, security, user, from, to } => {
                let usual = match security {
                    SecurityArg::Starttls => 587,
                    SecurityArg::Tls => 465,
                    SecurityArg::None => 25,
                };
                let (port, security, ca) = (port.unwrap_or(usual), security.into(), common.ca()?);
                (common, Target::Email { server, port, security, user, from, to, ca })
            }
            AddCommand::Webhook { common, url } => {
                let ca = common.ca()?;
                (common, Target::Webhook { url, ca })
            }
            AddCommand::Alertmanager { common, url, user } => {
                let ca = common.ca()?;
                (common, Target::Alertmanager { url, user, ca })
            }
        };
        let noc = Noc::open(&common.folder.dir)?;
        let organisation = operator::organisation(&noc, &common.organisation.organisation)?;
        let known = noc.sites_of(Some(organisation))?;
        let sites = common.site.iter().map(|name| Ok(site::find(&known, name)?.id)).collect::<Result<Vec<_>>>()?;
        let has_user = match &target {
            Target::Email { user, .. } | Target::Alertmanager { user, .. } => !user.is_empty(),
            Target::Webhook { .. } => false,
        };
        let spec = ChannelSpec {
            name: common.name,
            target,
            sites,
            kinds: common.kind,
            only_escalations: common.only_escalations,
            quiet: common.quiet,
            enabled: true,
        };
        let password = if has_user { Some(operator::password()?) } else { None };
        let added = noc.add_channel(organisation, spec, password)?;
        answer(common.output, &added, |AddedChannel { channel, secret }| {
            println!("Channel {} is number {}.", printable(&channel.channel.name), channel.id);
            if let Some(secret) = secret {
                println!("Its signatures are made with this secret, which is shown this once: {secret}");
            }
            println!("Try it: `muster-noc channel test {}`.", channel.id);
        })
    }
}

impl Common {
    fn ca(&self) -> Result<String> {
        let Some(path) = &self.ca else { return Ok(String::new()) };
        std::fs::read_to_string(path).with_context(|| format!("{} could not be read", path.display()))
    }
}

impl From<SecurityArg> for MailSecurity {
    fn from(security: SecurityArg) -> Self {
        match security {
            SecurityArg::Starttls => MailSecurity::Starttls,
            SecurityArg::Tls => MailSecurity::Tls,
            SecurityArg::None => MailSecurity::None,
        }
    }
}

fn set_enabled(folder: &FolderArg, id: u32, enabled: bool) -> Result<()> {
    let noc = Noc::open(&folder.dir)?;
    let Some(found) = noc.channels(None)?.into_iter().find(|channel| channel.id == ChannelId(id)) else {
        bail!("there is no channel {id}: list them with `muster-noc channel list`");
    };
    noc.change_channel(ChannelId(id), ChannelSpec { enabled, ..found.channel }, None)?;
    println!("Channel {id} is {}.", if enabled { "enabled" } else { "disabled" });
    Ok(())
}

fn print(channel: &Channel) {
    let (spec, state) = (&channel.channel, &channel.state);
    let what = match &spec.target {
        Target::Email { server, port, to, .. } => format!("email {server}:{port} to {}", to.join(", ")),
        Target::Webhook { url, .. } => format!("webhook {url}"),
        Target::Alertmanager { url, .. } => format!("alertmanager {url}"),
    };
    let how = match (spec.enabled, state.failing_since, state.delivered) {
        (false, ..) => "disabled".to_owned(),
        (true, Some(_), _) => format!("failing, {} events wait: {}", state.waiting, printable(&state.outcome)),
        (true, None, Some(_)) => format!("works: {}", printable(&state.outcome)),
        (true, None, None) => "never used".to_owned(),
    };
    let given_up = if state.given_up > 0 { format!("  {} given up in 7 days", state.given_up) } else { String::new() };
    println!("{}  {}  {}  {how}{given_up}", channel.id, printable(&spec.name), printable(&what));
}

fn kind(text: &str) -> Result<AlertKind, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| format!("`{text}` is no kind of alert"))
}

/// `22:00-06:00`, `22:00-06:00+01:00` or `22:00-06:00-05:00`.
fn quiet(text: &str) -> Result<Quiet, String> {
    let wrong = || format!("`{text}` are no quiet hours: write 22:00-06:00 for UTC, or 22:00-06:00+01:00");
    let minutes = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let (from, rest) = text.split_once('-').ok_or_else(wrong)?;
    let (to, offset) = match rest.find(['+', '-']) {
        None => (rest, 0),
        Some(at) => {
            let ahead = minutes(&rest[at + 1..]).and_then(|minutes| i16::try_from(minutes).ok()).ok_or_else(wrong)?;
            (&rest[..at], if rest[at..].starts_with('-') { -ahead } else { ahead })
        }
    };
    let (from, to) = minutes(from).zip(minutes(to)).ok_or_else(wrong)?;
    Ok(Quiet { from, to, offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_read_with_and_without_a_zone() {
        let hours = |text| quiet(text).map(|quiet| (quiet.from, quiet.to, quiet.offset));
        assert_eq!(hours("22:00-06:30"), Ok((1320, 390, 0)));
        assert_eq!(hours("22:00-06:00+05:30"), Ok((1320, 360, 330)));
        assert_eq!(hours("22:00-06:00-08:00"), Ok((1320, 360, -480)));
        for bad in ["", "22:00", "22-6", "24:00-06:00", "22:60-06:00", "22:00-06:00+1", "22:00-06:00+x:00"] {
            assert!(hours(bad).is_err(), "{bad}");
        }
    }
}
