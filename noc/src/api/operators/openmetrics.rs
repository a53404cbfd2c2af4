//! The last beat of each appliance of an organisation as OpenMetrics, for Prometheus and whatever else scrapes.
//!
//! Whether an application's value is a counter or a gauge is not said by a beat, so all are told as gauges of one family, by name.

use super::{number, scope, see};
use crate::api::caller::Caller;
use crate::api::route::Route;
use crate::api::{ApiError, App, Fault};
use crate::measurements::{APPLICATION, FAMILIES, Family, UP, up};
use crate::operators::Role;
use crate::operators::access::{Needs, OrganisationId, Scope};
use crate::store::{appliances, organisations, sites, word};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use muster_protocol::api::ApplianceRecord;
use muster_protocol::id::SiteId;
use std::collections::BTreeMap;
use std::fmt::Write;

const READ: Needs = Needs::Scope(Scope::ReadAppliances);
const LAST_BEAT: &str = "muster_appliance_last_beat_timestamp_seconds";
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

fn page(names: &BTreeMap<SiteId, String>, records: &[ApplianceRecord]) -> String {
    let mut text = String::new();
    let labels: Vec<String> = records.iter().map(|record| labels(names, record)).collect();
    family(&mut text, "muster_appliance_health", "1 for how it stands with beats");
    for (record, labels) in records.iter().zip(&labels) {
        let health = word(&record.health);
        sample(&mut text, "muster_appliance_health", &format!("{labels},health=\"{health}\""), 1.0);
    }
    family(&mut text, UP, "1 while its beats arrive in time");
    for (record, labels) in records.iter().zip(&labels) {
        sample(&mut text, UP, labels, up(record.health));
    }
    for Family { name, help, told } in FAMILIES {
        family(&mut text, name, help);
        for (record, labels) in records.iter().zip(&labels) {
            if let Some(value) = record.beat.as_ref().and_then(told) {
                sample(&mut text, name, labels, value);
            }
        }
    }
    family(&mut text, LAST_BEAT, "When it was last heard, Unix time");
    for (record, labels) in records.iter().zip(&labels) {
        if let Some(at) = record.last_beat {
            sample(&mut text, LAST_BEAT, labels, at as f64);
        }
    }
    family(&mut text, APPLICATION, "What applications report, counters and gauges, by name");
    for (record, labels) in records.iter().zip(&labels) {
        for (name, value) in record.beat.iter().flat_map(|beat| &beat.counters) {
            sample(&mut text, APPLICATION, &format!("{labels},name=\"{}\"", escaped(name)), *value);
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
