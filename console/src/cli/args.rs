//! The grammar of the command line.

use clap::{Args as ClapArgs, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Finds network appliances, configures them in one pass, and tells which have gone quiet.
#[derive(Debug, Parser)]
#[command(name = "muster", version)]
pub(super) struct Args {
    /// Print JSON instead of tables; errors, too, as {"problem":…} on the error stream
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Where this console keeps its identity and its jobs [default: ~/.local/share/muster]
    #[arg(long, global = true, value_name = "FOLDER", env = "MUSTER_DATA_DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Ping this address as well; may be repeated
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub(super) target: Vec<SocketAddr>,
    /// Leave the network interfaces alone; only the targets are pinged
    #[arg(long, global = true)]
    pub(super) no_lan: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Join a NOC with an invite
    Join {
        /// The invite, or - to read it from standard input (so that it stays out of the list of processes)
        #[arg(value_name = "INVITE")]
        invite: String,
    },
    /// Call the roll: who is on the local network?
    Discover,
    /// Discover, and ask the NOC what the appliances would get
    Plan(PlanArgs),
    /// Configure appliances; goes on until each is done
    Configure(ConfigureArgs),
    /// What the NOC knows of every appliance
    Status,
    /// Open alerts
    Alerts {
        /// Closed ones as well
        #[arg(long)]
        all: bool,
        #[command(subcommand)]
        command: Option<AlertsCommand>,
    },
    /// Explain a datagram of the protocol: every field, what is sealed to whom, or what is wrong at which byte
    Decode(DecodeArgs),
    /// Stand by: do what the NOC's message queue says, and go on with jobs, until stopped
    Run,
    /// What the NOC's message queue had this console do, newest first
    Queue,
    /// Make, check, sign and publish an applet: what a vendor adds to the consoles of a site
    Applet {
        #[command(subcommand)]
        command: AppletCommand,
    },
    /// Configuration jobs of this console
    Job {
        #[command(subcommand)]
        command: JobCommand,
    },
}

#[derive(Debug, ClapArgs)]
pub(super) struct Choice {
    /// The site; may be left out when there is only one
    #[arg(long, value_name = "NAME OR NUMBER")]
    pub(super) site: Option<String>,
    /// Label codes of appliances that the inventory does not know: CSV with the columns uid or mac, and code
    #[arg(long, value_name = "FILE")]
    pub(super) claims: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub(super) choice: Choice,
    /// Only these appliances; may be repeated [default: all that are not configured]
    #[arg(long, value_name = "UID")]
    pub(super) only: Vec<String>,
    /// Write the plan as CSV, to be edited and given to `configure --plan`
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ConfigureArgs {
    #[command(flatten)]
    pub(super) choice: Choice,
    /// Everything that is not configured, as the NOC's policy says
    #[arg(long, required_unless_present = "plan", conflicts_with = "plan")]
    pub(super) all_unconfigured: bool,
    /// The rows of a plan that `muster plan --out` wrote, as edited
    #[arg(long, value_name = "FILE")]
    pub(super) plan: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct DecodeArgs {
    /// The UDP payload in hexadecimal, with spaces, colons or 0x as you have it; or - to read it from standard input
    #[arg(value_name = "HEX")]
    pub(super) hex: String,
    /// An Ed25519 public key to check signatures with that do not carry their own, in hexadecimal or base64; may be repeated
    #[arg(long, value_name = "PUBLIC KEY")]
    pub(super) key: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum AlertsCommand {
    /// Say that an alert was seen: nobody is waited for any more
    Ack {
        /// Its number
        alert: u32,
        /// What there is to say
        #[arg(long, default_value = "")]
        note: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum AppletCommand {
    /// Write the first files of a new applet, which work as they are
    New {
        /// The folder; made
        folder: PathBuf,
        /// What the applet is called [default: the folder's name]
        #[arg(long)]
        name: Option<String>,
    },
    /// Tell everything that is wrong with an applet
    Check {
        /// A folder, or a packed or signed file
        applet: PathBuf,
    },
    /// Show in words what administrators will see
    Preview {
        /// A folder, or a packed or signed file
        applet: PathBuf,
        /// In this language, as de
        #[arg(long, default_value = "en")]
        language: String,
    },
    /// Pack a folder into one file, for somebody else to sign
    Pack {
        /// The folder
        folder: PathBuf,
        /// Where to [default: NAME-VERSION.unsigned]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Make the key that you sign your applets with
    Key {
        /// Where to keep it: a file that only you can read
        file: PathBuf,
    },
    /// Sign an applet
    Sign {
        /// A folder, or a packed file
        applet: PathBuf,
        /// The file of your key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where to [default: NAME-VERSION.applet]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Give a signed applet to a NOC
    Publish(PublishArgs),
}

#[derive(Debug, ClapArgs)]
pub(super) struct PublishArgs {
    /// The signed file
    pub(super) applet: PathBuf,
    /// The NOC's interface for operators
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) noc: String,
    /// The file of the NOC's CA certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub(super) ca: PathBuf,
    /// A file that holds an API token with the scope organisations:write
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: PathBuf,
    /// The number of the organisation at the NOC
    #[arg(long, value_name = "NUMBER")]
    pub(super) organisation: u64,
    /// Where it goes: test, for the sites and consoles that try things first, or stable
    #[arg(long, default_value = "test", value_parser = ["test", "stable"])]
    pub(super) channel: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum JobCommand {
    /// All jobs
    List,
    /// One job, an appliance a line
    Show {
        /// Its number
        id: u32,
        /// As CSV
        #[arg(long)]
        csv: bool,
    },
    /// Go on with unfinished jobs until they are done
    Resume,
    /// Configure the failed appliances of a job again
    Retry {
        /// Its number
        id: u32,
        /// Only these [default: all that failed]
        uids: Vec<String>,
    },
    /// Stop what has not begun; appliances in the middle are finished first
    Cancel {
        /// Its number
        id: u32,
    },
}
