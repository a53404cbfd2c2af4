//! Bootstrap with little to go on: the real program in a namespace of its own, the test as console and as other hosts at the
//! other end of its cables. Needs root, as CI has.

mod appliance;
mod application;
mod conflict;
mod dhcp;
mod diagnose;
mod idle;
mod interfaces;
mod ipv6;
#[path = "../support/namespaces.rs"]
mod namespaces;
#[path = "../support/owner.rs"]
mod owner;
mod put_back;
mod reset;
