//! Packets that are right in all but one thing: for another appliance, of another site, NOC or console, older, or twice.

use crate::bench::Bench;
use muster_protocol::crypto::claim::ClaimKey;
use muster_protocol::id::{Mac, Seq, SiteId};
use muster_protocol::wire::result::{Reason, Status};
use system_tests::attacker::owner::{Owner, Sent, address, ask, deliver, order, reason};
use system_tests::attacker::station::Way;

/// Delivers from the attacker's host and takes the reason of the FAILED; none: it was not answered.
fn refusal(bench: &Bench, sent: &Sent) -> Option<Reason> {
    let before = bench.picture(1);
    let status = deliver(&bench.attacker.station, &sent.bytes, sent);
    assert!(!matches!(status, Some(Status::Success { .. })), "accepted");
    assert_eq!(bench.picture(1), before, "refused, and nothing changed");
    reason(status)
}

#[test]
fn a_packet_for_another_mac_or_appliance_is_refused() {
    let bench = Bench::by_hand("mm", 2);
    let (one, two) = (bench.subjects[0].clone(), bench.subjects[1].clone());
    let heres = [&one, &two].map(|subject| ask(&bench.desk, subject, Way::Six).expect("an answer"));
    let right = bench.owner.packet(&one, &heres[0], &bench.owner.grant(&one, 1));
    // A packet for the first in an envelope for the second: it was sealed for other ears, and the address is sealed in.
    let pairs = [(one.uid.0.to_vec(), two.uid.0.to_vec()), (one.mac.0.to_vec(), two.mac.0.to_vec())];
    let key = (heres[0].one_time_key.0.to_vec(), heres[1].one_time_key.0.to_vec());
    for pairs in [&pairs[..1], &pairs[1..], &pairs[..], &[pairs[0].clone(), pairs[1].clone(), key][..]] {
        let mut bytes = right.bytes.clone();
        for (from, to) in pairs {
            let at = bytes.windows(from.len()).position(|window| window == from).expect("in clear");
            bytes[at..at + from.len()].copy_from_slice(to);
        }
        let before = [bench.picture(1), bench.picture(2)];
        bench.attacker.station.say(&bytes);
        bench.answers(0, &one, 0);
        bench.answers(0, &two, 0);
        assert_eq!([bench.picture(1), bench.picture(2)], before);
    }
    // A grant for the second, or for another MAC, by the right console and sealed for the first.
    let misaddressed = [bench.owner.grant(&two, 1), {
        let mut grant = bench.owner.grant(&one, 1);
        grant.mac = Mac([2, 0, 0, 0, 0, 9]);
        grant
    }];
    for grant in misaddressed {
        let sent = bench.owner.packet(&one, &heres[0], &grant);
        assert_eq!(refusal(&bench, &sent), Some(Reason::WrongAppliance));
    }
    // The very packet that was twisted above is still good for the one it is for; and the second can be configured too.
    assert_eq!(deliver(&bench.desk, &right.bytes, &right), Some(Status::Success { committed: false }));
    bench.owner.configure(&bench.desk, &two, 1);
}

#[test]
fn a_grant_of_another_site_noc_or_console_is_refused() {
    let bench = Bench::by_hand("ms", 2);
    let (one, two) = (bench.subjects[0].clone(), bench.subjects[1].clone());
    let owner = &bench.owner;
    // Two sites of one NOC, each with a console of its own; and another NOC.
    let neighbour = Owner { console: Owner::new(2).console, site: SiteId(2), ..owner.clone() };
    let foreign = Owner::new(1);
    owner.configure(&bench.desk, &one, 5);
    neighbour.configure(&bench.desk, &two, 5);

    let here = ask(&bench.desk, &one, Way::Six).expect("an answer");
    let by_noc = foreign.packet(&one, &here, &foreign.grant(&one, 6));
    assert_eq!(refusal(&bench, &by_noc), Some(Reason::WrongRoot), "another NOC");
    let by_site = neighbour.packet(&one, &here, &neighbour.grant(&two, 6));
    assert_eq!(refusal(&bench, &by_site), Some(Reason::WrongAppliance), "what the other site was granted");
    let by_console = neighbour.packet(&one, &here, &owner.grant(&one, 6));
    assert_eq!(refusal(&bench, &by_console), Some(Reason::WrongConsole), "our grant in their console's hands");
    let mut lie = foreign.grant(&one, 6);
    lie.root = owner.root.public();
    let by_lie = foreign.packet(&one, &here, &lie);
    assert_eq!(
        refusal(&bench, &by_lie),
        Some(Reason::WrongRoot),
        "a grant that names our root and is not signed by it"
    );
    owner.configure(&bench.desk, &one, 6);
}

#[test]
fn an_old_sequence_is_refused_also_with_a_fresh_key() {
    let bench = Bench::by_hand("mo", 1);
    let (owner, one) = (&bench.owner, bench.subjects[0].clone());
    owner.configure(&bench.desk, &one, 5);
    for seq in [0, 4, 5] {
        let here = ask(&bench.attacker.station, &one, Way::Six).expect("anybody is answered");
        let sent = owner.packet(&one, &here, &owner.grant(&one, seq));
        assert_eq!(refusal(&bench, &sent), Some(Reason::OldSequence), "number {seq}");
    }
    owner.configure(&bench.desk, &one, 6);
}

#[test]
fn the_same_request_with_another_body_is_refused() {
    let bench = Bench::by_hand("mb", 1);
    let (owner, one) = (&bench.owner, bench.subjects[0].clone());
    let here = ask(&bench.desk, &one, Way::Six).expect("an answer");
    let sent = owner.packet(&one, &here, &owner.grant(&one, 1));
    assert_eq!(deliver(&bench.desk, &sent.bytes, &sent), Some(Status::Success { committed: false }));
    let reused = |key, seq| {
        let mut to = address(&one, key);
        to.request = sent.request;
        owner.seal(
            Some(&one.claim),
            here.device_key,
            Seq(seq),
            &to,
            &order(&owner.signed(&owner.grant(&one, seq)), &to),
        )
    };
    let fresh = ask(&bench.desk, &one, Way::Six).expect("an answer").one_time_key;
    for other in [reused(here.one_time_key, 1), reused(fresh, 1), reused(fresh, 2)] {
        assert_eq!(refusal(&bench, &other), Some(Reason::RequestReused));
    }
    // The attempt itself goes on as if nothing had been.
    assert_eq!(deliver(&bench.desk, &owner.kick(&sent), &sent), Some(Status::Success { committed: true }));
    for other in [reused(here.one_time_key, 1), reused(fresh, 2)] {
        assert_eq!(refusal(&bench, &other), Some(Reason::RequestReused), "also when it is over");
    }
    owner.configure(&bench.desk, &one, 3);
}

#[test]
fn one_key_opens_one_of_two_packets() {
    let mut bench = Bench::by_hand("mk", 1);
    let one = bench.subjects[0].clone();
    for round in 0..2 {
        let here = ask(&bench.desk, &one, Way::Six).expect("an answer");
        let owner = &bench.owner;
        let packets = [10, 11].map(|seq| owner.packet(&one, &here, &owner.grant(&one, seq + 2 * round)));
        // At once, from two consoles' hosts.
        bench.desk.say(&packets[0].bytes);
        bench.attacker.station.say(&packets[1].bytes);
        let first = deliver(&bench.desk, &packets[0].bytes, &packets[0]);
        let second = deliver(&bench.attacker.station, &packets[1].bytes, &packets[1]);
        let accepted = |status: &Option<Status>| matches!(status, Some(Status::Success { .. }));
        assert!(accepted(&first) != accepted(&second), "{first:?} and {second:?}");
        let (winner, loser) = if accepted(&first) { (0, 1) } else { (1, 0) };
        assert_eq!(
            deliver(&bench.desk, &owner.kick(&packets[winner]), &packets[winner]),
            Some(Status::Success { committed: true })
        );
        // Idle again, and the number of the loser may be higher: the key alone keeps it out.
        let late = deliver(&bench.desk, &packets[loser].bytes, &packets[loser]);
        assert_eq!(reason(late), Some(Reason::KeyUnknown));
        assert_eq!(bench.lab.agent_status(1)["seq"], packets[winner].seq.0);
        bench.reboot(1);
    }
    bench.owner.configure(&bench.desk, &one, 20);
}

#[test]
fn a_console_without_the_claim_code_configures_nothing() {
    let mut bench = Bench::by_hand("mr", 1);
    let one = bench.subjects[0].clone();
    let rogue = Owner::new(1);
    let here = ask(&bench.attacker.station, &one, Way::Six).expect("anybody is answered");
    for claim in [None, Some(ClaimKey([0; 32]))] {
        let to = address(&one, here.one_time_key);
        let order = order(&rogue.signed(&rogue.grant(&one, 1)), &to);
        let sent = rogue.seal(claim.as_ref(), here.device_key, Seq(1), &to, &order);
        assert_eq!(refusal(&bench, &sent), Some(Reason::NotOpened));
    }
    bench.owner.configure(&bench.desk, &one, 1);
    // Pinned, it listens to its own root only, and the claim code is of no use any more to anybody who has read the label.
    let here = ask(&bench.attacker.station, &one, Way::Six).expect("anybody is answered");
    for claim in [None, Some(one.claim.clone())] {
        let to = address(&one, here.one_time_key);
        let order = order(&rogue.signed(&rogue.grant(&one, 9)), &to);
        let sent = rogue.seal(claim.as_ref(), here.device_key, Seq(9), &to, &order);
        let expected = if claim.is_some() { Reason::NotOpened } else { Reason::WrongRoot };
        assert_eq!(refusal(&bench, &sent), Some(expected));
    }
    bench.reboot(1);
    bench.owner.configure(&bench.desk, &one, 2);
}
