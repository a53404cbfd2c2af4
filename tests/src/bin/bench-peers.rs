//! `bench-peers`: the same settings by Muster, by an Ansible playbook and by a parallel ssh loop, one JSON line. Root.

use anyhow::ensure;
use clap::Parser;
use serde_json::json;
use std::io::Write;
use system_tests::bench::job;
use system_tests::bench::peers::{self, Hosts};

/// The same settings by Muster, Ansible and ssh.
#[derive(Parser)]
struct Options {
    /// How many hosts for Ansible and ssh; Muster configures as many, too.
    #[arg(long, default_value_t = 50)]
    hosts: u32,
    /// How many appliances in Muster's larger job.
    #[arg(long, default_value_t = 1_000)]
    appliances: u32,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let missing = peers::missing();
    ensure!(missing.is_empty(), "not installed: {} (make bench-peers installs it)", missing.join(", "));

    let few = f64::from(options.hosts);
    let muster_few = job::run(options.hosts)?.seconds / few;
    let muster = job::run(options.appliances)?.seconds / f64::from(options.appliances);
    let hosts = Hosts::start(options.hosts)?;
    let ansible = hosts.ansible(None)? / few;
    let ansible_forks = hosts.ansible(Some(options.hosts))? / few;
    let ssh = hosts.ssh_loop()? / few;
    drop(hosts);

    let round = |value: f64| (value * 10_000.0).round() / 10_000.0;
    let times = |value: f64| (value * 10.0).round() / 10.0;
    // The faster of Ansible's two is what is compared with.
    let best = ansible.min(ansible_forks);
    let line = json!({
        "bench": "peers",
        "hosts": options.hosts,
        "appliances": options.appliances,
        "ansible_s_per_host": round(ansible),
        "ansible_forks_s_per_host": round(ansible_forks),
        "ssh_loop_s_per_host": round(ssh),
        "muster_s_per_host": round(muster),
        "vs_ansible": times(best / muster),
        "vs_ssh": times(ssh / muster),
        "muster_few_s_per_host": round(muster_few),
        "vs_ansible_few": times(best / muster_few),
        "vs_ssh_few": times(ssh / muster_few),
        "ansible": peers::ansible_version()?,
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
    });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
