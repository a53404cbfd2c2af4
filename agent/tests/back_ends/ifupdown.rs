//! The back end for ifupdown with Debian's own.

use crate::host::{
    assert_in_force, assert_lives, assert_resumes_and_removes, hasty, network, on_a_host_of_its_own, settings, silent,
    state,
};
use crate::namespaces::{run, run_ip};
use muster_agent::network::back_end::{BackEnd, detect};
use muster_agent::network::{Network, set_up};
use muster_agent::storage::{FileStorage, MemoryStorage};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

const OURS: &str = "/etc/network/interfaces.d/muster-eth0";

fn is_up() -> bool {
    Command::new("ifquery").args(["--state", "eth0"]).output().expect("ifquery runs").status.success()
}

fn hook(script: &str) {
    let path = "/etc/network/if-up.d/site";
    fs::write(path, format!("#!/bin/sh\n{script}\n")).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("set");
}

#[tokio::test]
async fn ifupdown_brings_settings_up_keeps_them_over_a_reboot_and_lets_them_go() {
    if !on_a_host_of_its_own("ifupdown::ifupdown_brings_settings_up_keeps_them_over_a_reboot_and_lets_them_go") {
        return;
    }
    set_up("eth0").await.expect("up");
    assert_eq!(detect("/".as_ref(), "eth0").await, BackEnd::Ifupdown);
    let network = network(BackEnd::Ifupdown, MemoryStorage::default());
    let applied = || {
        assert!(is_up());
        assert!(fs::read_to_string("/etc/resolv.conf").expect("there").contains("nameserver 192.0.2.53"));
    };
    assert_lives(&network, applied, || assert!(!is_up())).await;
    assert!(is_up());

    // What the machine does when it goes down and comes up.
    run(&["ifdown", "-a"]);
    fs::remove_file("/run/network/ifstate").expect("removed");
    run_ip("address flush dev eth0");
    run(&["ifup", "-a"]);
    assert_in_force(10);

    let resumes = hasty(BackEnd::Ifupdown, MemoryStorage::default());
    assert_resumes_and_removes(&network, &resumes, OURS).await;
}

#[tokio::test]
async fn what_was_there_comes_back_after_a_power_cut_and_others_families_stay() {
    if !on_a_host_of_its_own("ifupdown::what_was_there_comes_back_after_a_power_cut_and_others_families_stay") {
        return;
    }
    let site = "source /etc/network/interfaces.d/*\niface eth0 inet6 manual\n";
    fs::write("/etc/network/interfaces", site).expect("written");
    for line in [
        "link set eth0 up",
        "address add 10.7.0.5/16 dev eth0",
        "link add other0 type veth peer name other1",
        "address add 10.99.0.1/24 dev other0",
        "link set other0 up",
        "link set other1 up",
        "route add default via 10.99.0.254 dev other0",
    ] {
        run_ip(line);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let storage = FileStorage::open(folder.path()).expect("opened");
    let before = state();
    network(BackEnd::Ifupdown, storage.clone()).apply(&settings(10), &silent).await.expect("applied");
    assert_in_force(10);
    assert_eq!(fs::read_to_string("/etc/network/interfaces").expect("there"), site);
    network(BackEnd::Bare, storage).roll_back().await.expect("rolled back");
    assert_eq!(state(), before);
}

#[tokio::test]
async fn an_interface_of_somebody_elses_file_is_refused_with_its_name() {
    if !on_a_host_of_its_own("ifupdown::an_interface_of_somebody_elses_file_is_refused_with_its_name") {
        return;
    }
    set_up("eth0").await.expect("up");
    let network = network(BackEnd::Ifupdown, MemoryStorage::default());
    let source = "source /etc/network/interfaces.d/*\n";
    let cases = [
        ("/etc/network/interfaces", format!("{source}auto eth0\niface eth0 inet dhcp\n"), "interface_owned"),
        ("/etc/network/interfaces.d/site", "iface eth0 inet static\n address 10.7.0.5/16\n".into(), "interface_owned"),
        ("/etc/network/interfaces", "auto lo\niface lo inet loopback\n".into(), "interfaces_not_included"),
    ];
    for (path, text, code) in cases {
        fs::write("/etc/network/interfaces", source).expect("written");
        fs::write(path, &text).expect("written");
        let before = state();
        let error = network.apply(&settings(10), &silent).await.expect_err("refused");
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(path), "{error}");
        assert!(!network.is_provisional());
        assert_eq!(state(), before, "nothing was changed");
        if path.ends_with("site") {
            fs::remove_file(path).expect("removed");
        }
    }
}

#[tokio::test]
async fn a_hook_that_hangs_or_fails_is_an_error_and_everything_comes_back() {
    if !on_a_host_of_its_own("ifupdown::a_hook_that_hangs_or_fails_is_an_error_and_everything_comes_back") {
        return;
    }
    set_up("eth0").await.expect("up");
    run_ip("address add 10.7.0.5/16 dev eth0");
    for (script, code) in [("sleep 1000", "network_program_timeout"), ("echo no >&2; exit 1", "network_program_failed")]
    {
        hook(script);
        let network = hasty(BackEnd::Ifupdown, MemoryStorage::default());
        let before = state();
        let started = Instant::now();
        let error = network.apply(&settings(10), &silent).await.expect_err("refused");
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains("ifup"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        network.roll_back().await.expect("rolled back");
        assert_eq!(state(), before);
        assert!(!is_up());
    }
}
