//! The back end for NetworkManager with Debian's own.

use crate::host::{
    Daemon, assert_in_force, assert_lives, assert_resumes_and_removes, hasty, network, on_a_host_of_its_own, settings,
    silent, state, until,
};
use crate::namespaces::{run, run_ip};
use muster_agent::network::back_end::{BackEnd, detect};
use muster_agent::network::{Network, set_up};
use muster_agent::storage::{FileStorage, MemoryStorage};
use nix::sys::signal::Signal;
use std::cell::Cell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

const OURS: &str = "/etc/NetworkManager/system-connections/muster-eth0.nmconnection";
const SITE: &str = "/etc/NetworkManager/system-connections/site.nmconnection";

/// NetworkManager, running.
pub(crate) async fn manager() -> Daemon {
    let daemon = Daemon::start(&["NetworkManager", "--no-daemon"]);
    until("NetworkManager", || {
        let said = Command::new("nmcli").args(["-g", "RUNNING", "general"]).output().expect("nmcli runs");
        said.stdout.starts_with(b"running")
    })
    .await;
    daemon
}

fn shown(field: &str) -> String {
    run(&["nmcli", "-g", field, "device", "show", "eth0"]).trim().to_owned()
}

#[tokio::test]
async fn networkmanager_brings_settings_up_keeps_them_over_its_restart_and_lets_them_go() {
    if !on_a_host_of_its_own(
        "networkmanager::networkmanager_brings_settings_up_keeps_them_over_its_restart_and_lets_them_go",
    ) {
        return;
    }
    let _bus = Daemon::bus().await;
    set_up("eth0").await.expect("up");
    let daemon = manager().await;
    assert_eq!(detect("/".as_ref(), "eth0").await, BackEnd::NetworkManager);
    let network = network(BackEnd::NetworkManager, MemoryStorage::default());
    let profiles = || run(&["nmcli", "-g", "NAME", "connection"]).matches("muster").count();
    let applied = || {
        assert_eq!(fs::metadata(OURS).expect("there").permissions().mode() & 0o777, 0o600);
        let resolver = fs::read_to_string("/etc/resolv.conf").expect("there");
        assert!(resolver.contains("search example.net") && resolver.contains("nameserver 192.0.2.53"), "{resolver}");
    };
    assert_lives(&network, applied, || assert_eq!(profiles(), 0)).await;
    assert_eq!(profiles(), 1);

    // As after a reboot.
    daemon.end();
    fs::remove_dir_all("/run/NetworkManager").expect("removed");
    run_ip("address flush dev eth0");
    run_ip("link set eth0 down");
    let daemon = manager().await;
    until("what lasts", || run_ip("-4 address show dev eth0").contains("192.0.2.10/24")).await;
    until("the gateway", || run_ip("-4 route show default").contains("192.0.2.1")).await;
    assert_in_force(10);

    daemon.end();
    let resumes = hasty(BackEnd::NetworkManager, MemoryStorage::default());
    assert_resumes_and_removes(&network, &resumes, OURS).await;
}

#[tokio::test]
async fn a_profile_of_the_site_is_active_again_also_after_a_power_cut() {
    if !on_a_host_of_its_own("networkmanager::a_profile_of_the_site_is_active_again_also_after_a_power_cut") {
        return;
    }
    let _bus = Daemon::bus().await;
    let profile = "[connection]\nid=site\nuuid=8d1cbcb8-5b3e-4c0f-9d0f-2f3b0c9c7a11\ntype=ethernet\ninterface-name=eth0\n\
                   [ipv4]\nmethod=manual\naddress1=10.7.0.5/16,10.7.0.1\naddress2=10.8.0.5/16\ndns=10.7.0.1;\n";
    fs::write(SITE, profile).expect("written");
    fs::set_permissions(SITE, fs::Permissions::from_mode(0o600)).expect("set");
    let _manager = manager().await;
    until("the site's profile", || shown("GENERAL.STATE").starts_with("100")).await;
    until("its resolver", || fs::read_to_string("/etc/resolv.conf").expect("there").contains("10.7.0.1")).await;
    let folder = tempfile::tempdir().expect("a folder");
    let storage = FileStorage::open(folder.path()).expect("opened");
    let (before, uuid) = (state(), shown("GENERAL.CON-UUID"));
    network(BackEnd::NetworkManager, storage.clone()).apply(&settings(10), &silent).await.expect("applied");
    assert_in_force(10);
    assert_ne!(shown("GENERAL.CON-UUID"), uuid);
    // A new process: only the disk knows.
    network(BackEnd::Bare, storage).roll_back().await.expect("rolled back");
    assert_eq!(shown("GENERAL.CON-UUID"), uuid);
    assert!(shown("GENERAL.STATE").starts_with("100"), "{}", shown("GENERAL.STATE"));
    assert_eq!(state(), before);
}

#[tokio::test]
async fn what_others_had_set_comes_back_and_networkmanager_only_watches_it_again() {
    if !on_a_host_of_its_own("networkmanager::what_others_had_set_comes_back_and_networkmanager_only_watches_it_again")
    {
        return;
    }
    let _bus = Daemon::bus().await;
    for line in ["link set eth0 up", "address add 10.7.0.5/16 dev eth0", "route add default via 10.7.0.1"] {
        run_ip(line);
    }
    let _manager = manager().await;
    until("NetworkManager to watch", || shown("GENERAL.STATE").contains("externally")).await;
    let before = state();
    let network = network(BackEnd::NetworkManager, MemoryStorage::default());
    network.apply(&settings(10), &silent).await.expect("applied");
    assert_in_force(10);
    network.roll_back().await.expect("rolled back");
    until("NetworkManager to watch again", || shown("GENERAL.STATE").contains("externally")).await;
    // It writes its files when it comes to it, and the agent looks once more.
    let since = Cell::new(Instant::now());
    let stays = || {
        if state() != before {
            since.set(Instant::now());
        }
        since.get().elapsed() > Duration::from_secs(7)
    };
    until("the former state to stay", stays).await;
}

#[tokio::test]
async fn a_networkmanager_that_is_away_or_hangs_is_an_error_and_holds_nobody_up() {
    if !on_a_host_of_its_own("networkmanager::a_networkmanager_that_is_away_or_hangs_is_an_error_and_holds_nobody_up") {
        return;
    }
    let _bus = Daemon::bus().await;
    set_up("eth0").await.expect("up");
    run_ip("address add 10.7.0.5/16 dev eth0");
    let network = hasty(BackEnd::NetworkManager, MemoryStorage::default());
    let before = state();
    let error = network.apply(&settings(10), &silent).await.expect_err("absent");
    assert_eq!(error.code(), "network_daemon_absent", "{error}");
    assert!(!network.is_provisional());
    assert_eq!(state(), before);

    let daemon = manager().await;
    until("NetworkManager to watch", || shown("GENERAL.STATE").contains("externally")).await;
    let before = state();
    daemon.signal(Signal::SIGSTOP);
    let started = Instant::now();
    let error = network.apply(&settings(10), &silent).await.expect_err("hangs");
    assert_eq!(error.code(), "network_program_timeout", "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert!(!network.is_provisional(), "found before anything changed");
    assert_eq!(state(), before);
    daemon.signal(Signal::SIGCONT);

    network.apply(&settings(10), &silent).await.expect("applied");
    daemon.signal(Signal::SIGSTOP);
    network.roll_back().await.expect("rolled back without it");
    assert_eq!(state(), before);
    // It still has our profile in its memory, and is told when it goes on.
    daemon.signal(Signal::SIGCONT);
    let without_ours = || !run(&["nmcli", "-g", "NAME", "connection"]).contains("muster");
    let watches = || shown("GENERAL.STATE").contains("externally");
    // It writes its files when it comes to it: all of this has to hold at one time.
    let as_before = || without_ours() && watches() && state() == before;
    until("NetworkManager to be told and to watch again", as_before).await;
}

#[tokio::test]
async fn an_interface_that_networkmanager_leaves_alone_is_refused() {
    if !on_a_host_of_its_own("networkmanager::an_interface_that_networkmanager_leaves_alone_is_refused") {
        return;
    }
    let _bus = Daemon::bus().await;
    set_up("eth0").await.expect("up");
    fs::write("/etc/NetworkManager/conf.d/site.conf", "[keyfile]\nunmanaged-devices=interface-name:eth0\n")
        .expect("written");
    let _manager = manager().await;
    assert_eq!(detect("/".as_ref(), "eth0").await, BackEnd::Ifupdown);
    let before = state();
    let network = network(BackEnd::NetworkManager, MemoryStorage::default());
    let error = network.apply(&settings(10), &silent).await.expect_err("unmanaged");
    assert_eq!(error.code(), "network_left_alone", "{error}");
    assert!(error.to_string().contains("--network"), "{error}");
    assert!(!network.is_provisional());
    assert_eq!(state(), before);
}

#[tokio::test]
async fn a_profile_that_does_not_come_up_is_an_error_with_what_networkmanager_says() {
    if !on_a_host_of_its_own(
        "networkmanager::a_profile_that_does_not_come_up_is_an_error_with_what_networkmanager_says",
    ) {
        return;
    }
    let _bus = Daemon::bus().await;
    set_up("eth0").await.expect("up");
    // It reads profiles from elsewhere.
    fs::write("/etc/NetworkManager/conf.d/site.conf", "[keyfile]\npath=/run/elsewhere\n").expect("written");
    let _manager = manager().await;
    let before = state();
    let network = network(BackEnd::NetworkManager, MemoryStorage::default());
    let error = network.apply(&settings(10), &silent).await.expect_err("unknown to it");
    assert_eq!(error.code(), "network_program_failed", "{error}");
    assert!(error.to_string().contains("nmcli"), "{error}");
    network.roll_back().await.expect("rolled back");
    assert_eq!(state(), before);
}
