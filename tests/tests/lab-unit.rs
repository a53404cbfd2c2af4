//! The unit that is shipped, under a systemd that runs, with all of its limits: it answers, is configured, changed and reset.

use std::time::Duration;
use system_tests::lab::begin::site;
use system_tests::lab::systemd::System;
use system_tests::lab::{Before, Lab};
use system_tests::wait::until;

/// CAP_SETGID, CAP_SETUID, CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN: bits 6, 7, 12, 13 and 21.
const BOUNDING: &str = "CapBnd:\t00000000002030c0";

fn is_active(system: &System) -> Result<(), String> {
    let state = system.property("ActiveState");
    if state == "active" { Ok(()) } else { Err(format!("{state}: {}", system.property("Result"))) }
}

#[test]
fn the_unit_that_is_shipped_does_the_job_with_all_of_its_limits() {
    let mut lab = Lab::new("u");
    let manifest = lab.add_appliances(&[(Before { address: None, rp_filter: 1 }, "network = \"bare\"\n")]);
    lab.start_noc(&site(&["--dns1", "10.20.0.1", "--drift", "restore"]), &manifest);
    let system = lab.boot(1, &[]);
    until("the unit to be active", Duration::from_secs(20), || is_active(&system));

    // What systemd limits, as the kernel has it.
    let keeper = system.property("MainPID");
    let status = system.status(&keeper);
    for wanted in [BOUNDING, "NoNewPrivs:\t1", "Seccomp:\t2", "Uid:\t0\t0\t0\t0"] {
        assert!(status.contains(wanted), "{wanted}: {status}");
    }
    let worker = system.said(&format!("cat /proc/{keeper}/task/{keeper}/children"));
    let status = system.status(worker.trim());
    let user = system.said("id -u muster-agent");
    for wanted in [&format!("Uid:\t{}\t", user.trim()), "CapEff:\t0000000000002000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(wanted), "{wanted}: {status}");
    }
    let as_the_agent = |command: &str| system.said(&format!("nsenter -t {keeper} -m sh -c '{command} 2>&1 || true'"));
    for folder in ["/usr", "/var", "/opt"] {
        let refused = as_the_agent(&format!("touch {folder}/anything"));
        assert!(refused.contains("Read-only file system"), "{folder}: {refused}");
    }
    assert_eq!(as_the_agent("ls /home").trim(), "", "no homes");
    assert!(as_the_agent("ls /root").contains("Permission denied") || as_the_agent("ls /root").trim().is_empty());
    assert!(as_the_agent("ls /dev/mem").contains("No such file"), "no devices");
    assert_eq!(as_the_agent("touch /etc/writable; ls /etc/writable").trim(), "/etc/writable");
    assert_eq!(system.said("stat -c %a /var/lib/muster").trim(), "700");

    let found = lab.until_all_answer();
    assert_eq!(found["appliances"][0]["state"], "unconfigured", "{found}");
    let job = lab.configure_all();
    let settings = &job["items"][0]["settings"];
    lab.until_console_shows(1, "a beat", |row| row["values"]["drift"] == serde_json::json!([]));
    let address = settings["address"].as_str().expect("an address");
    assert!(lab.addresses(1).contains(&format!("inet {address}/24 ")), "{}", lab.addresses(1));
    assert_eq!(system.said("hostname").trim(), settings["host_name"].as_str().expect("a name"));
    assert!(system.said("cat /etc/resolv.conf").contains("nameserver 10.20.0.1"));
    assert!(system.said("cat /etc/systemd/network/10-muster-eth0.network").contains(address));

    // By hand, from afar, and over a restart of the unit.
    lab.ip("a1", "addr add 10.20.0.97/24 dev eth0");
    until("one address again", Duration::from_secs(40), || match lab.addresses(1).lines().count() {
        1 => Ok(()),
        many => Err(format!("{many} addresses\n{}", lab.agent_log(1))),
    });
    let uid = lab.appliances[0].uid.clone();
    lab.at_noc(&["appliance", "configure", &uid, "--address", "10.20.0.200", "--host-name", "moved"]);
    lab.until_noc_shows(1, "new settings in force", |shown| shown["given"]["state"] == "in_force");
    assert!(lab.addresses(1).contains("inet 10.20.0.200/24"), "{}", lab.addresses(1));
    system.said("systemctl restart muster-agent.service");
    assert_ne!(system.property("MainPID"), keeper);
    let beats = |system: &System| {
        let status = system.said("muster-agent status --json");
        let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
        if status["beats_accepted"].as_u64() > Some(0) { Ok(status) } else { Err(status.to_string()) }
    };
    let status = until("beats after the restart", Duration::from_secs(40), || beats(&system));
    assert_eq!(status["settings"]["host_name"], "moved");
    assert!(system.said("muster-agent diagnose || true").contains("ok       rights     datagrams are read by user"));

    // A button resets it: the agent is ended, and systemd starts it again.
    system.said("muster-agent reset --yes");
    until("it to be unconfigured", Duration::from_secs(40), || {
        let status = system.said("muster-agent status --json");
        let is_new = status.contains("\"unconfigured\"") && status.contains("\"running\":true");
        if is_new { Ok(()) } else { Err(format!("{status}\n{}", lab.agent_log(1))) }
    });
    is_active(&system).expect("it runs again");
    assert_eq!(lab.addresses(1), "");
    let log = lab.agent_log(1);
    assert!(
        !log.contains("Operation not permitted") && !log.contains("SIGSYS"),
        "nothing that it needs is refused: {log}"
    );
}
