//! The data folder: who may read it, whether its keys belong together, and how much room there is.

use super::{Finding, of_error};
use crate::clock;
use crate::config::{check_private, read_key};
use crate::tls::Authority;
use muster_protocol::crypto::keys::PublicKey;
use nix::sys::statvfs::statvfs;
use std::fs;
use std::path::Path;
use zeroize::Zeroizing;

/// Room on the disk below which the NOC will soon take no more beats, and below which it may do so any minute, MiB.
const LITTLE_MIB: u64 = 512;
const NONE_MIB: u64 = 64;
/// Days before its end from which the CA is spoken of.
const CA_DAYS: u64 = 365;

/// Keys that belong together.
pub(super) struct Keys {
    pub(super) root: PublicKey,
    pub(super) authority: Authority,
}

pub(super) fn permissions(path: &Path) -> Vec<Finding> {
    let exposed = |name: &str| check_private(&path.join(name)).err().map(|error| of_error("permissions", &error));
    let mut found: Vec<_> = ["root.key", "ca.key", "noc.sqlite"].into_iter().filter_map(exposed).collect();
    if let Err(error) = check_private(path) {
        let remedy = format!("Run `chmod 700 {}`.", path.display());
        found.push(Finding::warning("permissions", error, remedy));
    }
    if found.is_empty() {
        found.push(Finding::ok("permissions", "only the owner can read the folder, the keys and the database"));
    }
    found
}

pub(super) fn keys(path: &Path, findings: &mut Vec<Finding>) -> Option<Keys> {
    let root = match read_key(&path.join("root.key")) {
        Ok(root) => root.public(),
        Err(error) => {
            findings.push(of_error("keys", &error));
            return None;
        }
    };
    let read = |name: &str| fs::read_to_string(path.join(name)).map(Zeroizing::new).map_err(|e| format!("{name}: {e}"));
    let pair = read("ca.pem").and_then(|pem| Ok((pem, read("ca.key")?)));
    let loaded = pair.and_then(|(pem, key)| Authority::load(&pem, &key).map_err(|what| format!("ca.pem: {what}")));
    let authority = match loaded {
        Ok(authority) => authority,
        Err(what) => {
            findings.push(Finding::error("keys", what, "Restore ca.pem and ca.key from the same backup."));
            return None;
        }
    };
    findings.push(Finding::ok("keys", "the root key reads, and the CA's key fits its certificate"));
    findings.push(authority_end(&authority));
    Some(Keys { root, authority })
}

fn authority_end(authority: &Authority) -> Finding {
    let (end, now) = (authority.not_after(), clock::now());
    let days = end.saturating_sub(now) / 86_400;
    let remedy = "Change the keys with `muster-noc restore --new-keys` while this CA is trusted.";
    match end {
        end if end <= now => Finding::error("ca", "the CA's certificate has ended: nobody trusts this NOC", remedy),
        _ if days < CA_DAYS => Finding::warning("ca", format!("the CA's certificate ends in {days} days"), remedy),
        _ => Finding::ok("ca", format!("the CA's certificate is good for {days} days")),
    }
}

/// `database`: its size in bytes.
pub(super) fn disk(path: &Path, database: u64) -> Finding {
    let free = match statvfs(path) {
        Ok(found) => found.blocks_available() * found.fragment_size(),
        Err(error) => {
            let remedy = "Look at the disk that the folder is on.";
            return Finding::error("disk", format!("the room on the disk is not known: {error}"), remedy);
        }
    };
    let (mib, remedy) = (free >> 20, "Free space, or move the folder to a larger disk.");
    if mib < NONE_MIB {
        Finding::error("disk", format!("{mib} MiB are free: beats will be refused"), remedy)
    } else if mib < LITTLE_MIB || free < database {
        Finding::warning("disk", format!("{mib} MiB are free, beside a database of {} MiB", database >> 20), remedy)
    } else {
        Finding::ok("disk", format!("{mib} MiB are free"))
    }
}
