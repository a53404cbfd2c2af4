//! What a site's appliances would get by its policy, or by one that is thought of, without holding anything for them.

use super::appliances::{self, Appliance};
use super::holdings::{self, Holdings};
use super::plans::{applicant, explain, rules_of};
use super::{policies, rows};
use crate::api::{ApiError, Page, Window};
use crate::error::StoreError;
use crate::policy::allocation::Allocation;
use crate::policy::layers::{Layers, Policies};
use crate::policy::site::SiteError;
use crate::policy::values::Profile;
use muster_protocol::api::{Problem, Site};
use muster_protocol::id::{SiteId, Uid};
use muster_protocol::parameters::{NONE, RawSettings};
use rusqlite::{Connection, params};
use serde::Serialize;
use std::collections::BTreeMap;

/// What one appliance has, and what it would get if it were configured now.
#[derive(Clone, Debug, Serialize)]
pub struct PreviewRow {
    /// The appliance.
    pub uid: Uid,
    /// Its serial number, or empty.
    pub serial: String,
    /// Its model, or empty.
    pub model: String,
    /// The settings in force.
    pub current: Option<RawSettings>,
    /// What it would get; absent if there is nothing for it.
    pub settings: Option<RawSettings>,
    /// Which rule gives each value, by column.
    pub rules: BTreeMap<String, String>,
    /// The columns in which the two differ; empty for an appliance that would keep everything.
    pub changes: Vec<&'static str>,
    /// Why there is nothing for it.
    pub problem: Option<Problem>,
}

/// What the appliances of a site would get: all that are at it and not retired, in the order in which they became known, as in
/// a plan of all of them at once.
pub(crate) fn of_site(db: &Connection, layers: &Layers, now: u64) -> Result<Vec<PreviewRow>, SiteError> {
    let policies = layers.policies()?;
    let mut holdings = holdings::load(db, layers.site.id)?;
    let mut appliances = appliances::at(db, layers.site.id)?;
    appliances.retain(|appliance| !appliance.is_retired());
    let held = in_force_or_leased(db, layers.site.id, now)?;
    Ok(appliances.into_iter().map(|appliance| one(&policies, &mut holdings, &held, appliance)).collect())
}

/// A page of it. All of it is worked out for every page: what one gets hangs on what those before it get.
pub(crate) fn page(
    db: &Connection,
    layers: &Layers,
    now: u64,
    window: Window,
    only_changes: bool,
) -> Result<Page<PreviewRow>, ApiError> {
    let all = of_site(db, layers, now)?;
    let after = usize::try_from(window.after.unwrap_or(0)).unwrap_or(usize::MAX);
    let wanted = |row: &PreviewRow| !only_changes || !row.changes.is_empty() || row.problem.is_some();
    let numbered = all.into_iter().enumerate().filter(|(at, row)| *at >= after && wanted(row));
    let rows: Vec<(usize, PreviewRow)> = numbered.take(window.limit + 1).collect();
    let page = Page::of(rows, window.limit, |(at, _)| i64::try_from(at + 1).unwrap_or(i64::MAX));
    Ok(Page { items: page.items.into_iter().map(|(_, row)| row).collect(), next: page.next })
}

/// What each appliance has at a site: on lease before what is in force, as the next configuration would have it.
fn in_force_or_leased(db: &Connection, site: SiteId, now: u64) -> Result<BTreeMap<i64, Allocation>, StoreError> {
    let sql = "SELECT a.appliance, a.address, h.host_name, h.number,
               (SELECT x.address FROM addresses6 x WHERE x.appliance = a.appliance AND x.site = a.site
                AND (x.until IS NULL) = (a.until IS NULL))
               FROM addresses a JOIN host_names h ON h.appliance = a.appliance AND h.site = a.site
               AND (h.until IS NULL) = (a.until IS NULL)
               WHERE a.site = ?1 AND (a.until IS NULL OR a.until >= ?2) ORDER BY a.until IS NULL DESC";
    let read = |row: &rusqlite::Row<'_>| {
        let address6 = row.get::<_, Option<[u8; 16]>>(4)?.map(u128::from_be_bytes);
        let (address, host_name, number) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let held = Allocation { address, address6, host_name, number };
        Ok::<_, StoreError>((row.get::<_, i64>(0)?, held))
    };
    Ok(rows(db, sql, params![site.0, now], read)?.into_iter().collect())
}

fn one(
    policies: &Policies,
    holdings: &mut Holdings,
    held: &BTreeMap<i64, Allocation>,
    appliance: Appliance,
) -> PreviewRow {
    let policy = policies.of(&appliance.record.model);
    let applicant = applicant(&appliance);
    let (settings, rules, problem) = match holdings.book.allocate(policy, applicant, held.get(&appliance.id)) {
        Ok(allocation) => {
            let rules = rules_of(policy, holdings.book.reservations().of(applicant.named));
            (Some(policy.settings(allocation)), rules, None)
        }
        Err(error) => (None, BTreeMap::new(), Some(explain(policy, &error))),
    };
    let record = appliance.record;
    let changes = match (&record.settings, &settings) {
        (Some(current), Some(settings)) => differences(current, settings),
        (None, Some(settings)) => differences(&RawSettings::default(), settings),
        _ => Vec::new(),
    };
    PreviewRow {
        uid: record.uid,
        serial: record.serial,
        model: record.model,
        current: record.settings,
        settings,
        rules,
        changes,
        problem,
    }
}

/// The columns in which two settings differ, by what they mean: a netmask may be written in two ways.
pub(crate) fn differences(a: &RawSettings, b: &RawSettings) -> Vec<&'static str> {
    let meant = |settings: &RawSettings| {
        let mut meant = settings.tidied();
        // There are none, whether somebody said so or nobody said anything.
        if meant.application == "{}" {
            meant.application.clear();
        }
        for list in [&mut meant.ntp, &mut meant.search_domains] {
            if list == NONE {
                list.clear();
            }
        }
        meant
    };
    let (a, b) = (meant(a), meant(b));
    let columns = [
        ("host_name", &a.host_name, &b.host_name),
        ("domain", &a.domain, &b.domain),
        ("address", &a.address, &b.address),
        ("netmask", &a.netmask, &b.netmask),
        ("gateway", &a.gateway, &b.gateway),
        ("dns1", &a.dns1, &b.dns1),
        ("dns2", &a.dns2, &b.dns2),
        ("address6", &a.address6, &b.address6),
        ("gateway6", &a.gateway6, &b.gateway6),
        ("ntp", &a.ntp, &b.ntp),
        ("search_domains", &a.search_domains, &b.search_domains),
        ("application", &a.application, &b.application),
    ];
    columns.into_iter().filter(|(_, a, b)| a != b).map(|(name, _, _)| name).collect()
}

/// What is said about a site, with the site's own part replaced by one that is thought of.
pub(crate) fn thought_of(db: &Connection, site: Site, profiles: Option<Vec<Profile>>) -> Result<Layers, StoreError> {
    let mut layers = policies::layers(db, site)?;
    if let Some(profiles) = profiles {
        layers.profiles = profiles;
    }
    Ok(layers)
}
