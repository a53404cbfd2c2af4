//! What appliances of a site get, out of what its organisation and it say, for every model.
//!
//! The nearest place counts: a site's own value before what it has from its organisation; in one place what is said of the model
//! before what is said of all.

use super::pool::Pool;
use super::site::{Policy, SiteError, SiteFault};
use super::values::{OrganisationPolicy, PolicyValues, Profile, Source, Sources, model_key};
use muster_protocol::api::{RequiredProof, Site};
use muster_protocol::id::SiteId;
use muster_protocol::parameters::Confirm;
use muster_protocol::text::misleads;
use std::collections::BTreeMap;

/// Most profiles of one place: each is worked out at every change of what is above it.
pub(crate) const MAX_PROFILES: usize = 256;
/// Longest name of a model, in characters.
const MAX_MODEL: usize = 64;

/// What is said about a site.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    pub(crate) organisation: OrganisationPolicy,
    pub(crate) site: Site,
    pub(crate) profiles: Vec<Profile>,
}

/// The policies of a site, for each model.
#[derive(Clone, Debug)]
pub(crate) struct Policies {
    plain: Policy,
    /// By [`model_key`].
    by_model: BTreeMap<String, Policy>,
}

impl Policies {
    /// The policy for appliances of a model.
    pub(crate) fn of(&self, model: &str) -> &Policy {
        self.by_model.get(&model_key(model)).unwrap_or(&self.plain)
    }

    /// The policy for every model of which nothing is said.
    pub(crate) fn plain(&self) -> &Policy {
        &self.plain
    }

    /// Those that differ by model, by [`model_key`].
    pub(crate) fn by_model(&self) -> &BTreeMap<String, Policy> {
        &self.by_model
    }
}

impl Layers {
    /// Works out what each model gets; reports everything that is wrong at once.
    pub(crate) fn policies(&self) -> Result<Policies, SiteError> {
        let mut faults = faults_of(&self.profiles, true);
        let plain = match self.policy(None) {
            Ok(plain) => Some(plain),
            Err(SiteError::Invalid(found)) => {
                faults.extend(found);
                None
            }
            Err(other) => return Err(other),
        };
        let mut by_model = BTreeMap::new();
        let models = self.organisation.profiles.iter().chain(&self.profiles).map(|profile| profile.model.trim());
        for model in models {
            let Some(plain) = &plain else { break };
            if self.leaves_network(plain, model) {
                let message = format!("its pool lies outside of the site's network {}", plain.network());
                faults.push(of_model(model, fault("pool", "bad_pool", message)));
                continue;
            }
            match self.policy(Some(model)) {
                Ok(policy) => {
                    by_model.insert(model_key(model), policy);
                }
                Err(SiteError::Invalid(found)) => faults.extend(found.into_iter().map(|fault| of_model(model, fault))),
                Err(other) => return Err(other),
            }
        }
        faults.dedup();
        match plain {
            Some(plain) if faults.is_empty() => Ok(Policies { plain, by_model }),
            _ => Err(SiteError::Invalid(faults)),
        }
    }

    /// Whether a site's profile has a pool that is one, but of another network: gateway and name servers would not fit it, and
    /// say less.
    fn leaves_network(&self, plain: &Policy, model: &str) -> bool {
        let pool = profile_of(&self.profiles, model).and_then(|profile| profile.values.pool.as_deref());
        let pool = pool.and_then(|pool| Pool::parse(pool, plain.prefix).ok());
        pool.is_some_and(|pool| !plain.is_inside(pool.network()))
    }

    fn policy(&self, model: Option<&str>) -> Result<Policy, SiteError> {
        let (mut site, mut sources) = (self.site.clone(), Sources::new());
        let above = &self.organisation;
        let profile = model.and_then(|model| profile_of(&above.profiles, model));
        let defaults = PolicyValues::defaults();
        for &value in &self.site.inherit {
            let source = match profile {
                Some(profile) if profile.values.put(value, &mut site) => {
                    Source::OrganisationProfile(profile.model.clone())
                }
                _ if above.values.put(value, &mut site) => Source::Organisation,
                _ if defaults.put(value, &mut site) => Source::Default,
                _ => {
                    let message = format!(
                        "the site has its {0} from its organisation, which says nothing of it: give one there or here",
                        value.word()
                    );
                    return Err(SiteError::Invalid(vec![fault(value.word(), "nothing_to_inherit", message)]));
                }
            };
            sources.insert(value.word(), source);
        }
        if let Some(profile) = model.and_then(|model| profile_of(&self.profiles, model)) {
            profile.values.overlay(&mut site, &mut sources, &Source::SiteProfile(profile.model.clone()));
        }
        Ok(Policy { sources, ..Policy::of(site)? })
    }
}

/// Checks what an organisation says, as far as that can be without a site.
pub(crate) fn check_organisation(policy: &OrganisationPolicy) -> Result<(), SiteError> {
    let mut faults = faults_of(&policy.profiles, false);
    if policy.values.names_pools() {
        faults.push(fault("pool", "pool_of_a_site", "a pool belongs to a site, not to an organisation".to_owned()));
    }
    // A site that would fit any values that fit at all.
    let sample = |values: &PolicyValues| {
        let mut site = Site {
            id: SiteId(0),
            name: "sample".to_owned(),
            pool: "10.0.0.10-10.0.0.250".to_owned(),
            netmask: "/24".to_owned(),
            gateway: String::new(),
            domain: "example.net".to_owned(),
            dns1: String::new(),
            dns2: String::new(),
            pool6: String::new(),
            gateway6: String::new(),
            ntp: String::new(),
            search_domains: String::new(),
            host_name: "{n}".to_owned(),
            beat_interval_s: 60,
            confirm: Confirm::KickStart,
            window_s: 90,
            drift: None,
            application: String::new(),
            proof: RequiredProof::Any,
            exclude: String::new(),
            inherit: Vec::new(),
        };
        let values = PolicyValues { pool: None, pool6: None, ..values.clone() };
        values.overlay(&mut site, &mut Sources::new(), &Source::Organisation);
        match Policy::of(site) {
            Err(SiteError::Invalid(found)) => Ok(found),
            Err(other) => Err(other),
            Ok(_) => Ok(Vec::new()),
        }
    };
    faults.extend(sample(&policy.values)?);
    for profile in &policy.profiles {
        faults.extend(sample(&profile.values)?.into_iter().map(|fault| of_model(&profile.model, fault)));
    }
    if faults.is_empty() { Ok(()) } else { Err(SiteError::Invalid(faults)) }
}

/// What is wrong with a list of profiles as such.
fn faults_of(profiles: &[Profile], with_pools: bool) -> Vec<SiteFault> {
    let mut faults = Vec::new();
    if profiles.len() > MAX_PROFILES {
        let message = format!("{} profiles are too many: {MAX_PROFILES} is the most", profiles.len());
        faults.push(fault("profiles", "too_many_profiles", message));
    }
    let mut keys: Vec<String> = Vec::new();
    for profile in profiles {
        let key = model_key(&profile.model);
        if key.is_empty() || key.chars().count() > MAX_MODEL || key.chars().any(misleads) {
            let message = format!("the model needs 1 to {MAX_MODEL} characters, no control characters");
            faults.push(fault("profiles", "bad_model", message));
        } else if keys.contains(&key) {
            let message = format!("there are two profiles of the model {}: keep one", profile.model.trim());
            faults.push(fault("profiles", "duplicate_model", message));
        }
        keys.push(key);
        if profile.values.names_pools() && !with_pools {
            let message = "a pool belongs to a site, not to an organisation".to_owned();
            faults.push(of_model(&profile.model, fault("pool", "pool_of_a_site", message)));
        }
    }
    faults
}

fn profile_of<'a>(profiles: &'a [Profile], model: &str) -> Option<&'a Profile> {
    profiles.iter().find(|profile| model_key(&profile.model) == model_key(model))
}

fn fault(field: &str, code: &str, message: String) -> SiteFault {
    SiteFault { field: field.to_owned(), code: code.to_owned(), message }
}

fn of_model(model: &str, fault: SiteFault) -> SiteFault {
    let model: String = model.trim().chars().take(MAX_MODEL).flat_map(char::escape_debug).collect();
    SiteFault { message: format!("profile {model}: {}", fault.message), ..fault }
}

#[cfg(test)]
mod tests {
    use super::super::site::SiteSpec;
    use super::super::site::tests::spec;
    use super::super::values::DriftRule;
    use super::*;
    use muster_protocol::api::Inheritable;

    fn profile(model: &str, values: PolicyValues) -> Profile {
        Profile { model: model.into(), values }
    }

    fn dns(address: &str) -> PolicyValues {
        PolicyValues { dns1: Some(address.into()), ..PolicyValues::default() }
    }

    fn layers(inherit: Vec<Inheritable>, organisation: OrganisationPolicy, profiles: Vec<Profile>) -> Layers {
        let site = SiteSpec { inherit, ..spec() }.into_site(SiteId(1));
        Layers { organisation, site, profiles }
    }

    fn dns_of(policies: &Policies, model: &str) -> (String, Option<String>) {
        let policy = policies.of(model);
        (policy.site.dns1.clone(), policy.sources.get("dns1").map(ToString::to_string))
    }

    #[test]
    fn the_nearest_place_counts_and_is_named() {
        let organisation =
            OrganisationPolicy { values: dns("10.0.0.1"), profiles: vec![profile("Mail", dns("10.0.0.2"))] };
        let of_site = vec![profile("Router", dns("10.0.0.3"))];
        // A site that keeps its own value hears nothing of the organisation's.
        let own = layers(vec![], organisation.clone(), of_site.clone()).policies().expect("fits");
        assert_eq!(dns_of(&own, "Mail"), ("192.0.2.53".into(), None));
        assert_eq!(dns_of(&own, "router "), ("10.0.0.3".into(), Some("site profile Router:".into())));
        let inherits = layers(vec![Inheritable::Dns1], organisation.clone(), of_site).policies().expect("fits");
        assert_eq!(dns_of(&inherits, "other"), ("10.0.0.1".into(), Some("organisation".into())));
        assert_eq!(dns_of(&inherits, "MAIL"), ("10.0.0.2".into(), Some("organisation profile Mail:".into())));
        assert_eq!(dns_of(&inherits, "Router"), ("10.0.0.3".into(), Some("site profile Router:".into())));
        let silent = layers(vec![Inheritable::Dns1], OrganisationPolicy::default(), vec![]).policies().expect("fits");
        assert_eq!(dns_of(&silent, "x"), (String::new(), Some("default".into())));
        let domain = layers(vec![Inheritable::Domain], OrganisationPolicy::default(), vec![]).policies();
        assert!(matches!(domain, Err(SiteError::Invalid(ref faults)) if faults[0].code == "nothing_to_inherit"));
    }

    #[test]
    fn every_value_can_be_inherited() {
        let values = PolicyValues {
            pool: None,
            pool6: None,
            domain: Some("acme.example".into()),
            dns1: Some("10.0.0.1".into()),
            dns2: Some("10.0.0.2".into()),
            ntp: Some("ntp.acme.example".into()),
            search_domains: Some("acme.example".into()),
            host_name: Some("{site}-{n}".into()),
            beat_interval_s: Some(30),
            confirm: Some(Confirm::FirstBeat),
            window_s: Some(120),
            drift: Some(DriftRule::Restore),
            application: Some("{\"relay\":\"mx.acme.example\"}".into()),
            proof: Some(RequiredProof::Voucher),
        };
        let organisation = OrganisationPolicy { values: values.clone(), profiles: vec![] };
        let all = layers(Inheritable::ALL.to_vec(), organisation, vec![]).policies().expect("fits");
        let site = &all.plain().site;
        let got = PolicyValues {
            pool: None,
            pool6: None,
            domain: Some(site.domain.clone()),
            dns1: Some(site.dns1.clone()),
            dns2: Some(site.dns2.clone()),
            ntp: Some(site.ntp.clone()),
            search_domains: Some(site.search_domains.clone()),
            host_name: Some(site.host_name.clone()),
            beat_interval_s: Some(site.beat_interval_s),
            confirm: Some(site.confirm),
            window_s: Some(site.window_s),
            drift: site.drift.map(|_| DriftRule::Restore),
            application: Some(site.application.clone()),
            proof: Some(site.proof),
        };
        assert_eq!(got, values);
        assert!(all.plain().sources.values().all(|source| *source == Source::Organisation));
        assert_eq!(all.plain().sources.len(), Inheritable::ALL.len());
    }

    #[test]
    fn every_fault_names_the_profile_it_is_in() {
        let pool = |pool: &str| PolicyValues { pool: Some(pool.into()), ..PolicyValues::default() };
        let cases = [
            (vec![profile(" ", dns(""))], "bad_model"),
            (vec![profile("A", dns("")), profile("a ", dns(""))], "duplicate_model"),
            (vec![profile("A", dns("x"))], "bad_address"),
            (vec![profile("A", pool("192.0.3.1-192.0.3.9"))], "bad_pool"),
            (vec![profile("A", pool("192.0.2.0-192.0.2.0"))], "bad_pool"),
        ];
        for (profiles, code) in cases {
            match layers(vec![], OrganisationPolicy::default(), profiles.clone()).policies() {
                Err(SiteError::Invalid(faults)) => assert_eq!(faults[0].code, code, "{faults:?}"),
                other => panic!("{profiles:?}: {other:?}"),
            }
        }
        let many = vec![profile("A", dns("")); MAX_PROFILES + 1];
        assert!(matches!(layers(vec![], OrganisationPolicy::default(), many).policies(), Err(SiteError::Invalid(_))));
    }

    #[test]
    fn what_an_organisation_says_is_checked_without_a_site() {
        assert!(check_organisation(&OrganisationPolicy::default()).is_ok());
        let pool = PolicyValues { pool: Some("10.0.0.1-10.0.0.9".into()), ..PolicyValues::default() };
        let interval = PolicyValues { beat_interval_s: Some(1), ..PolicyValues::default() };
        let cases = [
            (OrganisationPolicy { values: pool.clone(), profiles: vec![] }, "pool_of_a_site"),
            (OrganisationPolicy { values: dns(""), profiles: vec![profile("A", pool)] }, "pool_of_a_site"),
            (OrganisationPolicy { values: interval.clone(), profiles: vec![] }, "bad_beat_interval"),
            (OrganisationPolicy { values: dns(""), profiles: vec![profile("A", interval)] }, "bad_beat_interval"),
        ];
        for (policy, code) in cases {
            match check_organisation(&policy) {
                Err(SiteError::Invalid(faults)) => assert_eq!(faults[0].code, code, "{faults:?}"),
                other => panic!("{policy:?}: {other:?}"),
            }
        }
    }
}
