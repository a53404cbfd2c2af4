//! What simulated appliances measure: values that move as real ones do.

use super::catalogue::{Kind, Model};
use super::rng::SeededRng;
use muster_agent::health::Health;
use muster_protocol::api::{BeatValues, Disk, HostValues, InterfaceErrors};
use muster_protocol::crypto::uniform;
use std::time::Instant;

/// A simulated appliance's values.
#[derive(Debug)]
pub(super) struct PracticeHealth {
    model: &'static Model,
    rng: SeededRng,
    started: Instant,
    measured: Instant,
    up_before_s: u64,
    load: f64,
    memory: f64,
    disk: f64,
    counters: Vec<f64>,
}

impl PracticeHealth {
    pub(super) fn new(model: &'static Model, mut rng: SeededRng) -> PracticeHealth {
        let now = Instant::now();
        let counters = model.counters.iter().map(|(_, kind)| match kind {
            Kind::Counts(rate) => rate * uniform(&mut rng, 100_000) as f64,
            Kind::Level(level) => *level,
        });
        let counters = counters.map(f64::round).collect();
        PracticeHealth {
            counters,
            model,
            started: now,
            measured: now,
            up_before_s: uniform(&mut rng, 5_000_000),
            load: 0.2,
            memory: 30.0 + uniform(&mut rng, 30) as f64,
            disk: 20.0 + uniform(&mut rng, 55) as f64,
            rng,
        }
    }

    /// Between -1 and 1.
    fn step(&mut self) -> f64 {
        uniform(&mut self.rng, 2_001) as f64 / 1_000.0 - 1.0
    }

    fn wander(&mut self, value: f64, home: f64, by: f64) -> f64 {
        value + (home - value) * 0.1 + self.step() * by
    }
}

impl Health for PracticeHealth {
    fn measure(&mut self) -> BeatValues {
        let seconds = self.measured.elapsed().as_secs_f64();
        self.measured = Instant::now();
        self.load = self.wander(self.load, 0.4, 0.15).max(0.0);
        self.memory = self.wander(self.memory, 45.0, 2.0).clamp(5.0, 98.0);
        self.disk = (self.disk + self.step().max(-0.2) * 0.01).clamp(1.0, 97.0);
        let mut values = BeatValues {
            uptime_s: self.up_before_s + self.started.elapsed().as_secs(),
            load: (self.load * 100.0).round() / 100.0,
            memory_percent: (self.memory * 10.0).round() / 10.0,
            disk_percent: (self.disk * 10.0).round() / 10.0,
            disk_free: ((100.0 - self.disk) * 320_000_000.0) as u64,
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            ..BeatValues::default()
        };
        values.host = Some(HostValues {
            memory: Some(1 << 31),
            disks: vec![Disk { mount: "/".into(), percent: values.disk_percent, free: values.disk_free }],
            temperature_c: Some((35.0 + self.load * 8.0).round()),
            interface: Some(InterfaceErrors::default()),
            // It lives on the clock of its NOC, and its memory is that of all of them.
            clock_offset_s: Some(0),
            processors: Some(2),
            agent_memory: None,
        });
        for (i, (name, kind)) in self.model.counters.iter().enumerate() {
            let jitter = self.step();
            self.counters[i] = match kind {
                Kind::Counts(rate) => (self.counters[i] + rate * seconds * (1.0 + jitter * 0.5)).round(),
                Kind::Level(level) => ((level + level * 0.1 * jitter) * 10.0).round() / 10.0,
            };
            values.counters.insert((*name).to_owned(), self.counters[i]);
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::catalogue;

    #[test]
    fn values_stay_plausible_and_counters_only_grow() {
        let model = catalogue::model(0);
        let mut health = PracticeHealth::new(model, SeededRng::new(3, "health", 0));
        let mut before = health.measure();
        for _ in 0..500 {
            let values = health.measure();
            assert!(values.load >= 0.0 && (0.0..=100.0).contains(&values.memory_percent), "{values:?}");
            assert!((0.0..=100.0).contains(&values.disk_percent), "{values:?}");
            for (name, kind) in model.counters {
                if matches!(kind, Kind::Counts(_)) {
                    assert!(values.counters[*name] >= before.counters[*name], "{name} went back");
                }
            }
            before = values;
        }
    }
}
