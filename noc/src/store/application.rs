//! What is said for single appliances or else by the policy on its way into a grant, and whether it fits into the packet: application
//! settings (decision 0042), time servers and search domains (decision 0046).

use super::appliances::Appliance;
use super::grants::{self, Bearer, Issuer};
use crate::policy::site::Policy;
use muster_protocol::application::ApplicationSettings;
use muster_protocol::parameters::{Field, FieldError, NetworkSettings, RawSettings};
use muster_protocol::wire::config::{application_room, excess};

/// What the grant of an appliance holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// None: nothing.
    pub(crate) settings: Option<ApplicationSettings>,
    /// As it is kept with the grant.
    pub(crate) text: String,
}

/// What somebody said for this appliance, or else what the policy gives.
pub(crate) fn choose(asked: &RawSettings, policy: &Policy) -> Result<Chosen, FieldError> {
    let of_policy = RawSettings { application: policy.site.application.clone(), ..RawSettings::default() };
    let settings = match asked.application()? {
        Some(said) => Some(said),
        None => of_policy.application()?,
    };
    let text = settings.as_ref().map_or_else(String::new, |settings| settings.as_str().to_owned());
    Ok(Chosen { settings: settings.filter(|settings| !settings.is_empty()), text })
}

/// The settings that are asked for, with the time servers and search domains of the policy where they say nothing of their own.
pub(crate) fn completed(asked: &RawSettings, policy: &Policy) -> RawSettings {
    let said = |own: &str, of_policy: &str| if own.trim().is_empty() { of_policy } else { own }.to_owned();
    RawSettings {
        ntp: said(&asked.ntp, &policy.site.ntp),
        search_domains: said(&asked.search_domains, &policy.site.search_domains),
        ..asked.clone()
    }
}

/// Refuses what would not fit into the packet to an appliance: at the NOC, where somebody can shorten it, and not when a console
/// stands before the appliance.
pub(crate) fn fits(
    now: u64,
    bearer: Bearer<'_>,
    issuer: &Issuer,
    policy: &Policy,
    appliance: &Appliance,
    (network, chosen): (&NetworkSettings, &Chosen),
) -> Result<(), FieldError> {
    let grant =
        grants::unsigned(now, appliance.seq, bearer, issuer, policy, &appliance.record, (network.clone(), None));
    // Whoever follows our root needs no vendor's word any more.
    let voucher = appliance.voucher.as_ref().filter(|_| !appliance.pinned).map_or(0, Vec::len);
    let lists = [(Field::Ntp, network.ntp().is_empty()), (Field::SearchDomains, network.search_domains().is_empty())];
    if let Some((field, _)) = lists.into_iter().find(|(_, is_empty)| !is_empty) {
        let bytes = excess(&grant, voucher);
        if bytes > 0 {
            let message = format!(
                "time servers and search domains make the packet to this appliance {bytes} bytes too long: shorten them, or its names"
            );
            return Err(FieldError::new(field, "settings_too_long", message));
        }
    }
    let Some(settings) = &chosen.settings else { return Ok(()) };
    let room = application_room(&grant, voucher).unwrap_or(0);
    let bytes = settings.as_str().len();
    if bytes <= room {
        return Ok(());
    }
    let message = format!(
        "the application settings have {bytes} bytes, and {room} fit into the packet to this appliance: shorten them, or its names"
    );
    Err(FieldError::new(Field::Application, "application_too_long", message))
}
