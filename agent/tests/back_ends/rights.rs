//! Every back end with the capabilities that the agent's unit leaves to it and to the programs that it starts.

use crate::host::{Daemon, assert_forgets, assert_in_force, network, on_a_host_of_its_own, settings, silent, state};
use caps::{CapSet, Capability, CapsHashSet};
use muster_agent::network::back_end::BackEnd;
use muster_agent::network::{Network, set_up};
use muster_agent::storage::MemoryStorage;

/// From here on this process and what it starts have what the unit leaves, and get no more.
fn give_up_what_the_unit_takes() {
    let unit = include_str!("../../packaging/muster-agent.service");
    let left = unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).expect("the unit has one");
    let left: CapsHashSet = left.split_whitespace().map(|name| name.parse().expect("a capability")).collect();
    assert!(!left.contains(&Capability::CAP_DAC_OVERRIDE) && left.contains(&Capability::CAP_NET_ADMIN), "{left:?}");
    for capability in caps::runtime::thread_all_supported().difference(&left) {
        caps::drop(None, CapSet::Bounding, *capability).expect("dropped");
    }
    let had = caps::read(None, CapSet::Permitted).expect("read");
    let left = left.intersection(&had).copied().collect();
    for set in [CapSet::Effective, CapSet::Permitted] {
        caps::set(None, set, &left).expect("set");
    }
    nix::sys::prctl::set_no_new_privs().expect("set");
}

async fn lives(back_end: BackEnd) {
    give_up_what_the_unit_takes();
    set_up("eth0").await.expect("up");
    let network = network(back_end, MemoryStorage::default());
    let before = state();
    network.apply(&settings(10), &silent).await.expect("applied");
    assert_in_force(10);
    network.roll_back().await.expect("rolled back");
    assert_eq!(state(), before);
    network.apply(&settings(10), &silent).await.expect("again");
    network.commit().await.expect("committed");
    assert_forgets(&network).await;
}

#[tokio::test]
async fn networkd_and_hostnamed_do_it_for_the_unit() {
    if !on_a_host_of_its_own("rights::networkd_and_hostnamed_do_it_for_the_unit") {
        return;
    }
    std::fs::create_dir_all("/run/systemd/system").expect("made");
    let _bus = Daemon::bus().await;
    let _hostnamed = Daemon::start(&["/lib/systemd/systemd-hostnamed"]);
    let _networkd = crate::networkd::networkd().await;
    lives(BackEnd::Networkd).await;
}

#[tokio::test]
async fn networkmanager_does_it_for_the_unit() {
    if !on_a_host_of_its_own("rights::networkmanager_does_it_for_the_unit") {
        return;
    }
    let _bus = Daemon::bus().await;
    let _manager = crate::networkmanager::manager().await;
    lives(BackEnd::NetworkManager).await;
}

#[tokio::test]
async fn ifupdown_does_it_for_the_unit() {
    if on_a_host_of_its_own("rights::ifupdown_does_it_for_the_unit") {
        lives(BackEnd::Ifupdown).await;
    }
}

#[tokio::test]
async fn the_agent_itself_does_it_for_the_unit() {
    if on_a_host_of_its_own("rights::the_agent_itself_does_it_for_the_unit") {
        lives(BackEnd::Bare).await;
    }
}
