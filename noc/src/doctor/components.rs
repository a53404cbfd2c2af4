//! The repository of components: keys that fit its root, metadata that are good for a while, files that are there.

use super::{Finding, of_error};
use crate::clock;
use crate::components::folder;
use crate::components::keys::Online;
use crate::components::refused_vendors;
use crate::components::root::RootFile;
use crate::error::StoreError;
use crate::store::{component_vendors, components};
use rusqlite::Connection;
use std::path::Path;

const CHECK: &str = "components";
/// Days before its end from which a root is spoken of.
const ROOT_DAYS: u64 = 60;
/// The same for what a vendor signed.
const VENDOR_DAYS: u64 = 30;

/// Looks at everything; nothing without a repository.
pub(super) fn examine(path: &Path, db: &Connection, findings: &mut Vec<Finding>) {
    let root = match components::newest_root(db) {
        Ok(None) => return,
        Ok(Some(root)) => root,
        Err(error) => return findings.push(of_error(CHECK, &error)),
    };
    let before = findings.len();
    match RootFile::parse(root) {
        Ok(root) => {
            findings.extend(root_end(&root));
            let fits = root.online().and_then(|wanted| Online::look(path, &wanted));
            findings.extend(fits.err().map(|error| of_error(CHECK, &error)));
        }
        Err(why) => {
            let what = format!("the root in the database does not read: {why}");
            findings.push(Finding::error(CHECK, what, "Restore the database from a backup."));
        }
    }
    match components::earliest_end(db) {
        Ok((Some(end), Some(_))) if end > clock::now() => {}
        Ok(_) => findings.push(Finding::warning(
            CHECK,
            "the metadata have ended: appliances install nothing",
            "Serve the NOC, which makes them anew, and look at its log.",
        )),
        Err(error) => findings.push(of_error(CHECK, &error)),
    }
    findings.extend(vendors(db));
    match components::all(db) {
        Ok(all) => {
            let live = all.iter().filter(|one| one.retired.is_none()).map(|one| (one.sha256.as_str(), one.size));
            let missing = folder::missing(path, live);
            if !missing.is_empty() {
                let named =
                    |sha256: &String| all.iter().find(|one| one.sha256 == *sha256).map(|one| one.target.clone());
                let names: Vec<_> = missing.iter().filter_map(named).collect();
                let what = format!("files are missing or cut: {}", names.join(", "));
                findings.push(Finding::error(CHECK, what, "Restore them from a backup, or retire these components."));
            }
        }
        Err(error) => findings.push(of_error(CHECK, &error)),
    }
    if findings.len() == before {
        findings.push(Finding::ok(CHECK, "keys fit the root, metadata are good, and every file is there"));
    }
}

/// Vendors whose metadata end, and those that the root does not name as they are registered.
fn vendors(db: &Connection) -> Vec<Finding> {
    let now = clock::now();
    let ending = component_vendors::all(db).and_then(|all| {
        let in_force = all.into_iter().filter(|vendor| vendor.version.is_some());
        let ends = in_force.map(|vendor| Ok((vendor.vendor.vendor, component_vendors::newest(db, vendor.id)?)));
        ends.collect::<Result<Vec<_>, StoreError>>()
    });
    let ending = match ending {
        Ok(ending) => ending,
        Err(error) => return vec![of_error(CHECK, &error)],
    };
    let soon = ending.into_iter().filter_map(|(vendor, signed)| {
        let end = signed?.expires;
        let days = end.saturating_sub(now) / 86_400;
        let remedy = "Have the vendor run `muster-noc component vendor renew`, sign, and publish what it signed.";
        match end {
            end if end <= now => {
                let what = format!("what the vendor {vendor} signed has ended: appliances install nothing of it");
                Some(Finding::error(CHECK, what, remedy))
            }
            _ if days < VENDOR_DAYS => {
                Some(Finding::warning(CHECK, format!("what the vendor {vendor} signed ends in {days} days"), remedy))
            }
            _ => None,
        }
    });
    let mut findings: Vec<Finding> = soon.collect();
    match refused_vendors(db) {
        Ok(refused) => findings.extend(refused.into_iter().map(|(vendor, why)| {
            let what = format!("appliances refuse components of the vendor {vendor}: {why}");
            Finding::error(
                CHECK,
                what,
                "Change the vendor, or put a successor of the root in force that names it as it is.",
            )
        })),
        Err(error) => findings.push(of_error(CHECK, &error)),
    }
    findings
}

fn root_end(root: &RootFile) -> Option<Finding> {
    let (end, now) = (root.expires(), clock::now());
    let days = end.saturating_sub(now) / 86_400;
    let remedy =
        "Make its successor with `muster-noc component root next`, have it signed, and put it in force with `rotate`.";
    match end {
        end if end <= now => Some(Finding::error(CHECK, "the root has ended: appliances install nothing", remedy)),
        _ if days < ROOT_DAYS => Some(Finding::warning(CHECK, format!("the root ends in {days} days"), remedy)),
        _ => None,
    }
}
