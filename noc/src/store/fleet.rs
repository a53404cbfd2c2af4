//! What operators see of sites, appliances, consoles and alerts: pages of what is theirs.

use super::sorting::SortedWindow;
use super::{alerts, appliances, rows, sites, word};
use crate::api::{Page, Window};
use crate::error::StoreError;
use crate::operators::access::{OperatorId, OrganisationId, Place, visible};
use muster_protocol::api::{Alert, AlertKind, ApplianceRecord, Site};
use muster_protocol::id::{ConsoleId, SiteId, Uid};
use rusqlite::{Connection, OptionalExtension, params};

/// A site, and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct OwnedSite {
    pub(crate) organisation: OrganisationId,
    pub(crate) site: Site,
}

/// Which appliances are looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct ApplianceFilter {
    pub(crate) organisation: Option<OrganisationId>,
    pub(crate) site: Option<SiteId>,
    pub(crate) health: Option<String>,
    pub(crate) provisioning: Option<String>,
    pub(crate) model: Option<String>,
    /// A part of the serial number, host name, address or MAC address, in whatever case.
    pub(crate) text: Option<String>,
}

/// An appliance, and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct OwnedAppliance {
    pub(crate) row: i64,
    pub(crate) organisation: OrganisationId,
    pub(crate) record: ApplianceRecord,
}

/// A console as an operator sees it: with those of its sites that they see.
#[derive(Clone, Debug)]
pub(crate) struct OwnedConsole {
    pub(crate) id: ConsoleId,
    pub(crate) organisation: OrganisationId,
    pub(crate) name: String,
    pub(crate) enrolled: u64,
    pub(crate) revoked: Option<u64>,
    pub(crate) sites: Vec<SiteId>,
}

/// An alert, and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct OwnedAlert {
    pub(crate) organisation: OrganisationId,
    pub(crate) alert: Alert,
}

/// Sites, by number.
pub(crate) fn sites(
    db: &Connection,
    reader: OperatorId,
    organisation: Option<OrganisationId>,
    window: Window,
) -> Result<Page<OwnedSite>, StoreError> {
    let seen = visible("sites.organisation", "sites.id");
    let sql = format!(
        "SELECT id, organisation FROM sites WHERE {seen} AND (?2 IS NULL OR organisation = ?2) AND id > ?3
         ORDER BY id LIMIT ?4"
    );
    let asked = params![reader, organisation, window.after.unwrap_or(0), window.rows()];
    let found = rows(db, &sql, asked, |row| Ok::<_, StoreError>((SiteId(row.get(0)?), row.get(1)?)))?;
    let mut owned = Vec::with_capacity(found.len());
    for (id, organisation) in found {
        owned.extend(sites::find(db, id)?.map(|site| OwnedSite { organisation, site }));
    }
    Ok(Page::of(owned, window.limit, |owned| i64::from(owned.site.id.0)))
}

/// One site.
pub(crate) fn site(db: &Connection, id: SiteId) -> Result<Option<OwnedSite>, StoreError> {
    let organisation = super::organisations::of_site(db, id)?;
    Ok(organisation.zip(sites::find(db, id)?).map(|(organisation, site)| OwnedSite { organisation, site }))
}

/// Appliances, in the order in which they became known.
pub(crate) fn appliances(
    db: &Connection,
    reader: OperatorId,
    filter: &ApplianceFilter,
    window: Window,
) -> Result<Page<OwnedAppliance>, StoreError> {
    let sql = format!(
        "SELECT {}, organisation FROM appliances WHERE {} AND id > ?9 ORDER BY id LIMIT ?10",
        appliances::COLUMNS,
        filter.condition()
    );
    let (text, digits) = filter.texts();
    let asked = params![
        reader,
        filter.organisation,
        filter.site.map(|site| site.0),
        filter.health,
        filter.provisioning,
        filter.model,
        text,
        digits,
        window.after.unwrap_or(0),
        window.rows()
    ];
    let found = rows(db, &sql, asked, owned_appliance)?;
    Ok(Page::of(found, window.limit, |owned| owned.row))
}

/// Appliances in another order.
pub(crate) fn appliances_sorted(
    db: &Connection,
    reader: OperatorId,
    filter: &ApplianceFilter,
    window: &SortedWindow,
) -> Result<Page<OwnedAppliance>, StoreError> {
    let sql = sorted_sql(filter, window);
    let (text, digits) = filter.texts();
    let asked = params![
        reader,
        filter.organisation,
        filter.site.map(|site| site.0),
        filter.health,
        filter.provisioning,
        filter.model,
        text,
        digits,
        window.value(),
        window.row(),
        window.rows()
    ];
    let found = rows(db, &sql, asked, |row| {
        let owned = owned_appliance(row)?;
        let number = owned.row;
        Ok::<_, StoreError>((owned, row.get(18)?, number))
    })?;
    Ok(window.page(found))
}

pub(super) fn sorted_sql(filter: &ApplianceFilter, window: &SortedWindow) -> String {
    let (value, after, order) = window.sql("?9", "?10");
    let (columns, condition) = (appliances::COLUMNS, filter.condition());
    format!(
        "SELECT {columns}, organisation, {value} FROM appliances WHERE {condition} AND {after} ORDER BY {order} LIMIT ?11"
    )
}

impl ApplianceFilter {
    /// Parameters 1 to 8: who looks, organisation, site, health, provisioning, model, and what [`ApplianceFilter::texts`] says.
    fn condition(&self) -> String {
        let seen = visible("appliances.organisation", "appliances.site");
        format!(
            "{seen} AND (?2 IS NULL OR organisation = ?2) AND (?3 IS NULL OR site = ?3) AND (?4 IS NULL OR health = ?4)
             AND (?5 IS NULL OR provisioning = ?5) AND (?6 IS NULL OR model = ?6) AND (?7 IS NULL OR instr(lower(serial), ?7)
             OR instr(lower(coalesce(json_extract(settings, '$.host_name'), '')), ?7)
             OR instr(coalesce(json_extract(settings, '$.address'), ''), ?7)
             OR (?8 <> '' AND instr(lower(hex(mac)), ?8)))"
        )
    }

    /// What is looked for in lower case; and if it could be of a MAC address its digits, however they are grouped.
    fn texts(&self) -> (Option<String>, String) {
        let text = self.text.as_deref().map(str::to_lowercase);
        let digits: String =
            text.iter().flat_map(|text| text.chars()).filter(|c| !matches!(c, ':' | '-' | '.')).collect();
        let digits = if digits.chars().all(|c| c.is_ascii_hexdigit()) { digits } else { String::new() };
        (text, digits)
    }
}

/// One appliance.
pub(crate) fn appliance(db: &Connection, uid: &Uid) -> Result<Option<OwnedAppliance>, StoreError> {
    let sql = format!("SELECT {}, organisation FROM appliances WHERE uid = ?1", appliances::COLUMNS);
    Ok(rows(db, &sql, [uid.0], owned_appliance)?.into_iter().next())
}

impl OwnedAppliance {
    pub(crate) fn place(&self) -> Place {
        Place { organisation: Some(self.organisation), site: self.record.site }
    }
}

pub(super) fn owned_appliance(row: &rusqlite::Row<'_>) -> Result<OwnedAppliance, StoreError> {
    let appliance = appliances::read(row)?;
    Ok(OwnedAppliance { row: appliance.id, organisation: row.get(17)?, record: appliance.record })
}

/// The condition that operator `?1` has a role in a console's organisation or at one of its sites.
pub(super) fn console_seen() -> &'static str {
    "EXISTS (SELECT 1 FROM operator_roles r WHERE r.operator = ?1 AND (r.organisation IS NULL
     OR (r.organisation = consoles.organisation AND (r.site IS NULL
         OR r.site IN (SELECT site FROM console_sites WHERE console = consoles.id)))))"
}

/// Consoles, by number.
pub(crate) fn consoles(
    db: &Connection,
    reader: OperatorId,
    organisation: Option<OrganisationId>,
    window: Window,
) -> Result<Page<OwnedConsole>, StoreError> {
    let sql = format!(
        "SELECT id, organisation, name, enrolled, revoked FROM consoles WHERE {} AND (?2 IS NULL OR organisation = ?2)
         AND id > ?3 ORDER BY id LIMIT ?4",
        console_seen()
    );
    let asked = params![reader, organisation, window.after.unwrap_or(0), window.rows()];
    let found = rows(db, &sql, asked, |row| owned_console(db, reader, row))?;
    Ok(Page::of(found, window.limit, |console| i64::from(console.id.0)))
}

/// One console, if the reader sees it.
pub(crate) fn console(db: &Connection, reader: OperatorId, id: ConsoleId) -> Result<Option<OwnedConsole>, StoreError> {
    let sql =
        format!("SELECT id, organisation, name, enrolled, revoked FROM consoles WHERE {} AND id = ?2", console_seen());
    let found = rows(db, &sql, params![reader, id.0], |row| owned_console(db, reader, row))?;
    Ok(found.into_iter().next())
}

fn owned_console(db: &Connection, reader: OperatorId, row: &rusqlite::Row<'_>) -> Result<OwnedConsole, StoreError> {
    let (id, organisation) = (ConsoleId(row.get(0)?), row.get(1)?);
    let seen = visible("sites.organisation", "sites.id");
    let sql = format!(
        "SELECT site FROM console_sites JOIN sites ON sites.id = site WHERE console = ?2 AND {seen} ORDER BY site"
    );
    let sites = rows(db, &sql, params![reader, id.0], |row| Ok::<_, StoreError>(SiteId(row.get(0)?)))?;
    Ok(OwnedConsole { id, organisation, name: row.get(2)?, enrolled: row.get(3)?, revoked: row.get(4)?, sites })
}

/// Which alerts are looked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AlertFilter {
    pub(crate) organisation: Option<OrganisationId>,
    pub(crate) site: Option<SiteId>,
    pub(crate) open: Option<bool>,
    pub(crate) kind: Option<AlertKind>,
    /// Of this appliance.
    pub(crate) uid: Option<Uid>,
    /// Whether nobody has acknowledged or silenced them.
    pub(crate) is_waiting: Option<bool>,
}

/// Alerts, newest first.
pub(crate) fn alerts(
    db: &Connection,
    reader: OperatorId,
    filter: AlertFilter,
    window: Window,
) -> Result<Page<OwnedAlert>, StoreError> {
    let seen = visible("s.organisation", "s.id");
    let sql = format!(
        "SELECT {}, s.organisation FROM alerts a JOIN sites s ON s.id = a.site WHERE {seen} AND a.id < ?2
         AND (?3 IS NULL OR s.organisation = ?3) AND (?4 IS NULL OR a.site = ?4) AND (?5 IS NULL OR (a.closed IS NULL) = ?5)
         AND (?7 IS NULL OR a.kind = ?7) AND (?8 IS NULL OR EXISTS (SELECT 1 FROM alert_appliances m
             JOIN appliances p ON p.id = m.appliance WHERE m.alert = a.id AND p.uid = ?8))
         AND (?9 IS NULL OR (a.closed IS NULL AND a.acknowledged IS NULL AND a.silenced_until IS NULL) = ?9)
         ORDER BY a.id DESC LIMIT ?6",
        alerts::COLUMNS
    );
    let after = window.after.unwrap_or(i64::MAX);
    let site = filter.site.map(|site| site.0);
    let (kind, uid) = (filter.kind.map(|kind| word(&kind)), filter.uid.map(|uid| uid.0));
    let asked =
        params![reader, after, filter.organisation, site, filter.open, window.rows(), kind, uid, filter.is_waiting];
    let found = rows(db, &sql, asked, |row| owned_alert(db, row))?;
    Ok(Page::of(found, window.limit, |owned| i64::try_from(owned.alert.id).unwrap_or(i64::MAX)))
}

/// One alert.
pub(crate) fn alert(db: &Connection, id: u32) -> Result<Option<OwnedAlert>, StoreError> {
    let sql = format!(
        "SELECT {}, s.organisation FROM alerts a JOIN sites s ON s.id = a.site WHERE a.id = ?1",
        alerts::COLUMNS
    );
    Ok(rows(db, &sql, [id], |row| owned_alert(db, row))?.into_iter().next())
}

impl OwnedAlert {
    pub(crate) fn place(&self) -> Place {
        Place::site(self.organisation, self.alert.site)
    }
}

fn owned_alert(db: &Connection, row: &rusqlite::Row<'_>) -> Result<OwnedAlert, StoreError> {
    Ok(OwnedAlert { alert: alerts::read(db, row)?, organisation: row.get(13)? })
}

/// The place of an appliance, whoever looks; none when it is not known.
pub(crate) fn place_of(db: &Connection, uid: &Uid) -> Result<Option<Place>, StoreError> {
    let sql = "SELECT organisation, site FROM appliances WHERE uid = ?1";
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Place { organisation: row.get(0)?, site: row.get::<_, Option<u32>>(1)?.map(SiteId) })
    };
    Ok(db.prepare_cached(sql)?.query_row([uid.0], read).optional()?)
}
