//! What organisations and sites say of silence and health, and when the NOC itself was away.

use super::appliances::{self, from_json, json};
use super::{audit, organisations, rows};
use crate::audit::{By, Event};
use crate::error::StoreError;
use crate::monitoring::{Monitoring, MonitoringError};
use crate::operators::OrganisationId;
use crate::operators::access::Place;
use muster_protocol::id::SiteId;
use rusqlite::{Connection, OptionalExtension, params};

/// What an organisation says; none for one that is not known.
pub(crate) fn of_organisation(db: &Connection, id: OrganisationId) -> Result<Option<Monitoring>, StoreError> {
    let sql = "SELECT monitoring FROM organisations WHERE id = ?1";
    read(db.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?)
}

/// What a site says by itself; none for one that is not known.
pub(crate) fn of_site(db: &Connection, id: SiteId) -> Result<Option<Monitoring>, StoreError> {
    let sql = "SELECT monitoring FROM sites WHERE id = ?1";
    read(db.prepare_cached(sql)?.query_row([id.0], |row| row.get(0)).optional()?)
}

/// What it comes to in a site.
pub(crate) fn effective(db: &Connection, id: SiteId) -> Result<Option<Monitoring>, StoreError> {
    let Some(site) = of_site(db, id)? else { return Ok(None) };
    let above = match organisations::of_site(db, id)? {
        Some(organisation) => of_organisation(db, organisation)?.unwrap_or_default(),
        None => Monitoring::default(),
    };
    Ok(Some(site.below(&above)))
}

/// What it comes to in every site.
pub(crate) fn all(db: &Connection) -> Result<Vec<(SiteId, Monitoring)>, StoreError> {
    let sql = "SELECT s.id, s.monitoring, o.monitoring FROM sites s JOIN organisations o ON o.id = s.organisation ORDER BY s.id";
    rows(db, sql, [], |row| {
        let site: Monitoring = from_json("monitoring", &row.get::<_, String>(1)?)?;
        let above: Monitoring = from_json("monitoring", &row.get::<_, String>(2)?)?;
        Ok((SiteId(row.get(0)?), site.below(&above)))
    })
}

/// Replaces what an organisation says.
pub(crate) fn set_organisation(
    db: &Connection,
    now: u64,
    by: &By,
    id: OrganisationId,
    monitoring: &Monitoring,
) -> Result<(), MonitoringError> {
    monitoring.check()?;
    if monitoring.gateway.is_some() {
        let why = "is for a site to say: say it there".to_owned();
        return Err(MonitoringError::invalid("gateway", why));
    }
    let before = of_organisation(db, id)?;
    db.execute("UPDATE organisations SET monitoring = ?2 WHERE id = ?1", params![id, json(monitoring)])?;
    let event = Event::new(Place::organisation(id), "organisation.monitoring", format!("organisation:{id}"));
    Ok(changed(db, now, by, event.with(serde_json::json!({ "before": before, "after": monitoring })))?)
}

/// Replaces what a site says.
pub(crate) fn set_site(
    db: &Connection,
    now: u64,
    by: &By,
    id: SiteId,
    monitoring: &Monitoring,
) -> Result<(), MonitoringError> {
    monitoring.check()?;
    if let Some(uid) = &monitoring.gateway
        && appliances::find(db, uid)?.is_none_or(|known| known.record.site != Some(id))
    {
        let why = "is no appliance of this site: check its UID, and where it is".to_owned();
        return Err(MonitoringError::invalid("gateway", why));
    }
    let before = of_site(db, id)?;
    db.execute("UPDATE sites SET monitoring = ?2 WHERE id = ?1", params![id.0, json(monitoring)])?;
    let place = Place { organisation: organisations::of_site(db, id)?, site: Some(id) };
    let event = Event::new(place, "site.monitoring", format!("site:{id}"));
    Ok(changed(db, now, by, event.with(serde_json::json!({ "before": before, "after": monitoring })))?)
}

/// Records a change that the status daemon has to hear of.
pub(super) fn changed(db: &Connection, now: u64, by: &By, event: Event) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE noc SET monitoring = monitoring + 1")?.execute([])?;
    audit::record(db, now, by, event)
}

/// Counts such changes.
pub(crate) fn count(db: &Connection) -> Result<u64, StoreError> {
    Ok(db.prepare_cached("SELECT monitoring FROM noc")?.query_row([], |row| row.get(0))?)
}

/// Notes that the NOC is there.
pub(crate) fn alive(db: &Connection, now: u64) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE noc SET alive = ?1")?.execute([now])?;
    Ok(())
}

/// Notes how long the NOC was not, if it was away for longer than `least_s`: from the last moment at which it was known to be there.
pub(crate) fn came_back(db: &Connection, now: u64, least_s: u64) -> Result<(), StoreError> {
    let known: Option<u64> = db.query_row("SELECT alive FROM noc", [], |row| row.get(0))?;
    if let Some(began) = known.filter(|began| began.saturating_add(least_s) < now) {
        db.execute("INSERT INTO absences (began, ended) VALUES (?1, ?2)", params![began, now])?;
    }
    alive(db, now)
}

fn read(text: Option<String>) -> Result<Option<Monitoring>, StoreError> {
    text.map(|text| from_json("monitoring", &text)).transpose()
}
