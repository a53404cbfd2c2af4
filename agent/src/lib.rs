//! The daemon on an appliance: bootstrap, network settings, SecureBeat.
//!
//! The pure machines of [`muster_protocol`] decide; this crate gives them sockets, a disk, a clock and a network to set.
//!
//! # Map
//! - [`agent`]: one appliance, machines and shell together. It runs the same on real hardware and in the practice fleet.
//! - [`run`]: the daemon's loop around it; [`interfaces`], [`ports`] and [`udp`] its interfaces and sockets; [`config`] its
//!   options; [`status`] what it tells locally.
//! - [`separation`]: the process that reads what strangers send has no rights, and asks the one that has.
//! - [`network`]: applying settings, provisionally and for good: [`network::live`] for real by one of the
//!   [`network::back_end`]s, [`network::fake`] in memory; [`network::conformance`] tests a vendor's program.
//! - [`installer`]: the components that the NOC requires: verified, switched, watched, rolled back.
//! - [`storage`]: what survives a power cut. [`identity`]: who this appliance is; [`label`] prints it.
//! - [`noc_client`]: enrolment and beats over HTTPS; [`health`] what a beat reports; [`counters`] what applications add;
//!   [`beat_queue`] what waits while the NOC is away.
//! - [`system`]: what an instruction of the NOC needs of the system; [`recent_log`]: the log that it may ask for.

pub mod agent;
pub mod beat_queue;
pub mod config;
pub mod counters;
pub mod diagnose;
pub mod entropy;
pub mod health;
mod history;
pub mod host;
pub mod identity;
pub mod installer;
pub mod interfaces;
pub mod label;
pub mod lock;
pub mod network;
pub mod noc_client;
pub mod ports;
pub mod recent_log;
pub mod reset;
pub mod run;
mod saved;
pub mod separation;
pub mod status;
pub mod storage;
pub mod system;
pub mod udp;
