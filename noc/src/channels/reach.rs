//! Which addresses may be connected to for an organisation (decision 0037).
//!
//! Whoever may name a target could otherwise have the NOC speak to its own services, or to those beside it. Each address that a name
//! stands for is looked at, and the connection goes to that very address: a name that means something else a moment later changes
//! nothing.

use super::SendError;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What one channel, or one store of measurements, may reach.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    /// Networks that noc.toml allows, for a channel whose target was set by the NOC's own people; else none.
    pub(super) networks: Vec<IpNet>,
}

impl Reach {
    pub(crate) fn new(networks: &[IpNet], is_trusted: bool) -> Reach {
        Reach { networks: if is_trusted { networks.to_vec() } else { Vec::new() } }
    }

    /// The addresses of a host that may be connected to, at least one.
    pub(super) async fn resolve(
        &self,
        host: &str,
        port: u16,
        is_encrypted: bool,
    ) -> Result<Vec<SocketAddr>, SendError> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => {
                let looked_up = tokio::net::lookup_host((host, port)).await;
                looked_up.map_err(|source| SendError::Name { host: host.to_owned(), source })?.collect()
            }
        };
        let own: Vec<IpAddr> = own_addresses();
        let may = |address: &SocketAddr| {
            let ip = address.ip().to_canonical();
            if self.networks.iter().any(|network| network.contains(&ip)) {
                return Ok(());
            }
            if !is_public(ip) || own.contains(&ip) {
                return Err(SendError::Forbidden { host: host.to_owned(), address: ip });
            }
            if is_encrypted { Ok(()) } else { Err(SendError::Unencrypted { host: host.to_owned(), address: ip }) }
        };
        let (mut good, mut refused) = (Vec::new(), None);
        for address in found {
            match may(&address) {
                Ok(()) => good.push(address),
                Err(error) => refused = Some(error),
            }
        }
        match (good.is_empty(), refused) {
            (false, _) => Ok(good),
            (true, Some(error)) => Err(error),
            (true, None) => {
                let source = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
                Err(SendError::Name { host: host.to_owned(), source })
            }
        }
    }
}

/// What listens on an address of this machine may be meant for itself alone.
fn own_addresses() -> Vec<IpAddr> {
    if_addrs::get_if_addrs().map(|all| all.into_iter().map(|one| one.ip()).collect()).unwrap_or_default()
}

/// Whether an address is one of the public internet: everything that IANA's registries of special addresses name is not.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public4(ip),
        IpAddr::V6(ip) => is_public6(ip),
    }
}

fn is_public4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_protocol = a == 192 && b == 0 && c == 0;
    let is_relay = (a, b, c) == (192, 88, 99);
    let is_benchmark = a == 198 && (b == 18 || b == 19);
    !(a == 0
        || a >= 224
        || ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || is_shared
        || is_protocol
        || is_relay
        || is_benchmark)
}

fn is_public6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let is_global = segments[0] & 0xe000 == 0x2000;
    // 2001::/23 (Teredo, benchmarks and so on), documentation, and 6to4, which carries an IPv4 address.
    let is_special = segments[0] == 0x2001 && segments[1] < 0x200;
    let is_documentation = (segments[0] == 0x2001 && segments[1] == 0xdb8) || segments[0] == 0x3fff;
    is_global && !is_special && !is_documentation && segments[0] != 0x2002
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(networks: &[&str]) -> Reach {
        Reach { networks: networks.iter().map(|network| network.parse().expect("a network")).collect() }
    }

    async fn tried(reach: &Reach, host: &str, is_encrypted: bool) -> &'static str {
        match reach.resolve(host, 25, is_encrypted).await {
            Ok(_) => "good",
            Err(SendError::Forbidden { .. }) => "forbidden",
            Err(SendError::Unencrypted { .. }) => "unencrypted",
            Err(other) => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn nothing_but_the_public_internet_is_reached() {
        let nowhere = reach(&[]);
        for host in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "[::1]",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:0:1::",
            "2001:db8::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "localhost",
        ] {
            assert_eq!(tried(&nowhere, host, true).await, "forbidden", "{host}");
        }
        for host in ["9.9.9.9", "2620:fe::fe", "2a00:1450::1", "::ffff:9.9.9.9"] {
            assert_eq!(tried(&nowhere, host, true).await, "good", "{host}");
            assert_eq!(tried(&nowhere, host, false).await, "unencrypted", "{host}");
        }
    }

    #[tokio::test]
    async fn what_noc_toml_allows_is_reached_and_nothing_beside_it() {
        let relay = reach(&["10.1.0.0/16", "127.0.0.1/32"]);
        for host in ["10.1.2.3", "127.0.0.1", "::ffff:127.0.0.1"] {
            assert_eq!(tried(&relay, host, false).await, "good", "{host}");
        }
        for host in ["10.2.0.1", "127.0.0.2", "::1"] {
            assert_eq!(tried(&relay, host, true).await, "forbidden", "{host}");
        }
        let networks = relay.networks.clone();
        assert!(Reach::new(&networks, false).networks.is_empty(), "a target that others set gets nothing of it");
    }
}
