//! Attacks on the NOC and on those who talk to it, against the real programs over real TLS on loopback: `muster-noc`, `muster`
//! and a practice fleet of real agents. Every test also does what is allowed, so that none passes because nothing arrived.

#[allow(dead_code, reason = "the NOC's own tests use the rest")]
#[path = "../../../noc/tests/noc/client.rs"]
mod client;

mod absence;
mod beats;
mod clocks;
mod components;
mod credentials;
mod enrolment;
mod floods;
mod invites;
mod proof;
mod renewal;
mod restored;
mod results;
mod rogue;
mod texts;
mod work;
mod world;
