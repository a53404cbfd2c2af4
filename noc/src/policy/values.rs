//! Values of a policy that may be said at several places: by an organisation, by a site, and by either for one model.

use muster_protocol::api::{Inheritable, RequiredProof, Site};
use muster_protocol::parameters::{Confirm, DriftPolicy};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use utoipa::ToSchema;

/// What one place says. What is absent it leaves to the place above.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyValues {
    /// First and last address; several ranges are separated by commas. Only in a site's profile: part of the site's network
    /// for appliances of one model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The same for IPv6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool6: Option<String>,
    /// Domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Primary name server; empty for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns1: Option<String>,
    /// Secondary name server; empty for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns2: Option<String>,
    /// Time servers, addresses or host names with a space between them; empty or `none` for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ntp: Option<String>,
    /// Domains that are searched beside `domain`, with a space between them; empty or `none` for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_domains: Option<String>,
    /// Host-name template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    /// Seconds between beats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beat_interval_s: Option<u32>,
    /// What makes settings final: `kick_start` or `first_beat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^(kick_start|first_beat)$")]
    pub confirm: Option<Confirm>,
    /// Seconds until an unconfirmed configuration is rolled back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_s: Option<u16>,
    /// What appliances do about settings that are changed by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftRule>,
    /// Application settings, the text of one JSON object; empty or `{}` for none. The whole object counts: objects of several
    /// places are not merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// The least proof of ownership that appliances have to ask for before something is granted to them: `any`, `claim` (the code
    /// of the label, or a voucher) or `voucher`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^(any|claim|voucher)$")]
    pub proof: Option<RequiredProof>,
}

/// What appliances do about settings that are changed by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriftRule {
    /// What the image of each says.
    Image,
    /// They tell.
    Report,
    /// They tell, and set them again.
    Restore,
}

impl From<DriftRule> for Option<DriftPolicy> {
    fn from(rule: DriftRule) -> Self {
        match rule {
            DriftRule::Image => None,
            DriftRule::Report => Some(DriftPolicy::Report),
            DriftRule::Restore => Some(DriftPolicy::Restore),
        }
    }
}

/// What a place says of one model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The model, as the manifest names it; upper and lower case are alike.
    #[schema(min_length = 1, max_length = 64)]
    pub model: String,
    /// What is different for it.
    pub values: PolicyValues,
}

/// What an organisation says to all of its sites.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OrganisationPolicy {
    /// Of every model.
    pub values: PolicyValues,
    /// Of single models.
    pub profiles: Vec<Profile>,
}

/// The place that a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Nobody said anything.
    Default,
    Organisation,
    OrganisationProfile(String),
    Site,
    SiteProfile(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::Organisation => f.write_str("organisation"),
            Source::OrganisationProfile(model) => write!(f, "organisation profile {model}:"),
            Source::Site => f.write_str("site"),
            Source::SiteProfile(model) => write!(f, "site profile {model}:"),
        }
    }
}

/// Where the values of a policy come from, by their names in [`Site`]; what is not there is the site's own.
pub(crate) type Sources = BTreeMap<&'static str, Source>;

/// A model as it is compared.
pub(crate) fn model_key(model: &str) -> String {
    model.trim().to_lowercase()
}

impl PolicyValues {
    /// Whether it says anything about the addresses of a site, which only the site can.
    pub(crate) fn names_pools(&self) -> bool {
        self.pool.is_some() || self.pool6.is_some()
    }

    /// Puts everything that is said here into a site's values.
    pub(crate) fn overlay(&self, site: &mut Site, sources: &mut Sources, source: &Source) {
        let mut say = |name, said: bool| {
            if said {
                sources.insert(name, source.clone());
            }
        };
        say("pool", set(&mut site.pool, self.pool.as_deref()));
        say("pool6", set(&mut site.pool6, self.pool6.as_deref()));
        for value in Inheritable::ALL {
            say(value.word(), self.put(value, site));
        }
    }

    /// Puts one value into a site's; false if nothing is said of it here.
    pub(crate) fn put(&self, value: Inheritable, site: &mut Site) -> bool {
        match value {
            Inheritable::Domain => set(&mut site.domain, self.domain.as_deref()),
            Inheritable::Dns1 => set(&mut site.dns1, self.dns1.as_deref()),
            Inheritable::Dns2 => set(&mut site.dns2, self.dns2.as_deref()),
            Inheritable::Ntp => set(&mut site.ntp, self.ntp.as_deref()),
            Inheritable::SearchDomains => set(&mut site.search_domains, self.search_domains.as_deref()),
            Inheritable::HostName => set(&mut site.host_name, self.host_name.as_deref()),
            Inheritable::BeatIntervalS => set_number(&mut site.beat_interval_s, self.beat_interval_s),
            Inheritable::Confirm => set_number(&mut site.confirm, self.confirm),
            Inheritable::WindowS => set_number(&mut site.window_s, self.window_s),
            Inheritable::Drift => set_number(&mut site.drift, self.drift.map(Into::into)),
            Inheritable::Application => set(&mut site.application, self.application.as_deref()),
            Inheritable::Proof => set_number(&mut site.proof, self.proof),
        }
    }

    /// What is true where nobody says anything. There is no domain that would do for everybody.
    pub(crate) fn defaults() -> PolicyValues {
        PolicyValues {
            dns1: Some(String::new()),
            dns2: Some(String::new()),
            ntp: Some(String::new()),
            search_domains: Some(String::new()),
            host_name: Some("{model}-{n:03}".to_owned()),
            beat_interval_s: Some(60),
            confirm: Some(Confirm::KickStart),
            window_s: Some(90),
            drift: Some(DriftRule::Image),
            application: Some(String::new()),
            proof: Some(RequiredProof::Any),
            ..PolicyValues::default()
        }
    }
}

fn set(to: &mut String, said: Option<&str>) -> bool {
    if let Some(said) = said {
        said.trim().clone_into(to);
    }
    said.is_some()
}

fn set_number<T>(to: &mut T, said: Option<T>) -> bool {
    said.map(|said| *to = said).is_some()
}
