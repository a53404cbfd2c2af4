//! The agent in two processes, as it is installed: what reads datagrams is nobody, and everything works as in one.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;
use system_tests::lab::begin::site;
use system_tests::lab::{Before, Lab};
use system_tests::wait::until;

const USER: &str = "64078";
/// What its image says.
fn image() -> String {
    format!("user = \"{USER}\"\n")
}

/// `/proc/PID/status` of a process.
fn status(pid: u32) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect()
}

/// The worker of an agent.
fn worker(lab: &Lab, number: usize) -> u32 {
    let keeper = lab.agent_pid(number);
    until("the worker", Duration::from_secs(10), || {
        let children = fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap_or_default();
        let child = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
        let is_worker =
            |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(b"worker\0"));
        child.filter(is_worker).ok_or_else(|| format!("{children}\n{}", lab.agent_log(number)))
    })
}

/// Sockets of a process by the file of its network that lists them.
fn sockets(pid: u32, file: &str) -> usize {
    let own: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(fs::read_link(entry.ok()?.path()).ok()?.to_string_lossy().into_owned()))
        .filter_map(|target| Some(target.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = fs::read_to_string(format!("/proc/{pid}/net/{file}")).unwrap_or_default();
    table.lines().filter(|line| line.split_whitespace().any(|word| own.iter().any(|inode| inode == word))).count()
}

fn all_well(lab: &Lab) -> Result<Value, String> {
    let status = lab.muster(&["status"]);
    let rows = status["appliances"].as_array().expect("appliances");
    if rows.len() == 2 && rows.iter().all(|row| row["health"] == "well") { Ok(status) } else { Err(status.to_string()) }
}

#[test]
fn what_reads_datagrams_has_no_rights_and_the_job_is_done_all_the_same() {
    let mut lab = Lab::new("r");
    // For root alone, as an image may have it.
    let image = image();
    let manifest = lab.add_appliances(&[
        (Before { address: None, rp_filter: 1 }, &image),
        (Before { address: Some("192.168.77.5/24"), rp_filter: 0 }, &image),
    ]);
    lab.start_noc(&site(&["--dns1", "10.20.0.1", "--confirm", "first-beat"]), &manifest);
    let mut workers = Vec::new();
    for number in 1..=2 {
        lab.start_agent(number);
        workers.push(worker(&lab, number));
    }

    // One of them behind rp_filter.
    let found = lab.until_all_answer();
    assert!(found["appliances"].as_array().expect("rows").iter().all(|row| row["state"] == "unconfigured"), "{found}");

    for (number, worker) in workers.iter().enumerate() {
        let of_worker = status(*worker);
        let of_keeper = status(lab.agent_pid(number + 1));
        assert_eq!(of_worker["Uid"], [USER; 4].join("\t"));
        assert_eq!(of_worker["Gid"], [USER; 4].join("\t"));
        assert_eq!(of_worker["Groups"], "");
        // Bit 13: CAP_NET_RAW.
        assert_eq!(of_worker["CapEff"], "0000000000002000");
        assert_eq!(of_worker["CapPrm"], of_worker["CapEff"]);
        assert_eq!((of_worker["NoNewPrivs"].as_str(), of_worker["Seccomp"].as_str()), ("1", "2"), "filtered");
        assert_eq!(of_keeper["NoNewPrivs"], "1");
        assert!(sockets(*worker, "udp") > 0 && sockets(*worker, "udp6") > 0, "the worker is the one that listens");
        let keeper = lab.agent_pid(number + 1);
        for file in ["udp", "udp6", "tcp", "tcp6", "raw", "packet"] {
            assert_eq!(sockets(keeper, file), 0, "root holds no {file} socket");
        }
    }

    let job = lab.configure_all();
    let items = job["items"].as_array().expect("items");
    for number in 1..=2 {
        let appliance = &lab.appliances[number - 1];
        let item = items.iter().find(|item| item["uid"] == appliance.uid.as_str()).expect("an item each");
        let address = item["settings"]["address"].as_str().expect("an address");
        assert!(lab.addresses(number).contains(&format!("inet {address}/24 ")));
        assert_eq!(lab.host_name(number), item["settings"]["host_name"].as_str().expect("a host name"));
        let resolver = fs::read_to_string(appliance.root.join("etc/resolv.conf")).unwrap_or_default();
        assert!(resolver.contains("nameserver 10.20.0.1"), "{resolver}");
        let identity = fs::metadata(appliance.root.join("var/lib/muster/identity")).expect("there");
        use std::os::unix::fs::MetadataExt;
        assert_eq!((identity.uid(), identity.mode() & 0o777), (0, 0o600), "the worker owns no file");
    }
    until("both are well", Duration::from_secs(60), || all_well(&lab));
    assert_eq!(lab.agent_status(1)["state"], "configured", "the keeper tells");

    // Keeper and worker end together, whichever is killed.
    lab.cut_power(1);
    until("the worker to end with its keeper", Duration::from_secs(10), || match status(workers[0]).get("State") {
        Some(state) if !state.starts_with('Z') => Err(state.clone()),
        _ => Ok(()),
    });
    let keeper = lab.agent_pid(2);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(workers[1].cast_signed()), nix::sys::signal::Signal::SIGKILL)
        .expect("killed");
    until("the keeper to end with its worker", Duration::from_secs(10), || match status(keeper).get("State") {
        Some(state) if !state.starts_with('Z') => Err(state.clone()),
        _ => Ok(()),
    });
    assert!(lab.agent_log(2).contains("other_process_ended"), "{}", lab.agent_log(2));
    // Started again they go on as before.
    for number in 1..=2 {
        lab.start_agent(number);
        worker(&lab, number);
    }
    until("both are well again", Duration::from_secs(60), || all_well(&lab));
}

#[test]
fn a_change_that_is_not_confirmed_is_rolled_back_by_the_keeper() {
    let mut lab = Lab::new("s");
    let manifest = lab.add_appliances(&[(Before { address: Some("10.20.0.77/24"), rp_filter: 0 }, &image())]);
    // Its gateway leads nowhere: no beat will arrive.
    lab.start_noc(&site(&["--confirm", "first-beat", "--gateway", "10.20.0.250"]), &manifest);
    lab.start_agent(1);
    worker(&lab, 1);
    lab.until_all_answer();
    let output = system_tests::process::output(&mut lab.muster_command(&["configure", "--all-unconfigured"]));
    let job: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(job["items"][0]["problem"]["code"], "no_beat", "{job}\n{}", lab.logs());
    let kernel = lab.addresses(1);
    assert!(kernel.contains("inet 10.20.0.77/24") && kernel.lines().count() == 1, "what it had: {kernel}");
    assert_eq!(fs::read_to_string(lab.appliances[0].root.join("etc/hostname")).expect("there"), "factory\n");
    assert!(!lab.appliances[0].root.join("var/lib/muster/former-network").exists());
}
