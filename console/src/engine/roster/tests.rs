use super::*;
use muster_protocol::crypto::keys::{PublicKey, SealKey};
use muster_protocol::id::{BootId, SiteId};
use muster_protocol::parameters::RawSettings;
use muster_protocol::wire::here::Proof;

fn uid(n: u8) -> Uid {
    Uid([n; 20])
}

fn settings(last: u8) -> NetworkSettings {
    let raw = RawSettings {
        host_name: format!("mail-{last}"),
        domain: "example.net".into(),
        address: format!("192.0.2.{last}"),
        netmask: "/24".into(),
        ..RawSettings::default()
    };
    raw.validate().expect("good settings")
}

fn heard(n: u8, state: State, settings: Option<NetworkSettings>, from: &str) -> Heard {
    Heard {
        uid: uid(n),
        device_key: PublicKey([n; 32]),
        mac: Mac([0, 0, 0x0c, 0, 0, n]),
        state,
        one_time_key: SealKey([n; 32]),
        boot: BootId([n; 16]),
        proof: Proof::Claim,
        settings,
        peer: Peer { interface: 2, address: from.parse().expect("an address") },
        signed: Vec::new(),
        fresh: true,
    }
}

fn record(n: u8) -> ApplianceRecord {
    ApplianceRecord {
        uid: uid(n),
        mac: Mac([0, 0, 0x0c, 0, 0, n]),
        serial: format!("S{n}"),
        model: "MX".into(),
        site: Some(SiteId(1)),
        settings: None,
        provisioning: Provisioning::Known,
        health: Health::NotExpected,
        last_beat: None,
        beat: None,
        has_voucher: false,
    }
}

fn state(roster: &Roster, n: u8) -> RowState {
    roster.row(&uid(n)).expect("known").state
}

#[test]
fn what_was_heard_and_what_the_noc_knows_become_one_row() {
    let mut roster = Roster::default();
    roster.heard(heard(1, State::Unconfigured, None, "[fe80::1]:6878"), "fe80::1%eth0".into());
    assert_eq!(state(&roster, 1), RowState::Unclaimed, "its label code is needed");
    roster.reset_records(vec![record(1), record(2)]);
    let row = roster.row(&uid(1)).expect("known");
    assert_eq!((row.state, row.serial.as_str(), row.heard), (RowState::Unconfigured, "S1", true));
    assert_eq!(row.maker, "Cisco Systems, Inc");
    assert_eq!(row.heard_at, ["fe80::1%eth0"]);
    let row = roster.row(&uid(2)).expect("known");
    assert_eq!((row.state, row.heard), (RowState::NotHeard, false));
    assert_eq!(roster.rows().len(), 2);
}

#[test]
fn stock_without_a_site_shows_only_once_it_answers() {
    let mut roster = Roster::default();
    roster.reset_records(vec![ApplianceRecord { site: None, ..record(1) }]);
    assert!(roster.rows().is_empty());
    roster.heard(heard(1, State::Unconfigured, None, "[fe80::1]:6878"), String::new());
    let row = roster.row(&uid(1)).expect("known");
    assert_eq!((row.state, row.model.as_str()), (RowState::Unconfigured, "MX"), "no label code is needed");
}

#[test]
fn only_what_changed_is_told_and_what_vanished_resets() {
    let mut roster = Roster::default();
    roster.reset_records(vec![record(1), record(2)]);
    assert_eq!(roster.take_changed().1.len(), 2);
    roster.record(ApplianceRecord { health: Health::Silent, ..record(2) });
    let (reset, rows) = roster.take_changed();
    assert_eq!((reset, rows.len(), rows[0].health), (false, 1, crate::view::RowHealth::Silent));
    roster.reset_records(vec![record(1)]);
    let (reset, rows) = roster.take_changed();
    assert_eq!((reset, rows.len()), (true, 1), "the other one has to be forgotten");
}

#[test]
fn those_who_share_a_mac_or_an_address_are_told_of_each_other() {
    let mut roster = Roster::default();
    roster.heard(heard(1, State::Configured, Some(settings(9)), "192.0.2.9:6878"), String::new());
    roster.heard(heard(2, State::Configured, Some(settings(8)), "192.0.2.8:6878"), String::new());
    roster.take_changed();
    let twin = Heard { mac: Mac([0, 0, 0x0c, 0, 0, 1]), ..heard(3, State::Unconfigured, None, "192.0.2.8:6878") };
    roster.heard(twin, String::new());
    assert_eq!(roster.take_changed().1.len(), 3, "each of them changed");
    let conflicts = |n| roster.row(&uid(n)).expect("known").conflicts;
    assert_eq!(conflicts(1), [format!("MAC 00:00:0C:00:00:01 with {}", uid(3).short())]);
    assert_eq!(conflicts(2), [format!("address 192.0.2.8 with {}", uid(3).short())]);
    assert_eq!(conflicts(3).len(), 2);
    roster.set_state(&uid(2), State::Configured, Some(settings(7)));
    assert!(roster.row(&uid(2)).expect("known").conflicts.is_empty(), "it has another address now");
    assert_eq!(roster.row(&uid(3)).expect("known").conflicts.len(), 1);
}

#[test]
fn an_ipv6_address_is_shared_as_any_other() {
    let both = |last| {
        let raw = RawSettings { address6: "2001:db8::10/64".into(), ..settings(last).to_raw() };
        raw.validate().expect("good settings")
    };
    let mut roster = Roster::default();
    roster.heard(heard(1, State::Configured, Some(both(9)), "192.0.2.9:6878"), String::new());
    roster.heard(heard(2, State::Configured, Some(both(8)), "192.0.2.8:6878"), String::new());
    let conflicts = roster.row(&uid(1)).expect("known").conflicts;
    assert_eq!(conflicts, [format!("address 2001:db8::10 with {}", uid(2).short())]);
}

#[test]
fn the_practice_fleet_shares_loopback_without_a_conflict() {
    let mut roster = Roster::default();
    for n in 1..3 {
        roster.heard(heard(n, State::Unconfigured, None, "127.0.0.1:4000"), "127.0.0.1:4000".into());
    }
    assert!(roster.rows().iter().all(|row| row.conflicts.is_empty()));
}

#[test]
fn a_job_decides_what_a_row_shows_until_it_is_done() {
    let mut roster = Roster::default();
    roster.heard(heard(1, State::Unconfigured, None, "127.0.0.1:4000"), String::new());
    roster.record(record(1));
    for (step, shown) in [
        (JobStep::Waiting, RowState::Configuring),
        (JobStep::Confirming, RowState::Configuring),
        (JobStep::Failed, RowState::Failed),
        (JobStep::Cancelled, RowState::Unconfigured),
    ] {
        roster.set_step(uid(1), step);
        assert_eq!(state(&roster, 1), shown);
    }
    roster.set_step(uid(1), JobStep::Configured);
    roster.set_state(&uid(1), State::Configured, Some(settings(5)));
    assert_eq!(state(&roster, 1), RowState::Configured);
    assert_eq!(roster.name(&uid(1)), "mail-5");
}

#[test]
fn a_link_local_address_is_preferred_and_a_new_discovery_forgets_old_places() {
    let mut roster = Roster::default();
    roster.heard(heard(1, State::Unconfigured, None, "[fe80::1%2]:6878"), "a".into());
    roster.heard(Heard { fresh: false, ..heard(1, State::Unconfigured, None, "0.0.0.0:6878") }, "b".into());
    roster.heard(Heard { fresh: false, ..heard(1, State::Unconfigured, None, "192.0.2.1:6878") }, "c".into());
    assert_eq!(roster.row(&uid(1)).expect("known").heard_at, ["a", "b", "c"]);
    assert!(roster.peer(&uid(1)).expect("heard").address.is_ipv6());
    roster.heard(heard(1, State::Unconfigured, None, "192.0.2.1:6878"), "d".into());
    assert_eq!(roster.row(&uid(1)).expect("known").heard_at, ["d"]);
}

#[test]
fn who_wants_a_voucher_is_not_asked_for_a_label_code() {
    let mut roster = Roster::default();
    let wanting = Heard { proof: Proof::Voucher, ..heard(1, State::Unconfigured, None, "[fe80::1]:6878") };
    roster.heard(wanting, "fe80::1%eth0".into());
    assert_eq!(state(&roster, 1), RowState::NoVoucher);
    roster.record(record(1));
    assert_eq!(state(&roster, 1), RowState::NoVoucher, "the inventory alone is not enough");
    roster.record(ApplianceRecord { has_voucher: true, ..record(1) });
    assert_eq!(state(&roster, 1), RowState::Unconfigured);
    // Once it has an owner nobody asks for it any more.
    roster.record(record(1));
    roster.set_state(&uid(1), State::Configured, None);
    assert_eq!(state(&roster, 1), RowState::Configured);
}
