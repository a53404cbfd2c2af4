//! `muster-agent diagnose`: what works, and what does not.

use crate::appliance::{Appliance, settings, there};
use crate::namespaces::{inside, run_ip};
use muster_protocol::parameters::RawSettings;
use serde_json::Value;

fn diagnose(appliance: &Appliance) -> (bool, Value) {
    let output = appliance.program(&["diagnose", "--json"]).output().expect("runs");
    (output.status.success(), serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// Outcome and text of a check, empty if it was not done.
fn finding(report: &Value, check: &str) -> (String, String) {
    let findings = report["findings"].as_array().expect("findings");
    let found = findings.iter().find(|finding| finding["check"] == check);
    let text = |name: &str| found.and_then(|finding| finding[name].as_str()).unwrap_or_default().to_owned();
    (text("outcome"), text("text"))
}

#[test]
fn it_says_what_works_and_what_to_do_about_what_does_not() {
    if !inside("diagnose::it_says_what_works_and_what_to_do_about_what_does_not") {
        return;
    }
    run_ip("link set eth0 up");
    run_ip("address add 192.0.2.1/24 dev eth0");
    let mut appliance = Appliance::new("");
    let (well, report) = diagnose(&appliance);
    assert!(!well && finding(&report, "agent").1.contains("does not run"), "{report}");

    appliance.start();
    appliance.ask("eth0");
    let (well, report) = diagnose(&appliance);
    assert!(well, "unconfigured, and all is as it should be: {report}");
    assert!(finding(&report, "state").1.contains("waits for a console"), "{report}");
    assert_eq!(finding(&report, "interface").0, "ok");

    let settings = RawSettings { gateway: "192.0.2.1".into(), ..settings("192.0.2.10") };
    appliance.configure("eth0", &settings).expect("configured");
    let (well, report) = diagnose(&appliance);
    assert_eq!(finding(&report, "settings").0, "ok", "{report}");
    assert_eq!(finding(&report, "gateway").0, "ok", "{report}");
    // The grant of this test names a NOC that nobody is.
    assert!(!well && finding(&report, "noc").1.contains("Check gateway, DNS"), "{report}");

    run_ip("address flush dev eth0");
    there("ip address add 192.0.2.77/24 dev eth0");
    let (_, report) = diagnose(&appliance);
    assert!(finding(&report, "gateway").1.contains("does not answer"), "{report}");
    assert_eq!(finding(&report, "settings").0, "warning", "{report}");

    run_ip("link set eth0 down");
    appliance.shows("no carrier", |status| status["carrier"] == false);
    let output = appliance.program(&["diagnose"]).output().expect("runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("FAILED   interface") && text.contains("Plug the cable in"), "{text}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("see FAILED above"));
}
