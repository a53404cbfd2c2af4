//! The IPv6 addresses a site gives out.

use super::exclusion::Exclusion;
use muster_protocol::parameters::{Network6, PREFIX6};
use std::net::Ipv6Addr;

/// Ranges of addresses in one network, as `2001:db8::100-2001:db8::1ff/64`; several are separated by commas. A network alone,
/// `2001:db8::/64`, is every address in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pool6 {
    network: Network6,
    ranges: Vec<(u128, u128)>,
}

/// Why a pool is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Pool6Error {
    #[error(
        "`{0}` is not an IPv6 pool: give a network, as 2001:db8::/64, or the first and last address and the length of the prefix, as 2001:db8::100-2001:db8::1ff/64"
    )]
    Form(String),
    #[error("/{0} is not usable here: choose a prefix length from 16 to 127")]
    Prefix(u8),
    #[error("{last} comes before {first}: give the lower address first")]
    Backwards { first: Ipv6Addr, last: Ipv6Addr },
    #[error("{address} is in two ranges of the pool: give each address once")]
    Overlap { address: Ipv6Addr },
    #[error("the pool leaves the network {network} at {address}: choose a pool inside one network")]
    Outside { network: Network6, address: Ipv6Addr },
}

impl Pool6 {
    pub(crate) fn parse(text: &str) -> Result<Pool6, Pool6Error> {
        let bad = || Pool6Error::Form(text.trim().chars().take(64).flat_map(char::escape_debug).collect());
        let (parts, prefix) = text.rsplit_once('/').ok_or_else(bad)?;
        let first = parts.split([',', '-']).next().unwrap_or_default();
        let written = Network6::parse(&format!("{first}/{prefix}")).ok_or_else(bad)?;
        if !PREFIX6.contains(&written.prefix) {
            return Err(Pool6Error::Prefix(written.prefix));
        }
        let network = Network6 { address: written.first(), ..written };
        let last = network.first().to_bits() | (u128::MAX >> written.prefix);
        if first == parts && written == network {
            return Ok(Pool6 { network, ranges: vec![(network.first().to_bits(), last)] });
        }
        let mut ranges = Vec::new();
        for part in parts.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: Ipv6Addr = first.trim().parse().map_err(|_| bad())?;
            let last: Ipv6Addr = last.trim().parse().map_err(|_| bad())?;
            if last < first {
                return Err(Pool6Error::Backwards { first, last });
            }
            if let Some(address) = [first, last].into_iter().find(|address| !network.contains(*address)) {
                return Err(Pool6Error::Outside { network, address });
            }
            ranges.push((first.to_bits(), last.to_bits()));
        }
        ranges.sort_unstable();
        match ranges.windows(2).find(|pair| pair[1].0 <= pair[0].1) {
            Some(pair) => Err(Pool6Error::Overlap { address: Ipv6Addr::from_bits(pair[1].0) }),
            None => Ok(Pool6 { network, ranges }),
        }
    }

    /// The same without some addresses; there may be none left.
    pub(crate) fn without(self, excluded: &Exclusion) -> Pool6 {
        Pool6 { ranges: excluded.of_v6(&self.ranges), ..self }
    }

    /// The network of its addresses; its address is the first.
    pub(crate) fn network(&self) -> Network6 {
        self.network
    }

    pub(crate) fn contains(&self, address: u128) -> bool {
        self.ranges.iter().any(|&(first, last)| (first..=last).contains(&address))
    }

    /// The first address at or after `from` that `free` accepts. A pool may have more addresses than could ever be looked
    /// at: of those that are refused nearly all are held by an appliance.
    pub(crate) fn next(&self, from: u128, free: impl Fn(u128) -> bool) -> Option<u128> {
        let ranges = self.ranges.iter().filter(|range| range.1 >= from);
        ranges.flat_map(|&(first, last)| first.max(from)..=last).find(|&address| free(address))
    }

    /// How many addresses it has, as far as a number of 64 bits goes.
    pub(crate) fn len(&self) -> u64 {
        let sizes = self.ranges.iter().map(|&(first, last)| u64::try_from(last - first).unwrap_or(u64::MAX));
        sizes.fold(0, |sum: u64, size| sum.saturating_add(size).saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str, count: usize) -> Vec<String> {
        let pool = Pool6::parse(text).expect("good");
        let (mut found, mut from) = (Vec::new(), 0);
        while let Some(address) = pool.next(from, |_| true).filter(|_| found.len() < count) {
            assert!(pool.contains(address) && pool.network().contains(Ipv6Addr::from_bits(address)));
            found.push(Ipv6Addr::from_bits(address).to_string());
            from = address + 1;
        }
        found
    }

    #[test]
    fn a_pool_is_a_network_or_ranges_in_one() {
        assert_eq!(first("2001:db8::/64", 3), ["2001:db8::", "2001:db8::1", "2001:db8::2"]);
        assert_eq!(
            first("2001:db8::20-2001:db8::21, 2001:db8::a /64", 9),
            ["2001:db8::a", "2001:db8::20", "2001:db8::21"]
        );
        assert_eq!(first("2001:db8::10/64", 9), ["2001:db8::10"]);
        assert_eq!(Pool6::parse("2001:db8::/64").expect("good").len(), u64::MAX);
        assert_eq!(Pool6::parse("2001:db8::1-2001:db8::9,2001:db8::20/64").expect("good").len(), 10);
        let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127";
        assert_eq!(first("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127", 1).len(), 1);
        assert!(!Pool6::parse(last).expect("good").contains(0));
    }

    #[test]
    fn every_fault_of_a_pool_is_named() {
        for text in
            ["", "2001:db8::1", "/64", "2001:db8::/x", "x/64", "2001:db8::1-/64", "2001:db8::1,/64", "192.0.2.1/24"]
        {
            assert!(matches!(Pool6::parse(text), Err(Pool6Error::Form(_))), "{text}");
        }
        assert_eq!(Pool6::parse("2001:db8::/128"), Err(Pool6Error::Prefix(128)));
        assert!(matches!(Pool6::parse("2001:db8::9-2001:db8::1/64"), Err(Pool6Error::Backwards { .. })));
        assert!(matches!(Pool6::parse("2001:db8::1-2001:db8::9,2001:db8::9/64"), Err(Pool6Error::Overlap { .. })));
        assert!(matches!(Pool6::parse("2001:db8::1-2001:db8:1::1/64"), Err(Pool6Error::Outside { .. })));
        let shown = Pool6::parse("a\u{1b}[2J/64").expect_err("bad").to_string();
        assert!(!shown.contains('\u{1b}'));
    }
}
