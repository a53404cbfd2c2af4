//! Changes that are the same from wherever they come, the interface or the command line: each with its record in the audit log.

use super::{audit, organisations, policies, reservations, sites};
use crate::api::{ApiError, Fault};
use crate::audit::{By, Event};
use crate::clock;
use crate::error::StoreError;
use crate::operators::OrganisationId;
use crate::operators::access::Place;
use crate::policy::layers::{Layers, check_organisation};
use crate::policy::reservation::{Reservation, ReservationSpec};
use crate::policy::site::SiteError;
use crate::policy::values::{OrganisationPolicy, Profile};
use muster_protocol::api::Site;
use muster_protocol::id::SiteId;
use rusqlite::Connection;

/// Adds a site.
pub(crate) fn add_site(db: &Connection, by: &By, organisation: OrganisationId, site: Site) -> Result<Site, SiteError> {
    let above = policies::of_organisation(db, organisation)?;
    let mut layers = Layers { organisation: above, site, profiles: Vec::new() };
    let site = sites::add_to(db, organisation, layers.policies()?.plain())?;
    layers.site.id = site.id;
    policies::keep_site(db, &layers)?;
    record(db, by, organisation, &site, "site.add", serde_json::json!(site))?;
    Ok(site)
}

/// Replaces a site's values.
pub(crate) fn change_site(db: &Connection, by: &By, site: Site) -> Result<Site, SiteError> {
    let id = site.id;
    let unknown = || SiteError::UnknownSite { site: id };
    let organisation = organisations::of_site(db, id)?.ok_or_else(unknown)?;
    let before = sites::find(db, id)?.ok_or_else(unknown)?;
    let kept = policies::keep_site(db, &policies::layers(db, site)?)?;
    let site = &kept.plain().site;
    record(db, by, organisation, site, "site.change", serde_json::json!({ "before": before, "after": site }))?;
    Ok(site.clone())
}

/// [`change_site`], unless it is as it shall be; whether it was changed.
pub(crate) fn change_site_if_new(db: &Connection, by: &By, before: &Site, site: Site) -> Result<bool, SiteError> {
    let layers = policies::layers(db, site)?;
    // What it has from its organisation does not count as said.
    if layers.policies()?.plain().site == *before {
        return Ok(false);
    }
    change_site(db, by, layers.site).map(|_| true)
}

/// Replaces what a site says of single models.
pub(crate) fn change_profiles(
    db: &Connection,
    by: &By,
    id: SiteId,
    profiles: Vec<Profile>,
) -> Result<Vec<Profile>, SiteError> {
    let unknown = || SiteError::UnknownSite { site: id };
    let organisation = organisations::of_site(db, id)?.ok_or_else(unknown)?;
    let site = sites::find(db, id)?.ok_or_else(unknown)?;
    let mut layers = policies::layers(db, site)?;
    let before = std::mem::replace(&mut layers.profiles, tidied(profiles));
    policies::keep_site(db, &layers)?;
    let detail = serde_json::json!({ "before": before, "after": layers.profiles });
    record(db, by, organisation, &layers.site, "site.profiles", detail)?;
    Ok(layers.profiles)
}

/// Replaces what an organisation says to its sites. Settings in force stay as they are.
pub(crate) fn change_organisation_policy(
    db: &Connection,
    by: &By,
    id: OrganisationId,
    mut policy: OrganisationPolicy,
) -> Result<OrganisationPolicy, SiteError> {
    policy.profiles = tidied(policy.profiles);
    check_organisation(&policy)?;
    let before = policies::of_organisation(db, id)?;
    policies::keep_organisation(db, id, &policy)?;
    let event = Event::new(Place::organisation(id), "organisation.policy", format!("organisation:{id}"));
    let detail = serde_json::json!({ "before": before, "after": policy });
    audit::record(db, clock::now(), by, event.with(detail))?;
    Ok(policy)
}

/// Reserves something in a site.
pub(crate) fn reserve(db: &Connection, by: &By, id: SiteId, spec: &ReservationSpec) -> Result<u32, ApiError> {
    let policies = policies::of_site(db, id)?;
    let reservation = Reservation::read(spec, policies.plain()).map_err(Fault::from)?;
    let number = reservations::add(db, id, &reservation)?;
    record_reservation(db, by, id, "reservation.add", number, serde_json::json!(reservation.spec()))?;
    Ok(number)
}

/// Puts another reservation in the place of one that is there.
pub(crate) fn change_reservation(
    db: &Connection,
    by: &By,
    id: SiteId,
    before: &reservations::Kept,
    spec: &ReservationSpec,
) -> Result<(), ApiError> {
    let policies = policies::of_site(db, id)?;
    let after = Reservation::read(spec, policies.plain()).map_err(Fault::from)?;
    reservations::replace(db, id, before.id, &after)?;
    let detail = serde_json::json!({ "before": before.reservation.spec(), "after": after.spec() });
    Ok(record_reservation(db, by, id, "reservation.change", before.id, detail)?)
}

/// Gives a reservation up; false when it is not there.
pub(crate) fn give_up(db: &Connection, by: &By, id: SiteId, number: u32) -> Result<bool, StoreError> {
    let Some(kept) = reservations::find(db, id, number)? else { return Ok(false) };
    reservations::remove(db, id, number)?;
    record_reservation(db, by, id, "reservation.remove", number, serde_json::json!(kept.reservation.spec()))?;
    Ok(true)
}

fn record_reservation(
    db: &Connection,
    by: &By,
    site: SiteId,
    action: &'static str,
    number: u32,
    detail: serde_json::Value,
) -> Result<(), StoreError> {
    let place = Place { organisation: organisations::of_site(db, site)?, site: Some(site) };
    let event = Event::new(place, action, format!("reservation:{number}"));
    audit::record(db, clock::now(), by, event.with(detail))
}

fn tidied(profiles: Vec<Profile>) -> Vec<Profile> {
    let tidy = |profile: Profile| Profile { model: profile.model.trim().to_owned(), ..profile };
    profiles.into_iter().map(tidy).collect()
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
