//! Exhaustive model checking of one console, two appliances and an attacker who keeps every packet.
//!
//! The machines are the real ones of `muster-protocol`, with the real cryptography. What is modelled, within which bounds,
//! and what is left out is written in `docs/decisions/0013-model-of-the-real-machines.md`.
//!
//! # Map
//! - [`Muster`]: the model. [`Setup`]: its bounds, and which protection is taken away.
//! - `unit`, `desk`: an appliance, and the console's work on it, each with its driver.
//! - `attacker`: what he makes himself. `packets`: every datagram, and what it is in truth.
//! - `arena`: each state of a machine once, and its steps. [`properties`], `fair`: what must hold.
//! - [`search`]: one search, and what it found in words.

mod arena;
mod attacker;
mod bounds;
mod cast;
mod desk;
mod fair;
mod model;
mod packets;
pub mod properties;
mod rng;
mod search;
mod unit;

pub use arena::{Coverage, DeskId, UnitId};
pub use bounds::{Bounds, Sabotage, Setup};
pub use cast::APPLIANCES;
pub use desk::Turn;
pub use model::{Action, Muster, World};
pub use packets::PacketId;
pub use search::{Report, search};
pub use unit::{Fault, Happening};
