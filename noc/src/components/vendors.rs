//! Vendors, as the command line works them. Each change is one transaction with the NOC's metadata and its record in the audit log.

use super::library::{keys, record, roots_vendors};
use super::vendor::{Released, VendorFile, VendorView, check_named, check_vendor, fingerprint};
use super::{ComponentError, folder, metadata};
use crate::clock;
use crate::noc::Noc;
use crate::operators::access::Place;
use crate::store::component_vendors::{self as store, Signed, Vendor};
use crate::store::components;
use data_encoding::HEXLOWER;
use muster_protocol::component::ComponentVendor;
use muster_protocol::id::SiteId;
use rusqlite::Connection;
use serde::Serialize;
use serde_json::json;
use std::collections::HashMap;
use std::path::PathBuf;

/// What was taken of a vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Published {
    /// The vendor.
    pub vendor: String,
    /// The number of its metadata.
    pub version: u64,
    /// Until when they are good, Unix seconds.
    pub expires: u64,
    /// Targets that are new in the library.
    pub added: Vec<String>,
    /// Targets that were retired, since the vendor does not sign for them any more.
    pub retired: Vec<String>,
}

/// Files that were copied in, by their hashes.
type Files = HashMap<[u8; 32], folder::Taken>;

impl Noc {
    /// Registers a vendor. Its components are everybody's; from then on the NOC signs for none of them.
    ///
    /// # Errors
    /// What is wrong with it, or whose its components or keys are.
    pub fn add_component_vendor(&self, vendor: ComponentVendor) -> Result<VendorView, ComponentError> {
        let (vendor, now) = (check_vendor(vendor)?, clock::now());
        let path = self.inner.path.clone();
        self.inner.store.write_now(move |db| {
            let online = keys(db, &path)?;
            let known = store::find(db, &vendor.vendor)?;
            if known.as_ref().is_some_and(|known| known.removed.is_none()) {
                return Err(ComponentError::VendorThere { vendor: vendor.vendor });
            }
            check_free(db, &vendor, None)?;
            store::insert(db, now, &vendor)?;
            metadata::publish(db, now, &online)?;
            let detail = json!({ "vendor": vendor, "fingerprint": fingerprint(&vendor) });
            record(db, now, Place::NOC, "component.vendor_add", &subject(&vendor), detail)?;
            view(db, &registered(db, &vendor.vendor)?)
        })
    }

    /// Replaces keys, threshold and components of a vendor. What it has signed must hold under the new ones, or `file` does.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn change_component_vendor(
        &self,
        vendor: ComponentVendor,
        file: Option<&VendorFile>,
    ) -> Result<VendorView, ComponentError> {
        let (vendor, now) = (check_vendor(vendor)?, clock::now());
        let (path, file) = (self.inner.path.clone(), file.cloned());
        self.inner.store.write_now(move |db| {
            let online = keys(db, &path)?;
            let before = registered(db, &vendor.vendor)?;
            check_free(db, &vendor, Some(before.id))?;
            store::change(db, before.id, &vendor)?;
            let changed = Vendor { vendor: vendor.clone(), ..before.clone() };
            match (&file, before.version) {
                (Some(file), _) => drop(take(db, now, &changed, file, &Files::new(), &[])?),
                (None, Some(_)) => {
                    let signed = store::newest(db, before.id)?.ok_or_else(|| unread("they are not there"))?;
                    let signed = VendorFile::parse(&signed.text).map_err(|why| unread(&why))?;
                    signed.check(&vendor, None, now)?;
                }
                (None, None) => {}
            }
            metadata::publish(db, now, &online)?;
            let detail = json!({ "before": before.vendor, "after": vendor, "fingerprint": fingerprint(&vendor) });
            record(db, now, Place::NOC, "component.vendor_change", &subject(&vendor), detail)?;
            view(db, &registered(db, &vendor.vendor)?)
        })
    }

    /// Removes a vendor, and retires its components. The NOC may sign for their names again, unless the root names the vendor.
    ///
    /// # Errors
    /// There is no such vendor.
    pub fn remove_component_vendor(&self, handle: &str) -> Result<VendorView, ComponentError> {
        let (handle, now, path) = (handle.to_owned(), clock::now(), self.inner.path.clone());
        self.inner.store.write_now(move |db| {
            let online = keys(db, &path)?;
            let vendor = registered(db, &handle)?;
            let retired = retire_others(db, now, vendor.id, &[])?;
            store::remove(db, now, vendor.id)?;
            metadata::publish(db, now, &online)?;
            let detail = json!({ "vendor": vendor.vendor, "retired": retired });
            record(db, now, Place::NOC, "component.vendor_remove", &subject(&vendor.vendor), detail)?;
            view(db, &Vendor { removed: Some(now), ..vendor })
        })
    }

    /// Vendors, also removed ones, by handle.
    ///
    /// # Errors
    /// The database.
    pub fn component_vendors(&self) -> Result<Vec<VendorView>, ComponentError> {
        self.inner.store.read_now(|db| store::all(db)?.iter().map(|vendor| view(db, vendor)).collect())
    }

    /// Takes what a vendor has signed, with the files of what is new in it. `sites`: where that is for; empty for all.
    ///
    /// # Errors
    /// What is wrong with it. Nothing of it is taken then.
    pub fn publish_of_vendor(
        &self,
        handle: &str,
        file: &VendorFile,
        files: &[PathBuf],
        sites: &[SiteId],
    ) -> Result<Published, ComponentError> {
        let (handle, path) = (handle.to_owned(), self.inner.path.clone());
        // Before files are copied, which may take long; again below.
        let released = self.inner.store.read_now({
            let (handle, file) = (handle.clone(), file.clone());
            move |db| {
                let vendor = registered(db, &handle)?;
                file.check(&vendor.vendor, vendor.highest, clock::now())
            }
        })?;
        let mut taken = Files::new();
        for from in files {
            let (hash, size) = folder::hash(from)?;
            let Some(one) = released.iter().find(|one| one.hash == hash && one.size == size) else {
                return Err(ComponentError::vendors(format!("they do not list {} as it is", from.display())));
            };
            let copied = folder::take(&path, from, one.spec.kind)?;
            if copied.hash != hash {
                return Err(ComponentError::vendors(format!("{} changed while it was read", from.display())));
            }
            taken.insert(hash, copied);
        }
        let (file, sites, now) = (file.clone(), sites.to_vec(), clock::now());
        let published = self.inner.store.write_now({
            let path = path.clone();
            move |db| {
                let online = keys(db, &path)?;
                let vendor = registered(db, &handle)?;
                let published = take(db, now, &vendor, &file, &taken, &sites)?;
                metadata::publish(db, now, &online)?;
                let detail = json!(published);
                record(db, now, Place::NOC, "component.vendor_publish", &subject(&vendor.vendor), detail)?;
                Ok::<_, ComponentError>(published)
            }
        });
        self.sweep_components(&path);
        published
    }
}

/// Takes what a vendor has signed into the library.
fn take(
    db: &Connection,
    now: u64,
    vendor: &Vendor,
    file: &VendorFile,
    files: &Files,
    sites: &[SiteId],
) -> Result<Published, ComponentError> {
    let released = file.check(&vendor.vendor, vendor.highest, now)?;
    // Also one that was registered before the root that is in force now.
    check_named(&vendor.vendor, &roots_vendors(db)?)?;
    let mut added = Vec::new();
    for one in &released {
        if take_one(db, now, vendor.id, one, files.get(&one.hash), sites)? {
            added.push(one.spec.target());
        }
    }
    let signed = Signed { version: file.version(), expires: file.expires(), text: file.text()? };
    store::put(db, vendor.id, &signed)?;
    let retired = retire_others(db, now, vendor.id, &released)?;
    let handle = vendor.vendor.vendor.clone();
    Ok(Published { vendor: handle, version: signed.version, expires: signed.expires, added, retired })
}

/// Whether it is new in the library.
fn take_one(
    db: &Connection,
    now: u64,
    vendor: i64,
    released: &Released,
    taken: Option<&folder::Taken>,
    sites: &[SiteId],
) -> Result<bool, ComponentError> {
    let spec = super::spec::ComponentSpec { sites: sites.to_vec(), ..released.spec.clone() };
    let target = spec.target();
    let missing = || ComponentError::vendors(format!("{target} is new, and its file was not given"));
    let Some(known) = components::find(db, None, &spec.name, &spec.version)? else {
        taken.ok_or_else(missing)?;
        super::library::check_sites(db, &spec)?;
        let id = components::insert(db, now, &spec, (&released.hash, released.size), &released.facts)?;
        let known = components::by_id(db, id)?.ok_or_else(|| unread("the component is not there"))?;
        store::describe(db, &known, vendor, released)?;
        return Ok(true);
    };
    if known.sha256 != HEXLOWER.encode(&released.hash) {
        return Err(ComponentError::Taken { name: spec.name, version: spec.version });
    }
    match (known.retired, taken) {
        (Some(_), Some(_)) => {
            super::library::check_sites(db, &spec)?;
            components::revive(db, known.id, &spec, &released.facts)?;
            store::describe(db, &known, vendor, released)?;
            Ok(true)
        }
        // The NOC gives it to nobody, whoever signs for it.
        (Some(_), None) => Ok(false),
        (None, _) => {
            store::describe(db, &known, vendor, released)?;
            Ok(false)
        }
    }
}

/// Retires what a vendor does not sign for any more; the targets.
fn retire_others(db: &Connection, now: u64, vendor: i64, released: &[Released]) -> Result<Vec<String>, ComponentError> {
    let mut retired = Vec::new();
    for (id, target) in store::live(db, vendor)? {
        if !released.iter().any(|one| one.spec.target() == target) {
            components::retire(db, now, id)?;
            retired.push(target);
        }
    }
    Ok(retired)
}

/// Whether a vendor's components and keys are nobody else's, and the root leaves them to it.
fn check_free(db: &Connection, vendor: &ComponentVendor, id: Option<i64>) -> Result<(), ComponentError> {
    for other in store::all(db)?.iter().filter(|other| other.removed.is_none() && Some(other.id) != id) {
        let components = vendor.components.iter().find(|name| other.vendor.components.contains(name));
        let keys = vendor.keys.iter().find(|key| other.vendor.keys.contains(key));
        if let Some(what) = components.or(keys) {
            return Err(ComponentError::VendorsOwn { what: what.clone(), vendor: other.vendor.vendor.clone() });
        }
    }
    for name in &vendor.components {
        let taken = |whose| Err(ComponentError::NameTaken { name: name.clone(), whose });
        if components::owners(db, name)?.iter().any(|owner| *owner != 0) {
            return taken("single organisations");
        }
        if store::in_use(db, name, id)? {
            return taken("the NOC, which has to retire them first");
        }
    }
    check_named(vendor, &roots_vendors(db)?)
}

/// Whether the NOC may sign for a name itself.
pub(super) fn check_own(db: &Connection, name: &str) -> Result<(), ComponentError> {
    let registered = store::all(db)?.into_iter().filter(|vendor| vendor.removed.is_none()).map(|vendor| vendor.vendor);
    match registered.chain(roots_vendors(db)?).find(|vendor| vendor.components.iter().any(|known| known == name)) {
        Some(vendor) => Err(ComponentError::VendorsOwn { what: name.to_owned(), vendor: vendor.vendor }),
        None => Ok(()),
    }
}

/// Vendors whose components appliances refuse as they are registered, and why: a root can be put in force that names them otherwise.
pub(crate) fn refused(db: &Connection) -> Result<Vec<(String, String)>, ComponentError> {
    let named = roots_vendors(db)?;
    let mut refused = Vec::new();
    for vendor in store::all(db)?.into_iter().filter(|vendor| vendor.removed.is_none()) {
        if let Err(error) = check_named(&vendor.vendor, &named) {
            refused.push((vendor.vendor.vendor, error.to_string()));
        }
    }
    // A root can name a vendor for what the NOC has signed until then.
    for vendor in named {
        let id = store::find(db, &vendor.vendor)?.map(|known| known.id);
        for name in &vendor.components {
            if store::in_use(db, name, id)? {
                refused.push((vendor.vendor.clone(), format!("the root names it for {name}, which others sign for")));
            }
        }
    }
    Ok(refused)
}

fn registered(db: &Connection, handle: &str) -> Result<Vendor, ComponentError> {
    let found = store::find(db, handle)?.filter(|vendor| vendor.removed.is_none());
    found.ok_or_else(|| ComponentError::UnknownVendor { vendor: handle.to_owned() })
}

fn view(db: &Connection, vendor: &Vendor) -> Result<VendorView, ComponentError> {
    let signed = store::newest(db, vendor.id)?.filter(|_| vendor.version.is_some());
    let named = roots_vendors(db)?;
    let named_by_root = named.iter().any(|of| of.vendor == vendor.vendor.vendor);
    let Vendor { vendor, added, removed, .. } = vendor.clone();
    let fingerprint = fingerprint(&vendor);
    let (version, expires) = (signed.as_ref().map(|signed| signed.version), signed.map(|signed| signed.expires));
    Ok(VendorView { vendor, fingerprint, version, expires, named_by_root, added, removed })
}

fn subject(vendor: &ComponentVendor) -> String {
    format!("component-vendor:{}", vendor.vendor)
}

fn unread(why: &str) -> ComponentError {
    ComponentError::Metadata { why: why.to_owned() }
}
