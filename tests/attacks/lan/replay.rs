//! Replays: everything that was ever recorded, sent again.

use crate::bench::Bench;
use system_tests::attacker::frame::Mail;

/// An appliance that was configured twice, so that the recording holds an old grant as well as the one in force.
fn recorded(name: &str) -> (Bench, Vec<Mail>) {
    let bench = Bench::by_hand(name, 1);
    for seq in [1, 2] {
        bench.owner.configure(&bench.desk, &bench.subjects[0], seq);
    }
    let mails = bench.attacker.wire.since(0);
    for kind in 1..=5 {
        assert!(mails.iter().any(|mail| mail.kind() == Some(kind)), "kind {kind} was recorded");
    }
    assert!(mails.iter().any(|mail| mail.from.is_ipv4()) && mails.iter().any(|mail| mail.from.is_ipv6()));
    (bench, mails)
}

/// Sends all of it twice: from the attacker's own address, by either family, and exactly as it was, with the addresses of
/// those who sent it first.
fn replay(bench: &Bench, mails: &[Mail]) {
    for mail in [mails, mails].concat() {
        bench.attacker.station.say(&mail.payload);
        bench.attacker.wire.send(&mail.frame());
        // The receive buffer of an appliance is short, and what is lost was not replayed.
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

fn unchanged_by(bench: &Bench, mails: &[Mail], when: &str) {
    let before = bench.picture(1);
    let mark = bench.attacker.wire.mark();
    replay(bench, mails);
    let answers = bench.answers(mark, &bench.subjects[0], bench.attacker.station.port);
    assert!(!answers.is_empty(), "recorded pings are answered, so the replay arrived");
    assert_eq!(bench.picture(1), before, "replayed {when}");
}

#[test]
fn a_replay_in_the_same_boot_changes_nothing() {
    let (bench, mails) = recorded("rs");
    unchanged_by(&bench, &mails, "in the same boot");
    bench.owner.configure(&bench.desk, &bench.subjects[0], 3);
}

#[test]
fn a_replay_after_a_reboot_changes_nothing() {
    let (mut bench, mails) = recorded("rb");
    bench.reboot(1);
    unchanged_by(&bench, &mails, "after a reboot");
    bench.owner.configure(&bench.desk, &bench.subjects[0], 3);
}

#[test]
fn a_replay_after_a_factory_reset_configures_nothing() {
    let (mut bench, mails) = recorded("rf");
    bench.reset(1);
    unchanged_by(&bench, &mails, "after a factory reset");
    assert_eq!(bench.lab.agent_status(1)["state"], "unconfigured");
    assert_eq!(bench.lab.agent_status(1)["seq"], 0);
    // The number of the old grants is forgotten with their owner; only the keys that are gone keep them out.
    bench.owner.configure(&bench.desk, &bench.subjects[0], 1);
}
