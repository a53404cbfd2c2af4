//! Being handed over to another NOC.

use super::*;
use crate::handover::{Handover, Successor};
use crate::instruction::Instruction;

const OLD: &str = "noc.example.net:8443";
const NEW: &str = "new.example.net:8443";

impl Bench {
    fn new_root(&self) -> SecretKey {
        SecretKey::from_seed(&[8; 32])
    }

    /// To another NOC with another root.
    fn handover(&self, seq: u64, serial: u64) -> Handover {
        Handover {
            uid: self.appliance.uid(),
            seq: Seq(seq),
            serial: Serial(serial),
            to: Successor { noc: NEW.into(), ca_pin: [6; 32], root: self.new_root().public() },
            issued: UnixTime(1),
            expires: UnixTime(100),
        }
    }

    /// The answer to a beat brings it; how it was refused, if it was.
    fn hand_over(&mut self, handover: &Handover) -> Option<Reason> {
        let signed = handover.sign(&self.root);
        self.hand_over_signed(&signed)
    }

    fn hand_over_signed(&mut self, signed: &[u8]) -> Option<Reason> {
        self.say(Input::Handover(signed));
        self.events.iter().find_map(|event| match event {
            Event::HandoverRefused { reason } => Some(*reason),
            _ => None,
        })
    }

    fn say(&mut self, input: Input<'_>) {
        self.events.clear();
        self.appliance.handle_input(self.now, input);
        self.drain(true);
    }

    fn tried(&self) -> Option<String> {
        self.appliance.trial(self.now).map(|trial| trial.enrolment.noc)
    }

    fn reports_to(&self) -> String {
        self.appliance.enrolment().expect("configured").noc
    }

    fn moved(seq: u64, serial: u64) -> Bench {
        let mut bench = Bench::new();
        bench.configure(seq);
        assert_eq!(bench.hand_over(&bench.handover(seq, serial)), None);
        bench.say(Input::TrialAccepted(Serial(serial)));
        assert_eq!(bench.events, [Event::HandedOver { serial: Serial(serial) }]);
        bench
    }
}

#[test]
fn it_is_stored_then_tried_and_final_only_with_a_beat_that_the_successor_accepted() {
    let mut bench = Bench::new();
    bench.configure(3);
    assert_eq!(bench.hand_over(&bench.handover(3, 9)), None);
    assert_eq!(bench.events, [Event::HandoverBegun { serial: Serial(9) }]);
    for _ in 0..2 {
        let trial = bench.appliance.trial(bench.now).expect("to be tried");
        let Trial { serial, enrolment } = trial;
        assert_eq!((serial, enrolment.noc.as_str(), enrolment.ca_pin), (Serial(9), NEW, [6; 32]));
        assert_eq!((enrolment.seq, enrolment.site, enrolment.interval_s), (Seq(3), SiteId(1), 60));
        assert_eq!(bench.appliance.handover(), Some((Serial(9), false)));
        bench.say(Input::BeatAccepted);
        assert_eq!(bench.reports_to(), OLD, "what the present NOC accepts proves nothing");
        bench.reboot();
        assert_eq!(bench.beating.as_ref().map(|b| b.noc.as_str()), Some(OLD), "after a power cut as well");
    }
    bench.say(Input::TrialAccepted(Serial(8)));
    assert_eq!(bench.reports_to(), OLD, "another number");
    bench.say(Input::TrialAccepted(Serial(9)));
    assert_eq!(bench.beating.as_ref().map(|b| (b.noc.as_str(), b.ca_pin, b.seq)), Some((NEW, [6; 32], Seq(3))));
    assert_eq!((bench.tried(), bench.appliance.handover()), (None, Some((Serial(9), true))));
    assert_eq!(bench.appliance.formerly(), Some([5; 32]), "whose beats wait for the new one");
    bench.reboot();
    assert_eq!(bench.beating.as_ref().map(|b| b.noc.as_str()), Some(NEW));
    assert_eq!((bench.applied.len(), bench.rolled_back.len()), (1, 0), "the network is not touched");
}

#[test]
fn nothing_is_tried_before_it_is_on_disk_and_nothing_left_before_that_is() {
    let mut bench = Bench::new();
    bench.configure(1);
    bench.disk_fails = true;
    assert_eq!(bench.hand_over(&bench.handover(1, 9)), None);
    assert_eq!((bench.tried(), bench.events.len()), (None, 0));
    bench.disk_fails = false;
    assert_eq!(bench.hand_over(&bench.handover(1, 9)), None, "it is given again");
    bench.disk_fails = true;
    bench.say(Input::TrialAccepted(Serial(9)));
    assert_eq!((bench.reports_to().as_str(), bench.events.len()), (OLD, 0), "not on disk, not so");
    assert_eq!(bench.tried().as_deref(), Some(NEW), "it is tried again");
    bench.reboot();
    assert_eq!(bench.reports_to(), OLD);
    bench.disk_fails = false;
    bench.say(Input::TrialAccepted(Serial(9)));
    assert_eq!(bench.reports_to(), NEW);
    bench.disk_fails = true;
    bench.say(Input::FarewellTaken(Serial(9)));
    assert!(bench.appliance.farewell(bench.now).is_some(), "told again rather than never");
}

/// The power goes at every write of a whole hand-over, before it reached the disk and after. Whatever the disk holds then, the
/// appliance reports to one of the two, and ends at the new one.
#[test]
fn a_power_cut_at_any_write_leaves_one_noc_that_counts_and_goes_on_there() {
    for cut in 0..8 {
        let mut bench = Bench::new();
        bench.configure(1);
        let signed = bench.handover(1, 9).sign(&bench.root);
        let mut writes = 0;
        let mut cuts = 0;
        for _ in 0..6 {
            let input = match (bench.appliance.trial(bench.now), bench.appliance.farewell(bench.now)) {
                (Some(trial), _) => Input::TrialAccepted(trial.serial),
                (None, Some(farewell)) => Input::FarewellTaken(farewell.serial),
                (None, None) if bench.reports_to() == OLD => Input::Handover(&signed),
                (None, None) => break,
            };
            bench.appliance.handle_input(bench.now, input);
            // Even: before the write. Odd: after it, before the machine knows.
            while let Some(output) = bench.appliance.poll_output() {
                let Output::Persist { token, bytes } = output else { continue };
                if writes == cut / 2 && cuts == 0 {
                    cuts += 1;
                    if cut % 2 == 1 {
                        bench.disk = Some(bytes);
                    }
                    bench.reboot();
                    break;
                }
                writes += 1;
                bench.disk = Some(bytes);
                bench.appliance.handle_input(bench.now, Input::Persisted(token));
            }
            let noc = bench.reports_to();
            assert!(noc == OLD || noc == NEW, "cut {cut}: {noc}");
            assert_eq!(bench.appliance.state(), State::Configured, "cut {cut}");
        }
        assert_eq!((bench.reports_to().as_str(), cuts), (NEW, u32::from(cut < 6)), "cut {cut}");
        assert_eq!(bench.appliance.farewell(bench.now), None, "cut {cut}: the old one knows");
    }
}

#[test]
fn a_hand_over_must_be_of_the_pinned_root_for_this_appliance_its_grant_and_newer() {
    let mut bench = Bench::new();
    bench.configure(3);
    let good = bench.handover(3, 9);
    let (stranger, new_root) = (SecretKey::from_seed(&[9; 32]), bench.new_root());
    for (name, key) in [("a stranger", &stranger), ("the successor itself", &new_root)] {
        assert_eq!(bench.hand_over_signed(&good.sign(key)), Some(Reason::WrongRoot), "by {name}");
    }
    let instruction = sign::sign(&bench.root.clone(), Purpose::Instruction, to_cbor(&good));
    assert_eq!(bench.hand_over_signed(&instruction), Some(Reason::WrongRoot), "signed for another purpose");
    assert_eq!(bench.hand_over_signed(b"junk"), Some(Reason::WrongRoot));
    let no_address = Handover { to: Successor { noc: "noc/..:1".into(), ..good.to.clone() }, ..good.clone() };
    assert_eq!(bench.hand_over(&no_address), Some(Reason::WrongRoot), "malformed");
    let other = Handover { uid: Uid([0; 20]), ..good.clone() };
    assert_eq!(bench.hand_over(&other), Some(Reason::WrongAppliance));
    for seq in [2, 4] {
        let of_other_grant = Handover { seq: Seq(seq), ..good.clone() };
        assert_eq!(bench.hand_over(&of_other_grant), Some(Reason::OldSequence), "under grant {seq}");
    }
    bench.say(Input::NocTime(UnixTime(101)));
    assert_eq!(bench.hand_over(&good), Some(Reason::Expired));
    bench.say(Input::NocTime(UnixTime(50)));
    assert_eq!((bench.tried(), bench.appliance.handover()), (None, None), "nothing of that changed anything");
    assert_eq!(bench.hand_over(&good), None, "the positive control");
    assert_eq!(bench.tried().as_deref(), Some(NEW));
    assert_eq!(bench.hand_over(&bench.handover(3, 8)), Some(Reason::OldSequence), "an older one");
    assert_eq!(bench.hand_over(&good), None, "the same again is nothing new");
    assert!(bench.events.is_empty());
    let elsewhere = Successor { noc: "third.example.net:1".into(), ..good.to.clone() };
    assert_eq!(bench.hand_over(&Handover { serial: Serial(10), to: elsewhere, ..good }), None, "a newer one");
    assert_eq!(bench.tried().as_deref(), Some("third.example.net:1"));
}

#[test]
fn an_unconfigured_appliance_is_handed_over_to_nobody() {
    let mut bench = Bench::new();
    assert_eq!(bench.hand_over(&bench.handover(0, 9)), Some(Reason::WrongRoot));
    assert_eq!((bench.tried(), bench.disk.is_some()), (None, false));
}

#[test]
fn what_the_present_noc_called_off_is_not_tried_and_cannot_be_replayed() {
    let mut bench = Bench::new();
    bench.configure(1);
    let recorded = bench.handover(1, 9);
    bench.hand_over(&recorded);
    bench.say(Input::NoHandover);
    assert_eq!(bench.events, [Event::HandoverCalledOff { serial: Serial(9) }]);
    for _ in 0..2 {
        assert_eq!((bench.tried(), bench.appliance.handover()), (None, None));
        bench.say(Input::TrialAccepted(Serial(9)));
        assert_eq!(bench.reports_to(), OLD, "an answer that comes too late");
        assert_eq!(bench.hand_over(&recorded), Some(Reason::OldSequence));
        bench.reboot();
    }
    bench.say(Input::NoHandover);
    assert!(bench.events.is_empty(), "nothing to call off");
    assert_eq!(bench.hand_over(&bench.handover(1, 10)), None);
    assert_eq!(bench.tried().as_deref(), Some(NEW));
}

#[test]
fn an_absent_successor_is_tried_ever_more_slowly_and_no_longer_than_the_statement_is_good() {
    let mut bench = Bench::new();
    bench.configure(1);
    bench.hand_over(&bench.handover(1, 9));
    for pause in [10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000, 3_600_000, 3_600_000]
    {
        assert_eq!(bench.tried().as_deref(), Some(NEW));
        bench.say(Input::TrialFailed(Serial(9)));
        bench.now = bench.now + (pause - 1);
        assert_eq!(bench.tried(), None, "{pause}");
        bench.now = bench.now + 1;
    }
    assert_eq!(bench.reports_to(), OLD);
    bench.say(Input::NocTime(UnixTime(101)));
    assert_eq!(bench.tried(), None, "it is over");
    // As long as the NOC gives it, it goes on: what comes again has a later end.
    assert_eq!(bench.hand_over(&Handover { expires: UnixTime(200_000), ..bench.handover(1, 9) }), None);
    assert_eq!(bench.tried().as_deref(), Some(NEW));
    bench.reboot();
    assert_eq!(bench.tried().as_deref(), Some(NEW), "after a restart at once");
}

#[test]
fn a_configuration_goes_before_a_trial_and_the_statement_is_good_for_its_grant_only() {
    let mut bench = Bench::new();
    bench.configure(1);
    bench.hand_over(&bench.handover(1, 9));
    let console = bench.grant(2, Confirm::KickStart);
    let (packet, exported, request) = bench.packet(&console);
    bench.deliver(&packet);
    assert_eq!((bench.appliance.state(), bench.tried()), (State::Provisional, None));
    bench.say(Input::TrialAccepted(Serial(9)));
    assert_eq!(bench.reports_to(), OLD, "not in the middle of an attempt");
    let kick = bench.kick(&console, request, &exported);
    bench.deliver(&kick);
    assert_eq!(bench.tried(), None, "signed for the grant before");
    assert_eq!(bench.hand_over(&bench.handover(2, 9)), None, "signed anew, under the same number");
    assert_eq!(bench.tried().as_deref(), Some(NEW));
    bench.say(Input::TrialAccepted(Serial(9)));
    assert_eq!((bench.reports_to().as_str(), bench.appliance.settings().map(|s| s.host_name())), (NEW, Some("host-2")));
}

#[test]
fn after_it_only_the_new_root_counts_and_numbers_go_on() {
    let mut bench = Bench::moved(5, 9);
    let old_root = bench.root.clone();
    // The old root: nothing by datagram, nothing with a beat, and no way back.
    let (packet, exported, _) = bench.packet(&bench.grant(6, Confirm::KickStart));
    let sent = bench.deliver(&packet);
    assert_eq!(reasons(&bench.statuses(&sent, &exported)), [Reason::WrongRoot]);
    let by_noc = Grant { console: old_root.public(), ..bench.grant(6, Confirm::FirstBeat) };
    let signed = bench.signed(&by_noc);
    bench.say(Input::Grant(&signed));
    assert_eq!(bench.events, [Event::GrantRefused { reason: Reason::WrongRoot }]);
    let reboot = |serial| Instruction {
        uid: bench.appliance.uid(),
        seq: Seq(5),
        serial: Serial(serial),
        act: Act::Reboot,
        issued: UnixTime(1),
        expires: UnixTime(100),
    };
    let [by_old, by_new] = [(&old_root, 10), (&bench.new_root(), 11)]
        .map(|(root, serial)| sign::sign(root, Purpose::Instruction, to_cbor(&reboot(serial))));
    bench.say(Input::Instruction(&by_old));
    assert_eq!(bench.events, [Event::InstructionRefused { reason: Reason::WrongRoot }]);
    let to_third = bench.handover(5, 10).sign(&old_root);
    assert_eq!(bench.hand_over_signed(&to_third), Some(Reason::WrongRoot));
    // The new root, above the numbers of the old one.
    bench.say(Input::Instruction(&by_new));
    assert_eq!(bench.carried_out, [(Serial(11), Act::Reboot)]);
    bench.root = bench.new_root();
    for (seq, expected) in [(5, vec![Reason::OldSequence]), (6, vec![])] {
        let (packet, exported, _) = bench.packet(&bench.grant(seq, Confirm::KickStart));
        let sent = bench.deliver(&packet);
        assert_eq!(reasons(&bench.statuses(&sent, &exported)), expected, "grant {seq} by the new root");
    }
    assert_eq!(bench.appliance.seq(), Seq(6));
}

#[test]
fn given_back_to_the_old_root_nothing_that_it_signed_before_counts_again() {
    let mut bench = Bench::new();
    bench.configure(5);
    let old_root = bench.root.clone();
    let (recorded, _, _) = bench.packet(&bench.grant(5, Confirm::KickStart));
    let first = bench.handover(5, 9).sign(&old_root);
    assert_eq!(bench.hand_over_signed(&first), None);
    bench.say(Input::TrialAccepted(Serial(9)));
    let home = Successor { noc: OLD.into(), ca_pin: [5; 32], root: old_root.public() };
    let back = Handover { to: home, ..bench.handover(5, 10) };
    assert_eq!(bench.hand_over_signed(&back.sign(&bench.new_root())), None);
    bench.say(Input::TrialAccepted(Serial(10)));
    assert_eq!(bench.reports_to(), OLD);
    assert_eq!(bench.hand_over_signed(&first), Some(Reason::OldSequence));
    assert!(bench.deliver(&recorded).len() <= 1);
    let (packet, exported, _) = bench.packet(&bench.grant(5, Confirm::KickStart));
    let sent = bench.deliver(&packet);
    assert_eq!(reasons(&bench.statuses(&sent, &exported)), [Reason::OldSequence]);
    assert_eq!((bench.applied.len(), bench.appliance.seq()), (1, Seq(5)));
    bench.configure(6);
}

#[test]
fn the_former_noc_is_told_until_it_knows_or_the_statement_has_ended() {
    let mut bench = Bench::moved(1, 9);
    for pause in [10_000, 20_000] {
        let farewell = bench.appliance.farewell(bench.now).expect("to be told");
        let Enrolment { noc, ca_pin, seq, .. } = farewell.enrolment;
        assert_eq!((farewell.serial, noc.as_str(), ca_pin, seq), (Serial(9), OLD, [5; 32], Seq(1)));
        bench.say(Input::FarewellFailed(Serial(9)));
        assert_eq!(bench.appliance.farewell(bench.now), None, "not at once again");
        bench.now = bench.now + pause;
    }
    bench.reboot();
    assert!(bench.appliance.farewell(bench.now).is_some(), "a restart does not forget it");
    bench.say(Input::NocTime(UnixTime(101)));
    assert_eq!(bench.appliance.farewell(bench.now), None, "given up");
    bench.say(Input::NocTime(UnixTime(99)));
    bench.say(Input::FarewellTaken(Serial(8)));
    assert!(bench.appliance.farewell(bench.now).is_some(), "another number");
    bench.say(Input::FarewellTaken(Serial(9)));
    for _ in 0..2 {
        assert_eq!(bench.appliance.farewell(bench.now), None);
        assert_eq!(bench.appliance.handover(), Some((Serial(9), true)), "the new NOC may know");
        bench.reboot();
    }
}

#[test]
fn an_older_document_is_read_and_a_reset_forgets_the_successor() {
    let mut bench = Bench::moved(1, 9);
    bench.disk = None;
    bench.reboot();
    assert_eq!((bench.appliance.state(), bench.appliance.handover()), (State::Unconfigured, None));
    // Its first owner again, by the label code: the root of that time, which the hand-over had ended.
    bench.configure(1);
    assert_eq!(bench.reports_to(), OLD);
    assert_eq!(bench.hand_over(&bench.handover(1, 9)), None, "good again for whoever owns it and signs it");
}
