//! What the simulated appliances are: models as in a branch office, with makers' MAC prefixes.

use muster_protocol::id::Mac;

/// A kind of appliance.
#[derive(Debug)]
pub(super) struct Model {
    /// Its name.
    pub(super) name: &'static str,
    /// First letters of its serial numbers.
    serial: &'static str,
    /// MAC prefix; `None`: locally administered, as virtual machines have.
    maker: Option<[u8; 3]>,
    /// Appliances of this model among 24.
    share: usize,
    /// Counters: name, and how much is added in a second. Gauges: no increase, a level.
    pub(super) counters: &'static [(&'static str, Kind)],
}

/// How a counter moves.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Increases by about this a second.
    Counts(f64),
    /// Wanders about this level.
    Level(f64),
}

use Kind::{Counts, Level};

const MODELS: &[Model] = &[
    Model {
        name: "Mail gateway MG-20",
        serial: "MG-2041",
        maker: Some([0x00, 0x25, 0x90]),
        share: 5,
        counters: &[("mail.delivered", Counts(3.2)), ("mail.rejected", Counts(1.1)), ("mail.queued", Level(14.0))],
    },
    Model {
        name: "Branch router BR-4",
        serial: "BR-1188",
        maker: Some([0x4c, 0x5e, 0x0c]),
        share: 5,
        counters: &[("net.forwarded", Counts(900.0)), ("vpn.tunnels", Level(3.0))],
    },
    Model {
        name: "Print server PS-2",
        serial: "PS-0773",
        maker: Some([0x3c, 0xd9, 0x2b]),
        share: 4,
        counters: &[("print.pages", Counts(0.4)), ("print.queued", Level(2.0))],
    },
    Model {
        name: "Wireless controller WC-8",
        serial: "WC-5310",
        maker: Some([0x24, 0xa4, 0x3c]),
        share: 4,
        counters: &[("wifi.clients", Level(41.0)), ("wifi.roamed", Counts(0.2))],
    },
    Model {
        name: "Storage node SN-6",
        serial: "SN-9020",
        maker: Some([0x00, 0x11, 0x32]),
        share: 3,
        counters: &[("disk.temperature", Level(36.0)), ("share.files", Counts(0.7))],
    },
    Model {
        name: "Room sensor RS-1",
        serial: "RS-0042",
        maker: Some([0xb8, 0x27, 0xeb]),
        share: 2,
        counters: &[("room.temperature", Level(21.5)), ("room.door", Counts(0.01))],
    },
    Model {
        name: "Virtual proxy VP-1",
        serial: "VP-3000",
        maker: None,
        share: 1,
        counters: &[("proxy.requests", Counts(25.0)), ("proxy.cached", Level(63.0))],
    },
];

/// The model of the appliance with this number: every 24 have the same mix, well shuffled.
pub(super) fn model(number: usize) -> &'static Model {
    let total: usize = MODELS.iter().map(|model| model.share).sum();
    // 7 and 24 have no common divisor: each of 24 places is taken once.
    let mut place = number * 7 % total;
    for model in MODELS {
        if place < model.share {
            return model;
        }
        place -= model.share;
    }
    &MODELS[0]
}

impl Model {
    /// A serial number.
    pub(super) fn serial(&self, number: usize) -> String {
        format!("{}-{:04}", self.serial, number + 1)
    }

    /// A MAC. The number is in it, so that no two are the same.
    pub(super) fn mac(&self, number: usize) -> Mac {
        let [a, b, c] = self.maker.unwrap_or([0x52, 0x54, 0x00]);
        // An odd factor shuffles 24 bits without two of them falling together.
        let [_, d, e, f] = (number as u32 + 1).wrapping_mul(0x9e37_79b1).to_be_bytes();
        Mac([a, b, c, d, e, f])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_fleet_is_mixed_and_no_two_have_the_same_mac_or_serial() {
        let names: BTreeSet<_> = (0..24).map(|n| model(n).name).collect();
        assert_eq!(names.len(), MODELS.len());
        let macs: BTreeSet<_> = (0..10_000).map(|n| model(n).mac(n)).collect();
        let serials: BTreeSet<_> = (0..10_000).map(|n| model(n).serial(n)).collect();
        assert_eq!((macs.len(), serials.len()), (10_000, 10_000));
        assert!(macs.iter().any(Mac::is_locally_administered));
    }
}
