//! NetworkManager: a marked keyfile, and `nmcli` to have it loaded and brought up.

use super::back_end::Place;
use super::files::{MARK, NewFile};
use super::netlink::{Netlink, Snapshot};
use super::{NetworkError, program};
use muster_protocol::parameters::NetworkSettings;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::path::Path;

pub(super) const DAEMON: &str = "NetworkManager";
/// nmcli's exit status when NetworkManager does not run.
const NOT_RUNNING: i32 = 8;

/// NetworkManager gives a wire 100.
const METRIC_OF_GATEWAY: u32 = 50;

/// How the state of a device begins that it leaves alone.
const UNMANAGED: &str = "10 ";

/// What was active on the interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Active {
    /// Its profile.
    uuid: Option<String>,
    /// NetworkManager only watched what somebody else had set.
    external: bool,
    /// It was still on its way up, waiting for DHCP perhaps.
    on_its_way: bool,
}

/// The keyfile of an interface, below the root.
pub(super) fn path(interface: &str) -> String {
    format!("etc/NetworkManager/system-connections/muster-{interface}.nmconnection")
}

pub(super) fn file(root: &Path, interface: &str, settings: &NetworkSettings) -> NewFile {
    // NetworkManager ignores keyfiles that others can read.
    NewFile { path: root.join(path(interface)), text: contents(interface, settings), mode: 0o600 }
}

fn contents(interface: &str, settings: &NetworkSettings) -> String {
    let gateway = settings.gateway().map(|gateway| format!(",{gateway}")).unwrap_or_default();
    let dns = |wanted: fn(&IpAddr) -> bool| {
        let servers = settings.dns().into_iter().flatten().filter(wanted);
        let servers: String = servers.map(|server| format!("{server};")).collect();
        if servers.is_empty() { servers } else { format!("dns={servers}\n") }
    };
    let (dns, dns6) = (dns(IpAddr::is_ipv4), dns(IpAddr::is_ipv6));
    let ipv6 = settings.ipv6().map(|ipv6| {
        // A gateway beside the address would have the metric of one that advertises itself.
        let route = |gateway| format!("route1=::/0,{gateway},{}\n", METRIC_OF_GATEWAY);
        format!("address1={ipv6}\n{}", ipv6.gateway().map(route).unwrap_or_default())
    });
    let ipv6 = ipv6.unwrap_or_default() + &dns6;
    let search: String = settings.search().into_iter().map(|domain| format!("{domain};")).collect();
    format!(
        "{MARK}\n[connection]\nid=muster-{interface}\nuuid={}\ntype=ethernet\ninterface-name={interface}\n\
         autoconnect-priority=999\n\n[ipv4]\nmethod=manual\naddress1={}/{}{gateway}\n{dns}dns-search={}\n\n\
         [ipv6]\nmethod=auto\n{ipv6}",
        uuid(interface),
        settings.address(),
        settings.prefix(),
        search
    )
}

/// The same for an interface at all times (RFC 9562, version 8), so that a profile replaces the one before.
fn uuid(interface: &str) -> String {
    let mut bytes: [u8; 16] = Sha256::digest(format!("muster-agent {interface}"))[..16].try_into().unwrap_or_default();
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

pub(super) fn is_installed() -> bool {
    program::is_installed("nmcli")
}

/// Whether it has the interface; unknown while it does not run.
pub(super) async fn manages(place: Place<'_>) -> Option<bool> {
    if !is_installed() || runs(place).await.is_err() {
        return None;
    }
    Some(check(place).await.is_ok())
}

/// Has it take a lasting host name, which it would otherwise replace by the one that it knows.
pub(super) async fn tell_host_name(place: Place<'_>, lasting: &str) -> Result<(), NetworkError> {
    nmcli(place, &["general", "hostname", lasting]).await
}

/// Whether it runs and has the interface.
pub(super) async fn check(place: Place<'_>) -> Result<(), NetworkError> {
    runs(place).await?;
    if show(place, "GENERAL.STATE").await?.starts_with(UNMANAGED) {
        return Err(NetworkError::LeftAlone { daemon: DAEMON, interface: place.interface.to_owned() });
    }
    Ok(())
}

async fn runs(place: Place<'_>) -> Result<(), NetworkError> {
    let arguments = ["-g", "RUNNING", "general"];
    let ended = program::run(Path::new("nmcli"), &arguments, &[], place.patience).await?;
    match ended.status.code() {
        Some(0) if ended.output.starts_with(b"running") => Ok(()),
        // It is about to start, or it is not there.
        Some(0 | NOT_RUNNING) => Err(NetworkError::DaemonAbsent { daemon: DAEMON }),
        _ => Err(NetworkError::ProgramFailed { program: "nmcli general".to_owned(), said: ended.errors }),
    }
}

pub(super) async fn active(place: Place<'_>) -> Result<Active, NetworkError> {
    let uuid = show(place, "GENERAL.CON-UUID").await?;
    let state = show(place, "GENERAL.STATE").await?;
    let uuid = (!uuid.is_empty()).then_some(uuid);
    Ok(Active { uuid, external: state.contains("externally"), on_its_way: !state.starts_with("100 ") })
}

/// Brings our profile up, and with it down what was active.
pub(super) async fn bring_up(place: Place<'_>) -> Result<(), NetworkError> {
    let file = place.root.join(path(place.interface));
    nmcli(place, &["connection", "load", &file.display().to_string()]).await?;
    // nmcli's own patience ends before ours: it knows more about why.
    let wait = place.patience.as_secs().saturating_sub(1).max(1);
    activate(place, &uuid(place.interface), wait).await
}

/// Our keyfile is what it was before, most often gone.
pub(super) async fn bring_back(
    place: Place<'_>,
    netlink: &Netlink,
    index: u32,
    former: &Active,
    snapshot: &Snapshot,
) -> Result<(), NetworkError> {
    let Some(uuid) = former.uuid.as_deref().filter(|_| !former.external) else {
        // What nobody manages is taken as it is found, and nothing else is started on it. Otherwise NetworkManager would ask
        // for an address by DHCP and drop, minutes later, what others had set.
        nmcli(place, &["device", "set", place.interface, "managed", "no"]).await?;
        nmcli(place, &["connection", "reload"]).await?;
        netlink.set_up(index).await?;
        netlink.restore(index, snapshot).await?;
        return nmcli(place, &["device", "set", place.interface, "managed", "yes"]).await;
    };
    nmcli(place, &["connection", "reload"]).await?;
    let wait = if former.on_its_way { 0 } else { place.patience.as_secs().saturating_sub(1).max(1) };
    activate(place, uuid, wait).await
}

async fn activate(place: Place<'_>, uuid: &str, wait_s: u64) -> Result<(), NetworkError> {
    let wait = wait_s.to_string();
    nmcli(place, &["--wait", &wait, "connection", "up", "uuid", uuid, "ifname", place.interface]).await
}

async fn show(place: Place<'_>, field: &str) -> Result<String, NetworkError> {
    let arguments = ["-g", field, "device", "show", place.interface];
    Ok(program::succeed("nmcli", &arguments, place.patience).await?.trim().to_owned())
}

async fn nmcli(place: Place<'_>, arguments: &[&str]) -> Result<(), NetworkError> {
    program::succeed("nmcli", arguments, place.patience).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::parameters::RawSettings;

    #[test]
    fn the_keyfile_has_every_setting_and_only_root_reads_it() {
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
        let expected = format!(
            "\
# Written by muster-agent. It is replaced at the next configuration.
[connection]
id=muster-eth0
uuid={}
type=ethernet
interface-name=eth0
autoconnect-priority=999

[ipv4]
method=manual
address1=192.0.2.10/25,192.0.2.1
dns=192.0.2.53;198.51.100.53;
dns-search=example.net;

[ipv6]
method=auto
",
            uuid("eth0")
        );
        let file = file(Path::new("/"), "eth0", &settings.clone().validate().expect("valid"));
        assert_eq!((&file.text, file.mode), (&expected, 0o600));
        let listed = RawSettings { search_domains: "lab.example.net".into(), ..settings.clone() };
        let listed = contents("eth0", &listed.validate().expect("valid"));
        assert_eq!(listed, expected.replace("dns-search=example.net;", "dns-search=example.net;lab.example.net;"));
        let both = RawSettings {
            dns2: "2001:db8::53".into(),
            address6: "2001:db8::10/64".into(),
            gateway6: "fe80::1".into(),
            ..settings.clone()
        };
        let expected = expected.replace("198.51.100.53;", "")
            + "address1=2001:db8::10/64\nroute1=::/0,fe80::1,50\ndns=2001:db8::53;\n";
        assert_eq!(contents("eth0", &both.validate().expect("valid")), expected);
        let bare = RawSettings { gateway: String::new(), dns1: String::new(), dns2: String::new(), ..settings };
        let text = contents("eth0", &bare.validate().expect("valid"));
        assert!(text.contains("address1=192.0.2.10/25\ndns-search"), "{text}");
    }

    #[test]
    fn a_profile_keeps_its_uuid() {
        let parsed = |interface: &str| {
            let text = uuid(interface);
            assert!(
                text.len() == 36 && text.as_bytes()[14] == b'8' && b"89ab".contains(&text.as_bytes()[19]),
                "{text}"
            );
            text
        };
        assert_eq!(parsed("eth0"), parsed("eth0"));
        assert_ne!(parsed("eth0"), parsed("eth1"));
    }
}
