//! The library of applets: who may publish, what consoles get of it, and how much of it at a time (decision 0043; seed, FIGURE 2,
//! "applet server 15").

mod manage;
mod rollout;

pub use manage::{AppletError, NewPlace};
pub(crate) use manage::{add_author, publish, raise_floor, release, remove_author, set_places, withdraw};
pub(crate) use rollout::{Candidate, Channelled, choose};

use muster_applet::{Faults, release as statement, signed};
use muster_protocol::crypto::keys::PublicKey;
use semver::Version;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A signed bundle that was opened: what is kept of it.
pub(crate) struct Opened {
    pub(crate) name: String,
    pub(crate) version: Version,
    pub(crate) title: String,
    pub(crate) author: PublicKey,
    pub(crate) hash: [u8; 32],
    pub(crate) bundle: Vec<u8>,
}

impl Opened {
    /// Verifies and looks through a signed bundle. Takes milliseconds: not on a thread that serves others.
    pub(crate) fn read(bundle: Vec<u8>) -> Result<Opened, Faults> {
        let (author, opened) = signed::open(&bundle)?;
        let manifest = opened.manifest();
        Ok(Opened {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            title: manifest.title.clone(),
            author,
            hash: statement::hash(&bundle),
            bundle,
        })
    }
}

/// Where an applet is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AppletChannelName)]
pub enum Channel {
    /// To everybody who has nothing else.
    Stable,
    /// To sites and consoles that try things first.
    Test,
}

/// What a site or a console has of an applet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlaceChannel {
    /// What everybody has.
    Stable,
    /// What is tried first; the stable one where that is later.
    Test,
    /// Nothing.
    None,
}
