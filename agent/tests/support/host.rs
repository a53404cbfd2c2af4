//! A host of a test's own for real daemons: network, processes, `/etc`, `/run` and a D-Bus system bus that nobody else sees.

use crate::namespaces::{inside_with, run, run_ip};
use muster_agent::network::Network;
use muster_agent::network::arp::Timing;
use muster_agent::network::back_end::{BackEnd, BackEndChoice};
use muster_agent::network::drift::Setting;
use muster_agent::network::live::LiveNetwork;
use muster_agent::storage::Storage;
use muster_protocol::parameters::{NetworkSettings, RawSettings};
use muster_protocol::wire::result::Stage;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// True in a process on such a host; see `namespaces::inside`.
pub(crate) fn on_a_host_of_its_own(test: &str) -> bool {
    let apart = ["--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
    if !inside_with(test, &apart) {
        return false;
    }
    // Daemons wait for udev unless /sys is read-only, as it is in a container.
    let script = "
        mount --make-rprivate /
        mount -t tmpfs none /mnt
        mkdir /mnt/netns
        mount --rbind /run/netns /mnt/netns
        mount -n --move /mnt /run
        mkdir -p /run/lock /run/dbus /run/network /run/systemd /run/etc
        cp -a /etc/. /run/etc
        mount --bind /run/etc /etc
        rm -rf /etc/systemd/network/* /etc/network/interfaces.d/* /etc/NetworkManager/system-connections/*
        rm -rf /etc/systemd/system/*.wants /etc/resolv.conf
        echo 'nameserver 10.7.0.1' >/etc/resolv.conf
        echo factory >/etc/hostname
        chmod 640 /etc/hostname
        printf '127.0.0.1 localhost\\n10.0.0.1 other\\n' >/etc/hosts
        echo 'source /etc/network/interfaces.d/*' >/etc/network/interfaces
        mount -t tmpfs none /var/lib/NetworkManager
        mount -o remount,ro,bind /sys
        hostname factory";
    run(&["sh", "-ec", script]);
    true
}

/// Lays a Debian package over this host that the machine itself must not have.
pub(crate) fn add_package(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/debian").join(name);
    assert!(folder.is_dir(), "`scripts/setup test` unpacks {name} into .tools/debian");
    let script = "
        cd $1
        for part in bin lib sbin; do
            lower=
            for from in $part usr/$part; do
                if [ -d $from ]; then lower=$lower$PWD/$from:; fi
            done
            if [ -n \"$lower\" ]; then mount -t overlay none -o lowerdir=$lower/usr/$part /usr/$part; fi
        done
        cp -a etc/. /etc
        if [ -d usr/share/dbus-1/system.d ]; then cp usr/share/dbus-1/system.d/* /etc/dbus-1/system.d; fi";
    run(&["sh", "-ec", script, "sh", &folder.canonicalize().expect("there").display().to_string()]);
}

/// Everything that a configuration may change.
pub(crate) fn state() -> String {
    let script = "
        for file in $(find /etc/systemd/network /etc/systemd/resolved.conf.d /etc/systemd/timesyncd.conf.d /etc/network /etc/hostname /etc/hosts \
            /etc/resolv.conf /etc/NetworkManager/system-connections ! -type d 2>/dev/null | sort); do
            stat -c '%n %a %U %F' $file
            cat $file
        done";
    [
        run_ip("-4 address show dev eth0"),
        run_ip("-4 route show table main"),
        run(&["hostname"]),
        run(&["sh", "-c", script]),
    ]
    .join("----\n")
}

pub(crate) fn settings(host: u8) -> NetworkSettings {
    let raw = RawSettings {
        host_name: format!("mail-{host}"),
        domain: "example.net".into(),
        address: format!("192.0.2.{host}"),
        netmask: "255.255.255.0".into(),
        gateway: "192.0.2.1".into(),
        dns1: "192.0.2.53".into(),
        dns2: "198.51.100.53".into(),
        ..RawSettings::default()
    };
    raw.validate().expect("valid")
}

/// The same with IPv6.
pub(crate) fn settings6(host: u8) -> NetworkSettings {
    let raw = RawSettings {
        dns2: "2001:db8:1::53".into(),
        address6: format!("2001:db8:1::{host}/64"),
        gateway6: "2001:db8:1::1".into(),
        ..settings(host).to_raw()
    };
    raw.validate().expect("valid")
}

pub(crate) fn network<S: Storage>(back_end: BackEnd, storage: S) -> LiveNetwork<S> {
    let probe = Timing::within(Duration::from_millis(300));
    let mut network = LiveNetwork::new("eth0".into(), "/".into(), probe, storage, BackEndChoice::new(Some(back_end)));
    network.patience = Duration::from_secs(10);
    network
}

/// The same for tests in which something hangs.
pub(crate) fn hasty<S: Storage>(back_end: BackEnd, storage: S) -> LiveNetwork<S> {
    let mut network = network(back_end, storage);
    network.patience = Duration::from_secs(2);
    network
}

pub(crate) fn silent(_: Stage, _: u8) {}

/// The kernel has exactly these settings.
pub(crate) fn assert_in_force(host: u8) {
    let addresses = run_ip("-4 -o address show dev eth0");
    assert!(addresses.contains(&format!("inet 192.0.2.{host}/24 brd 192.0.2.255")), "{}", state());
    assert_eq!(addresses.lines().count(), 1, "{}", state());
    let routes = run_ip("-4 route show default");
    assert!(routes.starts_with("default via 192.0.2.1 dev eth0") && routes.lines().count() == 1, "{}", state());
    assert_eq!(run(&["hostname"]), format!("mail-{host}\n"));
}

/// Final settings of host 10 show no drift, come back when they are changed by hand, and are forgotten without a trace.
pub(crate) async fn assert_forgets<S: Storage>(network: &LiveNetwork<S>) {
    assert_eq!(network.drift(&settings(10)).await.expect("looked"), [], "{}", state());
    run_ip("address add 10.9.9.9/24 dev eth0");
    run_ip("route del default");
    let drift = network.drift(&settings(10)).await.expect("looked");
    assert_eq!(drift, [Setting::Address, Setting::Gateway]);
    network.restore(&settings(10)).await.expect("set again");
    assert_in_force(10);
    assert_eq!(network.drift(&settings(10)).await.expect("looked"), [], "{}", state());
    for _ in 0..2 {
        network.forget(&settings(10)).await.expect("forgotten");
        // Daemons write their files when they come to it.
        let traces = ["192.0.2.", "mail-10", "example.net", "Written by muster-agent"];
        until("the last trace to go", || !traces.iter().any(|trace| state().contains(trace))).await;
    }
}

/// The whole life of settings: in force, rolled back, forgotten, in force again, changed and rolled back to the former ones, which
/// stay. `applied` looks at what a back end has of them, `gone` when it shall have nothing.
pub(crate) async fn assert_lives<S: Storage>(network: &LiveNetwork<S>, applied: impl Fn(), gone: impl Fn()) {
    let before = state();
    network.apply(&settings(10), &silent).await.expect("applied");
    assert_in_force(10);
    applied();
    network.roll_back().await.expect("rolled back");
    assert_eq!(state(), before);
    gone();

    network.apply(&settings(10), &silent).await.expect("for an owner");
    network.commit().await.expect("committed");
    assert_forgets(network).await;
    gone();
    network.apply(&settings(10), &silent).await.expect("again");
    network.commit().await.expect("committed");
    network.apply(&settings(11), &silent).await.expect("changed");
    assert_in_force(11);
    network.roll_back().await.expect("rolled back to the first");
    assert_in_force(10);
}

/// At the agent's start its daemon is away, or was not told: the agent sets what is final itself. At the end the file of ours goes.
pub(crate) async fn assert_resumes_and_removes<S: Storage>(
    network: &LiveNetwork<S>,
    resumes: &LiveNetwork<S>,
    ours: &str,
) {
    run_ip("address flush dev eth0");
    resumes.resume(&settings(10)).await.expect("resumed");
    assert_in_force(10);
    let removed = network.remove_files().await.expect("removed");
    assert!(removed.contains(&ours.into()) && !fs::exists(ours).expect("known"), "{removed:?}");
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "waited for {what}:\n{}", state());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A running daemon; ended when dropped.
pub(crate) struct Daemon {
    child: Child,
    log: String,
}

impl Daemon {
    pub(crate) fn start(command: &[&str]) -> Daemon {
        let name = Path::new(command[0]).file_name().expect("a name").to_string_lossy().into_owned();
        let log = format!("/run/{name}.log");
        let file = File::options().create(true).append(true).open(&log).expect("opened");
        let child = Command::new(command[0])
            .args(&command[1..])
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a handle"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{} is installed by scripts/setup test: {error}", command[0]));
        Daemon { child, log }
    }

    /// The system bus, ready.
    pub(crate) async fn bus() -> Daemon {
        let bus = Daemon::start(&["dbus-daemon", "--system", "--nofork", "--nopidfile"]);
        until("the bus", || Path::new("/run/dbus/system_bus_socket").exists()).await;
        bus
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("sent");
    }

    pub(crate) fn end(mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().expect("ends");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = fs::read_to_string(&self.log).unwrap_or_default();
            let _ = writeln!(std::io::stderr(), "--- {}\n{said}", self.log);
        }
        // A test that gave up its rights cannot; then the daemon ends with the host.
        if self.child.kill().is_ok() {
            let _ = self.child.wait();
        }
    }
}
