//! Roll-ups: what beats of five minutes, or of an hour, come to.
//!
//! A counter is told as what it increased by. One that shows less than before began anew, so all that it shows is increase.
//! Whether a value that an application reports is a counter or a gauge is not said, so both are kept of it.

use super::column::{self, Kind, Number, Reader, put_varint, unzigzag, zigzag};
use super::shape::{Name, Sample};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use utoipa::ToSchema;

/// Seconds of the shorter roll-up.
pub(crate) const FIVE_MINUTES: u64 = 300;
/// Seconds of the longer one.
pub(crate) const HOUR: u64 = 3_600;
/// Values of applications that are kept of one roll-up: as many as a beat has.
const MOST_COUNTERS: usize = 64;

const VERSION: u64 = 1;

/// Values of the host, in the order in which a sample tells them.
static HOST: LazyLock<[Name; 5]> =
    LazyLock::new(|| ["load", "memory_percent", "disk_percent", "disk_free", "temperature_c"].map(Name::new));

/// The last value of each counter before some time.
pub(crate) type Known = BTreeMap<Name, f64>;

/// Beats of one stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Point {
    /// Its first second.
    pub(crate) start: u64,
    /// How many beats it is of.
    pub(crate) beats: u64,
    /// `load`, `memory_percent`, `disk_percent`, `disk_free`, `temperature_c`.
    #[schema(value_type = BTreeMap<String, Stat>)]
    pub(crate) host: BTreeMap<Name, Stat>,
    /// Application counters and gauges by name.
    #[schema(value_type = BTreeMap<String, Stat>)]
    pub(crate) counters: BTreeMap<Name, Stat>,
}

/// One value over a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Stat {
    /// In how many beats it was told.
    pub(crate) count: u64,
    pub(crate) min: f64,
    /// Rounded to thousandths.
    pub(crate) mean: f64,
    pub(crate) max: f64,
    pub(crate) last: f64,
    /// Of a counter: by how much it grew since the last beat before, also when it began anew in between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) increase: Option<f64>,
}

impl Stat {
    fn of(values: &[f64], increase: Option<f64>) -> Stat {
        let sum: f64 = values.iter().sum();
        Stat {
            count: values.len() as u64,
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            mean: thousandths(sum / values.len() as f64),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            last: values.last().copied().unwrap_or_default(),
            increase,
        }
    }
}

fn thousandths(value: f64) -> f64 {
    let rounded = (value * 1_000.0).round() / 1_000.0;
    if rounded.is_finite() { rounded } else { value }
}

/// The roll-up of `samples`, which lie in one stretch of time and are in the order of their times. `known` is what counters showed
/// before, and then what they show at its end.
pub(crate) fn of_samples<'a>(start: u64, samples: impl Iterator<Item = &'a Sample>, known: &mut Known) -> Point {
    let mut host: [Vec<f64>; 5] = Default::default();
    let (mut beats, mut counters) = (0, BTreeMap::<&Name, (Vec<f64>, f64)>::new());
    for sample in samples {
        beats += 1;
        let (told, temperature) = sample.of_host();
        for (column, value) in host.iter_mut().zip(told.into_iter().map(Some).chain([temperature])) {
            column.extend(value);
        }
        for (name, value) in sample.counters() {
            let before = match known.get_mut(name) {
                Some(known) => Some(std::mem::replace(known, value)),
                None => known.insert(name.clone(), value),
            };
            let (values, increase) = counters.entry(name).or_default();
            *increase += before.map_or(0.0, |before| if value >= before { value - before } else { value });
            values.push(value);
        }
    }
    let told = HOST.iter().zip(&host).filter(|(_, values)| !values.is_empty());
    let of_counter = |(name, (values, increase)): (&Name, (Vec<f64>, f64))| {
        (name.clone(), Stat::of(&values, Some(thousandths(increase))))
    };
    Point {
        start,
        beats,
        host: told.map(|(name, values)| (name.clone(), Stat::of(values, None))).collect(),
        counters: counters.into_iter().take(MOST_COUNTERS).map(of_counter).collect(),
    }
}

/// The roll-up of shorter ones, in the order of their times.
pub(crate) fn hour_of<'a>(start: u64, points: impl Iterator<Item = &'a Point>) -> Point {
    let mut all = Point { start, ..Point::default() };
    for point in points {
        all.beats += point.beats;
        for (into, from) in [(&mut all.host, &point.host), (&mut all.counters, &point.counters)] {
            for (name, stat) in from {
                into.entry(name.clone()).and_modify(|known| *known = add(known, stat)).or_insert(*stat);
            }
        }
    }
    while all.counters.len() > MOST_COUNTERS {
        all.counters.pop_last();
    }
    all
}

fn add(one: &Stat, next: &Stat) -> Stat {
    let count = one.count + next.count;
    let increase = match (one.increase, next.increase) {
        (None, None) => None,
        (one, next) => Some(thousandths(one.unwrap_or(0.0) + next.unwrap_or(0.0))),
    };
    Stat {
        count,
        min: one.min.min(next.min),
        mean: thousandths((one.mean * one.count as f64 + next.mean * next.count as f64) / count as f64),
        max: one.max.max(next.max),
        last: next.last,
        increase,
    }
}

/// Roll-ups in the order of their times, many in one value of the database.
pub(crate) fn encode_points<'a>(points: impl Iterator<Item = &'a Point>) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, VERSION);
    let (mut time, mut names, mut columns) = (0_u64, String::new(), Vec::new());
    for point in points {
        put_varint(&mut out, zigzag(point.start.wrapping_sub(time).cast_signed()));
        time = point.start;
        let now = names_of(point);
        // Zero: the same values as before.
        if now == names {
            put_varint(&mut out, 0);
        } else {
            put_varint(&mut out, now.len() as u64);
            out.extend_from_slice(now.as_bytes());
            columns = vec![[0_u64; 2]; point.host.len() + point.counters.len()];
            names = now;
        }
        put_varint(&mut out, point.beats);
        for (stat, [last, grown]) in point.host.values().chain(point.counters.values()).zip(&mut columns) {
            put_varint(&mut out, zigzag(point.beats.wrapping_sub(stat.count).cast_signed()));
            column::put(&mut out, last, Number::Real(stat.last));
            for value in [stat.min, stat.mean, stat.max] {
                // Near the last one, whose column it does not move.
                column::put(&mut out, &mut { *last }, Number::Real(value));
            }
            if let Some(increase) = stat.increase {
                column::put(&mut out, grown, Number::Real(increase));
            }
        }
    }
    out
}

/// Reads what [`encode_points`] made; None if it is something else.
pub(crate) fn decode_points(bytes: &[u8]) -> Option<Vec<Point>> {
    let mut reader = Reader::new(bytes);
    if reader.varint()? != VERSION {
        return None;
    }
    let (mut time, mut names, mut columns, mut points) = (0_u64, (Vec::new(), Vec::new()), Vec::new(), Vec::new());
    while !reader.is_empty() {
        time = time.wrapping_add(unzigzag(reader.varint()?).cast_unsigned());
        let length = reader.length()?;
        if length > 0 {
            let (host, counters) = serde_json::from_slice::<(Vec<String>, Vec<String>)>(reader.bytes(length)?).ok()?;
            let shared = |names: Vec<String>| names.iter().map(|name| Name::new(name)).collect::<Vec<Name>>();
            names = (shared(host), shared(counters));
            columns = vec![[0_u64; 2]; names.0.len() + names.1.len()];
        }
        let beats = reader.varint()?;
        let mut point = Point { start: time, beats, ..Point::default() };
        for (n, [last, grown]) in columns.iter_mut().enumerate() {
            let count = beats.wrapping_sub(unzigzag(reader.varint()?).cast_unsigned());
            let shown = real(&mut reader, last)?;
            let mut near = || real(&mut reader, &mut { *last });
            let (min, mean, max) = (near()?, near()?, near()?);
            let mut stat = Stat { count, min, mean, max, last: shown, increase: None };
            match names.0.get(n) {
                Some(name) => drop(point.host.insert(name.clone(), stat)),
                None => {
                    stat.increase = Some(real(&mut reader, grown)?);
                    point.counters.insert(names.1.get(n - names.0.len())?.clone(), stat);
                }
            }
        }
        points.push(point);
    }
    Some(points)
}

fn real(reader: &mut Reader<'_>, before: &mut u64) -> Option<f64> {
    match reader.number(before, Kind::Real)? {
        Number::Real(real) => Some(real),
        Number::Whole(_) => None,
    }
}

fn names_of(point: &Point) -> String {
    let names: (Vec<_>, Vec<_>) = (point.host.keys().collect(), point.counters.keys().collect());
    serde_json::to_string(&names).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::shape::{Flat, Shapes};
    use super::*;
    use muster_protocol::api::BeatValues;
    use proptest::prelude::*;

    fn sample(time: u64, load: f64, mails: Option<f64>) -> Sample {
        let counters = mails.map(|mails| ("mails".to_owned(), mails)).into_iter().collect();
        let flat = Flat::of(&BeatValues { load, counters, ..BeatValues::default() });
        Sample { time, shape: Shapes::default().get(&flat.shape).expect("reads"), numbers: flat.numbers }
    }

    #[test]
    fn a_counter_that_begins_anew_loses_nothing_and_counts_nothing_twice() {
        let mut known = Known::new();
        let first = [sample(0, 1.0, Some(100.0)), sample(60, 3.0, Some(110.0))];
        let point = of_samples(0, first.iter(), &mut known);
        assert_eq!(point.counters["mails"].increase, Some(10.0), "what was before the first beat is not known");
        let load = point.host["load"];
        assert_eq!((load.count, load.min, load.mean, load.max, load.last), (2, 1.0, 2.0, 3.0, 3.0));
        let second = [sample(300, 0.0, None), sample(360, 0.0, Some(4.0)), sample(420, 0.0, Some(9.0))];
        let next = of_samples(300, second.iter(), &mut known);
        assert_eq!((next.beats, next.counters["mails"].count), (3, 2));
        assert_eq!(next.counters["mails"].increase, Some(9.0), "it began anew between the two");
        let hour = hour_of(0, [point, next].iter());
        assert_eq!((hour.beats, hour.counters["mails"].increase), (5, Some(19.0)));
        assert_eq!((hour.host["load"].min, hour.host["load"].mean, hour.host["load"].last), (0.0, 0.8, 0.0));
    }

    proptest! {
        #[test]
        fn roll_ups_come_back_as_they_were(beats in prop::collection::vec((0..6_000_u64, 0..900_u32, prop::option::of(0.0..1e6)), 1..60)) {
            let mut samples: Vec<_> = beats.iter().map(|(time, load, mails)| sample(*time, f64::from(*load) / 100.0, *mails)).collect();
            samples.sort_by_key(|sample| sample.time);
            let mut known = Known::new();
            let points: Vec<_> = (0..20).map(|n| n * FIVE_MINUTES).map(|start| {
                let inside = samples.iter().filter(|sample| sample.time / FIVE_MINUTES * FIVE_MINUTES == start);
                of_samples(start, inside, &mut known)
            }).filter(|point| point.beats > 0).collect();
            prop_assert_eq!(decode_points(&encode_points(points.iter())), Some(points));
        }

        #[test]
        fn nonsense_does_not_read_and_harms_nobody(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode_points(&bytes);
        }
    }
}
