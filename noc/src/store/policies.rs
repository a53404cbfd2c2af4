//! Policies: what organisations and sites say, and what it comes to for the appliances of a site.

use super::appliances::{from_json, json};
use super::{organisations, sites, word};
use crate::api::ApiError;
use crate::error::StoreError;
use crate::operators::OrganisationId;
use crate::policy::layers::{Layers, Policies};
use crate::policy::site::SiteError;
use crate::policy::values::{OrganisationPolicy, Profile};
use muster_protocol::api::Site;
use muster_protocol::id::SiteId;
use rusqlite::{Connection, OptionalExtension, params};

/// What an organisation says to its sites.
pub(crate) fn of_organisation(db: &Connection, id: OrganisationId) -> Result<OrganisationPolicy, StoreError> {
    let sql = "SELECT policy FROM organisations WHERE id = ?1";
    let text: Option<String> = db.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?;
    text.map_or_else(|| Ok(OrganisationPolicy::default()), |text| from_json("organisation's policy", &text))
}

/// What a site says of single models.
pub(crate) fn profiles(db: &Connection, site: SiteId) -> Result<Vec<Profile>, StoreError> {
    let sql = "SELECT profiles FROM sites WHERE id = ?1";
    let text: Option<String> = db.prepare_cached(sql)?.query_row([site.0], |row| row.get(0)).optional()?;
    text.map_or_else(|| Ok(Vec::new()), |text| from_json("site's profiles", &text))
}

/// What is said about a site.
pub(crate) fn layers(db: &Connection, site: Site) -> Result<Layers, StoreError> {
    let organisation = match organisations::of_site(db, site.id)? {
        Some(id) => of_organisation(db, id)?,
        None => OrganisationPolicy::default(),
    };
    let profiles = profiles(db, site.id)?;
    Ok(Layers { organisation, site, profiles })
}

/// What appliances of a site get.
pub(crate) fn of_site(db: &Connection, site: SiteId) -> Result<Policies, ApiError> {
    let site = sites::find(db, site)?.ok_or(ApiError::UnknownSite { site })?;
    // What is kept was checked before.
    layers(db, site)?.policies().map_err(|_| ApiError::Store(StoreError::Corrupt { what: "site" }))
}

/// Keeps what a site says, if it fits together.
pub(crate) fn keep_site(db: &Connection, layers: &Layers) -> Result<Policies, SiteError> {
    let policies = layers.policies()?;
    sites::update(db, policies.plain())?;
    let id = layers.site.id.0;
    let profiles = json(&layers.profiles);
    db.execute("UPDATE sites SET profiles = ?2 WHERE id = ?1", params![id, profiles])?;
    keep_models(db, layers.site.id, &policies)?;
    Ok(policies)
}

/// Keeps what an organisation says, if all of its sites fit together with it.
pub(crate) fn keep_organisation(
    db: &Connection,
    id: OrganisationId,
    policy: &OrganisationPolicy,
) -> Result<(), SiteError> {
    db.execute("UPDATE organisations SET policy = ?2 WHERE id = ?1", params![id, json(policy)])?;
    let mut faults = Vec::new();
    for site in sites::of_organisation(db, id)? {
        let name = site.name.clone();
        match keep_site(db, &layers(db, site)?) {
            Ok(_) => {}
            Err(SiteError::Invalid(found)) => faults.extend(found.into_iter().map(|mut fault| {
                fault.message = format!("site {name}: {}", fault.message);
                fault
            })),
            Err(other) => return Err(other),
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(SiteError::Invalid(faults)) }
}

/// What the answer to every beat needs is written down, so that a beat costs no more for it.
fn keep_models(db: &Connection, site: SiteId, policies: &Policies) -> Result<(), SiteError> {
    db.execute("DELETE FROM site_models WHERE site = ?1", [site.0])?;
    let mut insert =
        db.prepare_cached("INSERT INTO site_models (site, model, beat_interval_s, drift) VALUES (?1, ?2, ?3, ?4)")?;
    for (model, policy) in policies.by_model() {
        let drift = policy.site.drift.as_ref().map(word);
        insert.execute(params![site.0, model, policy.site.beat_interval_s, drift])?;
    }
    Ok(())
}

/// Seconds between beats of a model at a site; none for an unknown site.
pub(crate) fn beat_interval(db: &Connection, site: SiteId, model: &str) -> Result<Option<u32>, StoreError> {
    let sql = "SELECT coalesce(m.beat_interval_s, s.beat_interval_s) FROM sites s
               LEFT JOIN site_models m ON m.site = s.id AND m.model = ?2 WHERE s.id = ?1";
    let model = crate::policy::values::model_key(model);
    Ok(db.prepare_cached(sql)?.query_row(params![site.0, model], |row| row.get(0)).optional()?)
}

/// The word of what a model does about drift at a site: outer `None` for an unknown site, inner for what the image says.
pub(crate) fn drift_word(db: &Connection, site: SiteId, model: &str) -> Result<Option<Option<String>>, StoreError> {
    let sql = "SELECT CASE WHEN m.site IS NULL THEN s.drift ELSE m.drift END FROM sites s
               LEFT JOIN site_models m ON m.site = s.id AND m.model = ?2 WHERE s.id = ?1";
    let model = crate::policy::values::model_key(model);
    Ok(db.prepare_cached(sql)?.query_row(params![site.0, model], |row| row.get(0)).optional()?)
}
