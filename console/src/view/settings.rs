//! Settings as a person edits them.

use muster_protocol::parameters::RawSettings;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Settings as editable text; the shape of [`RawSettings`] for TypeScript.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct Settings {
    /// Host name, one label.
    pub host_name: String,
    /// Domain.
    pub domain: String,
    /// IPv4 address.
    pub address: String,
    /// Netmask, dotted.
    pub netmask: String,
    /// Default gateway, or empty.
    pub gateway: String,
    /// Primary name server, or empty.
    pub dns1: String,
    /// Secondary name server, or empty.
    pub dns2: String,
    /// IPv6 address with the length of its prefix, `2001:db8::10/64`, or empty.
    pub address6: String,
    /// IPv6 default gateway, or empty.
    pub gateway6: String,
    /// Time servers with a space between them, `none` for none; absent for what the policy gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub ntp: Option<String>,
    /// Domains that are searched beside the domain; the same form.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub search_domains: Option<String>,
    /// Application settings as JSON; absent for what the policy gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub application: Option<String>,
}

/// What says nothing is absent.
pub(crate) fn said(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

impl From<RawSettings> for Settings {
    fn from(r: RawSettings) -> Self {
        Self {
            host_name: r.host_name,
            domain: r.domain,
            address: r.address,
            netmask: r.netmask,
            gateway: r.gateway,
            dns1: r.dns1,
            dns2: r.dns2,
            address6: r.address6,
            gateway6: r.gateway6,
            ntp: said(r.ntp),
            search_domains: said(r.search_domains),
            application: said(r.application),
        }
    }
}

impl From<Settings> for RawSettings {
    fn from(s: Settings) -> Self {
        Self {
            host_name: s.host_name,
            domain: s.domain,
            address: s.address,
            netmask: s.netmask,
            gateway: s.gateway,
            dns1: s.dns1,
            dns2: s.dns2,
            address6: s.address6,
            gateway6: s.gateway6,
            ntp: s.ntp.unwrap_or_default(),
            search_domains: s.search_domains.unwrap_or_default(),
            application: s.application.unwrap_or_default(),
        }
    }
}
