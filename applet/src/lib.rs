//! Applets: what a vendor adds to the console of a site, as a signed bundle (seed, "applet 23"; decision 0043).
//!
//! # Map
//! - [`manifest`]: what a bundle says of itself. [`form`]: the settings it asks for, and whether values fit.
//! - [`bundle`]: the files of one applet, checked against each other. [`signed`]: the bundle as its author signs it.
//! - [`release`]: the NOC's word which applets a console has at a site.
//!
//! # Deliberately absent
//! No sockets, files or clocks: bytes in, bytes out. An applet's own program never runs here.

pub mod bundle;
pub mod form;
pub mod manifest;
pub mod release;
pub mod signed;

use std::fmt;

/// Everything that is wrong with a bundle, never empty: each with the file it is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

/// One thing that is wrong with a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as `form.json`, and where in it, as `form.json /properties/relays`.
    pub place: String,
    /// A sentence that names what is wrong and what to do.
    pub message: String,
}

impl Fault {
    /// A fault at a place.
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Fault {
        Fault { place: place.into(), message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place.escape_debug(), self.message)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

/// Nothing, or the faults.
pub(crate) fn none(faults: Vec<Fault>) -> Result<(), Faults> {
    if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
}

/// True for a short name of lower-case letters, digits and dashes, as `mail-gateway`.
pub fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
