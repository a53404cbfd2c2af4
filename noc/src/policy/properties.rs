//! What holds of every allocation, whatever the policy, the reservations and what is held already.

use super::allocation::{Allocation, AllocationError, Applicant, Book};
use super::reservation::{Named, Reservation, Reservations, Whose};
use super::site::tests::spec;
use super::site::{Policy, SiteSpec};
use muster_protocol::id::{Mac, SiteId, Uid};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// 192.0.2.0
const NETWORK: u32 = 0xc000_0200;

#[derive(Clone, Debug)]
struct World {
    pool: (u8, u8),
    excluded: Vec<(u8, u8)>,
    /// Whose, and the last byte of the address.
    reserved: BTreeMap<u8, u8>,
    /// By whom, and the last byte of the address.
    held: BTreeMap<u8, u8>,
    numbered: bool,
    asking: Vec<u8>,
}

fn worlds() -> impl Strategy<Value = World> {
    let range = (0..=255u8, 0..40u8).prop_map(|(first, more)| (first, first.saturating_add(more)));
    let ranges = prop::collection::vec(range, 0..4);
    let of = || prop::collection::btree_map(0..48u8, any::<u8>(), 0..16);
    let asking = prop::collection::vec(0..48u8, 1..64);
    ((4..=60u8, 0..120u8), ranges, of(), of(), any::<bool>(), asking).prop_map(
        |((first, more), excluded, reserved, held, numbered, asking)| World {
            pool: (first, first + more),
            excluded,
            reserved: once(reserved),
            held: once(held),
            numbered,
            asking,
        },
    )
}

/// Each address once.
fn once(map: BTreeMap<u8, u8>) -> BTreeMap<u8, u8> {
    let mut seen = BTreeSet::new();
    map.into_iter().filter(|(_, address)| seen.insert(*address)).collect()
}

impl World {
    fn policy(&self) -> Option<Policy> {
        let ip = |last: u8| Ipv4Addr::from(NETWORK | u32::from(last));
        let range = |&(first, last): &(u8, u8)| format!("{}-{}", ip(first), ip(last));
        let site = SiteSpec {
            pool: range(&self.pool),
            exclude: self.excluded.iter().map(range).collect::<Vec<_>>().join(","),
            host_name: if self.numbered { "{model}-{n}".into() } else { "m-{mac}".into() },
            ..spec()
        };
        Policy::of(site.into_site(SiteId(1))).ok()
    }

    fn is_excluded(&self, last: u8) -> bool {
        self.excluded.iter().any(|(first, end)| (first..=end).contains(&&last))
    }
}

fn uid(who: u8) -> Uid {
    Uid([who; 20])
}

fn address(last: u8) -> u32 {
    NETWORK | u32::from(last)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_is_given_twice_nor_to_whom_it_is_not_for(world in worlds()) {
        let Some(policy) = world.policy() else { return Ok(()) };
        let mut reservations = Reservations::default();
        for (&who, &last) in world.reserved.iter().filter(|(_, last)| policy.is_usable(address(**last))) {
            let (address, host_name) = (Some(address(last)), (who % 2 == 0).then(|| format!("kept-{who}")));
            reservations.add(Reservation { whose: Whose::Uid(uid(who)), address, address6: None, host_name, note: String::new() });
        }
        let mut book = Book::with(reservations.clone());
        let mut held = BTreeMap::new();
        for (&who, &last) in world.held.iter().filter(|(_, last)| policy.is_usable(address(**last))) {
            let one = Allocation {
                address: address(last),
                address6: None,
                host_name: format!("old-{who}"),
                number: None,
            };
            book.hold(&one, i64::from(who));
            held.insert(who, one);
        }
        let holders: BTreeMap<u32, u8> = held.iter().map(|(who, one)| (one.address, *who)).collect();
        let mut given: BTreeMap<u32, u8> = BTreeMap::new();
        let mut names: BTreeMap<String, u8> = BTreeMap::new();
        for who in world.asking.iter().copied() {
            let uid = uid(who);
            let named = Named { uid: &uid, mac: Mac([2, 0, 0, 0, 0, who]), serial: "" };
            let applicant = Applicant { holder: i64::from(who), named, model: "mail" };
            let mine = held.get(&who).cloned();
            let reserved = reservations.of(named).cloned();
            match book.allocate(&policy, applicant, mine.as_ref()) {
                Ok(got) => {
                    let last = (got.address & 0xff) as u8;
                    prop_assert!(policy.is_usable(got.address));
                    prop_assert!(given.insert(got.address, who).is_none_or(|other| other == who), "given twice");
                    prop_assert!(holders.get(&got.address).is_none_or(|holder| *holder == who), "held by another");
                    prop_assert!(reservations.bars_address(got.address, named).is_none(), "reserved for another");
                    prop_assert!(reservations.bars_name(&got.host_name, named).is_none());
                    prop_assert!(names.insert(got.host_name.clone(), who).is_none_or(|other| other == who));
                    match reserved {
                        Some(reserved) => prop_assert_eq!(reserved.address, Some(got.address)),
                        None => prop_assert!(policy.pool.contains(got.address) && !world.is_excluded(last)),
                    }
                    held.insert(who, got.clone());
                    // Who asks again gets the same.
                    let again = book.allocate(&policy, applicant, Some(&got));
                    prop_assert_eq!(again.as_ref(), Ok(&got));
                }
                Err(AllocationError::PoolExhausted { .. }) => {
                    let free = (0..=255u8).map(address).find(|address| {
                        policy.pool.contains(*address)
                            && policy.is_usable(*address)
                            && book.address_holder(*address).is_none()
                            && reservations.bars_address(*address, named).is_none()
                    });
                    prop_assert_eq!(free, None, "there was one");
                }
                Err(AllocationError::ReservedHeld { .. }) => {
                    let address = reserved.and_then(|reserved| reserved.address);
                    let holder = address.and_then(|address| book.address_holder(address));
                    prop_assert!(holder.is_some_and(|holder| holder != i64::from(who)));
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }
}
