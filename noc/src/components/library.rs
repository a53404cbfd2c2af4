//! The library of components, as the command line works it. Each change is one transaction with its metadata and its record in the
//! audit log: whoever is killed in the middle has changed nothing.

use super::keys::{Online, OnlinePublic};
use super::required::ComponentPolicy;
use super::root::RootFile;
use super::spec::{Component, ComponentSpec};
use super::standing::ApplianceComponents;
use super::{ComponentError, ReleaseChannel, folder, metadata, rollouts, vendors};
use crate::api::Window;
use crate::audit::{By, Event};
use crate::clock;
use crate::error::StoreError;
use crate::noc::Noc;
use crate::operators::OrganisationId;
use crate::operators::access::Place;
use crate::store::component_plans::{self, StandingFilter};
use crate::store::{audit, components as store, organisations, word};
use data_encoding::HEXLOWER;
use muster_protocol::component::ComponentVendor;
use muster_protocol::id::SiteId;
use rusqlite::Connection;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Rows of a page when all are read.
const ALL: usize = 1_000;

impl Noc {
    /// Public halves of the keys that this NOC signs metadata with; they are made if there are none. `renewed`: of those that are to
    /// follow them, once a root names them.
    ///
    /// # Errors
    /// The file of the keys.
    pub fn component_keys(&self, renewed: bool) -> Result<OnlinePublic, ComponentError> {
        Ok(Online::make(&self.inner.path, renewed)?.public())
    }

    /// The root in force.
    ///
    /// # Errors
    /// There is no repository.
    pub fn component_root(&self) -> Result<RootFile, ComponentError> {
        let text = self.inner.store.read_now(store::newest_root)?.ok_or(ComponentError::NoRepository)?;
        RootFile::parse(text).map_err(ComponentError::root)
    }

    /// Makes the repository out of its first root. `replaces` one that is there: appliances then begin anew with this one.
    ///
    /// # Errors
    /// What is wrong with the root.
    pub fn begin_components(&self, root: &RootFile, replaces: bool) -> Result<(), ComponentError> {
        let now = clock::now();
        root.check(None, now)?;
        let (root, path) = (root.clone(), self.inner.path.clone());
        let hash: [u8; 32] = Sha256::digest(&root.text).into();
        let online = Online::for_root(&path, &root.online()?)?;
        self.inner.store.write_now(move |db| {
            if store::repository(db)?.is_some() && !replaces {
                return Err(ComponentError::AlreadyThere);
            }
            let serial = store::begin(db, now, &hash)?;
            store::add_root(db, root.version(), root.expires(), &root.text)?;
            metadata::publish(db, now, &online)?;
            let vendors = root.vendors()?;
            let detail =
                json!({ "serial": serial, "root": HEXLOWER.encode(&hash), "keys": root.keys().0, "vendors": vendors });
            record(db, now, Place::NOC, "component.repository", "components", detail)
        })
    }

    /// Puts the successor of the root in force.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn rotate_components(&self, root: &RootFile) -> Result<(), ComponentError> {
        let now = clock::now();
        let (root, path) = (root.clone(), self.inner.path.clone());
        let wanted = root.online()?;
        self.inner.store.write_now(move |db| {
            let before = store::newest_root(db)?.ok_or(ComponentError::NoRepository)?;
            let before = RootFile::parse(before).map_err(ComponentError::root)?;
            root.check(Some(&before), now)?;
            store::add_root(db, root.version(), root.expires(), &root.text)?;
            let (online, _) = Online::look(&path, &root.online()?)?;
            metadata::publish(db, now, &online)?;
            let (online, vendors) = (root.online()?, root.vendors()?);
            let detail =
                json!({ "version": root.version(), "keys": root.keys().0, "online": online, "vendors": vendors });
            record(db, now, Place::NOC, "component.root", "components", detail)
        })?;
        // Only now the former keys are not needed any more. Whoever reads the keys next does this, if this process does not.
        Online::for_root(&self.inner.path, &wanted).map(|_| ())
    }

    /// Takes a component into the library.
    ///
    /// # Errors
    /// What is wrong with it, or with the file.
    pub fn add_component(&self, spec: ComponentSpec, file: &Path) -> Result<Component, ComponentError> {
        spec.check()?;
        let path = self.inner.path.clone();
        // Before the file is copied, which may take long.
        self.inner.store.read_now(|db| store::repository(db)?.map(|_| ()).ok_or(ComponentError::NoRepository))?;
        let taken = folder::take(&path, file, spec.kind)?;
        let now = clock::now();
        let added = self.inner.store.write_now({
            let path = path.clone();
            move |db| {
                let online = keys(db, &path)?;
                let component = add(db, now, &spec, &taken)?;
                metadata::publish(db, now, &online)?;
                let subject = format!("component:{}", component.id);
                record(db, now, place(&component), "component.add", &subject, json!(component))?;
                Ok::<_, ComponentError>(component)
            }
        });
        self.sweep_components(&path);
        added
    }

    /// Files that nobody needs any more cost room and nothing else.
    pub(super) fn sweep_components(&self, path: &Path) {
        let swept = self.inner.store.read_now(store::files).map(|wanted| folder::sweep(path, &wanted));
        if let Ok(Err(error)) = swept {
            tracing::warn!(%error, "files of components that were retired could not be deleted");
        }
    }

    /// Leads a channel to a component.
    ///
    /// # Errors
    /// There is no such component, or it was retired.
    pub fn promote_component(
        &self,
        owner: Option<OrganisationId>,
        name: &str,
        version: &str,
        channel: ReleaseChannel,
    ) -> Result<Component, ComponentError> {
        let (name, version, now) = (name.to_owned(), version.to_owned(), clock::now());
        self.inner.store.write_now(move |db| promote(db, now, &By::local(), find(db, owner, &name, &version)?, channel))
    }

    /// Retires a component: no appliance gets it any more. Where it is installed it stays.
    ///
    /// # Errors
    /// There is no such component.
    pub fn retire_component(
        &self,
        owner: Option<OrganisationId>,
        name: &str,
        version: &str,
    ) -> Result<Component, ComponentError> {
        let (name, version, now) = (name.to_owned(), version.to_owned(), clock::now());
        let path = self.inner.path.clone();
        self.inner.store.write_now(move |db| retire(db, now, &By::local(), find(db, owner, &name, &version)?, &path))
    }

    /// Every component, by name.
    ///
    /// # Errors
    /// The database.
    pub fn components(&self) -> Result<Vec<Component>, StoreError> {
        self.inner.store.read_now(store::all)
    }

    /// What an organisation requires.
    ///
    /// # Errors
    /// The database.
    pub fn organisation_components(&self, id: OrganisationId) -> Result<ComponentPolicy, StoreError> {
        Ok(self.inner.store.read_now(move |db| store::of_organisation(db, id))?.unwrap_or_default())
    }

    /// Replaces that.
    ///
    /// # Errors
    /// What cannot be required.
    pub fn set_organisation_components(&self, id: OrganisationId, said: ComponentPolicy) -> Result<(), ComponentError> {
        self.inner.store.write_now(move |db| require_of_organisation(db, clock::now(), &By::local(), id, &said))
    }

    /// What a site requires by itself.
    ///
    /// # Errors
    /// The database.
    pub fn site_components(&self, id: SiteId) -> Result<ComponentPolicy, StoreError> {
        Ok(self.inner.store.read_now(move |db| store::of_site(db, id))?.unwrap_or_default())
    }

    /// Replaces that.
    ///
    /// # Errors
    /// What cannot be required.
    pub fn set_site_components(&self, id: SiteId, said: ComponentPolicy) -> Result<(), ComponentError> {
        self.inner.store.write_now(move |db| require_of_site(db, clock::now(), &By::local(), id, &said))
    }

    /// How components stand on the appliances of all sites, or of one.
    ///
    /// # Errors
    /// The database.
    pub fn component_standings(
        &self,
        site: Option<SiteId>,
        component: Option<String>,
        is_behind: bool,
    ) -> Result<Vec<ApplianceComponents>, StoreError> {
        let filter = StandingFilter { organisation: None, site, component, is_behind };
        self.inner.store.read_now(move |db| {
            let (mut all, mut after) = (Vec::new(), None);
            loop {
                let window = Window { limit: ALL, after };
                let page = component_plans::standings(db, None, &filter, window)?;
                all.extend(page.items);
                after = page.next.as_deref().and_then(|next| Window::of(None, Some(next)).ok()?.after);
                if after.is_none() {
                    return Ok(all);
                }
            }
        })
    }
}

/// Leads a channel to a component.
pub(crate) fn promote(
    db: &Connection,
    now: u64,
    by: &By,
    found: Component,
    channel: ReleaseChannel,
) -> Result<Component, ComponentError> {
    let Component { id, name, version, .. } = &found;
    if found.retired.is_some() {
        return Err(ComponentError::Retired { name: name.clone(), version: version.clone() });
    }
    let before = store::promote(db, &found, &word(&channel))?;
    rollouts::channel_moved(db, now, by, &found, channel, before.as_deref())?;
    let detail = json!({ "name": name, "version": version, "channel": channel, "before": before });
    let event = Event::new(place(&found), "component.promote", format!("component:{id}"));
    audit::record(db, now, by, event.with(detail))?;
    Ok(store::by_id(db, (*id).into())?.unwrap_or(found))
}

/// Retires a component. Once more changes nothing.
pub(crate) fn retire(
    db: &Connection,
    now: u64,
    by: &By,
    found: Component,
    path: &Path,
) -> Result<Component, ComponentError> {
    if found.retired.is_some() {
        return Ok(found);
    }
    let Component { id, name, version, .. } = &found;
    store::retire(db, now, *id)?;
    // What a vendor signs for stays in its metadata; its file is not given any more.
    metadata::publish(db, now, &keys(db, path)?)?;
    let event = Event::new(place(&found), "component.retire", format!("component:{id}"));
    audit::record(db, now, by, event.with(json!({ "name": name, "version": version })))?;
    Ok(store::by_id(db, (*id).into())?.unwrap_or(found))
}

/// Replaces what an organisation requires.
pub(crate) fn require_of_organisation(
    db: &Connection,
    now: u64,
    by: &By,
    id: OrganisationId,
    said: &ComponentPolicy,
) -> Result<(), ComponentError> {
    said.check()?;
    for below in store::by_site(db, id)? {
        below.check_with(said)?;
    }
    said.check_with(&ComponentPolicy::default())?;
    let before = store::of_organisation(db, id)?;
    rollouts::said(db, now, by, (id, None), (&before.clone().unwrap_or_default(), said))?;
    store::set_organisation(db, id, said)?;
    let event = Event::new(Place::organisation(id), "organisation.components", format!("organisation:{id}"));
    Ok(audit::record(db, now, by, event.with(json!({ "before": before, "after": said })))?)
}

/// Replaces what a site requires.
pub(crate) fn require_of_site(
    db: &Connection,
    now: u64,
    by: &By,
    id: SiteId,
    said: &ComponentPolicy,
) -> Result<(), ComponentError> {
    said.check()?;
    said.check_with(&store::above(db, id)?)?;
    let before = store::of_site(db, id)?;
    let organisation = organisations::of_site(db, id)?;
    if let Some(organisation) = organisation {
        rollouts::said(db, now, by, (organisation, Some(id)), (&before.clone().unwrap_or_default(), said))?;
    }
    store::set_site(db, id, said)?;
    let place = Place { organisation, site: Some(id) };
    let event = Event::new(place, "site.components", format!("site:{id}"));
    Ok(audit::record(db, now, by, event.with(json!({ "before": before, "after": said })))?)
}

fn add(db: &Connection, now: u64, spec: &ComponentSpec, taken: &folder::Taken) -> Result<Component, ComponentError> {
    let facts = spec.facts(taken.unpacked).to_string();
    let ComponentSpec { organisation, name, version, .. } = spec;
    name_is_free(db, *organisation, name)?;
    vendors::check_own(db, name)?;
    check_sites(db, spec)?;
    let Some(known) = store::find(db, *organisation, name, version)? else {
        let id = store::insert(db, now, spec, (&taken.hash, taken.size), &facts)?;
        return Ok(store::by_id(db, id)?.ok_or(StoreError::Corrupt { what: "component" })?);
    };
    if known.sha256 != HEXLOWER.encode(&taken.hash) || known.retired.is_none() {
        return Err(ComponentError::Taken { name: name.clone(), version: version.clone() });
    }
    store::revive(db, known.id, spec, &facts)?;
    find(db, *organisation, name, version)
}

/// Whether the sites that a component is for are its organisation's.
pub(super) fn check_sites(db: &Connection, spec: &ComponentSpec) -> Result<(), ComponentError> {
    for site in &spec.sites {
        let whose = organisations::of_site(db, *site)?;
        if whose.is_none() || spec.organisation.is_some_and(|of| Some(of) != whose) {
            return Err(ComponentError::invalid("site", format!("{site} is none of the organisation's")));
        }
    }
    Ok(())
}

/// Vendors that the root in force names; none without a repository.
pub(super) fn roots_vendors(db: &Connection) -> Result<Vec<ComponentVendor>, ComponentError> {
    let Some(root) = store::newest_root(db)? else { return Ok(Vec::new()) };
    RootFile::parse(root).map_err(ComponentError::root)?.vendors()
}

/// A name is either everybody's or single organisations' own: what a site asks for by it is never in doubt.
fn name_is_free(db: &Connection, organisation: Option<OrganisationId>, name: &str) -> Result<(), ComponentError> {
    let owners = store::owners(db, name)?;
    let taken = |whose| Err(ComponentError::NameTaken { name: name.to_owned(), whose });
    match organisation {
        Some(_) if owners.contains(&0) => taken("all organisations"),
        None if owners.iter().any(|owner| *owner != 0) => taken("single organisations"),
        _ => Ok(()),
    }
}

fn find(
    db: &Connection,
    owner: Option<OrganisationId>,
    name: &str,
    version: &str,
) -> Result<Component, ComponentError> {
    let unknown = || ComponentError::Unknown { name: name.to_owned(), version: version.to_owned() };
    store::find(db, owner, name, version)?.ok_or_else(unknown)
}

pub(super) fn keys(db: &Connection, path: &Path) -> Result<Online, ComponentError> {
    metadata::keys(db, path)?.ok_or(ComponentError::NoRepository)
}

fn place(component: &Component) -> Place {
    component.organisation.map_or(Place::NOC, Place::organisation)
}

pub(super) fn record(
    db: &Connection,
    now: u64,
    place: Place,
    action: &'static str,
    subject: &str,
    detail: Value,
) -> Result<(), ComponentError> {
    Ok(audit::record(db, now, &By::local(), Event::new(place, action, subject).with(detail))?)
}
