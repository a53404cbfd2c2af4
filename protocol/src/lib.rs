//! The wire format and the pure state machines of Muster.
//!
//! Nothing here opens a socket or a file, reads a clock or asks the OS for randomness. Bytes, time and randomness are
//! arguments; what is to be done comes out. The programs, the practice fleet and the simulator run these same machines.
//!
//! # Map
//! - [`id`], [`time`]: the names of things, and time as a number.
//! - [`parameters`]: validated network settings and terms (seed, FIGURE 6). [`application`]: what goes on to a vendor's application.
//! - [`wire`]: the datagrams on UDP port 6878, their limits and versions.
//! - [`crypto`]: keys, COSE signatures, HPKE sealing, claim codes.
//! - [`grant`]: what the NOC signs: grants and console credentials. [`instruction`]: what it has a configured appliance do.
//!   [`handover`]: its word that another NOC has the appliance from now on.
//!   [`voucher`]: what a vendor signs, so that one NOC may take over one appliance.
//! - [`discovery`], [`delivery`]: the console's machines. [`appliance`], [`beat`]: the appliance's. [`beat_watch`], [`health_rules`]: the NOC's.
//! - [`component`]: which repository an appliance takes its software from.
//! - [`queue`]: what the NOC has a console do.
//! - [`explain`]: a datagram in words, for people who look at recordings.
//! - [`api`]: the JSON bodies of the NOC's HTTPS interface. [`text`]: what in a text misleads people.
//!
//! # Machine contract
//! Every machine has `handle_input(now, input)`, `handle_timeout(now)`, `poll_output()` and `poll_timeout()`. The driver
//! calls a `handle_` function, then drains `poll_output()` until it is `None`, then sleeps until `poll_timeout()`.
//! `Persist` carries a token; outputs that depend on it appear only after the driver has returned the token.
//! `now` must never go backwards; a machine treats a smaller value as no progress.

pub mod api;
pub mod appliance;
pub mod application;
pub mod beat;
pub mod beat_watch;
pub mod component;
pub mod crypto;
pub mod delivery;
pub mod discovery;
pub mod explain;
pub mod grant;
pub mod handover;
pub mod health_rules;
pub mod id;
pub mod instruction;
pub mod parameters;
pub mod queue;
pub mod text;
pub mod time;
pub mod voucher;
pub mod wire;

/// Ties a `Persist` output to what waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

#[cfg(test)]
mod test_rng;
