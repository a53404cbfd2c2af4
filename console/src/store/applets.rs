//! Applets as they are kept: the NOC's signed word, and bundles sealed to this console.

use super::{Store, StoreError};
use muster_applet::release::is_below;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::crypto::seal::Sealed;
use muster_protocol::id::SiteId;
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeMap;

/// What the NOC said last of a site's applets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredList {
    /// The site.
    pub site: SiteId,
    /// Its number: the highest that was ever taken.
    pub number: u64,
    /// As it was signed.
    pub signed: Vec<u8>,
}

/// A new list, with what it brings.
#[derive(Clone, Debug)]
pub struct NewList {
    /// The list.
    pub list: StoredList,
    /// Bundles of it that were not here, by hash.
    pub bundles: Vec<([u8; 32], Sealed)>,
    /// Hashes of all of its bundles: others of the site are forgotten.
    pub hashes: Vec<[u8; 32]>,
    /// The lowest version of each applet that may be used.
    pub floors: BTreeMap<String, String>,
}

impl Store {
    /// What a NOC said last, by site.
    pub fn applet_lists(&self, noc: PublicKey) -> Result<Vec<StoredList>, StoreError> {
        self.reading(|db| {
            let mut statement =
                db.prepare("SELECT site, number, signed FROM applet_list WHERE noc = ?1 ORDER BY site")?;
            let rows = statement.query_map([noc.0], |row| {
                let number: i64 = row.get(1)?;
                Ok(StoredList { site: SiteId(row.get(0)?), number: number as u64, signed: row.get(2)? })
            })?;
            rows.collect()
        })
    }

    /// A bundle of a site, as it came.
    pub fn applet_bundle(&self, noc: PublicKey, site: SiteId, hash: [u8; 32]) -> Result<Option<Sealed>, StoreError> {
        self.reading(|db| {
            let sql = "SELECT enc, ciphertext FROM applet_bundle WHERE noc = ?1 AND site = ?2 AND hash = ?3";
            let read = |row: &rusqlite::Row<'_>| Ok(Sealed { enc: row.get(0)?, ciphertext: row.get(1)? });
            db.query_row(sql, params![noc.0, site.0, hash], read).optional()
        })
    }

    /// The highest floors that were ever named, by applet.
    pub fn applet_floors(&self, noc: PublicKey) -> Result<BTreeMap<String, String>, StoreError> {
        self.reading(|db| {
            let mut statement = db.prepare("SELECT name, version FROM applet_floor WHERE noc = ?1")?;
            let rows = statement.query_map([noc.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        })
    }

    /// Keeps a list and what it brings, all at once.
    pub fn keep_applets(&self, noc: PublicKey, new: &NewList) -> Result<(), StoreError> {
        let floors = self.applet_floors(noc)?;
        let site = new.list.site.0;
        self.transaction(|tx| {
            let sql =
                "INSERT OR REPLACE INTO applet_bundle (noc, site, hash, enc, ciphertext) VALUES (?1, ?2, ?3, ?4, ?5)";
            for (hash, sealed) in &new.bundles {
                tx.execute(sql, params![noc.0, site, hash, sealed.enc, sealed.ciphertext])?;
            }
            let kept: Vec<[u8; 32]> = {
                let mut statement = tx.prepare("SELECT hash FROM applet_bundle WHERE noc = ?1 AND site = ?2")?;
                let rows = statement.query_map(params![noc.0, site], |row| row.get(0))?;
                rows.collect::<Result<_, _>>()?
            };
            for hash in kept.iter().filter(|hash| !new.hashes.contains(hash)) {
                let sql = "DELETE FROM applet_bundle WHERE noc = ?1 AND site = ?2 AND hash = ?3";
                tx.execute(sql, params![noc.0, site, hash])?;
            }
            let raised = |name: &String, floor: &String| floors.get(name).is_none_or(|known| is_below(known, floor));
            for (name, floor) in new.floors.iter().filter(|(name, floor)| raised(name, floor)) {
                let sql = "INSERT OR REPLACE INTO applet_floor (noc, name, version) VALUES (?1, ?2, ?3)";
                tx.execute(sql, params![noc.0, name, floor])?;
            }
            let sql = "INSERT OR REPLACE INTO applet_list (noc, site, number, signed) VALUES (?1, ?2, ?3, ?4)";
            tx.execute(sql, params![noc.0, site, new.list.number as i64, new.list.signed])?;
            Ok(())
        })
    }
}
