//! Appliances: what the inventory, configuration and beats say about each.

use super::{from_word, word};
use crate::error::StoreError;
use crate::operators::OrganisationId;
use crate::operators::access::DEFAULT_ORGANISATION;
use muster_protocol::api::{ApplianceRecord, Health, Provisioning};
use muster_protocol::id::{ConsoleId, Mac, Seq, SiteId, Uid};
use rusqlite::{Connection, OptionalExtension, Row, params};

pub(super) const COLUMNS: &str = "id, uid, mac, serial, model, claim, site, seq, applied, pinned, settings, interval_s, \
                       provisioning, health, last_beat, beat, voucher";

/// A row, with what is for the NOC alone.
#[derive(Clone)]
pub(crate) struct Appliance {
    pub(crate) id: i64,
    /// The label code, as printed. A secret.
    pub(crate) claim: String,
    /// Number of the last grant signed.
    pub(crate) seq: Seq,
    /// Number of the grant in force, 0 for none.
    pub(crate) applied: Seq,
    pub(crate) pinned: bool,
    pub(crate) interval_s: u32,
    /// The vendor's voucher for our root, as signed.
    pub(crate) voucher: Option<Vec<u8>>,
    pub(crate) record: ApplianceRecord,
}

impl Appliance {
    /// It was decommissioned, replaced or handed over, and is refused everything until it is released.
    pub(crate) fn is_retired(&self) -> bool {
        {
            use Provisioning::{Decommissioned, HandedOver, Replaced};
            matches!(self.record.provisioning, Decommissioned | Replaced | HandedOver)
        }
    }
}

/// One appliance.
pub(crate) fn find(db: &Connection, uid: &Uid) -> Result<Option<Appliance>, StoreError> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM appliances WHERE uid = ?1"))?;
    statement.query_row([uid.0], |row| Ok(read(row))).optional()?.transpose()
}

/// Those at a site, in the order in which they became known.
pub(crate) fn at(db: &Connection, site: SiteId) -> Result<Vec<Appliance>, StoreError> {
    super::rows(db, &format!("SELECT {COLUMNS} FROM appliances WHERE site = ?1 ORDER BY id"), [site.0], read)
}

/// Those of an organisation, in the order in which they became known.
pub(crate) fn of_organisation(db: &Connection, id: OrganisationId) -> Result<Vec<ApplianceRecord>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM appliances WHERE organisation = ?1 ORDER BY id");
    super::rows(db, &sql, [id], |row| Ok(read(row)?.record))
}

/// The appliances with a MAC in the inventory of a console's organisation, and their sites.
pub(crate) fn with_mac(
    db: &Connection,
    console: ConsoleId,
    mac: Mac,
) -> Result<Vec<(Uid, Option<SiteId>)>, StoreError> {
    let sql = "SELECT uid, site FROM appliances WHERE mac = ?1
               AND organisation = (SELECT organisation FROM consoles WHERE id = ?2)";
    let mut statement = db.prepare_cached(sql)?;
    let read = |row: &Row<'_>| Ok((Uid(row.get(0)?), row.get::<_, Option<u32>>(1)?.map(SiteId)));
    let rows = statement.query_map(params![mac.0, console.0], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Every appliance, in the order it became known.
pub(crate) fn all(db: &Connection) -> Result<Vec<Appliance>, StoreError> {
    let mut statement = db.prepare(&format!("SELECT {COLUMNS} FROM appliances ORDER BY id"))?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// The appliances of a console's sites, and those of its organisation that are at none, which changed after a revision; oldest
/// change first, at most `limit`. The `+` keeps the search on the index of revisions.
pub(crate) fn of_console(
    db: &Connection,
    console: ConsoleId,
    after: u64,
    limit: usize,
) -> Result<Vec<(u64, ApplianceRecord)>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, revision FROM appliances WHERE revision > ?2
         AND +organisation = (SELECT organisation FROM consoles WHERE id = ?1)
         AND (site IS NULL OR site IN (SELECT site FROM console_sites WHERE console = ?1)) ORDER BY revision LIMIT ?3"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params![console.0, after, limit as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row.get(17)?, read(row)?.record));
    }
    Ok(found)
}

/// A new appliance.
pub(crate) struct NewAppliance<'a> {
    pub(crate) uid: Uid,
    pub(crate) mac: Mac,
    pub(crate) serial: &'a str,
    pub(crate) model: &'a str,
    /// The label code as printed.
    pub(crate) claim: &'a str,
    pub(crate) site: Option<SiteId>,
}

/// Adds an appliance.
pub(crate) fn insert(db: &Connection, new: &NewAppliance<'_>) -> Result<(), StoreError> {
    let revision = super::next_revision(db)?;
    let sql =
        "INSERT INTO appliances (uid, mac, serial, model, claim, site, revision, organisation) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7,
         coalesce((SELECT organisation FROM sites WHERE id = ?6), ?8))";
    db.prepare_cached(sql)?.execute(params![
        new.uid.0,
        new.mac.0,
        new.serial,
        new.model,
        new.claim,
        new.site.map(|site| site.0),
        revision,
        DEFAULT_ORGANISATION
    ])?;
    Ok(())
}

/// Gives an appliance that is at no site to an organisation.
pub(crate) fn set_organisation(db: &Connection, uid: &Uid, organisation: OrganisationId) -> Result<(), StoreError> {
    let sql = "UPDATE appliances SET organisation = ?2 WHERE uid = ?1 AND site IS NULL";
    db.prepare_cached(sql)?.execute(params![uid.0, organisation])?;
    Ok(())
}

/// Takes an appliance to a site, with the MAC it was heard with.
pub(crate) fn place(db: &Connection, id: i64, site: SiteId, mac: Mac) -> Result<(), StoreError> {
    let revision = super::next_revision(db)?;
    let sql = "UPDATE appliances SET site = ?2, mac = ?3, revision = ?4 WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![id, site.0, mac.0, revision])?;
    Ok(())
}

/// Replaces the label code; the appliance is expected not to know our root.
pub(crate) fn set_claim(db: &Connection, id: i64, claim: &str) -> Result<(), StoreError> {
    let sql = "UPDATE appliances SET claim = ?2, pinned = 0 WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![id, claim])?;
    Ok(())
}

/// Keeps the vendor's voucher. What was refused for want of a good one may be tried again.
pub(crate) fn set_voucher(db: &Connection, id: i64, voucher: &[u8]) -> Result<(), StoreError> {
    let revision = super::next_revision(db)?;
    let sql = "UPDATE appliances SET voucher = ?2, revision = ?3, provisioning =
               CASE WHEN provisioning = 'failed' AND applied = 0 THEN 'known' ELSE provisioning END WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![id, voucher, revision])?;
    Ok(())
}

/// The appliance is not known to follow our root, so its next grant comes with the claim key.
pub(crate) fn forget_pin(db: &Connection, id: i64) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE appliances SET pinned = 0 WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// Sets how it stands with configuration.
pub(crate) fn set_provisioning(db: &Connection, id: i64, provisioning: Provisioning) -> Result<(), StoreError> {
    let revision = super::next_revision(db)?;
    let sql = "UPDATE appliances SET provisioning = ?2, revision = ?3 WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![id, word(&provisioning), revision])?;
    Ok(())
}

/// Sets how it stands with beats, and notes it for reports.
pub(crate) fn set_health(db: &Connection, now: u64, uid: &Uid, health: Health) -> Result<(), StoreError> {
    let revision = super::next_revision(db)?;
    let sql = "UPDATE appliances SET health = ?2, revision = ?3 WHERE uid = ?1";
    db.prepare_cached(sql)?.execute(params![uid.0, word(&health), revision])?;
    super::rollouts::health_changed(db, now, uid)?;
    super::standings::changed(db, now, uid, health)
}

pub(super) fn json<T: serde::Serialize>(value: &T) -> String {
    // Structures of text and finite numbers always serialise.
    serde_json::to_string(value).unwrap_or_default()
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt { what })
}

pub(super) fn read(row: &Row<'_>) -> Result<Appliance, StoreError> {
    let settings: Option<String> = row.get(10)?;
    let beat: Option<String> = row.get(15)?;
    let voucher: Option<Vec<u8>> = row.get(16)?;
    Ok(Appliance {
        id: row.get(0)?,
        claim: row.get(5)?,
        seq: Seq(row.get(7)?),
        applied: Seq(row.get(8)?),
        pinned: row.get(9)?,
        interval_s: row.get(11)?,
        record: ApplianceRecord {
            uid: Uid(row.get(1)?),
            mac: Mac(row.get(2)?),
            serial: row.get(3)?,
            model: row.get(4)?,
            site: row.get::<_, Option<u32>>(6)?.map(SiteId),
            settings: settings.as_deref().map(|text| from_json("settings", text)).transpose()?,
            provisioning: from_word("provisioning", &row.get::<_, String>(12)?)?,
            health: from_word("health", &row.get::<_, String>(13)?)?,
            last_beat: row.get(14)?,
            beat: beat.as_deref().map(|text| from_json("beat", text)).transpose()?,
            has_voucher: voucher.is_some(),
        },
        voucher,
    })
}
