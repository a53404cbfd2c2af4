//! One-line texts that people type, paste or configure.

use crate::allocation::Limit;
use crate::keys::MAC;
use crate::reached;
use crate::rooms::counters::{self, MAX_COUNTERS, MAX_NAME};
use crate::rooms::exclusion::Exclusion;
use crate::rooms::host_name::{HostNameTemplate, NameFor};
use crate::rooms::invite::Invite;
use crate::rooms::pool::Pool;
use crate::rooms::pool6::Pool6;
use muster_protocol::crypto::claim::{ClaimError, ClaimSecret};
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::id::{BootId, Mac, PingId, RequestId, Uid};
use muster_protocol::parameters::RawSettings;
use muster_protocol::text::misleads;
use muster_protocol::time::UnixTime;
use muster_protocol::wire::result::Reason;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

/// A text is copied without its blanks, decoded, and quoted in an error, where control characters take six letters.
const LIMIT: Limit = Limit { each: 64, base: 4_096 };

/// What the first byte chooses. Seeds are named after these.
pub const TEXTS: [(&str, fn(&str) -> bool); 14] = [
    ("uid", shown::<Uid>),
    ("mac", shown::<Mac>),
    ("request", shown::<RequestId>),
    ("ping", shown::<PingId>),
    ("boot", shown::<BootId>),
    ("claim", claim),
    ("settings", settings),
    ("invite", invite),
    ("pool", pool),
    ("host-name", host_name),
    ("counters", application_counters),
    ("words", words),
    ("pool6", pool6),
    ("exclusion", exclusion),
];

/// The first byte chooses the kind of text.
pub fn run(data: &[u8]) {
    let Some((which, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (name, read) = TEXTS[usize::from(*which) % TEXTS.len()];
    if read(text) {
        reached::mark(name);
    }
}

/// Reads back what it prints, and never prints what would harm a terminal.
fn shown<T: FromStr<Err: Display> + Display + PartialEq + std::fmt::Debug>(text: &str) -> bool {
    match LIMIT.hold(text.len(), || text.parse::<T>()) {
        Ok(value) => {
            assert_eq!(value.to_string().parse::<T>().ok(), Some(value));
            true
        }
        Err(error) => printable(&error),
    }
}

/// An error may end in a terminal or a log, whoever wrote the text.
fn printable(error: &impl Display) -> bool {
    let error = error.to_string();
    assert!(error.len() < 1_024 && !error.contains(char::is_control), "{error:?}");
    false
}

fn claim(text: &str) -> bool {
    match LIMIT.hold(text.len(), || text.parse::<ClaimSecret>()) {
        Ok(secret) => {
            assert_eq!(secret.reveal().parse::<ClaimSecret>().as_ref(), Ok(&secret));
            true
        }
        // It never repeats what was typed, which may be nearly right: its type has no room for that.
        Err(ClaimError::Form { letters }) => letters > text.len(),
        Err(ClaimError::Check) => false,
    }
}

/// Nine lines.
fn settings(text: &str) -> bool {
    let mut lines = text.split('\n').map(str::to_owned);
    let mut next = || lines.next().unwrap_or_default();
    let raw = RawSettings {
        host_name: next(),
        domain: next(),
        address: next(),
        netmask: next(),
        gateway: next(),
        dns1: next(),
        dns2: next(),
        address6: next(),
        gateway6: next(),
        application: next(),
        ntp: next(),
        search_domains: next(),
    };
    match LIMIT.hold(text.len(), || raw.validate()) {
        Ok(settings) => {
            let raw = settings.to_raw();
            assert_eq!(raw.validate().as_ref(), Ok(&settings));
            let json = serde_json::to_string(&settings).expect("plain texts");
            assert_eq!(serde_json::from_str::<RawSettings>(&json).expect("the same form"), raw);
            true
        }
        Err(errors) => {
            assert!(!errors.0.is_empty());
            assert!(!errors.to_string().contains(char::is_control), "{errors:?}");
            false
        }
    }
}

fn invite(text: &str) -> bool {
    let Ok(invite) = LIMIT.hold(text.len(), || Invite::parse(text, UnixTime(1_000))) else { return false };
    assert!(invite.expires > 1_000 && invite.pin.len() == 64);
    assert!(!invite.noc.contains(['/', '@', '?', '#', '\\', ' ']), "{} would change a URL", invite.noc);
    true
}

fn pool(text: &str) -> bool {
    let mut accepted = false;
    for prefix in [8, 24, 30] {
        let pool = match LIMIT.hold(text.len(), || Pool::parse(text, prefix)) {
            Ok(pool) => pool,
            Err(error) => {
                printable(&error);
                continue;
            }
        };
        accepted = true;
        assert!(pool.contains(pool.network()) && pool.len() >= 1 && pool.len() <= 1 << 24);
        assert_eq!(pool.next(0, |_| true), Some(pool.network()));
        let last = pool.next(pool.network(), |address| address != pool.network());
        assert!(last.is_none_or(|next| next > pool.network() && pool.contains(next)));
    }
    accepted
}

fn pool6(text: &str) -> bool {
    let pool = match LIMIT.hold(text.len(), || Pool6::parse(text)) {
        Ok(pool) => pool,
        Err(error) => return printable(&error),
    };
    let first = pool.next(0, |_| true).expect("no pool is empty");
    assert!(pool.contains(first) && pool.network().contains(first.into()) && pool.len() >= 1);
    let next = pool.next(first, |address| address != first);
    assert!(next.is_none_or(|next| next > first && pool.contains(next) && pool.network().contains(next.into())));
    true
}

/// What is cut out of everything is what is left out of it, and nothing else.
fn exclusion(text: &str) -> bool {
    let exclusion = match LIMIT.hold(text.len(), || Exclusion::parse(text)) {
        Ok(exclusion) => exclusion,
        Err(error) => return printable(&error),
    };
    let left = LIMIT.hold(text.len(), || exclusion.of_v6(&[(0, u128::MAX)]));
    assert!(left.iter().all(|(first, last)| first <= last), "no range is backwards");
    assert!(left.windows(2).all(|pair| pair[0].1 < pair[1].0), "in order, none touches another");
    for (first, last) in exclusion.of_v4(&[(0, u32::MAX)]) {
        assert_eq!(exclusion.of_v4(&[(first, last)]), [(first, last)], "what is left is left");
    }
    !left.is_empty()
}

fn host_name(text: &str) -> bool {
    let template = match LIMIT.hold(text.len(), || HostNameTemplate::parse(text)) {
        Ok(template) => template,
        Err(error) => return printable(&error),
    };
    for appliance in [
        NameFor { site: "Bern", model: "Mail Guard/2 ", serial: "SN_001", mac: MAC },
        NameFor { site: "Bern", model: "", serial: "", mac: MAC },
        NameFor { site: text, model: text, serial: text, mac: MAC },
    ] {
        let Ok(name) = template.render(appliance, u32::MAX) else { continue };
        let raw = RawSettings { host_name: name.clone(), ..crate::keys::settings("") };
        assert_eq!(raw.validate().expect("a rendered name is a host name").host_name(), name);
    }
    true
}

fn application_counters(text: &str) -> bool {
    let mut counters = BTreeMap::new();
    let lines = text.lines().count();
    let bad = LIMIT.hold(text.len(), || counters::add(&mut counters, text));
    assert!(counters.len() <= MAX_COUNTERS && bad <= lines);
    let harmless = |name: &str| name.len() <= MAX_NAME && !name.chars().any(misleads);
    assert!(counters.iter().all(|(name, value)| harmless(name) && value.is_finite()));
    // What was understood is written so that it is understood alike, whoever reads it.
    let written: String = counters.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
    let mut again = BTreeMap::new();
    assert_eq!((counters::add(&mut again, &written), again), (0, counters.clone()));
    !counters.is_empty()
}

fn words(text: &str) -> bool {
    let reason = Reason::from_code(text);
    assert!(reason.is_none_or(|reason| reason.code() == text));
    if let Some(key) = LIMIT.hold(text.len(), || PublicKey::from_base64(text)) {
        assert_eq!(key.to_base64(), text, "one form a key");
    }
    reason.is_some()
}
