//! The NOC over real TLS and a real database: every client here has the keys and certificates a real one has.

mod api;
mod audit;
mod client;
mod command;
mod drift;
mod events;
mod face;
mod handover;
mod interface;
mod ipv6;
mod isolation;
mod journey;
mod many;
mod messages;
mod queue;
mod refusals;
mod signing_in;
mod vouchers;
mod watching;
mod work;
mod world;
