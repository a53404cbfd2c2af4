//! What is kept in a site for one appliance, wherever else the pool would take it from.

use super::allocation::ip;
use super::site::Policy;
use muster_protocol::id::{Mac, Uid};
use muster_protocol::parameters::{Field, RawSettings};
use muster_protocol::text::misleads;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use utoipa::ToSchema;

/// Longest serial number and note, in characters.
const MAX_TEXT: usize = 128;

/// A reservation as it is written. Exactly one of `uid`, `mac` and `serial` says whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({ "serial": "SN-0017", "host_name": "gate", "note": "the old gateway's" }))]
pub struct ReservationSpec {
    /// The appliance's UID.
    pub uid: String,
    /// Its MAC address.
    pub mac: String,
    /// Its serial number, as the manifest has it.
    pub serial: String,
    /// The IPv4 address, in the site's network, inside or outside of the pool; or empty.
    pub address: String,
    /// The IPv6 address, in the network of the site's IPv6 pool, or empty.
    pub address6: String,
    /// The host name, or empty.
    pub host_name: String,
    /// Why.
    pub note: String,
}

/// Whose a reservation is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Whose {
    Uid(Uid),
    Mac(Mac),
    Serial(String),
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whose::Uid(uid) => write!(f, "appliance {}", uid.short()),
            Whose::Mac(mac) => write!(f, "the appliance with MAC address {mac}"),
            Whose::Serial(serial) => write!(f, "the appliance with serial number {serial}"),
        }
    }
}

/// What is reserved, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) whose: Whose,
    pub(crate) address: Option<u32>,
    pub(crate) address6: Option<u128>,
    pub(crate) host_name: Option<String>,
    pub(crate) note: String,
}

/// What is wrong with one value of a reservation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ReservationFault {
    /// The value's name in [`ReservationSpec`].
    pub(crate) field: &'static str,
    pub(crate) message: String,
}

fn fault(field: &'static str, message: impl Into<String>) -> ReservationFault {
    ReservationFault { field, message: message.into() }
}

impl Reservation {
    /// Reads a reservation for a site of this policy.
    pub(crate) fn read(spec: &ReservationSpec, policy: &Policy) -> Result<Reservation, ReservationFault> {
        let whose = whose(spec)?;
        let mut sample = RawSettings {
            host_name: "sample".to_owned(),
            domain: policy.site.domain.clone(),
            address: Ipv4Addr::from(policy.pool.network()).to_string(),
            netmask: policy.site.netmask.clone(),
            ..RawSettings::default()
        };
        let address = match spec.address.trim() {
            "" => None,
            text => {
                let address: Ipv4Addr =
                    text.parse().map_err(|_| fault("address", "the address is no IPv4 address, as 192.0.2.7"))?;
                if !policy.is_usable(address.into()) {
                    let network = policy.network();
                    let message = format!(
                        "{address} cannot be an appliance's at this site: choose one inside {network} that is not its gateway or name server"
                    );
                    return Err(fault("address", message));
                }
                Some(address.into())
            }
        };
        let address6 = match spec.address6.trim() {
            "" => None,
            text => {
                let address: Ipv6Addr =
                    text.parse().map_err(|_| fault("address6", "the address is no IPv6 address, as 2001:db8::7"))?;
                let Some(pool) = &policy.pool6 else {
                    return Err(fault("address6", "the site has no IPv6 pool: give it one first"));
                };
                if !pool.network().contains(address) || !policy.is_usable6(address.to_bits()) {
                    let network = pool.network();
                    let message = format!(
                        "{address} cannot be an appliance's at this site: choose one inside {network} that is not its gateway or name server"
                    );
                    return Err(fault("address6", message));
                }
                Some(address.to_bits())
            }
        };
        let host_name = match spec.host_name.trim() {
            "" => None,
            name => {
                name.clone_into(&mut sample.host_name);
                if let Err(invalid) = sample.validate()
                    && let Some(error) = invalid.0.iter().find(|error| error.field == Field::HostName)
                {
                    return Err(fault("host_name", error.message.clone()));
                }
                Some(name.to_ascii_lowercase())
            }
        };
        if address.is_none() && address6.is_none() && host_name.is_none() {
            return Err(fault("address", "nothing is reserved: give an address or a host name"));
        }
        if spec.note.chars().count() > MAX_TEXT || spec.note.chars().any(misleads) {
            return Err(fault(
                "note",
                format!("the note is longer than {MAX_TEXT} characters or holds control characters"),
            ));
        }
        Ok(Reservation { whose, address, address6, host_name, note: spec.note.trim().to_owned() })
    }

    /// As it is written.
    pub(crate) fn spec(&self) -> ReservationSpec {
        let mut spec = ReservationSpec {
            address: self.address.map(|address| ip(address).to_string()).unwrap_or_default(),
            address6: self.address6.map(|address| Ipv6Addr::from_bits(address).to_string()).unwrap_or_default(),
            host_name: self.host_name.clone().unwrap_or_default(),
            note: self.note.clone(),
            ..ReservationSpec::default()
        };
        match &self.whose {
            Whose::Uid(uid) => spec.uid = uid.to_string(),
            Whose::Mac(mac) => spec.mac = mac.to_string(),
            Whose::Serial(serial) => spec.serial.clone_from(serial),
        }
        spec
    }
}

fn whose(spec: &ReservationSpec) -> Result<Whose, ReservationFault> {
    match (spec.uid.trim(), spec.mac.trim(), spec.serial.trim()) {
        (uid, "", "") if !uid.is_empty() => {
            uid.parse().map(Whose::Uid).map_err(|error| fault("uid", format!("the UID is not one: {error}")))
        }
        ("", mac, "") if !mac.is_empty() => {
            mac.parse().map(Whose::Mac).map_err(|error| fault("mac", format!("the MAC address is not one: {error}")))
        }
        ("", "", serial) if !serial.is_empty() => {
            if serial.chars().count() > MAX_TEXT || serial.chars().any(misleads) {
                let message =
                    format!("the serial number is longer than {MAX_TEXT} characters or holds control characters");
                return Err(fault("serial", message));
            }
            Ok(Whose::Serial(serial.to_owned()))
        }
        ("", "", "") => Err(fault("uid", "whose it is, is not said: give a UID, a MAC address or a serial number")),
        _ => Err(fault("uid", "give only one of UID, MAC address and serial number")),
    }
}

/// An appliance as reservations name it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) uid: &'a Uid,
    pub(crate) mac: Mac,
    pub(crate) serial: &'a str,
}

/// The reservations of a site.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reservations {
    all: Vec<Reservation>,
    whose: BTreeMap<Whose, usize>,
    addresses: BTreeMap<u32, usize>,
    addresses6: BTreeMap<u128, usize>,
    names: BTreeMap<String, usize>,
}

impl Reservations {
    pub(crate) fn add(&mut self, reservation: Reservation) {
        let at = self.all.len();
        self.whose.insert(reservation.whose.clone(), at);
        self.addresses.extend(reservation.address.map(|address| (address, at)));
        self.addresses6.extend(reservation.address6.map(|address| (address, at)));
        self.names.extend(reservation.host_name.clone().map(|name| (name, at)));
        self.all.push(reservation);
    }

    /// What is reserved for an appliance: by its UID before its MAC address before its serial number.
    pub(crate) fn of(&self, appliance: Named<'_>) -> Option<&Reservation> {
        self.index(appliance).map(|at| &self.all[at])
    }

    fn index(&self, appliance: Named<'_>) -> Option<usize> {
        let by = |whose: &Whose| self.whose.get(whose).copied();
        by(&Whose::Uid(*appliance.uid))
            .or_else(|| by(&Whose::Mac(appliance.mac)))
            .or_else(|| by(&Whose::Serial(appliance.serial.trim().to_owned())))
    }

    /// Whose an address is, if it is reserved and not for this appliance.
    pub(crate) fn bars_address(&self, address: u32, appliance: Named<'_>) -> Option<&Whose> {
        self.bar(self.addresses.get(&address), appliance)
    }

    /// The same of an IPv6 address.
    pub(crate) fn bars_address6(&self, address: u128, appliance: Named<'_>) -> Option<&Whose> {
        self.bar(self.addresses6.get(&address), appliance)
    }

    /// The same of a host name.
    pub(crate) fn bars_name(&self, name: &str, appliance: Named<'_>) -> Option<&Whose> {
        self.bar(self.names.get(name), appliance)
    }

    fn bar(&self, at: Option<&usize>, appliance: Named<'_>) -> Option<&Whose> {
        at.filter(|at| self.index(appliance) != Some(**at)).map(|at| &self.all[*at].whose)
    }
}

#[cfg(test)]
mod tests {
    use super::super::site::tests::{spec, spec6};
    use super::*;
    use muster_protocol::id::SiteId;

    fn policy() -> Policy {
        Policy::of(spec6().into_site(SiteId(1))).expect("good")
    }

    fn by_mac() -> ReservationSpec {
        ReservationSpec {
            mac: "02:00:00:00:00:07".into(),
            address: "192.0.2.200".into(),
            address6: "2001:db8:7::200".into(),
            host_name: "Gate".into(),
            note: "the old one".into(),
            ..ReservationSpec::default()
        }
    }

    #[test]
    fn a_reservation_is_written_as_it_was_read() {
        let read = Reservation::read(&by_mac(), &policy()).expect("good");
        assert_eq!(read.spec(), ReservationSpec { host_name: "gate".into(), ..by_mac() });
        assert_eq!(Reservation::read(&read.spec(), &policy()).expect("good"), read);
    }

    #[test]
    fn every_fault_of_a_reservation_is_named_at_its_value() {
        let cases: [(fn(&mut ReservationSpec), &str); 14] = [
            (|r| r.mac = String::new(), "uid"),
            (|r| r.serial = "SN1".into(), "uid"),
            (|r| (r.mac, r.uid) = (String::new(), "x".into()), "uid"),
            (|r| r.mac = "x".into(), "mac"),
            (|r| (r.mac, r.serial) = (String::new(), "a\u{7}".into()), "serial"),
            (|r| r.address = "x".into(), "address"),
            (|r| r.address = "192.0.3.1".into(), "address"),
            (|r| r.address = "192.0.2.1".into(), "address"),
            (|r| r.address = "192.0.2.255".into(), "address"),
            (|r| r.address6 = "x".into(), "address6"),
            (|r| r.address6 = "2001:db8:8::1".into(), "address6"),
            (|r| r.host_name = "a b".into(), "host_name"),
            (|r| r.note = "\u{202e}".into(), "note"),
            (|r| *r = ReservationSpec { mac: r.mac.clone(), ..Default::default() }, "address"),
        ];
        for (change, field) in cases {
            let mut spec = by_mac();
            change(&mut spec);
            let fault = Reservation::read(&spec, &policy()).expect_err(field);
            assert_eq!(fault.field, field, "{fault}");
        }
        let without = Policy::of(spec().into_site(SiteId(1))).expect("good");
        assert_eq!(Reservation::read(&by_mac(), &without).expect_err("no pool").field, "address6");
    }

    #[test]
    fn an_appliance_is_known_by_uid_before_mac_before_serial() {
        let uid = Uid([7; 20]);
        let named = Named { uid: &uid, mac: Mac([2, 0, 0, 0, 0, 7]), serial: "SN7" };
        let reserve =
            |whose, n| Reservation { whose, address: Some(n), address6: None, host_name: None, note: String::new() };
        let mut all = Reservations::default();
        assert_eq!(all.of(named), None);
        for (n, whose) in [Whose::Serial("SN7".into()), Whose::Mac(named.mac), Whose::Uid(uid)].into_iter().enumerate()
        {
            all.add(reserve(whose, n as u32));
            assert_eq!(all.of(named).and_then(|found| found.address), Some(n as u32));
        }
        // What is kept by its serial number is not its own while another one counts.
        assert_eq!(all.bars_address(0, named), Some(&Whose::Serial("SN7".into())));
        assert_eq!((all.bars_address(2, named), all.bars_address(9, named)), (None, None));
    }
}
