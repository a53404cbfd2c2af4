//! The inventory: appliances that a vendor's manifest names.

use super::appliances::{self, NewAppliance};
use crate::inventory::{ImportError, ImportReport, LineError, ManifestRow, at};
use muster_protocol::id::Uid;
use rusqlite::{Connection, OptionalExtension, params};

/// Takes every row of a manifest, or none.
pub(crate) fn import(db: &Connection, rows: &[ManifestRow]) -> Result<ImportReport, ImportError> {
    let mut report = ImportReport::default();
    let mut errors = Vec::new();
    for row in rows {
        if let Some(error) = conflict(db, row)? {
            errors.push(error);
            continue;
        }
        let claim = row.claim.reveal();
        match appliances::find(db, &row.uid)? {
            None => {
                let (serial, model) = (row.serial.as_str(), row.model.as_str());
                let new = NewAppliance { uid: row.uid, mac: row.mac, serial, model, claim: &claim, site: None };
                appliances::insert(db, &new)?;
                report.added += 1;
            }
            Some(known) => {
                let same = known.claim == claim
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
                report.updated += 1;
            }
        }
    }
    if errors.is_empty() { Ok(report) } else { Err(ImportError::lines(errors)) }
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
