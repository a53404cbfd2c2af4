//! The NOC's unit that is shipped, under a systemd that runs, with all of its limits: it serves, is backed up, restarted and well.

use serde_json::Value;
use std::time::Duration;
use system_tests::lab::systemd::System;
use system_tests::lab::{Before, Lab};
use system_tests::wait::until;

const UNIT: &str = "muster-noc.service";
const DIR: &str = "/var/lib/muster-noc";

fn is_active(system: &System) -> Result<(), String> {
    let state = system.property_of(UNIT, "ActiveState");
    if state == "active" { Ok(()) } else { Err(format!("{state}: {}", system.property_of(UNIT, "Result"))) }
}

/// What the NOC's command prints, as the NOC's user.
fn noc(system: &System, words: &str) -> String {
    system.said(&format!("runuser -u muster-noc -- muster-noc {words} --dir {DIR}"))
}

/// What is not well.
fn unwell(system: &System) -> Vec<String> {
    let said = system.said(&format!("runuser -u muster-noc -- muster-noc doctor --json --dir {DIR} || true"));
    let findings: Vec<Value> = serde_json::from_str(&said).unwrap_or_else(|_| panic!("JSON: {said}"));
    let unwell = findings.iter().filter(|finding| finding["level"] != "ok");
    unwell.map(|finding| format!("{} {}", finding["check"], finding["what"])).collect()
}

#[test]
fn the_nocs_unit_that_is_shipped_serves_with_all_of_its_limits() {
    let mut lab = Lab::new("v");
    lab.add_appliances(&[(Before { address: None, rp_filter: 1 }, "network = \"bare\"\n")]);
    let system = lab.boot(1, &[]);
    // There is no network here to wait for.
    system.said("systemctl mask --runtime NetworkManager-wait-online.service systemd-networkd-wait-online.service");
    system.said(&format!("install -d -m 700 -o muster-noc -g muster-noc {DIR}"));
    // Without a data folder there is nothing to start.
    system.said(&format!("systemctl start {UNIT}"));
    assert_eq!(system.property_of(UNIT, "ActiveState"), "inactive");
    noc(&system, "init --address 127.0.0.1:443");
    system.said("printf 'MUSTER_NOC_LISTEN=127.0.0.1:443\\nMUSTER_NOC_LOG_FORMAT=json\\n' > /etc/default/muster-noc");
    system.said(&format!("systemctl start {UNIT}"));
    until("the NOC to be active", Duration::from_secs(20), || is_active(&system));
    until("the NOC to serve", Duration::from_secs(20), || match unwell(&system)[..] {
        [ref only] if only.contains("no backup was ever taken") => Ok(()),
        ref other => Err(format!("{other:?}\n{}", lab.agent_log(1))),
    });

    // What systemd limits, as the kernel has it.
    let pid = system.property_of(UNIT, "MainPID");
    let status = system.status(&pid);
    let user = system.said("id -u muster-noc");
    // CAP_NET_BIND_SERVICE: bit 10.
    let uid = format!("Uid:\t{0}\t{0}\t{0}\t{0}", user.trim());
    for wanted in [&uid, "CapEff:\t0000000000000400", "CapBnd:\t0000000000000400", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(wanted), "{wanted}: {status}");
    }
    let files = system.said(&format!("grep 'Max open files' /proc/{pid}/limits"));
    // As many as the unit asks for, or as this machine lets anybody have; and the NOC has raised its own limit up to that.
    let files: Vec<u64> = files.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(files.len() == 2 && files[0] == files[1] && (4_096..=65_536).contains(&files[1]), "{files:?}");
    let as_the_noc = |command: &str| system.said(&format!("nsenter -t {pid} -m sh -c '{command} 2>&1 || true'"));
    for folder in ["/usr", "/var/lib", "/etc", "/opt"] {
        let refused = as_the_noc(&format!("touch {folder}/anything"));
        assert!(refused.contains("Read-only file system"), "{folder}: {refused}");
    }
    assert_eq!(as_the_noc("ls /home").trim(), "", "no homes");
    assert!(as_the_noc("ls /dev/mem").contains("No such file"), "no devices");
    assert_eq!(system.said(&format!("stat -c %a:%U {DIR}")).trim(), "700:muster-noc");

    system.said("install -d -m 700 -o muster-noc -g muster-noc /var/backups/muster-noc");
    noc(&system, "backup /var/backups/muster-noc/one");
    assert_eq!(unwell(&system), Vec::<String>::new());
    system.said(&format!("systemctl restart {UNIT}"));
    until("the NOC to be back", Duration::from_secs(20), || is_active(&system));
    assert_ne!(system.property_of(UNIT, "MainPID"), pid);
    until("all to be well", Duration::from_secs(20), || match unwell(&system) {
        none if none.is_empty() => Ok(()),
        some => Err(format!("{some:?}")),
    });
    // The machine is lost, and the backup put back.
    system.said(&format!("systemctl stop {UNIT} && rm -rf {DIR}/* && systemctl reset-failed"));
    noc(&system, "restore /var/backups/muster-noc/one");
    system.said(&format!("systemctl start {UNIT}"));
    until("the restored NOC to be active", Duration::from_secs(20), || is_active(&system));
    let log = lab.agent_log(1);
    assert!(!log.contains("Operation not permitted") && !log.contains("SIGSYS"), "nothing it needs is refused: {log}");
    assert!(!log.contains("was not raised"), "{log}");
}
