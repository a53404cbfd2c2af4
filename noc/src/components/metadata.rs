//! The metadata of the repository: made of what the database says, signed with the NOC's own keys, kept in the database.
//!
//! An organisation that has components of its own reads metadata of its own, so that nobody learns what others run. All follow the
//! same roots and one numbering, so that an appliance goes from the one to the other and never back.

use super::ComponentError;
use super::keys::{Online, TufKey};
use super::root::{self, RootFile, SPECIFICATION, timestamp};
use super::vendor::{FACTS, delegations};
use crate::clock;
use crate::noc::Inner;
use crate::store::component_vendors;
use crate::store::components::{self as store, Live, Metadata};
use rusqlite::Connection;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tough::TargetName;
use tough::schema::{Delegations, Hashes, Metafile, Role, Signed, Snapshot, Target, Targets, Timestamp};

/// Seconds for which a timestamp is good, and before whose end it is made anew. A NOC that is down serves nothing anyway.
const TIMESTAMP_S: u64 = 2 * 86_400;
/// The same for targets and snapshot.
const TARGETS_S: u64 = 90 * 86_400;
/// How often it is looked whether they end before long.
const LOOK: Duration = Duration::from_secs(600);

/// Opens the NOC's keys for the root in force; none without a repository.
pub(crate) fn keys(db: &Connection, folder: &Path) -> Result<Option<Online>, ComponentError> {
    let Some(root) = store::newest_root(db)? else { return Ok(None) };
    let root = RootFile::parse(root).map_err(ComponentError::root)?;
    Online::for_root(folder, &root.online()?).map(Some)
}

/// Makes everything anew, after a change.
pub(crate) fn publish(db: &Connection, now: u64, online: &Online) -> Result<(), ComponentError> {
    let version = store::next_version(db, now)?;
    let (delegations, of_vendors) = vendors(db)?;
    for view in store::views(db)? {
        let targets = targets(&store::live(db, view)?, delegations.clone(), version, now + TARGETS_S)?;
        let targets = sign(targets, &online.targets)?;
        let expires = now + TARGETS_S;
        let snapshot = Snapshot {
            meta: of_vendors.clone().into_iter().chain(meta(("targets.json", &targets, version))).collect(),
            ..Snapshot::new(specification(), number(version), timestamp(expires)?)
        };
        let snapshot = sign(snapshot, &online.snapshot)?;
        let (targets_name, snapshot_name) = (format!("{version}.targets.json"), format!("{version}.snapshot.json"));
        store::put(db, &Metadata { view, name: &targets_name, version, expires, text: &targets })?;
        store::put(db, &Metadata { view, name: &snapshot_name, version, expires, text: &snapshot })?;
        stamp(db, view, version, (&snapshot, version), now, online)?;
        store::prune(db, view)?;
    }
    Ok(())
}

/// Makes anew what would end before long; whether anything was.
pub(crate) fn refresh(db: &Connection, now: u64, online: &Online) -> Result<bool, ComponentError> {
    if !ends_soon(db, now)? {
        return Ok(false);
    }
    let (_, rest) = store::earliest_end(db)?;
    if rest.is_none_or(|end| end < now + TARGETS_S / 2) {
        return publish(db, now, online).map(|()| true);
    }
    let version = store::next_version(db, now)?;
    for view in store::views(db)? {
        match store::newest_snapshot(db, view)? {
            Some((snapshot, of)) => stamp(db, view, version, (&snapshot, of), now, online)?,
            None => return publish(db, now, online).map(|()| true),
        }
    }
    Ok(true)
}

/// Makes anew, while the NOC serves, what would end before long: nobody is told that its metadata are too old.
pub(crate) async fn keep(noc: Arc<Inner>, stop: CancellationToken) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {}
        }
        let now = clock::now();
        let is_due =
            noc.store.read(move |db| Ok::<_, ComponentError>(store::repository(db)?.is_some() && ends_soon(db, now)?));
        let made = match is_due.await {
            Ok(false) => continue,
            Ok(true) => {
                let path = noc.path.clone();
                // Appliances shall have the same as before.
                let made = noc.store.write_history(move |db| match keys(db, &path)? {
                    Some(online) => refresh(db, now, &online),
                    None => Ok(false),
                });
                made.await
            }
            Err(error) => Err(error),
        };
        match made {
            Ok(made) => tracing::debug!(made, "the metadata of components were looked at"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(
                    error,
                    "the metadata of components were not made anew: appliances will take them for too old"
                );
            }
        }
    }
}

/// Whether [`refresh`] has something to do.
fn ends_soon(db: &Connection, now: u64) -> Result<bool, ComponentError> {
    let (timestamps, rest) = store::earliest_end(db)?;
    Ok(timestamps.is_none_or(|end| end < now + TIMESTAMP_S / 2) || rest.is_none_or(|end| end < now + TARGETS_S / 2))
}

/// Makes a timestamp over a snapshot.
fn stamp(
    db: &Connection,
    view: u32,
    version: u64,
    (snapshot, of): (&[u8], u64),
    now: u64,
    online: &Online,
) -> Result<(), ComponentError> {
    let expires = now + TIMESTAMP_S;
    let stamped = Timestamp {
        meta: meta(("snapshot.json", snapshot, of)),
        ..Timestamp::new(specification(), number(version), timestamp(expires)?)
    };
    let text = sign(stamped, &online.timestamp)?;
    Ok(store::put(db, &Metadata { view, name: "timestamp.json", version, expires, text: &text })?)
}

/// What is delegated to vendors that have published, and what the snapshot says of all that ever did: whoever has seen a file
/// listed wants it listed for ever, and under no lower number.
fn vendors(db: &Connection) -> Result<(Delegations, HashMap<String, Metafile>), ComponentError> {
    let (mut signing, mut listed) = (Vec::new(), HashMap::new());
    for vendor in component_vendors::all(db)? {
        let Some(signed) = component_vendors::newest(db, vendor.id)? else { continue };
        let name = format!("{}.json", vendor.vendor.role());
        listed.extend(meta((&name, &signed.text, signed.version)));
        if vendor.version.is_some() {
            signing.push(vendor.vendor);
        }
    }
    Ok((delegations(&signing)?, listed))
}

fn targets(live: &[Live], delegations: Delegations, version: u64, expires: u64) -> Result<Targets, ComponentError> {
    let mut targets = Targets::new(specification(), number(version), timestamp(expires)?);
    targets.delegations = Some(delegations);
    for component in live {
        let name = TargetName::new(component.target.as_str()).map_err(|error| root::metadata(&error))?;
        let facts: Value = serde_json::from_str(&component.facts).map_err(|error| root::metadata(&error))?;
        let hashes = Hashes { sha256: component.hash.to_vec().into(), _extra: HashMap::new() };
        let custom = HashMap::from([(FACTS.to_owned(), facts)]);
        targets.targets.insert(name, Target { length: component.size, hashes, custom, _extra: HashMap::new() });
    }
    Ok(targets)
}

fn meta((name, text, version): (&str, &[u8], u64)) -> HashMap<String, Metafile> {
    let hashes = Hashes { sha256: Sha256::digest(text).to_vec().into(), _extra: HashMap::new() };
    let file = Metafile {
        length: Some(text.len() as u64),
        hashes: Some(hashes),
        version: number(version),
        _extra: HashMap::new(),
    };
    HashMap::from([(name.to_owned(), file)])
}

fn sign<T: Role + Serialize>(role: T, key: &TufKey) -> Result<Vec<u8>, ComponentError> {
    let data = role.canonical_form().map_err(|error| root::metadata(&error))?;
    let signed = Signed { signed: role, signatures: vec![key.sign(&data)?] };
    serde_json::to_vec(&signed).map_err(|error| root::metadata(&error))
}

fn specification() -> String {
    SPECIFICATION.to_owned()
}

fn number(version: u64) -> NonZeroU64 {
    NonZeroU64::new(version).unwrap_or(NonZeroU64::MIN)
}
