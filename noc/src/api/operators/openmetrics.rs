//! The last beat of each appliance of an organisation as OpenMetrics, for Prometheus and whatever else scrapes.
//!
//! Whether an application's value is a counter or a gauge is not said by a beat, so all are told as gauges of one family, by name.

use super::{number, scope, see};
use crate::api::caller::Caller;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault};
use crate::operators::Role;
use crate::operators::access::{Needs, OrganisationId, Scope};
use crate::store::{appliances, organisations, sites, word};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use muster_protocol::api::{ApplianceRecord, BeatValues, Health};
use muster_protocol::id::SiteId;
use std::collections::BTreeMap;
use std::fmt::Write;

const READ: Needs = Needs::Scope(Scope::ReadAppliances);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/organisations/{organisation}/metrics", scope(Scope::ReadAppliances), show)
            .says(
                "appliances",
                "The last beat of each appliance as OpenMetrics: for whoever sees the whole organisation",
            )
            .sends("application/openmetrics-text")
            .faults(&[404]),
    ]
}

/// `GET /v1/organisations/{organisation}/metrics`
async fn show(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Response, ApiError> {
    let id = OrganisationId(number(&id)?);
    let found = see(&app, caller, READ, move |db, access| {
        access.need_whole(Role::Viewer, id)?;
        organisations::find(db, id)?.ok_or(Fault::NotFound)?;
        let names: BTreeMap<SiteId, String> =
            sites::of_organisation(db, id)?.into_iter().map(|site| (site.id, site.name)).collect();
        Ok((names, appliances::of_organisation(db, id)?))
    });
    let (names, records) = found.await?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], page(&names, &records)).into_response())
}

/// A value of an appliance; none if it was not told.
type Told = fn(&ApplianceRecord, &BeatValues) -> Option<f64>;

const FAMILIES: [(&str, &str, Told); 7] = [
    ("muster_appliance_uptime_seconds", "Since it started", |_, beat| Some(beat.uptime_s as f64)),
    ("muster_appliance_load1", "One-minute load average", |_, beat| Some(beat.load)),
    ("muster_appliance_memory_used_ratio", "Memory in use", |_, beat| Some(beat.memory_percent / 100.0)),
    ("muster_appliance_disk_used_ratio", "Space in use on the fullest local disk", |_, beat| {
        Some(beat.disk_percent / 100.0)
    }),
    ("muster_appliance_disk_free_bytes", "Free space on it", |_, beat| Some(beat.disk_free as f64)),
    ("muster_appliance_temperature_celsius", "The hottest sensor", |_, beat| beat.host.as_ref()?.temperature_c),
    ("muster_appliance_last_beat_timestamp_seconds", "When it was last heard, Unix time", |record, _| {
        record.last_beat.map(|at| at as f64)
    }),
];

fn page(names: &BTreeMap<SiteId, String>, records: &[ApplianceRecord]) -> String {
    let mut text = String::new();
    let labels: Vec<String> = records.iter().map(|record| labels(names, record)).collect();
    family(&mut text, "muster_appliance_health", "1 for how it stands with beats");
    for (record, labels) in records.iter().zip(&labels) {
        let health = word(&record.health);
        sample(&mut text, "muster_appliance_health", &format!("{labels},health=\"{health}\""), 1.0);
    }
    family(&mut text, "muster_appliance_up", "1 while its beats arrive in time");
    for (record, labels) in records.iter().zip(&labels) {
        let is_up = matches!(record.health, Health::Well | Health::Failing | Health::Recovering);
        sample(&mut text, "muster_appliance_up", labels, f64::from(u8::from(is_up)));
    }
    for (name, help, told) in FAMILIES {
        family(&mut text, name, help);
        for (record, labels) in records.iter().zip(&labels) {
            let value = record.beat.as_ref().and_then(|beat| told(record, beat));
            if let Some(value) = value {
                sample(&mut text, name, labels, value);
            }
        }
    }
    family(&mut text, "muster_application_value", "What applications report, counters and gauges, by name");
    for (record, labels) in records.iter().zip(&labels) {
        for (name, value) in record.beat.iter().flat_map(|beat| &beat.counters) {
            sample(&mut text, "muster_application_value", &format!("{labels},name=\"{}\"", escaped(name)), *value);
        }
    }
    text += "# EOF\n";
    text
}

fn labels(names: &BTreeMap<SiteId, String>, record: &ApplianceRecord) -> String {
    let site = record.site.and_then(|site| names.get(&site)).map_or("", String::as_str);
    let host = record.settings.as_ref().map_or("", |settings| settings.host_name.as_str());
    let (host, site, model) = (escaped(host), escaped(site), escaped(&record.model));
    format!("uid=\"{}\",host=\"{host}\",site=\"{site}\",model=\"{model}\"", record.uid)
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn family(text: &mut String, name: &str, help: &str) {
    *text += &format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
}

fn sample(text: &mut String, name: &str, labels: &str, value: f64) {
    // A `String` takes everything.
    let _ = writeln!(text, "{name}{{{labels}}} {value}");
}
