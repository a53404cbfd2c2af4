//! What somebody beside an appliance wants to know when it does not work: everything between the plug and the NOC, in the
//! order in which it has to work.

use crate::config::Config;
use crate::interfaces;
use crate::lock;
use crate::network::arp::{self, Timing};
use crate::network::back_end::BackEndChoice;
use crate::network::drift::Setting;
use crate::network::live::LiveNetwork;
use crate::network::{Link, Network, NetworkError, chain, find_link, shown};
use crate::noc_client;
use crate::saved::Saved;
use crate::separation;
use crate::status::{self, Status};
use crate::storage::FileStorage;
use muster_protocol::appliance::Appliance;
use muster_protocol::parameters::NetworkSettings;
use muster_protocol::wire::here::State;
use nix::sys::statvfs::statvfs;
use serde::Serialize;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// It works, but not as it should.
    Warning,
    /// This is why it does not work.
    Failed,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable word.
    pub check: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// What was found, and what to do about it.
    pub text: String,
}

/// Checks that were done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order in which they have to succeed. Where one fails, those that depend on it are missing.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing failed.
    pub fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.outcome != Outcome::Failed)
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let line = |finding: &Finding| {
            let mark = match finding.outcome {
                Outcome::Ok => "ok     ",
                Outcome::Warning => "warning",
                Outcome::Failed => "FAILED ",
            };
            format!("{mark}  {:<10} {}\n", finding.check, finding.text)
        };
        self.findings.iter().map(line).collect()
    }

    fn add(&mut self, check: &'static str, outcome: Outcome, text: impl Into<String>) {
        // Names of hosts and interfaces may come from elsewhere.
        self.findings.push(Finding { check, outcome, text: shown(&text.into()) });
    }
}

/// Free space below which the next document may not fit.
const LITTLE_SPACE: u64 = 1024 * 1024;

/// Does all checks. Changes nothing, but makes the identity if there is none; asks the gateway who it is, and opens a connection to
/// the NOC.
pub async fn diagnose(config: &Config) -> Report {
    let mut report = Report::default();
    agent(config, &mut report);
    let appliance = stored(config, &mut report);
    let link = interface(config, &mut report).await;
    let Some(appliance) = appliance else { return report };
    state(&appliance, &mut report);
    if let (Some(link), Some(settings)) = (link, appliance.settings()) {
        network(config, &link, settings, &mut report).await;
    }
    noc(config, &appliance, &mut report).await;
    report
}

fn agent(config: &Config, report: &mut Report) {
    match lock::holder(&config.state_dir) {
        Some(pid) => report.add("agent", Outcome::Ok, format!("runs as process {pid}")),
        None => report.add("agent", Outcome::Failed, "does not run. Start it, and look into its log if it ends again"),
    }
    match separation::account(config) {
        Ok(Some(account)) => {
            report.add("rights", Outcome::Ok, format!("datagrams are read by user {} without rights", account.uid));
        }
        Ok(None) => report.add(
            "rights",
            Outcome::Warning,
            "what reads datagrams has all rights of the agent. Make a user muster-agent, or name one in agent.toml",
        ),
        Err(error) => report.add("rights", Outcome::Failed, error.to_string()),
    }
}

fn stored(config: &Config, report: &mut Report) -> Option<Appliance> {
    let free = statvfs(&config.state_dir).map(|disk| disk.blocks_available() * disk.fragment_size());
    if free.is_ok_and(|free| free < LITTLE_SPACE) {
        let text = format!("less than 1 MiB is free for {}. Make room", config.state_dir.display());
        report.add("disk", Outcome::Failed, text);
    }
    let loaded = FileStorage::open(&config.state_dir).map_err(anyhow::Error::from);
    match loaded.and_then(|storage| Saved::load(config, &storage)) {
        Ok(saved) => {
            report.add("storage", Outcome::Ok, format!("UID {}", saved.appliance.uid()));
            Some(saved.appliance)
        }
        Err(error) => {
            report.add("storage", Outcome::Failed, format!("{error:#}"));
            None
        }
    }
}

async fn interface(config: &Config, report: &mut Report) -> Option<Link> {
    let choice =
        FileStorage::open(&config.state_dir).and_then(|storage| interfaces::chosen(&config.interface, &storage));
    let found = match choice {
        Ok(choice) => find_link(&choice).await,
        Err(error) => Err(error.into()),
    };
    match found {
        Ok(link) if link.up && !link.carrier => {
            let text =
                format!("{} ({}) has no carrier. Plug the cable in, and look at its other end", link.name, link.mac);
            report.add("interface", Outcome::Failed, text);
            Some(link)
        }
        Ok(link) => {
            let word = if link.up { "has a carrier" } else { "is down; the agent brings it up" };
            report.add("interface", Outcome::Ok, format!("{} ({}) {word}", link.name, link.mac));
            Some(link)
        }
        Err(error) => {
            report.add("interface", Outcome::Failed, chain(&error));
            None
        }
    }
}

fn state(appliance: &Appliance, report: &mut Report) {
    let text = match appliance.state() {
        State::Unconfigured => "unconfigured: it waits for a console to discover and configure it".to_owned(),
        state => format!("{}, sequence {}", status::word(state), appliance.seq()),
    };
    report.add("state", Outcome::Ok, text);
}

async fn network(config: &Config, link: &Link, settings: &NetworkSettings, report: &mut Report) {
    let Ok(storage) = FileStorage::open(&config.state_dir) else { return };
    let choice = BackEndChoice::new(config.network.clone());
    let network = LiveNetwork::new(link.name.clone(), config.root.clone(), config.probe, storage, choice);
    let address = settings.address();
    match network.drift(settings).await {
        Ok(drift) if drift.is_empty() => {
            report.add("settings", Outcome::Ok, format!("as they were configured: {address} on {}", link.name));
        }
        Ok(drift) => {
            let words: Vec<&str> = drift.iter().copied().map(Setting::word).collect();
            let text = format!("changed by hand: {}. Configure the appliance again to undo that", words.join(", "));
            report.add("settings", Outcome::Warning, text);
        }
        Err(error) => report.add("settings", Outcome::Failed, chain(&error)),
    }
    if let Some(why) = network.time_servers_untaken(settings).await {
        report.add("time", Outcome::Warning, format!("nobody takes the time servers: {why}"));
    }
    let told = Status::load(&config.state_dir).ok();
    if let Some(code) = told.as_ref().and_then(|status| status.network_problem.as_ref()) {
        let times = told.as_ref().map_or(0, |status| status.network_attempts);
        let text = format!(
            "the settings could not be brought into force ({code}, tried {times} times). The agent's log says why; it tries on"
        );
        report.add("network", Outcome::Failed, text);
    }
    if let Some(other) = told.and_then(|status| status.address_conflict) {
        let text = format!("{other} claims {address}, too. Find that host and give it another address");
        report.add("conflict", Outcome::Failed, text);
    }
    if let Some(gateway) = settings.gateway() {
        match arp::probe(link, gateway, Timing::FAST).await {
            Err(NetworkError::AddressTaken { by, .. }) => {
                report.add("gateway", Outcome::Ok, format!("{gateway} answers ({by})"));
            }
            Ok(_) => {
                let text = format!("{gateway} does not answer. Check the cable, the VLAN, and the gateway itself");
                report.add("gateway", Outcome::Failed, text);
            }
            Err(error) => report.add("gateway", Outcome::Warning, format!("cannot be asked: {}", chain(&error))),
        }
    }
}

async fn noc(config: &Config, appliance: &Appliance, report: &mut Report) {
    let Some(enrolment) = appliance.enrolment() else { return };
    match noc_client::reach(&enrolment).await {
        Ok(()) => report.add("noc", Outcome::Ok, format!("{} answers, and is the right one", enrolment.noc)),
        Err(error) => report.add("noc", Outcome::Failed, chain(&error)),
    }
    let Ok(status) = Status::load(&config.state_dir) else { return };
    let waiting = status.beats_waiting;
    match status.beat_error {
        None if status.beats_accepted > 0 => {
            report.add("beats", Outcome::Ok, format!("{} accepted since the start", status.beats_accepted));
        }
        None => report.add("beats", Outcome::Warning, "none was accepted since the start. Wait for an interval"),
        Some(code) => {
            let text = format!("the last one did not arrive ({code}); {waiting} wait. The agent's log says more");
            report.add("beats", Outcome::Failed, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_enough_and_no_text_gives_orders_to_a_terminal() {
        let mut report = Report::default();
        report.add("agent", Outcome::Ok, "runs");
        report.add("settings", Outcome::Warning, "changed");
        assert!(report.is_well());
        report.add("noc", Outcome::Failed, "\u{1b}[2Jnoc");
        assert!(!report.is_well());
        assert_eq!(
            report.to_text(),
            "ok       agent      runs\nwarning  settings   changed\nFAILED   noc        \u{fffd}[2Jnoc\n"
        );
    }
}
