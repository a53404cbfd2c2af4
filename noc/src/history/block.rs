//! Beats of one appliance, many in one value of the database.

use super::column::{self, Reader, put_varint, unzigzag, zigzag};
use super::shape::{Sample, Shape, Shapes};
use std::sync::Arc;

const VERSION: u64 = 1;

/// Beats in the order in which they are given.
pub(crate) fn encode(samples: &[Sample]) -> Vec<u8> {
    let mut out = Vec::with_capacity(samples.len() * 24);
    put_varint(&mut out, VERSION);
    let (mut time, mut known) = (0_u64, Vec::<(Arc<Shape>, Vec<u64>)>::new());
    for sample in samples {
        put_varint(&mut out, zigzag(sample.time.wrapping_sub(time).cast_signed()));
        time = sample.time;
        // A handful at most: an appliance reports alike from beat to beat.
        let index = known.iter().position(|(shape, _)| shape.bytes == sample.shape.bytes).unwrap_or_else(|| {
            known.push((sample.shape.clone(), vec![0; sample.numbers.len()]));
            put_varint(&mut out, 0);
            put_varint(&mut out, sample.shape.bytes.len() as u64);
            out.extend_from_slice(&sample.shape.bytes);
            known.len() - 1
        });
        put_varint(&mut out, index as u64 + 1);
        for (number, before) in sample.numbers.iter().zip(&mut known[index].1) {
            column::put(&mut out, before, *number);
        }
    }
    out
}

/// Reads what [`encode`] made; None if it is something else.
pub(crate) fn decode(bytes: &[u8], shapes: &mut Shapes) -> Option<Vec<Sample>> {
    let mut reader = Reader::new(bytes);
    if reader.varint()? != VERSION {
        return None;
    }
    let (mut time, mut known, mut samples) = (0_u64, Vec::<(Arc<Shape>, Vec<u64>)>::new(), Vec::new());
    while !reader.is_empty() {
        time = time.wrapping_add(unzigzag(reader.varint()?).cast_unsigned());
        let mut index = reader.length()?;
        if index == 0 {
            let length = reader.length()?;
            let shape = shapes.get(reader.bytes(length)?)?;
            let columns = vec![0; shape.kinds.len()];
            known.push((shape, columns));
            index = reader.length()?;
        }
        let (shape, columns) = known.get_mut(index.checked_sub(1)?)?;
        let mut numbers = Vec::with_capacity(columns.len());
        for (before, kind) in columns.iter_mut().zip(&shape.kinds) {
            numbers.push(reader.number(before, *kind)?);
        }
        samples.push(Sample { time, shape: shape.clone(), numbers });
    }
    Some(samples)
}

#[cfg(test)]
mod tests {
    use super::super::shape::Flat;
    use super::super::shape::tests::any_values;
    use super::*;
    use muster_protocol::api::BeatValues;
    use proptest::prelude::*;

    fn samples(beats: &[(u64, BeatValues)]) -> Vec<Sample> {
        let mut shapes = Shapes::default();
        let sample = |(time, values): &(u64, BeatValues)| {
            let flat = Flat::of(values);
            Sample { time: *time, shape: shapes.get(&flat.shape).expect("reads"), numbers: flat.numbers }
        };
        beats.iter().map(sample).collect()
    }

    proptest! {
        #[test]
        fn beats_come_back_as_they_were(beats in prop::collection::vec((0..u64::MAX / 2, any_values()), 0..20)) {
            let bytes = encode(&samples(&beats));
            let read = decode(&bytes, &mut Shapes::default()).expect("reads");
            let read: Vec<_> = read.iter().map(|sample| (sample.time, sample.values())).collect();
            prop_assert_eq!(read, beats);
        }

        #[test]
        fn nonsense_does_not_read_and_harms_nobody(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&bytes, &mut Shapes::default());
        }
    }

    #[test]
    fn a_beat_of_an_ordinary_appliance_needs_a_few_bytes() {
        let values = |n: u64| BeatValues {
            uptime_s: 60 * n,
            load: (n % 7) as f64 / 100.0,
            memory_percent: 30.0 + (n % 5) as f64 / 10.0,
            disk_percent: 12.3,
            disk_free: 8_000_000_000 - 4_096 * n,
            agent: "0.1.0".to_owned(),
            ..BeatValues::default()
        };
        let beats: Vec<_> = (1..=120).map(|n| (1_700_000_000 + 60 * n, values(n))).collect();
        let bytes = encode(&samples(&beats));
        assert!(bytes.len() < 120 * 13 + 200, "{} bytes", bytes.len());
    }
}
