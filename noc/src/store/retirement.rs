//! Appliances that end: decommissioned, or replaced by another one that takes over their role.

use super::appliances::{Appliance, from_json, json};
use super::holdings;
use super::word;
use crate::error::StoreError;
use crate::policy::allocation::Allocation;
use muster_protocol::api::Provisioning;
use muster_protocol::id::Uid;
use muster_protocol::parameters::RawSettings;
use rusqlite::{Connection, OptionalExtension, params};

/// Seconds for which a replacement holds address and host name before it is configured.
const REPLACEMENT_S: u64 = 30 * 86_400;

/// Takes everything from an appliance. Its certificates are refused from now on, and nothing is granted to it, until it is
/// released. `health` is left to [`super::inventory::released`].
pub(crate) fn retire(db: &Connection, appliance: &Appliance, how: Provisioning) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM grants WHERE appliance = ?1",
        "DELETE FROM given_grants WHERE appliance = ?1",
        "DELETE FROM addresses WHERE appliance = ?1",
        "DELETE FROM addresses6 WHERE appliance = ?1",
        "DELETE FROM host_names WHERE appliance = ?1",
        "DELETE FROM instructions WHERE appliance = ?1 AND done IS NULL",
    ] {
        db.prepare_cached(sql)?.execute([appliance.id])?;
    }
    let revision = super::next_revision(db)?;
    let sql = "UPDATE appliances SET applied = 0, pinned = 0, settings = NULL, planned = NULL, proof = NULL, provisioning = ?2,
               revision = ?3 WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![appliance.id, word(&how), revision])?;
    tracing::info!(uid = %appliance.record.uid, ?how, "an appliance is retired: its certificates are refused");
    Ok(())
}

/// `new` takes over site, address, host name and settings of `old`, which is retired. The caller has checked that `old` has
/// them and that `new` has none.
pub(crate) fn replace(db: &Connection, now: u64, old: &Appliance, new: &Appliance) -> Result<(), StoreError> {
    let (Some(site), Some(settings)) = (old.record.site, &old.record.settings) else {
        return Err(StoreError::Corrupt { what: "appliance to be replaced" });
    };
    for table in holdings::TABLES {
        let hand_over = format!(
            "UPDATE {table} SET appliance = ?2, until = ?3 WHERE appliance = ?1 AND site = ?4 AND until IS NULL"
        );
        db.execute(&format!("DELETE FROM {table} WHERE appliance = ?1"), [new.id])?;
        db.execute(&hand_over, params![old.id, new.id, now + REPLACEMENT_S, site.0])?;
    }
    retire(db, old, Provisioning::Replaced)?;
    db.execute("UPDATE appliances SET successor = ?2 WHERE id = ?1", params![old.id, new.id])?;
    let revision = super::next_revision(db)?;
    let sql = "UPDATE appliances SET site = ?2, planned = ?3, revision = ?4 WHERE id = ?1";
    db.execute(sql, params![new.id, site.0, json(settings), revision])?;
    Ok(())
}

/// The settings that an appliance takes over, while it still holds their address and name.
pub(super) fn planned(db: &Connection, id: i64, held: &Allocation) -> Result<Option<RawSettings>, StoreError> {
    let settings = of(db, id)?.0;
    Ok(settings.filter(|settings| held.is_of(settings)))
}

/// What an appliance is to take over, and which one has taken over from it.
pub(crate) fn of(db: &Connection, id: i64) -> Result<(Option<RawSettings>, Option<Uid>), StoreError> {
    let sql = "SELECT planned, (SELECT uid FROM appliances s WHERE s.id = a.successor) FROM appliances a WHERE id = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<[u8; 20]>>(1)?));
    let (planned, successor) = db.prepare_cached(sql)?.query_row([id], read).optional()?.unwrap_or_default();
    let planned = planned.as_deref().map(|text| from_json("planned settings", text)).transpose()?;
    Ok((planned, successor.map(Uid)))
}
