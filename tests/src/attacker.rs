//! The attacker's toolkit: what somebody on the network can do, with our own protocol library in his hands.
//!
//! - [`station`]: sockets at a host of the lab, as any program there could open.
//! - [`wiretap`]: sees every frame of the network, and puts frames of any sender on it; [`frame`] forges them.
//! - [`owner`]: keys of a NOC and its console, to make packets that are right, and then spoil one thing.
//! - [`rogue`]: an appliance that runs the attacker's firmware.
//! - [`encodings`]: other ways to write the same message.

pub mod encodings;
pub mod frame;
pub mod owner;
pub mod rogue;
pub mod station;
pub mod wiretap;

use crate::lab::Lab;
use station::Station;
use wiretap::Wiretap;

/// The attacker's host.
pub const STRANGER: &str = "stranger";

/// A host of his own on the lab's bridge, which has been made a hub, so that he sees what others say to each other.
pub struct Attacker {
    /// His ordinary sockets.
    pub station: Station,
    /// His view of the wire.
    pub wire: Wiretap,
}

impl Attacker {
    /// Adds his host, with 10.20.0.66 and fe80::66, to the lab.
    ///
    /// # Panics
    /// If the lab cannot do it.
    pub fn join(lab: &mut Lab) -> Attacker {
        // Without a memory for addresses a bridge sends everything everywhere, as a tapped cable or a mirror port does.
        lab.ip("bridge", "link set br0 type bridge ageing_time 0");
        lab.add_lan_host(STRANGER, Some("10.20.0.66/24"));
        lab.ip(STRANGER, "addr add fe80::66/64 dev eth0");
        let namespace = lab.netns_file(STRANGER);
        Attacker { station: Station::open(&namespace), wire: Wiretap::open(&namespace) }
    }
}
