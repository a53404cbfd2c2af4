//! The inventory: appliances that a vendor's manifest names.

use super::appliances::{self, Appliance, NewAppliance};
use super::{audit, fleet};
use crate::audit::{By, Event};
use crate::error::StoreError;
use crate::inventory::{ImportError, ImportReport, LineError, ManifestRow, at};
use crate::operators::OrganisationId;
use crate::operators::access::Place;
use muster_protocol::crypto::claim::ClaimSecret;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::id::Uid;
use rusqlite::{Connection, OptionalExtension, params};

/// Takes every row of a manifest, or none. What a line leaves out stays as it is known. `root`: ours, which vouchers must name.
pub(crate) fn import(
    db: &Connection,
    now: u64,
    by: &By,
    root: &PublicKey,
    organisation: OrganisationId,
    rows: &[ManifestRow],
) -> Result<ImportReport, ImportError> {
    let mut report = ImportReport::default();
    let mut errors = Vec::new();
    for row in rows {
        let known = appliances::find(db, &row.uid)?;
        let foreign = foreign(db, organisation, row)?;
        if let Some(error) = foreign.or(conflict(db, row)?).or_else(|| voucher_fault(now, root, row, known.as_ref())) {
            errors.push(error);
            continue;
        }
        let claim = row.claim.as_ref().map(ClaimSecret::reveal);
        let voucher = row.voucher.as_ref().map(|(signed, _)| signed);
        match known {
            None => {
                let (serial, model) = (row.serial.as_str(), row.model.as_str());
                let claim = claim.as_deref().unwrap_or_default();
                let new = NewAppliance { uid: row.uid, mac: row.mac, serial, model, claim, site: None };
                appliances::insert(db, &new)?;
                appliances::set_organisation(db, &row.uid, organisation)?;
                if let Some((voucher, known)) = voucher.zip(appliances::find(db, &row.uid)?) {
                    appliances::set_voucher(db, known.id, voucher)?;
                }
                report.added += 1;
            }
            Some(known) => {
                let claim = claim.unwrap_or_else(|| known.claim.clone());
                let other_voucher = voucher.filter(|voucher| known.voucher.as_ref() != Some(voucher));
                let same = claim == known.claim
                    && other_voucher.is_none()
                    && known.record.mac == row.mac
                    && known.record.serial == row.serial
                    && known.record.model == row.model;
                if same {
                    report.unchanged += 1;
                    continue;
                }
                let revision = super::next_revision(db)?;
                let sql =
                    "UPDATE appliances SET mac = ?2, serial = ?3, model = ?4, claim = ?5, revision = ?6 WHERE id = ?1";
                db.prepare_cached(sql)?
                    .execute(params![known.id, row.mac.0, row.serial, row.model, claim, revision])?;
                if let Some(voucher) = other_voucher {
                    appliances::set_voucher(db, known.id, voucher)?;
                }
                report.updated += 1;
            }
        }
    }
    if !errors.is_empty() {
        return Err(ImportError::lines(errors));
    }
    let event =
        Event::new(Place::organisation(organisation), "inventory.import", format!("organisation:{organisation}"));
    audit::record(db, now, by, event.with(serde_json::json!(report)))?;
    Ok(report)
}

/// Nobody imports what another organisation has.
fn foreign(db: &Connection, organisation: OrganisationId, row: &ManifestRow) -> Result<Option<LineError>, StoreError> {
    let place = fleet::place_of(db, &row.uid)?;
    let is_foreign = place.is_some_and(|place| place.organisation != Some(organisation));
    Ok(is_foreign.then(|| {
        let message = format!("appliance {} belongs to another organisation: import it there", row.uid.short());
        at(row.line, "other_organisation", message)
    }))
}

/// Takes an appliance out of its site: nothing is granted, held or expected any more. False when it is not known.
///
/// Its number of the last grant stays, since the appliance itself remembers it, and so does its history of beats. Its grants
/// go, so that neither a late result nor a beat puts them in force again. `health` is left to [`released`].
pub(crate) fn release(db: &Connection, now: u64, by: &By, uid: &Uid) -> Result<bool, StoreError> {
    let Some(known) = appliances::find(db, uid)? else { return Ok(false) };
    let place = fleet::place_of(db, uid)?.unwrap_or(Place::NOC);
    audit::record(db, now, by, Event::new(place, "appliance.release", format!("appliance:{uid}")))?;
    for sql in [
        "DELETE FROM grants WHERE appliance = ?1",
        "DELETE FROM addresses WHERE appliance = ?1",
        "DELETE FROM addresses6 WHERE appliance = ?1",
        "DELETE FROM host_names WHERE appliance = ?1",
        "DELETE FROM given_grants WHERE appliance = ?1",
        "DELETE FROM instructions WHERE appliance = ?1 AND done IS NULL",
    ] {
        db.execute(sql, [known.id])?;
    }
    let revision = super::next_revision(db)?;
    db.execute(
        "UPDATE appliances SET site = NULL, applied = 0, pinned = 0, settings = NULL, planned = NULL, successor = NULL,
         proof = NULL, provisioning = 'known', revision = ?2
         WHERE id = ?1",
        params![known.id, revision],
    )?;
    Ok(true)
}

/// The appliances that were released and that the status daemon, which may be another process, has not forgotten yet.
pub(crate) fn released(db: &Connection) -> Result<Vec<Uid>, StoreError> {
    let sql = "SELECT uid FROM appliances WHERE applied = 0 AND health <> 'not_expected'";
    let mut statement = db.prepare_cached(sql)?;
    let uids = statement.query_map([], |row| row.get(0).map(Uid))?;
    Ok(uids.collect::<Result<_, _>>()?)
}

/// Only a voucher for us is of use here, and only one that has not ended by our clock. One that is here already has done its
/// service: the same manifest may be imported again.
fn voucher_fault(now: u64, root: &PublicKey, row: &ManifestRow, known: Option<&Appliance>) -> Option<LineError> {
    let (signed, voucher) = row.voucher.as_ref()?;
    if known.is_some_and(|known| known.voucher.as_ref() == Some(signed)) {
        return None;
    }
    if voucher.root != *root {
        let message = "the voucher is for another NOC: give the vendor the key that `muster-noc voucher root` prints";
        return Some(at(row.line, "voucher_of_another_noc", message.to_owned()));
    }
    let has_ended = voucher.expires.is_some_and(|expires| expires.0 < now);
    has_ended.then(|| at(row.line, "voucher_ended", "the voucher has ended: ask the vendor for a new one".to_owned()))
}

fn conflict(db: &Connection, row: &ManifestRow) -> Result<Option<LineError>, ImportError> {
    let sql = "SELECT uid FROM appliances WHERE mac = ?1 AND uid <> ?2";
    let other: Option<[u8; 20]> =
        db.prepare_cached(sql)?.query_row(params![row.mac.0, row.uid.0], |r| r.get(0)).optional()?;
    Ok(other.map(|other| {
        let message = format!(
            "the MAC address {} belongs to appliance {} already: correct the UID or the MAC address",
            row.mac,
            Uid(other).short()
        );
        at(row.line, "mac_known", message)
    }))
}
