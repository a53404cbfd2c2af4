//! Changes that are the same from wherever they come, the interface or the command line: each with its record in the audit log.

use super::{audit, organisations, sites};
use crate::audit::{By, Event};
use crate::clock;
use crate::error::StoreError;
use crate::operators::OrganisationId;
use crate::operators::access::Place;
use crate::policy::site::{Policy, SiteError};
use muster_protocol::api::Site;
use rusqlite::Connection;

/// Adds a site.
pub(crate) fn add_site(
    db: &Connection,
    by: &By,
    organisation: OrganisationId,
    policy: &Policy,
) -> Result<Site, SiteError> {
    let site = sites::add_to(db, organisation, policy)?;
    record(db, by, organisation, &site, "site.add", serde_json::json!(site))?;
    Ok(site)
}

/// Replaces a site's values.
pub(crate) fn change_site(db: &Connection, by: &By, policy: &Policy) -> Result<Site, SiteError> {
    let (site, unknown) = (&policy.site, || SiteError::UnknownSite { site: policy.site.id });
    let organisation = organisations::of_site(db, site.id)?.ok_or_else(unknown)?;
    let before = sites::find(db, site.id)?.ok_or_else(unknown)?;
    sites::update(db, policy)?;
    record(db, by, organisation, site, "site.change", serde_json::json!({ "before": before, "after": site }))?;
    Ok(site.clone())
}

fn record(
    db: &Connection,
    by: &By,
    organisation: OrganisationId,
    site: &Site,
    action: &'static str,
    detail: serde_json::Value,
) -> Result<(), StoreError> {
    let event = Event::new(Place::site(organisation, site.id), action, format!("site:{}", site.id));
    audit::record(db, clock::now(), by, event.with(detail))
}
