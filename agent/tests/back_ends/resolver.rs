//! The resolver with Debian's resolved, resolvconf and openresolv.

use crate::host::{
    Daemon, add_package, assert_forgets, hasty, network, on_a_host_of_its_own, settings, silent, state, until,
};
use crate::namespaces::{run, run_ip};
use muster_agent::network::back_end::BackEnd;
use muster_agent::network::{Network, set_up};
use muster_agent::storage::{FileStorage, MemoryStorage};
use nix::sys::signal::Signal;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

const SERVERS: &str = "192.0.2.53 198.51.100.53";

/// What `/etc/resolv.conf` is.
fn resolver(target: &str) {
    fs::remove_file("/etc/resolv.conf").expect("removed");
    symlink(target, "/etc/resolv.conf").expect("linked");
}

fn resolv_conf() -> String {
    fs::read_to_string("/etc/resolv.conf").expect("there")
}

/// resolved, answering.
async fn resolved() -> Daemon {
    let daemon = Daemon::start(&["/lib/systemd/systemd-resolved"]);
    until("resolved", || Command::new("resolvectl").arg("dns").output().expect("runs").status.success()).await;
    daemon
}

/// A host with a bus and resolved's user, and resolved as the resolver.
async fn resolved_host() -> Daemon {
    add_package("systemd-resolved");
    for (file, line) in [
        ("/etc/passwd", "systemd-resolve:x:64079:64079::/:/usr/sbin/nologin\n"),
        ("/etc/group", "systemd-resolve:x:64079:\n"),
    ] {
        let mut file = File::options().append(true).open(file).expect("opened");
        file.write_all(line.as_bytes()).expect("written");
    }
    resolver("../run/systemd/resolve/stub-resolv.conf");
    Daemon::bus().await
}

fn of_link(what: &str) -> String {
    let said = run(&["resolvectl", what, "eth0"]);
    said.split_once("):").expect("a link").1.trim().to_owned()
}

/// What resolved asks, for any link.
fn asked() -> String {
    fs::read_to_string("/run/systemd/resolve/resolv.conf").expect("there")
}

#[tokio::test]
async fn resolved_asks_the_servers_keeps_them_over_a_restart_and_gets_its_own_back() {
    if !on_a_host_of_its_own("resolver::resolved_asks_the_servers_keeps_them_over_a_restart_and_gets_its_own_back") {
        return;
    }
    let _bus = resolved_host().await;
    let daemon = resolved().await;
    set_up("eth0").await.expect("up");
    run(&["resolvectl", "dns", "eth0", "10.7.0.1", "10.7.0.2"]);
    run(&["resolvectl", "domain", "eth0", "site.example", "~corp.example"]);
    let folder = tempfile::tempdir().expect("a folder");
    let storage = FileStorage::open(folder.path()).expect("opened");
    let before = state();
    network(BackEnd::Bare, storage.clone()).apply(&settings(10), &silent).await.expect("applied");
    assert_eq!((of_link("dns").as_str(), of_link("domain").as_str()), (SERVERS, "example.net"));
    assert_eq!(
        fs::read_link("/etc/resolv.conf").expect("a link"),
        Path::new("../run/systemd/resolve/stub-resolv.conf")
    );
    // A new process: only the disk knows.
    network(BackEnd::Bare, storage).roll_back().await.expect("rolled back");
    let told = (of_link("dns"), of_link("domain"));
    assert_eq!((told.0.as_str(), told.1.as_str()), ("10.7.0.1 10.7.0.2", "site.example ~corp.example"));
    until("resolved to write its file", || state() == before).await;

    let network = network(BackEnd::Bare, MemoryStorage::default());
    network.apply(&settings(10), &silent).await.expect("again");
    network.commit().await.expect("committed");
    // As after a reboot: what was told is gone, the file is there.
    daemon.end();
    fs::remove_dir_all("/run/systemd/resolve").expect("removed");
    let daemon = resolved().await;
    assert_eq!(of_link("dns"), "");
    network.resume(&settings(10)).await.expect("resumed");
    until("resolved to ask", || SERVERS.split(' ').all(|server| asked().contains(server))).await;
    assert!(asked().contains("search example.net"), "{}", asked());
    assert_forgets(&network).await;
    assert_eq!((of_link("dns"), of_link("domain")), (String::new(), String::new()));
    daemon.end();
    let _daemon = resolved().await;
    assert!(!asked().contains("192.0.2.53"), "{}", asked());
}

#[tokio::test]
async fn networkd_tells_resolved() {
    if !on_a_host_of_its_own("resolver::networkd_tells_resolved") {
        return;
    }
    let _bus = resolved_host().await;
    let _resolved = resolved().await;
    let _networkd = crate::networkd::networkd().await;
    set_up("eth0").await.expect("up");
    let network = network(BackEnd::Networkd, MemoryStorage::default());
    let before = state();
    network.apply(&settings(10), &silent).await.expect("applied");
    until("resolved to be told", || of_link("dns") == SERVERS && of_link("domain") == "example.net").await;
    network.roll_back().await.expect("rolled back");
    until("resolved to be told", || of_link("dns").is_empty() && of_link("domain").is_empty()).await;
    until("resolved to write its file", || state() == before).await;
}

#[tokio::test]
async fn a_resolved_that_hangs_is_an_error_and_holds_nobody_up() {
    if !on_a_host_of_its_own("resolver::a_resolved_that_hangs_is_an_error_and_holds_nobody_up") {
        return;
    }
    let _bus = resolved_host().await;
    let daemon = resolved().await;
    set_up("eth0").await.expect("up");
    let network = hasty(BackEnd::Bare, MemoryStorage::default());
    let before = state();
    daemon.signal(Signal::SIGSTOP);
    let error = network.apply(&settings(10), &silent).await.expect_err("hangs");
    assert_eq!(error.code(), "network_program_timeout", "{error}");
    assert!(error.to_string().contains("resolvectl"), "{error}");
    assert!(!network.is_provisional(), "found before anything changed");
    assert_eq!(state(), before);
    daemon.signal(Signal::SIGCONT);
    network.apply(&settings(10), &silent).await.expect("applied");
    daemon.signal(Signal::SIGSTOP);
    network.roll_back().await.expect("rolled back without it");
    assert!(!run_ip("-4 address show dev eth0").contains("192.0.2.10"));
    daemon.signal(Signal::SIGCONT);
    until("resolved to be told", || of_link("dns").is_empty() && state() == before).await;
}

/// The same life with both programs of this name: `ready` is what the system does at boot.
async fn with_resolvconf(ready: &str) {
    run(&["sh", "-ec", ready]);
    set_up("eth0").await.expect("up");
    run(&["sh", "-c", "echo nameserver 10.7.0.1 | resolvconf -a eth0.site"]);
    let folder = tempfile::tempdir().expect("a folder");
    let storage = FileStorage::open(folder.path()).expect("opened");
    let before = state();
    network(BackEnd::Bare, storage.clone()).apply(&settings(10), &silent).await.expect("applied");
    for line in ["nameserver 192.0.2.53", "nameserver 198.51.100.53", "search example.net", "nameserver 10.7.0.1"] {
        assert!(resolv_conf().contains(line), "{}", resolv_conf());
    }
    network(BackEnd::Bare, storage).roll_back().await.expect("rolled back");
    assert_eq!(state(), before);

    let network = network(BackEnd::Bare, MemoryStorage::default());
    network.apply(&settings(10), &silent).await.expect("again");
    network.commit().await.expect("committed");
    fs::remove_dir_all("/run/resolvconf").expect("as after a reboot");
    run(&["sh", "-ec", ready]);
    run_ip("address flush dev eth0");
    network.resume(&settings(10)).await.expect("resumed");
    assert!(resolv_conf().contains("nameserver 192.0.2.53"), "{}", resolv_conf());
    assert_forgets(&network).await;
    assert!(!resolv_conf().contains("192.0.2.53"), "{}", resolv_conf());
}

#[tokio::test]
async fn debians_resolvconf_has_a_record_of_ours() {
    if !on_a_host_of_its_own("resolver::debians_resolvconf_has_a_record_of_ours") {
        return;
    }
    add_package("resolvconf");
    resolver("../run/resolvconf/resolv.conf");
    with_resolvconf("mkdir -p /run/resolvconf/interface; resolvconf --enable-updates").await;
}

#[tokio::test]
async fn openresolv_has_a_record_of_ours() {
    if !on_a_host_of_its_own("resolver::openresolv_has_a_record_of_ours") {
        return;
    }
    add_package("openresolv");
    fs::write("/etc/resolv.conf", "# Generated by resolvconf\n").expect("written");
    with_resolvconf("mkdir -p /run/resolvconf").await;
}
