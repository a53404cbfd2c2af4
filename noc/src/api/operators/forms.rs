//! Bodies that several routes take or show.

use crate::api::ApiError;
use crate::error::StoreError;
use crate::operators::access::OrganisationId;
use crate::policy::site::SiteSpec;
use crate::store::fleet::OwnedSite;
use muster_protocol::api::Site;
use muster_protocol::id::SiteId;
use muster_protocol::instruction::Act;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How much of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// Rows of a page: 1 to 1,000, usually 100.
    #[param(minimum = 1, maximum = 1000)]
    pub(super) limit: Option<u32>,
    /// `next` of the page before.
    pub(super) after: Option<String>,
}

/// How much of a list, and of which organisation.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct PartOf {
    /// Rows of a page: 1 to 1,000, usually 100.
    #[param(minimum = 1, maximum = 1000)]
    pub(super) limit: Option<u32>,
    /// `next` of the page before.
    pub(super) after: Option<String>,
    /// Only of this organisation.
    #[param(value_type = Option<u64>)]
    pub(super) organisation: Option<OrganisationId>,
}

/// A site and the policy it follows.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SiteView {
    /// Its number.
    #[schema(value_type = u32)]
    pub(super) id: SiteId,
    /// Whose it is.
    pub(super) organisation: OrganisationId,
    /// Its name and policy.
    pub(super) policy: SiteSpec,
}

impl SiteView {
    pub(super) fn of(owned: &OwnedSite) -> Result<SiteView, ApiError> {
        Ok(SiteView { id: owned.site.id, organisation: owned.organisation, policy: spec_of(&owned.site)? })
    }
}

/// The same words without the number.
fn spec_of(site: &Site) -> Result<SiteSpec, ApiError> {
    let spec = serde_json::to_value(site).and_then(serde_json::from_value);
    spec.map_err(|_| ApiError::Store(StoreError::Corrupt { what: "site" }))
}

/// Network settings. Empty means absent.
#[derive(ToSchema)]
#[schema(as = Settings)]
#[expect(dead_code, reason = "describes muster_protocol's RawSettings")]
pub(super) struct SettingsForm {
    /// Host name, one label.
    host_name: String,
    /// Domain.
    domain: String,
    /// IPv4 address.
    address: String,
    /// Netmask.
    netmask: String,
    /// Default gateway.
    gateway: String,
    /// Primary name server.
    dns1: String,
    /// Secondary name server.
    dns2: String,
    /// Time servers with a space between them; absent: what the policy gives, `none`: none.
    ntp: Option<String>,
    /// Domains that are searched beside the domain; the same form.
    search_domains: Option<String>,
    /// Application settings, the text of one JSON object; absent: what the policy gave, `{}`: none.
    application: Option<String>,
}

/// What an appliance may be told to do, once.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ActForm {
    /// Restart.
    Reboot,
    /// Send its log.
    SendLog,
    /// Forget its owner, its settings and its certificates.
    Decommission,
}

impl From<ActForm> for Act {
    fn from(form: ActForm) -> Act {
        match form {
            ActForm::Reboot => Act::Reboot,
            ActForm::SendLog => Act::SendLog,
            ActForm::Decommission => Act::Decommission,
        }
    }
}
