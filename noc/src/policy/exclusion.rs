//! Addresses of a pool that are not given out.

use std::net::IpAddr;

/// Ranges of addresses, as `192.0.2.20-192.0.2.29, 2001:db8::5`, of both families.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exclusion {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

/// Why exclusions are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExclusionError {
    #[error(
        "`{0}` cannot be excluded: give an address, or the first and the last of several, as 192.0.2.20-192.0.2.29"
    )]
    Form(String),
    #[error("{last} comes before {first}: give the lower address first")]
    Backwards { first: IpAddr, last: IpAddr },
}

impl Exclusion {
    /// Reads what is written with commas between.
    pub(crate) fn parse(text: &str) -> Result<Exclusion, ExclusionError> {
        let mut exclusion = Exclusion::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let bad = || ExclusionError::Form(part.chars().take(64).flat_map(char::escape_debug).collect());
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: IpAddr = first.trim().parse().map_err(|_| bad())?;
            let last: IpAddr = last.trim().parse().map_err(|_| bad())?;
            let range = match (first, last) {
                (IpAddr::V4(first), IpAddr::V4(last)) => {
                    (&mut exclusion.v4, u128::from(u32::from(first)), u128::from(u32::from(last)))
                }
                (IpAddr::V6(first), IpAddr::V6(last)) => (&mut exclusion.v6, first.to_bits(), last.to_bits()),
                _ => return Err(bad()),
            };
            let (ranges, from, to) = range;
            if to < from {
                return Err(ExclusionError::Backwards { first, last });
            }
            ranges.push((from, to));
        }
        let Exclusion { v4, v6 } = exclusion;
        Ok(Exclusion { v4: tidied(v4), v6: tidied(v6) })
    }

    /// What is left of ranges of IPv4 addresses.
    pub(crate) fn of_v4(&self, ranges: &[(u32, u32)]) -> Vec<(u32, u32)> {
        let ranges = ranges.iter().map(|&(first, last)| (first.into(), last.into())).collect();
        let left = subtract(ranges, &self.v4);
        // What is left lies inside of what was given.
        left.into_iter().map(|(first, last)| (first as u32, last as u32)).collect()
    }

    /// What is left of ranges of IPv6 addresses.
    pub(crate) fn of_v6(&self, ranges: &[(u128, u128)]) -> Vec<(u128, u128)> {
        subtract(ranges.to_vec(), &self.v6)
    }
}

/// One pass over both, which are in order and apart from each other.
fn subtract(ranges: Vec<(u128, u128)>, excluded: &[(u128, u128)]) -> Vec<(u128, u128)> {
    let mut left = Vec::with_capacity(ranges.len() + excluded.len());
    for (mut first, last) in ranges {
        let begin = excluded.partition_point(|&(_, to)| to < first);
        let mut is_over = false;
        for &(from, to) in excluded[begin..].iter().take_while(|&&(from, _)| from <= last) {
            if from > first {
                left.push((first, from - 1));
            }
            if to >= last {
                is_over = true;
                break;
            }
            first = to + 1;
        }
        if !is_over {
            left.push((first, last));
        }
    }
    left
}

/// In order, and none touching another.
fn tidied(mut ranges: Vec<(u128, u128)>) -> Vec<(u128, u128)> {
    ranges.sort_unstable();
    let mut tidy: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
    for (from, to) in ranges {
        match tidy.last_mut() {
            Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(to),
            _ => tidy.push((from, to)),
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_excluded_is_cut_out() {
        let cut = |text: &str| Exclusion::parse(text).expect("good").of_v4(&[(10, 20), (30, 40)]);
        assert_eq!(cut(""), [(10, 20), (30, 40)]);
        assert_eq!(cut("0.0.0.15"), [(10, 14), (16, 20), (30, 40)]);
        assert_eq!(cut("0.0.0.10-0.0.0.12,0.0.0.20"), [(13, 19), (30, 40)]);
        assert_eq!(cut("0.0.0.5 - 0.0.0.35"), [(36, 40)]);
        assert_eq!(
            cut("0.0.0.39,0.0.0.12-0.0.0.13,0.0.0.13-0.0.0.14,0.0.0.15"),
            [(10, 11), (16, 20), (30, 38), (40, 40)]
        );
        assert_eq!(cut("0.0.0.0-255.255.255.255"), []);
        let v6 = Exclusion::parse("::-::ffff, 0.0.0.10").expect("good").of_v6(&[(0, u128::MAX)]);
        assert_eq!(v6, [(0x1_0000, u128::MAX)]);
        let last = Exclusion::parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").expect("good");
        assert_eq!(last.of_v6(&[(7, u128::MAX)]), [(7, u128::MAX - 1)]);
    }

    #[test]
    fn every_fault_of_an_exclusion_is_named() {
        for text in ["x", "192.0.2.1-", "192.0.2.1-::1", "192.0.2.0/24"] {
            assert!(matches!(Exclusion::parse(text), Err(ExclusionError::Form(_))), "{text}");
        }
        assert!(matches!(Exclusion::parse("::2-::1"), Err(ExclusionError::Backwards { .. })));
    }
}
