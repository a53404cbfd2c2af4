//! Where an organisation's history is written, as it is given, and checked.

use crate::api::Fault;
use crate::channels::{address, check_ca, check_password};
use muster_protocol::text::misleads;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// A store of measurements. Its password or token comes apart, and is never shown again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteWriteSpec {
    /// Where it takes Prometheus remote write: an address that usually ends in `/api/v1/write`, with `https`; with plain `http` only
    /// into networks that `channel_networks` in noc.toml allows.
    #[schema(max_length = 1000)]
    pub url: String,
    /// What to sign in as (HTTP Basic); empty for not at all, or with a token.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub user: String,
    /// Certificates in PEM that are trusted instead of those that the NOC's machine trusts; or empty.
    #[serde(default)]
    pub ca: String,
    /// Whether anything is written.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

/// One that could be used, with what is secret.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) spec: RemoteWriteSpec,
    pub(crate) secret: Zeroizing<String>,
}

impl RemoteWriteSpec {
    /// Refuses what could never be written to. Whether it may be reached is looked at when it is. A secret stays when none is given,
    /// unless it would go somewhere else than before.
    pub(crate) fn check(
        self,
        secret: Option<&str>,
        before: Option<(&RemoteWriteSpec, &Zeroizing<String>)>,
    ) -> Result<Checked, Fault> {
        address(&self.url)?;
        if self.user.contains(':') || self.user.chars().any(misleads) || self.user.len() > 200 {
            let why = "is longer than 200 bytes, or holds `:` or control characters";
            return Err(Fault::invalid("user", why));
        }
        check_ca(&self.ca)?;
        let secret = match (secret, before) {
            (Some(secret), _) => check_password(secret)?,
            (None, Some((spec, kept))) if !kept.is_empty() => {
                if (&spec.url, &spec.user, &spec.ca) != (&self.url, &self.user, &self.ca) {
                    let why = "has to be given again: it would go to another server or user";
                    return Err(Fault::invalid("password", why));
                }
                kept.clone()
            }
            (None, _) => Zeroizing::new(String::new()),
        };
        if !self.user.is_empty() && secret.is_empty() {
            return Err(Fault::invalid("password", "is missing: there is a user"));
        }
        Ok(Checked { spec: self, secret })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(url: &str, user: &str) -> RemoteWriteSpec {
        RemoteWriteSpec { url: url.into(), user: user.into(), ca: String::new(), enabled: true }
    }

    #[test]
    fn what_could_never_be_written_to_is_refused_with_the_field() {
        let field = |spec: RemoteWriteSpec, secret: Option<&str>| match spec.check(secret, None) {
            Ok(_) => None,
            Err(Fault::Invalid { field, .. }) => Some(field),
            Err(other) => panic!("{other:?}"),
        };
        let good = "https://metrics.example.net/api/v1/write";
        assert_eq!(field(spec(good, ""), None), None);
        assert_eq!(field(spec(good, ""), Some("token")), None);
        assert_eq!(field(spec("metrics", ""), None), Some("url"));
        assert_eq!(field(spec("https://u:p@metrics/", ""), None), Some("url"));
        assert_eq!(field(spec(good, "a:b"), Some("p")), Some("user"));
        assert_eq!(field(spec(good, "a"), None), Some("password"));
        assert_eq!(field(spec(good, "a"), Some("")), Some("password"));
        assert_eq!(field(spec(good, "a"), Some("p\r\nq")), Some("password"));
        assert_eq!(field(RemoteWriteSpec { ca: "hello".into(), ..spec(good, "") }, None), Some("ca"));
    }

    #[test]
    fn a_password_stays_with_its_server_and_user_only() {
        let (before, secret) = (spec("https://a/w", "u"), Zeroizing::new("p".to_owned()));
        let again = |spec: RemoteWriteSpec| spec.check(None, Some((&before, &secret)));
        assert_eq!(*again(before.clone()).expect("the same").secret, "p");
        assert_eq!(*again(RemoteWriteSpec { enabled: false, ..before.clone() }).expect("off").secret, "p");
        for other in [spec("https://b/w", "u"), spec("https://a/w", "v"), spec("https://a/w", "")] {
            assert!(matches!(again(other), Err(Fault::Invalid { field: "password", .. })));
        }
        assert_eq!(*spec("https://b/w", "").check(Some(""), Some((&before, &secret))).expect("none").secret, "");
    }
}
