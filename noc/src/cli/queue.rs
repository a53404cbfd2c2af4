//! `muster-noc queue`: has consoles do things (seed, FIGURE 2). The commands are the seed's messages.

use super::{FolderArg, Output, answer, duration};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use muster_noc::{MessageView, NewOrder, Noc, Standing};
use muster_protocol::id::{ConsoleId, Mac, SiteId};
use muster_protocol::parameters::RawSettings;
use muster_protocol::queue::{Filter, MessageNumber, Order};
use muster_protocol::text::printable;
use std::time::{Duration, Instant};

#[expect(clippy::large_enum_variant, reason = "one command is read, once")]
#[derive(Subcommand)]
pub(super) enum QueueCommand {
    /// sendRefresh(): have the console discover.
    Refresh {
        #[command(flatten)]
        to: To,
    },
    /// sendKick(MAC): have it kick-start an appliance that has applied its settings.
    Kick {
        #[command(flatten)]
        to: To,
        /// The appliance, as AA:BB:CC:00:11:22.
        mac: Mac,
    },
    /// sendConfig(MAC, hostname, domain, IP, netmask, gateway, DNS1, DNS2): have it configure an appliance.
    Config {
        #[command(flatten)]
        to: To,
        /// The site by whose policy. Default: the appliance's own, else the console's only one.
        #[arg(long, value_name = "NUMBER")]
        site: Option<u32>,
        /// The appliance, as AA:BB:CC:00:11:22.
        mac: Mac,
        /// Host name. Nothing from here on: what the site's policy says.
        #[arg(requires = "netmask")]
        host_name: Option<String>,
        /// Domain.
        domain: Option<String>,
        /// Address.
        ip: Option<String>,
        /// Netmask, as 255.255.255.0 or /24.
        netmask: Option<String>,
        /// Default gateway; "" for none.
        gateway: Option<String>,
        /// Primary name server; "" for none.
        dns1: Option<String>,
        /// Secondary name server; "" for none.
        dns2: Option<String>,
        /// IPv6 address beside it, with the length of its prefix, as 2001:db8::10/64.
        #[arg(long, requires = "host_name")]
        address6: Option<String>,
        /// IPv6 default gateway.
        #[arg(long, requires = "address6")]
        gateway6: Option<String>,
    },
    /// getList(filter): have it list appliances; prints the list when the console has answered.
    List {
        #[command(flatten)]
        to: To,
        /// 0 for all appliances, 2 for configured ones.
        #[arg(default_value_t = Filter::All)]
        filter: Filter,
    },
    /// getStatus(): how the last sendConfig before it stands; prints 0, 1 or -1 when the console has answered.
    Status {
        #[command(flatten)]
        to: To,
    },
    /// Show messages and what became of them, newest first.
    Show {
        #[command(flatten)]
        folder: FolderArg,
        /// Only those to this console.
        #[arg(long)]
        console: Option<u32>,
        /// Only this one; needs --console.
        #[arg(requires = "console")]
        number: Option<u64>,
        /// How many at most.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        output: Output,
    },
    /// Take back a message that its console has not taken.
    Cancel {
        #[command(flatten)]
        folder: FolderArg,
        /// The console.
        #[arg(long)]
        console: u32,
        /// The message.
        number: u64,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Args)]
pub(super) struct To {
    #[command(flatten)]
    folder: FolderArg,
    /// The console, by number.
    #[arg(long)]
    console: u32,
    /// How long the message may wait for the console, as 30m, 24h or 7d.
    #[arg(long, default_value = "1h", value_parser = duration)]
    valid: Duration,
    /// Wait so long for its end, and fail if it failed. `list` and `status` wait 60s when it is not said.
    #[arg(long, value_parser = duration)]
    wait: Option<Duration>,
    #[command(flatten)]
    output: Output,
}

/// How long a message that returns something is waited for.
const ANSWER: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

impl QueueCommand {
    pub(super) fn run(self) -> Result<()> {
        match self {
            QueueCommand::Refresh { to } => to.send(NewOrder::Refresh, None),
            QueueCommand::Kick { to, mac } => to.send(NewOrder::Kick { mac }, None),
            QueueCommand::List { to, filter } => to.send(NewOrder::List { filter }, Some(ANSWER)),
            QueueCommand::Status { to } => to.send(NewOrder::Status, Some(ANSWER)),
            QueueCommand::Config {
                to,
                site,
                mac,
                host_name,
                domain,
                ip,
                netmask,
                gateway,
                dns1,
                dns2,
                address6,
                gateway6,
            } => {
                let settings = host_name.map(|host_name| RawSettings {
                    host_name,
                    domain: domain.unwrap_or_default(),
                    address: ip.unwrap_or_default(),
                    netmask: netmask.unwrap_or_default(),
                    gateway: gateway.unwrap_or_default(),
                    dns1: dns1.unwrap_or_default(),
                    dns2: dns2.unwrap_or_default(),
                    address6: address6.unwrap_or_default(),
                    gateway6: gateway6.unwrap_or_default(),
                    // By the policy, for the seed's call has no place for them.
                    ..RawSettings::default()
                });
                to.send(NewOrder::Config { mac, site: site.map(SiteId), settings }, None)
            }
            QueueCommand::Show { folder, console: Some(console), number: Some(number), output, .. } => {
                let message = Noc::open(&folder.dir)?.message(ConsoleId(console), MessageNumber(number))?;
                answer(output, &message, show)
            }
            QueueCommand::Show { folder, console, limit, output, .. } => {
                let messages = Noc::open(&folder.dir)?.messages(console.map(ConsoleId), limit)?;
                answer(output, &messages, |messages| messages.iter().for_each(show))
            }
            QueueCommand::Cancel { folder, console, number, output } => {
                let message = Noc::open(&folder.dir)?.cancel_message(ConsoleId(console), MessageNumber(number))?;
                answer(output, &message, |_| println!("Message {number} is taken back."))
            }
        }
    }
}

impl To {
    fn send(self, order: NewOrder, wait: Option<Duration>) -> Result<()> {
        let noc = Noc::open(&self.folder.dir)?;
        let sent = noc.send(ConsoleId(self.console), order, self.valid)?;
        let Some(patience) = self.wait.or(wait) else {
            return answer(self.output, &sent, |sent| {
                println!("Message {} waits for console {}.", sent.number, sent.console);
            });
        };
        let until = Instant::now() + patience;
        let ended = loop {
            let message = noc.message(sent.console, sent.number)?;
            if message.is_over() {
                break message;
            }
            if Instant::now() >= until {
                bail!(
                    "console {} has not answered message {} within {} s; see `muster-noc queue show --console {} {}`",
                    sent.console,
                    sent.number,
                    patience.as_secs(),
                    sent.console,
                    sent.number
                );
            }
            std::thread::sleep(LOOK);
        };
        answer(self.output, &ended, |ended| match &ended.answer {
            Some(answer) => println!("{}", printable(answer)),
            None => show(ended),
        })?;
        match ended.state {
            Standing::Done => Ok(()),
            _ => bail!("{} was not carried out: {}", ended.name, why(&ended)),
        }
    }
}

fn why(message: &MessageView) -> String {
    match (message.state, message.code.as_str()) {
        (Standing::Expired, _) => "the console did not come for it in time".to_owned(),
        (Standing::Cancelled, _) => "it was taken back".to_owned(),
        (_, "") => printable(&message.detail),
        (_, code) => format!("{} [{}]", printable(&message.detail), printable(code)),
    }
}

fn show(message: &MessageView) {
    let what = match &message.order {
        Order::Kick { target } => format!("({})", target.mac),
        Order::Config { target, settings: None, .. } => format!("({}) by policy", target.mac),
        Order::Config { target, settings: Some(s), .. } => {
            format!("({}, {}, {}, {}, {})", target.mac, s.host_name, s.domain, s.address, s.netmask)
        }
        Order::List { filter } => format!("({filter})"),
        Order::Refresh | Order::Status => "()".to_owned(),
    };
    let ended = match message.state {
        Standing::Done => message.answer.as_deref().map(printable).unwrap_or_default(),
        Standing::Failed => why(message),
        _ => String::new(),
    };
    let line = format!(
        "{}  console {}  {}{}  {:?}  {ended}",
        message.number,
        message.console,
        message.name,
        printable(&what),
        message.state
    );
    println!("{}", line.trim_end());
}
