use super::*;
use muster_protocol::beat::Counted;
use muster_protocol::id::{Seq, SiteId};
use std::collections::{BTreeMap, BTreeSet};

fn noc(pin: u8) -> Enrolment {
    Enrolment { noc: "noc.example:6878".into(), ca_pin: [pin; 32], seq: Seq(1), site: SiteId(1), interval_s: 60 }
}

fn values(padding: usize) -> BeatValues {
    BeatValues { agent: "x".repeat(padding), ..BeatValues::default() }
}

const BOOT: BootId = BootId([1; 16]);
const MINUTE: u64 = 60_000;

/// A queue, and a journal that does what the queue says.
struct Disk {
    queue: BeatQueue,
    journal: Vec<Vec<u8>>,
    writes: usize,
}

impl Disk {
    fn new() -> Disk {
        Disk { queue: BeatQueue::new(BOOT, Vec::new()), journal: Vec::new(), writes: 0 }
    }

    fn write(&mut self, now: Millis) {
        let Some(write) = self.queue.write(now) else { return };
        self.writes += 1;
        match &write {
            Write::Append(records) => self.journal.extend(records.iter().cloned()),
            Write::Rewrite(records) => self.journal.clone_from(records),
        }
        self.queue.written(now, &write, true);
    }

    fn miss(&mut self, counter: u64, padding: usize) {
        let now = Millis(counter * MINUTE);
        self.queue.keep(&noc(1), counter, now, values(padding));
        self.write(now);
    }

    fn restart(&mut self, boot: u8) {
        self.queue = BeatQueue::new(BootId([boot; 16]), self.journal.clone());
    }

    fn names(&self) -> Vec<(u8, u64)> {
        let read = |held: &Held| read(&held.record).map(|waiting| (waiting.boot.0[0], waiting.counter));
        self.queue.held.iter().map(|held| read(held).expect("ours")).collect()
    }
}

#[test]
fn an_absence_is_on_disk_at_once_and_then_every_ten_minutes() {
    let mut disk = Disk::new();
    disk.miss(1, 3);
    assert_eq!((disk.writes, disk.journal.len()), (1, 1));
    for counter in 2..=60 {
        disk.miss(counter, 3);
    }
    assert_eq!(disk.writes, 6, "sixty minutes");
    assert!(disk.journal.len() > 50);
    disk.restart(2);
    assert_eq!(disk.names()[..3], [(1, 1), (1, 2), (1, 3)]);
    assert_eq!(disk.queue.len(), disk.journal.len());
    // Delivered piece by piece: nothing is written until all of it is there.
    let before = disk.writes;
    while !disk.queue.is_empty() {
        let offer = disk.queue.offer(Millis(MINUTE));
        assert!(!offer.earlier.is_empty() && offer.earlier.len() <= MOST_EARLIER);
        disk.queue.delivered(Millis(MINUTE), 1_800_000_000, &offer, Some(offer.earlier.len()));
        disk.write(Millis(MINUTE));
    }
    assert_eq!((disk.writes - before, disk.journal.len()), (1, 0));
    // The next absence is on disk at once again.
    disk.miss(2, 3);
    assert_eq!(disk.journal.len(), 1);
}

#[test]
fn nothing_is_written_while_the_noc_answers() {
    let mut disk = Disk::new();
    for counter in 1..1_000 {
        let now = Millis(counter * MINUTE);
        let offer = disk.queue.offer(now);
        disk.queue.delivered(now, counter, &offer, None);
        disk.write(now);
    }
    assert_eq!(disk.writes, 0);
}

#[test]
fn a_long_absence_gets_coarser_and_stays_bounded() {
    for padding in [3, 2_000] {
        let mut disk = Disk::new();
        let most = 10 * MOST as u64;
        for counter in 1..=most {
            disk.miss(counter, padding);
            assert!(disk.queue.len() <= MOST && disk.queue.bytes <= MOST_BYTES);
            assert!(total(&disk.journal) <= MOST_BYTES + 2 * MOST_RECORD, "{} bytes", total(&disk.journal));
        }
        let names = disk.names();
        assert_eq!(names.last(), Some(&(1, most)), "the newest is there");
        assert!(names.is_sorted() && names[0] == (1, 1), "and the first: {:?}", names[0]);
        let fits = MOST.min(MOST_BYTES / (padding + 250));
        assert!(names.len() > fits / 2, "{} are left of the {fits} that fit", names.len());
        let gaps: Vec<u64> = names.windows(2).map(|two| two[1].1 - two[0].1).collect();
        let even = most / fits as u64;
        assert!(gaps.iter().all(|gap| *gap <= 4 * even), "as even as can be, which is {even}: {gaps:?}");
    }
}

#[test]
fn ages_are_of_this_boot_and_times_of_a_former_one() {
    let mut disk = Disk::new();
    // The NOC was heard at 1,000,000 in minute 1 and is away from minute 2 on.
    disk.queue.delivered(Millis(MINUTE), 1_000_000, &Offer::default(), None);
    disk.miss(2, 3);
    let offer = disk.queue.offer(Millis(5 * MINUTE));
    assert_eq!((offer.earlier[0].age_s, offer.earlier[0].time), (Some(180), None));
    // In the next boot nobody has heard the time: not before the last one known, and as much later as this boot is old.
    disk.restart(2);
    disk.miss(1, 3);
    let offer = disk.queue.offer(Millis(2 * MINUTE));
    assert_eq!((offer.earlier[0].age_s, offer.earlier[0].time), (None, Some(1_000_060)));
    assert_eq!((offer.earlier[1].age_s, offer.earlier[1].time), (Some(60), None));
    disk.restart(3);
    let offer = disk.queue.offer(Millis(0));
    assert_eq!(offer.earlier[1].time, Some(1_000_060 + 60));
    // An appliance that never heard the time says nothing about it.
    let mut disk = Disk::new();
    disk.miss(1, 3);
    disk.restart(2);
    let offer = disk.queue.offer(Millis(0));
    assert_eq!((offer.earlier[0].age_s, offer.earlier[0].time), (None, None));
}

#[test]
fn another_noc_is_told_nothing_of_it() {
    let mut disk = Disk::new();
    disk.miss(1, 3);
    disk.queue.report_to(&noc(1), None);
    assert_eq!(disk.queue.len(), 1);
    disk.queue.report_to(&noc(2), None);
    assert!(disk.queue.offer(Millis(MINUTE)).earlier.is_empty());
    disk.write(Millis(MINUTE));
    assert!(disk.journal.is_empty(), "nor is it found on the disk later");
}

#[test]
fn what_waits_goes_to_the_noc_that_has_taken_over_and_to_no_other() {
    let mut disk = Disk::new();
    disk.miss(1, 3);
    disk.miss(2, 3);
    disk.write(Millis(15 * MINUTE));
    let before = disk.queue.offer(Millis(16 * MINUTE)).earlier;
    disk.queue.report_to(&noc(2), Some([1; 32]));
    assert_eq!(disk.queue.offer(Millis(16 * MINUTE)).earlier, before);
    // The power goes before the journal says so: the hand-over is on disk, so it is found again.
    disk.restart(1);
    disk.queue.report_to(&noc(2), Some([1; 32]));
    assert_eq!(disk.names(), [(1, 1), (1, 2)]);
    disk.write(Millis(20 * MINUTE));
    disk.restart(1);
    disk.queue.report_to(&noc(1), None);
    assert!(disk.queue.is_empty(), "it is the former one's no more");
    disk.restart(1);
    disk.queue.report_to(&noc(3), Some([4; 32]));
    assert!(disk.queue.is_empty(), "nor anybody else's");
}

#[test]
fn a_noc_that_does_not_know_the_history_is_not_bothered_until_the_next_absence() {
    let mut disk = Disk::new();
    disk.miss(1, 3);
    let offer = disk.queue.offer(Millis(2 * MINUTE));
    disk.queue.delivered(Millis(2 * MINUTE), 1, &offer, None);
    assert_eq!((disk.queue.len(), disk.queue.offer(Millis(3 * MINUTE)).earlier.len()), (1, 0));
    disk.miss(4, 3);
    assert_eq!(disk.queue.offer(Millis(5 * MINUTE)).earlier.len(), 2);
}

#[test]
fn a_noc_that_has_no_time_for_the_history_is_offered_it_with_the_next_beat() {
    let mut disk = Disk::new();
    disk.miss(1, 3);
    let offer = disk.queue.offer(Millis(2 * MINUTE));
    disk.queue.delivered(Millis(2 * MINUTE), 1, &offer, Some(0));
    assert_eq!((disk.queue.len(), disk.queue.offer(Millis(3 * MINUTE)).earlier.len()), (1, 1));
}

#[test]
fn what_the_noc_refuses_to_hear_does_not_stop_the_beats() {
    let mut disk = Disk::new();
    for counter in 1..=100 {
        disk.miss(counter, 3);
    }
    let now = Millis(101 * MINUTE);
    let offer = disk.queue.offer(now);
    disk.queue.refused(&offer);
    let without = disk.queue.offer(now);
    assert!(without.earlier.is_empty(), "the beat alone");
    // Refused, too: then the history is not to blame.
    disk.queue.refused(&without);
    assert_eq!(disk.queue.offer(now).earlier.len(), offer.earlier.len());
    disk.queue.refused(&offer);
    disk.queue.delivered(now, 1, &Offer::default(), None);
    assert_eq!(disk.queue.len(), 100 - offer.earlier.len(), "taken alone: what came with it was why");
    assert!(!disk.queue.offer(now).earlier.is_empty(), "the rest is tried");
}

#[test]
fn what_thins_out_under_way_takes_nothing_else_with_it() {
    let mut disk = Disk::new();
    for counter in 1..=500 {
        disk.miss(counter, 3);
    }
    let now = Millis(501 * MINUTE);
    let offer = disk.queue.offer(now);
    let last = offer.earlier.last().expect("full").counter;
    let mut counter = 500;
    let mut before = 0;
    while disk.queue.len() > before {
        before = disk.queue.len();
        counter += 1;
        disk.miss(counter, 3);
    }
    disk.queue.delivered(now, 1, &offer, Some(offer.earlier.len()));
    assert!(disk.names()[0].1 > last && disk.names()[0].1 <= last + 2, "{:?} after {last}", disk.names()[0]);
}

#[test]
fn nonsense_in_the_journal_is_left_out_and_cleaned_up() {
    let mut disk = Disk::new();
    disk.miss(1, 3);
    disk.journal.insert(0, b"{}".to_vec());
    disk.journal.push(vec![0xff; 9]);
    disk.restart(2);
    assert_eq!(disk.names(), [(1, 1)]);
    disk.write(Millis(0));
    assert_eq!(disk.journal.len(), 1);
    let mut huge = Disk::new();
    huge.miss(1, MOST_RECORD);
    huge.queue.keep(&noc(1), 2, Millis(0), BeatValues { load: f64::NAN, ..BeatValues::default() });
    assert!(huge.queue.is_empty(), "what no NOC would take is not kept");
}

#[test]
fn a_disk_that_refuses_is_asked_again_after_a_while_and_loses_nothing_that_is_in_memory() {
    let mut queue = BeatQueue::new(BOOT, Vec::new());
    for counter in 1..=5 {
        let now = Millis(counter * MINUTE);
        queue.keep(&noc(1), counter, now, values(3));
        if let Some(write) = queue.write(now) {
            assert_eq!(counter, 1);
            queue.written(now, &write, false);
        }
    }
    let Some(Write::Append(records)) = queue.write(Millis(11 * MINUTE)) else { panic!("it is time") };
    assert_eq!(records.len(), 5);
}

/// A NOC that comes and goes, answers that are lost, and power cuts, with the NOC's own way of counting: offers are in order,
/// nothing counts twice, and what was on disk at a power cut or in memory at the end is counted.
#[test]
fn order_holds_nothing_counts_twice_and_what_is_on_disk_arrives() {
    for seed in 0..300_u64 {
        let mut dice = seed;
        let mut roll = |below: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % below
        };
        let mut disk = Disk::new();
        let (mut boot, mut counter, mut now) = (1_u8, 0_u64, 0_u64);
        let mut at_noc = BTreeMap::<u8, Counted>::new();
        let (mut counted, mut owed) = (BTreeSet::new(), BTreeSet::new());
        let mut deliver = |disk: &mut Disk, now: u64, most: usize, lost: bool| {
            let offer = disk.queue.offer(Millis(now));
            let of = |beat: &EarlierBeat| (beat.boot.0[0], beat.counter);
            assert!(offer.earlier.iter().map(of).is_sorted(), "seed {seed}: out of order");
            for beat in offer.earlier.iter().take(most) {
                if at_noc.entry(of(beat).0).or_default().late(beat.counter) {
                    assert!(counted.insert(of(beat)), "seed {seed}: {:?} counts twice", of(beat));
                }
            }
            if !lost {
                disk.queue.delivered(Millis(now), now / 1_000, &offer, Some(offer.earlier.len().min(most)));
                disk.write(Millis(now));
            }
            counted.clone()
        };
        for _ in 0..40 {
            match roll(10) {
                0..5 => {
                    for _ in 0..=roll(20) {
                        (counter, now) = (counter + 1, now + MINUTE);
                        disk.queue.keep(&noc(1), counter, Millis(now), values(3));
                        disk.write(Millis(now));
                        owed.insert((boot, counter));
                    }
                }
                5..8 => {
                    let (most, lost) = (1 + roll(100) as usize, roll(3) == 0);
                    deliver(&mut disk, now, most, lost);
                }
                _ => {
                    let before = disk.names();
                    boot += 1;
                    disk.restart(boot);
                    let after = disk.names();
                    let lost: Vec<_> = before.iter().filter(|name| !after.contains(name)).collect();
                    assert!(lost.len() <= 10, "seed {seed}: ten minutes, not {lost:?}");
                    owed.retain(|name| !lost.contains(&name));
                    (counter, now) = (0, 0);
                }
            }
        }
        let mut arrived = deliver(&mut disk, now, usize::MAX, false);
        while !disk.queue.is_empty() {
            arrived = deliver(&mut disk, now, usize::MAX, false);
        }
        let missing: Vec<_> = owed.difference(&arrived).collect();
        assert!(missing.is_empty() && arrived.len() > 50, "seed {seed}: {missing:?} of {}", arrived.len());
        assert!(disk.journal.is_empty());
    }
}
