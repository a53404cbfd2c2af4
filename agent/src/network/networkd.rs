//! systemd-networkd: a marked `.network` file, and `networkctl` to have it taken over.

use super::back_end::{Files, Place};
use super::files::{MARK, NewFile};
use super::netlink::METRIC;
use super::{NetworkError, program};
use muster_protocol::parameters::NetworkSettings;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const DAEMON: &str = "systemd-networkd";

/// The file of an interface, below the root. Of all files for an interface networkd takes the first by name.
pub(super) fn path(interface: &str) -> String {
    format!("etc/systemd/network/10-muster-{interface}.network")
}

pub(super) fn file(root: &Path, interface: &str, settings: &NetworkSettings) -> NewFile {
    NewFile { path: root.join(path(interface)), text: contents(interface, settings), mode: 0o644 }
}

fn contents(interface: &str, settings: &NetworkSettings) -> String {
    let mut text = format!(
        "{MARK}\n[Match]\nName={interface}\n\n[Network]\nDHCP=no\nLinkLocalAddressing=ipv6\nAddress={}/{}\n",
        settings.address(),
        settings.prefix()
    );
    if let Some(gateway) = settings.gateway() {
        text += &format!("Gateway={gateway}\n");
    }
    if let Some(ipv6) = settings.ipv6() {
        text += &format!("Address={ipv6}\n");
    }
    for server in settings.dns().into_iter().flatten() {
        text += &format!("DNS={server}\n");
    }
    text += &format!("Domains={}\n", settings.search().join(" "));
    for server in settings.ntp() {
        text += &format!("NTP={server}\n");
    }
    if let Some(gateway) = settings.ipv6().and_then(|ipv6| ipv6.gateway()) {
        // Before one that advertises itself, which networkd gives 512.
        text += &format!("\n[Route]\nGateway={gateway}\nMetric={}\n", METRIC / 2);
    }
    text
}

/// Whether it answers on D-Bus; it is not started for that.
pub(super) async fn runs(place: Place<'_>) -> bool {
    Path::new("/run/systemd/netif").exists() && answers(place).await.is_ok()
}

/// Whether it runs and answers.
pub(super) async fn check(place: Place<'_>) -> Result<(), NetworkError> {
    answers(place).await
}

async fn answers(place: Place<'_>) -> Result<(), NetworkError> {
    const NAME: &str = "org.freedesktop.network1";
    let call = ["--auto-start=no", "call", NAME, "/org/freedesktop/network1", "org.freedesktop.DBus.Peer", "Ping"];
    // busctl would give up after 25 s by itself, and could not be told from a daemon that is not there.
    match program::succeed("busctl", &call, place.patience.min(Duration::from_secs(20))).await {
        Ok(_) => Ok(()),
        Err(NetworkError::ProgramFailed { said, .. }) => {
            tracing::debug!(said, "systemd-networkd");
            Err(NetworkError::DaemonAbsent { daemon: DAEMON })
        }
        Err(error) => Err(error),
    }
}

/// Has it set the interface as its files say. It does so by itself when it reads that one was written or removed; told twice,
/// it would take the address away a second time.
pub(super) async fn take_over(place: Place<'_>, files: Files) -> Result<(), NetworkError> {
    let told = match files {
        Files::Changed => program::succeed("networkctl", &["reload"], place.patience).await,
        Files::Same => program::succeed("networkctl", &["reconfigure", place.interface], place.patience).await,
    };
    told.map(|_| ())
}

/// Whether the interface is set by our file. An administrator's, by another name, may come before it.
pub(super) async fn check_file(place: Place<'_>) -> Result<(), NetworkError> {
    let status = program::succeed("networkctl", &["--no-pager", "status", place.interface], place.patience).await?;
    match network_file(&status) {
        Some(path) if path != place.root.join(self::path(place.interface)) => {
            Err(NetworkError::Owned { interface: place.interface.to_owned(), path })
        }
        _ => Ok(()),
    }
}

fn network_file(status: &str) -> Option<PathBuf> {
    let file = status.lines().find_map(|line| line.trim().strip_prefix("Network File:"))?.trim();
    file.starts_with('/').then(|| PathBuf::from(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::parameters::RawSettings;

    #[test]
    fn the_file_has_every_setting() {
        let settings = RawSettings {
            host_name: "mail-01".into(),
            domain: "example.net".into(),
            address: "192.0.2.10".into(),
            netmask: "/25".into(),
            gateway: "192.0.2.1".into(),
            dns1: "192.0.2.53".into(),
            dns2: "198.51.100.53".into(),
            ..RawSettings::default()
        };
        let expected = "\
# Written by muster-agent. It is replaced at the next configuration.
[Match]
Name=eth0

[Network]
DHCP=no
LinkLocalAddressing=ipv6
Address=192.0.2.10/25
Gateway=192.0.2.1
DNS=192.0.2.53
DNS=198.51.100.53
Domains=example.net
";
        assert_eq!(contents("eth0", &settings.validate().expect("valid")), expected);
        let listed = RawSettings {
            ntp: "ntp.example.net 192.0.2.123".into(),
            search_domains: "lab.example.net example.org".into(),
            ..settings.clone()
        };
        let more = "Domains=example.net lab.example.net example.org\nNTP=ntp.example.net\nNTP=192.0.2.123\n";
        let listed = contents("eth0", &listed.validate().expect("valid"));
        assert_eq!(listed, expected.replace("Domains=example.net\n", more));
        let both = RawSettings {
            dns2: "2001:db8::53".into(),
            address6: "2001:db8::10/64".into(),
            gateway6: "fe80::1".into(),
            ..settings.clone()
        };
        let expected = expected
            .replace("DNS=198.51.100.53", "DNS=2001:db8::53")
            .replace("DNS=192", "Address=2001:db8::10/64\nDNS=192")
            + "\n[Route]\nGateway=fe80::1\nMetric=256\n";
        assert_eq!(contents("eth0", &both.validate().expect("valid")), expected);
        let bare = RawSettings { gateway: String::new(), dns1: String::new(), dns2: String::new(), ..settings };
        let text = contents("eth0", &bare.validate().expect("valid"));
        assert!(!text.contains("Gateway") && !text.contains("DNS="), "{text}");
    }

    #[test]
    fn the_file_in_force_is_read_from_networkctl() {
        let status = "● 2: eth0\n      Link File: n/a\n   Network File: /run/systemd/network/05-site.network\n";
        assert_eq!(network_file(status), Some("/run/systemd/network/05-site.network".into()));
        assert_eq!(network_file("   Network File: n/a\n"), None);
    }
}
