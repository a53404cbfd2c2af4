//! The datagrams on UDP port 6878.
//!
//! Every datagram is `MUST` (4 bytes), a version (1), a kind (1) and a CBOR body in the one deterministic form of RFC 8949
//! §4.2: whatever does not re-encode to the bytes received is refused. Nothing here is trusted before its signature was
//! checked; parsers are total and allocate no more than the datagram's own length.

pub mod config;
pub mod here;
pub mod kick;
pub mod ping;
pub mod result;

use minicbor::{Decode, Encode};
use std::net::{Ipv6Addr, SocketAddr};

/// The registered port: "MUST" on a keypad.
pub const PORT: u16 = 6878;
/// The link-local multicast group.
pub const GROUP: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0, 0x6878);
/// Longest datagram in bytes: the IPv6 minimum MTU less IPv6 and UDP headers, so nothing is ever fragmented.
pub const MAX_DATAGRAM: usize = 1232;
/// The version of this document.
pub const VERSION: u8 = 1;

const MAGIC: &[u8; 4] = b"MUST";
const HEADER: usize = 6;

/// Where a datagram came from, or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// The interface's index, 0 when it is not known.
    pub interface: u32,
    /// Address and port.
    pub address: SocketAddr,
}

/// A datagram by kind. Contents are unverified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Console to everybody (seed step 65).
    Ping(ping::PingPacket),
    /// Appliance to console (seed step 66).
    Here(here::HerePacket),
    /// Console to one appliance (seed step 69, FIGURE 6).
    Config(config::ConfigPacket),
    /// Appliance to console (seed steps 70, 72, 73).
    Result(result::ResultPacket),
    /// Console to one appliance (seed step 71).
    KickStart(kick::KickPacket),
}

/// Why a datagram is not one of ours. The sender is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than [`MAX_DATAGRAM`].
    #[error("{0} bytes is longer than a datagram may be")]
    TooLong(usize),
    /// Does not begin with `MUST`: other traffic on the port.
    #[error("not a Muster datagram")]
    Magic,
    /// A version we do not speak.
    #[error("protocol version {0} is not spoken here")]
    Version(u8),
    /// A kind we do not know.
    #[error("message kind {0} is unknown")]
    Kind(u8),
    /// The body is not what its kind says, or not in deterministic form.
    #[error("the body is malformed or not in deterministic form")]
    Body,
}

/// Reads a datagram.
pub fn decode(bytes: &[u8]) -> Result<Message, DecodeError> {
    if bytes.len() > MAX_DATAGRAM {
        return Err(DecodeError::TooLong(bytes.len()));
    }
    let Some((header, body)) = bytes.split_at_checked(HEADER) else { return Err(DecodeError::Magic) };
    if header[..4] != MAGIC[..] {
        return Err(DecodeError::Magic);
    }
    if header[4] != VERSION {
        return Err(DecodeError::Version(header[4]));
    }
    match header[5] {
        1 => Ok(Message::Ping(from_cbor(body)?)),
        2 => Ok(Message::Here(here::HerePacket { signed: body.to_vec() })),
        3 => Ok(Message::Config(from_cbor(body)?)),
        4 => Ok(Message::Result(from_cbor(body)?)),
        5 => Ok(Message::KickStart(from_cbor(body)?)),
        kind => Err(DecodeError::Kind(kind)),
    }
}

/// Writes a datagram.
pub fn encode(message: &Message) -> Vec<u8> {
    let (kind, body) = match message {
        Message::Ping(packet) => (1, to_cbor(packet)),
        Message::Here(packet) => (2, packet.signed.clone()),
        Message::Config(packet) => (3, to_cbor(packet)),
        Message::Result(packet) => (4, to_cbor(packet)),
        Message::KickStart(packet) => (5, to_cbor(packet)),
    };
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[VERSION, kind]);
    bytes.extend_from_slice(&body);
    bytes
}

/// Deterministic CBOR of one of our structures.
pub fn to_cbor<T: Encode<()>>(value: &T) -> Vec<u8> {
    // Writing to a Vec cannot fail, and our Encode implementations return no errors of their own.
    minicbor::to_vec(value).unwrap_or_default()
}

/// Reads deterministic CBOR: anything that would be written differently is refused, trailing bytes included.
pub fn from_cbor<'b, T: Decode<'b, ()> + Encode<()>>(bytes: &'b [u8]) -> Result<T, DecodeError> {
    let value: T = minicbor::decode(bytes).map_err(|_| DecodeError::Body)?;
    if to_cbor(&value) != bytes {
        return Err(DecodeError::Body);
    }
    Ok(value)
}
