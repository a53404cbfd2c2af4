//! Components: the software an appliance shall have besides its agent, and what it says of it (seed, FIGURE 4: "suite of
//! applications 56", "component server"; decision 0044).
//!
//! What a component *is* comes from a TUF repository, whose signatures alone decide what may be installed. These types only say
//! which of its targets an appliance shall have.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Most components that one appliance shall have, and most that it tells of.
pub const MOST_COMPONENTS: usize = 32;
/// Longest name or version of a component, bytes.
pub const MAX_COMPONENT_NAME: usize = 64;
/// Longest reason of a [`ComponentReport`], bytes.
pub const MAX_COMPONENT_PROBLEM: usize = 256;

/// What an appliance shall have: the answer to `GET /v1/appliances/components`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentPlan {
    /// COSE_Sign1 by the NOC root over [`crate::component::ComponentRoot`], base64: the repository to trust. Absent while the NOC
    /// has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// The components, in the order in which they are installed. A component that is not named is left as it is.
    pub components: Vec<RequiredComponent>,
    /// Bytes a second that may be downloaded; absent: as fast as it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<u64>,
    /// Changes when the above does; [`crate::api::Work::components`] names it.
    pub revision: String,
}

/// One component that an appliance shall have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequiredComponent {
    /// Its name, as `mail-filter`: lower-case letters, digits and dashes.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The name of its target in the repository.
    pub target: String,
}

/// How a component stands on an appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum ComponentState {
    /// It is to be installed, and waits for its turn or for the next attempt.
    #[n(0)]
    Waiting,
    /// It is being downloaded.
    #[n(1)]
    Downloading,
    /// It is being installed, or its health is being watched.
    #[n(2)]
    Installing,
    /// It is installed and well.
    #[n(3)]
    Installed,
    /// It could not be installed, or was not well: what was there before is there again.
    #[n(4)]
    Failed,
}

/// What an appliance says of a component in a beat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
pub struct ComponentReport {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// The version that it is to have.
    #[n(1)]
    pub version: String,
    /// How that stands.
    #[n(2)]
    pub state: ComponentState,
    /// The version that runs now; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(3)]
    pub running: Option<String>,
    /// How far it is, percent, while it is downloaded or installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(4)]
    pub percent: Option<u8>,
    /// Why it could not be installed: a stable word, a colon and a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(5)]
    pub problem: Option<String>,
}
