//! `muster-noc applet`: the library of what vendors add to the consoles of sites.

use super::operator::organisation;
use super::{FolderArg, Output, answer};
use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use muster_noc::{Applet, AppletChannelName, NewPlace, Noc, OrganisationId, PlaceChannel};
use muster_protocol::id::{ConsoleId, SiteId};
use muster_protocol::text::printable;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Subcommand)]
pub(super) enum AppletCommand {
    /// Whose applets are taken.
    #[command(subcommand)]
    Author(AuthorCommand),
    /// The applets, their versions and where those are offered.
    List {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        output: Output,
    },
    /// Publish a bundle that its author has signed (`muster applet sign`).
    Publish {
        #[command(flatten)]
        of: Of,
        /// The signed file.
        file: PathBuf,
        /// Where it is offered first.
        #[arg(long, value_enum, default_value_t = ChannelArg::Test)]
        channel: ChannelArg,
        #[command(flatten)]
        output: Output,
    },
    /// Put a version on a channel, for a part of the consoles.
    Release {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        version: VersionArg,
        /// The channel.
        #[arg(long, value_enum, default_value_t = ChannelArg::Stable)]
        channel: ChannelArg,
        /// How many of a hundred consoles get it; the others keep what they have.
        #[arg(long, default_value_t = 100)]
        percent: u8,
        #[command(flatten)]
        output: Output,
    },
    /// Withdraw a version: consoles go back to the one before it.
    Withdraw {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        version: VersionArg,
    },
    /// Have no version lower than this be used, on consoles without a link, too. It is never lowered.
    Floor {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        version: VersionArg,
    },
    /// Have sites and consoles have something else than the stable channel. These are all; without any, all have that.
    Places {
        #[command(flatten)]
        of: Of,
        /// The applet.
        applet: String,
        /// Sites that have the test channel.
        #[arg(long, value_name = "SITE")]
        test_site: Vec<u32>,
        /// Consoles that have the test channel.
        #[arg(long, value_name = "CONSOLE")]
        test_console: Vec<u32>,
        /// Consoles that have the stable channel at sites that have another.
        #[arg(long, value_name = "CONSOLE")]
        stable_console: Vec<u32>,
        /// Sites that do not have the applet.
        #[arg(long, value_name = "SITE")]
        no_site: Vec<u32>,
        /// Consoles that do not have the applet.
        #[arg(long, value_name = "CONSOLE")]
        no_console: Vec<u32>,
    },
}

#[derive(Subcommand)]
pub(super) enum AuthorCommand {
    /// Take applets of somebody.
    Add {
        #[command(flatten)]
        of: Of,
        /// Who it is.
        name: String,
        /// The public key that `muster applet key` printed.
        key: String,
        #[command(flatten)]
        output: Output,
    },
    /// Whose applets are taken.
    List {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        output: Output,
    },
    /// Take no new applets of somebody. What was published stays until it is withdrawn.
    Remove {
        #[command(flatten)]
        of: Of,
        /// Their number in the list.
        author: u32,
    },
}

#[derive(Args)]
pub(super) struct Of {
    #[command(flatten)]
    folder: FolderArg,
    /// The organisation, by handle.
    #[arg(long, default_value = "default")]
    organisation: String,
}

#[derive(Args)]
pub(super) struct VersionArg {
    /// The applet.
    applet: String,
    /// Its version.
    version: String,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum ChannelArg {
    Stable,
    Test,
}

impl From<ChannelArg> for AppletChannelName {
    fn from(channel: ChannelArg) -> Self {
        match channel {
            ChannelArg::Stable => AppletChannelName::Stable,
            ChannelArg::Test => AppletChannelName::Test,
        }
    }
}

impl AppletCommand {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self {
            AppletCommand::Author(command) => command.run()?,
            AppletCommand::List { of, output } => {
                let (noc, id) = of.open()?;
                answer(output, &noc.applets(id)?, |applets| {
                    if applets.is_empty() {
                        println!("No applets. Publish one with `muster-noc applet publish`.");
                    }
                    applets.iter().for_each(print);
                })?;
            }
            AppletCommand::Publish { of, file, channel, output } => {
                let (noc, id) = of.open()?;
                let bundle = std::fs::read(&file).with_context(|| format!("{} could not be read", file.display()))?;
                answer(output, &noc.publish_applet(id, bundle, channel.into())?, print)?;
            }
            AppletCommand::Release { of, version, channel, percent, output } => {
                let (noc, id) = of.open()?;
                let VersionArg { applet, version } = version;
                answer(output, &noc.release_applet(id, &applet, &version, channel.into(), percent)?, print)?;
            }
            AppletCommand::Withdraw { of, version } => {
                let (noc, id) = of.open()?;
                noc.withdraw_applet(id, &version.applet, &version.version)?;
                println!("{} {} is withdrawn.", printable(&version.applet), printable(&version.version));
            }
            AppletCommand::Floor { of, version } => {
                let (noc, id) = of.open()?;
                print(&noc.raise_applet_floor(id, &version.applet, &version.version)?);
            }
            AppletCommand::Places { of, applet, test_site, test_console, stable_console, no_site, no_console } => {
                let (noc, id) = of.open()?;
                let sites = [(test_site, PlaceChannel::Test), (no_site, PlaceChannel::None)];
                let consoles = [
                    (test_console, PlaceChannel::Test),
                    (stable_console, PlaceChannel::Stable),
                    (no_console, PlaceChannel::None),
                ];
                let of_sites = sites.into_iter().flat_map(|(ids, channel)| {
                    ids.into_iter().map(move |id| NewPlace { site: Some(SiteId(id)), console: None, channel })
                });
                let of_consoles = consoles.into_iter().flat_map(|(ids, channel)| {
                    ids.into_iter().map(move |id| NewPlace { site: None, console: Some(ConsoleId(id)), channel })
                });
                print(&noc.set_applet_places(id, &applet, of_sites.chain(of_consoles).collect())?);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl AuthorCommand {
    fn run(self) -> Result<()> {
        match self {
            AuthorCommand::Add { of, name, key, output } => {
                let (noc, id) = of.open()?;
                answer(output, &noc.add_applet_author(id, &name, &key)?, |author| {
                    println!("Applets of {} are taken (author {}).", printable(&author.name), author.id);
                })
            }
            AuthorCommand::List { of, output } => {
                let (noc, id) = of.open()?;
                answer(output, &noc.applet_authors(id)?, |authors| {
                    if authors.is_empty() {
                        println!("Nobody's applets are taken. Add an author with `muster-noc applet author add`.");
                    }
                    for author in authors {
                        println!("{}  {}  {}", author.id, author.key, printable(&author.name));
                    }
                })
            }
            AuthorCommand::Remove { of, author } => {
                let (noc, id) = of.open()?;
                noc.remove_applet_author(id, author)?;
                println!("No new applets of author {author} are taken.");
                Ok(())
            }
        }
    }
}

impl Of {
    fn open(&self) -> Result<(Noc, OrganisationId)> {
        let noc = Noc::open(&self.folder.dir)?;
        let id = organisation(&noc, &self.organisation)?;
        Ok((noc, id))
    }
}

fn print(applet: &Applet) {
    println!("{}  {}", applet.name, printable(&applet.title));
    for channel in &applet.channels {
        let name = match channel.channel {
            AppletChannelName::Stable => "stable",
            AppletChannelName::Test => "test",
        };
        let part = match (channel.percent, &channel.former) {
            (100, _) => String::new(),
            (percent, Some(former)) => format!(" for {percent} of 100 consoles, {former} for the others"),
            (percent, None) => format!(" for {percent} of 100 consoles, nothing for the others"),
        };
        println!("  {name}: {}{part}", channel.version);
    }
    for version in &applet.versions {
        let state = if version.withdrawn.is_some() { ", withdrawn" } else { "" };
        println!("  {}  {} bytes, signed by {}{state}", version.version, version.bytes, version.author);
    }
    if let Some(floor) = &applet.floor {
        println!("  nothing below {floor} may be used");
    }
    for place in &applet.places {
        let who = match (place.site, place.console) {
            (Some(site), _) => format!("site {site}"),
            (None, Some(console)) => format!("console {console}"),
            (None, None) => continue,
        };
        let has = match place.channel {
            PlaceChannel::Stable => "the stable channel",
            PlaceChannel::Test => "the test channel",
            PlaceChannel::None => "nothing",
        };
        println!("  {who} has {has}");
    }
}
