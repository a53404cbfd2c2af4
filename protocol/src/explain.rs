//! A datagram in words: every field with its name, bytes and meaning, and for a malformed one what is wrong at which byte.
//!
//! For people who look at recordings; nothing in the programs decides by it. It reads with its own strict walk, not with the
//! parsers of [`crate::wire`], because those only say that something is malformed; a test holds that both agree on what is.

mod cbor;
mod form;
mod text;
mod walk;

use crate::crypto::keys::PublicKey;
use crate::wire::{MAX_DATAGRAM, VERSION};
use serde::Serialize;
use walk::Walk;

/// A datagram in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// `ping`, `here`, `config packet`, `result` or `kick-start`; absent when the header is not one of ours.
    pub kind: Option<&'static str>,
    /// Bytes of the datagram.
    pub length: usize,
    /// What was understood, up to a fault if there is one.
    pub items: Vec<Item>,
    /// What makes the datagram malformed.
    pub fault: Option<Fault>,
}

/// One part of a datagram.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its name, as in `docs/protocol.md`.
    pub name: &'static str,
    /// Where its encoding begins, counted from the datagram's first byte.
    pub at: usize,
    /// How many bytes its encoding has.
    pub length: usize,
    /// The value as text: hexadecimal, a number with its unit, a UID, a MAC; never with control characters. Empty for what
    /// only holds other items.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What it is for, or what follows from it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub meaning: String,
    /// Only for a signature: whether it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// The parts it is made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
}

/// What became of checking a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// It is by the key that it has to be by.
    Holds,
    /// It is not.
    Fails,
    /// Nobody gave the key.
    NotChecked,
}

/// What makes a datagram malformed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The byte, counted from the datagram's first.
    pub at: usize,
    /// What is wrong there.
    pub what: String,
}

impl Fault {
    fn new(at: usize, what: impl Into<String>) -> Fault {
        Fault { at, what: what.into() }
    }
}

impl Explanation {
    /// True if some signature does not hold.
    pub fn has_bad_signature(&self) -> bool {
        fn any(items: &[Item]) -> bool {
            items.iter().any(|item| item.check == Some(Check::Fails) || any(&item.items))
        }
        any(&self.items)
    }
}

/// Explains a datagram. `keys`: Ed25519 public keys to try on signatures whose key is not inside.
///
/// ```
/// let explained = muster_protocol::explain::explain(b"MUST\x01\x09", &[]);
/// let fault = explained.fault.expect("there is no kind 9");
/// assert_eq!((fault.at, fault.what.as_str()), (5, "message kind 9 is unknown; version 1 has 1 to 5"));
/// ```
pub fn explain(datagram: &[u8], keys: &[PublicKey]) -> Explanation {
    let mut explained = Explanation { kind: None, length: datagram.len(), items: Vec::new(), fault: None };
    if let Err(fault) = read(datagram, keys, &mut explained) {
        explained.fault = Some(fault);
    }
    explained
}

const MAGIC: &[u8; 4] = b"MUST";
const HEADER: usize = 6;

fn read(datagram: &[u8], keys: &[PublicKey], explained: &mut Explanation) -> Result<(), Fault> {
    for (at, expected) in MAGIC.iter().enumerate() {
        match datagram.get(at) {
            Some(byte) if byte == expected => {}
            Some(byte) => {
                let what = format!("expected {expected:02x} of `MUST`, found {byte:02x}: not a Muster datagram");
                return Err(Fault::new(at, what));
            }
            None => return Err(cut(datagram)),
        }
    }
    explained.items.push(leaf("magic", 0, 4, "MUST".to_owned(), "a Muster datagram"));
    let version = *datagram.get(4).ok_or_else(|| cut(datagram))?;
    explained.items.push(leaf("version", 4, 1, version.to_string(), "of the protocol"));
    if version != VERSION {
        return Err(Fault::new(4, format!("protocol version {version} is not spoken here; this speaks {VERSION}")));
    }
    let kind = *datagram.get(5).ok_or_else(|| cut(datagram))?;
    let Some((name, meaning, body)) = form::kind(kind) else {
        return Err(Fault::new(5, format!("message kind {kind} is unknown; version 1 has 1 to 5")));
    };
    explained.kind = Some(name);
    explained.items.push(leaf("kind", 5, 1, format!("{kind}, {name}"), meaning));
    if datagram.len() > MAX_DATAGRAM {
        let what = format!("{} bytes are more than a datagram may have; that is {MAX_DATAGRAM}", datagram.len());
        return Err(Fault::new(MAX_DATAGRAM, what));
    }
    Walk::new(datagram, keys).body(HEADER, body, &mut explained.items)
}

fn cut(datagram: &[u8]) -> Fault {
    Fault::new(datagram.len(), format!("cut short: the header has {HEADER} bytes, this datagram {}", datagram.len()))
}

fn leaf(name: &'static str, at: usize, length: usize, value: String, meaning: &str) -> Item {
    Item { name, at, length, value, meaning: meaning.to_owned(), check: None, items: Vec::new() }
}
