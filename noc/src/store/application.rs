//! Application settings on their way into a grant: what an appliance gets, and whether they fit into its packet (decision 0042).

use super::appliances::Appliance;
use super::grants::{self, Bearer, Issuer};
use crate::policy::site::Policy;
use muster_protocol::application::ApplicationSettings;
use muster_protocol::parameters::{Field, FieldError, NetworkSettings, RawSettings};
use muster_protocol::wire::config::application_room;

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
    let Some(settings) = &chosen.settings else { return Ok(()) };
    let grant =
        grants::unsigned(now, appliance.seq, bearer, issuer, policy, &appliance.record, (network.clone(), None));
    // Whoever follows our root needs no vendor's word any more.
    let voucher = appliance.voucher.as_ref().filter(|_| !appliance.pinned).map_or(0, Vec::len);
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
