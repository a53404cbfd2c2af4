//! Lasting settings as a systemd-networkd file.

use muster_protocol::parameters::NetworkSettings;
use std::path::Path;
use std::process::{Command, Stdio};

/// The file of an interface, below the root.
pub(super) fn file(interface: &str) -> String {
    format!("etc/systemd/network/10-muster-{interface}.network")
}

/// Its contents.
pub(super) fn contents(interface: &str, settings: &NetworkSettings) -> String {
    let mut text = format!(
        "{}\n[Match]\nName={interface}\n\n[Network]\nDHCP=no\nLinkLocalAddressing=ipv6\nAddress={}/{}\n",
        super::files::MARK,
        settings.address(),
        settings.prefix()
    );
    if let Some(gateway) = settings.gateway() {
        text += &format!("Gateway={gateway}\n");
    }
    for server in settings.dns().into_iter().flatten() {
        text += &format!("DNS={server}\n");
    }
    text += &format!("Domains={}\n", settings.domain());
    text
}

/// Has a running networkd take over what is on disk. It is not an error if none runs: netlink did the work.
pub(super) fn tell(root: &Path, interface: &str) {
    if root != Path::new("/") || !Path::new("/run/systemd/netif").exists() {
        return;
    }
    for arguments in [&["reload"][..], &["reconfigure", interface]] {
        let told = Command::new("networkctl").args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).status();
        match told {
            Ok(status) if status.success() => {}
            Ok(status) => tracing::warn!(%status, command = arguments[0], "networkctl failed"),
            Err(error) => tracing::warn!(%error, "networkctl could not be started"),
        }
    }
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
        let bare = RawSettings { gateway: String::new(), dns1: String::new(), dns2: String::new(), ..settings };
        let text = contents("eth0", &bare.validate().expect("valid"));
        assert!(!text.contains("Gateway") && !text.contains("DNS="), "{text}");
    }
}
