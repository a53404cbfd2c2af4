//! The addresses a site gives out.

use super::exclusion::Exclusion;
use muster_protocol::parameters::netmask;
use std::net::Ipv4Addr;

/// Ranges of addresses, as `192.0.2.10-192.0.2.99`; several are separated by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    ranges: Vec<(u32, u32)>,
    /// An address of its network.
    network: u32,
}

/// Why a pool is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PoolError {
    #[error("`{0}` is not a pool: give the first and last address, as 192.0.2.10-192.0.2.99")]
    Form(String),
    #[error("{last} comes before {first}: give the lower address first")]
    Backwards { first: Ipv4Addr, last: Ipv4Addr },
    #[error("{address} is in two ranges of the pool: give each address once")]
    Overlap { address: Ipv4Addr },
    #[error("the pool leaves the network of {first}/{prefix} at {address}: choose a pool inside one network")]
    Outside { first: Ipv4Addr, prefix: u8, address: Ipv4Addr },
}

impl Pool {
    /// Reads a pool that must lie inside one network of `prefix`.
    pub(crate) fn parse(text: &str, prefix: u8) -> Result<Pool, PoolError> {
        let mut ranges = Vec::new();
        for part in text.split(',') {
            let bad = || PoolError::Form(part.trim().chars().take(64).flat_map(char::escape_debug).collect());
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: Ipv4Addr = first.trim().parse().map_err(|_| bad())?;
            let last: Ipv4Addr = last.trim().parse().map_err(|_| bad())?;
            if last < first {
                return Err(PoolError::Backwards { first, last });
            }
            ranges.push((u32::from(first), u32::from(last)));
        }
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            if pair[1].0 <= pair[0].1 {
                return Err(PoolError::Overlap { address: pair[1].0.into() });
            }
        }
        let mask = u32::from(netmask(prefix));
        let first = ranges[0].0;
        for address in ranges.iter().flat_map(|range| [range.0, range.1]) {
            if address & mask != first & mask {
                return Err(PoolError::Outside { first: first.into(), prefix, address: address.into() });
            }
        }
        Ok(Pool { ranges, network: first })
    }

    /// The same without some addresses; there may be none left.
    pub(crate) fn without(self, excluded: &Exclusion) -> Pool {
        Pool { ranges: excluded.of_v4(&self.ranges), ..self }
    }

    /// An address of the network that it lies in.
    pub(crate) fn network(&self) -> u32 {
        self.network
    }

    pub(crate) fn contains(&self, address: u32) -> bool {
        self.ranges.iter().any(|&(first, last)| (first..=last).contains(&address))
    }

    /// The first address at or after `from` that `free` accepts.
    pub(crate) fn next(&self, from: u32, free: impl Fn(u32) -> bool) -> Option<u32> {
        let ranges = self.ranges.iter().filter(|range| range.1 >= from);
        ranges.flat_map(|&(first, last)| first.max(from)..=last).find(|&address| free(address))
    }

    pub(crate) fn len(&self) -> u64 {
        self.ranges.iter().map(|&(first, last)| u64::from(last - first) + 1).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_between_ranges_is_never_given_out() {
        let pool = Pool::parse("192.0.2.20-192.0.2.21, 192.0.2.10 - 192.0.2.11,192.0.2.30", 24).expect("good");
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(address) = pool.next(from, |_| true) {
            found.push(address & 0xff);
            from = address + 1;
        }
        assert_eq!(found, [10, 11, 20, 21, 30]);
        assert_eq!(pool.len(), 5);
        assert!(pool.contains(pool.network()) && !pool.contains(pool.network() + 2));
    }

    #[test]
    fn every_fault_of_a_pool_is_named() {
        assert!(matches!(Pool::parse("", 24), Err(PoolError::Form(_))));
        assert!(matches!(Pool::parse("192.0.2.1-", 24), Err(PoolError::Form(_))));
        assert!(matches!(Pool::parse("192.0.2.9-192.0.2.1", 24), Err(PoolError::Backwards { .. })));
        assert!(matches!(Pool::parse("192.0.2.1-192.0.2.9,192.0.2.9", 24), Err(PoolError::Overlap { .. })));
        assert!(matches!(Pool::parse("192.0.2.1-192.0.3.1", 24), Err(PoolError::Outside { .. })));
    }
}
