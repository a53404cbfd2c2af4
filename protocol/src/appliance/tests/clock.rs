//! What time it is: only the NOC's word counts, and it only makes the appliance stricter.

use super::*;

const DAY: u64 = 86_400;

/// A configured appliance whose NOC says that it is day `day`.
fn on_day(day: u64) -> Bench {
    let mut bench = Bench::new();
    bench.configure(1);
    bench.noc_says(day * DAY);
    bench
}

impl Bench {
    fn noc_says(&mut self, time: u64) {
        self.appliance.handle_input(self.now, Input::NocTime(UnixTime(time)));
        self.drain(true);
    }

    /// What becomes of a grant that expires then.
    fn expiring(&mut self, seq: u64, expires: u64) -> Vec<Status> {
        let grant = Grant { expires: UnixTime(expires), ..self.grant(seq, Confirm::KickStart) };
        let (packet, exported, _) = self.packet(&grant);
        let sent = self.deliver(&packet);
        self.statuses(&sent, &exported)
    }
}

#[test]
fn a_grant_kept_past_its_end_is_refused_and_a_newer_one_taken() {
    let mut bench = on_day(10);
    assert_eq!(reasons(&bench.expiring(2, 10 * DAY - 1)), [Reason::Expired]);
    assert_eq!(bench.appliance.seq(), Seq(1), "the refused number is not used up");
    assert_eq!(bench.expiring(3, 10 * DAY), [Status::Success { committed: false }]);
}

#[test]
fn known_time_outlives_a_power_cut() {
    let mut bench = on_day(10);
    bench.noc_says(10 * DAY + 5);
    bench.reboot();
    assert_eq!(reasons(&bench.expiring(2, 9 * DAY)), [Reason::Expired]);
}

#[test]
fn a_beat_each_minute_is_a_write_each_day() {
    let mut bench = on_day(10);
    let writes = |bench: &mut Bench, time: u64| {
        bench.appliance.handle_input(bench.now, Input::NocTime(UnixTime(time)));
        let persists = std::iter::from_fn(|| bench.appliance.poll_output());
        persists.filter(|output| matches!(output, Output::Persist { .. })).count()
    };
    let written: usize = (1..1_440).map(|minute| writes(&mut bench, 10 * DAY + minute * 60)).sum();
    assert_eq!(written, 0);
    assert_eq!(writes(&mut bench, 11 * DAY), 1);
}

#[test]
fn a_noc_whose_clock_was_ahead_locks_nobody_out() {
    let mut bench = on_day(4_000);
    assert_eq!(reasons(&bench.expiring(2, 20 * DAY)), [Reason::Expired]);
    bench.noc_says(10 * DAY);
    assert_eq!(bench.expiring(2, 20 * DAY), [Status::Success { committed: false }]);
}

#[test]
fn a_time_that_cannot_be_stored_still_counts_and_loses_nothing() {
    let mut bench = Bench::new();
    bench.configure(1);
    bench.disk_fails = true;
    bench.noc_says(10 * DAY);
    assert_eq!(reasons(&bench.expiring(2, 9 * DAY)), [Reason::Expired]);
    bench.disk_fails = false;
    assert_eq!(bench.expiring(2, 20 * DAY), [Status::Success { committed: false }]);
    assert_eq!(bench.appliance.state(), State::Provisional);
}

#[test]
fn a_packet_that_comes_while_the_time_is_being_stored_is_taken() {
    let mut bench = Bench::new();
    bench.configure(1);
    let grant = Grant { expires: UnixTime(2 * DAY), ..bench.grant(2, Confirm::KickStart) };
    let (packet, exported, _) = bench.packet(&grant);
    bench.appliance.handle_input(bench.now, Input::NocTime(UnixTime(DAY)));
    let Some(Output::Persist { token, .. }) = bench.appliance.poll_output() else { panic!("nothing to store") };
    bench.appliance.handle_input(bench.now, Input::Datagram { peer: peer(), bytes: &packet });
    bench.appliance.handle_input(bench.now, Input::Persisted(token));
    assert_eq!(bench.appliance.seq(), Seq(1), "only the packet's own document counts");
    bench.drain(true);
    assert_eq!(bench.appliance.seq(), Seq(2));
    let sent = std::mem::take(&mut bench.sent);
    assert_eq!(bench.statuses(&sent, &exported), [Status::Success { committed: false }]);
}

#[test]
fn a_console_whose_credential_has_expired_is_told_no_settings() {
    let mut bench = on_day(10);
    for (expires, is_told) in [(10 * DAY - 1, false), (10 * DAY, true)] {
        let reply = OpenKey::generate(&mut bench.rng);
        let credential = Credential {
            console: ConsoleId(1),
            key: bench.console.public(),
            sites: vec![SiteId(1)],
            expires: UnixTime(expires),
        };
        let ping = Ping {
            id: PingId(crate::crypto::random(&mut bench.rng)),
            window_ms: 0,
            salt: [0; 8],
            shard: Shard::default(),
            heard: Vec::new(),
            only: None,
            reply_key: Some(reply.public()),
            credential: Some(sign::sign(&bench.root, Purpose::Credential, to_cbor(&credential)).into()),
        };
        let sent = bench.deliver(&ping.to_signed(&bench.console));
        let Ok(Message::Here(packet)) = wire::decode(&sent[0]) else { panic!("no answer") };
        assert_eq!(packet.verify().expect("signed").settings.is_some(), is_told);
    }
}
