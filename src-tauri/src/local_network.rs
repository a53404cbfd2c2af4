//! A first guess at the site's addresses, from this computer's own network. Everything can be changed in the form.
//!
//! How a system names its gateway and resolvers is only known here.

use if_addrs::{IfAddr, Interface};
use ipnet::Ipv4Net;
use muster_console::view::SiteSetup;
use std::net::Ipv4Addr;

/// More than a first site needs, and few enough to leave most of the network to whoever has it now.
const POOL: usize = 100;

/// Fills the form of *use this computer* from the first real interface, else with addresses of no real network.
pub(crate) fn site_setup(noc_port: u16) -> SiteSetup {
    let network = if_addrs::get_if_addrs().ok().and_then(|interfaces| first_network(&interfaces));
    // Without a network, only what runs on this computer reaches its NOC.
    let (own, net) = network.unwrap_or((Ipv4Addr::LOCALHOST, documentation_network()));
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let resolver = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    fill(own, net, default_gateway(&routes), &resolver, noc_port)
}

fn fill(own: Ipv4Addr, net: Ipv4Net, gateway: Option<Ipv4Addr>, resolver: &str, noc_port: u16) -> SiteSetup {
    let gateway = gateway.filter(|gateway| net.contains(gateway));
    let taken: Vec<Ipv4Addr> = [Some(own), gateway].into_iter().flatten().collect();
    let text = |address: Option<&Ipv4Addr>| address.map(Ipv4Addr::to_string).unwrap_or_default();
    let (servers, domain) = resolvers(resolver);
    SiteSetup {
        name: "First site".to_owned(),
        pool: pool(net, &taken).map(|(first, last)| format!("{first}-{last}")).unwrap_or_default(),
        netmask: net.netmask().to_string(),
        gateway: text(gateway.as_ref()),
        domain: domain.unwrap_or_else(|| "lan".to_owned()),
        dns1: text(servers.first()),
        dns2: text(servers.get(1)),
        pool6: String::new(),
        gateway6: String::new(),
        host_name: "appliance-{n:03}".to_owned(),
        noc_address: format!("{own}:{noc_port}"),
        practice: false,
    }
}

/// RFC 5737: on nobody's network.
fn documentation_network() -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 2, 0), 24)
}

fn first_network(interfaces: &[Interface]) -> Option<(Ipv4Addr, Ipv4Net)> {
    interfaces.iter().filter(|interface| !interface.is_loopback()).find_map(|interface| {
        let IfAddr::V4(v4) = &interface.addr else { return None };
        let net = Ipv4Net::with_netmask(v4.ip, v4.netmask).ok()?.trunc();
        // A point-to-point link is no site.
        (net.prefix_len() <= 29 && !v4.ip.is_link_local()).then_some((v4.ip, net))
    })
}

/// The end of the longest run of host addresses that is free of `taken`.
fn pool(net: Ipv4Net, taken: &[Ipv4Addr]) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let bits = |address: Ipv4Addr| u32::from(address);
    let (first, last) = (bits(net.network()) + 1, bits(net.broadcast()).checked_sub(1)?);
    let mut edges: Vec<u32> = taken.iter().map(|address| bits(*address)).collect();
    edges.extend([first - 1, last + 1]);
    edges.retain(|edge| (first - 1..=last + 1).contains(edge));
    edges.sort_unstable();
    edges.dedup();
    let run = edges.windows(2).max_by_key(|pair| pair[1] - pair[0]).filter(|pair| pair[1] - pair[0] > 1)?;
    let end = run[1] - 1;
    let start = end.saturating_sub(POOL as u32 - 1).max(run[0] + 1);
    Some((start.into(), end.into()))
}

/// The gateway of the default route in `/proc/net/route`: addresses are hexadecimal in the machine's byte order.
fn default_gateway(routes: &str) -> Option<Ipv4Addr> {
    routes.lines().skip(1).find_map(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let (destination, gateway) = (columns.next()?, columns.next()?);
        let gateway = u32::from_str_radix(gateway, 16).ok()?;
        (destination == "00000000" && gateway != 0).then(|| Ipv4Addr::from(gateway.to_ne_bytes()))
    })
}

/// Name servers and domain of `/etc/resolv.conf`. A server on this computer is none for an appliance.
fn resolvers(text: &str) -> (Vec<Ipv4Addr>, Option<String>) {
    let mut servers = Vec::new();
    let mut domain = None;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("nameserver"), Some(server)) => {
                servers.extend(server.parse::<Ipv4Addr>().ok().filter(|server| !server.is_loopback()));
            }
            (Some("search" | "domain"), Some(name)) if name.contains(|c: char| c.is_ascii_alphabetic()) => {
                domain.get_or_insert_with(|| name.trim_end_matches('.').to_ascii_lowercase());
            }
            _ => {}
        }
    }
    servers.dedup();
    (servers, domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Ipv4Addr {
        text.parse().expect("an address")
    }

    fn range(net: &str, taken: &[&str]) -> Option<String> {
        let taken: Vec<_> = taken.iter().map(|text| address(text)).collect();
        pool(net.parse().expect("a network"), &taken).map(|(first, last)| format!("{first}-{last}"))
    }

    #[test]
    fn the_pool_keeps_clear_of_what_is_in_use() {
        let cases = [
            ("192.0.2.0/24", &["192.0.2.7", "192.0.2.1"][..], Some("192.0.2.155-192.0.2.254")),
            ("192.0.2.0/24", &["192.0.2.200", "192.0.2.254"], Some("192.0.2.100-192.0.2.199")),
            ("192.0.2.0/29", &["192.0.2.1", "192.0.2.2"], Some("192.0.2.3-192.0.2.6")),
            ("10.0.0.0/8", &["10.0.0.1"], Some("10.255.255.155-10.255.255.254")),
            ("192.0.2.0/30", &["192.0.2.1", "192.0.2.2"], None),
        ];
        for (net, taken, expected) in cases {
            assert_eq!(range(net, taken).as_deref(), expected, "{net} without {taken:?}");
        }
    }

    #[test]
    fn the_form_is_filled_from_what_the_system_says() {
        let gateway = u32::from_ne_bytes([192, 0, 2, 1]);
        let routes = format!(
            "Iface\tDestination\tGateway\tFlags\neth0\t000200C0\t00000000\t0001\neth0\t00000000\t{gateway:08X}\t0003\n"
        );
        let resolver = "# made by hand\nsearch Office.Example.net lan\nnameserver 127.0.0.53\nnameserver 192.0.2.53\n";
        let net = "192.0.2.0/24".parse().expect("a network");
        let setup = fill(address("192.0.2.9"), net, default_gateway(&routes), resolver, 6878);
        assert_eq!(setup.gateway, "192.0.2.1");
        assert_eq!((setup.dns1.as_str(), setup.dns2.as_str()), ("192.0.2.53", ""));
        assert_eq!(setup.domain, "office.example.net");
        assert_eq!(setup.noc_address, "192.0.2.9:6878");
        assert_eq!(setup.netmask, "255.255.255.0");
    }

    #[test]
    fn nothing_known_still_makes_a_usable_form() {
        let net = documentation_network();
        let setup = fill(Ipv4Addr::LOCALHOST, net, default_gateway(""), "nameserver", 6878);
        assert_eq!((setup.gateway.as_str(), setup.dns1.as_str(), setup.domain.as_str()), ("", "", "lan"));
        assert_eq!(setup.pool, "192.0.2.155-192.0.2.254");
        assert_eq!(setup.noc_address, "127.0.0.1:6878");
    }
}
