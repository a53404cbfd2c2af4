//! Appliances that accept a NOC only on their vendor's word, and NOCs that do not have it.

use crate::bench::Bench;
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::time::UnixTime;
use muster_protocol::voucher::Voucher;
use muster_protocol::wire::here::Proof;
use muster_protocol::wire::result::{Reason, Status};
use system_tests::attacker::owner::{Owner, Sent, ask, deliver, reason};
use system_tests::attacker::station::Way;

fn vendor() -> SecretKey {
    SecretKey::from_seed(&[0x56; 32])
}

/// The vendor's word that `owner` may have the appliance `number`.
fn voucher(bench: &Bench, number: usize, owner: &Owner) -> Voucher {
    Voucher {
        uid: bench.subjects[number - 1].uid,
        root: owner.root.public(),
        vendor: vendor().public(),
        issued: UnixTime(1),
        expires: None,
    }
}

/// The packet by which `owner` would take over the first appliance with this.
fn take_over(bench: &Bench, owner: &Owner, seq: u64, voucher: &[u8]) -> Sent {
    let subject = &bench.subjects[0];
    let here = ask(&bench.desk, subject, Way::Six).expect("an answer");
    assert_eq!(here.proof, Proof::Voucher);
    owner.vouched(subject, &here, &owner.grant(subject, seq), voucher)
}

/// Sends it from the attacker's host; reason and detail of the FAILED. Nothing has changed.
fn refusal(bench: &Bench, sent: &Sent) -> (Option<Reason>, String) {
    let before = bench.picture(1);
    let status = deliver(&bench.attacker.station, &sent.bytes, sent);
    assert_eq!(bench.picture(1), before, "refused, and nothing changed");
    match status {
        Some(Status::Failed { reason, detail, .. }) => (Some(reason), detail.unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_noc_without_the_vendors_word_for_it_and_this_appliance_takes_it_over() {
    let bench = Bench::vouched("vo", 2, &vendor().public());
    let (owner, thief) = (&bench.owner, Owner::new(1));
    let stranger = SecretKey::from_seed(&[9; 32]);
    // Of the thief: his own word, the vendor's name under his own signature, and what the vendor said to others.
    let own = Voucher { vendor: stranger.public(), ..voucher(&bench, 1, &thief) }.sign(&stranger);
    let forged = voucher(&bench, 1, &thief).sign(&stranger);
    let of_another_appliance = voucher(&bench, 2, &thief).sign(&vendor());
    let of_the_owner = voucher(&bench, 1, owner).sign(&vendor());
    let mut altered = of_another_appliance.clone();
    let at = altered.windows(20).position(|window| window == bench.subjects[1].uid.0).expect("in clear");
    altered[at..at + 20].copy_from_slice(&bench.subjects[0].uid.0);
    for (voucher, expected) in [
        (own, "by another vendor"),
        (forged, "the voucher is damaged"),
        (of_another_appliance, "for another appliance"),
        (of_the_owner.clone(), "for another NOC"),
        (altered, "the voucher is damaged"),
    ] {
        let sent = take_over(&bench, &thief, 1, &voucher);
        assert_eq!(refusal(&bench, &sent), (Some(Reason::VoucherRefused), expected.to_owned()));
    }
    let here = ask(&bench.desk, &bench.subjects[0], Way::Six).expect("an answer");
    let bare = thief.packet(&bench.subjects[0], &here, &thief.grant(&bench.subjects[0], 1));
    // With the code of its label, which this image does not accept.
    assert_eq!(refusal(&bench, &bare).0, Some(Reason::NotOpened));
    let log = bench.lab.agent_log(1);
    assert!(log.contains("voucher_refused") && log.contains("for another NOC"), "{log}");

    // The same wire carries the owner's.
    let sent = take_over(&bench, owner, 1, &of_the_owner);
    assert_eq!(deliver(&bench.desk, &sent.bytes, &sent), Some(Status::Success { committed: false }));
    assert_eq!(deliver(&bench.desk, &owner.kick(&sent), &sent), Some(Status::Success { committed: true }));
}

#[test]
fn an_appliance_that_has_an_owner_is_not_moved_by_any_voucher() {
    let mut bench = Bench::vouched("vp", 1, &vendor().public());
    let good = voucher(&bench, 1, &bench.owner).sign(&vendor());
    let first = take_over(&bench, &bench.owner, 1, &good);
    assert_eq!(deliver(&bench.desk, &first.bytes, &first), Some(Status::Success { committed: false }));
    assert_eq!(deliver(&bench.desk, &bench.owner.kick(&first), &first), Some(Status::Success { committed: true }));
    // The vendor has vouched for a second NOC, by error or under pressure.
    let late = Owner::new(1);
    let voucher = voucher(&bench, 1, &late).sign(&vendor());
    let sent = take_over(&bench, &late, 9, &voucher);
    assert_eq!(refusal(&bench, &sent).0, Some(Reason::WrongRoot));
    bench.reboot(1);
    let sent = take_over(&bench, &late, 9, &voucher);
    assert_eq!(refusal(&bench, &sent).0, Some(Reason::WrongRoot));
    // The owner needs none any more.
    bench.owner.configure(&bench.desk, &bench.subjects[0], 2);
    // What was recorded is worth nothing after a reset, although the voucher in it is still good: its key is gone.
    bench.reset(1);
    let before = bench.picture(1);
    assert_eq!(reason(deliver(&bench.attacker.station, &first.bytes, &first)), Some(Reason::KeyUnknown));
    assert_eq!(bench.picture(1), before);
    let sent = take_over(&bench, &bench.owner, 3, &good);
    assert_eq!(deliver(&bench.desk, &sent.bytes, &sent), Some(Status::Success { committed: false }));
}
