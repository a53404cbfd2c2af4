//! What a beat says about the appliance itself, beyond the few values that every agent has always told.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Most disks of a beat.
pub const MOST_DISKS: usize = 8;
/// Longest mount point of a beat, bytes.
pub const MAX_MOUNT: usize = 64;

/// The appliance itself. Everything is optional: hardware has no sensor, a kernel no file, an older agent no such value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(default)]
#[cbor(map)]
pub struct HostValues {
    /// Memory of the appliance, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(0)]
    pub memory: Option<u64>,
    /// Its writable local disks, the fullest first, at most [`MOST_DISKS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cbor(n(1), skip_if = "Vec::is_empty")]
    pub disks: Vec<Disk>,
    /// The hottest sensor, degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(2)]
    pub temperature_c: Option<f64>,
    /// What went wrong on the configured interface since it came up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(3)]
    pub interface: Option<InterfaceErrors>,
    /// How far the appliance's clock is ahead of the NOC's, seconds, when the NOC last answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(4)]
    pub clock_offset_s: Option<i64>,
    /// Processors that the appliance has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(6)]
    pub processors: Option<u32>,
    /// Resident memory of the agent, all its processes, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[n(5)]
    pub agent_memory: Option<u64>,
}

/// A mounted local disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
pub struct Disk {
    /// Where it is mounted, at most [`MAX_MOUNT`] bytes.
    #[n(0)]
    pub mount: String,
    /// Space in use, percent.
    #[n(1)]
    pub percent: f64,
    /// Free bytes.
    #[n(2)]
    pub free: u64,
}

/// Packets that an interface received or sent wrongly, or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(default)]
#[cbor(map)]
pub struct InterfaceErrors {
    /// Received with errors.
    #[cbor(n(0), default)]
    pub rx_errors: u64,
    /// Received and thrown away.
    #[cbor(n(1), default)]
    pub rx_dropped: u64,
    /// Not sent because of errors.
    #[cbor(n(2), default)]
    pub tx_errors: u64,
    /// Thrown away before they were sent.
    #[cbor(n(3), default)]
    pub tx_dropped: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_knows_less_and_a_noc_that_knows_more_understand_each_other() {
        assert_eq!(serde_json::from_str::<HostValues>("{}").expect("reads"), HostValues::default());
        assert_eq!(serde_json::to_string(&HostValues::default()).expect("writes"), "{}");
        let later = r#"{"temperature_c":41.5,"fans":3,"interface":{"rx_errors":1,"rx_missed":2}}"#;
        let read: HostValues = serde_json::from_str(later).expect("what is new is passed over");
        let errors = InterfaceErrors { rx_errors: 1, ..InterfaceErrors::default() };
        assert_eq!((read.temperature_c, read.interface), (Some(41.5), Some(errors)));
    }
}
