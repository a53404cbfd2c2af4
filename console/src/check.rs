//! The check of a plan before anything is signed: every finding is named at its cell.
//!
//! The NOC checks all of this again when it signs. Here the administrator sees it while typing, and it also knows what was
//! heard on this network.

use crate::view::CellError;
use muster_protocol::api::Site;
use muster_protocol::id::Uid;
use muster_protocol::parameters::{Field, Ipv6Settings, Network6, NetworkSettings, RawSettings};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An appliance that is not in the plan, and what it has.
#[derive(Clone, Debug)]
pub(crate) struct Other {
    /// How to name it in a sentence.
    pub(crate) name: String,
    pub(crate) settings: RawSettings,
    /// Addresses it was seen with, whatever it is configured to.
    pub(crate) addresses: Vec<Ipv4Addr>,
}

/// Everything that is wrong with `rows`, in their order.
pub(crate) fn check(site: Option<&Site>, rows: &[(Uid, RawSettings)], others: &[Other]) -> Vec<CellError> {
    let settings: Vec<_> = rows.iter().map(|(_, raw)| raw.validate()).collect();
    let taken = Taken::of(&settings, rows, others);
    let pool = site.and_then(Pool::of);
    let mut findings = Vec::new();
    for (row, ((uid, _), settings)) in rows.iter().zip(&settings).enumerate() {
        let mut find = |field: Field, code: &str, message: String| {
            findings.push(CellError {
                uid: uid.to_string(),
                field: field.word().to_owned(),
                code: code.to_owned(),
                message,
            });
        };
        match settings {
            Err(errors) => {
                for error in &errors.0 {
                    find(error.field, &error.code, error.message.clone());
                }
            }
            Ok(settings) => {
                taken.check(row, settings, &mut find);
                if let Some(pool) = &pool {
                    pool.check(settings, &mut find);
                }
            }
        }
    }
    findings
}

/// Who has which address, of either family, and which name.
#[derive(Default)]
struct Taken {
    addresses: BTreeMap<IpAddr, Vec<Holder>>,
    names: BTreeMap<String, Vec<Holder>>,
    gateways: BTreeMap<IpAddr, String>,
}

#[derive(Clone)]
struct Holder {
    /// Its row; `None` for an appliance that is not in the plan.
    row: Option<usize>,
    name: String,
}

type Find<'a> = dyn FnMut(Field, &str, String) + 'a;

impl Taken {
    fn of<E>(settings: &[Result<NetworkSettings, E>], rows: &[(Uid, RawSettings)], others: &[Other]) -> Taken {
        let mut taken = Taken::default();
        for (row, (settings, (uid, raw))) in settings.iter().zip(rows).enumerate() {
            let name = if raw.host_name.is_empty() { uid.short() } else { raw.host_name.escape_debug().to_string() };
            let holder = Holder { row: Some(row), name };
            match settings {
                Ok(settings) => taken.add(&holder, settings),
                // An address is taken even when another cell of its row is still wrong.
                Err(_) => {
                    let address = raw.address.trim().parse().ok().map(IpAddr::V4);
                    let address6 = Network6::parse(&raw.address6).map(|network| network.address.into());
                    for address in address.into_iter().chain(address6) {
                        taken.addresses.entry(address).or_default().push(holder.clone());
                    }
                }
            }
        }
        for other in others {
            let holder = Holder { row: None, name: other.name.clone() };
            let settings = other.settings.validate().ok();
            let configured = settings.as_ref().map(NetworkSettings::address);
            if let Some(settings) = &settings {
                taken.add(&holder, settings);
            }
            for address in other.addresses.iter().filter(|address| Some(**address) != configured) {
                taken.addresses.entry((*address).into()).or_default().push(holder.clone());
            }
        }
        taken
    }

    fn add(&mut self, holder: &Holder, settings: &NetworkSettings) {
        for (_, address, _, gateway) in pairs(settings) {
            self.addresses.entry(address).or_default().push(holder.clone());
            if let Some(gateway) = gateway {
                self.gateways.entry(gateway).or_insert_with(|| holder.name.clone());
            }
        }
        self.names.entry(full_name(settings)).or_default().push(holder.clone());
    }

    fn check(&self, row: usize, settings: &NetworkSettings, find: &mut Find<'_>) {
        for (field, address, _, _) in pairs(settings) {
            match other_holder(self.addresses.get(&address), row) {
                Some(Holder { row: Some(other), name }) => {
                    let message = format!("{address} is also in row {} ({name}): give one of them another", other + 1);
                    find(field, "duplicate_address", message);
                }
                Some(Holder { row: None, name }) => {
                    find(field, "address_taken", format!("{name} already uses {address}: choose another address"));
                }
                None => {}
            }
        }
        let name = full_name(settings);
        match other_holder(self.names.get(&name), row) {
            Some(Holder { row: Some(other), .. }) => {
                let message = format!("{name} is also in row {}: give one of them another", other + 1);
                find(Field::HostName, "duplicate_host_name", message);
            }
            Some(Holder { row: None, .. }) => {
                find(
                    Field::HostName,
                    "host_name_taken",
                    format!("another appliance is already called {name}: choose another"),
                );
            }
            None => {}
        }
        for (field, address, gateway_field, gateway) in pairs(settings) {
            if let Some(gateway) = gateway
                && let Some(holder) = other_holder(self.addresses.get(&gateway), row)
            {
                let message = format!("{gateway} is the address of {}, which is no gateway: check both", holder.name);
                find(gateway_field, "gateway_is_appliance", message);
            }
            if self.gateways.contains_key(&address) {
                let message = format!("{address} is the gateway of other appliances: choose another address");
                find(field, "address_is_gateway", message);
            }
        }
    }
}

/// Address and gateway of each family, with their columns.
fn pairs(settings: &NetworkSettings) -> impl Iterator<Item = (Field, IpAddr, Field, Option<IpAddr>)> {
    let ipv4 = (Field::Address, settings.address().into(), Field::Gateway, settings.gateway().map(IpAddr::V4));
    let ipv6 = settings
        .ipv6()
        .map(|ipv6| (Field::Address6, ipv6.address().into(), Field::Gateway6, ipv6.gateway().map(IpAddr::V6)));
    std::iter::once(ipv4).chain(ipv6)
}

fn other_holder(holders: Option<&Vec<Holder>>, row: usize) -> Option<&Holder> {
    holders?.iter().find(|holder| holder.row != Some(row))
}

fn full_name(settings: &NetworkSettings) -> String {
    format!("{}.{}", settings.host_name(), settings.domain())
}

/// The network of a site.
struct Pool {
    name: String,
    network: ipnet::Ipv4Net,
    gateway: Option<Ipv4Addr>,
    /// Of its IPv6 pool.
    network6: Option<Network6>,
    gateway6: Option<Ipv6Addr>,
}

impl Pool {
    fn of(site: &Site) -> Option<Pool> {
        let first: Ipv4Addr = site.pool.split('-').next()?.trim().parse().ok()?;
        let mask: Ipv4Addr = site.netmask.trim().parse().ok()?;
        let network = ipnet::Ipv4Net::with_netmask(first, mask).ok()?.trunc();
        let gateway = site.gateway.trim().parse().ok();
        // The network or the first address of the pool, and the length of the prefix at its end.
        let network6 = site.pool6.rsplit_once('/').and_then(|(parts, prefix)| {
            let first = parts.split([',', '-']).next()?;
            Network6::parse(&format!("{first}/{prefix}"))
        });
        let network6 = network6.map(|network| Network6 { address: network.first(), ..network });
        let gateway6 = site.gateway6.trim().parse().ok();
        Some(Pool { name: site.name.clone(), network, gateway, network6, gateway6 })
    }

    fn check(&self, settings: &NetworkSettings, find: &mut Find<'_>) {
        let Pool { name, network, gateway, .. } = self;
        let address = settings.address();
        if !network.contains(&address) {
            let message =
                format!("{address} is outside the network {network} of site {name}: choose an address inside it");
            find(Field::Address, "wrong_subnet", message);
        } else if settings.prefix() != network.prefix_len() {
            let message = format!(
                "the netmask of site {name} is {}: its appliances would not reach each other",
                network.netmask()
            );
            find(Field::Netmask, "wrong_netmask", message);
        }
        // The row's own gateway is compared with its own address before.
        if *gateway == Some(address) && settings.gateway() != Some(address) {
            let message = format!("{address} is the gateway of site {name}: choose another address");
            find(Field::Address, "address_is_gateway", message);
        }
        if let Some(ipv6) = settings.ipv6() {
            self.check6(ipv6, find);
        }
    }

    fn check6(&self, ipv6: Ipv6Settings, find: &mut Find<'_>) {
        let Pool { name, network6, gateway6, .. } = self;
        let address = ipv6.address();
        if let Some(network) = network6 {
            if !network.contains(address) {
                let message =
                    format!("{address} is outside the network {network} of site {name}: choose an address inside it");
                find(Field::Address6, "wrong_subnet", message);
            } else if ipv6.prefix() != network.prefix {
                let message = format!(
                    "the prefix length of site {name} is /{}: its appliances would not reach each other",
                    network.prefix
                );
                find(Field::Address6, "wrong_prefix", message);
            }
        }
        if *gateway6 == Some(address) && ipv6.gateway() != Some(address) {
            let message = format!("{address} is the gateway of site {name}: choose another address");
            find(Field::Address6, "address_is_gateway", message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::id::SiteId;
    use muster_protocol::parameters::Confirm;

    fn site() -> Site {
        Site {
            id: SiteId(1),
            name: "Depot".into(),
            pool: "192.0.2.10-192.0.2.99".into(),
            netmask: "255.255.255.0".into(),
            gateway: "192.0.2.1".into(),
            domain: "example.net".into(),
            dns1: String::new(),
            dns2: String::new(),
            pool6: String::new(),
            gateway6: String::new(),
            ntp: String::new(),
            search_domains: String::new(),
            host_name: "mail-{n}".into(),
            beat_interval_s: 60,
            confirm: Confirm::KickStart,
            window_s: 90,
            drift: None,
            application: String::new(),
            proof: muster_protocol::api::RequiredProof::Any,
            exclude: String::new(),
            inherit: Vec::new(),
        }
    }

    fn row(n: u8) -> (Uid, RawSettings) {
        let settings = RawSettings {
            host_name: format!("mail-{n}"),
            domain: "example.net".into(),
            address: format!("192.0.2.{}", 10 + n),
            netmask: "255.255.255.0".into(),
            gateway: "192.0.2.1".into(),
            ..RawSettings::default()
        };
        (Uid([n; 20]), settings)
    }

    fn other(name: &str, settings: RawSettings, seen: &str) -> Other {
        Other { name: name.into(), settings, addresses: seen.parse().ok().into_iter().collect() }
    }

    fn found(rows: &[(Uid, RawSettings)], others: &[Other]) -> Vec<(u8, String, String)> {
        let found = check(Some(&site()), rows, others);
        assert!(found.iter().all(|finding| !finding.message.is_empty()));
        found
            .into_iter()
            .map(|finding| (finding.uid.parse::<Uid>().expect("a UID").0[0], finding.field, finding.code))
            .collect()
    }

    fn at(n: u8, field: &str, code: &str) -> (u8, String, String) {
        (n, field.to_owned(), code.to_owned())
    }

    #[test]
    fn a_good_plan_has_no_findings() {
        assert!(found(&[row(1), row(2)], &[other("x", row(3).1, "")]).is_empty());
        assert!(check(None, &[row(1)], &[]).is_empty());
    }

    #[test]
    fn each_fault_is_named_at_its_cell() {
        type Spoil = fn(&mut RawSettings);
        let cases: [(Spoil, &[(u8, &str, &str)]); 8] = [
            (
                |r| r.address = "192.0.2.12".into(),
                &[(1, "address", "duplicate_address"), (2, "address", "duplicate_address")],
            ),
            (
                |r| r.host_name = "MAIL-2".into(),
                &[(1, "host_name", "duplicate_host_name"), (2, "host_name", "duplicate_host_name")],
            ),
            (|r| r.address = "192.0.2.200".into(), &[(1, "address", "address_taken")]),
            (|r| r.address = "192.0.2.201".into(), &[(1, "address", "address_taken")]),
            (|r| r.host_name = "old".into(), &[(1, "host_name", "host_name_taken")]),
            (|r| (r.address, r.gateway) = ("198.51.100.9".into(), String::new()), &[(1, "address", "wrong_subnet")]),
            (|r| r.netmask = "/25".into(), &[(1, "netmask", "wrong_netmask")]),
            (
                |r| r.gateway = "192.0.2.12".into(),
                &[(1, "gateway", "gateway_is_appliance"), (2, "address", "address_is_gateway")],
            ),
        ];
        let old = RawSettings { host_name: "old".into(), address: "192.0.2.200".into(), ..row(9).1 };
        let others = [other("old", old, "192.0.2.200"), other("AB:CD", RawSettings::default(), "192.0.2.201")];
        for (spoil, expected) in cases {
            let mut rows = [row(1), row(2)];
            spoil(&mut rows[0].1);
            let expected: Vec<_> = expected.iter().map(|(n, field, code)| at(*n, field, code)).collect();
            assert_eq!(found(&rows, &others), expected, "{:?}", rows[0].1);
        }
    }

    fn row6(n: u8) -> (Uid, RawSettings) {
        let (uid, raw) = row(n);
        let address6 = format!("2001:db8:7::{:x}/64", 0x10 + n);
        (uid, RawSettings { address6, gateway6: "2001:db8:7::1".into(), ..raw })
    }

    #[test]
    fn each_fault_of_ipv6_is_named_at_its_cell() {
        let site =
            Site { pool6: "2001:db8:7::100-2001:db8:7::1ff/64".into(), gateway6: "2001:db8:7::1".into(), ..site() };
        let found = |rows: &[(Uid, RawSettings)], others: &[Other]| -> Vec<(u8, String, String)> {
            let found = check(Some(&site), rows, others).into_iter();
            found.map(|f| (f.uid.parse::<Uid>().expect("a UID").0[0], f.field, f.code)).collect()
        };
        assert_eq!(found(&[row6(1), row6(2), row(3)], &[other("x", row6(4).1, "")]), []);
        type Spoil = fn(&mut RawSettings);
        let cases: [(Spoil, &[(u8, &str, &str)]); 8] = [
            (
                |r| r.address6 = "2001:DB8:7:0::12/64".into(),
                &[(1, "address6", "duplicate_address"), (2, "address6", "duplicate_address")],
            ),
            (|r| r.address6 = "2001:db8:7::19/64".into(), &[(1, "address6", "address_taken")]),
            (|r| r.address6 = "2001:db8:8::11/64".into(), &[(1, "gateway6", "gateway_outside_network")]),
            (
                |r| (r.address6, r.gateway6) = ("2001:db8:8::11/64".into(), "fe80::1".into()),
                &[(1, "address6", "wrong_subnet")],
            ),
            (|r| r.address6 = "2001:db8:7::11/56".into(), &[(1, "address6", "wrong_prefix")]),
            (
                |r| r.gateway6 = "2001:db8:7::12".into(),
                &[(1, "gateway6", "gateway_is_appliance"), (2, "address6", "address_is_gateway")],
            ),
            (
                |r| (r.address6, r.gateway6) = ("2001:db8:7::1/64".into(), String::new()),
                &[
                    (1, "address6", "address_is_gateway"),
                    (2, "gateway6", "gateway_is_appliance"),
                    (1, "address6", "address_is_gateway"),
                ],
            ),
            (|r| (r.address6, r.gateway6) = ("x".into(), String::new()), &[(1, "address6", "bad_address")]),
        ];
        for (spoil, expected) in cases {
            let mut rows = [row6(1), row6(2)];
            spoil(&mut rows[0].1);
            let mut expected: Vec<_> = expected.iter().map(|(n, field, code)| at(*n, field, code)).collect();
            let mut found = found(&rows, &[other("old", row6(9).1, "")]);
            expected.sort();
            found.sort();
            assert_eq!(found, expected, "{:?}", rows[0].1);
        }
    }

    #[test]
    fn what_the_settings_themselves_say_is_wrong_stays_at_its_cell() {
        let mut rows = [row(1), row(2)];
        rows[0].1.gateway = "198.51.100.1".into();
        rows[1].1.address = "192.0.2.11".into();
        let expected = [at(1, "gateway", "gateway_outside_network"), at(2, "address", "duplicate_address")];
        assert_eq!(found(&rows, &[]), expected, "an address counts though another cell of its row is wrong");
    }

    #[test]
    fn the_gateway_of_the_site_is_no_address_for_an_appliance() {
        let mut rows = [row(1)];
        (rows[0].1.address, rows[0].1.gateway) = ("192.0.2.1".into(), String::new());
        assert_eq!(found(&rows, &[]), [at(1, "address", "address_is_gateway")]);
    }
}
