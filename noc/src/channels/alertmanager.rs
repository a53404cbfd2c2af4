//! Prometheus Alertmanager, by its API v2. It groups, holds back and routes by itself, so it is told what is, not what happened: every open
//! alert again and again, each good until a time, and each that ended once more with its end.

use super::http::{Posting, basic, post};
use super::spec::{BELIEVED_S, address};
use super::{Batch, SendError, Sending, Sent, Target, ToldAlert};
use crate::clock::{self, rfc3339};
use crate::store::alert_events::Happening;
use crate::store::word;
use serde::Serialize;
use std::collections::BTreeMap;

/// Alerts in one request.
const TOGETHER: usize = 500;

#[derive(Serialize)]
struct Posted {
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
    #[serde(rename = "startsAt")]
    starts_at: String,
    #[serde(rename = "endsAt")]
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
}

pub(super) async fn send(sending: &Sending, batch: &Batch) -> Result<Sent, SendError> {
    let Target::Alertmanager { url, user, ca } = &sending.target else {
        return Err(SendError::Unwritable { why: "it is no Alertmanager".to_owned() });
    };
    let unwritable = |why: String| SendError::Unwritable { why };
    let uri =
        address(&format!("{}/api/v2/alerts", url.trim_end_matches('/'))).map_err(|e| unwritable(e.to_string()))?;
    let mut headers = Vec::new();
    if !user.is_empty() {
        headers.push(basic(user, &sending.secret));
    }
    let posted = posted(sending, batch, clock::now());
    let mut answer = "nothing to tell".to_owned();
    for part in posted.chunks(TOGETHER) {
        let body = serde_json::to_string(part).map_err(|error| unwritable(error.to_string()))?;
        answer = post(&uri, ca, &sending.reach, Posting::json(headers.clone(), body)).await?;
    }
    Ok(Sent { answer })
}

fn posted(sending: &Sending, batch: &Batch, now: u64) -> Vec<Posted> {
    if batch.is_test {
        return vec![test(sending, now)];
    }
    let mut alerts: BTreeMap<u64, Posted> = BTreeMap::new();
    for told in &batch.events {
        // Silenced here, it ends there; what is told later of one alert counts.
        let end = match told.event {
            Happening::Resolved => told.alert.resolved.or(Some(told.time)),
            Happening::Silenced => Some(told.time),
            _ => told.alert.resolved,
        };
        alerts.insert(told.alert.id, of(sending, &told.alert, end.unwrap_or(now + BELIEVED_S)));
    }
    for alert in &batch.open {
        alerts.insert(alert.id, of(sending, alert, now + BELIEVED_S));
    }
    alerts.into_values().collect()
}

/// The labels stay what they are for all of an alert's life: they are what it is known by there.
fn of(sending: &Sending, alert: &ToldAlert, ends: u64) -> Posted {
    let mut labels = labels(sending, "MusterAlert", alert.severity);
    labels.insert("kind", word(&alert.kind));
    labels.insert("site", alert.site_name.clone());
    labels.insert("alert", alert.id.to_string());
    if let Some(uid) = &alert.about {
        labels.insert("uid", uid.clone());
    }
    if !alert.rule.is_empty() {
        labels.insert("rule", alert.rule.clone());
    }
    let mut annotations = BTreeMap::new();
    let summary = format!("{}: {} {}", alert.site_name, alert.subject(), alert.complaint());
    annotations.insert("summary", summary);
    let names: Vec<_> = alert.appliances.iter().map(super::ToldAppliance::name).collect();
    annotations.insert("appliances", names.join(", "));
    annotations.insert("escalated", if alert.escalated.is_some() { "yes" } else { "no" }.to_owned());
    Posted {
        labels,
        annotations,
        starts_at: rfc3339(alert.opened),
        // An end before the beginning is refused.
        ends_at: rfc3339(ends.max(alert.opened + 1)),
        generator_url: format!("https://{}/alerts", sending.noc),
    }
}

fn labels(sending: &Sending, name: &str, severity: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("alertname", name.to_owned()),
        ("organisation", sending.organisation.0.clone()),
        ("severity", severity.to_owned()),
    ])
}

/// An alert that is over in a minute, and says what it is.
fn test(sending: &Sending, now: u64) -> Posted {
    let summary = "A test of a channel of Muster. Nothing is wrong.".to_owned();
    Posted {
        labels: labels(sending, "MusterTest", "none"),
        annotations: BTreeMap::from([("summary", summary)]),
        starts_at: rfc3339(now),
        ends_at: rfc3339(now + 60),
        generator_url: format!("https://{}/channels", sending.noc),
    }
}
