//! Who gets which address and name. Pure: the store loads a [`Book`], and keeps what was decided in the same transaction.

use super::host_name::{NameFor, RenderError};
use super::pool6::Pool6;
use super::reservation::{Named, Reservations};
use super::site::Policy;
use muster_protocol::parameters::{Network6, RawSettings};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

/// An appliance as the store numbers it.
pub(crate) type Holder = i64;

/// What is taken in a site, and what is kept for whom.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    reservations: Reservations,
    addresses: BTreeMap<u32, Holder>,
    addresses6: BTreeMap<u128, Holder>,
    names: BTreeMap<String, Holder>,
    numbers: BTreeSet<u32>,
    /// Below these everything of a pool, by its text, is taken; keeps a batch of thousands linear.
    next_address: BTreeMap<String, u32>,
    next_address6: BTreeMap<String, u128>,
    next_number: u32,
}

/// Who wants something: as the store numbers it, as reservations name it, and as templates do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applicant<'a> {
    pub(crate) holder: Holder,
    pub(crate) named: Named<'a>,
    pub(crate) model: &'a str,
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
    #[error("the host name {host_name} that the template makes is held by or reserved for another appliance")]
    NameTaken { host_name: String },
    #[error("{what}, reserved for this appliance, is held by another one")]
    ReservedHeld { what: String },
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
    /// An empty one in which something is reserved.
    pub(crate) fn with(reservations: Reservations) -> Book {
        Book { reservations, ..Book::default() }
    }

    /// Everything of one appliance.
    pub(crate) fn hold(&mut self, held: &Allocation, holder: Holder) {
        self.hold_address(held.address, holder);
        self.hold_address6(held.address6, holder);
        self.hold_name(&held.host_name, held.number, holder);
    }

    pub(crate) fn hold_address6(&mut self, address: Option<u128>, holder: Holder) {
        self.addresses6.extend(address.map(|address| (address, holder)));
    }

    /// What is reserved for whom.
    pub(crate) fn reservations(&self) -> &Reservations {
        &self.reservations
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

    /// Allocates by policy: what is reserved for the appliance; else what it holds already, while the policy still allows it;
    /// else what is free.
    pub(crate) fn allocate(
        &mut self,
        policy: &Policy,
        applicant: Applicant<'_>,
        held: Option<&Allocation>,
    ) -> Result<Allocation, AllocationError> {
        let Applicant { holder, named, .. } = applicant;
        let reserved = self.reservations.of(named).cloned();
        let address = match (reserved.as_ref().and_then(|one| one.address), held.map(|held| held.address)) {
            (Some(address), _) => self.own(self.address_holder(address), holder, ip(address)).map(|()| address)?,
            (None, Some(address)) if self.may_keep(policy, address, named) => address,
            (None, _) => self.free_address(policy, named)?,
        };
        let reserved6 = reserved.as_ref().and_then(|one| one.address6);
        let address6 = match (&policy.pool6, reserved6, held.and_then(|held| held.address6)) {
            (None, _, _) => None,
            (Some(_), Some(address), _) => {
                let text = Ipv6Addr::from_bits(address);
                self.own(self.address6_holder(address), holder, text).map(|()| Some(address))?
            }
            (Some(pool), None, Some(address)) if self.may_keep6(policy, pool, address, named) => Some(address),
            (Some(pool), None, _) => Some(self.free_address6(policy, pool, named)?),
        };
        let (host_name, number) = match (reserved.and_then(|one| one.host_name), held) {
            (Some(name), _) => self.own(self.name_holder(&name), holder, &name).map(|()| (name, None))?,
            (None, Some(held)) if self.name_fits(policy, held, applicant) => (held.host_name.clone(), held.number),
            (None, _) => self.free_name(policy, applicant)?,
        };
        let allocation = Allocation { address, address6, host_name, number };
        self.hold(&allocation, holder);
        Ok(allocation)
    }

    /// What is reserved is had only from nobody.
    fn own(&self, other: Option<Holder>, holder: Holder, what: impl ToString) -> Result<(), AllocationError> {
        match other {
            Some(other) if other != holder => Err(AllocationError::ReservedHeld { what: what.to_string() }),
            _ => Ok(()),
        }
    }

    fn may_keep(&self, policy: &Policy, address: u32, named: Named<'_>) -> bool {
        policy.pool.contains(address)
            && policy.is_usable(address)
            && self.reservations.bars_address(address, named).is_none()
    }

    fn may_keep6(&self, policy: &Policy, pool: &Pool6, address: u128, named: Named<'_>) -> bool {
        pool.contains(address)
            && policy.is_usable6(address)
            && self.reservations.bars_address6(address, named).is_none()
    }

    fn free_address(&mut self, policy: &Policy, named: Named<'_>) -> Result<u32, AllocationError> {
        let pool = &policy.site.pool;
        let free = |address| {
            !self.addresses.contains_key(&address)
                && policy.is_usable(address)
                && self.reservations.bars_address(address, named).is_none()
        };
        let from = self.next_address.get(pool).copied().unwrap_or_default();
        let Some(address) = policy.pool.next(from, free) else {
            return Err(AllocationError::PoolExhausted { pool: pool.clone(), size: policy.pool.len() });
        };
        self.next_address.insert(pool.clone(), address.saturating_add(1));
        Ok(address)
    }

    fn free_address6(&mut self, policy: &Policy, pool: &Pool6, named: Named<'_>) -> Result<u128, AllocationError> {
        let text = &policy.site.pool6;
        let free = |address| {
            !self.addresses6.contains_key(&address)
                && policy.is_usable6(address)
                && self.reservations.bars_address6(address, named).is_none()
        };
        let from = self.next_address6.get(text).copied().unwrap_or_default();
        let Some(address) = pool.next(from, free) else {
            return Err(AllocationError::PoolExhausted { pool: text.clone(), size: pool.len() });
        };
        self.next_address6.insert(text.clone(), address.saturating_add(1));
        Ok(address)
    }

    /// A held name is kept while the template would still make it; else a change of template would never take effect.
    fn name_fits(&self, policy: &Policy, held: &Allocation, applicant: Applicant<'_>) -> bool {
        let number = held.number.unwrap_or_default();
        held.number.is_some() == policy.template.is_numbered()
            && self.reservations.bars_name(&held.host_name, applicant.named).is_none()
            && policy.template.render(name_for(policy, applicant), number).as_deref() == Ok(&held.host_name)
    }

    fn free_name(
        &mut self,
        policy: &Policy,
        applicant: Applicant<'_>,
    ) -> Result<(String, Option<u32>), AllocationError> {
        let name_for = name_for(policy, applicant);
        let Applicant { holder, named, .. } = applicant;
        if !policy.template.is_numbered() {
            let host_name = policy.template.render(name_for, 0)?;
            let is_reserved = self.reservations.bars_name(&host_name, named).is_some();
            return match self.name_holder(&host_name) {
                Some(other) if other != holder => Err(AllocationError::NameTaken { host_name }),
                _ if is_reserved => Err(AllocationError::NameTaken { host_name }),
                _ => Ok((host_name, None)),
            };
        }
        let mut n = self.next_number.max(1);
        loop {
            if !self.numbers.contains(&n) {
                let host_name = policy.template.render(name_for, n)?;
                // An edited name may look like one of the template's without holding its number.
                if !self.names.contains_key(&host_name) && self.reservations.bars_name(&host_name, named).is_none() {
                    self.next_number = n + 1;
                    return Ok((host_name, Some(n)));
                }
            }
            n += 1;
        }
    }
}

fn name_for<'a>(policy: &'a Policy, applicant: Applicant<'a>) -> NameFor<'a> {
    let Named { mac, serial, .. } = applicant.named;
    NameFor { site: &policy.site.name, model: applicant.model, serial, mac }
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
    use muster_protocol::id::{Mac, SiteId, Uid};

    const UID: Uid = Uid([0; 20]);

    fn mail(holder: Holder) -> Applicant<'static> {
        Applicant { holder, named: Named { uid: &UID, mac: Mac([0; 6]), serial: "" }, model: "Mail" }
    }

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
        let got: Vec<_> = (1..=3).map(|id| book.allocate(&policy, mail(id), None).expect("free")).collect();
        let short: Vec<_> = got.iter().map(|a| (a.address & 0xff, a.host_name.as_str(), a.number)).collect();
        assert_eq!(short, [(10, "mail-001", Some(1)), (12, "mail-004", Some(4)), (13, "mail-005", Some(5))]);
        let full = book.allocate(&policy, mail(4), None);
        assert!(matches!(full, Err(AllocationError::PoolExhausted { size: 4, .. })));
    }

    #[test]
    fn what_is_held_is_kept_while_the_policy_allows_it() {
        let held = Allocation { address: 0xc000_020c, address6: None, host_name: "mail-007".into(), number: Some(7) };
        let mut book = Book::default();
        let same = book.allocate(&policy("192.0.2.10-192.0.2.13"), mail(1), Some(&held)).expect("held");
        assert_eq!(same, held);
        let moved = book.allocate(&policy("192.0.2.20-192.0.2.23"), mail(1), Some(&held)).expect("free");
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
        let mut give = |holder, held: Option<&Allocation>| book.allocate(&policy, mail(holder), held);
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
        let moved = Book::default().allocate(&policy6("2001:db8:7::80/64"), mail(1), Some(&first)).expect("free");
        assert_eq!(moved.address6, Some(base + 0x80));
        let without = Policy::of(spec().into_site(SiteId(1))).expect("good");
        assert_eq!(Book::default().allocate(&without, mail(1), Some(&first)).expect("free").address6, None);
    }
}
