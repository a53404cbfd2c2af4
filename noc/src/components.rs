//! Components: the software that appliances get besides their agent (decision 0044).
//!
//! What may be installed is said by a TUF repository, whose metadata are in the database and whose files are in a folder, by their
//! hashes. `keys`: the keys that the NOC signs with; `root`: roots, whose keys are elsewhere; `metadata`: what is signed, as bytes.
//! `folder`: the files. `spec`: what is said of a component, and how it is checked. `required`: which of them an appliance shall
//! have. `waves`: how a change of that reaches them part by part; `rollouts`, `members`: what becomes of it. `standing`: which they have.
//! `library`: all of it for the command line. `vendor`: what vendors sign; `vendors`: who they are.

mod error;
pub(crate) mod folder;
pub(crate) mod keys;
pub(crate) mod library;
pub(crate) mod members;
pub(crate) mod metadata;
pub(crate) mod required;
pub(crate) mod rollouts;
pub(crate) mod root;
pub(crate) mod spec;
pub(crate) mod standing;
pub(crate) mod vendor;
mod vendors;
pub(crate) mod waves;

pub use error::ComponentError;
pub use keys::{OnlinePublic, TufKey};
pub use required::{ComponentPolicy, ReleaseChannel, Required};
pub use rollouts::{RolloutError, RolloutState, RolloutView, WaveView};
pub use root::{NewRoot, RootFile};
pub use spec::{Component, ComponentKind, ComponentSpec, HealthCheck};
pub use standing::{ApplianceComponents, ComponentStanding, Standing as ComponentState};
pub use vendor::{VendorFile, VendorView, fingerprint as vendor_fingerprint, read_vendor};
pub use vendors::Published;
pub(crate) use vendors::refused as refused_vendors;
pub use waves::{Share, Waves};
