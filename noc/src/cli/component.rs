//! `muster-noc component`: the repository of components, what is in it, and who shall have it.

mod vendor;

use super::rollout::{RolloutCommand, WavesArgs};
use super::{FolderArg, Output, answer, operator, site};
use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use muster_noc::{
    ApplianceComponents, Component, ComponentKind, ComponentPolicy, ComponentSpec, ComponentState, HealthCheck,
    NewRoot, Noc, OnlinePublic, OrganisationId, ReleaseChannel, Required, RootFile, TufKey, read_vendor,
    vendor_fingerprint,
};
use muster_protocol::id::SiteId;
use muster_protocol::text::printable;
use muster_protocol::time::UnixTime;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use vendor::VendorCommand;

#[derive(Subcommand)]
pub(super) enum ComponentCommand {
    /// Print the public keys that a root has to name for this NOC, as JSON. Keys are made if there are none.
    Keys {
        #[command(flatten)]
        folder: FolderArg,
        /// Make new ones, which follow those in use once a root names them: when a key was lost or stolen.
        #[arg(long)]
        renew: bool,
    },
    /// Roots: made and signed where their keys are kept, away from the NOC.
    #[command(subcommand)]
    Root(RootCommand),
    /// Begin the repository with its first root.
    Init {
        #[command(flatten)]
        folder: FolderArg,
        /// The root, with enough signatures.
        root: PathBuf,
        /// Also when there is a repository already: appliances then begin anew with this one. For when its root's keys are lost.
        #[arg(long)]
        replace: bool,
    },
    /// Put the successor of the root in force.
    Rotate {
        #[command(flatten)]
        folder: FolderArg,
        /// The root, with enough signatures of the former one's keys and of its own.
        root: PathBuf,
    },
    /// Take a component into the library.
    Add(Box<AddArgs>),
    /// Lead a channel to a version.
    Promote {
        #[command(flatten)]
        one: One,
        #[command(flatten)]
        channel: ChannelValue,
    },
    /// Give a version to no appliance any more. Where it is installed it stays.
    Retire {
        #[command(flatten)]
        one: One,
    },
    /// Vendors that sign for their components themselves.
    #[command(subcommand)]
    Vendor(VendorCommand),
    /// List the library.
    List {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        output: Output,
    },
    /// Changes that go out in waves.
    #[command(subcommand)]
    Rollout(RolloutCommand),
    /// Require a component of appliances.
    Require(RequireArgs),
    /// Say nothing of a component any more: what is said above counts again.
    Unrequire {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        place: Place,
        /// Its name.
        name: String,
        /// What is said of this model only.
        #[arg(long)]
        model: Option<String>,
    },
    /// Limit how fast each appliance downloads.
    Limit {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        place: Place,
        /// Bytes a second, at least 1024; 0 to say nothing of it.
        bytes_per_s: u64,
    },
    /// Show what runs where, and what is behind.
    Status {
        #[command(flatten)]
        folder: FolderArg,
        /// Only at this site, by name or number.
        #[arg(long)]
        site: Option<String>,
        /// Only this component.
        #[arg(long)]
        name: Option<String>,
        /// Only what is required and not installed.
        #[arg(long)]
        behind: bool,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Subcommand)]
pub(super) enum RootCommand {
    /// Make new root keys and the first root, without signatures.
    New {
        /// How many keys.
        #[arg(long, default_value_t = 3)]
        keys: usize,
        #[command(flatten)]
        of: RootArgs,
    },
    /// Make the successor of a root, without signatures.
    Next {
        /// The root in force.
        #[arg(long, value_name = "FILE")]
        after: PathBuf,
        /// How many new keys; absent: those of the former root stay.
        #[arg(long)]
        keys: Option<usize>,
        #[command(flatten)]
        of: RootArgs,
    },
    /// Sign a root with one key.
    Sign {
        /// The key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The root in force, for its successor.
        #[arg(long, value_name = "FILE")]
        after: Option<PathBuf>,
        /// The root; the signature is added to the file.
        root: PathBuf,
    },
}

#[derive(Args)]
pub(super) struct RootArgs {
    /// How many of the keys have to sign.
    #[arg(long, default_value_t = 2)]
    threshold: u64,
    /// What `muster-noc component keys` has printed.
    #[arg(long, value_name = "FILE")]
    online: PathBuf,
    /// A folder for keys and root, made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Days for which the root is good.
    #[arg(long, default_value_t = 1_095)]
    days: u64,
    /// What `vendor describe` has made of a vendor that the root is to name: nobody but the root's keys can then take its components
    /// from it. May be given several times. Absent: those of the former root stay.
    #[arg(long, value_name = "FILE", conflicts_with = "no_vendors")]
    vendor: Vec<PathBuf>,
    /// Name no vendor any more.
    #[arg(long)]
    no_vendors: bool,
}

#[derive(Args)]
pub(super) struct One {
    #[command(flatten)]
    folder: FolderArg,
    /// Its name.
    name: String,
    /// Its version.
    version: String,
    /// Whose it is, by handle; absent: everybody's.
    #[arg(long)]
    organisation: Option<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
pub(super) struct ChannelValue {
    /// The channel.
    #[arg(long, value_enum, default_value_t = ChannelArg::Stable)]
    channel: ChannelArg,
}

#[derive(Clone, Copy, ValueEnum)]
enum ChannelArg {
    /// For all.
    Stable,
    /// To be tried.
    Test,
}

impl From<ChannelArg> for ReleaseChannel {
    fn from(channel: ChannelArg) -> ReleaseChannel {
        match channel {
            ChannelArg::Stable => ReleaseChannel::Stable,
            ChannelArg::Test => ReleaseChannel::Test,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum KindArg {
    /// A tar archive packed with gzip.
    Archive,
    /// A Debian package.
    Deb,
    /// One program.
    Exec,
}

impl From<KindArg> for ComponentKind {
    fn from(kind: KindArg) -> ComponentKind {
        match kind {
            KindArg::Archive => ComponentKind::Archive,
            KindArg::Deb => ComponentKind::Deb,
            KindArg::Exec => ComponentKind::Exec,
        }
    }
}

#[derive(Args)]
pub(super) struct AddArgs {
    #[command(flatten)]
    folder: FolderArg,
    #[command(flatten)]
    what: Described,
    /// Whose it is, by handle; absent: everybody's.
    #[arg(long)]
    organisation: Option<String>,
    /// A site that it is for, by name or number. May be given several times.
    #[arg(long)]
    site: Vec<String>,
    #[command(flatten)]
    output: Output,
}

/// What is said of a component by whoever signs for it.
#[derive(Args)]
struct Described {
    /// The file.
    file: PathBuf,
    /// Its name: lower-case letters, digits and dashes.
    #[arg(long)]
    name: String,
    /// Its version.
    #[arg(long)]
    version: String,
    /// How it is installed.
    #[arg(long, value_enum, default_value_t = KindArg::Archive)]
    kind: KindArg,
    /// A model that it is for, `*` at the end for any ending. May be given several times.
    #[arg(long)]
    model: Vec<String>,
    /// The systemd unit that runs it.
    #[arg(long)]
    unit: Option<String>,
    /// A program inside of it that ends well when the component is well, and its arguments, separated by blanks.
    #[arg(long, value_name = "COMMAND")]
    health: Option<String>,
    /// Seconds within which that has to end.
    #[arg(long, default_value_t = 60)]
    within: u32,
}

impl Described {
    /// As it is checked, and the file.
    fn spec(self, organisation: Option<OrganisationId>, sites: Vec<SiteId>) -> (ComponentSpec, PathBuf) {
        let command = self.health.map(|words| words.split_whitespace().map(str::to_owned).collect());
        let spec = ComponentSpec {
            organisation,
            name: self.name,
            version: self.version,
            kind: self.kind.into(),
            models: self.model,
            sites,
            unit: self.unit,
            health: command.map(|command| HealthCheck { command, within_s: self.within }),
        };
        (spec, self.file)
    }
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

#[derive(Args)]
pub(super) struct RequireArgs {
    #[command(flatten)]
    folder: FolderArg,
    #[command(flatten)]
    place: Place,
    /// Its name.
    name: String,
    /// Only of appliances of this model.
    #[arg(long)]
    model: Option<String>,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    waves: WavesArgs,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct What {
    /// The version that this channel leads to.
    #[arg(long, value_enum)]
    channel: Option<ChannelArg>,
    /// This version.
    #[arg(long)]
    version: Option<String>,
    /// None, whatever is said above.
    #[arg(long)]
    nothing: bool,
}

impl ComponentCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            ComponentCommand::Keys { folder, renew } => {
                println!("{}", serde_json::to_string(&Noc::open(&folder.dir)?.component_keys(renew)?)?);
                Ok(())
            }
            ComponentCommand::Root(command) => command.run(),
            ComponentCommand::Init { folder, root, replace } => {
                Noc::open(&folder.dir)?.begin_components(&RootFile::read(&root)?, replace)?;
                println!("The repository is there. Next: `muster-noc component add`.");
                Ok(())
            }
            ComponentCommand::Rotate { folder, root } => {
                let root = RootFile::read(&root)?;
                Noc::open(&folder.dir)?.rotate_components(&root)?;
                println!("Root {} is in force.", root.version());
                Ok(())
            }
            ComponentCommand::Add(add) => add.run(),
            ComponentCommand::Vendor(command) => command.run(),
            ComponentCommand::Promote { one, channel } => {
                let (noc, owner) = one.open()?;
                let found = noc.promote_component(owner, &one.name, &one.version, channel.channel.into())?;
                answer(one.output, &found, print)
            }
            ComponentCommand::Retire { one } => {
                let (noc, owner) = one.open()?;
                answer(one.output, &noc.retire_component(owner, &one.name, &one.version)?, print)
            }
            ComponentCommand::List { folder, output } => {
                answer(output, &Noc::open(&folder.dir)?.components()?, |all| all.iter().for_each(print))
            }
            ComponentCommand::Rollout(command) => command.run(),
            ComponentCommand::Require(require) => require.run(),
            ComponentCommand::Unrequire { folder, place, name, model } => {
                let noc = Noc::open(&folder.dir)?;
                let at = place.find(&noc)?;
                let mut said = said_at(&noc, &at)?;
                let before = said.required.len();
                said.required.retain(|line| !is_of(line, &name, model.as_deref()));
                if said.required.len() == before {
                    bail!("nothing is said of {} there", printable(&name));
                }
                say(&noc, &at, said)
            }
            ComponentCommand::Limit { folder, place, bytes_per_s } => {
                let noc = Noc::open(&folder.dir)?;
                let at = place.find(&noc)?;
                let said = said_at(&noc, &at)?;
                say(&noc, &at, ComponentPolicy { bytes_per_s: (bytes_per_s > 0).then_some(bytes_per_s), ..said })
            }
            ComponentCommand::Status { folder, site, name, behind, output } => {
                let noc = Noc::open(&folder.dir)?;
                let site = site.map(|name| Ok::<_, anyhow::Error>(site::find(&noc.sites()?, &name)?.id)).transpose()?;
                answer(output, &noc.component_standings(site, name, behind)?, |all| show(all))
            }
        }
    }
}

impl RootCommand {
    fn run(self) -> anyhow::Result<()> {
        match self {
            RootCommand::New { keys, of } => {
                let publics = of.make_keys(keys, 1)?;
                of.make(None, publics)
            }
            RootCommand::Next { after, keys, of } => {
                let after = RootFile::read(&after)?;
                let publics = match keys {
                    Some(keys) => of.make_keys(keys, after.version() + 1)?,
                    None => after.keys().0,
                };
                of.make(Some(&after), publics)
            }
            RootCommand::Sign { key, after, root } => {
                let after = after.map(|after| RootFile::read(&after)).transpose()?;
                let mut file = RootFile::read(&root)?;
                file.sign(&TufKey::read(&key)?, key, after.as_ref())?;
                file.write(&root)?;
                let (_, threshold) = file.keys();
                println!("{} has {} signatures; {threshold} of its own keys count.", root.display(), file.signatures());
                Ok(())
            }
        }
    }
}

impl RootArgs {
    /// Key files are numbered by the root that first names them.
    fn make_keys(&self, count: usize, version: u64) -> anyhow::Result<Vec<String>> {
        make_out(&self.out)?;
        let mut publics = Vec::new();
        for number in 1..=count.min(16) {
            let key = TufKey::generate()?;
            key.write(&self.out.join(format!("root-{version}-{number}.key")))?;
            publics.push(key.public());
        }
        Ok(publics)
    }

    fn make(&self, after: Option<&RootFile>, keys: Vec<String>) -> anyhow::Result<()> {
        let text =
            fs::read_to_string(&self.online).with_context(|| format!("{} could not be read", self.online.display()))?;
        let online: OnlinePublic = serde_json::from_str(&text)
            .with_context(|| format!("{} is not what `muster-noc component keys` prints", self.online.display()))?;
        let expires = UnixTime::from_system(SystemTime::now() + Duration::from_secs(self.days.min(36_500) * 86_400)).0;
        let named = self.vendor.iter().map(|file| read_vendor(file)).collect::<Result<Vec<_>, _>>()?;
        let vendors = (self.no_vendors || !named.is_empty()).then_some(named);
        let root = NewRoot { after, keys, threshold: self.threshold, online: &online, expires, vendors }.make()?;
        for vendor in root.vendors()? {
            println!("It names the vendor {}, {}.", vendor.vendor, vendor_fingerprint(&vendor));
        }
        make_out(&self.out)?;
        let path = self.out.join(format!("{}.root.json", root.version()));
        if path.exists() {
            bail!("{} is there already: name another folder", path.display());
        }
        root.write(&path)?;
        println!("{} is made. Sign it {} times: `muster-noc component root sign`.", path.display(), self.threshold);
        println!("Keep the keys apart from each other, and away from the NOC.");
        Ok(())
    }
}

fn make_out(folder: &Path) -> anyhow::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).with_context(|| format!("{} could not be made", folder.display()))
}

impl One {
    fn open(&self) -> anyhow::Result<(Noc, Option<OrganisationId>)> {
        let noc = Noc::open(&self.folder.dir)?;
        let owner = owner(&noc, self.organisation.as_deref())?;
        Ok((noc, owner))
    }
}

fn owner(noc: &Noc, handle: Option<&str>) -> anyhow::Result<Option<OrganisationId>> {
    handle.map(|handle| operator::organisation(noc, handle)).transpose()
}

impl AddArgs {
    fn run(self) -> anyhow::Result<()> {
        let noc = Noc::open(&self.folder.dir)?;
        let organisation = owner(&noc, self.organisation.as_deref())?;
        let known = noc.sites_of(organisation)?;
        let sites =
            self.site.iter().map(|name| Ok(site::find(&known, name)?.id)).collect::<anyhow::Result<Vec<_>>>()?;
        let (spec, file) = self.what.spec(organisation, sites);
        answer(self.output, &noc.add_component(spec, &file)?, print)
    }
}

impl Place {
    fn find(&self, noc: &Noc) -> anyhow::Result<At> {
        match &self.site {
            Some(name) => Ok(At::Site(site::find(&noc.sites()?, name)?.id)),
            None => Ok(At::Organisation(operator::organisation(noc, &self.organisation)?)),
        }
    }
}

impl RequireArgs {
    fn run(self) -> anyhow::Result<()> {
        let noc = Noc::open(&self.folder.dir)?;
        let at = self.place.find(&noc)?;
        let mut said = said_at(&noc, &at)?;
        let What { channel, version, .. } = self.what;
        let waves = self.waves.waves();
        let line = Required { name: self.name, model: self.model, channel: channel.map(Into::into), version, waves };
        match said.required.iter_mut().find(|known| is_of(known, &line.name, line.model.as_deref())) {
            Some(known) => *known = line,
            None => said.required.push(line),
        }
        say(&noc, &at, said)
    }
}

fn is_of(line: &Required, name: &str, model: Option<&str>) -> bool {
    line.name == name && line.model.as_deref() == model
}

fn said_at(noc: &Noc, at: &At) -> anyhow::Result<ComponentPolicy> {
    Ok(match at {
        At::Organisation(id) => noc.organisation_components(*id)?,
        At::Site(id) => noc.site_components(*id)?,
    })
}

fn say(noc: &Noc, at: &At, said: ComponentPolicy) -> anyhow::Result<()> {
    match at {
        At::Organisation(id) => noc.set_organisation_components(*id, said)?,
        At::Site(id) => noc.set_site_components(*id, said)?,
    }
    println!("It is kept; appliances hear of it with their next beats.");
    Ok(())
}

fn print(component: &Component) {
    let whose = component.organisation.map_or_else(|| "everybody's".to_owned(), |id| format!("organisation {id}"));
    let state = match component.retired {
        Some(_) => "retired".to_owned(),
        None => component.channels.join(","),
    };
    let signer = component.vendor.as_ref().map(|vendor| format!("  signed by {vendor}")).unwrap_or_default();
    println!("{}  {}  {whose}  {} bytes  {state}{signer}", component.name, component.version, component.size);
}

/// A word of the interface, as it is in JSON.
fn word<T: Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

fn show(all: &[ApplianceComponents]) {
    for appliance in all {
        let site = appliance.site.map_or_else(|| "-".to_owned(), |site| site.to_string());
        for one in &appliance.components {
            let or = |text: &Option<String>| printable(text.as_deref().unwrap_or("-"));
            let percent = one.percent.filter(|_| one.state != ComponentState::Installed);
            let percent = percent.map(|percent| format!(" {percent} %")).unwrap_or_default();
            let problem = one.problem.as_ref().map(|problem| format!("  {}", printable(problem))).unwrap_or_default();
            println!(
                "{}  site {site}  {}  runs {}  wants {}  {}{percent}{problem}",
                appliance.uid,
                printable(&one.name),
                or(&one.running),
                or(&one.version),
                word(&one.state)
            );
        }
    }
}
