//! What is kept in a site for single appliances.

use super::rows;
use crate::api::{Fault, Page, Refused, Window};
use crate::error::StoreError;
use crate::policy::reservation::{Named, Reservation, ReservationFault, Reservations, Whose};
use muster_protocol::id::{Mac, SiteId, Uid};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Most reservations of a site: a plan loads them all.
pub(crate) const MAX_RESERVATIONS: u64 = 20_000;

const COLUMNS: &str = "id, uid, mac, serial, address, address6, host_name, note";

/// A reservation with its number.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) id: u32,
    pub(crate) reservation: Reservation,
}

impl From<ReservationFault> for Fault {
    fn from(fault: ReservationFault) -> Fault {
        Fault::Invalid { field: fault.field, why: format!("does not fit: {}", fault.message) }
    }
}

/// Everything that is reserved in a site.
pub(crate) fn load(db: &Connection, site: SiteId) -> Result<Reservations, StoreError> {
    let mut all = Reservations::default();
    for kept in list(db, site)? {
        all.add(kept.reservation);
    }
    Ok(all)
}

/// The same, by number.
pub(crate) fn list(db: &Connection, site: SiteId) -> Result<Vec<Kept>, StoreError> {
    rows(db, &format!("SELECT {COLUMNS} FROM reservations WHERE site = ?1 ORDER BY id"), [site.0], read)
}

/// A page of them.
pub(crate) fn page(db: &Connection, site: SiteId, window: Window) -> Result<Page<Kept>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM reservations WHERE site = ?1 AND id > ?2 ORDER BY id LIMIT ?3");
    let found = rows(db, &sql, params![site.0, window.after.unwrap_or(0), window.rows()], read)?;
    Ok(Page::of(found, window.limit, |kept| i64::from(kept.id)))
}

/// One.
pub(crate) fn find(db: &Connection, site: SiteId, id: u32) -> Result<Option<Kept>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM reservations WHERE site = ?1 AND id = ?2");
    Ok(rows(db, &sql, params![site.0, id], read)?.into_iter().next())
}

/// The number of what is reserved for somebody.
pub(crate) fn number_of(db: &Connection, site: SiteId, whose: &Whose) -> Result<Option<u32>, StoreError> {
    let (uid, mac, serial) = columns(whose);
    let sql = "SELECT id FROM reservations WHERE site = ?1 AND (uid = ?2 OR mac = ?3 OR serial = ?4)";
    Ok(db.prepare_cached(sql)?.query_row(params![site.0, uid, mac, serial], |row| row.get(0)).optional()?)
}

/// Reserves something that nobody else has or has reserved.
pub(crate) fn add(db: &Connection, site: SiteId, new: &Reservation) -> Result<u32, Refused> {
    insert(db, site, None, new)
}

/// Puts another one in the place of one that is there, under the same number.
pub(crate) fn replace(db: &Connection, site: SiteId, id: u32, new: &Reservation) -> Result<(), Refused> {
    remove(db, site, id)?;
    insert(db, site, Some(id), new).map(|_| ())
}

fn insert(db: &Connection, site: SiteId, id: Option<u32>, new: &Reservation) -> Result<u32, Refused> {
    let count: u64 = db
        .prepare_cached("SELECT count(*) FROM reservations WHERE site = ?1")?
        .query_row([site.0], |row| row.get(0))?;
    if count >= MAX_RESERVATIONS {
        let why = format!("is one too many: a site keeps at most {MAX_RESERVATIONS} reservations");
        return Err(Fault::invalid("site", why).into());
    }
    if number_of(db, site, &new.whose)?.is_some() {
        return Err(Fault::ReservedAlready { what: new.whose.to_string() }.into());
    }
    let what = |column: &str| format!("SELECT 1 FROM reservations WHERE site = ?1 AND {column} = ?2");
    let address6 = new.address6.map(u128::to_be_bytes);
    let taken = |found: rusqlite::Result<()>| Ok::<_, StoreError>(found.optional()?.is_some());
    if taken(db.query_row(&what("address"), params![site.0, new.address], |_| Ok(())))? {
        return Err(Fault::ReservedAlready { what: shown4(new) }.into());
    }
    if taken(db.query_row(&what("address6"), params![site.0, address6], |_| Ok(())))? {
        return Err(Fault::ReservedAlready { what: shown6(new) }.into());
    }
    if taken(db.query_row(&what("host_name"), params![site.0, new.host_name], |_| Ok(())))? {
        return Err(Fault::ReservedAlready { what: new.host_name.clone().unwrap_or_default() }.into());
    }
    if let Some((what, uid)) = held_by_another(db, site, new)? {
        return Err(Fault::Held { what, by: uid.short() }.into());
    }
    let (uid, mac, serial) = columns(&new.whose);
    let sql = "INSERT INTO reservations (site, uid, mac, serial, address, address6, host_name, note, id)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    db.prepare_cached(sql)?.execute(params![
        site.0,
        uid,
        mac,
        serial,
        new.address,
        address6,
        new.host_name,
        new.note,
        id
    ])?;
    Ok(db.last_insert_rowid() as u32)
}

/// Gives one up; false when it is not there.
pub(crate) fn remove(db: &Connection, site: SiteId, id: u32) -> Result<bool, StoreError> {
    Ok(db.execute("DELETE FROM reservations WHERE site = ?1 AND id = ?2", params![site.0, id])? > 0)
}

/// What of a reservation an appliance has that it is not for.
fn held_by_another(db: &Connection, site: SiteId, new: &Reservation) -> Result<Option<(String, Uid)>, StoreError> {
    let mut alone = Reservations::default();
    alone.add(new.clone());
    let holder = |table: &str, column: &str, value: &dyn rusqlite::ToSql| {
        let sql = format!(
            "SELECT a.uid, a.mac, a.serial FROM {table} h JOIN appliances a ON a.id = h.appliance
             WHERE h.site = ?1 AND h.{column} = ?2"
        );
        let read = |row: &Row<'_>| Ok((Uid(row.get(0)?), Mac(row.get(1)?), row.get::<_, String>(2)?));
        let found = db.prepare_cached(&sql)?.query_row(params![site.0, value], read).optional()?;
        let other = found.filter(|(uid, mac, serial)| alone.of(Named { uid, mac: *mac, serial }).is_none());
        Ok::<_, StoreError>(other.map(|(uid, _, _)| uid))
    };
    if let Some(uid) = holder("addresses", "address", &new.address)? {
        return Ok(Some((shown4(new), uid)));
    }
    if let Some(uid) = holder("addresses6", "address", &new.address6.map(u128::to_be_bytes))? {
        return Ok(Some((shown6(new), uid)));
    }
    let by_name = holder("host_names", "host_name", &new.host_name)?;
    Ok(by_name.map(|uid| (new.host_name.clone().unwrap_or_default(), uid)))
}

fn shown4(reservation: &Reservation) -> String {
    reservation.address.map(|address| Ipv4Addr::from(address).to_string()).unwrap_or_default()
}

fn shown6(reservation: &Reservation) -> String {
    reservation.address6.map(|address| Ipv6Addr::from_bits(address).to_string()).unwrap_or_default()
}

fn columns(whose: &Whose) -> (Option<[u8; 20]>, Option<[u8; 6]>, Option<&str>) {
    match whose {
        Whose::Uid(uid) => (Some(uid.0), None, None),
        Whose::Mac(mac) => (None, Some(mac.0), None),
        Whose::Serial(serial) => (None, None, Some(serial)),
    }
}

fn read(row: &Row<'_>) -> Result<Kept, StoreError> {
    let (uid, mac, serial): (Option<[u8; 20]>, Option<[u8; 6]>, Option<String>) =
        (row.get(1)?, row.get(2)?, row.get(3)?);
    let whose = match (uid, mac, serial) {
        (Some(uid), _, _) => Whose::Uid(Uid(uid)),
        (_, Some(mac), _) => Whose::Mac(Mac(mac)),
        (_, _, Some(serial)) => Whose::Serial(serial),
        _ => return Err(StoreError::Corrupt { what: "reservation" }),
    };
    let address6 = row.get::<_, Option<[u8; 16]>>(5)?.map(u128::from_be_bytes);
    let (address, host_name, note) = (row.get(4)?, row.get(6)?, row.get(7)?);
    Ok(Kept { id: row.get(0)?, reservation: Reservation { whose, address, address6, host_name, note } })
}
