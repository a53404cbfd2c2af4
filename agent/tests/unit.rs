//! The systemd unit that is shipped: valid, and no weaker than it was.

use std::path::Path;
use std::process::{Command, Output};

/// Of 10, as `systemd-analyze security` counts. What is left are the rights that setting a network takes.
const MOST_EXPOSED: &str = "32";

fn unit() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/muster-agent.service");
    std::fs::read_to_string(path).expect("the unit")
}

/// `systemd-analyze` on the unit as it would be installed, with the program that was just built.
fn analyze(folder: &Path, text: &str, arguments: &[&str]) -> Output {
    let path = folder.join("muster-agent.service");
    std::fs::write(&path, text.replace("/usr/sbin/muster-agent", env!("CARGO_BIN_EXE_muster-agent"))).expect("written");
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).arg(&path).env("SYSTEMD_COLORS", "0");
    command.output().expect("systemd-analyze (Debian: systemd) runs")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_unit_is_valid() {
    let folder = tempfile::tempdir().expect("a folder");
    let ours = |text: &str| {
        let output = analyze(folder.path(), text, &["verify", "--man=no", "--recursive-errors=no"]);
        // Units of the machine may have faults of their own.
        said(&output).lines().filter(|line| line.contains("muster-agent")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(ours(&unit()), "");
    let wrong = unit().replace("ProtectSystem=strict", "ProtectSystem=everything");
    assert!(ours(&wrong).contains("everything"), "a fault would be seen: {}", ours(&wrong));
}

#[test]
fn the_unit_exposes_no_more_than_it_must() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = ["security", "--offline=yes", "--no-pager", "--threshold", MOST_EXPOSED];
    let output = analyze(folder.path(), &unit(), &arguments);
    assert!(output.status.success(), "{}", said(&output));
    let weaker = unit().replace("NoNewPrivileges=yes", "").replace("ProtectSystem=strict", "");
    assert!(!analyze(folder.path(), &weaker, &arguments).status.success(), "a weaker one would be seen");
}
