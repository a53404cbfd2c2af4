//! The agent as it runs on appliances of the lab: one that waits to be configured, one that beats to a real NOC.

use super::footprint::Watched;
use crate::lab::{Before, Lab};
use crate::process::{Running, succeed};
use crate::wait::until;
use anyhow::{Context, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const SITE: &[&str] = &[
    "--pool",
    "10.20.0.100-10.20.0.120",
    "--gateway",
    "10.20.0.1",
    "--host-name",
    "lab-{n:02}",
    // The usual one: it decides what beating costs.
    "--beat-interval",
    "60",
    "--confirm",
    "first-beat",
    "--window",
    "90",
];

/// Two appliances under measurement.
pub struct Agents {
    lab: Lab,
    program: PathBuf,
    idle: Running,
    beating: Running,
}

impl Agents {
    /// Configures one appliance, whose first beat the NOC accepts, and lets another wait.
    pub fn start(program: &Path) -> anyhow::Result<Agents> {
        let mut lab = Lab::new("b");
        let mut manifest = String::new();
        for _ in 0..2 {
            let number = add_appliance(&mut lab);
            let mut label = at(&lab, program, number);
            label.args(["label", "--manifest", "--interface", "eth0"]);
            let lines = succeed(&mut label);
            let own = lines.lines().skip(usize::from(!manifest.is_empty()));
            manifest.extend(own.map(|line| format!("{line}\n")));
        }
        lab.start_noc(SITE, &manifest);
        let beating = start(&lab, program, 2);
        until("the agent to listen", Duration::from_secs(20), || is_listening(beating.id()).ok_or(beating.said()));
        let job = lab.muster(&["configure", "--all-unconfigured"]);
        let items = job["items"].as_array().context("items")?;
        ensure!(items.len() == 1 && items[0]["step"] == "configured", "{job}\n{}", beating.said());
        let idle = start(&lab, program, 1);
        until("the agent to listen", Duration::from_secs(20), || is_listening(idle.id()).ok_or(idle.said()));
        Ok(Agents { lab, program: program.to_owned(), idle, beating })
    }

    /// The one that waits.
    pub fn idle(&self) -> anyhow::Result<Watched> {
        Watched::start(self.idle.id())
    }

    /// The one that beats.
    pub fn beating(&self) -> anyhow::Result<Watched> {
        Watched::start(self.beating.id())
    }

    /// How many beats of its run the NOC has accepted.
    pub fn beats(&self) -> anyhow::Result<u64> {
        let mut command = at(&self.lab, &self.program, 2);
        command.args(["status", "--json"]);
        let status: Value = serde_json::from_str(&succeed(&mut command))?;
        status["beats_accepted"].as_u64().context("beats_accepted")
    }

    /// Milliseconds from the start of the program to its socket, of a third appliance: the median of `runs`.
    pub fn start_ms(&mut self, runs: usize) -> f64 {
        let number = add_appliance(&mut self.lab);
        let mut all: Vec<f64> = (0..runs)
            .map(|_| {
                let agent = start(&self.lab, &self.program, number);
                // `ip` and `unshare` become the agent; what they take is not its time.
                while !runs_as(agent.id(), &self.program) {
                    std::thread::yield_now();
                }
                let started = Instant::now();
                while is_listening(agent.id()).is_none() {
                    assert!(started.elapsed() < Duration::from_secs(20), "{}", agent.said());
                    std::thread::sleep(Duration::from_micros(200));
                }
                started.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    }
}

/// As it is installed: in two processes (decision 0018).
fn add_appliance(lab: &mut Lab) -> usize {
    let number = lab.add_appliance(Before { address: None, rp_filter: 0 });
    let folder = lab.appliances[number - 1].root.join("etc/muster");
    fs::create_dir_all(&folder).expect("files of a host");
    fs::write(folder.join("agent.toml"), "user = \"64078\"\n").expect("files of a host");
    number
}

fn at(lab: &Lab, program: &Path, number: usize) -> std::process::Command {
    let appliance = &lab.appliances[number - 1];
    let mut command = lab.netns(&appliance.host);
    command.args(["unshare", "--uts"]).arg(program);
    command.env("MUSTER_STATE_DIR", appliance.root.join("var/lib/muster")).env("MUSTER_ROOT", &appliance.root);
    command.env_remove("RUST_LOG");
    command
}

fn start(lab: &Lab, program: &Path, number: usize) -> Running {
    let mut command = at(lab, program, number);
    command.args(["run", "--interface", "eth0"]);
    Running::start(&mut command, &lab.folder().join(format!("agent-{number}.log")))
}

fn runs_as(pid: u32, program: &Path) -> bool {
    let running = fs::read_link(format!("/proc/{pid}/exe"));
    running.is_ok_and(|running| fs::canonicalize(program).is_ok_and(|program| program == running))
}

/// A socket on Muster's port in the network namespace of the process, by both protocols.
fn is_listening(pid: u32) -> Option<()> {
    let port = format!(":{:04X} ", muster_protocol::wire::PORT);
    let bound = |file: &str| fs::read_to_string(format!("/proc/{pid}/net/{file}")).is_ok_and(|t| t.contains(&port));
    (bound("udp") && bound("udp6")).then_some(())
}
