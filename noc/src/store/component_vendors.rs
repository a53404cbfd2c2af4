//! Vendors that sign for their components themselves, and what they have signed.

use super::appliances::{from_json, json};
use super::rows;
use crate::components::spec::Component;
use crate::components::vendor::Released;
use crate::error::StoreError;
use muster_protocol::component::ComponentVendor;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Metadata of a vendor that are kept, for those who have begun to read earlier ones.
const KEPT: i64 = 8;
const COLUMNS: &str = "v.id, v.handle, v.keys, v.threshold, v.components, v.added, v.removed, v.version,
    (SELECT max(m.version) FROM component_vendor_metadata m WHERE m.vendor = v.id)";

/// A vendor.
#[derive(Clone, Debug)]
pub(crate) struct Vendor {
    pub(crate) id: i64,
    pub(crate) vendor: ComponentVendor,
    pub(crate) added: u64,
    pub(crate) removed: Option<u64>,
    /// The number of its metadata that are in force.
    pub(crate) version: Option<u64>,
    /// The highest number that it has used, also before it was removed.
    pub(crate) highest: Option<u64>,
}

/// Metadata of a vendor.
pub(crate) struct Signed {
    pub(crate) version: u64,
    pub(crate) expires: u64,
    pub(crate) text: Vec<u8>,
}

/// All vendors, also removed ones, by handle.
pub(crate) fn all(db: &Connection) -> Result<Vec<Vendor>, StoreError> {
    rows(db, &format!("SELECT {COLUMNS} FROM component_vendors v ORDER BY v.handle"), [], read)
}

/// One by its handle, also a removed one.
pub(crate) fn find(db: &Connection, handle: &str) -> Result<Option<Vendor>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM component_vendors v WHERE v.handle = ?1");
    Ok(rows(db, &sql, [handle], read)?.into_iter().next())
}

/// Registers a vendor, also one that was removed.
pub(crate) fn insert(db: &Connection, now: u64, vendor: &ComponentVendor) -> Result<(), StoreError> {
    let ComponentVendor { vendor: handle, components, keys, threshold } = vendor;
    let sql = "INSERT INTO component_vendors (handle, keys, threshold, components, added) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (handle) DO UPDATE SET keys = excluded.keys, threshold = excluded.threshold,
               components = excluded.components, added = excluded.added, removed = NULL, version = NULL";
    db.execute(sql, params![handle, json(keys), threshold, json(components), now])?;
    Ok(())
}

/// Replaces what is registered of one.
pub(crate) fn change(db: &Connection, id: i64, vendor: &ComponentVendor) -> Result<(), StoreError> {
    let sql = "UPDATE component_vendors SET keys = ?2, threshold = ?3, components = ?4 WHERE id = ?1";
    db.execute(sql, params![id, json(&vendor.keys), vendor.threshold, json(&vendor.components)])?;
    Ok(())
}

/// Removes one. What it has signed stays: appliances that have seen it want it listed.
pub(crate) fn remove(db: &Connection, now: u64, id: i64) -> Result<(), StoreError> {
    db.execute("UPDATE component_vendors SET removed = ?2, version = NULL WHERE id = ?1", params![id, now])?;
    Ok(())
}

/// Keeps what one has signed.
pub(crate) fn put(db: &Connection, id: i64, signed: &Signed) -> Result<(), StoreError> {
    let sql = "INSERT INTO component_vendor_metadata (vendor, version, expires, text) VALUES (?1, ?2, ?3, ?4)";
    db.execute(sql, params![id, signed.version, signed.expires, signed.text])?;
    db.execute("UPDATE component_vendors SET version = ?2 WHERE id = ?1", params![id, signed.version])?;
    let sql = "DELETE FROM component_vendor_metadata WHERE vendor = ?1 AND version NOT IN
               (SELECT version FROM component_vendor_metadata WHERE vendor = ?1 ORDER BY version DESC LIMIT ?2)";
    db.execute(sql, params![id, KEPT])?;
    Ok(())
}

/// The newest that one has signed.
pub(crate) fn newest(db: &Connection, id: i64) -> Result<Option<Signed>, StoreError> {
    let sql = "SELECT version, expires, text FROM component_vendor_metadata WHERE vendor = ?1
               ORDER BY version DESC LIMIT 1";
    let read = |row: &Row<'_>| Ok(Signed { version: row.get(0)?, expires: row.get(1)?, text: row.get(2)? });
    Ok(db.prepare_cached(sql)?.query_row([id], read).optional()?)
}

/// A file of metadata by its name, as [`ComponentVendor::role`] makes it: `{version}.vendor-{handle}.json`.
pub(crate) fn metadata(db: &Connection, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let parts = name.strip_suffix(".json").and_then(|rest| rest.split_once(".vendor-"));
    let Some((version, handle)) = parts.and_then(|(version, handle)| Some((version.parse::<i64>().ok()?, handle)))
    else {
        return Ok(None);
    };
    let sql = "SELECT m.text FROM component_vendor_metadata m JOIN component_vendors v ON v.id = m.vendor
               WHERE v.handle = ?2 AND m.version = ?1 AND v.removed IS NULL";
    Ok(db.prepare_cached(sql)?.query_row(params![version, handle], |row| row.get(0)).optional()?)
}

/// Whether anybody but this vendor signs for components of a name that are not retired.
pub(crate) fn in_use(db: &Connection, name: &str, id: Option<i64>) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM components WHERE name = ?1 AND retired IS NULL AND (?2 IS NULL OR vendor IS NOT ?2))";
    Ok(db.query_row(sql, params![name, id], |row| row.get(0))?)
}

/// Numbers of a vendor's components that are not retired, with their targets.
pub(crate) fn live(db: &Connection, id: i64) -> Result<Vec<(u32, String)>, StoreError> {
    let sql = "SELECT id, target FROM components WHERE vendor = ?1 AND retired IS NULL ORDER BY target";
    rows(db, sql, [id], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Says what a vendor has signed of a component that is there.
pub(crate) fn describe(db: &Connection, known: &Component, id: i64, released: &Released) -> Result<(), StoreError> {
    let sql = "UPDATE components SET vendor = ?2, target = ?3, facts = ?4, models = ?5 WHERE id = ?1";
    let models = json(&released.spec.models);
    db.execute(sql, params![known.id, id, released.spec.target(), released.facts, models])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Vendor, StoreError> {
    let vendor = ComponentVendor {
        vendor: row.get(1)?,
        keys: from_json("vendor", &row.get::<_, String>(2)?)?,
        threshold: row.get(3)?,
        components: from_json("vendor", &row.get::<_, String>(4)?)?,
    };
    Ok(Vendor {
        id: row.get(0)?,
        vendor,
        added: row.get(5)?,
        removed: row.get(6)?,
        version: row.get(7)?,
        highest: row.get(8)?,
    })
}
