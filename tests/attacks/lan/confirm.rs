//! Kick-starts by strangers.

use crate::bench::Bench;
use muster_protocol::id::{RequestId, Seq};
use muster_protocol::wire::kick::KickStart;
use muster_protocol::wire::result::{Reason, Status};
use std::time::Duration;
use system_tests::attacker::owner::{Owner, ask, deliver, reason};
use system_tests::attacker::station::Way;

#[test]
fn settings_that_only_strangers_confirm_are_rolled_back() {
    let bench = Bench::by_hand("ck", 3);
    let (owner, [one, two, three]) = (&bench.owner, [0, 1, 2].map(|n| bench.subjects[n].clone()));
    // The recordings: kick-starts of an earlier job of the first appliance, and of another appliance.
    let earlier = owner.configure(&bench.desk, &one, 1);
    let others = owner.configure(&bench.desk, &two, 1);
    let recorded = bench.attacker.wire.recorded().into_iter().filter(|payload| payload[5] == 5).collect::<Vec<_>>();
    assert_eq!(recorded.len(), 2, "both kick-starts were recorded");
    let before = bench.picture(1);

    let provisional = |subject, seq| {
        let here = ask(&bench.desk, subject, Way::Six).expect("an answer");
        let sent = owner.packet(subject, &here, &owner.grant(subject, seq));
        assert_eq!(deliver(&bench.desk, &sent.bytes, &sent), Some(Status::Success { committed: false }));
        sent
    };
    let attacked = provisional(&one, 2);
    let control = provisional(&three, 2);
    let stranger = Owner::new(1);
    let kick = |request, seq| KickStart { uid: one.uid, request, seq };
    let right = kick(attacked.request, attacked.seq);
    let mut kicks = recorded;
    kicks.extend([
        // Right words by a stranger's key; with a tag of another attempt; both.
        right.to_datagram(&stranger.console, &attacked.exported),
        right.to_datagram(&owner.console, &earlier.exported),
        right.to_datagram(&owner.console, &others.exported),
        right.to_datagram(&stranger.console, &others.exported),
        // The right key and tag with words for another attempt, as if a console had said them.
        kick(earlier.request, attacked.seq).to_datagram(&owner.console, &attacked.exported),
        kick(attacked.request, Seq(3)).to_datagram(&owner.console, &attacked.exported),
        kick(RequestId([0; 16]), Seq(1)).to_datagram(&owner.console, &attacked.exported),
        KickStart { uid: two.uid, ..right }.to_datagram(&owner.console, &attacked.exported),
    ]);
    // The recorded ones in an envelope with the other's UID.
    let mut twisted = owner.kick(&others);
    let at = twisted.windows(20).position(|window| window == two.uid.0).expect("in clear");
    twisted[at..at + 20].copy_from_slice(&one.uid.0);
    kicks.push(twisted);
    let mark = bench.attacker.wire.mark();
    for _ in 0..3 {
        for kick in &kicks {
            bench.attacker.station.say(kick);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    let answers = bench.answers(mark, &one, bench.attacker.station.port);
    assert!(answers.is_empty(), "a kick-start that does not verify is not answered: {answers:?}");
    assert_eq!(bench.lab.agent_status(1)["state"], "provisional");
    // The control: the right kick-start, from the stranger's host at that, commits the third appliance.
    let committed = deliver(&bench.attacker.station, &owner.kick(&control), &control);
    assert_eq!(committed, Some(Status::Success { committed: true }));

    bench.wait_for_state(1, "configured", Duration::from_secs(40));
    assert_eq!(bench.lab.agent_status(1)["seq"], 2, "the number stays used up");
    let mut after = bench.picture(1);
    after[2] = before[2].clone();
    assert_eq!(after, before, "what it had before");
    assert_eq!(bench.lab.agent_status(1)["settings"]["host_name"], "host-1-1");
    let late = deliver(&bench.desk, &owner.kick(&attacked), &attacked);
    assert_eq!(reason(late), Some(Reason::NoKickStart), "too late, even for the right one");
    owner.configure(&bench.desk, &one, 3);
}
