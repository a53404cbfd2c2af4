//! What the NOC gives with the answer to a beat.

use super::*;
use crate::appliance::Event;
use crate::instruction::{Act, Instruction, Serial};

impl Bench {
    fn grant_by_noc(&self, seq: u64) -> Grant {
        Grant { console: self.root.public(), ..self.grant(seq, Confirm::KickStart) }
    }

    /// The answer to a beat brings a grant; how it was refused, if it was.
    fn give(&mut self, grant: &Grant) -> Option<Reason> {
        let signed = self.signed(grant);
        self.give_signed(&signed)
    }

    fn give_signed(&mut self, signed: &[u8]) -> Option<Reason> {
        self.events.clear();
        self.appliance.handle_input(self.now, Input::Grant(signed));
        self.drain(true);
        self.events.iter().find_map(|event| match event {
            Event::GrantRefused { reason } => Some(*reason),
            _ => None,
        })
    }

    fn beat_accepted(&mut self) {
        self.appliance.handle_input(self.now, Input::BeatAccepted);
        self.drain(true);
    }

    fn instruction(&self, seq: u64, serial: u64, act: Act) -> Instruction {
        Instruction {
            uid: self.appliance.uid(),
            seq: Seq(seq),
            serial: Serial(serial),
            act,
            issued: UnixTime(1),
            expires: UnixTime(100),
        }
    }

    fn instruct(&mut self, instruction: &Instruction) -> Option<Reason> {
        let root = self.root.clone();
        self.instruct_by(&root, instruction)
    }

    fn instruct_by(&mut self, key: &SecretKey, instruction: &Instruction) -> Option<Reason> {
        self.events.clear();
        let signed = sign::sign(key, Purpose::Instruction, to_cbor(instruction));
        self.appliance.handle_input(self.now, Input::Instruction(&signed));
        self.drain(true);
        self.events.iter().find_map(|event| match event {
            Event::InstructionRefused { reason } => Some(*reason),
            _ => None,
        })
    }

    fn host_name(&self) -> Option<String> {
        self.appliance.settings().map(|settings| settings.host_name().to_owned())
    }
}

#[test]
fn a_grant_by_beat_is_applied_and_becomes_final_with_the_beat_under_it() {
    let mut bench = Bench::new();
    bench.configure(1);
    assert_eq!(bench.give(&bench.grant_by_noc(2)), None);
    assert_eq!((bench.appliance.state(), bench.appliance.seq()), (State::Provisional, Seq(2)));
    assert_eq!(bench.beating.as_ref().map(|b| b.seq), Some(Seq(2)), "it beats under the new grant, unasked");
    assert!(bench.sent.is_empty(), "no console is told");
    assert_eq!(bench.host_name().as_deref(), Some("host-1"), "not final yet");
    bench.beat_accepted();
    assert_eq!((bench.appliance.state(), bench.host_name().as_deref()), (State::Configured, Some("host-2")));
    bench.reboot();
    assert_eq!((bench.host_name().as_deref(), bench.applied.len()), (Some("host-2"), 2));
    assert_eq!(bench.appliance.failed_grant(), None);
    // And a console can configure it after that, as before.
    bench.configure(3);
    assert_eq!(bench.host_name().as_deref(), Some("host-3"));
}

#[test]
fn a_grant_by_beat_without_an_accepted_beat_is_rolled_back_and_the_reason_is_kept() {
    let mut bench = Bench::new();
    bench.configure(1);
    bench.give(&bench.grant_by_noc(2));
    bench.wait(90_000);
    assert_eq!(bench.rolled_back, [Some("host-1".to_owned())]);
    assert_eq!(bench.beating.as_ref().map(|b| b.seq), Some(Seq(1)), "beats as before");
    for _ in 0..2 {
        let failed = bench.appliance.failed_grant().expect("to be told to the NOC");
        assert_eq!((failed.seq, failed.reason), (Seq(2), Reason::NoBeat));
        bench.reboot();
    }
    assert_eq!(bench.give(&bench.grant_by_noc(2)), Some(Reason::OldSequence), "its number is used up");
    assert_eq!(bench.give(&bench.grant_by_noc(3)), None);
    bench.beat_accepted();
    assert_eq!((bench.host_name().as_deref(), bench.appliance.failed_grant()), (Some("host-3"), None));
}

#[test]
fn a_power_cut_in_a_change_by_beat_ends_in_what_was_final() {
    let mut bench = Bench::new();
    bench.configure(1);
    bench.give(&bench.grant_by_noc(2));
    bench.reboot();
    assert_eq!(bench.rolled_back, [Some("host-1".to_owned())]);
    assert_eq!(bench.appliance.failed_grant().map(|failed| failed.reason), Some(Reason::Interrupted));
    assert_eq!(bench.beating.as_ref().map(|b| b.seq), Some(Seq(1)));
    assert_eq!(bench.host_name().as_deref(), Some("host-1"));
}

#[test]
fn a_change_by_beat_that_fails_says_what_the_system_said() {
    let mut bench = Bench::new();
    bench.configure(1);
    let signed = bench.signed(&bench.grant_by_noc(2));
    bench.appliance.handle_input(bench.now, Input::Grant(&signed));
    bench.drain(false);
    let failure = Failure { reason: Reason::AddressTaken, detail: "192.0.2.10 is\nused".into() };
    bench.appliance.handle_input(bench.now, Input::Applied(Err(failure)));
    bench.drain(true);
    let failed = bench.appliance.failed_grant().expect("told");
    assert_eq!((failed.reason, failed.detail.as_str()), (Reason::AddressTaken, "192.0.2.10 is used"));
}

#[test]
fn an_unconfigured_appliance_takes_nothing_with_a_beat() {
    let mut bench = Bench::new();
    assert_eq!(bench.give(&bench.grant_by_noc(1)), Some(Reason::WrongRoot));
    for act in [Act::Reboot, Act::SendLog, Act::Decommission] {
        assert_eq!(bench.instruct(&bench.instruction(0, 1, act)), Some(Reason::WrongRoot));
    }
    assert_eq!((bench.applied.len(), bench.appliance.seq(), bench.disk.is_some()), (0, Seq(0), false));
    bench.configure(1);
}

#[test]
fn a_grant_by_beat_must_be_new_of_the_pinned_root_for_this_appliance_and_for_no_console() {
    let mut bench = Bench::new();
    bench.configure(5);
    let good = bench.grant_by_noc(6);
    let cases = [
        ("an old one", bench.grant_by_noc(4), Reason::OldSequence),
        ("the one in force", bench.grant_by_noc(5), Reason::OldSequence),
        ("made out to a console", Grant { console: bench.console.public(), ..good.clone() }, Reason::WrongConsole),
        ("another appliance's", Grant { uid: Uid([0; 20]), ..good.clone() }, Reason::WrongAppliance),
        ("for another MAC", Grant { mac: Mac([0; 6]), ..good.clone() }, Reason::WrongAppliance),
        ("that names another root", Grant { root: bench.console.public(), ..good.clone() }, Reason::WrongRoot),
    ];
    for (name, grant, reason) in cases {
        assert_eq!(bench.give(&grant), Some(reason), "{name}");
    }
    let stranger = SecretKey::from_seed(&[9; 32]);
    let foreign = Grant { root: stranger.public(), console: stranger.public(), ..good.clone() };
    let signed = sign::sign(&stranger, Purpose::Grant, to_cbor(&foreign));
    assert_eq!(bench.give_signed(&signed), Some(Reason::WrongRoot), "by another root");
    let purpose = sign::sign(&bench.root.clone(), Purpose::Instruction, to_cbor(&good));
    assert_eq!(bench.give_signed(&purpose), Some(Reason::WrongRoot), "signed for another purpose");
    assert_eq!(bench.give_signed(b"junk"), Some(Reason::WrongRoot));
    bench.appliance.handle_input(bench.now, Input::NocTime(UnixTime(3)));
    bench.drain(true);
    assert_eq!(bench.give(&good), Some(Reason::Expired));
    assert_eq!((bench.applied.len(), bench.appliance.seq()), (1, Seq(5)), "nothing of that changed anything");
    bench.appliance.handle_input(bench.now, Input::NocTime(UnixTime(2)));
    bench.drain(true);
    assert_eq!(bench.give(&good), None, "the positive control");
    assert_eq!(bench.applied, ["host-5", "host-6"]);
}

#[test]
fn a_console_cannot_deliver_what_the_noc_gives_with_a_beat() {
    let mut bench = Bench::new();
    bench.configure(1);
    let (packet, exported, _) = bench.packet(&bench.grant_by_noc(2));
    let sent = bench.deliver(&packet);
    assert_eq!(reasons(&bench.statuses(&sent, &exported)), [Reason::WrongConsole]);
    assert_eq!((bench.applied.len(), bench.appliance.seq()), (1, Seq(1)));
}

#[test]
fn nothing_of_a_change_by_beat_is_applied_before_its_number_is_on_disk() {
    let mut bench = Bench::new();
    bench.configure(1);
    bench.disk_fails = true;
    assert_eq!(bench.give(&bench.grant_by_noc(2)), None);
    assert_eq!((bench.applied.len(), bench.appliance.state()), (1, State::Configured));
    bench.instruct(&bench.instruction(1, 1, Act::Reboot));
    assert!(bench.carried_out.is_empty());
    bench.disk_fails = false;
    assert_eq!(bench.give(&bench.grant_by_noc(2)), None);
    assert_eq!(bench.applied.len(), 2, "it is given again, and taken");
}

#[test]
fn a_console_and_the_noc_do_not_get_into_each_others_way() {
    let mut bench = Bench::new();
    bench.configure(1);
    let console = bench.grant(2, Confirm::KickStart);
    let (packet, exported, request) = bench.packet(&console);
    bench.deliver(&packet);
    assert_eq!(bench.give(&bench.grant_by_noc(3)), None, "not refused: it is given again");
    assert_eq!(bench.applied.len(), 2, "but not now");
    let kick = bench.kick(&console, request, &exported);
    bench.deliver(&kick);
    bench.give(&bench.grant_by_noc(3));
    assert_eq!(bench.applied.len(), 3);
    // The console asks for its answer once more, and hears of its own attempt only.
    assert_eq!(bench.deliver(&packet).len(), 1);
    bench.beat_accepted();
    assert!(bench.sent.is_empty(), "what the NOC gave is not told to a console");
    assert_eq!(bench.host_name().as_deref(), Some("host-3"));
    let (late, exported, _) = bench.packet(&bench.grant(3, Confirm::KickStart));
    let sent = bench.deliver(&late);
    assert_eq!(reasons(&bench.statuses(&sent, &exported)), [Reason::OldSequence], "the higher number has won");
}

#[test]
fn an_instruction_is_carried_out_once_however_often_it_comes() {
    let mut bench = Bench::new();
    bench.configure(1);
    let reboot = bench.instruction(1, 7, Act::Reboot);
    assert_eq!(bench.instruct(&reboot), None);
    assert_eq!(bench.carried_out, [(Serial(7), Act::Reboot)]);
    for _ in 0..2 {
        assert_eq!(bench.instruct(&reboot), Some(Reason::OldSequence));
        assert_eq!(bench.instruct(&bench.instruction(1, 6, Act::Decommission)), Some(Reason::OldSequence));
        bench.reboot();
        assert_eq!(bench.appliance.instructed(), Some(Serial(7)), "to be told to the NOC");
    }
    assert_eq!(bench.instruct(&bench.instruction(1, 8, Act::SendLog)), None);
    assert_eq!(bench.carried_out, [(Serial(7), Act::Reboot), (Serial(8), Act::SendLog)]);
}

#[test]
fn an_instruction_must_be_of_the_pinned_root_for_this_appliance_and_its_grant() {
    let mut bench = Bench::new();
    bench.configure(3);
    let good = bench.instruction(3, 1, Act::Reboot);
    let stranger = SecretKey::from_seed(&[9; 32]);
    assert_eq!(bench.instruct_by(&stranger, &good), Some(Reason::WrongRoot));
    let other = Instruction { uid: Uid([0; 20]), ..good.clone() };
    assert_eq!(bench.instruct(&other), Some(Reason::WrongAppliance));
    for seq in [2, 4] {
        let of_other_grant = Instruction { seq: Seq(seq), ..good.clone() };
        assert_eq!(bench.instruct(&of_other_grant), Some(Reason::OldSequence), "under grant {seq}");
    }
    let expired = Instruction { expires: UnixTime(4), ..good.clone() };
    bench.appliance.handle_input(bench.now, Input::NocTime(UnixTime(5)));
    bench.drain(true);
    assert_eq!(bench.instruct(&expired), Some(Reason::Expired));
    let grant = sign::sign(&bench.root.clone(), Purpose::Grant, to_cbor(&good));
    bench.appliance.handle_input(bench.now, Input::Instruction(&grant));
    bench.drain(true);
    assert!(bench.carried_out.is_empty() && bench.appliance.instructed().is_none());
    assert_eq!(bench.instruct(&good), None, "the positive control");
    assert_eq!(bench.carried_out, [(Serial(1), Act::Reboot)]);
}

#[test]
fn a_factory_reset_makes_recorded_instructions_worthless() {
    let mut bench = Bench::new();
    bench.configure(1);
    let recorded = bench.instruction(1, 7, Act::Decommission);
    bench.disk = None;
    bench.reboot();
    bench.configure(2);
    assert_eq!(bench.instruct(&recorded), Some(Reason::OldSequence));
    assert!(!bench.appliance.is_leaving());
}

#[test]
fn decommissioning_is_told_first_and_then_everything_is_forgotten() {
    let mut bench = Bench::new();
    bench.configure(1);
    let leave = bench.instruction(1, 9, Act::Decommission);
    assert_eq!(bench.instruct(&leave), None);
    for _ in 0..2 {
        assert!(bench.appliance.is_leaving());
        assert_eq!(bench.beating.as_ref().map(|b| b.seq), Some(Seq(1)), "it reports that");
        assert_eq!(bench.give(&bench.grant_by_noc(2)), None);
        let (packet, exported, _) = bench.packet(&bench.grant(2, Confirm::KickStart));
        let sent = bench.deliver(&packet);
        assert_eq!(reasons(&bench.statuses(&sent, &exported)), [Reason::Busy]);
        bench.beat_accepted();
        bench.appliance.handle_input(bench.now, Input::Told(Serial(8)));
        bench.drain(true);
        assert_eq!((bench.forgotten, bench.applied.len()), (0, 1), "not before the NOC knows");
        bench.reboot();
    }
    bench.appliance.handle_input(bench.now, Input::Told(Serial(9)));
    bench.drain(true);
    assert_eq!((bench.forgotten, bench.appliance.state()), (1, State::Unconfigured));
    assert!(!bench.appliance.is_leaving() && bench.beating.is_none());
    assert_eq!(bench.events.last(), Some(&Event::Decommissioned));
    bench.reboot();
    assert_eq!((bench.appliance.state(), bench.appliance.seq()), (State::Unconfigured, Seq(0)));
    // A new owner: another root, its own numbers, the same label.
    bench.root = SecretKey::from_seed(&[9; 32]);
    bench.configure(1);
    assert_eq!(bench.instruct(&bench.instruction(1, 1, Act::Reboot)), None);
}

#[test]
fn a_power_cut_or_a_full_disk_does_not_stop_the_forgetting() {
    let mut bench = Bench::new();
    bench.configure(1);
    bench.instruct(&bench.instruction(1, 9, Act::Decommission));
    bench.disk_fails = true;
    bench.appliance.handle_input(bench.now, Input::Told(Serial(9)));
    bench.drain(true);
    assert_eq!(bench.appliance.state(), State::Configured, "not on disk, not so");
    let again = bench.appliance.poll_timeout().expect("it tries again");
    bench.reboot();
    assert!(bench.appliance.is_leaving(), "after a power cut as well");
    bench.disk_fails = false;
    bench.now = bench.now.max(again);
    bench.appliance.handle_input(bench.now, Input::Told(Serial(9)));
    bench.drain(true);
    assert_eq!((bench.forgotten, bench.appliance.state()), (2, State::Unconfigured));
}

#[test]
fn what_is_done_about_changes_by_hand_the_newest_word_of_the_noc_says() {
    let mut bench = Bench::new();
    bench.configure(1);
    assert_eq!(bench.appliance.drift(), None, "the image decides");
    for (serial, act) in [(1, Act::RestoreDrift), (2, Act::ReportDrift), (3, Act::DriftByImage), (4, Act::RestoreDrift)]
    {
        assert_eq!(bench.instruct(&bench.instruction(1, serial, act)), None);
        assert_eq!(Some(bench.appliance.drift()), act.drift());
        bench.reboot();
        assert_eq!(Some(bench.appliance.drift()), act.drift(), "it is on disk");
        assert_eq!(bench.instruct(&bench.instruction(1, serial, Act::ReportDrift)), Some(Reason::OldSequence));
    }
    assert!(bench.carried_out.is_empty(), "the machine does it itself");
    let other = bench.instruction(1, 5, Act::Reboot);
    assert_eq!(bench.instruct(&other), None);
    assert_eq!(bench.appliance.drift(), Some(DriftPolicy::Restore), "another instruction leaves it");

    // A grant brings its own, as soon as beats go on under it, and takes it along when it is rolled back.
    let with = |grant: Grant, drift| Grant { parameters: Parameters { drift, ..grant.parameters }, ..grant };
    bench.give(&with(bench.grant_by_noc(2), Some(DriftPolicy::Report)));
    assert_eq!(bench.appliance.drift(), Some(DriftPolicy::Report));
    bench.wait(90_000);
    assert_eq!(bench.appliance.drift(), Some(DriftPolicy::Restore));
    bench.give(&bench.grant_by_noc(3));
    bench.beat_accepted();
    assert_eq!(bench.appliance.drift(), None, "it says nothing, so the image decides again");

    // What could not be stored counts for nothing.
    bench.disk_fails = true;
    bench.instruct(&bench.instruction(3, 6, Act::RestoreDrift));
    assert_eq!((bench.appliance.drift(), bench.appliance.instructed()), (None, Some(Serial(5))));
    bench.disk_fails = false;
    assert_eq!(bench.instruct(&bench.instruction(3, 6, Act::RestoreDrift)), None);
    bench.instruct(&bench.instruction(3, 7, Act::Decommission));
    bench.appliance.handle_input(bench.now, Input::Told(Serial(7)));
    bench.drain(true);
    assert_eq!(bench.appliance.drift(), None, "nothing of an owner stays");
}
