//! An IPv6 address and gateway beside IPv4 (decision 0023).

use super::{Checked, Field, FieldError, RawSettings, check};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Shortest and longest prefix of an appliance's IPv6 network. 127 is a link of two (RFC 6164).
pub const PREFIX6: std::ops::RangeInclusive<u8> = 16..=127;

/// An address with its network, and a gateway, checked against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ipv6Settings {
    pub(super) address: Ipv6Addr,
    pub(super) prefix: u8,
    pub(super) gateway: Option<Ipv6Addr>,
}

impl Ipv6Settings {
    /// The appliance's address.
    pub fn address(&self) -> Ipv6Addr {
        self.address
    }
    /// Length of its prefix, within [`PREFIX6`].
    pub fn prefix(&self) -> u8 {
        self.prefix
    }
    /// The default gateway: inside the appliance's own network, or link-local.
    pub fn gateway(&self) -> Option<Ipv6Addr> {
        self.gateway
    }
}

impl fmt::Display for Ipv6Settings {
    /// The address as the cells of a plan have it: `2001:db8::10/64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// An IPv6 address that an appliance can have, with the length of its prefix: `2001:db8::10/64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Network6 {
    /// The address.
    pub address: Ipv6Addr,
    /// How many of its bits name the network.
    pub prefix: u8,
}

impl Network6 {
    /// Reads address and prefix; says nothing of whether an appliance can have them.
    pub fn parse(text: &str) -> Option<Network6> {
        let (address, prefix) = text.trim().split_once('/')?;
        let prefix = prefix.trim();
        let is_number = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix: u8 = prefix.parse().ok().filter(|prefix| is_number && *prefix <= 128)?;
        Some(Network6 { address: address.trim().parse().ok()?, prefix })
    }

    /// The first address of the network, which means any router of it (RFC 4291 §2.6.1).
    pub fn first(&self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.address.to_bits() & mask(self.prefix))
    }

    /// Whether an address is in the network.
    pub fn contains(&self, other: Ipv6Addr) -> bool {
        other.to_bits() & mask(self.prefix) == self.first().to_bits()
    }
}

impl fmt::Display for Network6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn mask(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0)
}

/// Whether only hosts on the same link have a use for an address.
pub fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}

/// IPv4 settings without IPv6 are fine; the outer `None` means that something is wrong.
pub(super) fn settings(raw: &RawSettings, errors: &mut Vec<FieldError>) -> Option<Option<Ipv6Settings>> {
    let network = check(errors, Field::Address6, address(&raw.address6));
    let gateway = check(errors, Field::Gateway6, gateway(&raw.gateway6));
    let (network, gateway) = (network?, gateway?);
    let Some(network) = network else {
        if gateway.is_some() && raw.address6.trim().is_empty() {
            let message = "an IPv6 gateway needs an IPv6 address: fill the IPv6 address first";
            errors.push(FieldError::new(Field::Gateway6, "gateway6_without_address6", message));
            return None;
        }
        return Some(None);
    };
    let Network6 { address, prefix } = network;
    let name = format!("{}/{prefix}", network.first());
    let mut wrong = |field, code, message| {
        errors.push(FieldError::new(field, code, message));
        None
    };
    // On a link of two both addresses are hosts'.
    if prefix < 127 && address == network.first() {
        let message = format!("{address} stands for every router of {name}: choose a host address");
        return wrong(Field::Address6, "edge_of_network", message);
    }
    if let Some(gateway) = gateway {
        if gateway == address {
            let message = format!("{gateway} is the appliance's own address: it cannot be its gateway");
            return wrong(Field::Gateway6, "gateway_is_self", message);
        }
        if !is_link_local(gateway) && !network.contains(gateway) {
            let message = format!(
                "the gateway {gateway} is outside the network {name}, and not link-local: the appliance could not reach it"
            );
            return wrong(Field::Gateway6, "gateway_outside_network", message);
        }
    }
    Some(Some(Ipv6Settings { address, prefix, gateway }))
}

fn address(text: &str) -> Checked<Option<Network6>> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let Some(network) = Network6::parse(text) else {
        let message = format!(
            "`{}` is not an IPv6 address with its prefix length: use the form 2001:db8::10/64",
            text.trim().escape_debug()
        );
        return Err(("bad_address", message));
    };
    if is_link_local(network.address) {
        let message = format!("{} is link-local, which every interface has by itself", network.address);
        return Err(("unusable_address", message + ": choose an address of the site"));
    }
    unicast("IPv6 address", network.address)?;
    if !PREFIX6.contains(&network.prefix) {
        let message = format!("/{} is not usable here: choose a prefix length from 16 to 127", network.prefix);
        return Err(("unusable_prefix", message));
    }
    Ok(Some(network))
}

fn gateway(text: &str) -> Checked<Option<Ipv6Addr>> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let address = text.parse().map_err(|_| {
        let message = format!("`{}` is not an IPv6 address: use the form 2001:db8::1 or fe80::1", text.escape_debug());
        ("bad_address", message)
    })?;
    unicast("IPv6 gateway", address)?;
    Ok(Some(address))
}

/// An IPv6 name server.
pub(super) fn server(text: &str) -> Checked<IpAddr> {
    unicast_of("name server", text)
}

/// An IPv6 address of something that is asked, which does not depend on the link.
pub(super) fn unicast_of(what: &str, text: &str) -> Checked<IpAddr> {
    let address: Ipv6Addr = text.parse().map_err(|_| {
        let message =
            format!("`{}` is not an IP address: use the form 192.0.2.10 or 2001:db8::10", text.escape_debug());
        ("bad_address", message)
    })?;
    if is_link_local(address) {
        let message = format!("{address} is link-local: choose a {what}'s address that does not depend on the link");
        return Err(("unusable_address", message));
    }
    unicast(what, address)?;
    Ok(address.into())
}

fn unicast(what: &str, address: Ipv6Addr) -> Checked<()> {
    // An IPv4 address in the clothes of IPv6 is no address of a host (RFC 4291 §2.5.5).
    let is_dressed = address.to_ipv4_mapped().is_some();
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_dressed {
        let message = format!("{address} cannot be an appliance's {what}: choose a unicast address");
        return Err(("unusable_address", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{codes, good};
    use super::*;
    use proptest::prelude::*;

    fn with(address: &str, gateway: &str) -> RawSettings {
        RawSettings { address6: address.into(), gateway6: gateway.into(), ..good() }
    }

    #[test]
    fn ipv6_beside_ipv4_is_normalised() {
        for (address, gateway, now) in [
            ("2001:DB8:0:0::10/64", "2001:db8::1", ("2001:db8::10/64", "2001:db8::1")),
            (" fd00:1::1 / 48 ", " FE80::1 ", ("fd00:1::1/48", "fe80::1")),
            ("2001:db8::/127", "2001:db8::1", ("2001:db8::/127", "2001:db8::1")),
            ("2001:db8::ffff:ffff:ffff:ffff/64", "", ("2001:db8::ffff:ffff:ffff:ffff/64", "")),
        ] {
            let settings = with(address, gateway).validate().expect("good");
            let raw = settings.to_raw();
            assert_eq!((raw.address6.as_str(), raw.gateway6.as_str()), now);
            assert_eq!(raw.validate().expect("again"), settings);
        }
        assert_eq!(good().validate().expect("good").ipv6(), None);
    }

    #[test]
    fn every_fault_of_ipv6_is_named_at_its_field() {
        let cases = [
            ("2001:db8::10", "", Field::Address6, "bad_address"),
            ("192.0.2.10/24", "", Field::Address6, "bad_address"),
            ("2001:db8::10/+64", "", Field::Address6, "bad_address"),
            ("2001:db8::10/129", "", Field::Address6, "bad_address"),
            ("2001:db8::10/128", "", Field::Address6, "unusable_prefix"),
            ("2001:db8::10/8", "", Field::Address6, "unusable_prefix"),
            ("fe80::10/64", "", Field::Address6, "unusable_address"),
            ("ff02::1/64", "", Field::Address6, "unusable_address"),
            ("::1/64", "", Field::Address6, "unusable_address"),
            ("::ffff:192.0.2.10/96", "", Field::Address6, "unusable_address"),
            ("2001:db8::/64", "", Field::Address6, "edge_of_network"),
            ("2001:db8::10/64", "2001:db8:1::1", Field::Gateway6, "gateway_outside_network"),
            ("2001:db8::10/64", "2001:db8::10", Field::Gateway6, "gateway_is_self"),
            ("2001:db8::10/64", "192.0.2.1", Field::Gateway6, "bad_address"),
            ("2001:db8::10/64", "ff02::2", Field::Gateway6, "unusable_address"),
            ("", "2001:db8::1", Field::Gateway6, "gateway6_without_address6"),
        ];
        for (address, gateway, field, code) in cases {
            assert_eq!(codes(&with(address, gateway)), [(field, code.to_owned())], "{address} {gateway}");
        }
    }

    #[test]
    fn a_name_server_may_be_of_either_family() {
        let raw = RawSettings { dns1: "2001:DB8::53".into(), dns2: "192.0.2.53".into(), ..good() };
        let settings = raw.validate().expect("good");
        assert_eq!(settings.dns().map(|dns| dns.map(|dns| dns.is_ipv6())), [Some(true), Some(false)]);
        assert_eq!(settings.to_raw().dns1, "2001:db8::53");
        for (text, code) in [
            ("2001:db8::g", "bad_address"),
            ("fe80::53", "unusable_address"),
            ("::ffff:192.0.2.53", "unusable_address"),
            ("ff02::fb", "unusable_address"),
        ] {
            let raw = RawSettings { dns1: text.into(), ..good() };
            assert_eq!(codes(&raw), [(Field::Dns1, code.to_owned())], "{text}");
        }
    }

    #[test]
    fn ipv6_does_not_stand_in_for_ipv4() {
        let raw = RawSettings {
            address: String::new(),
            netmask: String::new(),
            gateway: String::new(),
            ..with("2001:db8::10/64", "")
        };
        let errors = raw.validate().expect_err("refused").0;
        assert_eq!((errors[0].field, errors[0].code.as_str()), (Field::Address, "missing"));
        assert!(errors[0].message.contains("IPv6 comes beside it"), "{}", errors[0].message);
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_reachable_and_comes_back_the_same(
            bits: u128, prefix in 0_u8..=128, gateway: Option<u128>, inside: bool,
        ) {
            let address = Ipv6Addr::from_bits(bits);
            let network = Network6 { address, prefix };
            let gateway = gateway.map(|bits| {
                let host = !mask(prefix);
                let bits = if inside { network.first().to_bits() | bits & host } else { bits };
                Ipv6Addr::from_bits(bits)
            });
            let gateway = gateway.map_or_else(String::new, |gateway| gateway.to_string());
            let raw = with(&network.to_string(), &gateway);
            if let Ok(settings) = raw.validate() {
                let ipv6 = settings.ipv6().expect("there");
                prop_assert!(PREFIX6.contains(&ipv6.prefix()));
                prop_assert!(!ipv6.address().is_multicast() && !ipv6.address().is_unspecified());
                if let Some(gateway) = ipv6.gateway() {
                    prop_assert!(gateway != ipv6.address());
                    prop_assert!(is_link_local(gateway) || network.contains(gateway));
                }
                prop_assert_eq!(settings.to_raw().validate().expect("again"), settings);
            }
        }

        #[test]
        fn no_text_is_too_much_for_it(address in "[0-9a-fA-F:./% ]{0,48}", gateway in "\\PC{0,48}") {
            let _ = with(&address, &gateway).validate();
        }
    }
}
