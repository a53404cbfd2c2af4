//! The contract of a vendor's program: the example keeps it, broken ones are told what they break, and the back end lives
//! with both.

use crate::host::{assert_in_force, network, on_a_host_of_its_own, settings, silent, state};
use crate::namespaces::{run, run_ip};
use muster_agent::network::back_end::BackEnd;
use muster_agent::network::conformance;
use muster_agent::network::drift::Setting;
use muster_agent::network::{Network, set_up};
use muster_agent::storage::{FileStorage, MemoryStorage};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const EXAMPLE: &str = include_str!("../../examples/network-program.py");

/// The example with one thing changed, where nothing of the machine is touched.
fn program(name: &str, change: (&str, &str)) -> PathBuf {
    let text = EXAMPLE.replace("/var/lib/example-network", "/run/example-network");
    assert!(text.contains(change.0), "{}", change.0);
    let path = Path::new("/run").join(name);
    fs::write(&path, text.replacen(change.0, change.1, 1)).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    path
}

fn whole() -> PathBuf {
    program("whole", ("", ""))
}

#[tokio::test]
async fn the_example_conforms_and_leaves_everything_as_it_was() {
    if !on_a_host_of_its_own("exec::the_example_conforms_and_leaves_everything_as_it_was") {
        return;
    }
    set_up("eth0").await.expect("up");
    for line in ["address add 10.7.0.5/16 dev eth0", "route add default via 10.7.0.1"] {
        run_ip(line);
    }
    let before = state();
    let mut agent = Command::new(env!("CARGO_BIN_EXE_muster-agent"));
    let output = agent.arg("conformance").arg(whole()).args(["--interface", "eth0"]).output().expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.lines().filter(|line| line.starts_with("ok ")).count() >= 20, "{said}");
    assert!(said.ends_with("the program conforms\n"), "{said}");
    assert_eq!(state(), before);
}

#[tokio::test]
async fn a_program_that_breaks_a_rule_is_told_which_and_how() {
    if !on_a_host_of_its_own("exec::a_program_that_breaks_a_rule_is_told_which_and_how") {
        return;
    }
    set_up("eth0").await.expect("up");
    let cases = [
        (
            ("return {\"settings\": in_force", "return {\"settings\": None and in_force"),
            "`apply` brings",
            "tells other settings",
        ),
        (("\"state\": state_of(interface)", "\"status\": 0"), "`current` tells", "without a state"),
        (
            ("write_or_remove(SETTINGS, state[\"kept\"])", "pass"),
            "`restore` goes back to earlier settings",
            "`current` tells null",
        ),
        (("    if version != VERSION:", "    if False:"), "a version that it does not know", "it succeeded"),
        (("elif operation != \"commit\":", "elif False:"), "an operation that it does not know", "it succeeded"),
        (
            ("request.get(\"settings\")", "request.get(\"settings\") or json.loads(read(SETTINGS))"),
            "without settings",
            "it succeeded",
        ),
        (("r\"[a-z0-9]([a-z0-9.-]*[a-z0-9])?\"", "r\".*\""), "a host name that is a command", "it succeeded"),
        (
            ("raise Refused(\"invalid\", f\"not a request", "raise Refused(\"failed\", f\"not a request"),
            "no JSON",
            "refused as `failed`",
        ),
        (
            ("sys.exit(0 if answer[\"ok\"] else 1)", "sys.exit(0)"),
            "standard input",
            "`ok` is false, with exit status: 0",
        ),
        (
            ("print(json.dumps(answer))", "print(\"done\", json.dumps(answer))"),
            "`current` tells",
            "not one JSON object",
        ),
        (("        keep(None)\n        flush(interface)\n", "        pass\n"), "`reset` forgets", "`current` tells"),
        (
            (
                "    settings = checked(request.get(\"settings\"))\n",
                "    settings = checked(request.get(\"settings\"))\n        if set(request) - {\"version\", \"operation\", \"interface\", \"settings\"}: raise Refused(\"invalid\", \"too much\")\n",
            ),
            "fields that it does not know",
            "too much",
        ),
    ];
    for (number, (change, rule, why)) in cases.into_iter().enumerate() {
        // Each starts where nothing is kept.
        let _ = fs::remove_dir_all("/run/example-network");
        let path = program(&format!("broken{number}"), change);
        let mut checks = Vec::new();
        let failed = conformance::run(&path, "eth0", rule, &mut |check| checks.push(check.clone())).await;
        let broken: Vec<_> = checks.iter().filter(|check| check.failure.is_some()).collect();
        assert_eq!(broken.len(), failed);
        let told = broken.iter().any(|check| {
            check.rule.contains(rule) && check.failure.as_deref().is_some_and(|failure| failure.contains(why))
        });
        assert!(told, "{change:?} should break `{rule}` because `{why}`: {broken:#?}");
    }
    let path = program("broken", ("print(json.dumps(answer))", "pass"));
    let mut agent = Command::new(env!("CARGO_BIN_EXE_muster-agent"));
    let output = agent.arg("conformance").arg(path).args(["--interface", "eth0"]).output().expect("runs");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("FAILED  `current` tells") && said.contains("because: nothing, with exit status: 0"),
        "{said}"
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("vendors.md"));
    // While a vendor mends one rule, that rule only.
    let mut agent = Command::new(env!("CARGO_BIN_EXE_muster-agent"));
    let one = ["--interface", "eth0", "--only", "`apply` brings"];
    let output = agent.arg("conformance").arg(whole()).args(one).output().expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.ends_with("3 rules hold; the others were not tested\n"), "{said}");
}

#[tokio::test]
async fn settings_go_through_a_program_last_and_come_back_after_a_power_cut() {
    if !on_a_host_of_its_own("exec::settings_go_through_a_program_last_and_come_back_after_a_power_cut") {
        return;
    }
    set_up("eth0").await.expect("up");
    run_ip("address add 10.7.0.5/16 dev eth0");
    let folder = tempfile::tempdir().expect("a folder");
    let storage = FileStorage::open(folder.path()).expect("opened");
    let exec = BackEnd::Exec(whole());
    let before = state();
    network(exec.clone(), storage.clone()).apply(&settings(10), &silent).await.expect("applied");
    assert_in_force(10);
    // A new process: only the disk knows.
    let network = network(exec, storage);
    assert!(network.is_provisional());
    network.roll_back().await.expect("rolled back");
    assert_eq!(state(), before);

    network.apply(&settings(10), &silent).await.expect("again");
    network.commit().await.expect("committed");
    assert!(!network.is_provisional());
    run_ip("address flush dev eth0");
    network.resume(&settings(10)).await.expect("resumed");
    assert_in_force(10);
    assert_eq!(network.drift(&settings(10)).await.expect("looked"), []);
    assert_eq!(network.drift(&settings(11)).await.expect("looked"), [Setting::Address, Setting::HostName]);
    run(&["hostname", "by-hand"]);
    assert_eq!(
        network.drift(&settings(10)).await.expect("looked"),
        [Setting::NetworkFile],
        "it tells none as in force"
    );
    network.restore(&settings(10)).await.expect("set again");
    assert_in_force(10);
    assert_eq!(network.drift(&settings(10)).await.expect("looked"), []);
    network.forget(&settings(10)).await.expect("forgotten");
    assert!(!run_ip("-4 address show dev eth0").contains("192.0.2.10"));
}

#[tokio::test]
async fn what_a_program_refuses_or_does_not_do_is_an_error_and_rolled_back() {
    if !on_a_host_of_its_own("exec::what_a_program_refuses_or_does_not_do_is_an_error_and_rolled_back") {
        return;
    }
    set_up("eth0").await.expect("up");
    let does = |instead| ("        bring_up(interface, settings)", instead);
    for (change, code) in [
        (does("        raise Refused('storage', 'flash is full')"), "network_program_refused"),
        (does("        pass"), "network_program_answer"),
        (does("        subprocess.run(['sleep', '1000'])"), "network_program_timeout"),
    ] {
        let before = state();
        let mut network = network(BackEnd::Exec(program("faulty", change)), MemoryStorage::default());
        network.program_patience = Duration::from_secs(3);
        let error = network.apply(&settings(10), &silent).await.expect_err("refused");
        assert_eq!(error.code(), code, "{error}");
        network.roll_back().await.expect("rolled back");
        assert_eq!(state(), before);
    }
    let network = network(BackEnd::Exec("/none/program".into()), MemoryStorage::default());
    let error = network.apply(&settings(10), &silent).await.expect_err("absent");
    assert_eq!(error.code(), "network_program_missing", "{error}");
    assert!(!network.is_provisional());
}
