//! Who may sign for a target: the NOC, or the vendor that its component was delegated to (decision 0049).
//!
//! `tough` has verified signatures and versions. The search is our own, and stricter than the specification's: what matches a
//! delegation is never taken from the NOC's own list, and where the root names a vendor, the NOC cannot name another one.

use super::Problem;
use data_encoding::HEXLOWER;
use muster_protocol::component::{ComponentVendor, RootFacts};
use std::collections::BTreeSet;
use tough::TargetName;
use tough::schema::key::Key;
use tough::schema::{DelegatedRole, Delegations, Root, Target, Targets};

/// What a root says beside the specification.
const FACTS: &str = "muster";

/// Vendors that a root names.
pub(super) fn named(root: &Root) -> Result<Vec<ComponentVendor>, Problem> {
    let Some(facts) = root._extra.get(FACTS) else { return Ok(Vec::new()) };
    let facts: RootFacts = serde_json::from_value(facts.clone()).map_err(|error| {
        Problem::passing("repository", format!("what the repository's root says of vendors cannot be read ({error})"))
    })?;
    Ok(facts.vendors)
}

/// The target, from whoever may sign for it.
pub(super) fn find<'t>(
    top: &'t Targets,
    vendors: &[ComponentVendor],
    name: &TargetName,
    time: u64,
) -> Result<&'t Target, Problem> {
    let raw = name.raw();
    let unknown = || Problem::passing("target_unknown", format!("the repository has no {raw}. Publish it"));
    let component = raw.split_once('_').map_or(raw, |(component, _)| component);
    let vendor = vendors.iter().find(|vendor| vendor.components.iter().any(|known| known == component));
    let delegations = top.delegations.as_ref();
    let role = delegations.and_then(|delegations| delegations.roles.iter().find(|role| covers(role, name)));
    match (role.zip(delegations), vendor) {
        (None, None) => top.targets.get(name).ok_or_else(unknown),
        (None, Some(vendor)) => {
            let vendor = &vendor.vendor;
            Err(foreign(format!("{raw} is the vendor {vendor}'s to sign, and the NOC signed for it or nobody did")))
        }
        (Some((role, delegations)), vendor) => {
            if let Some(vendor) = vendor
                && !is_of(role, delegations, vendor)
            {
                let vendor = &vendor.vendor;
                let text = format!("{raw} is signed with other keys than the root names for the vendor {vendor}");
                return Err(foreign(text));
            }
            let signed = &role.targets.as_ref().ok_or_else(unknown)?.signed;
            if signed.expires.as_second() <= i64::try_from(time).unwrap_or(i64::MAX) {
                let (role, at) = (&role.name, signed.expires);
                let text = format!("the {role} metadata expired at {at}: the vendor must sign them again");
                return Err(Problem::passing("repository_expired", text));
            }
            signed.targets.get(name).ok_or_else(unknown)
        }
    }
}

fn foreign(text: String) -> Problem {
    Problem::passing("vendor", format!("{text}. Nothing of it is installed"))
}

/// Whether a name was delegated to a role.
fn covers(role: &DelegatedRole, name: &TargetName) -> bool {
    let DelegatedRole { name: role, keyids, threshold, paths, terminating, targets: _ } = role;
    let alone = DelegatedRole {
        name: role.clone(),
        keyids: keyids.clone(),
        threshold: *threshold,
        paths: paths.clone(),
        terminating: *terminating,
        targets: None,
    };
    Delegations { keys: Default::default(), roles: vec![alone] }.target_is_delegated(name)
}

/// Whether a role is the one that the root names: with no other keys, each of them once, and no lower threshold.
fn is_of(role: &DelegatedRole, delegations: &Delegations, vendor: &ComponentVendor) -> bool {
    let public = |id| match delegations.keys.get(id) {
        Some(Key::Ed25519 { keyval, .. }) => Some(HEXLOWER.encode(&keyval.public)),
        _ => None,
    };
    let keys: Option<BTreeSet<String>> = role.keyids.iter().map(public).collect();
    role.name == vendor.role()
        && role.threshold.get() >= vendor.threshold
        && keys.is_some_and(|keys| {
            keys.len() == role.keyids.len() && keys.iter().all(|key| vendor.keys.iter().any(|known| known == key))
        })
}
