//! `muster-noc appliance`: changes and instructions that go out with beats.

use super::json_arg::JsonArg;
use super::{FolderArg, Output, answer};
use anyhow::Result;
use clap::{Args, Subcommand};
use muster_noc::{ApplianceDetail, Edit, InstructionView, Noc, VersionState, VersionView};
use muster_protocol::id::Uid;
use muster_protocol::instruction::Act;
use muster_protocol::parameters::RawSettings;
use muster_protocol::text::printable;

#[expect(clippy::large_enum_variant, reason = "one command is read, once")]
#[derive(Subcommand)]
pub(super) enum ApplianceCommand {
    /// List the appliances.
    List {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        output: Output,
    },
    /// Show one appliance, with what waits for it and what became of it.
    Show {
        #[command(flatten)]
        one: One,
    },
    /// Give new settings to a configured appliance, with the answer to its next beat. What is not named stays.
    Configure {
        #[command(flatten)]
        one: One,
        #[command(flatten)]
        edit: EditArgs,
        /// Why; kept with the version.
        #[arg(long, default_value = "")]
        why: String,
    },
    /// Have it restarted, once.
    Reboot {
        #[command(flatten)]
        one: One,
    },
    /// Print the newest log that it has sent.
    Logs {
        #[command(flatten)]
        one: One,
        /// Ask for a new one instead; it comes with one of the next beats.
        #[arg(long)]
        ask: bool,
    },
    /// Have it forget its owner, its settings and its certificates. The identity stays, for the next owner.
    Decommission {
        #[command(flatten)]
        one: One,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Take back what waits for it.
    Cancel {
        #[command(flatten)]
        one: One,
    },
    /// List every configuration that was signed for an appliance, newest first: who, when, why, and what became of it.
    Versions {
        #[command(flatten)]
        one: One,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Give an appliance the settings of a former version with the answer to its next beat.
    Rollback {
        #[command(flatten)]
        one: One,
        /// The version.
        version: u32,
        /// Why; kept with the version.
        #[arg(long, default_value = "")]
        why: String,
    },
    /// Give the role of a dead appliance to a new one.
    Replace {
        #[command(flatten)]
        folder: FolderArg,
        /// UID of the dead one. It is refused everything from now on.
        old: Uid,
        /// UID of the new one. It gets the other's settings at its next configuration.
        new: Uid,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Args)]
pub(super) struct One {
    #[command(flatten)]
    folder: FolderArg,
    /// Its UID.
    uid: Uid,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
#[group(required = true, multiple = true)]
pub(super) struct EditArgs {
    /// Host name.
    #[arg(long)]
    host_name: Option<String>,
    /// Domain.
    #[arg(long)]
    domain: Option<String>,
    /// Address.
    #[arg(long)]
    address: Option<String>,
    /// Netmask, as 255.255.255.0 or /24.
    #[arg(long)]
    netmask: Option<String>,
    /// Default gateway; "" for none.
    #[arg(long)]
    gateway: Option<String>,
    /// Primary name server; "" for none.
    #[arg(long)]
    dns1: Option<String>,
    /// Secondary name server; "" for none.
    #[arg(long)]
    dns2: Option<String>,
    /// IPv6 address with the length of its prefix, as 2001:db8::10/64; "" for none.
    #[arg(long)]
    address6: Option<String>,
    /// IPv6 default gateway; "" for none.
    #[arg(long)]
    gateway6: Option<String>,
    /// Time servers, separated by commas; "none" for none, "" for what the policy gives.
    #[arg(long)]
    ntp: Option<String>,
    /// Domains that are searched beside the domain, separated by commas; "none" for none, "" for what the policy gives.
    #[arg(long)]
    search_domains: Option<String>,
    /// Application settings as JSON, or @FILE; {} for none, "" for what the policy gives.
    #[arg(long, value_name = "JSON")]
    application: Option<JsonArg>,
}

impl From<EditArgs> for Edit {
    fn from(args: EditArgs) -> Edit {
        Edit {
            host_name: args.host_name,
            domain: args.domain,
            address: args.address,
            netmask: args.netmask,
            gateway: args.gateway,
            dns1: args.dns1,
            dns2: args.dns2,
            address6: args.address6,
            gateway6: args.gateway6,
            ntp: args.ntp,
            search_domains: args.search_domains,
            application: args.application.map(|text| text.0),
        }
    }
}

impl ApplianceCommand {
    pub(super) fn run(self) -> Result<()> {
        match self {
            ApplianceCommand::List { folder, output } => super::list_inventory(&folder.dir, output),
            ApplianceCommand::Show { one } => {
                let detail = one.noc()?.appliance(&one.uid)?;
                answer(one.output, &detail, show)
            }
            ApplianceCommand::Configure { one, edit, why } => {
                let detail = one.noc()?.change_because(&one.uid, edit.into(), &why)?;
                answer(one.output, &detail, |detail| {
                    let seq = detail.given.as_ref().map_or(0, |given| given.seq.0);
                    println!("Grant {seq} goes to {} with the answer to its next beat.", one.uid);
                })
            }
            ApplianceCommand::Versions { one, limit } => {
                let versions = one.noc()?.versions(&one.uid, limit)?;
                answer(one.output, &versions, |versions| versions.iter().for_each(print_version))
            }
            ApplianceCommand::Rollback { one, version, why } => {
                let detail = one.noc()?.roll_back(&one.uid, version, &why)?;
                answer(one.output, &detail, |detail| {
                    let seq = detail.given.as_ref().map_or(0, |given| given.seq.0);
                    println!("Grant {seq} goes to {} with the answer to its next beat.", one.uid);
                })
            }
            ApplianceCommand::Reboot { one } => one.instruct(Act::Reboot),
            ApplianceCommand::Logs { one, ask: true } => one.instruct(Act::SendLog),
            ApplianceCommand::Logs { one, ask: false } => {
                let log = one.noc()?.appliance_log(&one.uid)?;
                answer(one.output, &log, |log| log.text.lines().for_each(|line| println!("{}", printable(line))))
            }
            ApplianceCommand::Decommission { one, yes } => {
                if !yes {
                    anyhow::bail!(
                        "{} will forget its owner and its settings and leave the network: repeat with --yes",
                        one.uid
                    );
                }
                one.instruct(Act::Decommission)
            }
            ApplianceCommand::Cancel { one } => {
                let count = one.noc()?.take_back(&one.uid)?;
                answer(one.output, &count, |count| println!("{count} taken back."))
            }
            ApplianceCommand::Replace { folder, old, new, output } => {
                let detail = Noc::open(&folder.dir)?.replace(&old, &new)?;
                answer(output, &detail, |_| {
                    println!("{old} is replaced. {new} gets its settings: configure it from a console of the site.");
                })
            }
        }
    }
}

impl One {
    fn noc(&self) -> Result<Noc> {
        Ok(Noc::open(&self.folder.dir)?)
    }

    fn instruct(self, act: Act) -> Result<()> {
        let instruction = self.noc()?.instruct(&self.uid, act)?;
        answer(self.output, &instruction, |instruction| {
            println!("Instruction {} goes to {} with the answer to its next beat.", instruction.serial, self.uid);
        })
    }
}

fn show(detail: &ApplianceDetail) {
    let record = &detail.record;
    let site = record.site.map_or_else(|| "-".to_owned(), |site| site.to_string());
    println!("UID           {}", record.uid);
    println!("MAC           {}", record.mac);
    println!("Serial        {}  {}", printable(&record.serial), printable(&record.model));
    println!("Site          {site}");
    println!("Provisioning  {:?}", record.provisioning);
    println!("Health        {:?}", record.health);
    if let Some(settings) = &record.settings {
        println!("Settings      {}", settings_text(settings));
    }
    if let Some(settings) = &detail.planned {
        println!("Takes over    {}", settings_text(settings));
    }
    if let Some(successor) = &detail.successor {
        println!("Replaced by   {successor}");
    }
    if let Some(given) = &detail.given {
        let why = [given.reason.as_str(), given.detail.as_str()].map(printable).join(" ");
        println!("Grant {:<7} {:?}  {}  {}", given.seq.0, given.state, settings_text(&given.settings), why.trim());
    }
    for instruction in &detail.instructions {
        println!("Instruction   {:?}  {}", instruction.act, stands(instruction));
    }
    if let Some(taken) = detail.log_taken {
        println!("Log           of Unix time {taken}");
    }
}

fn print_version(version: &VersionView) {
    let state = match version.state {
        VersionState::Applied if version.is_in_force => "in force".to_owned(),
        VersionState::Applied => "was in force".to_owned(),
        VersionState::Failed => format!("failed: {}", printable(&version.reason)),
        VersionState::Signed => "signed".to_owned(),
    };
    let changes = version.changes.join(", ");
    println!(
        "{}  {state}  {}  by {} at {}  {}  ({changes})",
        version.version,
        settings_text(&version.settings),
        printable(&version.who),
        version.signed,
        printable(&version.why)
    );
}

fn stands(instruction: &InstructionView) -> String {
    match (instruction.done, instruction.given, instruction.problem.as_str()) {
        (Some(done), _, "") => format!("accepted at {done}"),
        (Some(done), _, problem) => format!("accepted at {done}, and failed: {}", printable(problem)),
        (None, Some(given), _) => format!("went out at {given}"),
        (None, None, _) => "waits for a beat".to_owned(),
    }
}

fn settings_text(settings: &RawSettings) -> String {
    let RawSettings { host_name, domain, address, netmask, gateway, address6, gateway6, .. } = settings;
    let mut text = format!("{host_name}.{domain} {address}/{netmask} gateway {gateway}");
    for (name, value) in [(" ", address6), (" gateway ", gateway6)] {
        if !value.is_empty() {
            text += &format!("{name}{value}");
        }
    }
    text
}
