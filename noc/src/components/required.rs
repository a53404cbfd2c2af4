//! Which components appliances shall have, out of what organisations and sites say; pure.
//!
//! The nearest place counts, component by component, as with all policy (decision 0030): what a site says of a model before what it
//! says of all, and that before what its organisation says.

use super::ComponentError;
use super::spec::{check_name, check_version};
use super::waves::Waves;
use crate::policy::values::model_key;
use muster_protocol::api::MOST_COMPONENTS;
use muster_protocol::text::misleads;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// Most lines of one place.
const MOST_LINES: usize = 256;
/// Longest name of a model, in characters.
const MAX_MODEL: usize = 64;
/// Slowest and fastest limit of downloads, bytes a second.
const BYTES_PER_S: std::ops::RangeInclusive<u64> = 1_024..=1_000_000_000_000;

/// Where a version of a component is led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseChannel {
    /// For all.
    Stable,
    /// To be tried.
    Test,
}

/// What one place says of one component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Required {
    /// The component.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,63}$")]
    pub name: String,
    /// Only for appliances of this model; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The version that this channel leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ReleaseChannel>,
    /// This version. With neither, the component is not required here, whatever is said above; what is installed stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9.+~-]{0,55}$")]
    pub version: Option<String>,
    /// Another version than now goes out in these waves; absent: to all at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waves: Option<Waves>,
}

/// What one place says of components.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ComponentPolicy {
    /// Each component once for each model and once for all, in the order in which they are to be installed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 256)]
    pub required: Vec<Required>,
    /// Bytes a second that an appliance may download; absent: what is said above, or as fast as it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1024)]
    pub bytes_per_s: Option<u64>,
}

impl Required {
    /// Whether the component is required at all.
    pub(crate) fn asks(&self) -> bool {
        self.channel.is_some() || self.version.is_some()
    }

    /// The model that it is for, to compare; empty for all.
    pub(crate) fn model_key(&self) -> String {
        self.model.as_deref().map(model_key).unwrap_or_default()
    }

    /// Whether it asks for the same as another one of the same component and model.
    pub(crate) fn asks_as(&self, other: &Required) -> bool {
        (self.channel, &self.version) == (other.channel, &other.version)
    }
}

impl ComponentPolicy {
    /// Whether it can be kept.
    ///
    /// # Errors
    /// The first value that cannot.
    pub fn check(&self) -> Result<(), ComponentError> {
        if self.required.len() > MOST_LINES {
            return Err(ComponentError::invalid("required", format!("are at most {MOST_LINES}")));
        }
        let mut seen = BTreeSet::new();
        for line in &self.required {
            check_name(&line.name)?;
            let key = line.model.as_deref().map(model_key);
            let bad = |key: &String| key.is_empty() || key.chars().count() > MAX_MODEL || key.chars().any(misleads);
            if key.as_ref().is_some_and(bad) {
                return Err(ComponentError::invalid("model", format!("has 1 to {MAX_MODEL} characters")));
            }
            if line.channel.is_some() && line.version.is_some() {
                return Err(ComponentError::invalid("version", "and `channel` exclude each other"));
            }
            line.version.as_deref().map_or(Ok(()), check_version)?;
            if let Some(waves) = &line.waves {
                if !line.asks() {
                    return Err(ComponentError::invalid("waves", "are for a `channel` or a `version`"));
                }
                waves.check()?;
            }
            if !seen.insert((&line.name, key)) {
                let why = format!("say something of {} twice", line.name);
                return Err(ComponentError::invalid("required", why));
            }
        }
        match self.bytes_per_s {
            Some(limit) if !BYTES_PER_S.contains(&limit) => {
                let why = format!("must be {} to {}", BYTES_PER_S.start(), BYTES_PER_S.end());
                Err(ComponentError::invalid("bytes_per_s", why))
            }
            _ => Ok(()),
        }
    }

    /// Whether no appliance gets more components by it and what is above it than an appliance takes.
    pub(crate) fn check_with(&self, above: &ComponentPolicy) -> Result<(), ComponentError> {
        let names: BTreeSet<_> = above.required.iter().chain(&self.required).map(|line| &line.name).collect();
        if names.len() <= MOST_COMPONENTS {
            return Ok(());
        }
        let why =
            format!("name {} components together with the place above: {MOST_COMPONENTS} is the most", names.len());
        Err(ComponentError::invalid("required", why))
    }

    fn line(&self, name: &str, model: &str) -> Option<&Required> {
        let of = |wanted: Option<&str>| {
            let fits = move |line: &&Required| line.model.as_deref().map(model_key).as_deref() == wanted;
            self.required.iter().filter(|line| line.name == name).find(fits)
        };
        of(Some(&model_key(model))).or_else(|| of(None))
    }
}

/// What appliances of a model shall have, at a place of which this is said: what the site adds comes last.
pub(crate) fn merged<'a>(above: &'a ComponentPolicy, own: &'a ComponentPolicy, model: &str) -> Vec<&'a Required> {
    let mut names: Vec<&str> = Vec::new();
    for line in above.required.iter().chain(&own.required) {
        if !names.contains(&line.name.as_str()) {
            names.push(&line.name);
        }
    }
    let nearest = |name: &str| own.line(name, model).or_else(|| above.line(name, model));
    names.into_iter().filter_map(nearest).filter(|line| line.asks()).collect()
}

/// Which line counts for a component on appliances of a model: whether it is the site's own, and the model that it is for as
/// [`Required::model_key`] has it.
pub(crate) fn governing(
    above: &ComponentPolicy,
    own: &ComponentPolicy,
    name: &str,
    model: &str,
) -> Option<(bool, String)> {
    let of = |policy: &ComponentPolicy| policy.line(name, model).map(Required::model_key);
    of(own).map(|key| (true, key)).or_else(|| of(above).map(|key| (false, key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, model: Option<&str>, channel: Option<ReleaseChannel>, version: Option<&str>) -> Required {
        let (model, version) = (model.map(str::to_owned), version.map(str::to_owned));
        Required { name: name.into(), model, channel, version, waves: None }
    }

    fn policy(required: Vec<Required>) -> ComponentPolicy {
        ComponentPolicy { required, bytes_per_s: None }
    }

    #[test]
    fn the_nearest_place_counts_component_by_component() {
        let stable = Some(ReleaseChannel::Stable);
        let above = policy(vec![
            line("filter", None, stable, None),
            line("filter", Some("Mail"), None, Some("2")),
            line("agent-tools", None, stable, None),
        ]);
        let own = policy(vec![line("extra", None, None, Some("1")), line("agent-tools", Some(" ROUTER "), None, None)]);
        let got = |model: &str| -> Vec<(String, Option<String>)> {
            merged(&above, &own, model).iter().map(|line| (line.name.clone(), line.version.clone())).collect()
        };
        let version = |text: &str| Some(text.to_owned());
        let (filter, tools, extra) =
            ("filter".to_owned(), "agent-tools".to_owned(), ("extra".to_owned(), version("1")));
        assert_eq!(got("Switch"), [(filter.clone(), None), (tools.clone(), None), extra.clone()]);
        assert_eq!(got("mail"), [(filter.clone(), version("2")), (tools, None), extra.clone()]);
        assert_eq!(got("router"), [(filter, None), extra], "not required there");
        // What a site says of all is nearer than what its organisation says of a model.
        let own = policy(vec![line("filter", None, None, Some("3"))]);
        assert_eq!(merged(&above, &own, "mail")[0].version, version("3"));
    }

    #[test]
    fn what_cannot_be_required_is_named() {
        let stable = Some(ReleaseChannel::Stable);
        for (wrong, field) in [
            (vec![line("../x", None, stable, None)], "name"),
            (vec![line("x", Some(" "), stable, None)], "model"),
            (vec![line("x", None, stable, Some("1"))], "version"),
            (vec![line("x", None, None, Some("../1"))], "version"),
            (vec![line("x", None, stable, None), line("x", None, None, Some("1"))], "required"),
            (vec![line("x", Some("A"), stable, None), line("x", Some("a"), None, Some("1"))], "required"),
            ((0..257).map(|n| line(&format!("c{n}"), None, stable, None)).collect(), "required"),
        ] {
            let error = policy(wrong.clone()).check().expect_err("refused");
            assert!(matches!(error, ComponentError::Invalid { field: of, .. } if of == field), "{wrong:?} {error}");
        }
        let slow = ComponentPolicy { required: vec![], bytes_per_s: Some(1) };
        assert!(slow.check().is_err());
        let many =
            |from: usize| policy((from..from + 20).map(|n| line(&format!("c{n}"), None, stable, None)).collect());
        assert!(many(0).check_with(&many(0)).is_ok() && many(0).check_with(&many(20)).is_err());
        assert_eq!(serde_json::to_string(&ComponentPolicy::default()).expect("text"), "{}");
    }
}
