//! What a channel is, as it is given, and checked.

use super::Quiet;
use crate::api::Fault;
use crate::store::channels::MAX_SITES;
use hyper::Uri;
use lettre::message::Mailbox;
use muster_protocol::api::AlertKind;
use muster_protocol::id::SiteId;
use muster_protocol::text::misleads;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// Between two reports of an open alert to an Alertmanager, and how long it believes one.
pub(crate) const KEEP_ALERTMANAGER_S: u64 = 120;
pub(super) const BELIEVED_S: u64 = 3 * KEEP_ALERTMANAGER_S;

const MAX_RECEIVERS: usize = 50;
const MAX_CA: usize = 64 << 10;
const MAX_URL: usize = 1_000;

/// Number of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct ChannelId(pub u32);

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ToSql for ChannelId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for ChannelId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        u32::column_result(value).map(ChannelId)
    }
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailSecurity {
    /// STARTTLS, which the server has to offer; usually port 587.
    #[default]
    Starttls,
    /// TLS from the beginning; usually port 465.
    Tls,
    /// None: only into networks that `channel_networks` in noc.toml allows.
    None,
}

/// Where it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// A mail server.
    Email {
        /// Its name or address.
        server: String,
        /// Its port.
        port: u16,
        /// How the connection is protected.
        #[serde(default)]
        security: MailSecurity,
        /// What to sign in as; empty for not at all.
        #[serde(default)]
        user: String,
        /// The sender's address, as `muster@example.net` or `Muster <muster@example.net>`.
        from: String,
        /// The receivers' addresses.
        #[schema(min_items = 1, max_items = 50)]
        to: Vec<String>,
        /// Certificates in PEM that are trusted instead of those that the NOC's machine trusts; or empty.
        #[serde(default)]
        ca: String,
    },
    /// A receiver of signed webhooks (Standard Webhooks).
    Webhook {
        /// Its address, with `https`; with plain `http` only into networks that `channel_networks` in noc.toml allows.
        url: String,
        /// Certificates in PEM that are trusted instead of those that the NOC's machine trusts; or empty.
        #[serde(default)]
        ca: String,
    },
    /// A Prometheus Alertmanager.
    Alertmanager {
        /// Where it is reached, without `/api/v2/alerts`.
        url: String,
        /// What to sign in as (HTTP Basic); empty for not at all.
        #[serde(default)]
        user: String,
        /// Certificates in PEM that are trusted instead of those that the NOC's machine trusts; or empty.
        #[serde(default)]
        ca: String,
    },
}

/// A channel as it is given. What it has secret comes apart, and is never shown again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelSpec {
    /// What people call it.
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    /// Where it goes.
    pub target: Target,
    /// Only alerts of these sites; none for all.
    #[serde(default)]
    #[schema(value_type = Vec<u32>, max_items = 200)]
    pub sites: Vec<SiteId>,
    /// Only alerts of these kinds; none for all.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub kinds: Vec<AlertKind>,
    /// Only escalated alerts.
    #[serde(default)]
    pub only_escalations: bool,
    /// Hours in which only escalations are told.
    #[serde(default)]
    pub quiet: Option<Quiet>,
    /// Whether anything is sent.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

/// A channel that could be used.
#[derive(Clone, Debug)]
pub(crate) struct Checked(pub(crate) ChannelSpec);

impl ChannelSpec {
    /// Refuses what could never be sent. Whether the target may be reached is looked at when it is.
    pub(crate) fn check(mut self) -> Result<Checked, Fault> {
        self.name = crate::store::organisations::checked_name("name", &self.name)?;
        self.target.check()?;
        self.sites.sort_unstable();
        self.sites.dedup();
        if self.sites.len() > MAX_SITES {
            return Err(Fault::invalid("sites", format!("names more than {MAX_SITES} sites")));
        }
        if self.kinds.len() > 16 {
            return Err(Fault::invalid("kinds", "names a kind twice"));
        }
        if self.quiet.is_some_and(|quiet| !quiet.is_good()) {
            return Err(Fault::invalid("quiet", "is not two different times of a day, in minutes, and a zone"));
        }
        if self.quiet.is_some() && matches!(self.target, Target::Alertmanager { .. }) {
            return Err(Fault::invalid("quiet", "is the Alertmanager's own matter: use its mute_time_intervals"));
        }
        Ok(Checked(self))
    }
}

impl Target {
    fn check(&self) -> Result<(), Fault> {
        match self {
            Target::Email { server, port, security, user, from, to, ca } => {
                if !is_host(server) {
                    return Err(Fault::invalid("server", "is not the name or address of a mail server"));
                }
                if *port == 0 {
                    return Err(Fault::invalid("port", "is not 1 to 65535"));
                }
                if user.chars().any(misleads) || user.len() > 200 {
                    return Err(Fault::invalid("user", "is longer than 200 bytes or holds control characters"));
                }
                if *security == MailSecurity::None && !user.is_empty() {
                    return Err(Fault::invalid("user", "cannot be sent without TLS: choose `starttls` or `tls`"));
                }
                mailbox(from).ok_or_else(|| Fault::invalid("from", "is not a mail address"))?;
                if !(1..=MAX_RECEIVERS).contains(&to.len()) {
                    return Err(Fault::invalid("to", format!("does not name 1 to {MAX_RECEIVERS} addresses")));
                }
                if let Some(bad) = to.iter().find(|to| mailbox(to).is_none()) {
                    let shown = muster_protocol::text::printable(bad);
                    return Err(Fault::invalid("to", format!("holds `{shown}`, which is not a mail address")));
                }
                check_ca(ca)
            }
            Target::Webhook { url, ca } => {
                address(url)?;
                check_ca(ca)
            }
            Target::Alertmanager { url, user, ca } => {
                let address = address(url)?;
                if address.query().is_some() {
                    return Err(Fault::invalid("url", "has a `?` in it"));
                }
                if user.contains(':') || user.chars().any(misleads) || user.len() > 200 {
                    return Err(Fault::invalid("user", "is longer than 200 bytes, or holds `:` or control characters"));
                }
                check_ca(ca)
            }
        }
    }

    /// Whether it needs a secret that the channel's administrator gives.
    pub(crate) fn user(&self) -> &str {
        match self {
            Target::Email { user, .. } | Target::Alertmanager { user, .. } => user,
            Target::Webhook { .. } => "",
        }
    }

    pub(crate) fn ca(&self) -> &str {
        match self {
            Target::Email { ca, .. } | Target::Webhook { ca, .. } | Target::Alertmanager { ca, .. } => ca,
        }
    }
}

/// A mail address with or without a name, in one line.
pub(super) fn mailbox(text: &str) -> Option<Mailbox> {
    let good = text.len() <= 320 && !text.chars().any(misleads);
    good.then(|| text.parse().ok()).flatten()
}

fn is_host(host: &str) -> bool {
    crate::config::split_address(host).is_some_and(|(name, port)| {
        // Without a port of its own.
        port == crate::config::DEFAULT_PORT
            && (name == host.to_ascii_lowercase() || host.parse::<std::net::IpAddr>().is_ok())
    })
}

/// An address of the web, without what does not belong into it.
pub(crate) fn address(url: &str) -> Result<Uri, Fault> {
    let bad = |why: &str| Fault::invalid("url", why);
    let good = url.len() <= MAX_URL && url.bytes().all(|b| b.is_ascii_graphic());
    let uri: Uri =
        good.then(|| url.parse().ok()).flatten().ok_or_else(|| bad("is not the address of a web service"))?;
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let has_port = authority.len() > uri.host().map_or(0, str::len);
    if authority.contains('@') {
        return Err(bad("holds a user name or password, which would be shown"));
    }
    match uri.scheme_str() {
        Some("https" | "http") if uri.host().is_some_and(|host| !host.is_empty()) => {}
        _ => return Err(bad("does not begin with `https://` or `http://` and a name")),
    }
    if has_port && uri.port_u16().is_none_or(|port| port == 0) {
        return Err(bad("has a port that is not 1 to 65535"));
    }
    Ok(uri)
}

/// Certificates in PEM, or nothing.
pub(crate) fn check_ca(ca: &str) -> Result<(), Fault> {
    if ca.is_empty() {
        return Ok(());
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(ca.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() && ca.len() <= MAX_CA => {
            let mut roots = rustls::RootCertStore::empty();
            let good = found.into_iter().all(|certificate| roots.add(certificate).is_ok());
            if good { Ok(()) } else { Err(Fault::invalid("ca", "holds a certificate that does not read")) }
        }
        _ => Err(Fault::invalid("ca", "does not hold certificates in PEM, or too many")),
    }
}

/// Checks a password that is sent as it is.
pub(crate) fn check_password(password: &str) -> Result<Zeroizing<String>, Fault> {
    if password.len() > 500 || password.chars().any(char::is_control) {
        return Err(Fault::invalid("password", "is longer than 500 bytes or holds control characters"));
    }
    Ok(Zeroizing::new(password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(server: &str, from: &str, to: &str) -> Target {
        Target::Email {
            server: server.into(),
            port: 587,
            security: MailSecurity::Starttls,
            user: String::new(),
            from: from.into(),
            to: vec![to.into()],
            ca: String::new(),
        }
    }

    fn field(target: Target) -> Option<&'static str> {
        match target.check() {
            Ok(()) => None,
            Err(Fault::Invalid { field, .. }) => Some(field),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_could_never_be_sent_is_refused_with_the_field() {
        let good = "a@example.net";
        assert_eq!(field(email("mail.example.net", "Muster <m@example.net>", good)), None);
        assert_eq!(field(email("2001:db8::1", good, good)), None);
        for server in ["", "mail.example.net:25", "a b", "https://mail", "-x"] {
            assert_eq!(field(email(server, good, good)), Some("server"), "{server}");
        }
        for bad in [
            "",
            "a",
            "a@b\r\nBcc: c@example.net",
            "a@example.net\nX: y",
            "<a@example.net",
            "a@example.net, b@example.net",
        ] {
            assert_eq!(field(email("mail", bad, good)), Some("from"), "{bad:?}");
            assert_eq!(field(email("mail", good, bad)), Some("to"), "{bad:?}");
        }
        let url = |url: &str| field(Target::Webhook { url: url.into(), ca: String::new() });
        assert_eq!((url("https://hooks.example.net/a?b=c"), url("http://[::1]:8080/")), (None, None));
        for bad in [
            "",
            "hooks",
            "ftp://a/",
            "https://",
            "https://u:p@a/",
            "https://a:0/",
            "https://a:99999/",
            "https://a/\r\nX: y",
            "https://ä/",
            "/a",
        ] {
            assert_eq!(url(bad), Some("url"), "{bad:?}");
        }
        let ca = |ca: &str| field(Target::Webhook { url: "https://a/".into(), ca: ca.into() });
        assert_eq!(ca("hello"), Some("ca"));
        assert_eq!(ca("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), Some("ca"));
    }

    #[test]
    fn a_password_goes_nowhere_in_the_clear() {
        let mut target = email("localhost", "a@example.net", "b@example.net");
        if let Target::Email { security, user, .. } = &mut target {
            (*security, *user) = (MailSecurity::None, "anna".into());
        }
        assert_eq!(field(target), Some("user"));
        assert!(check_password("p\r\nq").is_err() && check_password("pässwörd").is_ok());
    }
}
