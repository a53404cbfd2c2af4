//! `muster-agent`: the daemon on an appliance, its label, its status.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use muster_agent::agent::StartError;
use muster_agent::config::{self, Config, ConfigError, ImageConfig, ProofName};
use muster_agent::diagnose::diagnose;
use muster_agent::identity::{Identity, IdentityError};
use muster_agent::installer::config::ComponentsConfig;
use muster_agent::interfaces;
use muster_agent::label::{Label, MANIFEST_HEADER};
use muster_agent::lock::{LockError, lock};
use muster_agent::network::back_end::BackEndName;
use muster_agent::network::{Choice, NetworkError, conformance, find_link};
use muster_agent::recent_log::RecentLog;
use muster_agent::reset::{self, ResetError};
use muster_agent::run;
use muster_agent::separation::SeparationError;
use muster_agent::separation::keeper::WORKER;
use muster_agent::separation::worker;
use muster_agent::status::Status;
use muster_agent::storage::{FileStorage, StorageError};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Muster's daemon on a network appliance
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: Options,
}

#[derive(Args)]
struct Options {
    /// Where identity and state are kept
    #[arg(long, global = true, default_value = "/var/lib/muster", env = "MUSTER_STATE_DIR")]
    state_dir: PathBuf,
    /// What system files are relative to; only for tests that share one file system
    #[arg(long, global = true, default_value = "/", env = "MUSTER_ROOT")]
    root: PathBuf,
    /// The network interface to configure, by name or by MAC address [default: the Ethernet interface on which a console asks]
    #[arg(long, global = true)]
    interface: Option<String>,
    /// A file with the claim code of a printed label, taken at first boot
    #[arg(long, global = true)]
    claim_file: Option<PathBuf>,
    /// Who sets the network [default: whoever does on this host]
    #[arg(long, global = true, value_name = "BACK_END")]
    network: Option<BackEndName>,
    /// A vendor's program that sets the network, for --network exec
    #[arg(long, global = true, value_name = "PROGRAM")]
    network_program: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon
    Run {
        /// What proves ownership while unconfigured [default: claim]
        #[arg(long)]
        proof: Option<ProofName>,
        /// Who reads what the network sends: a user by name or number; `root` for one process [default: muster-agent, if it exists]
        #[arg(long)]
        user: Option<String>,
    },
    /// Print the label: UID, MAC, claim code and QR code. The claim code is a secret
    Label {
        /// As JSON
        #[arg(long, conflicts_with = "manifest")]
        json: bool,
        /// As a manifest (CSV) for the NOC's inventory
        #[arg(long)]
        manifest: bool,
        /// Serial number on the label
        #[arg(long)]
        serial: Option<String>,
        /// Model on the label
        #[arg(long)]
        model: Option<String>,
    },
    /// Print how the agent stands
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Check everything between the plug and the NOC, and say what to do. Fails if something does not work
    Diagnose {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Test a vendor's network program against the contract of --network exec. It changes the network: use a bench
    Conformance {
        /// The program
        program: PathBuf,
        /// Test only rules whose text contains this
        #[arg(long, value_name = "WORDS", default_value = "", hide_default_value = true)]
        only: String,
    },
    /// Forget owner, settings and certificates; identity and label stay
    Reset {
        /// Do it without asking
        #[arg(long)]
        yes: bool,
    },
}

fn main() -> ExitCode {
    let log = start_log();
    // Not for people, and before any thread is made: a filter of system calls is for the threads that come after it.
    let done = if std::env::args_os().nth(1).is_some_and(|first| first == WORKER) {
        worker::work(log)
    } else {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.context("no runtime").and_then(|runtime| runtime.block_on(carry_out(Cli::parse(), log)))
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error);
            ExitCode::FAILURE
        }
    }
}

async fn carry_out(Cli { command, options }: Cli, log: RecentLog) -> anyhow::Result<()> {
    let image = ImageConfig::load(&options.root)?;
    let interface = options.interface.as_ref().or(image.interface.as_ref());
    let interface = interface.map(|text| text.parse::<Choice>()).transpose().map_err(ConfigError::from)?;
    let probe = image.timing();
    let chosen = if let Command::Run { proof, .. } = &command { *proof } else { None };
    let (proof, vendor) = image.ownership(chosen)?;
    let of_options = (options.network, options.network_program);
    let network = config::back_end(of_options, (image.network, image.network_program), &options.root)?;
    let application = image.application.map(|section| section.place()).transpose().map_err(ConfigError::from)?;
    image.components.as_ref().map(ComponentsConfig::check).transpose().map_err(ConfigError::from)?;
    let mut config = Config {
        state_dir: options.state_dir,
        root: options.root,
        interface: interface.unwrap_or_default(),
        probe,
        proof,
        vendor,
        claim_file: options.claim_file.or(image.claim_file),
        serial: image.serial.unwrap_or_default(),
        model: image.model.unwrap_or_default(),
        user: image.user,
        system_call_filter: image.system_call_filter.unwrap_or(true),
        drift: image.drift.unwrap_or_default(),
        reboot: image.reboot.unwrap_or_default(),
        network,
        application,
        components: image.components,
    };
    match command {
        Command::Run { user, .. } => {
            config.user = user.or(config.user);
            run::run(config, log).await
        }
        Command::Label { json, manifest, serial, model } => {
            config.serial = serial.unwrap_or(config.serial);
            config.model = model.unwrap_or(config.model);
            print_label(&config, json, manifest).await
        }
        Command::Status { json } => print_status(&config, json),
        Command::Diagnose { json } => print_diagnosis(&config, json).await,
        Command::Conformance { program, only } => test_program(&config, &program, &only).await,
        Command::Reset { yes } => factory_reset(&config, yes).await,
    }
}

/// To standard error, as much as is wanted; the newest of it also to memory.
fn start_log() -> RecentLog {
    let wanted = std::env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let filter = wanted.unwrap_or_else(|| Targets::new().with_default(tracing::Level::INFO));
    let lines = tracing_subscriber::fmt::layer();
    let lines = lines.with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    // It would print them where it could not print, and panic: a log that is gone must not end the daemon.
    let lines = lines.log_internal_errors(false);
    let log = RecentLog::default();
    let kept = tracing_subscriber::fmt::layer().with_writer(log.clone()).with_ansi(false).log_internal_errors(false);
    let kept = kept.with_filter(LevelFilter::INFO);
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(kept).init();
    log
}

/// What happened and what to do, why, and the stable word.
fn tell(error: &anyhow::Error) {
    eprintln!("muster-agent: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
    let code = None
        .or_else(|| error.downcast_ref::<StorageError>().map(StorageError::code))
        .or_else(|| error.downcast_ref::<IdentityError>().map(IdentityError::code))
        .or_else(|| error.downcast_ref::<ConfigError>().map(ConfigError::code))
        .or_else(|| error.downcast_ref::<NetworkError>().map(NetworkError::code))
        .or_else(|| error.downcast_ref::<StartError>().map(StartError::code))
        .or_else(|| error.downcast_ref::<LockError>().map(LockError::code))
        .or_else(|| error.downcast_ref::<ResetError>().map(ResetError::code))
        .or_else(|| error.downcast_ref::<SeparationError>().map(SeparationError::code));
    if let Some(code) = code {
        eprintln!("  [{code}]");
    }
}

async fn print_label(config: &Config, json: bool, manifest: bool) -> anyhow::Result<()> {
    let storage = FileStorage::open(&config.state_dir)?;
    let identity = Identity::load_or_make(&storage, config.claim_file.as_deref())?;
    let link = find_link(&interfaces::chosen(&config.interface, &storage)?).await?;
    let label = Label::new(&identity, link.mac, &config.serial, &config.model);
    if json {
        println!("{}", serde_json::to_string(&label)?);
    } else if manifest {
        println!("{MANIFEST_HEADER}\n{}", label.manifest_line());
    } else {
        print!("{}", label.to_text());
    }
    Ok(())
}

fn print_status(config: &Config, json: bool) -> anyhow::Result<()> {
    let status = Status::load(&config.state_dir)
        .with_context(|| format!("there is no status in {}: has muster-agent run here?", config.state_dir.display()))?;
    let running = lock(&config.state_dir).is_err();
    if json {
        let mut value = serde_json::to_value(&status)?;
        value["running"] = running.into();
        println!("{value}");
    } else {
        print!("{}", status.to_text());
        println!("Agent      {}", if running { "running" } else { "not running" });
    }
    Ok(())
}

async fn test_program(config: &Config, program: &Path, only: &str) -> anyhow::Result<()> {
    let program = std::path::absolute(program)?;
    let interface = find_link(&config.interface).await?.name;
    println!("{} on {interface}, contract version {}", program.display(), conformance::VERSION);
    let mut tested = 0;
    let mut tell = |check: &conformance::Check| {
        tested += 1;
        println!("{check}");
    };
    let failed = conformance::run(&program, &interface, only, &mut tell).await;
    anyhow::ensure!(failed == 0, "{failed} of the contract's rules do not hold: see docs/guide/src/vendors.md");
    if only.is_empty() {
        println!("the program conforms");
    } else {
        println!("{tested} rules hold; the others were not tested");
    }
    Ok(())
}

async fn print_diagnosis(config: &Config, json: bool) -> anyhow::Result<()> {
    let report = diagnose(config).await;
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", report.to_text());
    }
    if report.is_well() { Ok(()) } else { Err(anyhow::anyhow!("something does not work: see FAILED above")) }
}

async fn factory_reset(config: &Config, yes: bool) -> anyhow::Result<()> {
    if !yes {
        anyhow::bail!("a reset makes this appliance forget its owner and its settings: repeat with --yes");
    }
    let storage = FileStorage::open(&config.state_dir)?;
    reset::reset(config, &storage).await?;
    println!("The appliance is unconfigured.");
    Ok(())
}
