//! Every datagram that was ever made, and what the checker knows of it without reading it.

use crate::cast::{Mark, name};
use muster_protocol::crypto::keys::SealKey;
use muster_protocol::id::RequestId;
use muster_protocol::wire::result::{ConfigResult, Status};
use std::collections::HashMap;
use std::sync::Arc;

/// A datagram's number: equal bytes have one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(pub u32);

/// What a datagram is in truth.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// The console asks one appliance for a one-time key.
    Ping { unit: usize, number: u8 },
    /// An appliance's answer.
    Here { unit: usize },
    /// A config packet.
    Config(Config),
    /// A grant in the answer to a beat.
    Given { by: Maker, grant: Mark },
    /// An appliance's result.
    Result { unit: usize, text: String },
    /// A kick-start.
    Kick { by: Maker, request: RequestId, of: String },
    /// What the attacker made for the console.
    Lie { text: &'static str },
}

/// A config packet in truth.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) by: Maker,
    /// The grant inside.
    pub(crate) grant: Mark,
    /// The appliance in the address.
    pub(crate) to: usize,
    /// The one-time key in the address.
    pub(crate) key: SealKey,
    pub(crate) request: RequestId,
}

impl Config {
    /// The attacker made it.
    pub(crate) fn is_forged(&self) -> bool {
        self.by != Maker::Console
    }
}

/// Who made a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    /// The console, for its own purposes; or the NOC, of what it gives itself.
    Console,
    /// The attacker; how.
    Attacker(&'static str),
}

pub(crate) struct Packet {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) what: What,
}

/// All datagrams.
#[derive(Default)]
pub(crate) struct Book {
    packets: Vec<Packet>,
    known: HashMap<Arc<[u8]>, PacketId>,
}

impl Book {
    /// The number of these bytes; `what` is kept from the first time.
    pub(crate) fn enter(&mut self, bytes: Vec<u8>, what: impl FnOnce() -> What) -> PacketId {
        if let Some(id) = self.known.get(&bytes[..]) {
            return *id;
        }
        let id = PacketId(self.packets.len() as u32);
        let bytes: Arc<[u8]> = bytes.into();
        self.known.insert(bytes.clone(), id);
        self.packets.push(Packet { bytes, what: what() });
        id
    }

    pub(crate) fn get(&self, id: PacketId) -> &Packet {
        &self.packets[id.0 as usize]
    }

    pub(crate) fn config(&self, id: PacketId) -> Option<&Config> {
        match &self.get(id).what {
            What::Config(config) => Some(config),
            _ => None,
        }
    }

    /// A grant that the NOC itself gave.
    pub(crate) fn given(&self, id: PacketId) -> Option<Mark> {
        match &self.get(id).what {
            What::Given { by: Maker::Console, grant } => Some(*grant),
            _ => None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }

    /// For a trace.
    pub(crate) fn describe(&self, id: PacketId) -> String {
        let number = id.0;
        match &self.get(id).what {
            What::Ping { unit, number: u8::MAX } => format!("[{number}] ping of the attacker to {}", name(*unit)),
            What::Ping { unit, number: n } => format!("[{number}] ping {n} to {}", name(*unit)),
            What::Here { unit } => format!("[{number}] here of {}", name(*unit)),
            What::Config(Config { by, grant, to, .. }) => {
                format!("[{number}] config packet to {} with the {grant}, {}", name(*to), made(*by))
            }
            What::Given { by: Maker::Console, grant } => format!("[{number}] the {grant}, with the answer to a beat"),
            What::Given { by, grant } => format!("[{number}] the {grant}, with the answer to a beat, {}", made(*by)),
            What::Result { unit, text } => format!("[{number}] result of {}: {text}", name(*unit)),
            What::Kick { by, of, .. } => format!("[{number}] kick-start {of}, {}", made(*by)),
            What::Lie { text } => format!("[{number}] {text}, made by the attacker"),
        }
    }
}

fn made(by: Maker) -> String {
    match by {
        Maker::Console => "by the console".into(),
        Maker::Attacker(how) => format!("made by the attacker: {how}"),
    }
}

/// For a trace: what a result says.
pub(crate) fn result_text(result: &ConfigResult) -> String {
    match &result.status {
        Status::Success { committed: true } => "SUCCESS, final".into(),
        Status::Success { committed: false } => "SUCCESS".into(),
        Status::Failed { reason, .. } => format!("FAILED {}", reason.code()),
        Status::Unconfigured { stage, .. } => format!("UNCONFIGURED {stage:?}"),
    }
}
