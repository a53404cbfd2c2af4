//! Invites: what an operator of the NOC hands to whoever sets up a console.

use crate::problem::Explain;
use data_encoding::BASE64URL_NOPAD;
use muster_protocol::time::UnixTime;
use serde::Deserialize;

const PREFIX: &str = "muster-invite:";

/// A one-time invite. Its token is a secret until it has been used.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Invite {
    /// `host:port`.
    pub noc: String,
    /// SHA-256 of the NOC's CA certificate (DER), hexadecimal.
    pub pin: String,
    /// The one-time token.
    pub token: String,
    /// When it ends, Unix seconds.
    pub expires: u64,
}

/// Why a text is no usable invite.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// Not an invite, or cut short.
    #[error("this is not an invite: {why}")]
    Form {
        /// What is missing.
        why: &'static str,
    },
    /// Too old.
    #[error("the invite expired {} minutes ago", .seconds_ago / 60)]
    Expired {
        /// How long ago.
        seconds_ago: u64,
    },
}

impl Explain for InviteError {
    fn code(&self) -> String {
        match self {
            InviteError::Form { .. } => "invite_malformed".into(),
            InviteError::Expired { .. } => "invite_expired".into(),
        }
    }

    fn remedy(&self) -> String {
        match self {
            InviteError::Form { .. } => "Copy the whole invite: one line that begins with muster-invite:".into(),
            InviteError::Expired { .. } => {
                "Ask for a new one (`muster-noc console invite`), and check the clock of this computer.".into()
            }
        }
    }
}

impl Invite {
    /// Reads an invite; line breaks that a mail program put in are ignored.
    pub fn parse(text: &str, now: UnixTime) -> Result<Invite, InviteError> {
        let form = |why| InviteError::Form { why };
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let code = text.strip_prefix(PREFIX).ok_or(form("it does not begin with muster-invite:"))?;
        let bytes = BASE64URL_NOPAD.decode(code.as_bytes()).map_err(|_| form("it is cut short or mistyped"))?;
        let invite: Invite = serde_json::from_slice(&bytes).map_err(|_| form("it is cut short or mistyped"))?;
        let pin = data_encoding::HEXLOWER_PERMISSIVE.decode(invite.pin.as_bytes());
        if pin.map_or(0, |pin| pin.len()) != 32 {
            return Err(form("its pin is not a SHA-256 hash"));
        }
        if !is_host_and_port(&invite.noc) {
            return Err(form("the address of the NOC in it is not host:port"));
        }
        if invite.expires <= now.0 {
            return Err(InviteError::Expired { seconds_ago: now.0 - invite.expires });
        }
        Ok(invite)
    }
}

impl std::fmt::Debug for Invite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invite").field("noc", &self.noc).field("pin", &self.pin).finish_non_exhaustive()
    }
}

/// Nothing that could change the path or the authority of a URL.
fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let host_ok = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-.:[]_".contains(c));
    host_ok && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(noc: &str, expires: u64) -> String {
        let json = format!(r#"{{"noc":"{noc}","pin":"{}","token":"ABCDEFGH","expires":{expires}}}"#, "ab".repeat(32));
        format!("{PREFIX}{}", BASE64URL_NOPAD.encode(json.as_bytes()))
    }

    #[test]
    fn an_invite_reads_back_even_when_a_mail_program_broke_the_line() {
        let mut text = text("noc.example.net:8443", 2000);
        text.insert(40, '\n');
        let invite = Invite::parse(&format!("  {text} "), UnixTime(1000)).expect("good");
        assert_eq!((invite.noc.as_str(), invite.token.as_str()), ("noc.example.net:8443", "ABCDEFGH"));
        assert!(!format!("{invite:?}").contains("ABCDEFGH"), "the token is a secret");
    }

    #[test]
    fn what_is_wrong_is_told() {
        let parse = |text: &str| Invite::parse(text, UnixTime(1000)).expect_err("should be refused");
        assert_eq!(parse(&text("noc:1", 400)), InviteError::Expired { seconds_ago: 600 });
        assert_eq!(parse(&text("noc:1", 400)).problem().code, "invite_expired");
        for bad in ["", "hello", "muster-invite:####", &text("noc", 2000), &text("noc/x:1", 2000), &text("a@b:1", 2000)]
        {
            let error = parse(bad);
            assert_eq!(error.problem().code, "invite_malformed", "{bad}");
            assert!(!error.problem().remedy.is_empty());
        }
        let whole = text("noc:1", 2000);
        assert_eq!(parse(&whole[..whole.len() - 9]).problem().code, "invite_malformed");
    }
}
