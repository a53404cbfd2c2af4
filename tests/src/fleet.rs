//! The practice fleet: many simulated appliances in one process, behind one UDP socket, mostly on loopback.
//!
//! Each runs the real agent (`muster_agent::agent`): the same machines, the same certificates, the same HTTPS. Only its
//! network and what it measures are in memory, and its storage unless the fleet is given a folder. Pings go to all that
//! they ask, everything else to the appliance that it names.

mod catalogue;
mod crew;
mod health;
mod members;
mod question;
pub(crate) mod rng;
mod socket;
mod storage;
mod system;

pub use members::{Fleet, Stats};

use muster_protocol::id::Uid;
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddrV4};
use tokio::net::UdpSocket;

/// How many appliances and who they are.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many.
    pub count: usize,
    /// The same seed makes the same appliances and loses the same packets.
    pub seed: u64,
    /// The address of the first appliance, and the next one's is the next; absent, they all send from the socket's.
    pub first_address: Option<Ipv4Addr>,
    /// What goes wrong at first.
    pub knobs: Knobs,
}

/// What goes wrong; absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// How long an installation takes.
    pub install_ms: Option<u64>,
    /// How many of 100 installations fail.
    pub fail_percent: Option<u8>,
    /// How many of 100 datagrams are lost, each way.
    pub loss_percent: Option<u8>,
    /// Who neither answers nor beats.
    pub silent: Option<Vec<Uid>>,
}

/// A line on standard input.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Turn knobs.
    Knobs(Knobs),
    /// Print statistics; the value does not matter.
    Stats(bool),
}

/// The fleet's socket on loopback; port 0 is a free one.
pub fn bind(port: u16) -> std::io::Result<UdpSocket> {
    socket::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

/// The socket of a fleet that has a network, as in the lab, to itself: Muster's port on all addresses.
pub fn bind_network() -> std::io::Result<UdpSocket> {
    socket::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, muster_protocol::wire::PORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_and_unknown_knobs_refused() {
        let parse = |text| serde_json::from_str::<Command>(text);
        let knobs = Knobs { install_ms: Some(500), silent: Some(vec![Uid([1; 20])]), ..Knobs::default() };
        let text = format!(r#"{{"knobs":{{"install_ms":500,"silent":["{}"]}}}}"#, Uid([1; 20]));
        assert_eq!(parse(&text).expect("knobs"), Command::Knobs(knobs));
        assert_eq!(parse(r#"{"stats":true}"#).expect("stats"), Command::Stats(true));
        assert!(parse(r#"{"knobs":{"instal_ms":5}}"#).is_err());
        assert!(parse("rubbish").is_err());
    }
}
