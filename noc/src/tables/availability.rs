//! Availability as CSV: a line for each appliance at each site.

use crate::availability::Month;
use crate::store::standings::{ApplianceAvailability, SiteAvailability, SiteReport};

const COLUMNS: [&str; 14] = [
    "month",
    "site",
    "host_name",
    "serial",
    "model",
    "uid",
    "percent",
    "available_s",
    "silent_s",
    "silences",
    "longest_silence_s",
    "maintenance_s",
    "noc_away_s",
    "since",
];

/// Appliances of sites, each with its site.
pub(crate) fn export(month: Month, sites: &[SiteReport]) -> String {
    let lines = sites.iter().flat_map(|of| of.appliances.iter().map(|one| line(month, &of.site, one)));
    super::table(&COLUMNS, lines)
}

fn line(month: Month, site: &SiteAvailability, one: &ApplianceAvailability) -> Vec<String> {
    let tally = one.tally;
    vec![
        month.to_string(),
        site.name.clone(),
        one.host_name.clone(),
        one.serial.clone(),
        one.model.clone(),
        one.uid.to_string(),
        one.percent.map(|percent| format!("{percent:.3}")).unwrap_or_default(),
        tally.available_s.to_string(),
        tally.silent_s.to_string(),
        tally.silences.to_string(),
        tally.longest_silence_s.to_string(),
        tally.maintenance_s.to_string(),
        tally.noc_away_s.to_string(),
        one.since.to_string(),
    ]
}
