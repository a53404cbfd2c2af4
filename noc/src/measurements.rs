//! What of a beat programs that collect measurements are told, and by which name: the same on the page that is scraped and in what
//! is written elsewhere.

use muster_protocol::api::{BeatValues, Health};

/// A measurement.
pub(crate) struct Family {
    /// As Prometheus names things: base units, the unit last.
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    /// Its value; none if it was not told.
    pub(crate) told: fn(&BeatValues) -> Option<f64>,
}

/// Those that every appliance has.
pub(crate) const FAMILIES: [Family; 6] = [
    Family {
        name: "muster_appliance_uptime_seconds",
        help: "Since it started",
        told: |beat| Some(beat.uptime_s as f64),
    },
    Family { name: "muster_appliance_load1", help: "One-minute load average", told: |beat| Some(beat.load) },
    Family {
        name: "muster_appliance_memory_used_ratio",
        help: "Memory in use",
        told: |beat| Some(beat.memory_percent / 100.0),
    },
    Family {
        name: "muster_appliance_disk_used_ratio",
        help: "Space in use on the fullest local disk",
        told: |beat| Some(beat.disk_percent / 100.0),
    },
    Family {
        name: "muster_appliance_disk_free_bytes",
        help: "Free space on it",
        told: |beat| Some(beat.disk_free as f64),
    },
    Family {
        name: "muster_appliance_temperature_celsius",
        help: "The hottest sensor",
        told: |beat| beat.host.as_ref()?.temperature_c,
    },
];

/// 1 while an appliance's beats arrive in time.
pub(crate) const UP: &str = "muster_appliance_up";

/// What it is then.
pub(crate) fn up(health: Health) -> f64 {
    f64::from(u8::from(matches!(health, Health::Well | Health::Failing | Health::Recovering)))
}

/// What applications report, each by its `name`. A beat does not say whether it is a counter.
pub(crate) const APPLICATION: &str = "muster_application_value";
