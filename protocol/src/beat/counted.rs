//! Which beats of one boot have been counted, so that none is counted twice.

use serde::{Deserialize, Serialize};

/// Gaps that are remembered. One begins with each absence of the NOC and ends when the first later beat of it is delivered.
const MOST_GAPS: usize = 16;

/// The beats of one boot that have been counted: all up to the highest but those in gaps, which may still be delivered.
///
/// What is not remembered counts as counted: a beat may be missing from the history, but never be there twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    highest: u64,
    /// First and last number of each gap, ascending.
    gaps: Vec<(u64, u64)>,
}

impl Counted {
    /// Takes up what was stored. Gaps that make no sense are dropped.
    pub fn new(highest: u64, mut gaps: Vec<(u64, u64)>) -> Counted {
        let mut below = 0;
        gaps.retain(|(first, last)| {
            let fits = *first > below && first <= last && *last < highest;
            if fits {
                below = *last;
            }
            fits
        });
        gaps.truncate(MOST_GAPS);
        Counted { highest, gaps }
    }

    /// The highest number counted.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// The numbers below it that have not been counted: first and last of each run.
    pub fn gaps(&self) -> &[(u64, u64)] {
        &self.gaps
    }

    /// A beat that reports the present. False if it is a repetition, or comes after a later one.
    pub fn live(&mut self, counter: u64) -> bool {
        if counter <= self.highest {
            return false;
        }
        if counter - self.highest > 1 {
            if self.gaps.len() == MOST_GAPS {
                self.gaps.remove(0);
            }
            self.gaps.push((self.highest + 1, counter - 1));
        }
        self.highest = counter;
        true
    }

    /// A beat of the history. False if it was counted before. History is delivered in order: what it leaves out below this
    /// one is not expected any more.
    pub fn late(&mut self, counter: u64) -> bool {
        if counter > self.highest {
            self.highest = counter;
            self.gaps.clear();
            return true;
        }
        let counts = self.gaps.iter().any(|(first, last)| (*first..=*last).contains(&counter));
        if counts {
            self.gaps.retain(|(_, last)| *last > counter);
            if let Some((first, _)) = self.gaps.first_mut() {
                *first = (*first).max(counter + 1);
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_was_missed_counts_once_when_it_comes_late() {
        let mut counted = Counted::default();
        assert!((1..=7).all(|counter| counted.live(counter)));
        // 8 to 20 were missed; 21 comes with the first of them.
        assert!((8..=15).all(|counter| counted.late(counter)));
        assert!(counted.live(21));
        assert_eq!((counted.highest(), counted.gaps()), (21, &[(16, 20)][..]));
        assert!((1..=15).chain([21]).all(|counter| !counted.clone().late(counter)), "these are there");
        assert!((1..=21).all(|counter| !counted.clone().live(counter)), "nothing of the past is the present");
        assert!((16..=20).all(|counter| counted.late(counter)));
        assert!((1..=21).all(|counter| !counted.clone().late(counter)));
        // Two absences before anything of them is delivered; of the first one, every second was thrown away.
        assert!(counted.live(30) && counted.live(40));
        assert!(counted.late(23) && !counted.late(22), "history does not go backwards");
        assert!(counted.late(25) && counted.late(35) && !counted.late(27));
        assert_eq!(counted.gaps(), [(36, 39)]);
    }

    #[test]
    fn the_memory_for_gaps_is_bounded_and_forgets_towards_counted() {
        let mut counted = Counted::default();
        assert!((1..=100).all(|n| counted.live(2 * n)));
        assert_eq!(counted.gaps().len(), MOST_GAPS);
        assert!(!counted.late(1) && counted.late(199));
    }

    #[test]
    fn what_was_stored_is_taken_up_and_nonsense_in_it_is_not() {
        let counted = Counted::new(9, vec![(2, 3), (3, 4), (6, 5), (7, 7), (8, 9)]);
        assert_eq!(counted.gaps(), [(2, 3), (7, 7)]);
        let text = serde_json::to_string(&counted).expect("serialises");
        assert_eq!(serde_json::from_str::<Counted>(&text).expect("reads"), counted);
    }

    proptest! {
        #[test]
        fn nothing_counts_twice(steps in prop::collection::vec((any::<bool>(), 0_u64..60), 0..200)) {
            let mut counted = Counted::default();
            let mut seen = BTreeSet::new();
            for (live, counter) in steps {
                let counts = if live { counted.live(counter) } else { counted.late(counter) };
                prop_assert!(!counts || seen.insert(counter), "{counter} twice");
                let again = Counted::new(counted.highest(), counted.gaps().to_vec());
                prop_assert_eq!(&again, &counted, "it survives being stored");
            }
        }

        #[test]
        fn history_in_order_is_counted_whole(outages in prop::collection::vec((1_u64..5, 1_u64..30, 1_usize..8), 1..10)) {
            let mut counted = Counted::default();
            let (mut next, mut total) = (1, 0_u64);
            let mut queue = std::collections::VecDeque::new();
            for (live, missed, batch) in outages {
                queue.extend(next..next + missed);
                next += missed;
                for _ in 0..live {
                    for counter in queue.drain(..batch.min(queue.len())) {
                        prop_assert!(counted.late(counter), "{counter} is missing");
                        total += 1;
                    }
                    prop_assert!(counted.live(next));
                    (next, total) = (next + 1, total + 1);
                }
            }
            prop_assert_eq!(total + queue.len() as u64, next - 1);
        }
    }
}
