//! The engine behind the console, without a window, and the `muster` command line.
//!
//! # Map
//! - [`engine`]: commands in, events out. Its tasks run the machines of [`muster_protocol`].
//! - [`jobs`]: which deliveries are under way; takes bytes and time, so it is tested without sockets.
//! - `udp`: sockets on every interface. [`noc_client`]: the NOC's HTTPS interface. [`identity`]: who this console is.
//! - [`store`]: jobs, unreported results and preferences, in SQLite.
//! - [`view`]: what a person sees; [`bindings`] writes it as TypeScript. [`problem`]: errors for people.
//! - `check`, `export`, [`oui`]: findings at their cell, CSV, makers of network cards.
//! - [`applet_folder`]: the applet that a vendor works on.
//! - [`cli`]: the `muster` command line. [`files`]: what differs between systems about files.
//!
//! # Deliberately absent
//! No policy: what an appliance gets, the NOC decides. No cryptography: all of it is in the protocol's machines.

pub mod applet_folder;
pub mod bindings;
mod check;
pub mod cli;
pub mod engine;
mod export;
pub mod files;
pub mod identity;
pub mod jobs;
pub mod noc_client;
pub mod oui;
pub mod problem;
pub mod store;
mod udp;
pub mod view;
