//! Numbers of a column: each as its difference from the one before, in as few bytes as that needs, and exactly.

/// A number of a beat. Signed ones are whole ones that have wrapped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Whole(u64),
    Real(f64),
}

/// The kind of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Whole,
    Real,
}

/// Most reals are measured in tenths, hundredths or thousandths.
const SCALE: f64 = 1_000.0;
/// Thousandths above this are not exact.
const MOST_SCALED: f64 = 4_503_599_627_370_496.0;

/// Appends a number of seven bits a byte, lowest first.
pub(super) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Small negative numbers become small.
pub(super) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

pub(super) fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Appends a number; `before` is what its column holds.
pub(super) fn put(out: &mut Vec<u8>, before: &mut u64, number: Number) {
    match number {
        Number::Whole(whole) => {
            put_varint(out, zigzag(whole.wrapping_sub(*before).cast_signed()));
            *before = whole;
        }
        Number::Real(real) => match scaled(real) {
            Some(scaled) => {
                put_varint(out, zigzag(scaled - before.cast_signed()) << 1);
                *before = scaled.cast_unsigned();
            }
            // Not even thousandths: as it is.
            None => {
                put_varint(out, 1);
                out.extend_from_slice(&real.to_bits().to_le_bytes());
            }
        },
    }
}

fn scaled(real: f64) -> Option<i64> {
    let rounded = (real * SCALE).round();
    let scaled = rounded as i64;
    // Bit by bit: a negative zero is not a zero.
    let is_exact = rounded.abs() < MOST_SCALED && (scaled as f64 / SCALE).to_bits() == real.to_bits();
    is_exact.then_some(scaled)
}

/// Reads what was appended.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            let part = u64::from(byte & 0x7f);
            if (part << shift) >> shift != part {
                return None;
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn length(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok()
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (found, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(found)
    }

    pub(super) fn number(&mut self, before: &mut u64, kind: Kind) -> Option<Number> {
        let first = self.varint()?;
        Some(match kind {
            Kind::Whole => {
                *before = before.wrapping_add(unzigzag(first).cast_unsigned());
                Number::Whole(*before)
            }
            Kind::Real if first & 1 == 1 => {
                Number::Real(f64::from_bits(u64::from_le_bytes(self.bytes(8)?.try_into().ok()?)))
            }
            Kind::Real => {
                let scaled = before.cast_signed().wrapping_add(unzigzag(first >> 1));
                *before = scaled.cast_unsigned();
                Number::Real(scaled as f64 / SCALE)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Number {
        fn kind(&self) -> Kind {
            match self {
                Number::Whole(_) => Kind::Whole,
                Number::Real(_) => Kind::Real,
            }
        }
    }

    fn number() -> impl Strategy<Value = Number> {
        prop_oneof![
            any::<u64>().prop_map(Number::Whole),
            any::<i64>().prop_map(|signed| Number::Whole(signed.cast_unsigned())),
            any::<f64>().prop_map(Number::Real),
            (-1_000_000_i32..1_000_000).prop_map(|tenths| Number::Real(f64::from(tenths) / 10.0)),
        ]
    }

    fn bits(number: Number) -> (Kind, u64) {
        match number {
            Number::Whole(whole) => (Kind::Whole, whole),
            Number::Real(real) => (Kind::Real, real.to_bits()),
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back_to_the_bit(numbers in prop::collection::vec(number(), 0..50)) {
            let (mut out, mut whole, mut real) = (Vec::new(), 0, 0);
            for number in &numbers {
                put(&mut out, if number.kind() == Kind::Whole { &mut whole } else { &mut real }, *number);
            }
            let (mut reader, mut whole, mut real) = (Reader::new(&out), 0, 0);
            for number in &numbers {
                let before = if number.kind() == Kind::Whole { &mut whole } else { &mut real };
                let read = reader.number(before, number.kind()).expect("reads");
                prop_assert_eq!(bits(read), bits(*number));
            }
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn nonsense_is_no_number_and_harms_nobody(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let (mut reader, mut before) = (Reader::new(&bytes), 0);
            while reader.number(&mut before, Kind::Real).is_some() {}
        }
    }

    #[test]
    fn what_stays_the_same_needs_a_byte() {
        let (mut out, mut before) = (Vec::new(), 0);
        put(&mut out, &mut before, Number::Real(31.5));
        let first = out.len();
        put(&mut out, &mut before, Number::Real(31.5));
        put(&mut out, &mut before, Number::Real(31.6));
        assert_eq!((first, out.len() - first), (3, 3));
    }
}
