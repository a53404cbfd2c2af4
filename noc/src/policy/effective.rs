//! What a policy comes to, value by value, for whoever reads it.

use super::layers::Policies;
use super::site::Policy;
use muster_protocol::parameters::{Confirm, DriftPolicy};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What appliances of a model get at a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EffectivePolicy {
    /// The model, in lower case; absent for all of which nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// By the names that the values have in a site's policy.
    pub values: BTreeMap<String, EffectiveValue>,
}

/// A value, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EffectiveValue {
    /// The value as text; empty for none.
    pub value: String,
    /// `site`, `organisation`, `site profile MODEL`, `organisation profile MODEL` or `default`.
    pub source: String,
}

/// For every model of which nothing is said, and then for each of the others.
pub(crate) fn effective(policies: &Policies) -> Vec<EffectivePolicy> {
    let plain = EffectivePolicy { model: None, values: values(policies.plain()) };
    let others = policies.by_model().iter();
    let others = others.map(|(model, policy)| EffectivePolicy { model: Some(model.clone()), values: values(policy) });
    std::iter::once(plain).chain(others).collect()
}

fn values(policy: &Policy) -> BTreeMap<String, EffectiveValue> {
    let site = &policy.site;
    let confirm = match site.confirm {
        Confirm::KickStart => "kick_start",
        Confirm::FirstBeat => "first_beat",
    };
    let drift = match site.drift {
        None => "image",
        Some(DriftPolicy::Report) => "report",
        Some(DriftPolicy::Restore) => "restore",
    };
    let values = [
        ("pool", site.pool.clone()),
        ("exclude", site.exclude.clone()),
        ("netmask", site.netmask.clone()),
        ("gateway", site.gateway.clone()),
        ("domain", site.domain.clone()),
        ("dns1", site.dns1.clone()),
        ("dns2", site.dns2.clone()),
        ("ntp", site.ntp.clone()),
        ("search_domains", site.search_domains.clone()),
        ("pool6", site.pool6.clone()),
        ("gateway6", site.gateway6.clone()),
        ("host_name", site.host_name.clone()),
        ("beat_interval_s", site.beat_interval_s.to_string()),
        ("confirm", confirm.to_owned()),
        ("window_s", site.window_s.to_string()),
        ("drift", drift.to_owned()),
        ("application", site.application.clone()),
        ("proof", site.proof.word().to_owned()),
    ];
    let shown = |(name, value): (&str, String)| {
        let source = policy.source(name).to_string().trim_end_matches(':').to_owned();
        (name.to_owned(), EffectiveValue { value, source })
    };
    values.into_iter().map(shown).collect()
}
