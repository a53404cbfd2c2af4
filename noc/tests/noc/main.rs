//! The NOC over real TLS and a real database: every client here has the keys and certificates a real one has.

mod api;
mod audit;
mod backup;
mod client;
mod command;
mod doctor;
mod drafts;
mod drift;
mod handover;
mod interface;
mod ipv6;
mod isolation;
mod journey;
mod killed;
mod many;
mod metrics;
mod policy;
mod queue;
mod refusals;
mod running;
mod served;
mod signing_in;
mod vouchers;
mod watching;
mod work;
mod world;
