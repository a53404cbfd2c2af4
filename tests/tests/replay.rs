//! Every datagram of a whole run is recorded and sent again, at once and after the appliances restarted: nothing changes.

use serde_json::Value;
use std::process::Command;
use std::time::Duration;
use system_tests::lab::begin::site;
use system_tests::lab::{Before, Lab, capture};
use system_tests::process::{program, succeed};
use system_tests::wait::until;

/// Everything a replay could change on the hosts: addresses, routes, files, and the agents' own stored state.
fn picture(lab: &Lab) -> Vec<String> {
    let mut lines = Vec::new();
    for (number, appliance) in (1..).zip(&lab.appliances) {
        lines.push(lab.addresses(number));
        lines.push(lab.ip(&appliance.host, "-4 route show"));
        let mut status = lab.at(&appliance.host, "muster-agent");
        status.args(["status", "--json", "--state-dir"]).arg(appliance.root.join("var/lib/muster"));
        let status: Value = serde_json::from_str(&succeed(&mut status)).expect("status --json");
        lines.push(format!("{} {} {}", status["state"], status["seq"], status["settings"]));
        for file in ["etc/hostname", "etc/hosts", "etc/resolv.conf"] {
            lines.push(std::fs::read_to_string(appliance.root.join(file)).unwrap_or_default());
        }
    }
    lines
}

#[test]
fn nothing_that_was_recorded_works_again() {
    let mut lab = Lab::new("r");
    let manifest = lab.add_appliances(&[(Before { address: None, rp_filter: 0 }, ""); 2]);
    lab.start_noc(&site(&[]), &manifest);
    let file = lab.folder().join("run.pcap");
    let recorder = capture::record(&lab, &file);
    for number in 1..=2 {
        lab.start_agent(number);
    }
    // Configured twice, so that the recording holds an old grant as well as the one in force.
    let configure = |lab: &Lab, args: &[&str]| {
        until("both configured", Duration::from_secs(60), || {
            let job = lab.muster(args);
            let items = job["items"].as_array().cloned().unwrap_or_default();
            let good = items.len() == 2 && items.iter().all(|item| item["step"] == "configured");
            if good { Ok(job) } else { Err(job.to_string()) }
        })
    };
    let first = configure(&lab, &["configure", "--all-unconfigured"]);
    let plan = lab.folder().join("second.csv");
    let mut lines = vec!["uid,host_name,domain,address,netmask,gateway,dns1,dns2".to_owned()];
    for (n, item) in first["items"].as_array().expect("items").iter().enumerate() {
        let uid = item["uid"].as_str().expect("uid");
        lines.push(format!("{uid},moved-{n},lab.example.net,10.20.0.{},255.255.255.0,10.20.0.1,,", 111 + n));
    }
    std::fs::write(&plan, lines.join("\n")).expect("plan");
    configure(&lab, &["configure", "--plan", plan.to_str().expect("UTF-8 path")]);
    // The last of it reaches the file a moment later.
    let recorded =
        until("pings, packets and kick-starts of both jobs in the recording", Duration::from_secs(10), || {
            let recorded = capture::payloads(&file);
            let kinds = |kind: u8| recorded.iter().filter(|p| p.get(5) == Some(&kind)).count();
            let counts = [kinds(1), kinds(2), kinds(3), kinds(4), kinds(5)];
            let complete = counts[0] > 0 && counts[2] >= 4 && counts[4] >= 4;
            if complete { Ok(recorded) } else { Err(format!("{counts:?}")) }
        });
    drop(recorder);
    assert!(!recorded.is_empty());

    lab.add_lan_host("stranger", Some("10.20.0.66/24"));
    until("the stranger's link-local address", Duration::from_secs(10), || {
        let addresses = lab.ip("stranger", "-6 -o addr show dev eth0");
        if addresses.contains("fe80") && !addresses.contains("tentative") { Ok(()) } else { Err(addresses) }
    });
    let before = picture(&lab);
    let replay = |lab: &Lab| {
        let mut command: Command = lab.netns("stranger");
        command.arg(program("replay")).arg(&file).arg("eth0");
        succeed(&mut command);
        succeed(&mut command);
    };
    replay(&lab);
    assert_eq!(picture(&lab), before, "replayed at once");

    for number in 1..=2 {
        lab.cut_power(number);
        lab.start_agent(number);
    }
    lab.until_all_answer();
    replay(&lab);
    assert_eq!(picture(&lab), before, "replayed after a restart");

    // They still listen to their own console: the replays exhausted nothing.
    configure(&lab, &["configure", "--plan", plan.to_str().expect("UTF-8 path")]);
}
