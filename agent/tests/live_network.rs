//! The netlink back end against a real kernel, in network namespaces of the tests' own. Needs root, as CI has.
//!
//! Each test starts itself again inside its namespace (and its own host name, `unshare --uts`), because a process can only
//! be moved there by another program or by unsafe code.

#[path = "support/namespaces.rs"]
mod namespaces;

use muster_agent::network::arp::Timing;
use muster_agent::network::back_end::{BackEnd, BackEndChoice};
use muster_agent::network::drift::Setting;
use muster_agent::network::live::LiveNetwork;
use muster_agent::network::{Network, NetworkError, set_up};
use muster_agent::storage::{Document, FileStorage, MemoryStorage, Storage};
use muster_protocol::parameters::{NetworkSettings, RawSettings};
use muster_protocol::wire::result::{Reason, Stage};
use namespaces::{inside, run, run_ip};
use std::fs;
use std::path::Path;

fn settings() -> NetworkSettings {
    let raw = RawSettings {
        host_name: "mail-01".into(),
        domain: "example.net".into(),
        address: "192.0.2.10".into(),
        netmask: "255.255.255.0".into(),
        gateway: "192.0.2.1".into(),
        dns1: "192.0.2.53".into(),
        dns2: String::new(),
        ..RawSettings::default()
    };
    raw.validate().expect("valid")
}

fn network<S: Storage>(root: &Path, storage: S) -> LiveNetwork<S> {
    LiveNetwork::new("eth0".into(), root.to_owned(), Timing::FAST, storage, BackEndChoice::new(Some(BackEnd::Bare)))
}

fn silent(_: Stage, _: u8) {}

/// Everything that a configuration may change.
fn state(root: &Path) -> String {
    let files = run(&["sh", "-c", &format!("cd {} && find . -type f | sort | xargs -r tail -n +1", root.display())]);
    [
        run_ip("-4 address show dev eth0"),
        run_ip("-4 route show table main"),
        run_ip("-o link show dev eth0"),
        run(&["hostname"]),
        files,
    ]
    .join("----\n")
}

#[tokio::test]
async fn settings_are_applied_to_an_interface_without_address_and_rolled_back() {
    if !inside("settings_are_applied_to_an_interface_without_address_and_rolled_back") {
        return;
    }
    set_up("eth0").await.expect("up");
    let root = tempfile::tempdir().expect("a folder");
    let storage = MemoryStorage::default();
    let network = network(root.path(), storage.clone());
    let before = state(root.path());
    network.apply(&settings(), &silent).await.expect("applied");
    assert!(network.is_provisional());
    assert!(
        run_ip("-4 address show dev eth0").contains("inet 192.0.2.10/24 brd 192.0.2.255"),
        "{}",
        state(root.path())
    );
    assert!(run_ip("-4 route show default").contains("default via 192.0.2.1 dev eth0"), "{}", state(root.path()));
    assert_eq!(run(&["hostname"]), "mail-01\n");
    let read = |path: &str| fs::read_to_string(root.path().join("etc").join(path)).expect("written");
    assert_eq!(read("hostname"), "mail-01\n");
    assert!(read("resolv.conf").contains("nameserver 192.0.2.53"));
    assert!(read("systemd/network/10-muster-eth0.network").contains("Address=192.0.2.10/24"));
    network.roll_back().await.expect("rolled back");
    assert_eq!(state(root.path()), before);
    assert!(!network.is_provisional());

    network.apply(&settings(), &silent).await.expect("again");
    network.commit().await.expect("committed");
    let committed = state(root.path());
    network.roll_back().await.expect("nothing to do");
    assert_eq!(state(root.path()), committed);
}

#[tokio::test]
async fn an_odd_former_state_comes_back_exactly_after_a_power_cut() {
    if !inside("an_odd_former_state_comes_back_exactly_after_a_power_cut") {
        return;
    }
    for line in [
        "link set eth0 up",
        "address add 10.7.0.5/16 brd 10.7.255.255 dev eth0",
        "address add 10.7.0.6/16 dev eth0",
        "address add 172.16.9.9/30 dev eth0 scope link",
        "address add 192.0.2.99/25 dev eth0",
        "route add default via 10.7.0.1 dev eth0 metric 50",
        "route add 198.51.100.0/24 via 10.7.0.2 dev eth0 src 10.7.0.6",
        "route add 203.0.113.7 dev eth0 scope link",
        "link add other0 type veth peer name other1",
        "address add 10.99.0.1/24 dev other0",
        "link set other0 up",
        "link set other1 up",
        "route add default via 10.99.0.254 dev other0",
    ] {
        run_ip(line);
    }
    run(&["hostname", "former"]);
    let root = tempfile::tempdir().expect("a folder");
    let etc = root.path().join("etc");
    fs::create_dir(&etc).expect("made");
    fs::write(etc.join("hosts"), "127.0.0.1 localhost\n").expect("written");
    fs::write(etc.join("resolv.conf"), "nameserver 10.7.0.1\n").expect("written");
    let folder = tempfile::tempdir().expect("a folder");
    let storage = FileStorage::open(folder.path()).expect("opened");
    let before = state(root.path());

    network(root.path(), storage.clone()).apply(&settings(), &silent).await.expect("applied");
    assert_eq!(run_ip("-4 -o address show dev eth0").lines().count(), 1, "{}", state(root.path()));
    let routes = run_ip("-4 route show default");
    assert!(routes.starts_with("default via 192.0.2.1 dev eth0"), "{routes}");
    // A new process after the power came back: only the disk knows.
    network(root.path(), storage).roll_back().await.expect("rolled back");
    assert_eq!(state(root.path()), before);
}

#[tokio::test]
async fn a_taken_address_is_found_before_anything_changes() {
    if !inside("a_taken_address_is_found_before_anything_changes") {
        return;
    }
    set_up("eth0").await.expect("up");
    // The other end of the cable has it.
    run(&["ip", "-n", &namespaces::peer(), "address", "add", "192.0.2.10/24", "dev", "eth0"]);
    let root = tempfile::tempdir().expect("a folder");
    let network = network(root.path(), MemoryStorage::default());
    let before = state(root.path());
    let error = network.apply(&settings(), &silent).await.expect_err("refused");
    assert!(matches!(error, NetworkError::AddressTaken { .. }), "{error}");
    assert_eq!(error.to_failure().reason, Reason::AddressTaken);
    assert!(!network.is_provisional());
    assert_eq!(state(root.path()), before);
}

#[tokio::test]
async fn whatever_step_fails_everything_is_restored() {
    if !inside("whatever_step_fails_everything_is_restored") {
        return;
    }
    set_up("eth0").await.expect("up");
    run_ip("address add 10.7.0.5/16 dev eth0");
    let root = tempfile::tempdir().expect("a folder");
    // The disk of the system files is full; the agent's own is not.
    run(&["mount", "-t", "tmpfs", "-o", "size=16k,nr_inodes=8", "none", &root.path().display().to_string()]);
    fs::create_dir(root.path().join("etc")).expect("made");
    fs::write(root.path().join("etc/hosts"), "127.0.0.1 localhost\n").expect("written");
    fs::write(root.path().join("filler"), vec![0; 8 * 1024]).expect("written");
    let network = network(root.path(), MemoryStorage::default());
    let before = state(root.path());
    let error = network.apply(&settings(), &silent).await.expect_err("full");
    assert_eq!(error.to_failure().reason, Reason::Storage, "{error}");
    assert!(network.is_provisional());
    network.roll_back().await.expect("rolled back");
    // Folders that were made on the way may stay.
    assert_eq!(state(root.path()), before);
}

#[tokio::test]
async fn a_full_disk_of_the_agents_own_refuses_before_anything_changes() {
    if !inside("a_full_disk_of_the_agents_own_refuses_before_anything_changes") {
        return;
    }
    set_up("eth0").await.expect("up");
    let folder = tempfile::tempdir().expect("a folder");
    run(&["mount", "-t", "tmpfs", "-o", "size=16k", "none", &folder.path().display().to_string()]);
    let storage = FileStorage::open(folder.path()).expect("opened");
    storage.save(Document::Appliance, b"kept").expect("saved");
    let _ = fs::write(folder.path().join("filler"), vec![0; 64 * 1024]);
    let error = storage.save(Document::Appliance, &vec![1; 32 * 1024]).expect_err("full");
    assert_eq!(error.code(), "disk_full");
    assert_eq!(storage.load(Document::Appliance).expect("intact").as_deref(), Some(&b"kept"[..]));

    let root = tempfile::tempdir().expect("a folder");
    let network = network(root.path(), storage);
    let before = state(root.path());
    let error = network.apply(&settings(), &silent).await.expect_err("full");
    assert_eq!(error.to_failure().reason, Reason::Storage, "{error}");
    assert!(!network.is_provisional());
    assert_eq!(state(root.path()), before);
}

#[tokio::test]
async fn final_settings_come_back_after_a_reboot_without_a_network_daemon() {
    if !inside("final_settings_come_back_after_a_reboot_without_a_network_daemon") {
        return;
    }
    let root = tempfile::tempdir().expect("a folder");
    let network = network(root.path(), MemoryStorage::default());
    for _ in 0..2 {
        network.resume(&settings()).await.expect("resumed");
        assert_eq!(run_ip("-4 -o address show dev eth0").lines().count(), 1);
        assert!(run_ip("-4 route show default").contains("via 192.0.2.1"));
        assert_eq!(run(&["hostname"]), "mail-01\n");
    }
}

/// Changes by hand, as an administrator with a shell makes them: each is named, and a restore undoes it.
#[tokio::test]
async fn settings_that_are_changed_by_hand_are_named_and_restored() {
    if !inside("settings_that_are_changed_by_hand_are_named_and_restored") {
        return;
    }
    set_up("eth0").await.expect("up");
    let root = tempfile::tempdir().expect("a folder");
    let network = network(root.path(), MemoryStorage::default());
    network.apply(&settings(), &silent).await.expect("applied");
    network.commit().await.expect("committed");
    let drift = async || {
        let found = network.drift(&settings()).await.expect("told");
        found.into_iter().map(Setting::word).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(drift().await, "");
    let configured = state(root.path());
    let etc = root.path().join("etc");
    let file = |name: &str, text: &str| fs::write(etc.join(name), text).expect("written");
    let lasting = etc.join("systemd/network/10-muster-eth0.network");

    type ByHand<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let changes: Vec<ByHand<'_>> = vec![
        ("address", Box::new(|| drop(run_ip("address add 192.0.2.77/24 dev eth0")))),
        // The kernel takes the routes that need the address with it.
        ("address gateway", Box::new(|| drop(run_ip("address del 192.0.2.10/24 dev eth0")))),
        ("gateway", Box::new(|| drop(run_ip("route replace default via 192.0.2.254 dev eth0")))),
        ("gateway", Box::new(|| drop(run_ip("route del default")))),
        ("gateway", Box::new(|| drop(run_ip("route add default via 192.0.2.254 dev eth0 metric 9")))),
        ("route", Box::new(|| drop(run_ip("route add 198.51.100.0/24 via 192.0.2.2 dev eth0")))),
        ("address gateway", Box::new(|| drop(run_ip("link set eth0 down") + &run_ip("address flush dev eth0")))),
        ("host_name", Box::new(|| drop(run(&["hostname", "elsewhere"])))),
        ("host_name", Box::new(|| file("hostname", "elsewhere\n"))),
        ("hosts", Box::new(|| file("hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"))),
        ("resolver", Box::new(|| file("resolv.conf", "nameserver 203.0.113.1\n"))),
        ("network_file", Box::new(|| fs::remove_file(&lasting).expect("removed"))),
        (
            "host_name resolver",
            Box::new(|| {
                file("hostname", "x\n");
                fs::remove_file(etc.join("resolv.conf")).expect("removed");
            }),
        ),
    ];
    for (named, change) in &changes {
        change();
        assert_eq!(drift().await, *named, "{}", state(root.path()));
        network.restore(&settings()).await.expect("restored");
        assert_eq!(drift().await, "", "after {named}: {}", state(root.path()));
        // `ip` prints addresses in the order in which they came; there is one again.
        assert_eq!(state(root.path()), configured, "after {named}");
    }
    // What is nobody's business: another interface, and what others write into files that are not ours alone.
    run_ip("link add other0 type veth peer name other1");
    run_ip("address add 10.99.0.1/24 dev other0");
    run_ip("link set other0 up");
    run_ip("link set other1 up");
    run_ip("route add default via 10.99.0.254 dev other0 metric 500");
    let hosts = fs::read_to_string(etc.join("hosts")).expect("there");
    file("hosts", &(hosts + "10.0.0.1 printer\n"));
    assert_eq!(drift().await, "");
}
