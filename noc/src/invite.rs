//! One-time invites for consoles: the text an operator pastes, and the hash that the NOC keeps.

use crate::error::{AsProblem, StoreError, problem};
use crate::random;
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use muster_protocol::api::Problem;
use muster_protocol::id::SiteId;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// 160 random bits, shown once inside the invite text.
pub(crate) struct Token(String);

/// Why no invite was made.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// An invite is for at least one and at most 16 sites.
    #[error("an invite is for 1 to 16 sites; this names {count}")]
    Sites {
        /// How many were named.
        count: usize,
    },
    /// A site that is not there.
    #[error("there is no site {site}")]
    UnknownSite {
        /// Its number.
        site: SiteId,
    },
    /// Sites of several organisations.
    #[error("an invite is for sites of one organisation")]
    Organisations,
    /// The operating system gave no random bytes.
    #[error("no random bytes for the invite")]
    NoEntropy,
    /// The database did not keep it.
    #[error("the invite was not kept")]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for InviteError {
    fn from(error: rusqlite::Error) -> Self {
        InviteError::Store(error.into())
    }
}

impl AsProblem for InviteError {
    fn problem(&self) -> Problem {
        match self {
            InviteError::Sites { .. } => {
                problem(400, "invite_sites", self, "Name the sites the console may configure.")
            }
            InviteError::UnknownSite { .. } => {
                problem(404, "unknown_site", self, "List the sites with `muster-noc site list`.")
            }
            InviteError::Organisations => {
                problem(422, "invite_organisations", self, "Make an invite for each organisation.")
            }
            InviteError::NoEntropy => {
                problem(500, "no_entropy", self, "Try again once the machine has finished starting.")
            }
            InviteError::Store(error) => error.problem(),
        }
    }
}

impl Token {
    pub(crate) fn generate() -> Result<Token, InviteError> {
        let bytes = random::bytes::<20>().map_err(|_| InviteError::NoEntropy)?;
        Ok(Token(BASE32_NOPAD.encode(&bytes)))
    }

    /// The invite as an operator pastes it into a console.
    pub(crate) fn text(&self, noc: &str, pin: &[u8; 32], expires: u64) -> String {
        let body = Body { noc, pin: HEXLOWER.encode(pin), token: &self.0, expires };
        let json = serde_json::to_vec(&body).unwrap_or_default();
        format!("muster-invite:{}", BASE64URL_NOPAD.encode(&json))
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        hash_token(&self.0)
    }
}

/// What the NOC keeps of a token. A random token of 160 bits needs no slow hash.
pub(crate) fn hash_token(token: &str) -> [u8; 32] {
    Sha256::digest(token.trim().to_ascii_uppercase()).into()
}

#[derive(Serialize)]
struct Body<'a> {
    noc: &'a str,
    pin: String,
    token: &'a str,
    expires: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_holds_what_a_console_needs() {
        let token = Token::generate().expect("entropy");
        let text = token.text("noc.example.net:6878", &[0xab; 32], 1234);
        let body = text.strip_prefix("muster-invite:").expect("prefix");
        let json = BASE64URL_NOPAD.decode(body.as_bytes()).expect("base64url");
        let json: serde_json::Value = serde_json::from_slice(&json).expect("json");
        assert_eq!(json["noc"], "noc.example.net:6878");
        assert_eq!(json["pin"], "ab".repeat(32));
        assert_eq!(json["expires"], 1234);
        assert_eq!(hash_token(json["token"].as_str().expect("text")), token.hash());
    }
}
