//! A site's policy, checked.

use super::allocation::Allocation;
use super::exclusion::Exclusion;
use super::host_name::{HostNameTemplate, NameFor};
use super::pool::Pool;
use super::pool6::Pool6;
use super::values::{Source, Sources};
use crate::error::{AsProblem, StoreError, problem};
use muster_protocol::api::{Inheritable, Problem, RequiredProof, Site};
use muster_protocol::id::{Mac, SiteId};
use muster_protocol::parameters::{BEAT_INTERVAL_S, Confirm, DriftPolicy, Field, Network6, RawSettings, WINDOW_S};
use muster_protocol::text::misleads;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use utoipa::ToSchema;

/// What an operator says about a site; the same words as [`Site`], without its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteSpec {
    /// Its name, unique.
    pub name: String,
    /// First and last address, `192.0.2.10-192.0.2.99`; several ranges are separated by commas.
    pub pool: String,
    /// Netmask of the pool.
    pub netmask: String,
    /// Default gateway, or empty.
    pub gateway: String,
    /// Domain.
    pub domain: String,
    /// Primary name server, or empty.
    pub dns1: String,
    /// Secondary name server, or empty.
    pub dns2: String,
    /// Time servers, addresses or host names with a space between them, at most three; empty or `none` for none.
    #[serde(default)]
    pub ntp: String,
    /// Domains that are searched beside the domain, with a space between them, at most three; empty or `none` for none.
    #[serde(default)]
    pub search_domains: String,
    /// IPv6 addresses to give out ([`Site::pool6`]), or empty.
    #[serde(default)]
    pub pool6: String,
    /// IPv6 default gateway, or empty.
    #[serde(default)]
    pub gateway6: String,
    /// Host-name template ([`Site::host_name`]).
    pub host_name: String,
    /// Seconds between beats.
    pub beat_interval_s: u32,
    /// What makes settings final: `kick_start` or `first_beat`.
    #[schema(value_type = String, pattern = "^(kick_start|first_beat)$")]
    pub confirm: Confirm,
    /// Seconds until an unconfirmed configuration is rolled back.
    pub window_s: u16,
    /// What appliances do about settings that are changed by hand; absent: what the image of each says.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^(report|restore)$")]
    pub drift: Option<DriftPolicy>,
    /// Application settings, the text of one JSON object, which appliances hand to the vendor's application; empty or `{}` for none.
    #[serde(default)]
    pub application: String,
    /// The least proof of ownership that appliances have to ask for before something is granted to them: `any`, `claim` (the code
    /// of the label, or a voucher) or `voucher`.
    #[serde(default)]
    #[schema(value_type = String, pattern = "^(any|claim|voucher)$")]
    pub proof: RequiredProof,
    /// Addresses inside the pools that are not given out, IPv4 and IPv6: `192.0.2.20-192.0.2.29, 2001:db8::5`, or empty.
    #[serde(default)]
    pub exclude: String,
    /// Which of the values the site has from its organisation: `domain`, `dns1`, `dns2`, `ntp`, `search_domains`, `host_name`,
    /// `beat_interval_s`, `confirm`, `window_s`, `drift`, `application`, `proof`. What is said here of those does not count.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub inherit: Vec<Inheritable>,
}

impl From<Site> for SiteSpec {
    fn from(site: Site) -> SiteSpec {
        SiteSpec {
            name: site.name,
            pool: site.pool,
            netmask: site.netmask,
            gateway: site.gateway,
            domain: site.domain,
            dns1: site.dns1,
            dns2: site.dns2,
            ntp: site.ntp,
            search_domains: site.search_domains,
            pool6: site.pool6,
            gateway6: site.gateway6,
            host_name: site.host_name,
            beat_interval_s: site.beat_interval_s,
            confirm: site.confirm,
            window_s: site.window_s,
            drift: site.drift,
            application: site.application,
            proof: site.proof,
            exclude: site.exclude,
            inherit: site.inherit,
        }
    }
}

impl SiteSpec {
    /// The site with its number.
    pub(crate) fn into_site(self, id: SiteId) -> Site {
        let mut inherit = self.inherit;
        inherit.sort_unstable();
        inherit.dedup();
        Site {
            id,
            name: self.name.trim().to_owned(),
            pool: self.pool.trim().to_owned(),
            netmask: self.netmask.trim().to_owned(),
            gateway: self.gateway.trim().to_owned(),
            domain: self.domain.trim().to_owned(),
            dns1: self.dns1.trim().to_owned(),
            dns2: self.dns2.trim().to_owned(),
            ntp: self.ntp.trim().to_owned(),
            search_domains: self.search_domains.trim().to_owned(),
            pool6: self.pool6.trim().to_owned(),
            gateway6: self.gateway6.trim().to_owned(),
            host_name: self.host_name.trim().to_owned(),
            beat_interval_s: self.beat_interval_s,
            confirm: self.confirm,
            window_s: self.window_s,
            drift: self.drift,
            application: self.application.trim().to_owned(),
            proof: self.proof,
            exclude: self.exclude.trim().to_owned(),
            inherit,
        }
    }
}

/// What is wrong with one value of a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteFault {
    /// The value's name in [`SiteSpec`].
    pub field: String,
    /// A stable word for programs.
    pub code: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Why a site was not kept.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// Values are wrong.
    #[error("the values do not fit: {}", join(.0))]
    Invalid(Vec<SiteFault>),
    /// The name is in use.
    #[error("there is a site `{name}` already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A site that is not there.
    #[error("there is no site {site}")]
    UnknownSite {
        /// Its number.
        site: SiteId,
    },
    /// The database did not keep it.
    #[error("the site was not kept")]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for SiteError {
    fn from(error: rusqlite::Error) -> Self {
        SiteError::Store(error.into())
    }
}

impl AsProblem for SiteError {
    fn problem(&self) -> Problem {
        match self {
            SiteError::Invalid(_) => problem(422, "site_invalid", self, "Correct the values named."),
            SiteError::NameTaken { .. } => problem(409, "site_name_taken", self, "Choose another name."),
            SiteError::UnknownSite { .. } => {
                problem(404, "unknown_site", self, "List the sites with `muster-noc site list`.")
            }
            SiteError::Store(error) => error.problem(),
        }
    }
}

fn join(faults: &[SiteFault]) -> String {
    faults.iter().map(|f| f.message.as_str()).collect::<Vec<_>>().join("; ")
}

/// A site's policy in values that fit together.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) site: Site,
    pub(crate) pool: Pool,
    pub(crate) template: HostNameTemplate,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) dns: [Option<IpAddr>; 2],
    pub(crate) prefix: u8,
    pub(crate) pool6: Option<Pool6>,
    pub(crate) gateway6: Option<Ipv6Addr>,
    /// Where its values come from; of a policy that stands by itself, nothing is said.
    pub(crate) sources: Sources,
}

impl Policy {
    /// Checks a site; reports everything that is wrong at once.
    pub(crate) fn of(site: Site) -> Result<Policy, SiteError> {
        let mut faults = Vec::new();
        let mut fault = |field: &str, code: &str, message: String| {
            faults.push(SiteFault { field: field.to_owned(), code: code.to_owned(), message });
        };
        if site.name.is_empty() || site.name.chars().count() > 64 || site.name.chars().any(misleads) {
            fault("name", "bad_name", "the name needs 1 to 64 characters, no control characters".to_owned());
        }
        if !BEAT_INTERVAL_S.contains(&site.beat_interval_s) {
            let message = format!("the beat interval must be 5 to 86400 seconds, not {}", site.beat_interval_s);
            fault("beat_interval_s", "bad_beat_interval", message);
        }
        if !WINDOW_S.contains(&site.window_s) {
            fault("window_s", "bad_window", format!("the window must be 30 to 600 seconds, not {}", site.window_s));
        }
        let template = HostNameTemplate::parse(&site.host_name);
        if let Err(error) = &template {
            fault("host_name", "bad_template", format!("the host-name template does not work: {error}"));
        }
        // The rest is checked by the rules for settings, with a name that fits and an address of the pool.
        let mut sample = settings(&site, String::new(), Ipv4Addr::UNSPECIFIED, String::new());
        sample.gateway6 = site.gateway6.clone();
        sample.host_name = "sample".to_owned();
        let excluded = Exclusion::parse(&site.exclude).unwrap_or_else(|error| {
            fault("exclude", "bad_exclusion", error.to_string());
            Exclusion::default()
        });
        let mut pool = None;
        let prefix = prefix_of(&site.netmask);
        if let Some(prefix) = prefix {
            match Pool::parse(&site.pool, prefix) {
                Ok(parsed) => pool = Some(parsed.without(&excluded)),
                Err(error) => fault("pool", "bad_pool", error.to_string()),
            }
        }
        // An address of the pool that is neither an edge of the network nor the gateway.
        let gateway: Option<Ipv4Addr> = sample.gateway.parse().ok();
        let usable = |prefix: u8| {
            let mask = u32::from(muster_protocol::parameters::netmask(prefix));
            move |address: u32| {
                address & !mask != 0 && address | mask != u32::MAX && Some(Ipv4Addr::from(address)) != gateway
            }
        };
        let first = match (&pool, prefix) {
            (Some(pool), Some(prefix)) => pool.next(0, usable(prefix)),
            _ => None,
        };
        if pool.is_some() && first.is_none() {
            fault("pool", "bad_pool", "the pool has no address for an appliance: widen it".to_owned());
        }
        let mut pool6 = None;
        if !site.pool6.is_empty() {
            match Pool6::parse(&site.pool6) {
                Ok(pool) => {
                    let pool = pool.without(&excluded);
                    let gateway: Option<Ipv6Addr> = site.gateway6.parse().ok();
                    let first = pool.next(0, |address| is_host6(&pool, address) && gateway != Some(address.into()));
                    match first {
                        Some(first) => sample.address6 = with_prefix(&pool, first),
                        None => {
                            let message = "the IPv6 pool has no address for an appliance: widen it";
                            fault("pool6", "bad_pool", message.to_owned());
                            sample.gateway6 = String::new();
                        }
                    }
                    pool6 = Some(pool);
                }
                Err(error) => {
                    fault("pool6", "bad_pool", error.to_string());
                    sample.gateway6 = String::new();
                }
            }
        }
        sample.address = Ipv4Addr::from(first.unwrap_or(0x0a00_0001)).to_string();
        let (checked, application) = (sample.validate(), sample.application().ok().flatten());
        if let Err(invalid) = &checked {
            for error in &invalid.0 {
                let field = match error.field {
                    Field::HostName => continue,
                    // Said about the pool already.
                    Field::Address | Field::Gateway if first.is_none() => continue,
                    Field::Address => "pool",
                    Field::Address6 => "pool6",
                    Field::Domain
                    | Field::Netmask
                    | Field::Gateway
                    | Field::Dns1
                    | Field::Dns2
                    | Field::Gateway6
                    | Field::Ntp
                    | Field::SearchDomains
                    | Field::Application => error.field.word(),
                };
                fault(field, &error.code, error.message.clone());
            }
        }
        match (pool, template, checked) {
            (Some(pool), Ok(template), Ok(sample)) if faults.is_empty() => {
                let sample_name = NameFor { site: &site.name, model: "model", serial: "serial", mac: Mac([0; 6]) };
                if let Err(error) = template.render(sample_name, 1) {
                    let message = error.to_string();
                    let fault = SiteFault { field: "host_name".into(), code: "bad_template".into(), message };
                    return Err(SiteError::Invalid(vec![fault]));
                }
                let (gateway, prefix, dns) = (sample.gateway(), sample.prefix(), sample.dns());
                let gateway6 = sample.ipv6().and_then(|ipv6| ipv6.gateway());
                // What holds nothing is none.
                let application = application.filter(|settings| !settings.is_empty());
                let RawSettings { ntp, search_domains, .. } = sample.to_raw();
                let application = application.map_or_else(String::new, String::from);
                let site = Site { ntp, search_domains, application, ..site };
                Ok(Policy { pool, template, gateway, dns, prefix, pool6, gateway6, site, sources: Sources::new() })
            }
            _ => Err(SiteError::Invalid(faults)),
        }
    }

    /// Settings by this policy with an allocated name and addresses.
    pub(crate) fn settings(&self, allocation: Allocation) -> RawSettings {
        let Allocation { address, address6, host_name, number: _ } = allocation;
        let address6 = address6.zip(self.pool6.as_ref()).map(|(address, pool)| with_prefix(pool, address));
        settings(&self.site, host_name, address.into(), address6.unwrap_or_default())
    }

    /// Where a value comes from.
    pub(crate) fn source(&self, value: &str) -> &Source {
        self.sources.get(value).unwrap_or(&Source::Site)
    }

    /// The site's network, `192.0.2.0/24`.
    pub(crate) fn network(&self) -> String {
        let mask = u32::from(muster_protocol::parameters::netmask(self.prefix));
        format!("{}/{}", Ipv4Addr::from(self.pool.network() & mask), self.prefix)
    }

    /// Whether an address lies in the site's network.
    pub(crate) fn is_inside(&self, address: u32) -> bool {
        let mask = u32::from(muster_protocol::parameters::netmask(self.prefix));
        address & mask == self.pool.network() & mask
    }

    /// Whether an IPv6 address of the pool may be an appliance's: not every router's, no router or name server.
    pub(crate) fn is_usable6(&self, address: u128) -> bool {
        let ip = Ipv6Addr::from_bits(address);
        let is_host = self.pool6.as_ref().is_some_and(|pool| is_host6(pool, address));
        is_host && self.gateway6 != Some(ip) && !self.dns.contains(&Some(ip.into()))
    }

    /// Whether an address may be an appliance's: inside the network, no edge of it, no router or name server.
    pub(crate) fn is_usable(&self, address: u32) -> bool {
        let mask = u32::from(muster_protocol::parameters::netmask(self.prefix));
        let ip = Some(Ipv4Addr::from(address));
        self.is_inside(address)
            && address & !mask != 0
            && address | mask != u32::MAX
            && ip != self.gateway
            && !self.dns.contains(&ip.map(IpAddr::V4))
    }
}

/// The netmask's length, read by the rules for settings.
fn prefix_of(netmask: &str) -> Option<u8> {
    let settings = RawSettings {
        host_name: "sample".to_owned(),
        domain: "example.net".to_owned(),
        address: "10.0.0.1".to_owned(),
        netmask: netmask.to_owned(),
        ..RawSettings::default()
    };
    settings.validate().ok().map(|settings| settings.prefix())
}

/// Of the first address of a network everybody else takes it that it is a router's; a link of two has none such.
fn is_host6(pool: &Pool6, address: u128) -> bool {
    let network = pool.network();
    network.prefix == 127 || address != network.first().to_bits()
}

fn with_prefix(pool: &Pool6, address: u128) -> String {
    Network6 { address: address.into(), prefix: pool.network().prefix }.to_string()
}

fn settings(site: &Site, host_name: String, address: Ipv4Addr, address6: String) -> RawSettings {
    RawSettings {
        host_name,
        domain: site.domain.clone(),
        address: address.to_string(),
        netmask: site.netmask.clone(),
        gateway: site.gateway.clone(),
        dns1: site.dns1.clone(),
        dns2: site.dns2.clone(),
        // An appliance of a site without a pool has no use for the gateway.
        gateway6: if address6.is_empty() { String::new() } else { site.gateway6.clone() },
        address6,
        ntp: site.ntp.clone(),
        search_domains: site.search_domains.clone(),
        application: site.application.clone(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn spec() -> SiteSpec {
        SiteSpec {
            name: "Bern".into(),
            pool: "192.0.2.10-192.0.2.99".into(),
            netmask: "255.255.255.0".into(),
            gateway: "192.0.2.1".into(),
            domain: "example.net".into(),
            dns1: "192.0.2.53".into(),
            dns2: String::new(),
            pool6: String::new(),
            gateway6: String::new(),
            ntp: String::new(),
            search_domains: String::new(),
            host_name: "{model}-{n:03}".into(),
            beat_interval_s: 60,
            confirm: Confirm::KickStart,
            window_s: 90,
            drift: None,
            application: String::new(),
            proof: RequiredProof::Any,
            exclude: String::new(),
            inherit: Vec::new(),
        }
    }

    pub(crate) fn spec6() -> SiteSpec {
        SiteSpec { pool6: "2001:db8:7::/64".into(), gateway6: "2001:db8:7::1".into(), ..spec() }
    }

    #[test]
    fn every_fault_of_a_sites_ipv6_is_named_at_its_value() {
        let cases: [(fn(&mut SiteSpec), &str, &str); 8] = [
            (|s| s.pool6 = "2001:db8:7::".into(), "pool6", "bad_pool"),
            (|s| s.pool6 = "fe80::/64".into(), "pool6", "unusable_address"),
            (|s| s.pool6 = "2001:db8:7::1/64".into(), "pool6", "bad_pool"),
            (|s| s.gateway6 = "2001:db8:8::1".into(), "gateway6", "gateway_outside_network"),
            (|s| s.gateway6 = "x".into(), "gateway6", "bad_address"),
            (|s| s.pool6 = String::new(), "gateway6", "gateway6_without_address6"),
            (|s| s.pool6 = "2001:db8:7::9-2001:db8:7::2/64".into(), "pool6", "bad_pool"),
            (|s| s.dns1 = "fe80::53".into(), "dns1", "unusable_address"),
        ];
        for (spoil, field, code) in cases {
            let mut spec = spec6();
            spoil(&mut spec);
            assert_eq!(faults(spec.clone()), [(field.to_owned(), code.to_owned())], "{spec:?}");
        }
        let policy =
            Policy::of(SiteSpec { dns2: "2001:db8:7::3".into(), ..spec6() }.into_site(SiteId(1))).expect("good");
        let usable = |last: u16| policy.is_usable6(Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, last).to_bits());
        assert_eq!([0, 1, 2, 3].map(usable), [false, false, true, false], "routers and name servers are not given out");
        let allocation = Allocation { address: 0xc000_020a, address6: None, host_name: "a".into(), number: None };
        assert_eq!(policy.settings(allocation).gateway6, "", "no address, no gateway");
    }

    fn faults(spec: SiteSpec) -> Vec<(String, String)> {
        match Policy::of(spec.into_site(SiteId(1))) {
            Err(SiteError::Invalid(faults)) => faults.into_iter().map(|f| (f.field, f.code)).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_fault_of_a_site_is_named_at_its_value() {
        let cases: [(fn(&mut SiteSpec), &str, &str); 17] = [
            (|s| s.name = " ".into(), "name", "bad_name"),
            (|s| s.pool = "192.0.2.10".to_owned() + "-x", "pool", "bad_pool"),
            (|s| s.pool = "192.0.2.1".into(), "pool", "bad_pool"),
            (|s| s.netmask = "255.0.255.0".into(), "netmask", "bad_netmask"),
            (|s| s.gateway = "198.51.100.1".into(), "gateway", "gateway_outside_network"),
            (|s| s.gateway = "x".into(), "gateway", "bad_address"),
            (|s| s.domain = "a..b".into(), "domain", "bad_domain"),
            (|s| s.dns1 = "x".into(), "dns1", "bad_address"),
            (|s| (s.dns1, s.dns2) = (String::new(), "192.0.2.54".into()), "dns2", "dns2_without_dns1"),
            (|s| s.host_name = "same".into(), "host_name", "bad_template"),
            (|s| s.beat_interval_s = 1, "beat_interval_s", "bad_beat_interval"),
            (|s| s.window_s = 1, "window_s", "bad_window"),
            (|s| s.ntp = "192.0.2".into(), "ntp", "bad_address"),
            (|s| s.ntp = "a b c d".into(), "ntp", "too_many_time_servers"),
            (|s| s.search_domains = "a..b".into(), "search_domains", "bad_search_domain"),
            (|s| s.application = "[]".into(), "application", "application_not_object"),
            (|s| s.application = "{\"a\":1,\"a\":2}".into(), "application", "application_duplicate_name"),
        ];
        for (spoil, field, code) in cases {
            let mut spec = spec();
            spoil(&mut spec);
            assert_eq!(faults(spec.clone()), [(field.to_owned(), code.to_owned())], "{spec:?}");
        }
    }

    #[test]
    fn routers_name_servers_and_edges_are_not_given_out() {
        let spec = SiteSpec { pool: "192.0.2.0-192.0.2.255".into(), netmask: "/24".into(), ..spec() };
        let policy = Policy::of(spec.into_site(SiteId(1))).expect("good");
        for last in [0, 1, 53, 255] {
            assert!(!policy.is_usable(u32::from(Ipv4Addr::new(192, 0, 2, last))), "{last}");
        }
        assert!(policy.is_usable(u32::from(Ipv4Addr::new(192, 0, 2, 2))));
        assert!(!policy.is_usable(u32::from(Ipv4Addr::new(192, 0, 3, 2))));
    }
}
