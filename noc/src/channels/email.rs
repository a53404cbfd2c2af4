//! Mail: one for all that came together, in plain text.

use super::send::{clipped, roots};
use super::spec::mailbox;
use super::told::happening;
use super::{Batch, MailSecurity, SendError, Sending, Sent, Target, Told};
use crate::clock::rfc3339;
use crate::store::alert_events::Happening;
use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use muster_protocol::text::printable;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

/// Until one address takes the connection; then the next is tried.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest subject, in characters.
const SUBJECT: usize = 120;
/// Appliances that are named of one alert.
const NAMED: usize = 10;

pub(super) async fn send(sending: &Sending, batch: &Batch) -> Result<Sent, SendError> {
    let Target::Email { server, port, security, user, .. } = &sending.target else {
        return Err(SendError::Unwritable { why: "it is no mail".to_owned() });
    };
    let message = message(sending, batch)?;
    let is_encrypted = *security != MailSecurity::None;
    let addresses = sending.reach.resolve(server, *port, is_encrypted).await?;
    let hello = ClientId::Domain(domain(&sending.noc));
    let tls = is_encrypted.then(|| parameters(server, sending.target.ca())).transpose()?;
    let at_once = tls.clone().filter(|_| *security == MailSecurity::Tls);
    let mut connection = None;
    for address in addresses {
        let opened = AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT), &hello, at_once.clone(), None).await;
        match opened {
            Ok(opened) => connection = Some(Ok(opened)),
            Err(error) => connection = Some(Err(error)),
        }
        if matches!(connection, Some(Ok(_))) {
            break;
        }
    }
    let failed = |error: lettre::transport::smtp::Error| told(server, error);
    let Some(connection) = connection else { return Err(SendError::Silent) };
    let mut connection = connection.map_err(failed)?;
    if *security == MailSecurity::Starttls
        && let Some(tls) = tls
    {
        connection.starttls(tls, &hello).await.map_err(failed)?;
    }
    if !user.is_empty() {
        let credentials = Credentials::new(user.clone(), sending.secret.to_string());
        connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await.map_err(failed)?;
    }
    let answer = connection.send(message.envelope(), &message.formatted()).await.map_err(failed)?;
    // It has the message: how it says good-bye changes nothing.
    let _ = connection.quit().await;
    let words: Vec<&str> = answer.message().collect();
    Ok(Sent { answer: clipped(&format!("{} {}", answer.code(), words.join(" "))) })
}

fn told(server: &str, error: lettre::transport::smtp::Error) -> SendError {
    if error.is_transient() || error.is_permanent() || error.is_client() || error.is_response() {
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        let answer = causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"));
        return SendError::Mail { answer: clipped(&answer), is_final: error.is_permanent() };
    }
    let host = server.to_owned();
    if error.is_timeout() {
        return SendError::Silent;
    }
    if error.is_tls() || is_of_tls(&error) {
        return SendError::Tls { host, source: error.into() };
    }
    SendError::Connect { host, source: std::io::Error::other(error) }
}

/// Whether TLS is at the bottom of it, which the library tells as any other fault of a connection.
fn is_of_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |cause| cause.source()).any(|cause| {
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>())
    })
}

fn parameters(server: &str, ca: &str) -> Result<TlsParameters, SendError> {
    let failed =
        |error: lettre::transport::smtp::Error| SendError::Tls { host: server.to_owned(), source: error.into() };
    let mut builder = TlsParameters::builder(server.to_owned()).certificate_store(CertificateStore::None);
    for root in roots(ca) {
        builder = builder.add_root_certificate(Certificate::from_der(root.to_vec()).map_err(failed)?);
    }
    builder.build_rustls().map_err(failed)
}

/// What the NOC calls itself to a mail server.
fn domain(noc: &str) -> String {
    let host = crate::config::split_address(noc).map_or_else(|| "localhost".to_owned(), |(host, _)| host);
    match host.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(ip)) => format!("[{ip}]"),
        Ok(std::net::IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
        Err(_) => host,
    }
}

fn message(sending: &Sending, batch: &Batch) -> Result<Message, SendError> {
    let unwritable = |why: String| SendError::Unwritable { why };
    let Target::Email { from, to, .. } = &sending.target else { return Err(unwritable("it is no mail".to_owned())) };
    let read = |text: &str| mailbox(text).ok_or_else(|| unwritable(format!("`{}` is no address", printable(text))));
    let name = |name| HeaderName::new_from_ascii_str(name);
    let id_domain = domain(&sending.noc);
    let mut builder = Message::builder()
        .from(read(from)?)
        .subject(subject(sending, batch))
        // The same for each attempt, so that a reader can drop what came twice.
        .message_id(Some(format!("<{}@{}>", batch.key, id_domain.trim_matches(['[', ']']))))
        // No out-of-office notes in answer (RFC 3834).
        .raw_header(HeaderValue::new(name("Auto-Submitted"), "auto-generated".to_owned()))
        .raw_header(HeaderValue::new(name("X-Auto-Response-Suppress"), "All".to_owned()));
    for receiver in to {
        builder = builder.to(read(receiver)?);
    }
    let kind = lettre::message::header::ContentType::TEXT_PLAIN;
    builder.header(kind).body(body(sending, batch)).map_err(|error| unwritable(error.to_string()))
}

fn subject(sending: &Sending, batch: &Batch) -> String {
    if batch.is_test {
        return format!("Muster: a test of the channel {}", printable(&sending.channel));
    }
    let sites: BTreeSet<&str> = batch.events.iter().map(|told| told.alert.site_name.as_str()).collect();
    let place = match sites.len() {
        1 => printable(sites.first().copied().unwrap_or_default()),
        count => format!("{count} sites"),
    };
    let what = match batch.events.as_slice() {
        [told] if batch.more == 0 => {
            let (subject, what) = (told.alert.subject(), told.alert.complaint());
            match told.event {
                Happening::Opened => format!("{subject} {what}"),
                other => format!("{}: {subject} {what}", happening(other)),
            }
        }
        events => {
            let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
            for told in events {
                *counted.entry(happening(told.event)).or_default() += 1;
            }
            let mut parts: Vec<_> = counted.iter().map(|(what, count)| format!("{count} {what}")).collect();
            if batch.more > 0 {
                parts.push(format!("{} more", batch.more));
            }
            parts.join(", ")
        }
    };
    format!("Muster: {place}: {what}").chars().take(SUBJECT).collect()
}

fn body(sending: &Sending, batch: &Batch) -> String {
    let mut text = String::new();
    if batch.is_test {
        let _ = writeln!(text, "This is a test of a channel of Muster. Nothing is wrong.\n");
    }
    for told in &batch.events {
        line(&mut text, told);
    }
    if batch.more > 0 {
        let _ = writeln!(text, "and {} more events", batch.more);
    }
    let organisation = printable(&sending.organisation.1);
    let _ = write!(
        text,
        "\n-- \nAlerts of {organisation}: https://{}/alerts\nSent by the channel {}.\n",
        sending.noc,
        printable(&sending.channel)
    );
    text
}

fn line(text: &mut String, told: &Told) {
    let alert = &told.alert;
    let (site, subject) = (printable(&alert.site_name), alert.subject());
    let time = readable(told.time);
    let _ = writeln!(text, "{time}  {}: {subject} {} (alert {})", happening(told.event), alert.complaint(), alert.id);
    let _ = writeln!(text, "    site {site}, since {}", readable(alert.opened));
    if !told.by.is_empty() {
        let until = told.until.map(|until| format!(" until {}", readable(until))).unwrap_or_default();
        let note = if told.note.is_empty() { String::new() } else { format!(": {}", printable(&told.note)) };
        let _ = writeln!(text, "    by {}{until}{note}", printable(&told.by));
    }
    if alert.count > 1 {
        let names: Vec<_> = alert.appliances.iter().take(NAMED).map(super::ToldAppliance::name).collect();
        let rest = (alert.count as usize).saturating_sub(names.len());
        let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        let _ = writeln!(text, "    {}{rest}", names.join(", "));
    }
}

fn readable(time: u64) -> String {
    rfc3339(time).replace('T', " ").replace('Z', " UTC")
}
