//! The back end for systemd-networkd with Debian's own.

use crate::host::{
    Daemon, assert_in_force, assert_lives, assert_resumes_and_removes, hasty, network, on_a_host_of_its_own, settings,
    silent, state, until,
};
use crate::namespaces::{peer, run, run_ip};
use muster_agent::network::back_end::{BackEnd, detect};
use muster_agent::network::{Network, set_up};
use muster_agent::storage::{FileStorage, MemoryStorage};
use muster_protocol::wire::result::Reason;
use nix::sys::signal::Signal;
use std::fs;
use std::time::{Duration, Instant};

const OURS: &str = "/etc/systemd/network/10-muster-eth0.network";

/// networkd, answering.
pub(crate) async fn networkd() -> Daemon {
    let daemon = Daemon::start(&["/lib/systemd/systemd-networkd"]);
    until("networkd", || {
        let list = ["networkctl", "list", "--no-legend", "--no-pager", "eth0"];
        let said = std::process::Command::new(list[0]).args(&list[1..]).output().expect("networkctl runs");
        said.status.success() && !String::from_utf8_lossy(&said.stdout).contains("pending")
    })
    .await;
    daemon
}

fn site(name: &str, address: &str) {
    let text = format!("[Match]\nName=eth0\n[Network]\nAddress={address}\nGateway=10.7.0.1\n");
    fs::write(format!("/etc/systemd/network/{name}.network"), text).expect("written");
}

#[tokio::test]
async fn networkd_brings_settings_up_keeps_them_over_its_restart_and_lets_them_go() {
    if !on_a_host_of_its_own("networkd::networkd_brings_settings_up_keeps_them_over_its_restart_and_lets_them_go") {
        return;
    }
    let _bus = Daemon::bus().await;
    let daemon = networkd().await;
    set_up("eth0").await.expect("up");
    assert_eq!(detect("/".as_ref(), "eth0").await, BackEnd::Networkd);
    let network = network(BackEnd::Networkd, MemoryStorage::default());
    let applied = || {
        assert!(run(&["networkctl", "--no-pager", "status", "eth0"]).contains(OURS));
        assert!(fs::read_to_string("/etc/resolv.conf").expect("there").contains("nameserver 192.0.2.53"));
    };
    let gone = || assert!(!run_ip("-4 address show dev eth0").contains("192.0.2.10"), "{}", state());
    assert_lives(&network, applied, gone).await;

    daemon.end();
    run_ip("address flush dev eth0");
    let daemon = networkd().await;
    until("what lasts", || run_ip("-4 address show dev eth0").contains("192.0.2.10/24")).await;
    assert_in_force(10);

    daemon.end();
    let resumes = hasty(BackEnd::Networkd, MemoryStorage::default());
    assert_resumes_and_removes(&network, &resumes, OURS).await;
}

#[tokio::test]
async fn what_networkd_had_comes_back_also_after_a_power_cut() {
    if !on_a_host_of_its_own("networkd::what_networkd_had_comes_back_also_after_a_power_cut") {
        return;
    }
    let _bus = Daemon::bus().await;
    site("80-site", "10.7.0.5/16");
    let _networkd = networkd().await;
    until("the site's own", || run_ip("-4 route show default").contains("10.7.0.1")).await;
    let folder = tempfile::tempdir().expect("a folder");
    let storage = FileStorage::open(folder.path()).expect("opened");
    let before = state();
    network(BackEnd::Networkd, storage.clone()).apply(&settings(10), &silent).await.expect("applied");
    assert_in_force(10);
    // A new process: only the disk knows, also which back end it was.
    let network = network(BackEnd::Bare, storage);
    network.roll_back().await.expect("rolled back");
    assert_eq!(state(), before);
    assert!(!network.is_provisional());
}

#[tokio::test]
async fn what_was_set_by_hand_beside_networkd_comes_back() {
    if !on_a_host_of_its_own("networkd::what_was_set_by_hand_beside_networkd_comes_back") {
        return;
    }
    let _bus = Daemon::bus().await;
    let _networkd = networkd().await;
    for line in ["link set eth0 up", "address add 10.7.0.5/16 dev eth0", "route add default via 10.7.0.1 metric 50"] {
        run_ip(line);
    }
    let before = state();
    let network = network(BackEnd::Networkd, MemoryStorage::default());
    network.apply(&settings(10), &silent).await.expect("applied");
    assert_in_force(10);
    network.roll_back().await.expect("rolled back");
    assert_eq!(state(), before);
}

#[tokio::test]
async fn a_file_of_somebody_else_that_comes_first_is_named() {
    if !on_a_host_of_its_own("networkd::a_file_of_somebody_else_that_comes_first_is_named") {
        return;
    }
    let _bus = Daemon::bus().await;
    site("05-site", "10.7.0.5/16");
    let _networkd = networkd().await;
    until("the site's own", || run_ip("-4 route show default").contains("10.7.0.1")).await;
    let before = state();
    let network = hasty(BackEnd::Networkd, MemoryStorage::default());
    let error = network.apply(&settings(10), &silent).await.expect_err("refused");
    assert_eq!(error.code(), "interface_owned", "{error}");
    assert!(error.to_string().contains("/etc/systemd/network/05-site.network"), "{error}");
    network.roll_back().await.expect("rolled back");
    assert_eq!(state(), before);
}

#[tokio::test]
async fn a_networkd_that_is_away_or_hangs_is_an_error_and_holds_nobody_up() {
    if !on_a_host_of_its_own("networkd::a_networkd_that_is_away_or_hangs_is_an_error_and_holds_nobody_up") {
        return;
    }
    let _bus = Daemon::bus().await;
    set_up("eth0").await.expect("up");
    let network = hasty(BackEnd::Networkd, MemoryStorage::default());
    let before = state();
    let error = network.apply(&settings(10), &silent).await.expect_err("absent");
    assert_eq!(error.code(), "network_daemon_absent", "{error}");
    assert!(error.to_string().contains("--network"), "{error}");
    assert!(!network.is_provisional());
    assert_eq!(state(), before);

    let daemon = networkd().await;
    let before = state();
    daemon.signal(Signal::SIGSTOP);
    let started = Instant::now();
    let error = network.apply(&settings(10), &silent).await.expect_err("hangs");
    assert_eq!(error.code(), "network_program_timeout", "{error}");
    assert_eq!(error.to_failure().reason, Reason::ApplyFailed);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert!(!network.is_provisional(), "found before anything changed");
    assert_eq!(state(), before);
    daemon.signal(Signal::SIGCONT);

    // It begins to hang while the settings are provisional: the appliance is reachable all the same.
    network.apply(&settings(10), &silent).await.expect("applied");
    daemon.signal(Signal::SIGSTOP);
    let started = Instant::now();
    network.roll_back().await.expect("rolled back without it");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    assert_eq!(state(), before);
    // And it does what it was told meanwhile.
    daemon.signal(Signal::SIGCONT);
    until("networkd to let go", || {
        run(&["networkctl", "list", "--no-legend", "--no-pager", "eth0"]).contains("unmanaged")
    })
    .await;
    assert_eq!(state(), before);

    daemon.end();
    network.apply(&settings(10), &silent).await.expect_err("absent again");
    assert_eq!(state(), before);
}

#[tokio::test]
async fn what_networkd_takes_and_does_not_bring_up_is_an_error() {
    if !on_a_host_of_its_own("networkd::what_networkd_takes_and_does_not_bring_up_is_an_error") {
        return;
    }
    let _bus = Daemon::bus().await;
    let _networkd = networkd().await;
    set_up("eth0").await.expect("up");
    // Without a carrier networkd sets nothing.
    run(&["ip", "-n", &peer(), "link", "set", "eth0", "down"]);
    let before = state();
    let network = hasty(BackEnd::Networkd, MemoryStorage::default());
    let error = network.apply(&settings(10), &silent).await.expect_err("not in force");
    assert_eq!(error.code(), "network_not_in_force", "{error}");
    assert!(error.to_string().contains("192.0.2.10") && error.to_string().contains("log"), "{error}");
    network.roll_back().await.expect("rolled back");
    assert_eq!(state(), before);
}
