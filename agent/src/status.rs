//! What the agent tells locally: a file in the state folder, for `muster-agent status` and for scripts.

use crate::agent::{Agent, TriedNoc};
use crate::health::Health;
use crate::network::{Network, shown};
use crate::storage::Storage;
use muster_protocol::api::{ComponentReport, ComponentState};
use muster_protocol::id::{Mac, Seq, SiteId, Uid};
use muster_protocol::parameters::{DriftPolicy, RawSettings};
use muster_protocol::wire::here::State;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;

/// How the agent stands. Holds no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its identity.
    pub uid: Uid,
    /// The configured interface.
    pub interface: String,
    /// Its MAC.
    pub mac: Mac,
    /// Whether a cable leads somewhere.
    #[serde(default)]
    pub carrier: bool,
    /// The interfaces that are listened on.
    #[serde(default)]
    pub listening: Vec<String>,
    /// Who else claims the address.
    #[serde(default)]
    pub address_conflict: Option<Mac>,
    /// Addresses that the settings do not name, of a DHCP client for example.
    #[serde(default)]
    pub other_addresses: Vec<String>,
    /// How often the settings were put back since the start, because somebody took them off the interface.
    #[serde(default)]
    pub settings_put_back: u64,
    /// `unconfigured`, `installing`, `provisional` or `configured`.
    pub state: String,
    /// The highest grant accepted.
    pub seq: Seq,
    /// The final settings.
    pub settings: Option<RawSettings>,
    /// The site.
    pub site: Option<SiteId>,
    /// Where it reports to.
    pub noc: Option<String>,
    /// How many beats the NOC accepted since the start.
    pub beats_accepted: u64,
    /// NOC time of the last accepted beat.
    pub last_beat: Option<u64>,
    /// How many beats wait for the NOC.
    #[serde(default)]
    pub beats_waiting: usize,
    /// Why beats do not arrive: a stable word.
    pub beat_error: Option<String>,
    /// Settings that somebody changed by hand, by stable words.
    #[serde(default)]
    pub drift: Vec<String>,
    /// The NOC that it is about to be handed over to.
    #[serde(default)]
    pub handover: Option<TriedNoc>,
    /// Whether these are set again (`restore`) or only told (`report`), as the site or the image says.
    #[serde(default)]
    pub drift_policy: DriftPolicy,
    /// Why the settings are not in force: a stable word.
    #[serde(default)]
    pub network_problem: Option<String>,
    /// How often in a row they could not be brought into force.
    #[serde(default)]
    pub network_attempts: u32,
    /// The components that the NOC requires, as the last beat told of them.
    #[serde(default)]
    pub components: Vec<ComponentReport>,
}

/// What a status says of the network; the words are those of [`Status`].
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "documented in Status")]
pub struct OnNetwork {
    pub interface: String,
    pub mac: Mac,
    pub carrier: bool,
    pub listening: Vec<String>,
    pub address_conflict: Option<Mac>,
    pub other_addresses: Vec<String>,
    pub settings_put_back: u64,
}

impl Status {
    /// Of an agent.
    pub fn of<S: Storage + Clone, N: Network, H: Health>(agent: &Agent<S, N, H>, on: OnNetwork) -> Status {
        let beat = agent.last_beat();
        Status {
            uid: agent.uid(),
            interface: on.interface,
            mac: on.mac,
            carrier: on.carrier,
            listening: on.listening,
            address_conflict: on.address_conflict,
            other_addresses: on.other_addresses,
            settings_put_back: on.settings_put_back,
            state: word(agent.state()).to_owned(),
            seq: agent.seq(),
            settings: agent.settings().map(|settings| settings.to_raw()),
            site: agent.reporting().map(|enrolment| enrolment.site),
            noc: agent.reporting().map(|enrolment| enrolment.noc.clone()),
            beats_accepted: beat.accepted,
            last_beat: beat.at,
            beats_waiting: agent.beats_waiting(),
            beat_error: beat.error.map(str::to_owned),
            drift: agent.drift(),
            handover: agent.tries(),
            drift_policy: agent.drift_policy(),
            network_problem: agent.network_problem().map(|problem| problem.code.clone()),
            network_attempts: agent.network_problem().map_or(0, |problem| problem.attempts),
            components: agent.components().to_vec(),
        }
    }

    /// Writes it to the state folder. Not synced: it changes with every beat, which would wear flash out, and a start after
    /// a power cut writes it anew.
    pub fn store(&self, folder: &Path) -> io::Result<()> {
        let beside = folder.join("status.json.new");
        fs::write(&beside, serde_json::to_vec_pretty(self)?)?;
        fs::rename(&beside, folder.join(FILE))
    }

    /// The last one written.
    pub fn load(folder: &Path) -> io::Result<Status> {
        Ok(serde_json::from_slice(&fs::read(folder.join(FILE))?)?)
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "UID        {}\nInterface  {} ({})\nCarrier    {}\nState      {}\nSequence   {}\n",
            self.uid,
            self.interface,
            self.mac,
            if self.carrier { "yes" } else { "no" },
            self.state,
            self.seq
        );
        let mut line = |name: &str, value: &str| {
            if !value.is_empty() {
                text += &format!("{name:<10} {value}\n");
            }
        };
        line("Listening", &self.listening.join(" "));
        if let Some(settings) = &self.settings {
            line("Host name", &format!("{}.{}", settings.host_name, settings.domain));
            line("Address", &settings.address);
            line("Netmask", &settings.netmask);
            line("Gateway", &settings.gateway);
            line("IPv6", &settings.address6);
            line("Gateway 6", &settings.gateway6);
            line("DNS", format!("{} {}", settings.dns1, settings.dns2).trim());
            line("Search", &settings.search_domains);
            line("NTP", &settings.ntp);
        }
        if let Some(problem) = &self.network_problem {
            let times = self.network_attempts;
            line("Network", &format!("the settings are not in force ({problem}), tried {times} times"));
        }
        if let Some(other) = &self.address_conflict {
            line("Conflict", &format!("{other} claims the same address"));
        }
        line("Also has", &self.other_addresses.join(" "));
        if self.settings_put_back > 0 {
            line("Put back", &format!("the settings, {} times since the start", self.settings_put_back));
        }
        // Its grant says that, and it may have signed any text.
        line("NOC", &shown(self.noc.as_deref().unwrap_or_default()));
        if self.noc.is_some() {
            line("Beats", &format!("{} accepted since the start", self.beats_accepted));
        }
        if self.beats_waiting > 0 {
            line("Waiting", &format!("{} beats, until the NOC is back", self.beats_waiting));
        }
        if let Some(TriedNoc { noc, problem }) = &self.handover {
            let problem = problem.as_deref().map(|problem| format!(", which does not take it yet: {problem}"));
            line("Hand-over", &format!("to {}{}", shown(noc), problem.unwrap_or_default()));
        }
        line("Changed", &self.drift.join(", "));
        for component in &self.components {
            line("Component", &of_component(component));
        }
        line("Problem", self.beat_error.as_deref().unwrap_or_default());
        text
    }
}

fn of_component(component: &ComponentReport) -> String {
    let ComponentReport { name, version, state, running, percent, problem } = component;
    let how = match state {
        ComponentState::Waiting => "waits for its turn",
        ComponentState::Downloading => "is being downloaded",
        ComponentState::Installing => "is being installed",
        ComponentState::Installed => "is installed",
        ComponentState::Failed => "could not be installed",
    };
    let percent = percent.map(|percent| format!(" ({percent} %)")).unwrap_or_default();
    let problem = problem.as_deref().map(|problem| format!(": {problem}")).unwrap_or_default();
    let runs = match running {
        Some(running) if running != version => format!("; {running} runs"),
        None if *state != ComponentState::Installed => "; none runs".to_owned(),
        _ => String::new(),
    };
    // The repository says these, and who may sign there may have written any text.
    shown(&format!("{name} {version} {how}{percent}{problem}{runs}"))
}

const FILE: &str = "status.json";

/// The stable word of a state.
pub fn word(state: State) -> &'static str {
    match state {
        State::Unconfigured => "unconfigured",
        State::Installing => "installing",
        State::Provisional => "provisional",
        State::Configured => "configured",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_one_line_that_says_what_is_the_matter() {
        let report = |state, running: Option<&str>, percent, problem: Option<&str>| ComponentReport {
            name: "mail".into(),
            version: "2.1".into(),
            state,
            running: running.map(str::to_owned),
            percent,
            problem: problem.map(str::to_owned),
        };
        let lines = [
            (report(ComponentState::Waiting, None, None, None), "mail 2.1 waits for its turn; none runs"),
            (
                report(ComponentState::Downloading, Some("2.0"), Some(40), None),
                "mail 2.1 is being downloaded (40 %); 2.0 runs",
            ),
            (report(ComponentState::Installed, Some("2.1"), None, None), "mail 2.1 is installed"),
            (
                report(ComponentState::Failed, Some("2.0"), None, Some("unhealthy: it said\nno")),
                "mail 2.1 could not be installed: unhealthy: it said\u{fffd}no; 2.0 runs",
            ),
        ];
        for (report, line) in lines {
            assert_eq!(of_component(&report), line);
        }
    }
}
