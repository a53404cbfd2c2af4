//! `muster-noc alert`: what went quiet, and what is done about it.

use super::{FolderArg, Output, answer, duration, operator, site};
use anyhow::{Result, bail};
use clap::Subcommand;
use muster_noc::{AlertEvent, Noc};
use muster_protocol::api::Alert;
use muster_protocol::text::printable;
use std::time::Duration;

#[derive(Subcommand)]
pub(super) enum AlertCommand {
    /// List open alerts, newest first.
    List {
        #[command(flatten)]
        folder: FolderArg,
        /// Also those that are over.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        output: Output,
    },
    /// What became of an alert.
    History {
        #[command(flatten)]
        folder: FolderArg,
        /// Its number.
        alert: u32,
        #[command(flatten)]
        output: Output,
    },
    /// Say that an alert was seen, and what of it.
    Ack {
        #[command(flatten)]
        folder: FolderArg,
        /// Its number.
        alert: u32,
        /// What there is to say.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Have nobody be told of an open alert for a while.
    Silence {
        #[command(flatten)]
        folder: FolderArg,
        /// Its number.
        alert: u32,
        /// For how long, as 30m, 24h or 7d.
        #[arg(long, value_parser = duration)]
        r#for: Duration,
        /// Why.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// End a silence before its time.
    Unsilence {
        #[command(flatten)]
        folder: FolderArg,
        /// Its number.
        alert: u32,
    },
    /// After which time alerts that nobody acknowledges or silences are escalated.
    Escalation {
        #[command(flatten)]
        folder: FolderArg,
        /// Whose alerts, by handle.
        #[arg(long, default_value = "default")]
        organisation: String,
        /// Only those of this site, by name or number.
        #[arg(long)]
        site: Option<String>,
        /// As 15m or 2h, `never`, or for a site `inherit`. Without it, what holds is shown.
        #[arg(long, value_parser = after)]
        after: Option<After>,
    },
}

/// A time until escalation.
#[derive(Clone, Copy)]
pub(super) enum After {
    Seconds(u32),
    Never,
    Inherit,
}

fn after(text: &str) -> Result<After, String> {
    match text {
        "never" => Ok(After::Never),
        "inherit" => Ok(After::Inherit),
        text => {
            let seconds = u32::try_from(duration(text)?.as_secs()).ok().filter(|seconds| *seconds <= 30 * 86_400);
            seconds.map(After::Seconds).ok_or_else(|| "it is at most 30d".to_owned())
        }
    }
}

impl AlertCommand {
    pub(super) fn run(self) -> Result<()> {
        match self {
            AlertCommand::List { folder, all, output } => {
                answer(output, &Noc::open(&folder.dir)?.alerts(!all)?, |alerts| alerts.iter().for_each(print))
            }
            AlertCommand::History { folder, alert, output } => {
                answer(output, &Noc::open(&folder.dir)?.alert_events(alert)?, |events| {
                    events.iter().for_each(print_event)
                })
            }
            AlertCommand::Ack { folder, alert, note } => {
                Noc::open(&folder.dir)?.acknowledge_alert(alert, note)?;
                println!("Alert {alert} is acknowledged.");
                Ok(())
            }
            AlertCommand::Silence { folder, alert, r#for, note } => {
                Noc::open(&folder.dir)?.silence_alert(alert, r#for, note)?;
                println!("Alert {alert} is silenced.");
                Ok(())
            }
            AlertCommand::Unsilence { folder, alert } => {
                Noc::open(&folder.dir)?.unsilence_alert(alert)?;
                println!("Alert {alert} is no longer silenced.");
                Ok(())
            }
            AlertCommand::Escalation { folder, organisation, site: name, after } => {
                let noc = Noc::open(&folder.dir)?;
                let organisation = operator::organisation(&noc, &organisation)?;
                let known = noc.sites_of(Some(organisation))?;
                let site = name.map(|name| Ok::<_, anyhow::Error>(site::find(&known, &name)?.id)).transpose()?;
                if let Some(after) = after {
                    let after_s = match (after, site) {
                        (After::Seconds(seconds), _) => Some(seconds),
                        (After::Never, None) => None,
                        (After::Never, Some(_)) => Some(0),
                        (After::Inherit, Some(_)) => None,
                        (After::Inherit, None) => bail!("only a site inherits: give --site, or --after never"),
                    };
                    noc.set_escalation(organisation, site, after_s)?;
                }
                match (noc.escalation(organisation, site)?, site) {
                    (None, Some(_)) => println!("As the organisation says."),
                    (None | Some(0), _) => println!("Never."),
                    (Some(seconds), _) => println!("After {seconds} s."),
                }
                Ok(())
            }
        }
    }
}

fn print(alert: &Alert) {
    let handling = &alert.handling;
    let mut state = vec![if alert.closed.is_some() { "over".to_owned() } else { "open".to_owned() }];
    if handling.escalated.is_some() {
        state.push("escalated".to_owned());
    }
    if handling.acknowledged.is_some() {
        state.push(format!("seen by {}", printable(&handling.acknowledged_by)));
    }
    if let Some(until) = handling.silenced_until {
        state.push(format!("silenced until {until}"));
    }
    let kind = word(&alert.kind);
    let uids: Vec<_> = alert.appliances.iter().take(5).map(|uid| uid.short()).collect();
    println!(
        "{}  {kind}  site {}  since {}  {}  {}",
        alert.id,
        alert.site,
        alert.opened,
        state.join(", "),
        uids.join(" ")
    );
}

fn print_event(event: &AlertEvent) {
    let who = if event.who.is_empty() { "noc" } else { &event.who };
    let until = event.until.map(|until| format!(" until {until}")).unwrap_or_default();
    println!("{}  {}{until}  {}  {}", event.time, word(&event.what), printable(who), printable(&event.note));
}

fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
