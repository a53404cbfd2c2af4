//! Who gets which address and name. Pure: the store loads a [`Book`], and keeps what was decided in the same transaction.

use super::host_name::{NameFor, RenderError};
use super::pool6::Pool6;
use super::site::Policy;
use muster_protocol::parameters::{Network6, RawSettings};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// An appliance as the store numbers it.
pub(crate) type Holder = i64;

/// What is taken in a site.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    addresses: BTreeMap<u32, Holder>,
    addresses6: BTreeMap<u128, Holder>,
    names: BTreeMap<String, Holder>,
    numbers: BTreeSet<u32>,
    /// Below these everything is taken; keeps a batch of thousands linear.
    next_address: u32,
    next_address6: u128,
    next_number: u32,
}

/// Addresses and a name for one appliance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allocation {
    pub(crate) address: u32,
    pub(crate) address6: Option<u128>,
    pub(crate) host_name: String,
    pub(crate) number: Option<u32>,
}

/// Why there is nothing for an appliance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AllocationError {
    #[error("the pool {pool} of this site has no free address ({size} addresses, all held)")]
    PoolExhausted { pool: String, size: u64 },
    #[error(transparent)]
    Name(#[from] RenderError),
    #[error("the host name {host_name} that the template makes is held by another appliance")]
    NameTaken { host_name: String },
}

impl Allocation {
    /// Whether settings have these addresses and this name.
    pub(crate) fn is_of(&self, settings: &RawSettings) -> bool {
        let address6 = Network6::parse(&settings.address6).map(|network| network.address.to_bits());
        settings.address == ip(self.address).to_string()
            && address6 == self.address6
            && settings.host_name == self.host_name
    }
}

impl Book {
    /// Everything of one appliance.
    pub(crate) fn hold(&mut self, held: &Allocation, holder: Holder) {
        self.hold_address(held.address, holder);
        self.hold_address6(held.address6, holder);
        self.hold_name(&held.host_name, held.number, holder);
    }

    pub(crate) fn hold_address6(&mut self, address: Option<u128>, holder: Holder) {
        self.addresses6.extend(address.map(|address| (address, holder)));
    }

    /// Who holds an IPv6 address.
    pub(crate) fn address6_holder(&self, address: u128) -> Option<Holder> {
        self.addresses6.get(&address).copied()
    }

    pub(crate) fn hold_address(&mut self, address: u32, holder: Holder) {
        self.addresses.insert(address, holder);
    }

    pub(crate) fn hold_name(&mut self, name: &str, number: Option<u32>, holder: Holder) {
        self.names.insert(name.to_owned(), holder);
        self.numbers.extend(number);
    }

    /// Who holds an address.
    pub(crate) fn address_holder(&self, address: u32) -> Option<Holder> {
        self.addresses.get(&address).copied()
    }

    /// Who holds a host name.
    pub(crate) fn name_holder(&self, name: &str) -> Option<Holder> {
        self.names.get(name).copied()
    }

    /// Allocates by policy. What the appliance holds already and the policy still allows, it keeps.
    pub(crate) fn allocate(
        &mut self,
        policy: &Policy,
        holder: Holder,
        held: Option<&Allocation>,
        appliance: NameFor<'_>,
    ) -> Result<Allocation, AllocationError> {
        let address = match held.map(|held| held.address) {
            Some(address) if policy.pool.contains(address) && policy.is_usable(address) => address,
            _ => self.free_address(policy)?,
        };
        let address6 = match (&policy.pool6, held.and_then(|held| held.address6)) {
            (None, _) => None,
            (Some(pool), Some(address)) if pool.contains(address) && policy.is_usable6(address) => Some(address),
            (Some(pool), _) => Some(self.free_address6(policy, pool)?),
        };
        let (host_name, number) = match held {
            Some(held) if self.name_fits(policy, held, appliance) => (held.host_name.clone(), held.number),
            _ => self.free_name(policy, holder, appliance)?,
        };
        let allocation = Allocation { address, address6, host_name, number };
        self.hold(&allocation, holder);
        Ok(allocation)
    }

    fn free_address(&mut self, policy: &Policy) -> Result<u32, AllocationError> {
        let free = |address| !self.addresses.contains_key(&address) && policy.is_usable(address);
        let Some(address) = policy.pool.next(self.next_address, free) else {
            return Err(AllocationError::PoolExhausted { pool: policy.site.pool.clone(), size: policy.pool.len() });
        };
        self.next_address = address.saturating_add(1);
        Ok(address)
    }

    fn free_address6(&mut self, policy: &Policy, pool: &Pool6) -> Result<u128, AllocationError> {
        let free = |address| !self.addresses6.contains_key(&address) && policy.is_usable6(address);
        let Some(address) = pool.next(self.next_address6, free) else {
            return Err(AllocationError::PoolExhausted { pool: policy.site.pool6.clone(), size: pool.len() });
        };
        self.next_address6 = address.saturating_add(1);
        Ok(address)
    }

    /// A held name is kept while the template would still make it; else a change of template would never take effect.
    fn name_fits(&self, policy: &Policy, held: &Allocation, appliance: NameFor<'_>) -> bool {
        let number = held.number.unwrap_or_default();
        held.number.is_some() == policy.template.is_numbered()
            && policy.template.render(appliance, number).as_deref() == Ok(&held.host_name)
    }

    fn free_name(
        &mut self,
        policy: &Policy,
        holder: Holder,
        appliance: NameFor<'_>,
    ) -> Result<(String, Option<u32>), AllocationError> {
        if !policy.template.is_numbered() {
            let host_name = policy.template.render(appliance, 0)?;
            return match self.name_holder(&host_name) {
                Some(other) if other != holder => Err(AllocationError::NameTaken { host_name }),
                _ => Ok((host_name, None)),
            };
        }
        let mut n = self.next_number.max(1);
        loop {
            if !self.numbers.contains(&n) {
                let host_name = policy.template.render(appliance, n)?;
                // An edited name may look like one of the template's without holding its number.
                if !self.names.contains_key(&host_name) {
                    self.next_number = n + 1;
                    return Ok((host_name, Some(n)));
                }
            }
            n += 1;
        }
    }
}

/// The address as text.
pub(crate) fn ip(address: u32) -> Ipv4Addr {
    Ipv4Addr::from(address)
}

#[cfg(test)]
mod tests {
    use super::super::site::SiteSpec;
    use super::super::site::tests::{spec, spec6};
    use super::*;
    use muster_protocol::id::{Mac, SiteId};

    const MAIL: NameFor<'static> = NameFor { model: "Mail", serial: "", mac: Mac([0; 6]) };

    fn policy(pool: &str) -> Policy {
        let mut spec = spec();
        spec.pool = pool.to_owned();
        Policy::of(spec.into_site(SiteId(1))).expect("good")
    }

    #[test]
    fn addresses_and_numbers_are_given_once_and_gaps_are_filled() {
        let policy = policy("192.0.2.10-192.0.2.13");
        let mut book = Book::default();
        book.hold_address(0xc000_020b, 9);
        book.hold_name("mail-002", Some(2), 9);
        book.hold_name("mail-003", None, 8);
        let got: Vec<_> = (1..=3).map(|id| book.allocate(&policy, id, None, MAIL).expect("free")).collect();
        let short: Vec<_> = got.iter().map(|a| (a.address & 0xff, a.host_name.as_str(), a.number)).collect();
        assert_eq!(short, [(10, "mail-001", Some(1)), (12, "mail-004", Some(4)), (13, "mail-005", Some(5))]);
        let full = book.allocate(&policy, 4, None, MAIL);
        assert!(matches!(full, Err(AllocationError::PoolExhausted { size: 4, .. })));
    }

    #[test]
    fn what_is_held_is_kept_while_the_policy_allows_it() {
        let held = Allocation { address: 0xc000_020c, address6: None, host_name: "mail-007".into(), number: Some(7) };
        let mut book = Book::default();
        let same = book.allocate(&policy("192.0.2.10-192.0.2.13"), 1, Some(&held), MAIL).expect("held");
        assert_eq!(same, held);
        let moved = book.allocate(&policy("192.0.2.20-192.0.2.23"), 1, Some(&held), MAIL).expect("free");
        assert_eq!((moved.address & 0xff, moved.host_name.as_str()), (20, "mail-007"));
    }

    fn policy6(pool6: &str) -> Policy {
        let spec = SiteSpec { pool6: pool6.into(), ..spec6() };
        Policy::of(spec.into_site(SiteId(1))).expect("good")
    }

    #[test]
    fn ipv6_addresses_are_given_once_and_kept() {
        let policy = policy6("2001:db8:7::1-2001:db8:7::4/64");
        let base = u128::from(0x2001_0db8_0007_u64) << 80;
        let mut book = Book::default();
        book.hold_address6(Some(base + 3), 9);
        let mut give = |holder, held: Option<&Allocation>| book.allocate(&policy, holder, held, MAIL);
        // 1 is the gateway's, 3 is held.
        let first = give(1, None).expect("free");
        assert_eq!(first.address6, Some(base + 2));
        assert_eq!(give(2, None).expect("free").address6, Some(base + 4));
        let full = give(3, None);
        assert!(matches!(full, Err(AllocationError::PoolExhausted { ref pool, size: 4 }) if pool.contains("db8")));
        assert_eq!(give(1, Some(&first)).expect("held"), first);
        let settings = policy.settings(first.clone());
        assert_eq!((settings.address6.as_str(), settings.gateway6.as_str()), ("2001:db8:7::2/64", "2001:db8:7::1"));
        assert!(first.is_of(&settings) && !Allocation { address6: None, ..first.clone() }.is_of(&settings));
        // A pool that moved gives another; without a pool there is none.
        let moved = Book::default().allocate(&policy6("2001:db8:7::80/64"), 1, Some(&first), MAIL).expect("free");
        assert_eq!(moved.address6, Some(base + 0x80));
        let without = Policy::of(spec().into_site(SiteId(1))).expect("good");
        assert_eq!(Book::default().allocate(&without, 1, Some(&first), MAIL).expect("free").address6, None);
    }
}
