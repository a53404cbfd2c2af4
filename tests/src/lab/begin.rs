//! What most tests of the lab begin with: a site, appliances and their inventory, all configured by one job.

use super::{Before, Lab};
use crate::process::succeed;
use crate::wait::until;
use serde_json::Value;
use std::time::Duration;

/// A site of the lab's network whose beats and windows are as short as they may be.
const SITE: [&str; 10] = [
    "--pool",
    "10.20.0.100-10.20.0.120",
    "--gateway",
    "10.20.0.1",
    "--host-name",
    "lab-{n:02}",
    "--beat-interval",
    "5",
    "--window",
    "30",
];

const PATIENCE: Duration = Duration::from_secs(60);
/// A change that is rolled back takes its window, and some beats.
const LONG_PATIENCE: Duration = Duration::from_secs(120);

/// That site, with more options; one that is given again counts instead.
pub fn site<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let named = |option: &&str| more.iter().step_by(2).any(|other| other == option);
    let usual = SITE.chunks(2).filter(|pair| !named(&pair[0])).flatten();
    usual.chain(more).copied().collect()
}

impl Lab {
    /// Appliances with these networks, an `agent.toml` of their images each, and the manifest of all of them; none runs yet.
    pub fn add_appliances(&mut self, appliances: &[(Before<'_>, &str)]) -> String {
        let mut manifest = String::new();
        for (before, image) in appliances {
            let number = self.add_appliance(*before);
            if !image.is_empty() {
                let etc = self.appliances[number - 1].root.join("etc/muster");
                std::fs::create_dir_all(&etc).expect("made");
                std::fs::write(etc.join("agent.toml"), image).expect("written");
            }
            let lines = self.label(number);
            // The header once.
            let before = usize::from(!manifest.is_empty());
            manifest.extend(lines.lines().skip(before).map(|line| format!("{line}\n")));
        }
        manifest
    }

    /// Waits until the console hears all appliances.
    pub fn until_all_answer(&self) -> Value {
        until("every appliance to answer", PATIENCE, || {
            let found = self.muster(&["discover"]);
            let heard = found["appliances"].as_array().into_iter().flatten().filter(|row| row["heard"] == true).count();
            if heard == self.appliances.len() { Ok(found) } else { Err(format!("{found}\n{}", self.logs())) }
        })
    }

    /// Configures everything that is unconfigured; what the job says, each item of which is configured.
    pub fn configure_all(&self) -> Value {
        let job = self.muster(&["configure", "--all-unconfigured"]);
        let items = job["items"].as_array().expect("items");
        let all = items.len() == self.appliances.len() && items.iter().all(|item| item["step"] == "configured");
        assert!(all, "{job}\n{}", self.logs());
        job
    }

    /// `muster-noc WORDS --json`, at the NOC.
    pub fn at_noc(&self, words: &[&str]) -> Value {
        let mut command = self.at("noc", "muster-noc");
        command.args(words).args(["--json", "--dir"]).arg(self.folder().join("noc"));
        serde_json::from_str(&succeed(&mut command)).expect("JSON")
    }

    /// Waits until what the NOC knows of an appliance is as wanted.
    pub fn until_noc_shows(&self, number: usize, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let uid = &self.appliances[number - 1].uid;
        until(what, LONG_PATIENCE, || {
            let shown = self.at_noc(&["appliance", "show", uid]);
            if is_so(&shown) { Ok(shown) } else { Err(format!("{shown}\n{}", self.agent_log(number))) }
        })
    }

    /// Waits until what the console knows of an appliance that is well is as wanted.
    pub fn until_console_shows(&self, number: usize, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let uid = self.appliances[number - 1].uid.as_str();
        until(what, PATIENCE, || {
            let status = self.muster(&["status"]);
            let row = status["appliances"].as_array().into_iter().flatten().find(|row| row["uid"] == uid);
            match row {
                Some(row) if row["health"] == "well" && is_so(row) => Ok(row.clone()),
                _ => Err(format!("{status}\n{}", self.agent_log(number))),
            }
        })
    }

    /// Waits until the status of an appliance's agent is as wanted.
    pub fn until_agent_shows(&self, number: usize, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        until(what, PATIENCE, || {
            let status = self.agent_status(number);
            if is_so(&status) { Ok(status) } else { Err(format!("{status}\n{}", self.agent_log(number))) }
        })
    }

    /// The addresses of an appliance's interface, as the kernel lists them.
    pub fn addresses(&self, number: usize) -> String {
        self.ip(&self.appliances[number - 1].host, "-4 -o addr show dev eth0 scope global")
    }
}
