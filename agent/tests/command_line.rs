//! What the program says when something is wrong: what happened, what to do, a stable word; and that nothing was changed.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn agent(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster-agent"));
    if !arguments.contains(&"--interface") {
        // Every host has this one, and nothing here touches the network.
        command.args(["--interface", "lo"]);
    }
    command.args(arguments).arg("--state-dir").arg(folder.join("state")).arg("--root").arg(folder);
    command.output().expect("runs")
}

fn assert_refused(output: &Output, code: &str, remedy: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains(&format!("[{code}]")) && said.contains(remedy), "expected {code} and `{remedy}` in: {said}");
}

#[test]
fn every_refusal_names_its_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    assert_refused(&agent(path, &["label", "--interface", "none0"]), "no_interface", "--interface");

    let printed = agent(path, &["label", "--json"]);
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let again = agent(path, &["label", "--json"]);
    assert_eq!(printed.stdout, again.stdout, "the identity is made once");

    let held = muster_agent::lock::lock(&path.join("state")).expect("free");
    assert_refused(&agent(path, &["run"]), "already_running", "Stop it first");
    assert_refused(&agent(path, &["reset", "--yes"]), "already_running", "Stop it first");
    drop(held);
    assert!(!agent(path, &["reset"]).status.success(), "asks first");
    assert!(agent(path, &["reset", "--yes"]).status.success());
    assert_eq!(agent(path, &["label", "--json"]).stdout, printed.stdout, "a reset keeps the label");

    fs::write(path.join("state/appliance"), "rubbish").expect("spoiled");
    assert_refused(&agent(path, &["run"]), "storage_damaged", "backup");
    fs::remove_file(path.join("state/appliance")).expect("removed");
    fs::write(path.join("state/identity"), "rubbish").expect("spoiled");
    assert_refused(&agent(path, &["run"]), "storage_damaged", "backup");
    assert_eq!(fs::read(path.join("state/identity")).expect("there"), b"rubbish", "never replaced by a new one");

    fs::create_dir_all(path.join("etc/muster")).expect("made");
    fs::write(path.join("etc/muster/agent.toml"), "proof = \"none\"").expect("written");
    assert_refused(&agent(path, &["status"]), "config_invalid", "Correct it");

    let other = tempfile::tempdir().expect("a folder");
    fs::write(other.path().join("claim"), "ABCD-EFGH").expect("written");
    let claim = other.path().join("claim").display().to_string();
    let refused = agent(other.path(), &["label", "--claim-file", &claim]);
    assert_refused(&refused, "claim_code_bad", "20 letters");
    assert!(!String::from_utf8_lossy(&refused.stderr).contains("ABCD"), "no secret in an error");
    assert_refused(&agent(other.path(), &["label", "--claim-file", "/none"]), "claim_file_unreadable", "label code");
}

#[test]
fn the_manifest_is_csv_with_the_given_serial_and_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = agent(folder.path(), &["label", "--manifest", "--serial", "MG-1", "--model", "Mail, small"]);
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "serial,mac,uid,claim,model");
    assert!(lines[1].starts_with("MG-1,") && lines[1].ends_with(",\"Mail, small\""), "{}", lines[1]);
}
