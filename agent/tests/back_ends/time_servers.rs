//! Time servers and search domains with Debian's timesyncd, networkd and resolved.

use crate::host::{Daemon, network, on_a_host_of_its_own, settings, silent, state, until};
use crate::namespaces::run;
use muster_agent::network::back_end::BackEnd;
use muster_agent::network::drift::Setting;
use muster_agent::network::{Network, set_up};
use muster_agent::storage::{FileStorage, MemoryStorage};
use muster_protocol::parameters::{NetworkSettings, RawSettings};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const DROP_IN: &str = "/etc/systemd/timesyncd.conf.d/50-muster.conf";
const TIMESYNCD: &str = "/lib/systemd/systemd-timesyncd";

fn listed(ntp: &str) -> NetworkSettings {
    let raw =
        RawSettings { ntp: ntp.into(), search_domains: "lab.example.net example.org".into(), ..settings(10).to_raw() };
    raw.validate().expect("valid")
}

/// What timesyncd asks, of its own files (`System`) or of networkd (`Link`); empty while it does not answer.
fn asked(whose: &str) -> String {
    let (name, path) = ("org.freedesktop.timesync1", "/org/freedesktop/timesync1");
    let property = [format!("{name}.Manager"), format!("{whose}NTPServers")];
    let mut command = Command::new("busctl");
    let said = command.args(["get-property", name, path]).args(property).output().expect("busctl runs");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

/// The service manager of a host has no part in a namespace: this does for timesyncd what `try-restart` does.
fn service_manager() {
    let script = format!(
        "#!/bin/sh\n[ \"$*\" = 'try-restart systemd-timesyncd.service' ] || exit 4\necho told >>/run/told\n\
         kill $(cat /run/timesyncd.pid)\n{TIMESYNCD} >/run/timesyncd.log 2>&1 </dev/null & echo $! >/run/timesyncd.pid\n"
    );
    fs::create_dir_all("/run/systemd/system").expect("made");
    run(&["mount", "-t", "tmpfs", "none", "/usr/local/sbin"]);
    fs::write("/usr/local/sbin/systemctl", script).expect("written");
    fs::set_permissions("/usr/local/sbin/systemctl", fs::Permissions::from_mode(0o755)).expect("set");
    run(&["sh", "-c", &format!("{TIMESYNCD} >/run/timesyncd.log 2>&1 </dev/null & echo $! >/run/timesyncd.pid")]);
}

#[tokio::test]
async fn timesyncd_asks_the_servers_and_those_before_after_a_power_cut() {
    if !on_a_host_of_its_own("time_servers::timesyncd_asks_the_servers_and_those_before_after_a_power_cut") {
        return;
    }
    let _bus = Daemon::bus().await;
    fs::create_dir_all("/etc/systemd/timesyncd.conf.d").expect("made");
    fs::write("/etc/systemd/timesyncd.conf.d/10-site.conf", "[Time]\nNTP=10.7.0.1\n").expect("written");
    service_manager();
    until("timesyncd", || asked("System") == "as 1 \"10.7.0.1\"").await;
    set_up("eth0").await.expect("up");
    let folder = tempfile::tempdir().expect("a folder");
    let storage = FileStorage::open(folder.path()).expect("opened");
    let before = state();
    let wanted = listed("192.0.2.123 ntp.example.net");
    network(BackEnd::Bare, storage.clone()).apply(&wanted, &silent).await.expect("applied");
    let both = "as 3 \"10.7.0.1\" \"192.0.2.123\" \"ntp.example.net\"";
    until("timesyncd to be told", || asked("System") == both).await;
    let resolver = fs::read_to_string("/etc/resolv.conf").expect("there");
    assert!(resolver.contains("search example.net lab.example.net example.org\n"), "{resolver}");
    // A new process: only the disk knows.
    network(BackEnd::Bare, storage).roll_back().await.expect("rolled back");
    assert_eq!(state(), before);
    until("timesyncd to be told", || asked("System") == "as 1 \"10.7.0.1\"").await;

    let network = network(BackEnd::Bare, MemoryStorage::default());
    network.apply(&wanted, &silent).await.expect("again");
    network.commit().await.expect("committed");
    until("timesyncd to be told", || asked("System") == both).await;
    assert_eq!(network.drift(&wanted).await.expect("looked"), [], "{}", state());
    assert_eq!(network.time_servers_untaken(&wanted).await, None);
    fs::write(DROP_IN, "[Time]\nNTP=198.51.100.1\n").expect("by hand");
    let by_hand = fs::read_to_string("/etc/resolv.conf").expect("there").replace("lab.", "");
    fs::write("/etc/resolv.conf", by_hand).expect("by hand");
    let drift = network.drift(&wanted).await.expect("looked");
    assert_eq!(drift, [Setting::Resolver, Setting::TimeServers]);
    network.restore(&wanted).await.expect("set again");
    assert_eq!(network.drift(&wanted).await.expect("looked"), [], "{}", state());

    // Others, and then none: what was said before is unsaid.
    for (servers, asks) in [("192.0.2.124", "as 2 \"10.7.0.1\" \"192.0.2.124\""), ("", "as 1 \"10.7.0.1\"")] {
        network.apply(&listed(servers), &silent).await.expect("changed");
        network.commit().await.expect("committed");
        until("timesyncd to be told", || asked("System") == asks).await;
    }
    network.forget(&listed("")).await.expect("forgotten");
    assert!(!fs::exists(DROP_IN).expect("known"), "{}", state());
    assert!(fs::read_to_string("/run/told").expect("told").lines().count() >= 6);
}

#[tokio::test]
async fn networkd_hands_the_servers_to_timesyncd_and_the_domains_on() {
    if !on_a_host_of_its_own("time_servers::networkd_hands_the_servers_to_timesyncd_and_the_domains_on") {
        return;
    }
    let _bus = Daemon::bus().await;
    let _networkd = crate::networkd::networkd().await;
    let _timesyncd = Daemon::start(&[TIMESYNCD]);
    until("timesyncd", || asked("Link") == "as 0").await;
    set_up("eth0").await.expect("up");
    let network = network(BackEnd::Networkd, MemoryStorage::default());
    let (before, wanted) = (state(), listed("192.0.2.123 ntp.example.net"));
    network.apply(&wanted, &silent).await.expect("applied");
    until("timesyncd to be told", || asked("Link") == "as 2 \"192.0.2.123\" \"ntp.example.net\"").await;
    let status = || run(&["networkctl", "--no-pager", "status", "eth0"]);
    for domain in ["example.net", "lab.example.net", "example.org"] {
        assert!(
            status().lines().any(|line| line.trim().trim_start_matches("Search Domains: ") == domain),
            "{}",
            status()
        );
    }
    network.commit().await.expect("committed");
    assert_eq!(network.drift(&wanted).await.expect("looked"), [], "{}", state());
    assert!(!fs::exists(DROP_IN).expect("known"), "networkd has them");
    network.apply(&settings(11), &silent).await.expect("changed");
    until("timesyncd to be told", || asked("Link") == "as 0").await;
    network.roll_back().await.expect("rolled back to the first");
    until("timesyncd to be told", || asked("Link") == "as 2 \"192.0.2.123\" \"ntp.example.net\"").await;
    network.forget(&wanted).await.expect("forgotten");
    until("timesyncd to be told", || asked("Link") == "as 0").await;
    assert!(!state().contains("ntp.example.net") && !before.contains("ntp.example.net"));
}

#[tokio::test]
async fn without_anybody_who_sets_the_clock_the_rest_is_configured_and_it_is_said() {
    if !on_a_host_of_its_own("time_servers::without_anybody_who_sets_the_clock_the_rest_is_configured_and_it_is_said") {
        return;
    }
    run(&["mount", "-t", "tmpfs", "none", "/lib/systemd"]);
    set_up("eth0").await.expect("up");
    let network = network(BackEnd::Bare, MemoryStorage::default());
    let (before, wanted) = (state(), listed("192.0.2.123"));
    network.apply(&wanted, &silent).await.expect("applied");
    crate::host::assert_in_force(10);
    assert!(!fs::exists(DROP_IN).expect("known"));
    let why = network.time_servers_untaken(&wanted).await.expect("it is said");
    assert!(why.contains("systemd-timesyncd"), "{why}");
    network.roll_back().await.expect("rolled back");
    assert_eq!(state(), before);
}
