//! What an appliance shall have: validated network settings (seed, FIGURE 6) and the terms they are applied under.
//!
//! [`RawSettings`] is what a person typed or a file said; [`NetworkSettings`] can only be made from it by
//! [`RawSettings::validate`], or decoded from CBOR by way of the same checks.

use crate::application::ApplicationSettings;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

mod ipv6;
mod lists;

pub use ipv6::{Ipv6Settings, Network6, PREFIX6, is_link_local};
pub use lists::{MAX_LIST, MOST_LISTED, NONE, TimeServer};

/// The shortest and longest commit window, in seconds (`design.md` §4).
pub const WINDOW_S: std::ops::RangeInclusive<u16> = 30..=600;
/// The shortest and longest beat interval, in seconds.
pub const BEAT_INTERVAL_S: std::ops::RangeInclusive<u32> = 5..=86_400;

/// The network settings of a config packet, checked against each other: the seed's seven, and IPv6 beside them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawSettings", into = "RawSettings")]
pub struct NetworkSettings {
    host_name: String,
    domain: String,
    address: Ipv4Addr,
    prefix: u8,
    gateway: Option<Ipv4Addr>,
    dns: [Option<IpAddr>; 2],
    ipv6: Option<Ipv6Settings>,
    ntp: Vec<TimeServer>,
    search_domains: Vec<String>,
}

impl NetworkSettings {
    /// One label of RFC 1123, lower case, without the domain.
    pub fn host_name(&self) -> &str {
        &self.host_name
    }
    /// The domain the host name is in, as `example.net`.
    pub fn domain(&self) -> &str {
        &self.domain
    }
    /// The appliance's address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }
    /// Length of the network prefix, 8 to 30 bits.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }
    /// The prefix as a netmask, `255.255.255.0`.
    pub fn netmask(&self) -> Ipv4Addr {
        netmask(self.prefix)
    }
    /// The default gateway, inside the appliance's own network.
    pub fn gateway(&self) -> Option<Ipv4Addr> {
        self.gateway
    }
    /// Primary and secondary name server, of either family. The second is never there without the first.
    pub fn dns(&self) -> [Option<IpAddr>; 2] {
        self.dns
    }
    /// The IPv6 address and gateway, if there are any.
    pub fn ipv6(&self) -> Option<Ipv6Settings> {
        self.ipv6
    }
    /// Time servers, at most [`MOST_LISTED`]; the first is asked first.
    pub fn ntp(&self) -> &[TimeServer] {
        &self.ntp
    }
    /// Domains that are searched beside the host's own, at most [`MOST_LISTED`].
    pub fn search_domains(&self) -> &[String] {
        &self.search_domains
    }
    /// All that is searched, in order: the host's own domain and then the others.
    pub fn search(&self) -> Vec<&str> {
        let others = self.search_domains.iter().map(String::as_str).filter(|other| *other != self.domain);
        std::iter::once(self.domain.as_str()).chain(others).collect()
    }
    /// The same as editable text.
    pub fn to_raw(&self) -> RawSettings {
        fn text(value: Option<impl fmt::Display>) -> String {
            value.map_or_else(String::new, |value| value.to_string())
        }
        RawSettings {
            host_name: self.host_name.clone(),
            domain: self.domain.clone(),
            address: self.address.to_string(),
            netmask: self.netmask().to_string(),
            gateway: text(self.gateway),
            dns1: text(self.dns[0]),
            dns2: text(self.dns[1]),
            address6: text(self.ipv6),
            gateway6: text(self.ipv6.and_then(|ipv6| ipv6.gateway())),
            ntp: lists::text(&self.ntp),
            search_domains: lists::text(&self.search_domains),
            application: String::new(),
        }
    }
}

/// Network settings as text: cells of the wizard, columns of a CSV. Empty means absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RawSettings {
    /// Host name, one label.
    pub host_name: String,
    /// Domain.
    pub domain: String,
    /// IPv4 address.
    pub address: String,
    /// Netmask, `255.255.255.0`, `/24` or `24`.
    pub netmask: String,
    /// Default gateway, or empty.
    pub gateway: String,
    /// Primary name server, or empty.
    pub dns1: String,
    /// Secondary name server, or empty.
    pub dns2: String,
    /// IPv6 address with the length of its prefix, `2001:db8::10/64`, or empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub address6: String,
    /// IPv6 default gateway, or empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub gateway6: String,
    /// Time servers, addresses or host names with a space between them; `none` for none. Empty: what the policy gives, in what is
    /// asked for, and none in what is in force.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ntp: String,
    /// Domains that are searched beside the host's own; the same form.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub search_domains: String,
    /// Application settings as JSON ([`ApplicationSettings`]); `{}` for none. Empty: what the policy gives. They are no network
    /// settings: [`Self::validate`] checks them and leaves them out, [`Self::application`] reads them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub application: String,
}

/// One of the settings; the stable name of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// Host name.
    HostName,
    /// Domain.
    Domain,
    /// IPv4 address.
    Address,
    /// Netmask.
    Netmask,
    /// Default gateway.
    Gateway,
    /// Primary name server.
    Dns1,
    /// Secondary name server.
    Dns2,
    /// IPv6 address and prefix length.
    Address6,
    /// IPv6 default gateway.
    Gateway6,
    /// Time servers.
    Ntp,
    /// Search domains.
    SearchDomains,
    /// Application settings.
    Application,
}

impl Field {
    /// Its stable name, as the columns of a plan have it.
    pub fn word(self) -> &'static str {
        match self {
            Field::HostName => "host_name",
            Field::Domain => "domain",
            Field::Address => "address",
            Field::Netmask => "netmask",
            Field::Gateway => "gateway",
            Field::Dns1 => "dns1",
            Field::Dns2 => "dns2",
            Field::Address6 => "address6",
            Field::Gateway6 => "gateway6",
            Field::Ntp => "ntp",
            Field::SearchDomains => "search_domains",
            Field::Application => "application",
        }
    }
}

/// What is wrong with one setting. The code is stable; the text may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct FieldError {
    /// The setting.
    pub field: Field,
    /// A stable word for programs, as `gateway_outside_network`.
    pub code: String,
    /// A sentence that names what is wrong and what to do.
    pub message: String,
}

impl FieldError {
    /// An error at `field`.
    pub fn new(field: Field, code: &str, message: impl Into<String>) -> Self {
        Self { field, code: code.to_owned(), message: message.into() }
    }
}

/// Every error of one appliance's settings, never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidSettings(pub Vec<FieldError>);

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl RawSettings {
    /// Checks each setting and then the settings against each other; reports everything that is wrong at once.
    ///
    /// ```
    /// use muster_protocol::parameters::{Field, RawSettings};
    ///
    /// let mut raw = RawSettings {
    ///     host_name: "Mail-01".into(),
    ///     domain: "example.net".into(),
    ///     address: "192.0.2.10".into(),
    ///     netmask: "/24".into(),
    ///     gateway: "192.0.2.1".into(),
    ///     ..RawSettings::default()
    /// };
    /// assert_eq!(raw.validate()?.host_name(), "mail-01");
    ///
    /// raw.gateway = "198.51.100.1".into();
    /// let errors = raw.validate().unwrap_err().0;
    /// assert_eq!((errors[0].field, errors[0].code.as_str()), (Field::Gateway, "gateway_outside_network"));
    /// # Ok::<(), muster_protocol::parameters::InvalidSettings>(())
    /// ```
    pub fn validate(&self) -> Result<NetworkSettings, InvalidSettings> {
        let mut errors = Vec::new();
        let host_name = check(&mut errors, Field::HostName, host_name(&self.host_name));
        let domain = check(&mut errors, Field::Domain, domain(&self.domain));
        let address = check(&mut errors, Field::Address, ip("IP address", &self.address));
        if address.is_none() && self.address.trim().is_empty() && !self.address6.trim().is_empty() {
            // It says so where a person would look.
            if let Some(error) = errors.last_mut() {
                error.message = "the IPv4 address is missing: IPv6 comes beside it, not in its place".to_owned();
            }
        }
        let prefix = check(&mut errors, Field::Netmask, prefix(&self.netmask));
        let gateway = check(&mut errors, Field::Gateway, optional_ip("gateway", &self.gateway));
        let dns1 = check(&mut errors, Field::Dns1, server(&self.dns1));
        let dns2 = check(&mut errors, Field::Dns2, server(&self.dns2));
        if let (Some(Some(_)), Some(None)) = (dns2, dns1) {
            let message = "a secondary name server needs a primary one: fill DNS1 first";
            errors.push(FieldError::new(Field::Dns2, "dns2_without_dns1", message));
        }
        let ipv6 = ipv6::settings(self, &mut errors);
        let ntp = check(&mut errors, Field::Ntp, self.time_servers());
        let search_domains = check(&mut errors, Field::SearchDomains, self.searched());
        if let Err(error) = self.application() {
            errors.push(error);
        }
        if let (Some(address), Some(prefix)) = (address, prefix) {
            check_network(&mut errors, address, prefix, gateway.flatten());
        }
        let (Some(dns1), Some(dns2), Some(ipv6), Some(ntp), Some(search_domains)) =
            (dns1, dns2, ipv6, ntp, search_domains)
        else {
            return Err(InvalidSettings(errors));
        };
        let dns = [dns1, dns2];
        match (host_name, domain, address, prefix, gateway) {
            (Some(host_name), Some(domain), Some(address), Some(prefix), Some(gateway)) if errors.is_empty() => {
                Ok(NetworkSettings { host_name, domain, address, prefix, gateway, dns, ipv6, ntp, search_domains })
            }
            _ => Err(InvalidSettings(errors)),
        }
    }

    /// The same as it is kept: every value in its one form. What is not valid stays as it is.
    pub fn tidied(&self) -> RawSettings {
        let (Ok(network), Ok(application)) = (self.validate(), self.application()) else { return self.clone() };
        let application = application.map_or_else(String::new, String::from);
        self.none_of(RawSettings { application, ..network.to_raw() })
    }

    /// The application settings among them; none if nothing is said of them here.
    pub fn application(&self) -> Result<Option<ApplicationSettings>, FieldError> {
        if self.application.trim().is_empty() {
            return Ok(None);
        }
        let parsed = ApplicationSettings::parse(&self.application);
        parsed.map(Some).map_err(|error| FieldError::new(Field::Application, error.code(), error.to_string()))
    }
}

impl TryFrom<RawSettings> for NetworkSettings {
    type Error = InvalidSettings;
    fn try_from(raw: RawSettings) -> Result<Self, InvalidSettings> {
        raw.validate()
    }
}

impl From<NetworkSettings> for RawSettings {
    fn from(settings: NetworkSettings) -> Self {
        settings.to_raw()
    }
}

/// When the appliance may make provisional settings final (`design.md` §4, commit-confirmed).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Confirm {
    /// The console's kick-start is enough.
    #[default]
    #[n(0)]
    KickStart,
    /// The kick-start and then a first beat that the NOC accepted.
    #[n(1)]
    FirstBeat,
}

/// What an appliance does about settings that somebody changed by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum DriftPolicy {
    /// The beats say which.
    #[default]
    #[n(0)]
    Report,
    /// Besides, they are set again as they were configured.
    #[n(1)]
    Restore,
}

/// Everything a grant gives: the settings and the terms they are applied under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// The network settings.
    pub network: NetworkSettings,
    /// What makes them final.
    pub confirm: Confirm,
    /// Seconds from provisional to rolled back, within [`WINDOW_S`].
    pub window_s: u16,
    /// Seconds between beats, within [`BEAT_INTERVAL_S`].
    pub beat_interval_s: u32,
    /// What is done about settings that are changed by hand; absent: what the appliance's image says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftPolicy>,
    /// What the vendor's application on it shall have; absent: it has no settings by Muster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationSettings>,
}

/// `24` to `255.255.255.0`; lengths above 32 count as 32.
pub fn netmask(prefix: u8) -> Ipv4Addr {
    let bits = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    Ipv4Addr::from(bits)
}

fn check<T>(errors: &mut Vec<FieldError>, field: Field, result: Result<T, (&'static str, String)>) -> Option<T> {
    result.map_err(|(code, message)| errors.push(FieldError::new(field, code, message))).ok()
}

type Checked<T> = Result<T, (&'static str, String)>;

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn host_name(text: &str) -> Checked<String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(("missing", "the host name is missing".into()));
    }
    if !is_label(text) {
        let message = format!(
            "`{}` is not a host name: use 1 to 63 letters, digits and dashes, no dash first or last, no dots",
            text.escape_debug()
        );
        return Err(("bad_host_name", message));
    }
    Ok(text.to_ascii_lowercase())
}

fn domain(text: &str) -> Checked<String> {
    let text = text.trim().trim_end_matches('.');
    if text.is_empty() {
        return Err(("missing", "the domain is missing".into()));
    }
    if text.len() > 190 || !text.split('.').all(is_label) {
        let message = format!("`{}` is not a domain: use labels like example.net", text.escape_debug());
        return Err(("bad_domain", message));
    }
    Ok(text.to_ascii_lowercase())
}

fn ip(what: &str, text: &str) -> Checked<Ipv4Addr> {
    let text = text.trim();
    if text.is_empty() {
        return Err(("missing", format!("the {what} is missing")));
    }
    let ip: Ipv4Addr = text.parse().map_err(|_| {
        let message = format!("`{}` is not an IPv4 address: use four numbers like 192.0.2.10", text.escape_debug());
        ("bad_address", message)
    })?;
    if ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast() || ip.is_loopback() {
        return Err(("unusable_address", format!("{ip} cannot be an appliance's {what}: choose a unicast address")));
    }
    Ok(ip)
}

fn optional_ip(what: &str, text: &str) -> Checked<Option<Ipv4Addr>> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    ip(what, text).map(Some)
}

fn server(text: &str) -> Checked<Option<IpAddr>> {
    if text.contains(':') {
        return ipv6::server(text.trim()).map(Some);
    }
    Ok(optional_ip("name server", text)?.map(IpAddr::V4))
}

fn prefix(text: &str) -> Checked<u8> {
    let text = text.trim();
    if text.is_empty() {
        return Err(("missing", "the netmask is missing".into()));
    }
    let bad = || {
        let message = format!("`{}` is not a netmask: use 255.255.255.0 or /24", text.escape_debug());
        ("bad_netmask", message)
    };
    let prefix = match text.strip_prefix('/').unwrap_or(text).parse::<u8>() {
        Ok(prefix) if prefix <= 32 => prefix,
        Ok(_) => return Err(bad()),
        Err(_) => {
            let bits = u32::from(text.parse::<Ipv4Addr>().map_err(|_| bad())?);
            let prefix = bits.leading_ones() as u8;
            if u32::from(netmask(prefix)) != bits {
                return Err(bad());
            }
            prefix
        }
    };
    if !(8..=30).contains(&prefix) {
        let message = format!("/{prefix} is not usable here: choose a netmask from /8 to /30");
        return Err(("unusable_netmask", message));
    }
    Ok(prefix)
}

fn check_network(errors: &mut Vec<FieldError>, address: Ipv4Addr, prefix: u8, gateway: Option<Ipv4Addr>) {
    let mask = u32::from(netmask(prefix));
    let (network, broadcast) = (u32::from(address) & mask, u32::from(address) | !mask);
    let name = format!("{}/{prefix}", Ipv4Addr::from(network));
    let is_edge = |ip: Ipv4Addr| u32::from(ip) == network || u32::from(ip) == broadcast;
    if is_edge(address) {
        let message = format!("{address} is the network or broadcast address of {name}: choose a host address");
        errors.push(FieldError::new(Field::Address, "edge_of_network", message));
    }
    let Some(gateway) = gateway else { return };
    if u32::from(gateway) & mask != network {
        let message = format!("the gateway {gateway} is outside the network {name}: the appliance could not reach it");
        errors.push(FieldError::new(Field::Gateway, "gateway_outside_network", message));
    } else if is_edge(gateway) {
        let message = format!("{gateway} is the network or broadcast address of {name}: it cannot be a gateway");
        errors.push(FieldError::new(Field::Gateway, "edge_of_network", message));
    } else if gateway == address {
        let message = format!("{gateway} is the appliance's own address: it cannot be its gateway");
        errors.push(FieldError::new(Field::Gateway, "gateway_is_self", message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn good() -> RawSettings {
        RawSettings {
            host_name: "Mail-01".into(),
            domain: "example.net.".into(),
            address: "192.0.2.10".into(),
            netmask: "255.255.255.0".into(),
            gateway: "192.0.2.1".into(),
            dns1: "192.0.2.53".into(),
            ..RawSettings::default()
        }
    }

    pub(super) fn codes(raw: &RawSettings) -> Vec<(Field, String)> {
        raw.validate().expect_err("should be refused").0.into_iter().map(|e| (e.field, e.code)).collect()
    }

    #[test]
    fn good_settings_are_normalised() {
        let settings = good().validate().expect("good");
        assert_eq!(settings.host_name(), "mail-01");
        assert_eq!(settings.domain(), "example.net");
        assert_eq!(settings.prefix(), 24);
        assert_eq!(settings.to_raw().validate().expect("again"), settings);
    }

    #[test]
    fn every_fault_is_named_at_its_field() {
        let cases: [(fn(&mut RawSettings), Field, &str); 12] = [
            (|r| r.host_name = String::new(), Field::HostName, "missing"),
            (|r| r.host_name = "a.b".into(), Field::HostName, "bad_host_name"),
            (|r| r.host_name = "-a".into(), Field::HostName, "bad_host_name"),
            (|r| r.domain = "a..b".into(), Field::Domain, "bad_domain"),
            (|r| r.address = "192.0.2".into(), Field::Address, "bad_address"),
            (|r| r.address = "127.0.0.1".into(), Field::Address, "unusable_address"),
            (|r| r.address = "192.0.2.255".into(), Field::Address, "edge_of_network"),
            (|r| r.netmask = "255.0.255.0".into(), Field::Netmask, "bad_netmask"),
            (|r| r.netmask = "/31".into(), Field::Netmask, "unusable_netmask"),
            (|r| r.gateway = "198.51.100.1".into(), Field::Gateway, "gateway_outside_network"),
            (|r| r.gateway = "192.0.2.10".into(), Field::Gateway, "gateway_is_self"),
            (|r| (r.dns1, r.dns2) = (String::new(), "192.0.2.54".into()), Field::Dns2, "dns2_without_dns1"),
        ];
        for (spoil, field, code) in cases {
            let mut raw = good();
            spoil(&mut raw);
            assert_eq!(codes(&raw), [(field, code.to_owned())], "{raw:?}");
        }
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        assert_eq!(codes(&RawSettings::default()).len(), 4);
    }

    #[test]
    fn control_characters_are_escaped_in_the_message() {
        let raw = RawSettings { host_name: "a\u{1b}[2J".into(), ..good() };
        assert!(!raw.validate().expect_err("bad").to_string().contains('\u{1b}'));
    }
}
