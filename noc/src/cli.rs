//! What can be typed.

mod alert;
mod applet;
mod appliance;
mod audit;
mod backup;
mod channel;
mod component;
mod console;
mod doctor;
mod draft;
mod handover;
mod json_arg;
mod logs;
mod maintenance;
mod monitoring;
mod operator;
mod organisation;
mod policy;
mod queue;
mod remote_write;
mod report;
mod reservation;
mod rollout;
mod site;
mod supervisor;
mod voucher;

use alert::AlertCommand;
use anyhow::{Context, bail};
use applet::AppletCommand;
use appliance::ApplianceCommand;
use audit::AuditCommand;
use backup::{BackupArgs, RestoreArgs};
use channel::ChannelCommand;
use clap::{Args, Parser, Subcommand, ValueEnum};
use component::ComponentCommand;
use doctor::DoctorArgs;
use draft::DraftCommand;
use handover::HandoverCommand;
use json_arg::JsonArg;
use maintenance::MaintenanceCommand;
use monitoring::MonitoringCommand;
use muster_noc::{LogFormat, Noc, Options, Origin, Setting, Settings};
use muster_protocol::id::{ConsoleId, Uid};
use muster_protocol::text::printable;
use operator::OperatorCommand;
use organisation::OrganisationCommand;
use policy::{InheritArg, PolicyCommand};
use queue::QueueCommand;
use report::ReportCommand;
use reservation::ReservationCommand;
use serde::Serialize;
use site::{DriftArg, ProofArg};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use voucher::VoucherCommand;

/// The network operations center of Muster.
#[derive(Parser)]
#[command(name = "muster-noc", version)]
pub(crate) struct Muster {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a data folder with new keys and a new database.
    Init {
        #[command(flatten)]
        folder: FolderArg,
        /// Where consoles and appliances reach this NOC, host[:port]. May be given several times; the first goes into grants.
        #[arg(long, required = true)]
        address: Vec<String>,
        /// Where to listen, as [::]:6878. Default: every interface, at the port of the first address.
        #[arg(long)]
        listen: Option<SocketAddr>,
    },
    /// Serve consoles and appliances until stopped.
    Serve {
        #[command(flatten)]
        folder: FolderArg,
        /// Where to listen, instead of what noc.toml says.
        #[arg(long)]
        listen: Option<SocketAddr>,
        /// What to log, instead of what noc.toml says: error, warn, info, debug or trace; also by part, as info,muster_noc::watch=debug.
        #[arg(long, value_name = "FILTER")]
        log: Option<String>,
        /// In which form: text or json.
        #[arg(long, value_name = "FORMAT")]
        log_format: Option<LogFormat>,
    },
    /// Show every value of the configuration and where it is from: a variable MUSTER_NOC_..., noc.toml, or nobody said anything.
    Config {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        output: Output,
    },
    /// Look whether all is well, and say what to do about what is not. Ends with 0, with 1 after warnings, with 2 after errors.
    Doctor(DoctorArgs),
    /// Copy all of the NOC to a new folder, also while it serves.
    Backup(BackupArgs),
    /// Put such a copy into an empty folder, to be served instead of a NOC that was lost.
    Restore(RestoreArgs),
    /// Sites and their policy.
    #[command(subcommand)]
    Site(SiteCommand),
    /// What organisations and sites say to appliances, and what it comes to.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// What is kept in a site for single appliances.
    #[command(subcommand)]
    Reservation(ReservationCommand),
    /// When an appliance is silent, and when its health is bad.
    #[command(subcommand)]
    Monitoring(MonitoringCommand),
    /// When nobody is told of a site or an appliance.
    #[command(subcommand)]
    Maintenance(MaintenanceCommand),
    /// What there is to say of a month.
    #[command(subcommand)]
    Report(ReportCommand),
    /// Appliances that may be configured.
    #[command(subcommand)]
    Inventory(InventoryCommand),
    /// What the NOC itself gives to appliances, with the answers to their beats.
    #[command(subcommand)]
    Appliance(ApplianceCommand),
    /// Changes of many appliances, reviewed and then made as one.
    #[command(subcommand)]
    Draft(DraftCommand),
    /// Appliances to another address or NOC, without a visit.
    #[command(subcommand)]
    Handover(HandoverCommand),
    /// A vendor's word that an appliance is for one NOC.
    #[command(subcommand)]
    Voucher(VoucherCommand),
    /// Consoles that may configure.
    #[command(subcommand)]
    Console(ConsoleCommand),
    /// Have a console discover, configure, kick-start or list appliances.
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Alerts, and what is done about them.
    #[command(subcommand)]
    Alert(AlertCommand),
    /// The software that appliances get: its repository, what is in it, and who shall have it.
    #[command(subcommand)]
    Component(ComponentCommand),
    /// Where organisations are told of their alerts: mail, webhooks, Alertmanager.
    #[command(subcommand)]
    Channel(ChannelCommand),
    /// What vendors add to the consoles of sites.
    #[command(subcommand)]
    Applet(AppletCommand),
    /// Customers.
    #[command(subcommand)]
    Organisation(OrganisationCommand),
    /// People who sign in.
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Who did what.
    #[command(subcommand)]
    Audit(AuditCommand),
}

#[derive(Args)]
struct FolderArg {
    /// The NOC's data folder.
    #[arg(long, env = "MUSTER_NOC_DIR", value_name = "DIR")]
    dir: PathBuf,
}

#[derive(Args)]
struct OrganisationArg {
    /// Whose it is, by handle.
    #[arg(long, default_value = "default")]
    organisation: String,
}

#[derive(Args)]
struct Output {
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

#[expect(clippy::large_enum_variant, reason = "one command is read, once")]
#[derive(Subcommand)]
enum SiteCommand {
    /// Add a site.
    Add {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        organisation: OrganisationArg,
        #[command(flatten)]
        site: Box<SiteArgs>,
        #[command(flatten)]
        output: Output,
    },
    /// Change a site. What is not named stays.
    Set(site::SetArgs),
    /// List the sites.
    List {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        output: Output,
    },
    /// Take in sites as CSV, by their names: every line, or none.
    Import {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        organisation: OrganisationArg,
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Print the sites of an organisation as CSV.
    Export {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        organisation: OrganisationArg,
    },
}

#[derive(Args)]
struct SiteArgs {
    /// Its name.
    #[arg(long)]
    name: String,
    /// First and last address, as 192.0.2.10-192.0.2.99; several ranges separated by commas.
    #[arg(long)]
    pool: String,
    /// Netmask, as 255.255.255.0 or /24.
    #[arg(long)]
    netmask: String,
    /// Default gateway.
    #[arg(long, default_value = "")]
    gateway: String,
    /// Domain.
    #[arg(long, default_value = "")]
    domain: String,
    /// Primary name server.
    #[arg(long, default_value = "")]
    dns1: String,
    /// Secondary name server.
    #[arg(long, default_value = "")]
    dns2: String,
    /// Time servers, addresses or names separated by commas.
    #[arg(long, default_value = "")]
    ntp: String,
    /// Domains that are searched beside the domain, separated by commas.
    #[arg(long, default_value = "")]
    search_domains: String,
    /// IPv6 addresses to give out beside IPv4: 2001:db8::/64, or 2001:db8::100-2001:db8::1ff/64.
    #[arg(long, default_value = "")]
    pool6: String,
    /// IPv6 default gateway, in the network of the IPv6 pool or link-local.
    #[arg(long, default_value = "")]
    gateway6: String,
    /// Host-name template of {n}, {n:03}, {site}, {model}, {serial}, {mac}.
    #[arg(long, default_value = "{model}-{n:03}")]
    host_name: String,
    /// Seconds between beats.
    #[arg(long, default_value_t = 60)]
    beat_interval: u32,
    /// What makes settings final.
    #[arg(long, value_enum, default_value_t = ConfirmArg::KickStart)]
    confirm: ConfirmArg,
    /// Seconds until an unconfirmed configuration is rolled back.
    #[arg(long, default_value_t = 90)]
    window: u16,
    /// What appliances do about settings that are changed by hand.
    #[arg(long, value_enum, default_value_t = DriftArg::Image)]
    drift: DriftArg,
    /// Application settings as JSON, or @FILE.
    #[arg(long, value_name = "JSON")]
    application: Option<JsonArg>,
    /// The least proof of ownership that appliances have to ask for before they are configured.
    #[arg(long, value_enum, default_value_t = ProofArg::Any)]
    proof: ProofArg,
    /// Addresses inside the pools that are not given out, as 192.0.2.20-192.0.2.29,2001:db8::5.
    #[arg(long, default_value = "")]
    exclude: String,
    /// Which values it has from its organisation, separated by commas, or all.
    #[arg(long, value_name = "VALUES")]
    inherit: Option<InheritArg>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ConfirmArg {
    /// The console's kick-start.
    KickStart,
    /// A first beat that the NOC took.
    FirstBeat,
}

#[derive(Subcommand)]
enum InventoryCommand {
    /// Take in a vendor's manifest: CSV with the columns serial, mac, uid, claim and, if you like, model and voucher.
    Import {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        organisation: OrganisationArg,
        #[command(flatten)]
        output: Output,
        /// The file, or - for standard input.
        file: PathBuf,
    },
    /// Take an appliance out of its site, so that another site may plan it.
    Release {
        #[command(flatten)]
        folder: FolderArg,
        /// Its UID.
        uid: Uid,
    },
    /// List the appliances.
    List {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Subcommand)]
enum ConsoleCommand {
    /// Make an invite for one console; it is shown this once.
    Invite {
        #[command(flatten)]
        folder: FolderArg,
        /// A site the console may configure, by name or number. May be given several times.
        #[arg(long, required = true)]
        site: Vec<String>,
        /// Whose sites these are, by handle.
        #[arg(long)]
        organisation: Option<String>,
        /// How long the invite is good, as 30m, 24h or 7d.
        #[arg(long, default_value = "24h", value_parser = duration)]
        valid: Duration,
        #[command(flatten)]
        output: Output,
    },
    /// List the consoles.
    List {
        #[command(flatten)]
        folder: FolderArg,
        #[command(flatten)]
        output: Output,
    },
    /// Revoke a console, from its next request on.
    Revoke {
        #[command(flatten)]
        folder: FolderArg,
        /// Its number.
        id: u32,
    },
}

impl Muster {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let done = match self.command {
            // Commands whose end says more than good or bad.
            Command::Doctor(doctor) => return doctor.run(),
            Command::Channel(command) => return command.run(),
            Command::Applet(command) => return command.run(),
            Command::Organisation(command) => return command.run(),
            Command::Init { folder, address, listen } => init(&folder.dir, address, listen),
            Command::Serve { folder, listen, log, log_format } => {
                logs::begin(&Settings::read(&folder.dir)?, log.as_deref(), log_format)?;
                serve(&folder.dir, listen)
            }
            Command::Config { folder, output } => show_config(&folder.dir, output),
            Command::Backup(backup) => backup.run(),
            Command::Restore(restore) => restore.run(),
            Command::Site(SiteCommand::Add { folder, organisation, site, output }) => {
                let noc = Noc::open(&folder.dir)?;
                let organisation = operator::organisation(&noc, &organisation.organisation)?;
                let site = noc.add_site_to(organisation, (*site).into())?;
                answer(output, &site, |site| println!("Site {} is number {}.", printable(&site.name), site.id))
            }
            Command::Site(SiteCommand::Set(set)) => set.run(),
            Command::Site(SiteCommand::List { folder, output }) => {
                answer(output, &Noc::open(&folder.dir)?.sites()?, |sites| sites.iter().for_each(site::print))
            }
            Command::Site(SiteCommand::Import { folder, organisation, file, output }) => {
                let noc = Noc::open(&folder.dir)?;
                let organisation = operator::organisation(&noc, &organisation.organisation)?;
                site::import(&noc, organisation, &file, output)
            }
            Command::Site(SiteCommand::Export { folder, organisation }) => {
                let noc = Noc::open(&folder.dir)?;
                print!("{}", noc.export_sites(operator::organisation(&noc, &organisation.organisation)?)?);
                Ok(())
            }
            Command::Inventory(InventoryCommand::Import { folder, organisation, output, file }) => {
                import(&folder.dir, &organisation.organisation, &file, output)
            }
            Command::Inventory(InventoryCommand::Release { folder, uid }) => {
                if !Noc::open(&folder.dir)?.release(&uid)? {
                    bail!("there is no appliance {uid}: list them with `muster-noc inventory list`");
                }
                println!("{uid} is released.");
                Ok(())
            }
            Command::Inventory(InventoryCommand::List { folder, output }) => list_inventory(&folder.dir, output),
            Command::Appliance(command) => command.run(),
            Command::Draft(command) => command.run(),
            Command::Handover(command) => command.run(),
            Command::Policy(command) => command.run(),
            Command::Reservation(command) => command.run(),
            Command::Monitoring(command) => command.run(),
            Command::Maintenance(command) => command.run(),
            Command::Report(command) => command.run(),
            Command::Voucher(command) => command.run(),
            Command::Queue(command) => command.run(),
            Command::Console(ConsoleCommand::Invite { folder, site, organisation, valid, output }) => {
                console::invite(&folder.dir, &site, organisation.as_deref(), valid, output)
            }
            Command::Console(ConsoleCommand::List { folder, output }) => console::list(&folder.dir, output),
            Command::Console(ConsoleCommand::Revoke { folder, id }) => {
                if !Noc::open(&folder.dir)?.revoke_console(ConsoleId(id))? {
                    bail!("there is no console {id}: list them with `muster-noc console list`");
                }
                println!("Console {id} is revoked.");
                Ok(())
            }
            Command::Component(command) => command.run(),
            Command::Alert(command) => command.run(),
            Command::Operator(command) => command.run(),
            Command::Audit(command) => command.run(),
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}

fn init(dir: &Path, addresses: Vec<String>, listen: Option<SocketAddr>) -> anyhow::Result<()> {
    let default = Options::at(addresses.first().map_or("", String::as_str));
    let noc = Noc::init(dir, &Options { addresses, listen: listen.unwrap_or(default.listen) })?;
    println!("The NOC is in {}. It will be reached at {}.", dir.display(), noc.noc_address());
    println!(
        "Next: `muster-noc operator add`, `site add`, `inventory import`, `console invite`, and `muster-noc serve`."
    );
    Ok(())
}

fn serve(dir: &Path, listen: Option<SocketAddr>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("no threads for the NOC")?;
    runtime.block_on(async {
        // Before anybody can know that it serves: who ends it then ends it well.
        let mut terminate = signal(SignalKind::terminate()).context("no signals")?;
        let noc = Noc::open(dir)?;
        let running = noc.serve(listen.unwrap_or_else(|| noc.listen())).await?;
        println!("Serving {} at {}.", noc.noc_address(), running.local_addr());
        supervisor::tell("READY=1");
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
            () = supervisor::watchdog() => {}
        }
        supervisor::tell("STOPPING=1");
        running.shutdown().await;
        Ok(())
    })
}

fn show_config(dir: &Path, output: Output) -> anyhow::Result<()> {
    answer(output, &Settings::read(dir)?.explain(), |settings| {
        for Setting { name, value, from } in settings {
            let from = match from {
                Origin::Environment(variable) => variable,
                Origin::File => "noc.toml",
                Origin::Default => "default",
            };
            println!("{name:<18}  {:<40}  {from}", printable(value));
        }
    })
}

fn import(dir: &Path, organisation: &str, file: &Path, output: Output) -> anyhow::Result<()> {
    let csv = read_text(file)?;
    let noc = Noc::open(dir)?;
    let organisation = operator::organisation(&noc, organisation)?;
    answer(output, &noc.import_manifest_to(organisation, &csv)?, |report| {
        println!("{} added, {} updated, {} unchanged.", report.added, report.updated, report.unchanged);
    })
}

fn read_text(file: &Path) -> anyhow::Result<String> {
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes).context("standard input could not be read")?;
        bytes
    } else {
        std::fs::read(file).with_context(|| format!("{} could not be read", file.display()))?
    };
    String::from_utf8(bytes).context("the manifest is not UTF-8: save it as \"CSV UTF-8\"")
}

fn list_inventory(dir: &Path, output: Output) -> anyhow::Result<()> {
    answer(output, &Noc::open(dir)?.appliances()?, |appliances| {
        for a in appliances {
            let site = a.site.map_or_else(|| "-".to_owned(), |site| site.to_string());
            let address = a.settings.as_ref().map_or("-", |s| s.address.as_str());
            println!(
                "{}  {}  site {site}  {:?}  {:?}  {address}  {}",
                a.uid,
                a.mac,
                a.provisioning,
                a.health,
                printable(&a.serial)
            );
        }
    })
}

fn answer<T: Serialize>(output: Output, value: &T, text: impl FnOnce(&T)) -> anyhow::Result<()> {
    if output.json {
        println!("{}", serde_json::to_string(value)?);
    } else {
        text(value);
    }
    Ok(())
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no length of time: write 30m, 24h or 7d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    count.checked_mul(seconds).filter(|s| *s > 0).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Muster::command().debug_assert();
    }

    #[test]
    fn lengths_of_time_are_read() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        for wrong in ["", "h", "24", "1w", "0h", "-1h", "99999999999999999999d", "1\u{e9}"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
