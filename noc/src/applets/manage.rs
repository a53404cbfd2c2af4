//! What operators do with the library, from the interface or the command line: each with its record in the audit log.

use super::{Channel, Channelled, Opened, PlaceChannel};
use crate::api::{ApiError, Fault};
use crate::audit::{By, Event};
use crate::clock;
use crate::error::{AsProblem, StoreError};
use crate::noc::Noc;
use crate::operators::access::{OrganisationId, Place};
use crate::store::applets::{self, Applet, AppletAuthor, AppletPlace};
use crate::store::{audit, consoles, organisations};
use muster_protocol::api::Problem;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::id::{ConsoleId, SiteId};
use rusqlite::Connection;
use semver::Version;
use serde::Deserialize;
use utoipa::ToSchema;

/// Most versions of one applet, and most applets of an organisation: a bundle has up to a megabyte.
const MOST_VERSIONS: usize = 100;
const MOST_NAMES: usize = 64;
const MOST_PLACES: usize = 1_000;

/// Why the NOC did not do something with an applet.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct AppletError(ApiError);

impl AsProblem for AppletError {
    fn problem(&self) -> Problem {
        self.0.problem()
    }
}

impl From<ApiError> for AppletError {
    fn from(error: ApiError) -> Self {
        AppletError(error)
    }
}

impl From<StoreError> for AppletError {
    fn from(error: StoreError) -> Self {
        AppletError(error.into())
    }
}

/// A site or a console that shall have something else than the stable channel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPlace {
    /// The site.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    pub site: Option<SiteId>,
    /// Or the console.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    pub console: Option<ConsoleId>,
    /// What it has.
    pub channel: PlaceChannel,
}

/// Takes applets of somebody from now on.
pub(crate) fn add_author(
    db: &Connection,
    by: &By,
    id: OrganisationId,
    name: &str,
    key: &str,
) -> Result<AppletAuthor, ApiError> {
    let name = organisations::checked_name("name", name)?;
    let invalid = || Fault::invalid("key", "is not an Ed25519 public key in base64: `muster applet key` prints it");
    let key = PublicKey::from_base64(key.trim()).ok_or_else(invalid)?;
    if let Some(known) = applets::authors(db, id)?.into_iter().find(|author| author.key == key.to_base64()) {
        return Err(Fault::AppletAuthorKnown { name: known.name }.into());
    }
    let author = applets::add_author(db, id, clock::now(), &name, &key)?;
    let detail = serde_json::json!({ "name": author.name, "key": author.key });
    record(db, by, id, "applet.author", format!("applet_author:{}", author.id), detail)?;
    Ok(author)
}

/// Takes no new applets of somebody; what was published stays.
pub(crate) fn remove_author(db: &Connection, by: &By, id: OrganisationId, author: u32) -> Result<(), ApiError> {
    if !applets::remove_author(db, id, author, clock::now())? {
        return Err(Fault::NotFound.into());
    }
    Ok(record(db, by, id, "applet.author_end", format!("applet_author:{author}"), serde_json::Value::Null)?)
}

/// Puts a signed bundle into the library, and on a channel. The same again changes nothing.
pub(crate) fn publish(
    db: &Connection,
    by: &By,
    id: OrganisationId,
    opened: &Opened,
    channel: Channel,
) -> Result<Applet, ApiError> {
    if !applets::is_author(db, id, &opened.author)? {
        return Err(Fault::AppletAuthorUnknown { key: opened.author.to_base64() }.into());
    }
    let published = applets::published(db, id, &opened.name)?;
    match published.iter().find(|one| one.version == opened.version) {
        Some(known) if known.hash != opened.hash => {
            return Err(Fault::AppletVersionTaken { version: opened.version.to_string() }.into());
        }
        Some(known) if known.is_withdrawn => {
            return Err(Fault::AppletWithdrawn { version: opened.version.to_string() }.into());
        }
        Some(_) => return shown(db, id, &opened.name),
        None => {}
    }
    if let Some(latest) = published.iter().map(|one| &one.version).max().filter(|latest| **latest > opened.version) {
        return Err(Fault::AppletOlder { latest: latest.to_string() }.into());
    }
    if published.len() >= MOST_VERSIONS {
        return Err(ApiError::TooMany { what: "versions", count: published.len() + 1, limit: MOST_VERSIONS });
    }
    let names = applets::all(db, id)?.len();
    if published.is_empty() && names >= MOST_NAMES {
        return Err(ApiError::TooMany { what: "applets", count: names + 1, limit: MOST_NAMES });
    }
    applets::add(db, id, opened, clock::now())?;
    let detail =
        serde_json::json!({ "version": opened.version, "author": opened.author.to_base64(), "channel": channel });
    record(db, by, id, "applet.publish", subject(&opened.name), detail)?;
    put_on(db, id, &opened.name, &opened.version, channel, 100)?;
    shown(db, id, &opened.name)
}

/// Puts a version that is in the library on a channel, for a part of the consoles.
pub(crate) fn release(
    db: &Connection,
    by: &By,
    id: OrganisationId,
    name: &str,
    version: &str,
    channel: Channel,
    percent: u8,
) -> Result<Applet, ApiError> {
    let version = known(db, id, name, version)?;
    if !(1..=100).contains(&percent) {
        return Err(Fault::invalid("percent", "is not 1 to 100").into());
    }
    let candidates = applets::published(db, id, name)?;
    if candidates.iter().any(|one| one.version == version && one.is_withdrawn) {
        return Err(Fault::AppletWithdrawn { version: version.to_string() }.into());
    }
    if let Some(now) = applets::channels(db, id, name)?.get(&channel).filter(|now| now.version > version)
        && !candidates.iter().any(|one| one.version == now.version && one.is_withdrawn)
    {
        return Err(Fault::AppletOlder { latest: now.version.to_string() }.into());
    }
    put_on(db, id, name, &version, channel, percent)?;
    let detail = serde_json::json!({ "version": version, "channel": channel, "percent": percent });
    record(db, by, id, "applet.release", subject(name), detail)?;
    shown(db, id, name)
}

/// Nobody gets a version any more: consoles go back to the one before it.
pub(crate) fn withdraw(
    db: &Connection,
    by: &By,
    id: OrganisationId,
    name: &str,
    version: &str,
) -> Result<(), ApiError> {
    let version = known(db, id, name, version)?;
    applets::withdraw(db, id, name, &version.to_string(), clock::now())?;
    let detail = serde_json::json!({ "version": version });
    Ok(record(db, by, id, "applet.withdraw", subject(name), detail)?)
}

/// No lower version may be used from now on, wherever it lies. Never lowered.
pub(crate) fn raise_floor(
    db: &Connection,
    by: &By,
    id: OrganisationId,
    name: &str,
    version: &str,
) -> Result<Applet, ApiError> {
    let version = known(db, id, name, version)?;
    if let Some(floor) = applets::floor(db, id, name)?.filter(|floor| *floor > version) {
        return Err(Fault::AppletOlder { latest: floor.to_string() }.into());
    }
    applets::set_floor(db, id, name, &version)?;
    record(db, by, id, "applet.floor", subject(name), serde_json::json!({ "version": version }))?;
    shown(db, id, name)
}

/// Which sites and consoles have something else than the stable channel: all of them.
pub(crate) fn set_places(
    db: &Connection,
    by: &By,
    id: OrganisationId,
    name: &str,
    places: &[NewPlace],
) -> Result<Applet, ApiError> {
    applets::find(db, id, name)?.ok_or(Fault::NotFound)?;
    if places.len() > MOST_PLACES {
        return Err(ApiError::TooMany { what: "places", count: places.len(), limit: MOST_PLACES });
    }
    let mut kept: Vec<AppletPlace> = Vec::new();
    for NewPlace { site, console, channel } in places.iter().cloned() {
        match (site, console) {
            (Some(site), None) if organisations::of_site(db, site)? == Some(id) => {}
            (Some(site), None) => return Err(ApiError::UnknownSite { site }),
            (None, Some(console)) if consoles::organisation(db, console)? == Some(id) => {}
            (None, Some(_)) => return Err(Fault::invalid("console", "is none of this organisation").into()),
            _ => return Err(Fault::invalid("places", "name either a site or a console each").into()),
        }
        if kept.iter().any(|other| (other.site, other.console) == (site, console)) {
            return Err(Fault::invalid("places", "name a site or console twice").into());
        }
        kept.push(AppletPlace { site, console, channel });
    }
    applets::set_places(db, id, name, &kept)?;
    record(db, by, id, "applet.places", subject(name), serde_json::json!({ "places": kept }))?;
    shown(db, id, name)
}

fn put_on(
    db: &Connection,
    id: OrganisationId,
    name: &str,
    version: &Version,
    channel: Channel,
    percent: u8,
) -> Result<(), StoreError> {
    let former = match applets::channels(db, id, name)?.remove(&channel) {
        // The part grows: what the others have stays.
        Some(now) if now.version == *version => now.former,
        Some(now) => Some(now.version),
        None => None,
    };
    let has = Channelled { version: version.clone(), former, percent };
    applets::set_channel(db, id, name, channel, &has, clock::now())
}

/// A version that is in the library.
fn known(db: &Connection, id: OrganisationId, name: &str, version: &str) -> Result<Version, ApiError> {
    let published = applets::published(db, id, name)?;
    let version: Version = version.parse().map_err(|_| Fault::NotFound)?;
    published.into_iter().find(|one| one.version == version).map(|one| one.version).ok_or(Fault::NotFound.into())
}

fn shown(db: &Connection, id: OrganisationId, name: &str) -> Result<Applet, ApiError> {
    Ok(applets::find(db, id, name)?.ok_or(Fault::NotFound)?)
}

fn subject(name: &str) -> String {
    format!("applet:{name}")
}

fn record(
    db: &Connection,
    by: &By,
    id: OrganisationId,
    action: &'static str,
    subject: String,
    detail: serde_json::Value,
) -> Result<(), StoreError> {
    let event = Event::new(Place::organisation(id), action, subject);
    audit::record(db, clock::now(), by, event.with(detail))
}

impl Noc {
    /// The applets of an organisation.
    pub fn applets(&self, id: OrganisationId) -> Result<Vec<Applet>, AppletError> {
        Ok(self.inner.store.read_now(|db| applets::all(db, id))?)
    }

    /// Whose applets an organisation takes.
    pub fn applet_authors(&self, id: OrganisationId) -> Result<Vec<AppletAuthor>, AppletError> {
        Ok(self.inner.store.read_now(|db| applets::authors(db, id))?)
    }

    /// Takes applets of somebody from now on.
    pub fn add_applet_author(&self, id: OrganisationId, name: &str, key: &str) -> Result<AppletAuthor, AppletError> {
        let (name, key) = (name.to_owned(), key.to_owned());
        Ok(self.inner.store.write_now(move |db| add_author(db, &By::local(), id, &name, &key))?)
    }

    /// Takes no new applets of somebody.
    pub fn remove_applet_author(&self, id: OrganisationId, author: u32) -> Result<(), AppletError> {
        Ok(self.inner.store.write_now(move |db| remove_author(db, &By::local(), id, author))?)
    }

    /// Puts a signed bundle into the library, and on a channel.
    pub fn publish_applet(&self, id: OrganisationId, bundle: Vec<u8>, channel: Channel) -> Result<Applet, AppletError> {
        let opened = Opened::read(bundle).map_err(|faults| ApiError::from(Fault::AppletFaulty(faults)))?;
        Ok(self.inner.store.write_now(move |db| publish(db, &By::local(), id, &opened, channel))?)
    }

    /// Puts a version that is in the library on a channel, for a part of the consoles.
    pub fn release_applet(
        &self,
        id: OrganisationId,
        name: &str,
        version: &str,
        channel: Channel,
        percent: u8,
    ) -> Result<Applet, AppletError> {
        let (name, version) = (name.to_owned(), version.to_owned());
        let by = By::local();
        Ok(self.inner.store.write_now(move |db| release(db, &by, id, &name, &version, channel, percent))?)
    }

    /// Has nobody get a version any more.
    pub fn withdraw_applet(&self, id: OrganisationId, name: &str, version: &str) -> Result<(), AppletError> {
        let (name, version) = (name.to_owned(), version.to_owned());
        Ok(self.inner.store.write_now(move |db| withdraw(db, &By::local(), id, &name, &version))?)
    }

    /// Has no lower version be used from now on.
    pub fn raise_applet_floor(&self, id: OrganisationId, name: &str, version: &str) -> Result<Applet, AppletError> {
        let (name, version) = (name.to_owned(), version.to_owned());
        Ok(self.inner.store.write_now(move |db| raise_floor(db, &By::local(), id, &name, &version))?)
    }

    /// Has sites and consoles have something else than the stable channel.
    pub fn set_applet_places(
        &self,
        id: OrganisationId,
        name: &str,
        places: Vec<NewPlace>,
    ) -> Result<Applet, AppletError> {
        let name = name.to_owned();
        Ok(self.inner.store.write_now(move |db| set_places(db, &By::local(), id, &name, &places))?)
    }
}
