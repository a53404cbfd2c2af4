//! A vendor's network program that refuses when the agent starts: it is asked ever more seldom, everybody is told, and the
//! appliance can be configured all the same.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;
use system_tests::lab::begin::site;
use system_tests::lab::{Before, Lab};
use system_tests::process::succeed;
use system_tests::wait::until;

/// The example program, behind one that refuses `resume` while there is a file that says so, and keeps the times of that.
const PROGRAM: &str = r#"#!/bin/sh
request=$(cat)
case $request in
*'"operation":"resume"'*)
    if [ -e /etc/refuse ]; then
        date +%s%3N >>/run/refused
        echo '{"version":1,"ok":false,"error":"failed","message":"the card does not answer"}'
        exit 1
    fi
    ;;
esac
printf %s "$request" | /etc/example-network
"#;

fn executable(path: &std::path::Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("set");
}

/// Runs a command where the agent's files are.
fn there(lab: &Lab, command: &str) -> String {
    let agent = lab.agent_pid(1).to_string();
    succeed(Command::new("nsenter").args(["-t", &agent, "-m", "sh", "-c", command]))
}

/// When the program refused, in milliseconds.
fn refusals(lab: &Lab) -> Vec<u64> {
    there(lab, "cat /run/refused 2>/dev/null || true").lines().map(|line| line.parse().expect("a time")).collect()
}

fn diagnosis(lab: &Lab) -> String {
    let appliance = &lab.appliances[0];
    let mut command = lab.at("a1", "muster-agent");
    command.args(["diagnose", "--network", "bare", "--state-dir"]).arg(appliance.root.join("var/lib/muster"));
    let output = command.arg("--root").arg(&appliance.root).output().expect("muster-agent starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_program_that_refuses_at_every_start_is_asked_ever_more_seldom_and_stands_in_nobodys_way() {
    let mut lab = Lab::new("x");
    let manifest = lab.add_appliances(&[(Before { address: None, rp_filter: 0 }, "")]);
    let etc = lab.appliances[0].root.join("etc");
    let image = "user = \"64078\"\nnetwork_program = \"/etc/vendor-network\"\n";
    fs::create_dir_all(etc.join("muster")).expect("made");
    fs::write(etc.join("muster/agent.toml"), image).expect("written");
    let example = include_str!("../../agent/examples/network-program.py");
    executable(&etc.join("example-network"), &example.replace("/var/lib/example-network", "/run/example-network"));
    executable(&etc.join("vendor-network"), PROGRAM);
    lab.start_noc(&site(&["--drift", "restore"]), &manifest);
    lab.start_agent_on_own_files(1);
    lab.until_all_answer();
    lab.configure_all();
    lab.until_console_shows(1, "a beat", |row| row["values"]["network_problem"].is_null());

    // It starts again, and the program does not want any more.
    lab.cut_power(1);
    fs::write(etc.join("refuse"), "").expect("written");
    lab.start_agent_on_own_files(1);
    let problem = |status: &serde_json::Value| status["network_problem"] == "network_program_refused";
    let status = lab.until_agent_shows(1, "the third attempt", |status| {
        problem(status) && status["network_attempts"].as_u64() >= Some(3)
    });
    let at = refusals(&lab);
    let [first, second, third] = at[..3] else { panic!("{at:?}") };
    // Nominally 5 s and 10 s, a quarter more or less; and programs take their time.
    assert!((3_700..9_000).contains(&(second - first)) && (7_400..16_000).contains(&(third - second)), "{at:?}");
    assert_eq!(status["drift"], serde_json::json!([]), "nobody changed anything by hand");
    let row =
        lab.until_console_shows(1, "the problem", |row| row["values"]["network_problem"] == "network_program_refused");
    assert_eq!(row["values"]["drift"], serde_json::json!([]));
    assert!(
        diagnosis(&lab)
            .contains("FAILED   network    the settings could not be brought into force (network_program_refused")
    );
    let mut command = lab.at("a1", "muster-agent");
    let text = succeed(command.args(["status", "--state-dir"]).arg(lab.appliances[0].root.join("var/lib/muster")));
    assert!(text.contains("Network    the settings are not in force (network_program_refused), tried "), "{text}");

    // Beats come and go, and none of them asks it any sooner: the next attempt is 15 to 25 s off.
    assert!(refusals(&lab).len() <= 4, "{:?}", refusals(&lab));

    // It takes other settings meanwhile, and then nothing is wrong any more.
    let uid = lab.appliances[0].uid.clone();
    lab.at_noc(&["appliance", "configure", &uid, "--address", "10.20.0.200"]);
    lab.until_noc_shows(1, "new settings in force", |shown| shown["given"]["state"] == "in_force");
    lab.until_agent_shows(1, "no problem", |status| status["network_problem"].is_null());
    let asked = refusals(&lab).len();

    // And it is tried until it works.
    lab.cut_power(1);
    lab.start_agent_on_own_files(1);
    lab.until_agent_shows(1, "a problem again", problem);
    assert!(asked >= 3);
    there(&lab, "rm /etc/refuse");
    lab.until_agent_shows(1, "the settings in force", |status| status["network_problem"].is_null());
    until("what it keeps", Duration::from_secs(20), || {
        let kept = lab.own_file(1, "/run/example-network/settings.json");
        if kept.contains("10.20.0.200") { Ok(()) } else { Err(kept) }
    });
    assert!(lab.agent_log(1).contains("the settings are in force again"), "{}", lab.agent_log(1));
}
