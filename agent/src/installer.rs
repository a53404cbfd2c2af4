//! The installer: the components that the NOC's policy requires, from a TUF repository, and nothing else (decision 0045).
//!
//! ```text
//!   NOC ──HTTPS── supplier (no rights, reads the network) ──bytes── installer (rights, no sockets)
//!                 agent::components                                 plan, TUF, side folder, switch, health, roll-back
//! ```
//!
//! The installer never speaks to the network: it says which file it [wants](Want), and whoever talks to the NOC supplies the bytes.
//! It believes none of them before the chain from the owner's root over the repository's keys to the file's hash is whole.
//!
//! # Map
//! - [`local`]: the installer where the rights are; a thread of its own, while there is something to do.
//! - [`config`]: what the image allows. [`owner`]: whose root may name a repository. [`repository`]: TUF.
//! - `vendor`: who may sign for a target. [`target`]: what is signed of a component. [`download`]: the side folder.
//! - [`archive`]: unpacking. [`activate`]: bringing a version into force, and taking it out again.
//! - [`state`]: what survives a power cut. [`throttle`]: the bandwidth limit.

pub mod activate;
pub mod archive;
pub mod config;
pub mod download;
mod intake;
pub mod local;
pub mod owner;
mod problem;
pub mod repository;
mod run;
pub mod state;
pub mod target;
pub mod throttle;
mod vendor;

pub use problem::Problem;

use muster_protocol::api::{ComponentPlan, ComponentReport};
use muster_protocol::crypto::keys::PublicKey;
use serde::{Deserialize, Serialize};

/// What installs. Calls return at once: the work is done beside them.
pub trait Installer: Send + Sync {
    /// The NOC of `owner` says what time it is (Unix seconds), and which revision of the plan is in force. True if the installer does
    /// not have that plan.
    fn needs_plan(&self, owner: &PublicKey, time: u64, revision: &str) -> bool;

    /// The plan.
    fn take(&self, order: Order);

    /// A hand-over or an instruction that came from the NOC: the owner may have changed by it.
    fn heard(&self, signed: &[u8]);

    /// For the next beat.
    fn reports(&self) -> Vec<ComponentReport>;

    /// The file that it needs next.
    fn wanted(&self) -> Wanted;

    /// A part of it, or how it ended.
    fn supply(&self, supply: Supply) -> Taken;
}

/// What an appliance shall have, and who says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The NOC root that the appliance has pinned, base64.
    pub owner: String,
    /// NOC time, Unix seconds: by it metadata are too old or not.
    pub time: u64,
    /// The plan.
    pub plan: ComponentPlan,
}

/// Whether a file is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wanted {
    /// There is nothing to do.
    Nothing,
    /// Something is being done that needs no file now.
    Later,
    /// This one.
    File(Want),
}

/// A file of the repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// Numbers what was wanted; a [`Supply`] names it.
    pub number: u64,
    /// Below `/v1/appliances/components/`: `metadata/timestamp.json`.
    pub path: String,
    /// Bytes that are there already.
    pub from: u64,
    /// Bytes that are taken at most, from there on.
    pub most: u64,
    /// Bytes a second at most.
    pub bandwidth: Option<u64>,
}

/// What became of a [`Want`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supply {
    /// Its number.
    pub number: u64,
    /// Bytes, or the end.
    pub part: Part,
}

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The next bytes.
    Bytes(Vec<u8>),
    /// There are no more.
    End,
    /// There is no such file.
    Missing,
    /// It could not be had: a stable word.
    Failed(String),
}

/// What became of a [`Supply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Taken {
    /// Taken; more of it is wanted.
    More,
    /// Not taken: offer it again in a moment.
    Full,
    /// No more of it is wanted.
    Enough,
}
