//! Sites as CSV.

use super::{Faults, TableError, cell, rows_of, table};
use crate::api::ApiError;
use crate::audit::By;
use crate::noc::Noc;
use crate::operators::OrganisationId;
use crate::policy::site::{SiteError, SiteSpec};
use crate::store::{changes, sites, word};
use muster_protocol::api::{Inheritable, RequiredProof, Site};
use muster_protocol::id::SiteId;
use muster_protocol::parameters::{Confirm, DriftPolicy};
use rusqlite::Connection;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The columns, in the order in which they are written; those that are absent are empty.
const COLUMNS: [&str; 20] = [
    "name",
    "pool",
    "exclude",
    "netmask",
    "gateway",
    "domain",
    "dns1",
    "dns2",
    "ntp",
    "search_domains",
    "pool6",
    "gateway6",
    "host_name",
    "beat_interval_s",
    "confirm",
    "window_s",
    "drift",
    "application",
    "proof",
    "inherit",
];
/// Most rows in one go.
const MAX_ROWS: usize = 10_000;

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct SiteReport {
    /// Sites that are new.
    pub added: usize,
    /// Those that have other values now.
    pub changed: usize,
    /// Those that were so already.
    pub unchanged: usize,
}

impl Noc {
    /// Takes in sites of an organisation as CSV, by their names: every line, or none. Settings in force stay as they are.
    pub fn import_sites(&self, organisation: OrganisationId, csv: &str) -> Result<SiteReport, TableError> {
        let csv = csv.to_owned();
        self.inner.store.write_now(move |db| import(db, &By::local(), organisation, &csv))
    }

    /// An organisation's sites as CSV.
    pub fn export_sites(&self, organisation: OrganisationId) -> Result<String, TableError> {
        self.inner.store.read_now(move |db| Ok(export(sites::of_organisation(db, organisation)?)))
    }
}

/// Takes in CSV for an organisation.
pub(crate) fn import(
    db: &Connection,
    by: &By,
    organisation: OrganisationId,
    csv: &str,
) -> Result<SiteReport, TableError> {
    let mut faults = Faults::default();
    let mut report = SiteReport::default();
    let rows = rows_of(csv, &COLUMNS, MAX_ROWS, &mut faults);
    let known: BTreeMap<String, Site> =
        sites::of_organisation(db, organisation)?.into_iter().map(|site| (site.name.clone(), site)).collect();
    let mut first: BTreeMap<String, u64> = BTreeMap::new();
    for (line, mut row) in rows {
        // Of a site that is there, a column that the table does not have stays as it is.
        if let Some(known) = known.get(cell(&row, 0).trim()) {
            for (place, value) in row.iter_mut().zip(cells(known.clone())) {
                place.get_or_insert(value);
            }
        }
        let Some(spec) = read(line, &row, &mut faults) else { continue };
        if let Some(before) = first.insert(spec.name.trim().to_owned(), line) {
            faults.add(line, "name", format!("the site is on line {before} already"));
            continue;
        }
        let site = spec.into_site(SiteId(0));
        let kept = match known.get(&site.name) {
            Some(known) => {
                let site = Site { id: known.id, ..site };
                let kept = changes::change_site_if_new(db, by, known, site);
                kept.map(|is_changed| {
                    report.changed += usize::from(is_changed);
                    report.unchanged += usize::from(!is_changed);
                })
            }
            None => changes::add_site(db, by, organisation, site).map(|_| report.added += 1),
        };
        match kept {
            Ok(()) => {}
            Err(SiteError::Invalid(found)) => {
                for fault in found {
                    faults.add(line, &fault.field, fault.message);
                }
            }
            Err(SiteError::Store(error)) => return Err(error.into()),
            Err(other) => return Err(ApiError::Site(other).into()),
        }
    }
    faults.check("sites")?;
    Ok(report)
}

/// Sites as CSV.
pub(crate) fn export(sites: Vec<Site>) -> String {
    table(&COLUMNS, sites.into_iter().map(cells))
}

/// A site's cells, in the order of the columns.
fn cells(site: Site) -> Vec<String> {
    let drift = match site.drift {
        None => "image".to_owned(),
        Some(drift) => word(&drift),
    };
    let inherit: Vec<_> = site.inherit.iter().map(|value| value.word()).collect();
    vec![
        site.name,
        site.pool,
        site.exclude,
        site.netmask,
        site.gateway,
        site.domain,
        site.dns1,
        site.dns2,
        site.ntp,
        site.search_domains,
        site.pool6,
        site.gateway6,
        site.host_name,
        site.beat_interval_s.to_string(),
        word(&site.confirm),
        site.window_s.to_string(),
        drift,
        site.application,
        site.proof.word().to_owned(),
        inherit.join(" "),
    ]
}

/// A row as a site. An empty cell of what has a usual value is that.
fn read(line: u64, row: &[Option<String>], faults: &mut Faults) -> Option<SiteSpec> {
    let before = faults.0.len();
    let text = |name: &str| cell(row, COLUMNS.iter().position(|column| *column == name).unwrap_or(COLUMNS.len()));
    let host_name = Some(text("host_name")).filter(|name| !name.is_empty());
    let confirm = match text("confirm").as_str() {
        "" | "kick_start" => Confirm::KickStart,
        "first_beat" => Confirm::FirstBeat,
        _ => {
            faults.add(line, "confirm", "`confirm` is neither kick_start nor first_beat".to_owned());
            Confirm::KickStart
        }
    };
    let drift = match text("drift").as_str() {
        "" | "image" => None,
        "report" => Some(DriftPolicy::Report),
        "restore" => Some(DriftPolicy::Restore),
        _ => {
            faults.add(line, "drift", "`drift` is none of image, report and restore".to_owned());
            None
        }
    };
    let said = text("proof");
    let proof = RequiredProof::ALL.into_iter().find(|proof| said == proof.word());
    if proof.is_none() && !said.is_empty() {
        faults.add(line, "proof", "`proof` is none of any, claim and voucher".to_owned());
    }
    let mut inherit = Vec::new();
    for name in text("inherit").split([' ', ',']).filter(|name| !name.is_empty()) {
        match Inheritable::ALL.into_iter().find(|value| value.word() == name) {
            Some(value) => inherit.push(value),
            None => {
                let words = Inheritable::ALL.map(Inheritable::word).join(", ");
                faults.add(line, "inherit", format!("`inherit` names something else than {words}"));
            }
        }
    }
    let spec = SiteSpec {
        name: text("name"),
        pool: text("pool"),
        netmask: text("netmask"),
        gateway: text("gateway"),
        domain: text("domain"),
        dns1: text("dns1"),
        dns2: text("dns2"),
        ntp: text("ntp"),
        search_domains: text("search_domains"),
        pool6: text("pool6"),
        gateway6: text("gateway6"),
        host_name: host_name.unwrap_or_else(|| "{model}-{n:03}".to_owned()),
        beat_interval_s: number(line, "beat_interval_s", &text("beat_interval_s"), 60, faults),
        confirm,
        window_s: number(line, "window_s", &text("window_s"), 90, faults),
        drift,
        application: text("application"),
        proof: proof.unwrap_or_default(),
        exclude: text("exclude"),
        inherit,
    };
    (faults.0.len() == before).then_some(spec)
}

fn number<T: std::str::FromStr>(line: u64, name: &str, text: &str, usual: T, faults: &mut Faults) -> T {
    match text {
        "" => usual,
        text => text.parse().unwrap_or_else(|_| {
            faults.add(line, name, format!("`{name}` is no number of seconds"));
            usual
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::policy::site::tests::spec6;
    use super::*;

    #[test]
    fn what_is_exported_is_read_alike() {
        let mut site = SiteSpec {
            name: "=Bern, \"1\"".into(),
            exclude: "192.0.2.20, 2001:db8:7::5".into(),
            inherit: vec![Inheritable::Domain, Inheritable::WindowS],
            drift: Some(DriftPolicy::Restore),
            ntp: "ntp.example.net 2001:db8::7b".into(),
            search_domains: "example.org".into(),
            application: "{\"a\":[1,\"=x\"]}".into(),
            proof: RequiredProof::Voucher,
            confirm: Confirm::FirstBeat,
            ..spec6()
        };
        let csv = export(vec![site.clone().into_site(SiteId(1))]);
        assert!(csv.contains("'=Bern"), "{csv}");
        let mut faults = Faults::default();
        let rows = rows_of(&csv, &COLUMNS, MAX_ROWS, &mut faults);
        let read_again = read(rows[0].0, &rows[0].1, &mut faults).expect("reads");
        assert_eq!((faults.lines(), &read_again), (Vec::new(), &site));
        // A short table has the usual values.
        let rows = rows_of("name;pool;netmask;domain\nA;192.0.2.1;/24;a.example\n", &COLUMNS, 9, &mut faults);
        site = read(rows[0].0, &rows[0].1, &mut faults).expect("reads");
        assert_eq!((site.host_name.as_str(), site.beat_interval_s, site.window_s), ("{model}-{n:03}", 60, 90));
    }

    #[test]
    fn every_wrong_cell_is_named() {
        let csv = "name,confirm,drift,inherit,window_s,proof\nA,x,,,,\nB,,x,,,\nC,,,x,,\nD,,,,x,\nE,,,,,open\n";
        let mut faults = Faults::default();
        for (line, row) in rows_of(csv, &COLUMNS, 9, &mut faults) {
            assert!(read(line, &row, &mut faults).is_none());
        }
        assert_eq!(faults.lines(), [2, 3, 4, 5, 6]);
    }
}
