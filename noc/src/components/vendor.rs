//! What a vendor signs itself (decision 0049): metadata of its own targets, made where its keys are, and checked before they are taken.

use super::ComponentError;
use super::folder::{self, Taken};
use super::keys::{TufKey, key_id, public_key, public_text};
use super::root::{SPECIFICATION, metadata, timestamp};
use super::spec::{ComponentKind, ComponentSpec, HealthCheck, check_name};
use data_encoding::HEXLOWER;
use muster_protocol::component::ComponentVendor;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::num::NonZeroU64;
use std::path::Path;
use tough::TargetName;
use tough::schema::{DelegatedRole, Delegations, Hashes, PathPattern, PathSet, Role, Signed, Target, Targets};

/// What is in a target's `custom`.
pub(crate) const FACTS: &str = "muster";
/// Most keys of a vendor.
const MOST_KEYS: usize = 8;
/// Most components of a vendor, and most targets.
const MOST_COMPONENTS: usize = 64;
const MOST_TARGETS: usize = 1_000;
/// Longest handle, bytes.
const MAX_HANDLE: usize = 32;
/// Largest file of metadata, bytes. An appliance reads those of all vendors.
const LARGEST: u64 = 512 << 10;
/// Seconds for which metadata may be good at most: whoever keeps them back gains no more.
const LONGEST_S: u64 = 3 * 366 * 86_400;
/// Seconds that a number may be ahead of the clock. One that is as high as it goes would be the last one.
const AHEAD_S: u64 = 366 * 86_400;

/// A vendor's metadata, as they are in their file.
#[derive(Clone, Debug)]
pub struct VendorFile {
    signed: Signed<Targets>,
}

/// One of its targets, checked.
#[derive(Clone, Debug)]
pub(crate) struct Released {
    pub(crate) spec: ComponentSpec,
    pub(crate) hash: [u8; 32],
    pub(crate) size: u64,
    /// As signed, JSON.
    pub(crate) facts: String,
}

/// What a vendor may say of a target.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    name: String,
    version: String,
    kind: ComponentKind,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    unpacked: Option<u64>,
    #[serde(default)]
    unit: Option<String>,
    #[serde(default)]
    health: Option<HealthCheck>,
}

impl VendorFile {
    /// One without targets.
    ///
    /// # Errors
    /// Never, unless a time cannot be written.
    pub fn new() -> Result<VendorFile, ComponentError> {
        let targets = Targets::new(SPECIFICATION.to_owned(), NonZeroU64::MIN, timestamp(0)?);
        Ok(VendorFile { signed: Signed { signed: Targets { delegations: None, ..targets }, signatures: Vec::new() } })
    }

    /// Reads one from a file.
    ///
    /// # Errors
    /// Names the file.
    pub fn read(path: &Path) -> Result<VendorFile, ComponentError> {
        let unread = |source| ComponentError::Read { path: path.to_owned(), source };
        let refused = |why: String| ComponentError::NotVendors { path: path.to_owned(), why };
        if fs::metadata(path).map_err(unread)?.len() > LARGEST {
            return Err(refused(format!("it has more than {LARGEST} bytes")));
        }
        VendorFile::parse(&fs::read(path).map_err(unread)?).map_err(refused)
    }

    pub(crate) fn parse(text: &[u8]) -> Result<VendorFile, String> {
        let signed = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        Ok(VendorFile { signed })
    }

    /// As it is kept and served: what was checked, and nothing that reads as it.
    pub(crate) fn text(&self) -> Result<Vec<u8>, ComponentError> {
        serde_json::to_vec(&self.signed).map_err(|error| metadata(&error))
    }

    /// Writes it, also over what was there.
    ///
    /// # Errors
    /// Names the file.
    pub fn write(&self, path: &Path) -> Result<(), ComponentError> {
        let text = serde_json::to_vec_pretty(&self.signed).map_err(|error| metadata(&error))?;
        fs::write(path, text).map_err(|source| ComponentError::Write { path: path.to_owned(), source })
    }

    /// Adds a component; the name of its target.
    ///
    /// # Errors
    /// What is wrong with it, or with the file.
    pub fn add(&mut self, spec: &ComponentSpec, file: &Path) -> Result<String, ComponentError> {
        spec.check()?;
        if !spec.sites.is_empty() || spec.organisation.is_some() {
            return Err(ComponentError::invalid("site", "is said by the NOC: a vendor does not know them"));
        }
        let Taken { hash, size, unpacked } = folder::look(file, spec.kind)?;
        let raw = spec.target();
        let name = TargetName::new(raw.as_str()).map_err(|error| metadata(&error))?;
        let known = self.signed.signed.targets.get(&name);
        if known.is_some_and(|known| known.hashes.sha256[..] != hash[..]) {
            return Err(ComponentError::Taken { name: spec.name.clone(), version: spec.version.clone() });
        }
        let hashes = Hashes { sha256: hash.to_vec().into(), _extra: HashMap::new() };
        let custom = HashMap::from([(FACTS.to_owned(), spec.facts(unpacked))]);
        self.signed.signed.targets.insert(name, Target { length: size, hashes, custom, _extra: HashMap::new() });
        Ok(raw)
    }

    /// Takes a version out.
    ///
    /// # Errors
    /// It has none such.
    pub fn withdraw(&mut self, name: &str, version: &str) -> Result<(), ComponentError> {
        let is_it = |target: &Target| {
            let says = |word: &str| target.custom.get(FACTS).and_then(|facts| facts.get(word)?.as_str());
            says("name") == Some(name) && says("version") == Some(version)
        };
        let before = self.signed.signed.targets.len();
        self.signed.signed.targets.retain(|_, target| !is_it(target));
        if self.signed.signed.targets.len() == before {
            return Err(ComponentError::Unknown { name: name.to_owned(), version: version.to_owned() });
        }
        Ok(())
    }

    /// Numbers it above what it was, good until `expires`, with no signature yet.
    ///
    /// # Errors
    /// The time cannot be written.
    pub fn renew(&mut self, now: u64, expires: u64) -> Result<(), ComponentError> {
        let version = now.max(self.version() + 1);
        self.signed.signed.version = NonZeroU64::new(version).unwrap_or(NonZeroU64::MIN);
        self.signed.signed.expires = timestamp(expires)?;
        self.signed.signatures.clear();
        Ok(())
    }

    /// Adds a signature.
    ///
    /// # Errors
    /// It cannot be signed.
    pub fn sign(&mut self, key: &TufKey) -> Result<(), ComponentError> {
        let data = self.signed.signed.canonical_form().map_err(|error| metadata(&error))?;
        let signature = key.sign(&data)?;
        self.signed.signatures.retain(|known| known.keyid != signature.keyid);
        self.signed.signatures.push(signature);
        Ok(())
    }

    /// Its number.
    pub fn version(&self) -> u64 {
        self.signed.signed.version.get()
    }

    /// Until when it is good, Unix seconds.
    pub fn expires(&self) -> u64 {
        u64::try_from(self.signed.signed.expires.as_second()).unwrap_or(0)
    }

    /// Signatures on it.
    pub fn signatures(&self) -> usize {
        self.signed.signatures.len()
    }

    /// Names of its targets, sorted.
    pub fn targets(&self) -> Vec<String> {
        let names = self.signed.signed.targets.keys().map(|name| name.raw().to_owned());
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Its targets, if a vendor signed for all of it, may do so, and it is newer than `after`.
    pub(crate) fn check(
        &self,
        vendor: &ComponentVendor,
        after: Option<u64>,
        now: u64,
    ) -> Result<Vec<Released>, ComponentError> {
        let refused = |why: String| Err(ComponentError::vendors(why));
        let targets = &self.signed.signed;
        if let Err(error) = delegations([vendor])?.verify_role(&self.signed, &vendor.role()) {
            return refused(format!("they lack signatures of {}: {error}", vendor.vendor));
        }
        if targets.spec_version != SPECIFICATION {
            return refused(format!("they must be of specification {SPECIFICATION}"));
        }
        if after.is_some_and(|after| self.version() <= after) {
            return refused(format!(
                "their version is {}, and that in force is {}",
                self.version(),
                after.unwrap_or(0)
            ));
        }
        if self.version() > now + AHEAD_S {
            return refused(format!("their version {} is far above the clock's {now}", self.version()));
        }
        if self.expires() <= now || self.expires() > now + LONGEST_S {
            return refused(format!("they must end within {} days, and not before now", LONGEST_S / 86_400));
        }
        if targets.delegations.as_ref().is_some_and(|below| *below != Delegations::new()) {
            return refused("they delegate to others".to_owned());
        }
        if targets.targets.len() > MOST_TARGETS || self.text()?.len() as u64 > LARGEST {
            return refused(format!("they are at most {MOST_TARGETS} targets, in {LARGEST} bytes"));
        }
        let released = targets.targets.iter().map(|(name, target)| one(vendor, name, target));
        let mut released = released.collect::<Result<Vec<_>, _>>()?;
        released.sort_by_key(|one| one.spec.target());
        Ok(released)
    }
}

/// One target, if it is named and described as one of the vendor's.
fn one(vendor: &ComponentVendor, name: &TargetName, target: &Target) -> Result<Released, ComponentError> {
    let raw = name.raw();
    let refused = |why: &str| ComponentError::vendors(format!("{raw} {why}"));
    let facts = target.custom.get(FACTS).cloned().unwrap_or_default();
    let read: Facts =
        serde_json::from_value(facts.clone()).map_err(|error| refused(&format!("does not read: {error}")))?;
    let spec = ComponentSpec {
        organisation: None,
        name: read.name,
        version: read.version,
        kind: read.kind,
        models: read.models,
        sites: Vec::new(),
        unit: read.unit,
        health: read.health,
    };
    if !vendor.components.contains(&spec.name) {
        return Err(refused("is of a component that is not this vendor's"));
    }
    spec.check()?;
    // Also what reads as another name once `..` is followed.
    if spec.target() != raw || name.resolved() != raw {
        return Err(refused("is not the name of the component and version that it is said to be"));
    }
    if !target._extra.is_empty() || target.custom.len() != 1 {
        return Err(refused("says more than is understood"));
    }
    if read.unpacked.is_some_and(|_| spec.kind != ComponentKind::Archive) {
        return Err(refused("is unpacked, and no archive"));
    }
    let hash = target.hashes.sha256[..].try_into().map_err(|_| refused("has no SHA-256"))?;
    Ok(Released { spec, hash, size: target.length, facts: facts.to_string() })
}

/// What the NOC's targets delegate to vendors. Each is the last word on the names of its components.
pub(crate) fn delegations<'v>(
    vendors: impl IntoIterator<Item = &'v ComponentVendor>,
) -> Result<Delegations, ComponentError> {
    let mut delegations = Delegations::new();
    for vendor in vendors {
        let mut keyids = Vec::new();
        for public in &vendor.keys {
            let key = public_key(public)?;
            let id = key_id(&key)?;
            delegations.keys.insert(id.clone(), key);
            keyids.push(id);
        }
        let path = |name: &String| PathPattern::new(format!("{name}_*")).map_err(|error| metadata(&error));
        delegations.roles.push(DelegatedRole {
            name: vendor.role(),
            keyids,
            threshold: NonZeroU64::new(vendor.threshold).unwrap_or(NonZeroU64::MIN),
            paths: PathSet::Paths(vendor.components.iter().map(path).collect::<Result<_, _>>()?),
            terminating: true,
            targets: None,
        });
    }
    Ok(delegations)
}

/// Whether somebody can be a vendor; as it is kept, with keys in one form.
pub(crate) fn check_vendor(vendor: ComponentVendor) -> Result<ComponentVendor, ComponentError> {
    let ComponentVendor { vendor: handle, components, keys, threshold } = vendor;
    if handle.len() > MAX_HANDLE || check_name(&handle).is_err() {
        let why = format!("is not 1 to {MAX_HANDLE} lower-case letters, digits and dashes");
        return Err(ComponentError::invalid("vendor", why));
    }
    components.iter().try_for_each(|name| check_name(name))?;
    let components: BTreeSet<String> = components.into_iter().collect();
    if !(1..=MOST_COMPONENTS).contains(&components.len()) {
        return Err(ComponentError::invalid("components", format!("are 1 to {MOST_COMPONENTS} names")));
    }
    let publics = keys.iter().map(|key| public_text(key)).collect::<Result<BTreeSet<_>, _>>()?;
    if publics.len() != keys.len() || !(1..=MOST_KEYS).contains(&keys.len()) {
        return Err(ComponentError::invalid("keys", format!("are 1 to {MOST_KEYS} different ones")));
    }
    if !(1..=publics.len() as u64).contains(&threshold) {
        return Err(ComponentError::invalid("threshold", format!("must be 1 to {}, as there are keys", publics.len())));
    }
    let (components, keys) = (components.into_iter().collect(), publics.into_iter().collect());
    Ok(ComponentVendor { vendor: handle, components, keys, threshold })
}

/// Whether the vendors that a root names leave one as it wants to be.
pub(crate) fn check_named(vendor: &ComponentVendor, named: &[ComponentVendor]) -> Result<(), ComponentError> {
    let refused = |why: String| Err(ComponentError::VendorNamed { why });
    for name in &vendor.components {
        let Some(of) = named.iter().find(|of| of.components.contains(name)) else { continue };
        if of.vendor != vendor.vendor {
            return refused(format!("the root names {} for {name}", of.vendor));
        }
        if !vendor.keys.iter().all(|key| of.keys.contains(key)) {
            return refused(format!("the root names other keys of {} for {name}", of.vendor));
        }
        if vendor.threshold < of.threshold {
            return refused(format!("the root asks for {} signatures of {} for {name}", of.threshold, of.vendor));
        }
    }
    Ok(())
}

/// Reads what a vendor handed in about itself.
///
/// # Errors
/// Names the file.
pub fn read_vendor(path: &Path) -> Result<ComponentVendor, ComponentError> {
    let unread = |source| ComponentError::Read { path: path.to_owned(), source };
    let refused = |why: String| ComponentError::NotVendors { path: path.to_owned(), why };
    if fs::metadata(path).map_err(unread)?.len() > LARGEST {
        return Err(refused(format!("it has more than {LARGEST} bytes")));
    }
    let text = fs::read(path).map_err(unread)?;
    let vendor = serde_json::from_slice(&text).map_err(|error| refused(error.to_string()))?;
    check_vendor(vendor)
}

/// SHA-256 of a vendor's keys as a person compares it: over the sorted hexadecimal keys and the threshold.
pub fn fingerprint(vendor: &ComponentVendor) -> String {
    let text = format!("{} {}", vendor.threshold, vendor.keys.join(" "));
    let digest = HEXLOWER.encode(&Sha256::digest(text.as_bytes()));
    let groups: Vec<&str> = (0..8).filter_map(|n| digest.get(n * 4..n * 4 + 4)).collect();
    groups.join(" ")
}

/// A vendor as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VendorView {
    /// Handle, components, keys and threshold.
    #[serde(flatten)]
    pub vendor: ComponentVendor,
    /// To be compared with what the vendor says it is.
    pub fingerprint: String,
    /// The number of its metadata; none while it has published nothing.
    pub version: Option<u64>,
    /// Until when they are good, Unix seconds.
    pub expires: Option<u64>,
    /// Whether the root names it: then no key but the root's can take its components from it.
    pub named_by_root: bool,
    /// When it was registered, Unix seconds.
    pub added: u64,
    /// When it was removed, if it was.
    pub removed: Option<u64>,
}
