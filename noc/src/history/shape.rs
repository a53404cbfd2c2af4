//! A beat, taken apart: its numbers, and its shape, which is everything else: which values there are, and the texts. The shape of an
//! appliance's beats hardly ever changes.

use super::column::{Kind, Number};
use muster_protocol::api::BeatValues;
use serde::{Serialize, Serializer};
use std::borrow::Borrow;
use std::collections::HashMap;
use std::sync::Arc;

/// What a beat says, taken apart. Made where there is time, not by the thread that writes.
#[derive(Clone, Debug)]
pub(crate) struct Flat {
    pub(crate) shape: Vec<u8>,
    pub(crate) numbers: Vec<Number>,
}

impl Flat {
    pub(crate) fn of(values: &BeatValues) -> Flat {
        let mut empty = values.clone();
        let mut numbers = Vec::with_capacity(16);
        visit(&mut empty, |slot| match slot {
            Slot::Whole(whole) => numbers.push(Number::Whole(std::mem::take(whole))),
            Slot::Signed(signed) => numbers.push(Number::Whole(std::mem::take(signed).cast_unsigned())),
            Slot::Real(real) => numbers.push(Number::Real(std::mem::take(real))),
        });
        // Structures of text and finite numbers always serialise.
        Flat { shape: serde_json::to_vec(&empty).unwrap_or_default(), numbers }
    }
}

/// A shape that reads.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) bytes: Vec<u8>,
    pub(crate) kinds: Vec<Kind>,
    /// Names of application values. Their numbers follow those of the host that every beat has.
    pub(super) counters: Vec<Name>,
    /// Which number is the temperature.
    temperature: Option<usize>,
    empty: BeatValues,
}

/// A name that many things have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(Arc<str>);

impl Name {
    pub(crate) fn new(name: &str) -> Name {
        Name(Arc::from(name))
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Numbers that every beat has, in their order.
const UPTIME: usize = 0;
const LOAD: usize = UPTIME + 1;
const FREE: usize = LOAD + 3;
const COUNTERS: usize = FREE + 1;

/// One beat of the history.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) time: u64,
    pub(crate) shape: Arc<Shape>,
    pub(crate) numbers: Vec<Number>,
}

impl Sample {
    /// Load, memory, disk and free space, and the temperature if it was told.
    pub(super) fn of_host(&self) -> ([f64; 4], Option<f64>) {
        ([LOAD, LOAD + 1, LOAD + 2, FREE].map(|at| self.number(at)), self.shape.temperature.map(|at| self.number(at)))
    }

    /// What applications report.
    pub(super) fn counters(&self) -> impl Iterator<Item = (&Name, f64)> {
        self.shape.counters.iter().zip(COUNTERS..).map(|(name, at)| (name, self.number(at)))
    }

    /// Their names.
    pub(crate) fn counter_names(&self) -> impl Iterator<Item = &Name> {
        self.shape.counters.iter()
    }

    fn number(&self, at: usize) -> f64 {
        match self.numbers.get(at) {
            Some(Number::Real(real)) => *real,
            Some(Number::Whole(whole)) => *whole as f64,
            None => 0.0,
        }
    }

    /// What the appliance reported.
    pub(crate) fn values(&self) -> BeatValues {
        let mut values = self.shape.empty.clone();
        let mut numbers = self.numbers.iter();
        visit(&mut values, |slot| match (slot, numbers.next()) {
            (Slot::Whole(place), Some(Number::Whole(whole))) => *place = *whole,
            (Slot::Signed(place), Some(Number::Whole(whole))) => *place = whole.cast_signed(),
            (Slot::Real(place), Some(Number::Real(real))) => *place = *real,
            _ => {}
        });
        values
    }
}

/// Shapes that were read already.
#[derive(Default)]
pub(crate) struct Shapes(HashMap<Vec<u8>, Arc<Shape>>);

/// More are not remembered: there are a few in a fleet, unless somebody invents them.
const MOST: usize = 1_000;

impl Shapes {
    pub(crate) fn get(&mut self, bytes: &[u8]) -> Option<Arc<Shape>> {
        if let Some(known) = self.0.get(bytes) {
            return Some(known.clone());
        }
        let mut empty: BeatValues = serde_json::from_slice(bytes).ok()?;
        let mut kinds = Vec::new();
        visit(&mut empty, |slot| {
            kinds.push(if matches!(slot, Slot::Real(_)) { Kind::Real } else { Kind::Whole });
        });
        let counters: Vec<Name> = empty.counters.keys().map(|name| Name::new(name)).collect();
        // After the memory, and two numbers for each disk.
        let temperature = empty
            .host
            .as_ref()
            .filter(|host| host.temperature_c.is_some())
            .map(|host| COUNTERS + counters.len() + usize::from(host.memory.is_some()) + 2 * host.disks.len());
        let shape = Arc::new(Shape { bytes: bytes.to_vec(), kinds, counters, temperature, empty });
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(bytes.to_vec(), shape.clone());
        Some(shape)
    }
}

enum Slot<'a> {
    Whole(&'a mut u64),
    Signed(&'a mut i64),
    Real(&'a mut f64),
}

/// Every number of a beat, in an order that depends on its shape only.
fn visit(values: &mut BeatValues, mut see: impl FnMut(Slot<'_>)) {
    // All fields by name: a new one must be thought of here. How many processors there are is said once, with the texts.
    let BeatValues {
        uptime_s,
        load,
        memory_percent,
        disk_percent,
        disk_free,
        agent: _,
        address_conflict: _,
        counters,
        host,
        drift: _,
        network_problem: _,
        components: _,
    } = values;
    see(Slot::Whole(uptime_s));
    for real in [load, memory_percent, disk_percent] {
        see(Slot::Real(real));
    }
    see(Slot::Whole(disk_free));
    for real in counters.values_mut() {
        see(Slot::Real(real));
    }
    let Some(host) = host else { return };
    host.memory.iter_mut().for_each(|whole| see(Slot::Whole(whole)));
    for disk in &mut host.disks {
        see(Slot::Real(&mut disk.percent));
        see(Slot::Whole(&mut disk.free));
    }
    host.temperature_c.iter_mut().for_each(|real| see(Slot::Real(real)));
    if let Some(errors) = &mut host.interface {
        for whole in [&mut errors.rx_errors, &mut errors.rx_dropped, &mut errors.tx_errors, &mut errors.tx_dropped] {
            see(Slot::Whole(whole));
        }
    }
    host.clock_offset_s.iter_mut().for_each(|signed| see(Slot::Signed(signed)));
    host.agent_memory.iter_mut().for_each(|whole| see(Slot::Whole(whole)));
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use muster_protocol::api::{Disk, HostValues, InterfaceErrors};
    use muster_protocol::id::Mac;
    use proptest::prelude::*;

    pub(in super::super) fn any_values() -> impl Strategy<Value = BeatValues> {
        let real = || prop_oneof![(0_u32..100_000).prop_map(|n| f64::from(n) / 10.0), -1e9..1e9_f64];
        let host = prop::option::of(
            (
                prop::option::of(any::<u64>()),
                prop::collection::vec((real(), any::<u64>()), 0..3),
                prop::option::of(real()),
                prop::option::of(any::<[u64; 4]>()),
                prop::option::of(any::<i64>()),
                prop::option::of(any::<u64>()),
            )
                .prop_map(|(memory, disks, temperature_c, errors, clock_offset_s, agent_memory)| {
                    HostValues {
                        memory,
                        disks: disks
                            .into_iter()
                            .enumerate()
                            .map(|(n, (percent, free))| Disk { mount: format!("/{n}"), percent, free })
                            .collect(),
                        temperature_c,
                        interface: errors.map(|[rx_errors, rx_dropped, tx_errors, tx_dropped]| InterfaceErrors {
                            rx_errors,
                            rx_dropped,
                            tx_errors,
                            tx_dropped,
                        }),
                        clock_offset_s,
                        processors: agent_memory.map(|bytes| bytes as u32 % 64),
                        agent_memory,
                    }
                }),
        );
        let counters = prop::collection::btree_map(prop::sample::select(vec!["a", "b{x=\"1\"}", "c"]), real(), 0..3);
        let texts = (
            prop::option::of(any::<[u8; 6]>()),
            prop::collection::vec("[a-z]{1,8}", 0..2),
            prop::option::of("[a-z]{1,8}"),
        );
        (any::<u64>(), real(), real(), real(), any::<u64>(), counters, host, texts).prop_map(
            |(
                uptime_s,
                load,
                memory_percent,
                disk_percent,
                disk_free,
                counters,
                host,
                (mac, drift, network_problem),
            )| BeatValues {
                uptime_s,
                load,
                memory_percent,
                disk_percent,
                disk_free,
                agent: "0.1.0".to_owned(),
                address_conflict: mac.map(Mac),
                counters: counters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                host,
                drift,
                network_problem,
                components: Vec::new(),
            },
        )
    }

    proptest! {
        #[test]
        fn taken_apart_and_put_together_it_is_the_same(values in any_values()) {
            let flat = Flat::of(&values);
            let shape = Shapes::default().get(&flat.shape).expect("reads");
            prop_assert_eq!(shape.kinds.len(), flat.numbers.len());
            let sample = Sample { time: 0, shape, numbers: flat.numbers };
            let temperature = values.host.as_ref().and_then(|host| host.temperature_c);
            let of_host = [values.load, values.memory_percent, values.disk_percent, values.disk_free as f64];
            prop_assert_eq!(sample.of_host(), (of_host, temperature));
            let counters: Vec<_> = sample.counters().map(|(name, value)| (Borrow::<str>::borrow(name).to_owned(), value)).collect();
            prop_assert_eq!(counters, values.counters.clone().into_iter().collect::<Vec<_>>());
            prop_assert_eq!(sample.values(), values);
        }
    }
}
