//! Applets for consoles (decision 0043; seed, FIGURE 8, blocks 111 and 112).

use crate::id::SiteId;
use serde::{Deserialize, Serialize};

/// Which applets a console has at a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppletList {
    /// COSE_Sign1 by the NOC root over the statement of `applet/src/release.rs`, base64.
    pub releases: String,
}

/// A console asks for one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskApplet {
    /// The site it has it at.
    pub site: SiteId,
    /// The hash of the signed bundle, as the statement has it, 64 hexadecimal digits.
    pub hash: String,
    /// The console's X25519 key that the bundle is sealed to, base64.
    pub key: String,
}

/// A signed bundle, sealed to one console (HPKE base mode; the hash is authenticated with it).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedApplet {
    /// The encapsulated key, base64.
    pub enc: String,
    /// Ciphertext and tag, base64.
    pub ciphertext: String,
}
