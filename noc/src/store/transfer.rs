//! What one NOC tells another of the appliances that it hands over: collected here, taken in there.

use super::appliances::{self, Appliance, NewAppliance, json};
use super::{fleet, handover, holdings, organisations, restored, sites, word};
use crate::error::StoreError;
use crate::handover::{HandoverError, TransferReport, TransferredAppliance};
use crate::operators::OrganisationId;
use crate::policy::allocation::Allocation;
use crate::policy::site::Policy;
use muster_protocol::api::{Provisioning, Site};
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::id::SiteId;
use muster_protocol::parameters::RawSettings;
use rusqlite::{Connection, OptionalExtension, params};

/// Seconds for which an appliance that was announced holds its address and host name before it comes.
const ANNOUNCED_S: u64 = 30 * 86_400;

/// Everything of the appliances that are still here.
pub(crate) fn collect(db: &Connection) -> Result<(Vec<Site>, Vec<TransferredAppliance>), StoreError> {
    let mut rows = Vec::new();
    for appliance in appliances::all(db)?.into_iter().filter(|appliance| !appliance.is_retired()) {
        let serial_floor = handover::highest_serial(db, appliance.id)?;
        let Appliance { claim, seq, applied, interval_s, record, .. } = appliance;
        let seq = restored::at_least(db, seq)?;
        let (uid, mac, serial, model) = (record.uid, record.mac, record.serial, record.model);
        let (site, settings) = (record.site, record.settings);
        rows.push(TransferredAppliance {
            uid,
            mac,
            serial,
            model,
            claim,
            site,
            seq,
            applied,
            settings,
            interval_s,
            serial_floor,
        });
    }
    Ok((sites::all(db)?, rows))
}

/// Takes in everything from the NOC of root `from`, or nothing. Appliances that report here already stay as they are.
pub(crate) fn accept(
    db: &Connection,
    now: u64,
    organisation: OrganisationId,
    from: &PublicKey,
    sites: &[Site],
    appliances: &[TransferredAppliance],
) -> Result<TransferReport, HandoverError> {
    let mut report = TransferReport::default();
    for site in sites {
        report.sites += usize::from(accept_site(db, organisation, site)?);
    }
    for one in appliances {
        let place = fleet::place_of(db, &one.uid)?;
        if place.is_some_and(|place| place.organisation != Some(organisation)) {
            return Err(HandoverError::OtherOrganisation { uid: one.uid });
        }
        accept_appliance(db, now, one, &mut report)?;
        appliances::set_organisation(db, &one.uid, organisation)?;
    }
    handover::welcome(db, now, from)?;
    Ok(report)
}

/// Sites keep their numbers: grants in force name them, and by them appliances know whom to tell their settings.
fn accept_site(db: &Connection, organisation: OrganisationId, site: &Site) -> Result<bool, HandoverError> {
    if let Some(known) = sites::find(db, site.id)? {
        if known.name == site.name && organisations::of_site(db, site.id)? == Some(organisation) {
            return Ok(false);
        }
        return Err(HandoverError::SiteTaken { site: site.id, ours: known.name, theirs: site.name.clone() });
    }
    // What it had from its organisation there comes along as its own.
    let own = Site { inherit: Vec::new(), ..site.clone() };
    let added = sites::add_to(db, organisation, &Policy::of(own)?)?;
    db.execute("UPDATE sites SET id = ?2 WHERE id = ?1", params![added.id.0, site.id.0])?;
    Ok(true)
}

fn accept_appliance(
    db: &Connection,
    now: u64,
    one: &TransferredAppliance,
    report: &mut TransferReport,
) -> Result<(), HandoverError> {
    let known = appliances::find(db, &one.uid)?;
    if known.as_ref().is_some_and(|known| known.applied.0 > 0) {
        report.unchanged += 1;
        return Ok(());
    }
    let known = match known {
        Some(known) => {
            report.updated += 1;
            known
        }
        None => {
            let (serial, model, claim) = (one.serial.as_str(), one.model.as_str(), one.claim.as_str());
            appliances::insert(db, &NewAppliance { uid: one.uid, mac: one.mac, serial, model, claim, site: one.site })?;
            report.added += 1;
            appliances::find(db, &one.uid)?.ok_or(StoreError::Corrupt { what: "appliance that was just added" })?
        }
    };
    let configured = one.site.zip(one.settings.as_ref()).filter(|_| one.applied.0 > 0);
    let provisioning = if configured.is_some() { Provisioning::Granted } else { Provisioning::Known };
    let claim = if one.claim.is_empty() { &known.claim } else { &one.claim };
    let revision = super::next_revision(db)?;
    // Numbers go on above those that were given under the former root.
    let sql = "UPDATE appliances SET mac = ?2, site = ?3, claim = ?4, seq = max(seq, ?5), interval_s = ?6,
               serial_floor = max(serial_floor, ?7), pinned = ?8, provisioning = ?9, successor = NULL, revision = ?10
               WHERE id = ?1";
    db.execute(
        sql,
        params![
            known.id,
            one.mac.0,
            one.site.map(|site| site.0),
            claim,
            one.seq.0,
            one.interval_s,
            one.serial_floor,
            configured.is_some(),
            word(&provisioning),
            revision
        ],
    )?;
    db.execute("DELETE FROM handed_over WHERE appliance = ?1", [known.id])?;
    if let Some((site, settings)) = configured {
        announce(db, now, known.id, one, site, settings)?;
    }
    Ok(())
}

/// The grant in force there: under its number the appliance enrols and beats here, and its first beat puts it in force.
fn announce(
    db: &Connection,
    now: u64,
    id: i64,
    one: &TransferredAppliance,
    site: SiteId,
    settings: &RawSettings,
) -> Result<(), HandoverError> {
    let until = now + ANNOUNCED_S;
    let sql = "INSERT OR REPLACE INTO grants (appliance, seq, site, console, settings, interval_s, issued, expires)
               VALUES (?1, ?2, ?3, NULL, ?4, ?5, ?6, ?7)";
    db.execute(sql, params![id, one.applied.0, site.0, json(settings), one.interval_s, now, until])?;
    let corrupt = |_| StoreError::Corrupt { what: "settings of an appliance that is handed over" };
    let valid = settings.validate().map_err(corrupt)?;
    let address = u32::from(valid.address());
    let sql = "SELECT 1 FROM addresses WHERE site = ?1 AND address = ?2 AND appliance <> ?3
               UNION SELECT 1 FROM addresses6 WHERE site = ?1 AND address = ?5 AND appliance <> ?3
               UNION SELECT 1 FROM host_names WHERE site = ?1 AND host_name = ?4 AND appliance <> ?3";
    let address6 = valid.ipv6().map(|ipv6| ipv6.address().to_bits());
    let by = params![site.0, address, id, valid.host_name(), address6.map(u128::to_be_bytes)];
    let held = db.query_row(sql, by, |_| Ok(())).optional()?;
    if held.is_some() {
        return Err(HandoverError::Held { uid: one.uid, address: settings.address.clone() });
    }
    let pair = Allocation { address, address6, host_name: valid.host_name().to_owned(), number: None };
    Ok(holdings::lease(db, site, id, &pair, until)?)
}
