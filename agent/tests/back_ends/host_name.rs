//! The host name with Debian's hostnamed.

use crate::host::{Daemon, network, on_a_host_of_its_own, settings, silent, state, until};
use crate::namespaces::run;
use muster_agent::network::back_end::BackEnd;
use muster_agent::network::{Network, set_up};
use muster_agent::storage::MemoryStorage;
use nix::sys::signal::Signal;
use std::fs;
use std::process::Command;

#[tokio::test]
async fn hostnamed_knows_the_name_and_its_former_name_comes_back_also_while_it_hangs() {
    if !on_a_host_of_its_own("host_name::hostnamed_knows_the_name_and_its_former_name_comes_back_also_while_it_hangs") {
        return;
    }
    // This is how programs see that systemd runs.
    fs::create_dir_all("/run/systemd/system").expect("made");
    let _bus = Daemon::bus().await;
    let daemon = Daemon::start(&["/lib/systemd/systemd-hostnamed"]);
    let known = || Command::new("hostnamectl").arg("--static").output().expect("runs");
    until("hostnamed", || known().status.success()).await;
    set_up("eth0").await.expect("up");
    let before = state();
    let mut network = network(BackEnd::Bare, MemoryStorage::default());
    network.patience = std::time::Duration::from_secs(2);
    for hangs in [false, true] {
        if hangs {
            daemon.signal(Signal::SIGSTOP);
        }
        network.apply(&settings(10), &silent).await.expect("applied");
        assert_eq!(run(&["hostname"]), "mail-10\n");
        assert_eq!(fs::read_to_string("/etc/hostname").expect("there"), "mail-10\n");
        if !hangs {
            assert_eq!(known().stdout, b"mail-10\n");
        }
        network.roll_back().await.expect("rolled back");
        assert_eq!(state(), before);
        if hangs {
            daemon.signal(Signal::SIGCONT);
        }
        assert_eq!(known().stdout, b"factory\n");
    }
}
