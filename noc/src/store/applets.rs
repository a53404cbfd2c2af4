//! Applets as they are kept: authors, bundles, channels, and which site or console has what.

use super::{organisations, restored, rows, word};
use crate::api::ApiError;
use crate::applets::{Candidate, Channel, Channelled, Opened, PlaceChannel, choose};
use crate::error::StoreError;
use crate::operators::access::OrganisationId;
use muster_applet::release::{MOST_APPLETS, Released};
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::id::{ConsoleId, SiteId};
use rusqlite::{Connection, OptionalExtension, params};
use semver::Version;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// Somebody whose applets an organisation takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AppletAuthor {
    /// Its number.
    pub id: u32,
    /// Who it is.
    pub name: String,
    /// The Ed25519 public key, base64.
    pub key: String,
    /// Since when, Unix seconds.
    pub added: u64,
}

/// An applet of an organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Applet {
    /// What it is called.
    pub name: String,
    /// Its name for people, as the latest version has it.
    pub title: String,
    /// Its versions, the latest first.
    pub versions: Vec<AppletVersion>,
    /// What its channels have.
    pub channels: Vec<AppletChannel>,
    /// The lowest version that may still be used.
    pub floor: Option<String>,
    /// Sites and consoles that have something else than the stable channel.
    pub places: Vec<AppletPlace>,
}

/// A version of an applet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AppletVersion {
    /// The version.
    pub version: String,
    /// Its author's public key, base64.
    pub author: String,
    /// Length of the bundle, bytes.
    pub bytes: u64,
    /// When it was published, Unix seconds.
    pub published: u64,
    /// Since when nobody gets it any more.
    pub withdrawn: Option<u64>,
}

/// What a channel has of an applet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AppletChannel {
    /// Which one.
    pub channel: Channel,
    /// The version.
    pub version: String,
    /// What those consoles have that are not among the `percent`.
    pub former: Option<String>,
    /// The part of the consoles that has it.
    pub percent: u8,
}

/// A site or a console that has something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AppletPlace {
    /// The site.
    #[schema(value_type = Option<u32>)]
    pub site: Option<SiteId>,
    /// Or the console.
    #[schema(value_type = Option<u32>)]
    pub console: Option<ConsoleId>,
    /// What it has.
    pub channel: PlaceChannel,
}

pub(crate) fn authors(db: &Connection, id: OrganisationId) -> Result<Vec<AppletAuthor>, StoreError> {
    let sql = "SELECT id, name, key, added FROM applet_authors WHERE organisation = ?1 AND removed IS NULL ORDER BY id";
    rows(db, sql, [id], |row| {
        let key = PublicKey(row.get(2)?).to_base64();
        Ok(AppletAuthor { id: row.get(0)?, name: row.get(1)?, key, added: row.get(3)? })
    })
}

pub(crate) fn add_author(
    db: &Connection,
    id: OrganisationId,
    now: u64,
    name: &str,
    key: &PublicKey,
) -> Result<AppletAuthor, StoreError> {
    let sql = "INSERT INTO applet_authors (organisation, name, key, added) VALUES (?1, ?2, ?3, ?4)";
    db.execute(sql, params![id, name, key.0, now])?;
    let number = u32::try_from(db.last_insert_rowid()).unwrap_or(u32::MAX);
    Ok(AppletAuthor { id: number, name: name.to_owned(), key: key.to_base64(), added: now })
}

pub(crate) fn remove_author(db: &Connection, id: OrganisationId, author: u32, now: u64) -> Result<bool, StoreError> {
    let sql = "UPDATE applet_authors SET removed = ?3 WHERE organisation = ?1 AND id = ?2 AND removed IS NULL";
    Ok(db.execute(sql, params![id, author, now])? > 0)
}

pub(crate) fn is_author(db: &Connection, id: OrganisationId, key: &PublicKey) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM applet_authors WHERE organisation = ?1 AND key = ?2 AND removed IS NULL)";
    Ok(db.query_row(sql, params![id, key.0], |row| row.get(0))?)
}

/// Every applet, by name.
pub(crate) fn all(db: &Connection, id: OrganisationId) -> Result<Vec<Applet>, StoreError> {
    let names = rows(db, "SELECT DISTINCT name FROM applets WHERE organisation = ?1 ORDER BY name", [id], |row| {
        Ok::<_, StoreError>(row.get::<_, String>(0)?)
    })?;
    names.iter().filter_map(|name| find(db, id, name).transpose()).collect()
}

pub(crate) fn find(db: &Connection, id: OrganisationId, name: &str) -> Result<Option<Applet>, StoreError> {
    let sql = "SELECT version, author, length(bundle), published, withdrawn, title FROM applets
        WHERE organisation = ?1 AND name = ?2";
    let mut versions = rows(db, sql, params![id, name], |row| {
        let shown = AppletVersion {
            version: row.get(0)?,
            author: PublicKey(row.get(1)?).to_base64(),
            bytes: row.get(2)?,
            published: row.get(3)?,
            withdrawn: row.get(4)?,
        };
        Ok::<_, StoreError>((parsed(&shown.version)?, shown, row.get::<_, String>(5)?))
    })?;
    versions.sort_by(|one, other| other.0.cmp(&one.0));
    let Some(title) = versions.first().map(|first| first.2.clone()) else { return Ok(None) };
    let channels = channels(db, id, name)?.into_iter().map(|(channel, has)| AppletChannel {
        channel,
        version: has.version.to_string(),
        former: has.former.map(|former| former.to_string()),
        percent: has.percent,
    });
    Ok(Some(Applet {
        name: name.to_owned(),
        title,
        versions: versions.into_iter().map(|(_, shown, _)| shown).collect(),
        channels: channels.collect(),
        floor: floor(db, id, name)?.map(|floor| floor.to_string()),
        places: places(db, id, name)?,
    }))
}

/// What the channels have.
pub(crate) fn channels(
    db: &Connection,
    id: OrganisationId,
    name: &str,
) -> Result<BTreeMap<Channel, Channelled>, StoreError> {
    let sql = "SELECT channel, version, former, percent FROM applet_channels WHERE organisation = ?1 AND name = ?2";
    let found = rows(db, sql, params![id, name], |row| {
        let former: Option<String> = row.get(2)?;
        let has = Channelled {
            version: parsed(&row.get::<_, String>(1)?)?,
            former: former.map(|former| parsed(&former)).transpose()?,
            percent: row.get(3)?,
        };
        Ok::<_, StoreError>((super::from_word("channel of an applet", &row.get::<_, String>(0)?)?, has))
    })?;
    Ok(found.into_iter().collect())
}

pub(crate) fn set_channel(
    db: &Connection,
    id: OrganisationId,
    name: &str,
    channel: Channel,
    has: &Channelled,
    now: u64,
) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO applet_channels (organisation, name, channel, version, former, percent, changed)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let former = has.former.as_ref().map(Version::to_string);
    db.execute(sql, params![id, name, word(&channel), has.version.to_string(), former, has.percent, now])?;
    changed(db, id)
}

/// The version that was published, and the hash of its bundle.
pub(crate) fn published(db: &Connection, id: OrganisationId, name: &str) -> Result<Vec<Candidate>, StoreError> {
    let sql = "SELECT version, hash, withdrawn IS NOT NULL FROM applets WHERE organisation = ?1 AND name = ?2";
    rows(db, sql, params![id, name], |row| {
        Ok(Candidate { version: parsed(&row.get::<_, String>(0)?)?, hash: row.get(1)?, is_withdrawn: row.get(2)? })
    })
}

pub(crate) fn add(db: &Connection, id: OrganisationId, opened: &Opened, now: u64) -> Result<(), StoreError> {
    let sql = "INSERT INTO applets (organisation, name, version, title, author, hash, bundle, published)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let Opened { name, version, title, author, hash, bundle } = opened;
    db.execute(sql, params![id, name, version.to_string(), title, author.0, hash, bundle, now])?;
    changed(db, id)
}

pub(crate) fn withdraw(
    db: &Connection,
    id: OrganisationId,
    name: &str,
    version: &str,
    now: u64,
) -> Result<(), StoreError> {
    let sql = "UPDATE applets SET withdrawn = ?4
        WHERE organisation = ?1 AND name = ?2 AND version = ?3 AND withdrawn IS NULL";
    db.execute(sql, params![id, name, version, now])?;
    changed(db, id)
}

/// The lowest version that may still be used.
pub(crate) fn floor(db: &Connection, id: OrganisationId, name: &str) -> Result<Option<Version>, StoreError> {
    let sql = "SELECT version FROM applet_floors WHERE organisation = ?1 AND name = ?2";
    let found: Option<String> = db.query_row(sql, params![id, name], |row| row.get(0)).optional()?;
    found.map(|version| parsed(&version)).transpose()
}

pub(crate) fn set_floor(db: &Connection, id: OrganisationId, name: &str, version: &Version) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO applet_floors (organisation, name, version) VALUES (?1, ?2, ?3)";
    db.execute(sql, params![id, name, version.to_string()])?;
    changed(db, id)
}

fn places(db: &Connection, id: OrganisationId, name: &str) -> Result<Vec<AppletPlace>, StoreError> {
    let sql = "SELECT site, console, channel FROM applet_places WHERE organisation = ?1 AND name = ?2 ORDER BY id";
    rows(db, sql, params![id, name], |row| {
        Ok(AppletPlace {
            site: row.get::<_, Option<u32>>(0)?.map(SiteId),
            console: row.get::<_, Option<u32>>(1)?.map(ConsoleId),
            channel: super::from_word("channel of a place", &row.get::<_, String>(2)?)?,
        })
    })
}

pub(crate) fn set_places(
    db: &Connection,
    id: OrganisationId,
    name: &str,
    places: &[AppletPlace],
) -> Result<(), StoreError> {
    db.execute("DELETE FROM applet_places WHERE organisation = ?1 AND name = ?2", params![id, name])?;
    let sql = "INSERT INTO applet_places (organisation, name, site, console, channel) VALUES (?1, ?2, ?3, ?4, ?5)";
    for AppletPlace { site, console, channel } in places {
        let (site, console) = (site.map(|site| site.0), console.map(|console| console.0));
        db.execute(sql, params![id, name, site, console, word(channel)])?;
    }
    changed(db, id)
}

fn changed(db: &Connection, id: OrganisationId) -> Result<(), StoreError> {
    let number = super::next_revision(db)?;
    let sql = "INSERT OR REPLACE INTO applet_numbers (organisation, number) VALUES (?1, ?2)";
    db.execute(sql, params![id, number])?;
    Ok(())
}

/// When the applets of a console's organisation last changed. A NOC that was restored counts on above what was lost.
pub(crate) fn number(db: &Connection, console: ConsoleId) -> Result<u64, StoreError> {
    let sql =
        "SELECT number FROM applet_numbers WHERE organisation = (SELECT organisation FROM consoles WHERE id = ?1)";
    let number: Option<u64> = db.prepare_cached(sql)?.query_row([console.0], |row| row.get(0)).optional()?;
    Ok(number.unwrap_or(0).max(restored::first_revision(db)?))
}

/// Which applets a console has at a site, by name.
pub(crate) fn of_console(db: &Connection, console: ConsoleId, site: SiteId) -> Result<Vec<Released>, ApiError> {
    let id = organisations::of_site(db, site)?.ok_or(ApiError::UnknownSite { site })?;
    let sql = "SELECT DISTINCT name FROM applet_channels WHERE organisation = ?1 ORDER BY name";
    let names: BTreeSet<String> = rows(db, sql, [id], |row| Ok::<_, StoreError>(row.get(0)?))?.into_iter().collect();
    let mut released = Vec::new();
    for name in names {
        let (channels, floor) = (channels(db, id, &name)?, floor(db, id, &name)?);
        let of = (channels.get(&Channel::Stable), channels.get(&Channel::Test));
        let published = published(db, id, &name)?;
        let place = place(db, &name, console, site)?;
        if let Some(chosen) = choose(&name, console, place, of, floor.as_ref(), &published) {
            let floor = floor.as_ref().map_or_else(|| "0.0.0".to_owned(), Version::to_string);
            released.push(Released { version: chosen.version.to_string(), hash: chosen.hash, floor, name });
        }
    }
    released.truncate(MOST_APPLETS);
    Ok(released)
}

fn place(db: &Connection, name: &str, console: ConsoleId, site: SiteId) -> Result<PlaceChannel, StoreError> {
    let sql = "SELECT channel FROM applet_places WHERE name = ?1 AND (console = ?2 OR site = ?3)
        ORDER BY console IS NULL LIMIT 1";
    let found: Option<String> = db.query_row(sql, params![name, console.0, site.0], |row| row.get(0)).optional()?;
    found.map_or(Ok(PlaceChannel::Stable), |channel| super::from_word("channel of a place", &channel))
}

/// The signed bundle of a hash, if the console has it at the site.
pub(crate) fn bundle(
    db: &Connection,
    console: ConsoleId,
    site: SiteId,
    hash: &[u8; 32],
) -> Result<Option<Vec<u8>>, ApiError> {
    if !of_console(db, console, site)?.iter().any(|released| released.hash == *hash) {
        return Ok(None);
    }
    let sql =
        "SELECT bundle FROM applets WHERE hash = ?1 AND organisation = (SELECT organisation FROM sites WHERE id = ?2)";
    Ok(db.query_row(sql, params![hash, site.0], |row| row.get(0)).optional().map_err(StoreError::from)?)
}

fn parsed(version: &str) -> Result<Version, StoreError> {
    version.parse().map_err(|_| StoreError::Corrupt { what: "version of an applet" })
}
