//! Channels: where organisations are told of their alerts.

use super::appliances::{from_json, json};
use super::rows;
use crate::api::{Fault, Page, Refused, Window};
use crate::channels::{ChannelId, ChannelSpec, Checked};
use crate::error::StoreError;
use crate::operators::Role;
use crate::operators::access::{OperatorId, OrganisationId, visible_to};
use muster_protocol::id::SiteId;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// Most sites that a channel names.
pub(crate) const MAX_SITES: usize = 200;
/// Most channels of an organisation.
const MOST: u32 = 100;

/// A channel, and how it does.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Channel {
    /// Its number.
    pub id: ChannelId,
    /// Whose it is.
    pub organisation: OrganisationId,
    /// As it was set.
    pub channel: ChannelSpec,
    /// Whether it has a password, or a secret to sign with.
    pub has_secret: bool,
    /// Whether its target was set by people of the NOC itself, so that it may be in networks that noc.toml allows.
    pub is_trusted: bool,
    /// How it does.
    pub state: ChannelState,
}

/// How a channel does.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChannelState {
    /// Events that wait to be delivered.
    pub waiting: u64,
    /// Messages that were given up in the last seven days.
    pub given_up: u64,
    /// When something was last delivered, Unix seconds.
    pub delivered: Option<u64>,
    /// When it was last tried.
    pub tried: Option<u64>,
    /// What the receiver said then, or why it said nothing.
    pub outcome: String,
    /// Since when every attempt has failed, if the last one did.
    pub failing_since: Option<u64>,
    /// When it is tried next, if anything waits.
    pub due: Option<u64>,
}

impl Channel {
    /// What a change has to name the version of: not how it does, which changes by itself.
    pub(crate) fn version(&self) -> impl Serialize + use<> {
        (self.id, self.organisation, self.channel.clone(), self.has_secret)
    }
}

/// A channel with what is never shown.
pub(crate) struct Kept {
    pub(crate) channel: Channel,
    pub(crate) secret: Zeroizing<String>,
}

const COLUMNS: &str = "c.id, c.organisation, c.name, c.target, c.secret, c.kinds, c.only_escalations, c.quiet, c.is_trusted,
    c.is_enabled, c.due, c.failing_since, c.tried, c.outcome, c.delivered,
    (SELECT count(*) FROM deliveries d WHERE d.channel = c.id AND d.message IS NULL)
    + (SELECT count(*) FROM deliveries d JOIN channel_messages m ON m.id = d.message
       WHERE m.channel = c.id AND m.state = 'waiting'),
    (SELECT count(*) FROM channel_messages m WHERE m.channel = c.id AND m.state = 'given_up' AND m.decided > unixepoch() - 7 * 86400)";

/// Adds a channel.
pub(crate) fn add(
    db: &Connection,
    now: u64,
    organisation: OrganisationId,
    checked: &Checked,
    secret: &str,
    is_trusted: bool,
) -> Result<ChannelId, Refused> {
    let sql = "SELECT count(*) FROM channels WHERE organisation = ?1 AND removed IS NULL";
    let count: u32 = db.query_row(sql, [organisation], |row| row.get(0))?;
    if count >= MOST {
        return Err(Fault::invalid("name", format!("would be channel number {}: remove some", count + 1)).into());
    }
    free_name(db, organisation, &checked.0.name, None)?;
    let sql = "INSERT INTO channels (organisation, name, target, made) VALUES (?1, '', '', ?2)";
    db.execute(sql, params![organisation, now])?;
    let id = ChannelId(db.last_insert_rowid() as u32);
    set(db, organisation, id, checked, secret, is_trusted)?;
    Ok(id)
}

/// Replaces a channel's values. What waits is tried at once.
pub(crate) fn change(
    db: &Connection,
    now: u64,
    before: &Channel,
    checked: &Checked,
    secret: &str,
    is_trusted: bool,
) -> Result<(), Refused> {
    free_name(db, before.organisation, &checked.0.name, Some(before.id))?;
    set(db, before.organisation, before.id, checked, secret, is_trusted)?;
    let sql = "UPDATE channels SET failures = 0, failing_since = NULL, due = ?2 WHERE id = ?1";
    db.execute(sql, params![before.id, now])?;
    Ok(())
}

/// Two channels of one name could not be told apart in a report.
fn free_name(
    db: &Connection,
    organisation: OrganisationId,
    name: &str,
    besides: Option<ChannelId>,
) -> Result<(), Refused> {
    let sql = "SELECT id FROM channels WHERE organisation = ?1 AND name = ?2 AND removed IS NULL";
    let found: Option<ChannelId> = db.query_row(sql, params![organisation, name], |row| row.get(0)).optional()?;
    match found {
        Some(id) if Some(id) != besides => Err(Fault::invalid("name", "is another channel's").into()),
        _ => Ok(()),
    }
}

fn set(
    db: &Connection,
    organisation: OrganisationId,
    id: ChannelId,
    checked: &Checked,
    secret: &str,
    is_trusted: bool,
) -> Result<(), Refused> {
    let spec = &checked.0;
    for site in &spec.sites {
        if super::organisations::of_site(db, *site)? != Some(organisation) {
            return Err(
                Fault::invalid("sites", format!("names site {site}, which the organisation does not have")).into()
            );
        }
    }
    let sql = "UPDATE channels SET name = ?2, target = ?3, secret = ?4, kinds = ?5, only_escalations = ?6, quiet = ?7,
               is_trusted = ?8, is_enabled = ?9 WHERE id = ?1";
    let quiet = spec.quiet.map(|quiet| json(&quiet));
    db.execute(
        sql,
        params![
            id,
            spec.name,
            json(&spec.target),
            secret,
            json(&spec.kinds),
            spec.only_escalations,
            quiet,
            is_trusted,
            spec.enabled
        ],
    )?;
    db.execute("DELETE FROM channel_sites WHERE channel = ?1", [id])?;
    for site in &spec.sites {
        db.execute("INSERT INTO channel_sites (channel, site) VALUES (?1, ?2)", params![id, site.0])?;
    }
    Ok(())
}

/// Gives a channel another secret.
pub(crate) fn set_secret(db: &Connection, id: ChannelId, secret: &str) -> Result<(), StoreError> {
    db.execute("UPDATE channels SET secret = ?2 WHERE id = ?1", params![id, secret])?;
    Ok(())
}

/// Takes a channel away. What it told stays; what it has secret does not, nor is anything sent any more.
pub(crate) fn remove(db: &Connection, now: u64, id: ChannelId) -> Result<(), StoreError> {
    db.execute("UPDATE channels SET removed = ?2, secret = '', due = NULL WHERE id = ?1", params![id, now])?;
    Ok(())
}

/// One that was not removed.
pub(crate) fn find(db: &Connection, id: ChannelId) -> Result<Option<Kept>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM channels c WHERE c.id = ?1 AND c.removed IS NULL");
    Ok(rows(db, &sql, [id], |row| read(db, row))?.into_iter().next())
}

/// Those of organisations that somebody administers, by number.
pub(crate) fn administered_by(
    db: &Connection,
    reader: OperatorId,
    organisation: Option<OrganisationId>,
    window: Window,
) -> Result<Page<Channel>, StoreError> {
    let seen = visible_to(Some(Role::Administrator), "c.organisation", "NULL");
    let sql = format!(
        "SELECT {COLUMNS} FROM channels c WHERE {seen} AND c.removed IS NULL AND c.id > ?2
         AND (?3 IS NULL OR c.organisation = ?3) ORDER BY c.id LIMIT ?4"
    );
    let asked = params![reader, window.after.unwrap_or(0), organisation, window.rows()];
    let found = rows(db, &sql, asked, |row| Ok::<_, StoreError>(read(db, row)?.channel))?;
    Ok(Page::of(found, window.limit, |channel| i64::from(channel.id.0)))
}

/// Every channel, of one organisation or of all.
pub(crate) fn all(db: &Connection, organisation: Option<OrganisationId>) -> Result<Vec<Channel>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM channels c WHERE c.removed IS NULL AND (?1 IS NULL OR c.organisation = ?1) ORDER BY c.id"
    );
    rows(db, &sql, [organisation], |row| Ok(read(db, row)?.channel))
}

fn read(db: &Connection, row: &Row<'_>) -> Result<Kept, StoreError> {
    let id: ChannelId = row.get(0)?;
    let sql = "SELECT site FROM channel_sites WHERE channel = ?1 ORDER BY site";
    let sites = rows(db, sql, [id], |row| Ok::<_, StoreError>(SiteId(row.get(0)?)))?;
    let secret: Zeroizing<String> = Zeroizing::new(row.get(4)?);
    let quiet: Option<String> = row.get(7)?;
    let channel = ChannelSpec {
        name: row.get(2)?,
        target: from_json("channel", &row.get::<_, String>(3)?)?,
        sites,
        kinds: from_json("channel", &row.get::<_, String>(5)?)?,
        only_escalations: row.get(6)?,
        quiet: quiet.map(|text| from_json("channel", &text)).transpose()?,
        enabled: row.get(9)?,
    };
    let state = ChannelState {
        due: row.get(10)?,
        failing_since: row.get(11)?,
        tried: row.get(12)?,
        outcome: row.get(13)?,
        delivered: row.get(14)?,
        waiting: row.get(15)?,
        given_up: row.get(16)?,
    };
    let (organisation, has_secret, is_trusted) = (row.get(1)?, !secret.is_empty(), row.get(8)?);
    Ok(Kept { channel: Channel { id, organisation, channel, has_secret, is_trusted, state }, secret })
}
