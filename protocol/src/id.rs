//! The names of things.

use data_encoding::{BASE32_NOPAD, HEXLOWER, HEXUPPER};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// A text that is not the identifier it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}; expected {expected}")]
pub struct ParseIdError {
    /// What was being read, as `MAC address`.
    pub what: &'static str,
    /// The form it should have.
    pub expected: &'static str,
    /// What was given, cut to 64 characters, control characters escaped: it may end in a terminal or a log.
    pub text: String,
}

impl ParseIdError {
    fn new(what: &'static str, expected: &'static str, text: &str) -> Self {
        Self { what, expected, text: text.chars().take(64).flat_map(char::escape_debug).collect() }
    }
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; $len]);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal, $expected:literal) => {
        byte_id!($(#[$doc])* $name, $len);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok();
                let array = bytes.and_then(|b| b.try_into().ok());
                array.map($name).ok_or_else(|| ParseIdError::new($what, $expected, text))
            }
        }
    };
}

byte_id!(
    /// An appliance's identity: the first 20 bytes of the SHA-256 of its device public key.
    ///
    /// Shown as eight groups of four base32 characters, `ABCD-EFGH-…`; read with or without the dashes, in any case.
    Uid,
    20
);

impl Uid {
    /// The identity that belongs to a device public key (Ed25519, 32 bytes).
    pub fn of(device_key: &crate::crypto::keys::PublicKey) -> Uid {
        let hash = Sha256::digest(device_key.0);
        let mut uid = [0; 20];
        uid.copy_from_slice(&hash[..20]);
        Uid(uid)
    }

    /// The first group, for places too narrow for the whole: `ABCD-EFGH`.
    pub fn short(&self) -> String {
        self.to_string()[..9].to_owned()
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_groups(f, &BASE32_NOPAD.encode(&self.0))
    }
}

impl FromStr for Uid {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let bytes = BASE32_NOPAD.decode(&base32_letters(text)).ok();
        let array = bytes.and_then(|b| b.try_into().ok());
        array.map(Uid).ok_or_else(|| ParseIdError::new("UID", "eight groups of four letters A-Z or digits 2-7", text))
    }
}

byte_id!(
    /// A MAC address, written `AA:BB:CC:00:11:22` (seed, `sendConfig`).
    Mac,
    6
);

impl Mac {
    /// True for addresses that no maker was assigned (the locally administered bit).
    pub fn is_locally_administered(&self) -> bool {
        self.0[0] & 2 != 0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(":")?;
            }
            f.write_str(&HEXUPPER.encode(&[*byte]))?;
        }
        Ok(())
    }
}

impl FromStr for Mac {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let digits: String = text.trim().chars().filter(|c| !matches!(c, ':' | '-' | '.')).collect();
        let bytes = data_encoding::HEXUPPER_PERMISSIVE.decode(digits.as_bytes()).ok();
        let array = bytes.and_then(|b| b.try_into().ok());
        array.map(Mac).ok_or_else(|| ParseIdError::new("MAC address", "six bytes as AA:BB:CC:00:11:22", text))
    }
}

hex_id!(
    /// One configuration attempt: random, chosen by the console, the same on every re-send of the same packet.
    RequestId, 16, "request id", "32 hexadecimal digits"
);
hex_id!(
    /// One ping: random, chosen by the console, echoed in every answer.
    PingId, 16, "ping id", "32 hexadecimal digits"
);
hex_id!(
    /// One run of an agent: random, new at every start.
    BootId, 16, "boot id", "32 hexadecimal digits"
);

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $int:ty) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
        )]
        #[serde(transparent)]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// A site: one bounded network domain of one organisation. Given by the NOC.
    SiteId, u32
);
number_id!(
    /// An enrolled console. Given by the NOC.
    ConsoleId, u32
);
number_id!(
    /// The number of a grant for one appliance; each accepted grant has a larger one than the last.
    Seq, u64
);

impl Seq {
    /// The number after this one.
    pub fn next(self) -> Seq {
        Seq(self.0.saturating_add(1))
    }
}

/// Base32 letters of a text a person may have typed: spaces and dashes dropped, upper case, `0 1 8` read as `O I B`.
pub(crate) fn base32_letters(text: &str) -> Vec<u8> {
    text.chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| match c.to_ascii_uppercase() {
            '0' => b'O',
            '1' => b'I',
            '8' => b'B',
            c if c.is_ascii() => c as u8,
            _ => b'!',
        })
        .collect()
}

pub(crate) fn write_groups(f: &mut fmt::Formatter<'_>, letters: &str) -> fmt::Result {
    for (i, c) in letters.chars().enumerate() {
        if i > 0 && i % 4 == 0 {
            f.write_str("-")?;
        }
        write!(f, "{c}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_reads_back_what_it_prints_and_what_a_person_types() {
        let uid = Uid([7; 20]);
        let text = uid.to_string();
        assert_eq!(text.len(), 39);
        assert_eq!(text.parse::<Uid>().expect("printed form"), uid);
        assert_eq!(text.to_lowercase().replace('-', " ").parse::<Uid>().expect("typed form"), uid);
        assert!("ABCD".parse::<Uid>().expect_err("too short").to_string().contains("ABCD"));
    }

    #[test]
    fn a_mac_is_read_in_every_common_form() {
        let mac = Mac([0xaa, 0xbb, 0xcc, 0, 0x11, 0x22]);
        assert_eq!(mac.to_string(), "AA:BB:CC:00:11:22");
        for text in ["AA:BB:CC:00:11:22", "aa-bb-cc-00-11-22", "aabb.cc00.1122", " AABBCC001122 "] {
            assert_eq!(text.parse::<Mac>().expect(text), mac);
        }
        assert!("AA:BB".parse::<Mac>().is_err());
    }

    #[test]
    fn an_error_quotes_no_control_character() {
        let error = "ABCD\u{1b}[2J\n".parse::<Uid>().expect_err("not a UID").to_string();
        assert!(!error.contains(char::is_control) && error.contains("ABCD\\u{1b}[2J"), "{error}");
    }
}
