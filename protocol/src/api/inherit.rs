//! Which values of a site's policy its organisation may say.

use serde::{Deserialize, Serialize};

/// A value that a site can have from its organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inheritable {
    /// [`super::Site::domain`]
    Domain,
    /// [`super::Site::dns1`]
    Dns1,
    /// [`super::Site::dns2`]
    Dns2,
    /// [`super::Site::ntp`]
    Ntp,
    /// [`super::Site::search_domains`]
    SearchDomains,
    /// [`super::Site::host_name`]
    HostName,
    /// [`super::Site::beat_interval_s`]
    BeatIntervalS,
    /// [`super::Site::confirm`]
    Confirm,
    /// [`super::Site::window_s`]
    WindowS,
    /// [`super::Site::drift`]
    Drift,
    /// [`super::Site::application`]
    Application,
    /// [`super::Site::proof`]
    Proof,
}

impl Inheritable {
    /// Every one.
    pub const ALL: [Inheritable; 12] = [
        Inheritable::Domain,
        Inheritable::Dns1,
        Inheritable::Dns2,
        Inheritable::Ntp,
        Inheritable::SearchDomains,
        Inheritable::HostName,
        Inheritable::BeatIntervalS,
        Inheritable::Confirm,
        Inheritable::WindowS,
        Inheritable::Drift,
        Inheritable::Application,
        Inheritable::Proof,
    ];

    /// Its name in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Inheritable::Domain => "domain",
            Inheritable::Dns1 => "dns1",
            Inheritable::Dns2 => "dns2",
            Inheritable::Ntp => "ntp",
            Inheritable::SearchDomains => "search_domains",
            Inheritable::HostName => "host_name",
            Inheritable::BeatIntervalS => "beat_interval_s",
            Inheritable::Confirm => "confirm",
            Inheritable::WindowS => "window_s",
            Inheritable::Drift => "drift",
            Inheritable::Application => "application",
            Inheritable::Proof => "proof",
        }
    }
}
