//! Who holds which addresses and host name in a site. The tables' keys make holding one twice impossible.
//!
//! An appliance holds at most one set of them for the settings in force (`until` is NULL) and one on lease, for a plan or a grant.

use super::reservations;
use crate::error::StoreError;
use crate::policy::allocation::{Allocation, Book};
use crate::watch::Whereabouts;
use muster_protocol::id::{SiteId, Uid};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// What holdings are kept in; each has `site`, `appliance` and `until`.
pub(super) const TABLES: [&str; 3] = ["addresses", "addresses6", "host_names"];

/// Gives back what abandoned plans and unused grants held.
pub(crate) fn expire(db: &Connection, now: u64) -> Result<(), StoreError> {
    for table in TABLES {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE until < ?1"))?.execute([now])?;
    }
    Ok(())
}

/// A site's holdings.
pub(crate) struct Holdings {
    /// In force, and leases of appliances that are not in the batch.
    pub(crate) book: Book,
    /// Leases by appliance.
    pub(crate) leases: BTreeMap<i64, Allocation>,
}

/// Loads all of a site's holdings, to find what is free.
pub(crate) fn load(db: &Connection, site: SiteId) -> Result<Holdings, StoreError> {
    let mut book = Book::with(reservations::load(db, site)?);
    let mut addresses = BTreeMap::new();
    let mut leases = BTreeMap::new();
    let mut statement = db.prepare_cached("SELECT address, appliance, until FROM addresses WHERE site = ?1")?;
    let mut rows = statement.query([site.0])?;
    while let Some(row) = rows.next()? {
        let (address, appliance, until): (u32, i64, Option<u64>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if until.is_some() {
            addresses.insert(appliance, address);
        }
        book.hold_address(address, appliance);
    }
    let mut addresses6 = BTreeMap::new();
    let mut statement = db.prepare_cached("SELECT address, appliance, until FROM addresses6 WHERE site = ?1")?;
    let mut rows = statement.query([site.0])?;
    while let Some(row) = rows.next()? {
        let (address, appliance, until): ([u8; 16], i64, Option<u64>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let address = u128::from_be_bytes(address);
        if until.is_some() {
            addresses6.insert(appliance, address);
        }
        book.hold_address6(Some(address), appliance);
    }
    let mut statement =
        db.prepare_cached("SELECT host_name, number, appliance, until FROM host_names WHERE site = ?1")?;
    let mut rows = statement.query([site.0])?;
    while let Some(row) = rows.next()? {
        let (host_name, number, appliance): (String, Option<u32>, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let until: Option<u64> = row.get(3)?;
        book.hold_name(&host_name, number, appliance);
        if let (Some(_), Some(&address)) = (until, addresses.get(&appliance)) {
            let address6 = addresses6.get(&appliance).copied();
            leases.insert(appliance, Allocation { address, address6, host_name, number });
        }
    }
    Ok(Holdings { book, leases })
}

/// Who has an address of a site in force.
pub(crate) fn holder_in_force(db: &Connection, site: SiteId, address: u32) -> Result<Option<Uid>, StoreError> {
    let sql = "SELECT uid FROM addresses JOIN appliances ON appliances.id = appliance
               WHERE addresses.site = ?1 AND address = ?2 AND until IS NULL";
    Ok(db.prepare_cached(sql)?.query_row(params![site.0, address], |row| row.get(0).map(Uid)).optional()?)
}

/// Where everybody is whom beats are expected of.
pub(crate) fn whereabouts(db: &Connection) -> Result<Vec<(Uid, SiteId, Whereabouts)>, StoreError> {
    let sql = "SELECT uid, appliances.site, address, json_extract(settings, '$.gateway') FROM addresses
               JOIN appliances ON appliances.id = appliance AND appliances.site = addresses.site
               WHERE until IS NULL AND applied > 0 AND settings IS NOT NULL";
    let mut found: Vec<(Uid, SiteId, Whereabouts)> = super::rows(db, sql, [], |row| {
        let gateway: Option<String> = row.get(3)?;
        let gateway = gateway.and_then(|text| text.parse::<Ipv4Addr>().ok()).map(u32::from);
        let at = Whereabouts { address: row.get(2)?, gateway, behind: None };
        Ok::<_, StoreError>((Uid(row.get(0)?), SiteId(row.get(1)?), at))
    })?;
    let wanted: BTreeSet<(SiteId, u32)> = found.iter().filter_map(|(_, site, at)| Some((*site, at.gateway?))).collect();
    let at_address = found.iter().map(|(uid, site, at)| ((*site, at.address), *uid));
    let holders: BTreeMap<(SiteId, u32), Uid> = at_address.filter(|(key, _)| wanted.contains(key)).collect();
    for (_, site, at) in &mut found {
        at.behind = at.gateway.and_then(|gateway| holders.get(&(*site, gateway)).copied());
    }
    Ok(found)
}

/// What an appliance of a batch shall have.
pub(crate) struct Wish<'a> {
    pub(crate) appliance: i64,
    pub(crate) address: u32,
    pub(crate) address6: Option<u128>,
    pub(crate) host_name: &'a str,
}

/// Loads what a batch touches: the leases of its appliances, and who else holds what they shall have. What the site holds
/// besides costs nothing, so that the thousandth batch of a job takes as long as the first.
pub(crate) fn load_for(db: &Connection, site: SiteId, wishes: &[Wish<'_>]) -> Result<Holdings, StoreError> {
    let batch: BTreeSet<i64> = wishes.iter().map(|wish| wish.appliance).collect();
    let mut leased = db.prepare_cached(
        "SELECT a.address, h.host_name, h.number,
         (SELECT address FROM addresses6 x WHERE x.appliance = a.appliance AND x.site = ?2 AND x.until IS NOT NULL)
         FROM addresses a JOIN host_names h ON h.appliance = a.appliance
         WHERE a.appliance = ?1 AND a.site = ?2 AND h.site = ?2 AND a.until IS NOT NULL AND h.until IS NOT NULL",
    )?;
    let mut address_of =
        db.prepare_cached("SELECT appliance, until FROM addresses WHERE site = ?1 AND address = ?2")?;
    let mut address6_of =
        db.prepare_cached("SELECT appliance, until FROM addresses6 WHERE site = ?1 AND address = ?2")?;
    let mut name_of =
        db.prepare_cached("SELECT appliance, until, number FROM host_names WHERE site = ?1 AND host_name = ?2")?;
    let mut book = Book::with(reservations::load(db, site)?);
    let mut leases = BTreeMap::new();
    // The batch's own leases stay out of the book.
    let counts = |holder: i64, until: Option<u64>| until.is_none() || !batch.contains(&holder);
    for wish in wishes {
        let lease = leased.query_row(params![wish.appliance, site.0], |row| {
            let address6 = row.get::<_, Option<[u8; 16]>>(3)?.map(u128::from_be_bytes);
            Ok(Allocation { address: row.get(0)?, address6, host_name: row.get(1)?, number: row.get(2)? })
        });
        leases.extend(lease.optional()?.map(|lease| (wish.appliance, lease)));
        let holder = address_of.query_row(params![site.0, wish.address], |row| Ok((row.get(0)?, row.get(1)?)));
        if let Some((holder, until)) = holder.optional()?
            && counts(holder, until)
        {
            book.hold_address(wish.address, holder);
        }
        if let Some(address) = wish.address6 {
            let holder =
                address6_of.query_row(params![site.0, address.to_be_bytes()], |row| Ok((row.get(0)?, row.get(1)?)));
            if let Some((holder, until)) = holder.optional()?
                && counts(holder, until)
            {
                book.hold_address6(Some(address), holder);
            }
        }
        let holder =
            name_of.query_row(params![site.0, wish.host_name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        if let Some((holder, until, number)) = holder.optional()?
            && counts(holder, until)
        {
            book.hold_name(wish.host_name, number, holder);
        }
    }
    Ok(Holdings { book, leases })
}

/// Whether an appliance holds anything anywhere.
pub(crate) fn holds_any(db: &Connection, appliance: i64) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM addresses WHERE appliance = ?1 LIMIT 1";
    Ok(db.prepare_cached(sql)?.query_row([appliance], |_| Ok(())).optional()?.is_some())
}

/// Drops an appliance's leases, so that a batch can exchange what its rows held.
pub(crate) fn drop_leases(db: &Connection, appliance: i64) -> Result<(), StoreError> {
    for table in TABLES {
        let sql = format!("DELETE FROM {table} WHERE appliance = ?1 AND until IS NOT NULL");
        db.prepare_cached(&sql)?.execute([appliance])?;
    }
    Ok(())
}

/// Holds a pair until `until`, or longer where the appliance holds it longer already.
pub(crate) fn lease(
    db: &Connection,
    site: SiteId,
    appliance: i64,
    pair: &Allocation,
    until: u64,
) -> Result<(), StoreError> {
    // Extends only what is the appliance's own; what is another's breaks the key and undoes the whole batch.
    let sql = "INSERT INTO addresses (site, address, appliance, until) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (site, address) DO UPDATE SET until = max(until, excluded.until)
               WHERE appliance = excluded.appliance";
    let kept = db.prepare_cached(sql)?.execute(params![site.0, pair.address, appliance, until])?;
    let kept6 = match pair.address6 {
        Some(address) => {
            let sql = "INSERT INTO addresses6 (site, address, appliance, until) VALUES (?1, ?2, ?3, ?4)
                       ON CONFLICT (site, address) DO UPDATE SET until = max(until, excluded.until)
                       WHERE appliance = excluded.appliance";
            db.prepare_cached(sql)?.execute(params![site.0, address.to_be_bytes(), appliance, until])?
        }
        None => 1,
    };
    let sql = "INSERT INTO host_names (site, host_name, number, appliance, until) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (site, host_name) DO UPDATE SET until = max(until, excluded.until)
               WHERE appliance = excluded.appliance";
    let named = db.prepare_cached(sql)?.execute(params![site.0, pair.host_name, pair.number, appliance, until])?;
    if kept == 1 && kept6 == 1 && named == 1 {
        Ok(())
    } else {
        Err(StoreError::Corrupt { what: "holding of an address or host name" })
    }
}

/// Makes a pair the one in force. `others` tells whether the appliance's leases end with it.
pub(crate) fn put_in_force(db: &Connection, site: SiteId, wish: &Wish<'_>, end_leases: bool) -> Result<(), StoreError> {
    let Wish { appliance, address, address6, host_name } = *wish;
    let address6 = address6.map(u128::to_be_bytes);
    let of_others = if end_leases { "1" } else { "until IS NULL" };
    db.prepare_cached(&format!(
        "DELETE FROM addresses WHERE appliance = ?1 AND NOT (site = ?2 AND address = ?3) AND {of_others}"
    ))?
    .execute(params![appliance, site.0, address])?;
    db.prepare_cached(&format!(
        "DELETE FROM host_names WHERE appliance = ?1 AND NOT (site = ?2 AND host_name = ?3) AND {of_others}"
    ))?
    .execute(params![appliance, site.0, host_name])?;
    // Without an IPv6 address none of those that were in force stays (`IS`: to it NULL is a value).
    db.prepare_cached(&format!(
        "DELETE FROM addresses6 WHERE appliance = ?1 AND NOT (site = ?2 AND address IS ?3) AND {of_others}"
    ))?
    .execute(params![appliance, site.0, address6])?;
    // A result can come after the lease ended and the pair went to another appliance. The first holder keeps it; the
    // appliance reports a conflict itself when it probes.
    let sql = "INSERT INTO addresses (site, address, appliance, until) VALUES (?1, ?2, ?3, NULL)
               ON CONFLICT (site, address) DO UPDATE SET until = NULL WHERE appliance = excluded.appliance";
    let kept = db.prepare_cached(sql)?.execute(params![site.0, address, appliance])?;
    let kept6 = match address6 {
        Some(address) => {
            let sql = "INSERT INTO addresses6 (site, address, appliance, until) VALUES (?1, ?2, ?3, NULL)
                       ON CONFLICT (site, address) DO UPDATE SET until = NULL WHERE appliance = excluded.appliance";
            db.prepare_cached(sql)?.execute(params![site.0, address, appliance])?
        }
        None => 1,
    };
    let sql = "INSERT INTO host_names (site, host_name, number, appliance, until) VALUES (?1, ?2, NULL, ?3, NULL)
               ON CONFLICT (site, host_name) DO UPDATE SET until = NULL WHERE appliance = excluded.appliance";
    let named = db.prepare_cached(sql)?.execute(params![site.0, host_name, appliance])?;
    if kept == 0 || kept6 == 0 || named == 0 {
        tracing::warn!(
            site = site.0,
            "an appliance reports settings whose lease had ended and which another one holds"
        );
    }
    Ok(())
}

/// Leaves an appliance nothing in force; its leases end at `until`.
pub(crate) fn put_out_of_force(db: &Connection, appliance: i64, until: u64) -> Result<(), StoreError> {
    for table in TABLES {
        let sql = format!("UPDATE {table} SET until = ?2 WHERE appliance = ?1 AND until IS NULL");
        db.prepare_cached(&sql)?.execute(params![appliance, until])?;
    }
    Ok(())
}

/// Ends an appliance's leases at `until`.
pub(crate) fn shorten_leases(db: &Connection, appliance: i64, until: u64) -> Result<(), StoreError> {
    for table in TABLES {
        let sql = format!("UPDATE {table} SET until = ?2 WHERE appliance = ?1 AND until IS NOT NULL");
        db.prepare_cached(&sql)?.execute(params![appliance, until])?;
    }
    Ok(())
}
