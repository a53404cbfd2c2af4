//! Beats of many appliances that are written together: one value of the journal for each commit.

use super::column::{self, Reader, put_varint, unzigzag, zigzag};
use super::shape::{Flat, Sample, Shapes};

const VERSION: u64 = 1;

/// What goes into the journal with the next commit.
#[derive(Default)]
pub(crate) struct Group {
    base: u64,
    count: u64,
    shapes: Vec<Vec<u8>>,
    records: Vec<u8>,
}

/// How far a group had come.
pub(crate) struct Mark {
    count: u64,
    shapes: usize,
    records: usize,
}

impl Group {
    /// Adds a beat.
    pub(crate) fn push(&mut self, appliance: i64, time: u64, flat: &Flat) {
        if self.count == 0 {
            self.base = time;
        }
        self.count += 1;
        // A fleet has few shapes, and the last one is the likeliest.
        let shape = self.shapes.iter().rposition(|known| *known == flat.shape).unwrap_or_else(|| {
            self.shapes.push(flat.shape.clone());
            self.shapes.len() - 1
        });
        let mut record = Vec::with_capacity(96);
        put_varint(&mut record, zigzag(time.wrapping_sub(self.base).cast_signed()));
        put_varint(&mut record, shape as u64);
        for number in &flat.numbers {
            column::put(&mut record, &mut 0, *number);
        }
        put_varint(&mut self.records, appliance.cast_unsigned());
        put_varint(&mut self.records, record.len() as u64);
        self.records.extend_from_slice(&record);
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { count: self.count, shapes: self.shapes.len(), records: self.records.len() }
    }

    /// Takes back what was added since.
    pub(crate) fn back_to(&mut self, mark: &Mark) {
        self.count = mark.count;
        self.shapes.truncate(mark.shapes);
        self.records.truncate(mark.records);
    }

    /// Hands over what was added, and how many beats it is; nothing when there were none.
    pub(crate) fn take(&mut self) -> Option<(u64, Vec<u8>)> {
        let Group { base, count, shapes, records } = std::mem::take(self);
        if count == 0 {
            return None;
        }
        let mut out = Vec::with_capacity(records.len() + 1_024);
        put_varint(&mut out, VERSION);
        put_varint(&mut out, base);
        put_varint(&mut out, shapes.len() as u64);
        for shape in shapes {
            put_varint(&mut out, shape.len() as u64);
            out.extend_from_slice(&shape);
        }
        out.extend_from_slice(&records);
        Some((count, out))
    }
}

/// Reads the beats of a group, of one appliance or of all, in the order in which they were added; None if it does not read.
pub(crate) fn records(bytes: &[u8], only: Option<i64>, shapes: &mut Shapes) -> Option<Vec<(i64, Sample)>> {
    let mut reader = Reader::new(bytes);
    if reader.varint()? != VERSION {
        return None;
    }
    let base = reader.varint()?;
    let mut known = Vec::new();
    for _ in 0..reader.varint()? {
        let length = reader.length()?;
        known.push(shapes.get(reader.bytes(length)?)?);
    }
    let mut found = Vec::new();
    while !reader.is_empty() {
        let appliance = reader.varint()?.cast_signed();
        let length = reader.length()?;
        let mut record = Reader::new(reader.bytes(length)?);
        if only.is_some_and(|only| only != appliance) {
            continue;
        }
        let time = base.wrapping_add(unzigzag(record.varint()?).cast_unsigned());
        let shape = known.get(record.length()?)?.clone();
        let numbers = shape.kinds.iter().map(|kind| record.number(&mut 0, *kind)).collect::<Option<Vec<_>>>()?;
        found.push((appliance, Sample { time, shape, numbers }));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::super::shape::tests::any_values;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_group_reads_whole_or_by_appliance(
            beats in prop::collection::vec((1_i64..4, 0..u64::MAX / 2, any_values()), 1..20),
            undone in any_values(),
        ) {
            let mut group = Group::default();
            for (appliance, time, values) in &beats {
                group.push(*appliance, *time, &Flat::of(values));
                let mark = group.mark();
                group.push(9, 9, &Flat::of(&undone));
                group.back_to(&mark);
            }
            let (count, bytes) = group.take().expect("something");
            prop_assert_eq!(count, beats.len() as u64);
            prop_assert!(group.take().is_none());
            let read = |only| {
                let found = records(&bytes, only, &mut Shapes::default()).expect("reads");
                found.into_iter().map(|(appliance, sample)| (appliance, sample.time, sample.values())).collect::<Vec<_>>()
            };
            prop_assert_eq!(&read(None), &beats);
            let of_two: Vec<_> = beats.iter().filter(|(appliance, ..)| *appliance == 2).cloned().collect();
            prop_assert_eq!(read(Some(2)), of_two);
        }

        #[test]
        fn nonsense_does_not_read_and_harms_nobody(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = records(&bytes, None, &mut Shapes::default());
        }
    }
}
