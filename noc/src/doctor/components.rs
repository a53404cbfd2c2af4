//! The repository of components: keys that fit its root, metadata that are good for a while, files that are there.

use super::{Finding, of_error};
use crate::clock;
use crate::components::folder;
use crate::components::keys::Online;
use crate::components::root::RootFile;
use crate::store::components;
use rusqlite::Connection;
use std::path::Path;

const CHECK: &str = "components";
/// Days before its end from which a root is spoken of.
const ROOT_DAYS: u64 = 60;

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
