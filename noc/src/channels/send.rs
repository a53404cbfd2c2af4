//! One message to one receiver.

use super::reach::Reach;
use super::{Target, Told, ToldAlert, alertmanager, email, webhook};
use muster_protocol::text::printable;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use zeroize::Zeroizing;

/// Until a receiver has taken a message and said so.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is kept of its words, in characters.
const WORDS: usize = 300;

/// What is sent as one.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// What receivers know it by: the same for every attempt.
    pub(crate) key: String,
    /// When it was put together.
    pub(crate) made: u64,
    pub(crate) events: Vec<Told>,
    /// Events that are in it, but no longer told one by one.
    pub(crate) more: u64,
    /// Alerts that are open now, for an Alertmanager.
    pub(crate) open: Vec<ToldAlert>,
    /// It says nothing but that the channel works.
    pub(crate) is_test: bool,
}

/// Whom to send it to.
pub(crate) struct Sending {
    pub(crate) target: Target,
    pub(crate) secret: Zeroizing<String>,
    pub(crate) reach: Reach,
    pub(crate) channel: String,
    /// Handle and name of the organisation.
    pub(crate) organisation: (String, String),
    /// Where the NOC's pages are.
    pub(crate) noc: String,
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").field("channel", &self.channel).field("target", &self.target).finish_non_exhaustive()
    }
}

/// A receiver took a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// In its own words.
    pub(crate) answer: String,
}

/// Why a receiver did not take it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("the address of {host} was not found")]
    Name { host: String, source: io::Error },
    #[error("{host} is at {address}, where nothing may be sent")]
    Forbidden { host: String, address: IpAddr },
    #[error("{host} is at {address}, and nothing is sent there without encryption")]
    Unencrypted { host: String, address: IpAddr },
    #[error("{host} takes no connection")]
    Connect { host: String, source: io::Error },
    #[error("no encrypted connection to {host}")]
    Tls { host: String, source: Box<dyn Error + Send + Sync> },
    #[error("the connection broke before an answer")]
    Broken { source: Box<dyn Error + Send + Sync> },
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent,
    #[error("it answered {status}: {answer}")]
    Status { status: u16, answer: String, retry_after_s: Option<u64> },
    #[error("the mail server said: {answer}")]
    Mail { answer: String, is_final: bool },
    #[error("the message could not be written: {why}")]
    Unwritable { why: String },
}

impl SendError {
    /// In a stable word, for the log: the words name targets.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            SendError::Name { .. } => "name",
            SendError::Forbidden { .. } => "forbidden",
            SendError::Unencrypted { .. } => "unencrypted",
            SendError::Connect { .. } => "connect",
            SendError::Tls { .. } => "tls",
            SendError::Broken { .. } => "broken",
            SendError::Silent => "silent",
            SendError::Status { .. } => "status",
            SendError::Mail { .. } => "mail",
            SendError::Unwritable { .. } => "unwritable",
        }
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            SendError::Name { .. } => "Check the name, and the name servers of the NOC's machine.",
            SendError::Forbidden { .. } => {
                "The public internet only is reached. Whoever runs the NOC can allow a network with `channel_networks` in \
                 noc.toml, and set this target."
            }
            SendError::Unencrypted { .. } => "Use https://, or STARTTLS or TLS for mail.",
            SendError::Connect { .. } => "Check the port, and whether a firewall is between the NOC and it.",
            SendError::Tls { .. } => "Check its certificate; for one of your own authority, give that as `ca`.",
            SendError::Broken { .. } | SendError::Silent => "Look at the receiver's own log.",
            SendError::Status { status: 300..=399, .. } => {
                "Redirections are not followed: give the address it leads to."
            }
            SendError::Status { status: 401 | 403, .. } => "Check the address, user name and password.",
            SendError::Status { .. } | SendError::Mail { .. } => "Look at the receiver's own log.",
            SendError::Unwritable { .. } => "Report this as an error of the NOC.",
        }
    }

    /// With its causes and what to do.
    pub(crate) fn words(&self) -> String {
        let causes = std::iter::successors(self.source(), |cause| (**cause).source()).map(ToString::to_string);
        let mut parts: Vec<String> = Vec::new();
        for part in std::iter::once(self.to_string()).chain(causes) {
            // Some libraries repeat their source.
            if parts.last().is_none_or(|last| !last.contains(&part)) {
                parts.push(part);
            }
        }
        format!("{}. {}", clipped(&parts.join(": ")).trim_end_matches('.'), self.remedy())
    }

    /// The receiver is there, and did not want this message: others may fare better.
    pub(crate) fn is_about_message(&self) -> bool {
        match self {
            SendError::Status { status, .. } => {
                (400..500).contains(status) && !matches!(status, 401 | 403 | 404 | 408 | 429)
            }
            SendError::Mail { is_final, .. } => *is_final,
            SendError::Unwritable { .. } => true,
            _ => false,
        }
    }

    pub(crate) fn retry_after_s(&self) -> Option<u64> {
        match self {
            SendError::Status { retry_after_s, .. } => *retry_after_s,
            _ => None,
        }
    }
}

/// Words of others, in one short line.
pub(super) fn clipped(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = printable(&line).chars().take(WORDS).collect();
    if line.chars().count() > WORDS {
        shown.push('…');
    }
    shown
}

/// Sends it once.
pub(crate) async fn send(sending: &Sending, batch: &Batch) -> Result<Sent, SendError> {
    let sent = async {
        match &sending.target {
            Target::Email { .. } => email::send(sending, batch).await,
            Target::Webhook { .. } => webhook::send(sending, batch).await,
            Target::Alertmanager { .. } => alertmanager::send(sending, batch).await,
        }
    };
    tokio::time::timeout(PATIENCE, sent).await.unwrap_or(Err(SendError::Silent))
}

/// The authorities that a receiver's certificate may be from: the channel's own, or those that this machine trusts.
pub(super) fn roots(ca: &str) -> Vec<CertificateDer<'static>> {
    static MACHINE: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    if !ca.is_empty() {
        return CertificateDer::pem_slice_iter(ca.as_bytes()).flatten().collect();
    }
    let machine = MACHINE.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "certificates that this machine trusts do not read");
        }
        let mut store = RootCertStore::empty();
        found.certs.into_iter().filter(|certificate| store.add(certificate.clone()).is_ok()).collect()
    });
    machine.clone()
}

/// TLS as a client.
pub(super) fn tls(ca: &str) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots(ca));
    let config = ClientConfig::builder_with_provider(crate::tls::provider()).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(store).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_are_one_short_printable_line() {
        let long = "x".repeat(1_000);
        assert_eq!(clipped("a\r\nb\u{1b}[2J\t c"), "a b\u{fffd}[2J c");
        assert_eq!(clipped(&long).chars().count(), WORDS + 1);
        let source = io::Error::new(io::ErrorKind::ConnectionRefused, "refused");
        let error = SendError::Connect { host: "mail".into(), source };
        assert!(error.words().starts_with("mail takes no connection: refused. Check the port"), "{}", error.words());
    }
}
