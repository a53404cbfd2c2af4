//! The network interfaces: which are there, which one is configured, and when to look again.

use super::NetworkError;
use super::netlink::{Netlink, Static6};
use muster_protocol::id::Mac;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its MAC.
    pub mac: Mac,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether a cable leads somewhere.
    pub carrier: bool,
    /// What it is to a choice.
    pub rank: Rank,
}

/// How good an interface is when none is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Hardware: a console may be plugged in there.
    Real,
    /// Bridges, tunnels, containers.
    Virtual,
    /// No Ethernet, without ARP, or part of a bridge or bond that has the traffic: only when named.
    Unfit,
}

/// What is there.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The interfaces that were asked for.
    pub seen: Vec<Seen>,
    /// Whether any interface has an IPv4 default route.
    pub default_route: bool,
}

/// An interface and its addresses.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The interface.
    pub link: Link,
    /// Its IPv4 addresses with their prefixes.
    pub networks: Vec<(Ipv4Addr, u8)>,
    /// Its static IPv6 addresses.
    pub addresses6: Vec<Ipv6Addr>,
    /// The gateways of its static IPv6 default routes.
    pub gateways6: Vec<Ipv6Addr>,
}

/// Which interface is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Choice {
    /// None was named: the one that a console is heard on, at first the first Ethernet.
    #[default]
    Any,
    /// By its name.
    Named(String),
    /// By its MAC.
    WithMac(Mac),
    /// The one that was configured or heard before.
    Kept(Kept),
}

/// What an interface is known by later: its MAC, or, when the card was replaced, its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Its MAC.
    pub mac: Mac,
}

/// Why a text names no interface.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` names no network interface. Give a name, as eth0, or a MAC address, as 02:00:00:00:00:01")]
pub struct ChoiceError {
    text: String,
}

impl ChoiceError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        "interface_invalid"
    }
}

impl FromStr for Choice {
    type Err = ChoiceError;

    /// A name as Linux allows it, or a MAC address. No name has a colon.
    fn from_str(text: &str) -> Result<Choice, ChoiceError> {
        const LONGEST: usize = 15;
        let invalid = || ChoiceError { text: super::shown(text) };
        if text.contains(':') {
            return text.parse().map(Choice::WithMac).map_err(|_| invalid());
        }
        let allowed = |c: char| !c.is_whitespace() && !c.is_control() && c != '/';
        let is_name = (1..=LONGEST).contains(&text.len()) && text.chars().all(allowed) && text != "." && text != "..";
        if is_name { Ok(Choice::Named(text.to_owned())) } else { Err(invalid()) }
    }
}

impl From<&Link> for Kept {
    fn from(link: &Link) -> Kept {
        Kept { name: link.name.clone(), mac: link.mac }
    }
}

impl Choice {
    /// The interface that is meant.
    pub fn pick<'a>(&self, links: &'a [Link]) -> Result<&'a Link, NetworkError> {
        let missing = |interface: String| NetworkError::NoInterface { interface };
        match self {
            Choice::Any => fit(links).into_iter().next().ok_or_else(|| missing("of type Ethernet".into())),
            Choice::Named(name) => by_name(links, name).ok_or_else(|| missing(name.clone())),
            Choice::WithMac(mac) => by_mac(links, *mac)?.ok_or_else(|| missing(format!("with the MAC address {mac}"))),
            Choice::Kept(Kept { name, mac }) => {
                let same = links.iter().find(|link| link.name == *name && link.mac == *mac);
                let found = same.or(by_mac(links, *mac).ok().flatten()).or(by_name(links, name));
                found.ok_or_else(|| missing(format!("{name} ({mac})")))
            }
        }
    }
}

/// Those where a console may be plugged in: the real ones, or if there are none, virtual ones.
fn fit(links: &[Link]) -> Vec<&Link> {
    let best = links.iter().map(|link| link.rank).filter(|rank| *rank != Rank::Unfit).min();
    links.iter().filter(|link| Some(link.rank) == best).collect()
}

fn by_name<'a>(links: &'a [Link], name: &str) -> Option<&'a Link> {
    links.iter().find(|link| link.name == name)
}

/// VLANs and bridges share the MAC of the card below them: the card is meant.
fn by_mac(links: &[Link], mac: Mac) -> Result<Option<&Link>, NetworkError> {
    let all: Vec<&Link> = links.iter().filter(|link| link.mac == mac).collect();
    let best = all.iter().map(|link| link.rank).min();
    let mut best_ones = all.into_iter().filter(|link| Some(link.rank) == best);
    let first = best_ones.next();
    let names: Vec<&str> = first.into_iter().chain(best_ones).map(|link| link.name.as_str()).collect();
    if names.len() > 1 {
        return Err(NetworkError::SeveralInterfaces { mac, names: names.join(", ") });
    }
    Ok(first)
}

/// The interface that is meant.
pub async fn find_link(choice: &Choice) -> Result<Link, NetworkError> {
    let links = Netlink::open()?.links().await?;
    choice.pick(&links).cloned()
}

/// Brings an interface up, for nothing is heard on one that is down.
pub async fn set_up(name: &str) -> Result<(), NetworkError> {
    let netlink = Netlink::open()?;
    let link = netlink.link(name).await?;
    if link.up { Ok(()) } else { netlink.set_up(link.index).await }
}

/// The chosen interface first, and, if `all`, every other that a console may be plugged in. That the chosen one
/// is missing is an error only if there is nobody else.
pub async fn survey(choice: &Choice, all: bool) -> Result<Survey, NetworkError> {
    let netlink = Netlink::open()?;
    let links = netlink.links().await?;
    let chosen = choice.pick(&links);
    let others = if all { fit(&links) } else { Vec::new() };
    let index = chosen.as_ref().map(|link| link.index).ok();
    let wanted: Vec<&Link> = chosen
        .as_ref()
        .ok()
        .copied()
        .into_iter()
        .chain(others.into_iter().filter(|l| Some(l.index) != index))
        .collect();
    if let (Err(error), true) = (chosen, wanted.is_empty()) {
        return Err(error);
    }
    let mut seen = Vec::new();
    for link in wanted {
        match look_at(&netlink, link).await {
            Ok(one) => seen.push(one),
            // It may have gone meanwhile; the others are no worse for it.
            Err(error) if Some(link.index) != index => {
                tracing::debug!(interface = link.name, error = %super::chain(&error), "cannot be used");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Survey { seen, default_route: netlink.has_default_route().await? })
}

async fn look_at(netlink: &Netlink, link: &Link) -> Result<Seen, NetworkError> {
    let networks = netlink.networks(link.index).await?;
    let Static6 { addresses, gateways } = netlink.static6(link.index).await?;
    let addresses6 = addresses.into_iter().map(|(address, _)| address).collect();
    Ok(Seen { link: link.clone(), networks, addresses6, gateways6: gateways })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str, mac: u8, rank: Rank) -> Link {
        Link { index, name: name.into(), mac: Mac([2, 0, 0, 0, 0, mac]), up: true, carrier: true, rank }
    }

    fn picked(text: &str, links: &[Link]) -> Result<String, String> {
        let choice: Choice = text.parse().expect("a choice");
        choice.pick(links).map(|link| link.name.clone()).map_err(|error| format!("{}: {error}", error.code()))
    }

    #[test]
    fn an_interface_is_named_by_name_or_by_mac() {
        let links = [
            link(2, "eth0", 1, Rank::Real),
            link(3, "eth1", 2, Rank::Real),
            link(4, "eth1.7", 2, Rank::Virtual),
            link(5, "wan", 3, Rank::Unfit),
        ];
        assert_eq!(picked("eth1", &links), Ok("eth1".into()));
        assert_eq!(picked("wan", &links), Ok("wan".into()), "what is named is taken whatever it is");
        assert_eq!(picked("02:00:00:00:00:02", &links), Ok("eth1".into()), "the card, not its VLAN");
        assert_eq!(
            picked("eth9", &links),
            Err("no_interface: there is no network interface eth9. Name another with --interface, or plug it in".into())
        );
        assert_eq!(
            picked("02:00:00:00:00:0a", &links),
            Err("no_interface: there is no network interface with the MAC address 02:00:00:00:00:0A. \
                 Name another with --interface, or plug it in"
                .into())
        );
        let twins = [link(2, "a0", 1, Rank::Virtual), link(3, "a1", 1, Rank::Virtual)];
        assert_eq!(
            picked("02:00:00:00:00:01", &twins),
            Err("several_interfaces: a0, a1 have the MAC address 02:00:00:00:00:01. Give the name of one with --interface"
                .into())
        );
        for text in [
            "",
            "02:00",
            "02:00:00:00:00:zz",
            "eth0:1",
            "a name",
            "../eth0",
            "..",
            "a-name-too-long-for-linux",
            "\u{1b}",
        ] {
            let error = text.parse::<Choice>().expect_err(text);
            assert_eq!(error.code(), "interface_invalid");
            assert!(!error.to_string().contains('\u{1b}'));
        }
    }

    #[test]
    fn without_a_name_real_ethernet_is_taken_before_virtual() {
        let pick = |links: &[Link]| Choice::Any.pick(links).map(|link| link.name.clone()).ok();
        let names = |links: &[Link]| fit(links).into_iter().map(|link| link.name.clone()).collect::<Vec<_>>();
        let links = [
            link(2, "docker0", 9, Rank::Virtual),
            link(3, "eth0", 1, Rank::Real),
            link(4, "eth1", 2, Rank::Real),
            link(5, "tun0", 3, Rank::Unfit),
        ];
        assert_eq!((pick(&links), names(&links)), (Some("eth0".into()), vec!["eth0".into(), "eth1".into()]));
        // Its cards belong to a bridge.
        let bridged = [link(2, "br0", 1, Rank::Virtual), link(3, "eth0", 1, Rank::Unfit)];
        assert_eq!((pick(&bridged), names(&bridged)), (Some("br0".into()), vec!["br0".into()]));
        assert_eq!((pick(&links[3..]), names(&links[3..])), (None, vec![]));
    }

    #[test]
    fn a_kept_interface_is_known_again_by_mac_when_renamed_and_by_name_when_replaced() {
        let kept = Choice::Kept(Kept { name: "eth1".into(), mac: Mac([2, 0, 0, 0, 0, 2]) });
        let pick = |links: &[Link]| kept.pick(links).map(|link| link.index).ok();
        let eth0 = link(2, "eth0", 1, Rank::Real);
        assert_eq!(pick(&[eth0.clone(), link(3, "eth1", 2, Rank::Real)]), Some(3));
        assert_eq!(pick(&[eth0.clone(), link(3, "enp3s0", 2, Rank::Real)]), Some(3));
        assert_eq!(pick(&[eth0.clone(), link(3, "eth1", 7, Rank::Real)]), Some(3));
        assert_eq!(
            pick(&[link(2, "eth1", 1, Rank::Real), link(3, "eth0", 2, Rank::Real)]),
            Some(3),
            "names were swapped"
        );
        assert_eq!(pick(&[eth0]), None, "never another one in its stead");
    }
}
