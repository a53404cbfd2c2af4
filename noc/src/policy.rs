//! What an appliance of a site shall have: pure rules over what the store has loaded.

pub(crate) mod allocation;
pub(crate) mod effective;
pub(crate) mod exclusion;
pub(crate) mod host_name;
pub(crate) mod layers;
pub(crate) mod pool;
pub(crate) mod pool6;
#[cfg(test)]
mod properties;
pub(crate) mod reservation;
pub(crate) mod site;
pub(crate) mod values;
