//! What somebody changed by hand: the settings in force, compared with what is there.
//!
//! Looked for with every beat, so it costs two dumps of netlink and the reading of a few small files.

use super::files::{NewFile, read_text};
use super::netlink::Static6;
use super::{NetworkError, time_servers};
use muster_protocol::parameters::NetworkSettings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// A setting that is not as it was configured; the stable words of a beat's `drift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Setting {
    /// The interface lacks its address, or has another one beside.
    Address,
    /// The interface's default route is not by the gateway.
    Gateway,
    /// The interface has a route that is not ours.
    Route,
    /// The kernel's host name, or the file that it is set from at boot.
    HostName,
    /// The line of the host in `/etc/hosts`.
    Hosts,
    /// `/etc/resolv.conf`.
    Resolver,
    /// The file that whoever sets the clock has the time servers from.
    TimeServers,
    /// The file from which the network comes up at boot.
    NetworkFile,
    /// The file with the application's settings.
    Application,
}

impl Setting {
    /// A stable word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Setting::Address => "address",
            Setting::Gateway => "gateway",
            Setting::Route => "route",
            Setting::HostName => "host_name",
            Setting::Hosts => "hosts",
            Setting::Resolver => "resolver",
            Setting::TimeServers => "time_servers",
            Setting::NetworkFile => "network_file",
            Setting::Application => "application",
        }
    }
}

/// What is in force on the interface and on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct InForce {
    pub(super) addresses: Vec<(Ipv4Addr, u8)>,
    /// Of the interface's default routes; unspecified for one without a gateway.
    pub(super) gateways: Vec<Ipv4Addr>,
    /// Routes of the interface that neither the kernel made nor lead everywhere.
    pub(super) other_routes: usize,
    pub(super) ipv6: Static6,
    pub(super) host_name: String,
}

/// What differs in what is in force.
pub(super) fn in_force(settings: &NetworkSettings, found: &InForce) -> BTreeSet<Setting> {
    let mut drift = BTreeSet::new();
    let mut differs = |setting, differs: bool| {
        if differs {
            drift.insert(setting);
        }
    };
    // An interface may have more IPv6 addresses than ours, and without settings for IPv6 it is nobody's business here.
    let lacks6 = settings.ipv6().is_some_and(|ipv6| !found.ipv6.addresses.contains(&(ipv6.address(), ipv6.prefix())));
    differs(Setting::Address, found.addresses != [(settings.address(), settings.prefix())] || lacks6);
    // A network daemon may have set the route that is ours once more.
    let gateways: BTreeSet<_> = found.gateways.iter().copied().collect();
    let gateways6: BTreeSet<_> = found.ipv6.gateways.iter().copied().collect();
    let leads6 = settings.ipv6().is_none_or(|ipv6| gateways6 == ipv6.gateway().into_iter().collect());
    differs(Setting::Gateway, gateways != settings.gateway().into_iter().collect() || !leads6);
    differs(Setting::Route, found.other_routes > 0);
    differs(Setting::HostName, found.host_name != settings.host_name());
    drift
}

/// What differs in the files that settings are written to.
pub(super) fn in_files(files: &[NewFile]) -> Result<BTreeSet<Setting>, NetworkError> {
    let mut drift = BTreeSet::new();
    for NewFile { path, text, .. } in files {
        let found = read_text(path)?;
        let (setting, same) = match path.file_name().and_then(|name| name.to_str()) {
            // Others may write to it; only our line counts.
            Some("hosts") => (Setting::Hosts, lines(&found) == lines(text)),
            Some("hostname") => (Setting::HostName, found.trim_end() == text.trim_end()),
            Some("resolv.conf") => (Setting::Resolver, found == *text),
            _ if time_servers::is_file(path) => (Setting::TimeServers, found == *text),
            _ => (Setting::NetworkFile, found == *text),
        };
        if !same {
            drift.insert(setting);
        }
    }
    Ok(drift)
}

/// In any order: what is planned for `/etc/hosts` has our line at the end.
fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::parameters::RawSettings;

    fn settings(gateway: &str) -> NetworkSettings {
        let raw = RawSettings {
            host_name: "mail-01".into(),
            domain: "example.net".into(),
            address: "192.0.2.10".into(),
            netmask: "24".into(),
            gateway: gateway.into(),
            ..RawSettings::default()
        };
        raw.validate().expect("valid")
    }

    fn ip6(last: u16) -> std::net::Ipv6Addr {
        std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)
    }

    #[test]
    fn ipv6_that_is_configured_is_missed_and_others_may_be_beside_it() {
        let raw = RawSettings {
            address6: "2001:db8::10/64".into(),
            gateway6: "2001:db8::1".into(),
            ..settings("192.0.2.1").to_raw()
        };
        let settings = raw.validate().expect("valid");
        let v4 = InForce {
            addresses: vec![(settings.address(), 24)],
            gateways: settings.gateway().into_iter().collect(),
            host_name: "mail-01".into(),
            ..InForce::default()
        };
        let drift = |addresses: &[(u16, u8)], gateways: &[u16]| {
            let addresses = addresses.iter().map(|&(last, prefix)| (ip6(last), prefix)).collect();
            let gateways = gateways.iter().map(|&last| ip6(last)).collect();
            let found = InForce { ipv6: Static6 { addresses, gateways }, ..v4.clone() };
            in_force(&settings, &found).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(drift(&[(0x10, 64)], &[1, 1]), []);
        assert_eq!(drift(&[(0x10, 64), (0x99, 64)], &[1]), [], "an interface has many addresses");
        assert_eq!(drift(&[(0x10, 48)], &[1]), [Setting::Address]);
        assert_eq!(drift(&[(0x10, 64)], &[]), [Setting::Gateway]);
        assert_eq!(drift(&[(0x10, 64)], &[1, 2]), [Setting::Gateway]);
        assert_eq!(drift(&[], &[]), [Setting::Address, Setting::Gateway]);
    }

    #[test]
    fn each_setting_in_force_is_named_when_it_differs() {
        let ip = |last| Ipv4Addr::new(192, 0, 2, last);
        let as_set = InForce {
            addresses: vec![(ip(10), 24)],
            gateways: vec![ip(1), ip(1)],
            other_routes: 0,
            ipv6: Static6::default(),
            host_name: "mail-01".into(),
        };
        let drift = |found: &InForce| in_force(&settings("192.0.2.1"), found).into_iter().collect::<Vec<_>>();
        assert_eq!(drift(&as_set), []);
        for addresses in [vec![], vec![(ip(10), 25)], vec![(ip(11), 24)], vec![(ip(10), 24), (ip(11), 24)]] {
            assert_eq!(drift(&InForce { addresses, ..as_set.clone() }), [Setting::Address]);
        }
        for gateways in [vec![], vec![ip(2)], vec![ip(1), ip(2)], vec![Ipv4Addr::UNSPECIFIED]] {
            assert_eq!(drift(&InForce { gateways, ..as_set.clone() }), [Setting::Gateway]);
        }
        assert_eq!(drift(&InForce { other_routes: 1, ..as_set.clone() }), [Setting::Route]);
        assert_eq!(drift(&InForce { host_name: "mail".into(), ..as_set.clone() }), [Setting::HostName]);
        let by_hand = Static6 { addresses: vec![(ip6(9), 64)], gateways: vec![ip6(9)] };
        assert_eq!(drift(&InForce { ipv6: by_hand, ..as_set.clone() }), [], "IPv6 is not ours");
        assert_eq!(drift(&InForce::default()), [Setting::Address, Setting::Gateway, Setting::HostName]);
        let none = in_force(&settings(""), &as_set);
        assert_eq!(none.into_iter().collect::<Vec<_>>(), [Setting::Gateway], "and no gateway means none");
    }
}
