//! The library of components, the metadata of their repository, and what organisations and sites require of it.

use super::appliances::{from_json, json};
use super::{component_vendors, organisations, rows};
use crate::api::{Page, Window};
use crate::components::required::{ComponentPolicy, Required};
use crate::components::spec::{Component, ComponentSpec};
use crate::error::StoreError;
use crate::operators::OrganisationId;
use crate::operators::access::OperatorId;
use data_encoding::HEXLOWER;
use muster_protocol::id::SiteId;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Sets of metadata that are kept of a view, for those who have begun to read an earlier one.
const KEPT: i64 = 8;
const COLUMNS: &str =
    "c.id, c.organisation, c.name, c.version, c.target, c.hash, c.size, c.facts, c.models, c.sites, c.added,
    c.retired, (SELECT group_concat(channel) FROM component_channels h WHERE h.component = c.id),
    (SELECT w.handle FROM component_vendors w WHERE w.id = c.vendor)";

/// The repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repository {
    pub(crate) serial: u64,
    pub(crate) root_hash: [u8; 32],
    pub(crate) issued: u64,
}

/// One file of metadata.
pub(crate) struct Metadata<'a> {
    pub(crate) view: u32,
    pub(crate) name: &'a str,
    pub(crate) version: u64,
    pub(crate) expires: u64,
    pub(crate) text: &'a [u8],
}

/// What metadata say of a component.
pub(crate) struct Live {
    pub(crate) target: String,
    pub(crate) hash: [u8; 32],
    pub(crate) size: u64,
    pub(crate) facts: String,
}

/// The repository, if there is one.
pub(crate) fn repository(db: &Connection) -> Result<Option<Repository>, StoreError> {
    let sql = "SELECT serial, root_hash, issued FROM component_repository";
    let read = |row: &Row<'_>| Ok(Repository { serial: row.get(0)?, root_hash: row.get(1)?, issued: row.get(2)? });
    Ok(db.prepare_cached(sql)?.query_row([], read).optional()?)
}

/// Begins a repository, instead of a former one; its serial number.
pub(crate) fn begin(db: &Connection, now: u64, root_hash: &[u8; 32]) -> Result<u64, StoreError> {
    db.execute("DELETE FROM component_roots", [])?;
    db.execute("DELETE FROM component_metadata", [])?;
    let sql = "INSERT INTO component_repository (id, serial, root_hash, issued, version) VALUES (1, ?1, ?2, ?1, 0)
               ON CONFLICT (id) DO UPDATE SET serial = max(serial + 1, excluded.serial), root_hash = excluded.root_hash,
               issued = excluded.issued RETURNING serial";
    Ok(db.query_row(sql, params![now, root_hash], |row| row.get(0))?)
}

/// Keeps a root.
pub(crate) fn add_root(db: &Connection, version: u64, expires: u64, text: &[u8]) -> Result<(), StoreError> {
    let sql = "INSERT INTO component_roots (version, expires, text) VALUES (?1, ?2, ?3)";
    db.execute(sql, params![version, expires, text])?;
    Ok(())
}

/// The root in force, as it is served.
pub(crate) fn newest_root(db: &Connection) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT text FROM component_roots ORDER BY version DESC LIMIT 1";
    Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?)
}

/// One root, as it is served.
pub(crate) fn root(db: &Connection, version: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT text FROM component_roots WHERE version = ?1";
    Ok(db.prepare_cached(sql)?.query_row([version], |row| row.get(0)).optional()?)
}

/// A number for metadata, above all that were given.
pub(crate) fn next_version(db: &Connection, now: u64) -> Result<u64, StoreError> {
    let sql = "UPDATE component_repository SET version = max(version + 1, ?1) RETURNING version";
    Ok(db.query_row(sql, [now], |row| row.get(0))?)
}

/// Whose metadata there are to be: 0 for everybody, and organisations that have, or had, components of their own.
pub(crate) fn views(db: &Connection) -> Result<Vec<u32>, StoreError> {
    let sql = "SELECT DISTINCT coalesce(organisation, 0) FROM components UNION SELECT 0 ORDER BY 1";
    rows(db, sql, [], |row| Ok(row.get(0)?))
}

/// Components that appliances of a view may be told of by the NOC's own signature.
pub(crate) fn live(db: &Connection, view: u32) -> Result<Vec<Live>, StoreError> {
    let sql = "SELECT target, hash, size, facts FROM components
               WHERE retired IS NULL AND vendor IS NULL AND (organisation IS NULL OR organisation = ?1) ORDER BY target";
    let read =
        |row: &Row<'_>| Ok(Live { target: row.get(0)?, hash: row.get(1)?, size: row.get(2)?, facts: row.get(3)? });
    rows(db, sql, [view], read)
}

/// Keeps a file of metadata.
pub(crate) fn put(db: &Connection, file: &Metadata<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO component_metadata (view, name, version, expires, text) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (view, name) DO UPDATE
               SET version = excluded.version, expires = excluded.expires, text = excluded.text";
    let Metadata { view, name, version, expires, text } = file;
    db.prepare_cached(sql)?.execute(params![view, name, version, expires, text])?;
    Ok(())
}

/// Forgets sets of metadata that nobody can be reading any more.
pub(crate) fn prune(db: &Connection, view: u32) -> Result<(), StoreError> {
    let sql = "DELETE FROM component_metadata WHERE view = ?1 AND name <> 'timestamp.json' AND version NOT IN
               (SELECT version FROM component_metadata WHERE view = ?1 AND name LIKE '%.snapshot.json'
                ORDER BY version DESC LIMIT ?2)";
    db.prepare_cached(sql)?.execute(params![view, KEPT])?;
    Ok(())
}

/// When the first of the timestamps ends, and the first of what is newest of the rest.
pub(crate) fn earliest_end(db: &Connection) -> Result<(Option<u64>, Option<u64>), StoreError> {
    let sql = "SELECT (SELECT min(expires) FROM component_metadata WHERE name = 'timestamp.json'),
               (SELECT min(newest) FROM (SELECT max(expires) AS newest FROM component_metadata
                WHERE name LIKE '%.snapshot.json' GROUP BY view))";
    Ok(db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// The newest snapshot of a view, and its version.
pub(crate) fn newest_snapshot(db: &Connection, view: u32) -> Result<Option<(Vec<u8>, u64)>, StoreError> {
    let sql = "SELECT text, version FROM component_metadata WHERE view = ?1 AND name LIKE '%.snapshot.json'
               ORDER BY version DESC LIMIT 1";
    Ok(db.query_row(sql, [view], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// A file of metadata, as appliances of an organisation read it.
pub(crate) fn metadata(db: &Connection, organisation: u32, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT text FROM component_metadata WHERE name = ?2 AND view =
               (SELECT coalesce(max(view), 0) FROM component_metadata WHERE view = ?1)";
    let found = db.prepare_cached(sql)?.query_row(params![organisation, name], |row| row.get(0)).optional()?;
    found.map_or_else(|| component_vendors::metadata(db, name), |text| Ok(Some(text)))
}

/// Keeps a component; its number.
pub(crate) fn insert(
    db: &Connection,
    now: u64,
    spec: &ComponentSpec,
    (hash, size): (&[u8; 32], u64),
    facts: &str,
) -> Result<i64, StoreError> {
    let sql = "INSERT INTO components (organisation, name, version, target, hash, size, facts, models, sites, added)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let (models, sites) = (json(&spec.models), json(&spec.sites));
    let (ComponentSpec { organisation, name, version, .. }, target) = (spec, spec.target());
    db.execute(sql, params![organisation, name, version, target, hash, size, facts, models, sites, now])?;
    Ok(db.last_insert_rowid())
}

/// Takes back that a component was retired, with what is said of it now.
pub(crate) fn revive(db: &Connection, id: u32, spec: &ComponentSpec, facts: &str) -> Result<(), StoreError> {
    let sql = "UPDATE components SET retired = NULL, vendor = NULL, target = ?2, facts = ?3, models = ?4, sites = ?5
               WHERE id = ?1";
    db.execute(sql, params![id, spec.target(), facts, json(&spec.models), json(&spec.sites)])?;
    Ok(())
}

/// Retires a component: no channel leads to it any more.
pub(crate) fn retire(db: &Connection, now: u64, id: u32) -> Result<(), StoreError> {
    db.execute("UPDATE components SET retired = ?2 WHERE id = ?1", params![id, now])?;
    db.execute("DELETE FROM component_channels WHERE component = ?1", [id])?;
    Ok(())
}

/// Leads a channel to a component; the one that it led to before.
pub(crate) fn promote(db: &Connection, component: &Component, channel: &str) -> Result<Option<String>, StoreError> {
    let owner = component.organisation.map_or(0, |organisation| organisation.0);
    let before = db
        .query_row(
            "SELECT c.version FROM component_channels h JOIN components c ON c.id = h.component
             WHERE h.owner = ?1 AND h.name = ?2 AND h.channel = ?3",
            params![owner, component.name, channel],
            |row| row.get(0),
        )
        .optional()?;
    let sql = "INSERT INTO component_channels (owner, name, channel, component) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (owner, name, channel) DO UPDATE SET component = excluded.component";
    db.execute(sql, params![owner, component.name, channel, component.id])?;
    Ok(before)
}

/// One component of exactly this owner.
pub(crate) fn find(
    db: &Connection,
    owner: Option<OrganisationId>,
    name: &str,
    version: &str,
) -> Result<Option<Component>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM components c WHERE c.name = ?1 AND coalesce(c.organisation, 0) = ?2 AND c.version = ?3"
    );
    let owner = owner.map_or(0, |owner| owner.0);
    Ok(rows(db, &sql, params![name, owner, version], read)?.into_iter().next())
}

/// One by its number.
pub(crate) fn by_id(db: &Connection, id: i64) -> Result<Option<Component>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM components c WHERE c.id = ?1");
    Ok(rows(db, &sql, [id], read)?.into_iter().next())
}

/// Owners of components of a name, 0 for all organisations.
pub(crate) fn owners(db: &Connection, name: &str) -> Result<Vec<u32>, StoreError> {
    rows(db, "SELECT DISTINCT coalesce(organisation, 0) FROM components WHERE name = ?1", [name], |row| Ok(row.get(0)?))
}

/// What a channel, or a version, comes to for an organisation. A retired one is none.
pub(crate) fn resolve(db: &Connection, organisation: u32, wanted: &Required) -> Result<Option<Component>, StoreError> {
    // A name has one owner: this organisation or everybody's.
    let condition = "c.retired IS NULL AND c.name = ?2 AND (c.organisation IS NULL OR c.organisation = ?1)";
    let (sql, word) = match (&wanted.channel, &wanted.version) {
        (Some(channel), _) => (
            format!(
                "SELECT {COLUMNS} FROM component_channels k JOIN components c ON c.id = k.component
                 WHERE {condition} AND k.channel = ?3 ORDER BY c.organisation DESC LIMIT 1"
            ),
            super::word(channel),
        ),
        (None, Some(version)) => (
            format!("SELECT {COLUMNS} FROM components c WHERE {condition} AND c.version = ?3 LIMIT 1"),
            version.clone(),
        ),
        (None, None) => return Ok(None),
    };
    Ok(rows(db, &sql, params![organisation, wanted.name, word], read)?.into_iter().next())
}

/// What has this target and hash, for an organisation.
pub(crate) fn served(
    db: &Connection,
    organisation: u32,
    target: &str,
    hash: &[u8; 32],
) -> Result<Option<Component>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM components c WHERE c.retired IS NULL AND c.target = ?2 AND c.hash = ?3
         AND (c.organisation IS NULL OR c.organisation = ?1)"
    );
    Ok(rows(db, &sql, params![organisation, target, hash], read)?.into_iter().next())
}

/// Hashes of files that are to be there.
pub(crate) fn files(db: &Connection) -> Result<Vec<String>, StoreError> {
    rows(db, "SELECT DISTINCT hash FROM components WHERE retired IS NULL", [], |row| {
        Ok(HEXLOWER.encode(&row.get::<_, [u8; 32]>(0)?))
    })
}

/// All components, by name.
pub(crate) fn all(db: &Connection) -> Result<Vec<Component>, StoreError> {
    rows(db, &format!("SELECT {COLUMNS} FROM components c ORDER BY c.name, c.organisation, c.id"), [], read)
}

/// Whether the operator `?1` may know of a component `c`.
const SEEN: &str = "(c.organisation IS NULL OR EXISTS (SELECT 1 FROM operator_roles r
    WHERE r.operator = ?1 AND (r.organisation IS NULL OR (r.organisation = c.organisation AND (r.site IS NULL
    OR c.sites = '[]' OR EXISTS (SELECT 1 FROM json_each(c.sites) j WHERE j.value = r.site))))))";

/// One that an operator may know of.
pub(crate) fn seen(db: &Connection, reader: OperatorId, id: u32) -> Result<Option<Component>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM components c WHERE {SEEN} AND c.id = ?2");
    Ok(rows(db, &sql, params![reader, id], read)?.into_iter().next())
}

/// Components that an operator may know of, in the order in which they were added: everybody's, and those that an appliance at a
/// place of theirs can get.
pub(crate) fn page(
    db: &Connection,
    reader: OperatorId,
    organisation: Option<OrganisationId>,
    window: Window,
) -> Result<Page<Component>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM components c WHERE {SEEN}
         AND (?2 IS NULL OR c.organisation IS NULL OR c.organisation = ?2) AND c.id > ?3 ORDER BY c.id LIMIT ?4"
    );
    let asked = params![reader, organisation, window.after.unwrap_or(0), window.rows()];
    Ok(Page::of(rows(db, &sql, asked, read)?, window.limit, |component| i64::from(component.id)))
}

/// What an organisation requires; none for one that is not known.
pub(crate) fn of_organisation(db: &Connection, id: OrganisationId) -> Result<Option<ComponentPolicy>, StoreError> {
    let sql = "SELECT components FROM organisations WHERE id = ?1";
    policy(db.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?)
}

/// What a site requires by itself; none for one that is not known.
pub(crate) fn of_site(db: &Connection, id: SiteId) -> Result<Option<ComponentPolicy>, StoreError> {
    let sql = "SELECT components FROM sites WHERE id = ?1";
    policy(db.prepare_cached(sql)?.query_row([id.0], |row| row.get(0)).optional()?)
}

/// Keeps what an organisation requires.
pub(crate) fn set_organisation(db: &Connection, id: OrganisationId, said: &ComponentPolicy) -> Result<(), StoreError> {
    db.execute("UPDATE organisations SET components = ?2 WHERE id = ?1", params![id, json(said)])?;
    Ok(())
}

/// Keeps what a site requires.
pub(crate) fn set_site(db: &Connection, id: SiteId, said: &ComponentPolicy) -> Result<(), StoreError> {
    db.execute("UPDATE sites SET components = ?2 WHERE id = ?1", params![id.0, json(said)])?;
    Ok(())
}

/// What is said to the appliances of a place: by the organisation, and by the site. None where nobody says anything.
pub(crate) fn said_at(
    db: &Connection,
    organisation: u32,
    site: Option<SiteId>,
) -> Result<Option<(ComponentPolicy, ComponentPolicy)>, StoreError> {
    let sql = "SELECT o.components, coalesce((SELECT s.components FROM sites s WHERE s.id = ?2), '{}')
               FROM organisations o WHERE o.id = ?1";
    let found: Option<(String, String)> = db
        .prepare_cached(sql)?
        .query_row(params![organisation, site.map(|site| site.0)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((above, own)) = found.filter(|(above, own)| above != "{}" || own != "{}") else { return Ok(None) };
    Ok(Some((from_json("required components", &above)?, from_json("required components", &own)?)))
}

/// Sites of an organisation, with what they require.
pub(crate) fn by_site(db: &Connection, id: OrganisationId) -> Result<Vec<ComponentPolicy>, StoreError> {
    rows(db, "SELECT components FROM sites WHERE organisation = ?1", [id], |row| {
        from_json("required components", &row.get::<_, String>(0)?)
    })
}

/// The organisation above a site.
pub(crate) fn above(db: &Connection, site: SiteId) -> Result<ComponentPolicy, StoreError> {
    match organisations::of_site(db, site)? {
        Some(id) => Ok(of_organisation(db, id)?.unwrap_or_default()),
        None => Ok(ComponentPolicy::default()),
    }
}

fn policy(text: Option<String>) -> Result<Option<ComponentPolicy>, StoreError> {
    text.map(|text| from_json("required components", &text)).transpose()
}

fn read(row: &Row<'_>) -> Result<Component, StoreError> {
    let corrupt = StoreError::Corrupt { what: "component" };
    let facts: serde_json::Value = from_json("component", &row.get::<_, String>(7)?)?;
    let kind = facts.get("kind").cloned().unwrap_or_default();
    let channels: Option<String> = row.get(12)?;
    let mut channels: Vec<String> =
        channels.map(|list| list.split(',').map(str::to_owned).collect()).unwrap_or_default();
    channels.sort();
    Ok(Component {
        id: row.get(0)?,
        organisation: row.get(1)?,
        name: row.get(2)?,
        version: row.get(3)?,
        kind: serde_json::from_value(kind).map_err(|_| corrupt)?,
        target: row.get(4)?,
        sha256: HEXLOWER.encode(&row.get::<_, [u8; 32]>(5)?),
        size: row.get(6)?,
        models: from_json("component", &row.get::<_, String>(8)?)?,
        sites: from_json("component", &row.get::<_, String>(9)?)?,
        channels,
        added: row.get(10)?,
        retired: row.get(11)?,
        vendor: row.get(13)?,
    })
}
