//! How many appliances are still unheard: capture and recapture with a measured chance of capture.
//!
//! The appliances that answered cannot be recaptured, because the ping lists them. So each round leaves a random sample
//! of them off the list. Let a round `j` have a sample of `M_j`, of which `R_j` answer, and `N_j` new answers.
//!
//! - The chance that an unheard appliance answers in that round is `p_j = (R_j + 1/2) / (M_j + 1)` (Jeffreys' estimate:
//!   never quite 0 or 1, however small the sample). Rounds with fewer than `SMALL_SAMPLE` are measured together, as if
//!   their loss were the same (where it is not, this makes `Q` below larger), and so little is known about it that its
//!   whole distribution counts: with `R` of `M` answers the chance to be missed `k` times is the mean of `(1 - p)^k`
//!   under Beta(R + 1/2, M - R + 1/2).
//! - Let `U` be how many were unheard before the first round with a sample. Of these `n = Σ N_j` have answered since, and
//!   each had the chance `Q = Π (1 - p_j)` of staying unheard. With no prior opinion of `U` (all numbers equally likely),
//!   the number still unheard is negative binomial with mean `(n + 1) Q / (1 - Q)`. That is the estimate.
//!
//! Rounds without a sample (the first, and all while nobody is heard) only set the stage: nothing is assumed about their
//! loss, so a first round that overran the receive buffer does not spoil the estimate.
//!
//! It takes every appliance for equally easy to hear. One that hears no ping at all cannot be estimated by anybody.

/// A sample of fewer says too little by itself.
pub(super) const SMALL_SAMPLE: usize = 8;

/// What a round brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Heard appliances that were asked again on purpose.
    pub sample: usize,
    /// How many of those answered.
    pub answered: usize,
    /// Appliances heard for the first time.
    pub fresh: usize,
}

/// The expected number of appliances that are still unheard. Zero if nothing could be measured.
pub fn unheard(rounds: &[Counts]) -> f64 {
    let measured = || rounds.iter().filter(|round| round.sample > 0);
    if measured().next().is_none() {
        return 0.0;
    }
    let (small, large): (Vec<&Counts>, Vec<&Counts>) = measured().partition(|round| round.sample < SMALL_SAMPLE);
    let missed = large.iter().map(|round| 1.0 - round.chance()).product::<f64>() * missed_by_all(&small);
    let fresh: usize = measured().map(|round| round.fresh).sum();
    (fresh as f64 + 1.0) * missed / (1.0 - missed)
}

/// The chance to be missed by each of these rounds, which have one unknown loss in common.
fn missed_by_all(rounds: &[&Counts]) -> f64 {
    let sum = rounds.iter().fold(Counts::default(), |sum, round| sum.plus(round));
    let silent = (sum.sample - sum.answered) as f64 + 0.5;
    let all = sum.sample as f64 + 1.0;
    (0..rounds.len()).map(|i| (silent + i as f64) / (all + i as f64)).product()
}

impl Counts {
    fn plus(self, other: &Counts) -> Counts {
        Counts {
            sample: self.sample + other.sample,
            answered: self.answered + other.answered.min(other.sample),
            fresh: self.fresh + other.fresh,
        }
    }

    /// The chance that an appliance which is asked is heard in this round; one half if nothing was measured.
    pub fn chance(&self) -> f64 {
        (self.answered.min(self.sample) as f64 + 0.5) / (self.sample as f64 + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::uniform;
    use crate::test_rng::TestRng;

    fn counts(sample: usize, answered: usize, fresh: usize) -> Counts {
        Counts { sample, answered, fresh }
    }

    #[test]
    fn nothing_measured_is_nothing_estimated() {
        assert_eq!(unheard(&[]), 0.0);
        assert_eq!(unheard(&[counts(0, 0, 1_000)]), 0.0);
    }

    #[test]
    fn a_whole_sample_that_answers_leaves_next_to_nobody() {
        assert!(unheard(&[counts(0, 0, 1_000), counts(24, 24, 0)]) < 0.05);
        // New answers in a round that the whole sample answered: the first round was bad, this one was not.
        assert!(unheard(&[counts(0, 0, 100), counts(24, 24, 400)]) < 20.0);
    }

    #[test]
    fn a_silent_sample_is_an_estimate_and_not_a_division_by_zero() {
        let many = unheard(&[counts(0, 0, 10), counts(5, 0, 0), counts(5, 0, 0)]);
        assert!(many.is_finite() && many > 1.0, "{many}");
        // More answers than were asked for must not turn the estimate negative.
        assert!(unheard(&[counts(0, 0, 10), counts(1, 9, 0)]) >= 0.0);
    }

    #[test]
    fn small_samples_are_measured_together() {
        // One appliance that answers four times more has no neighbour that is missed each time.
        let again = counts(1, 1, 0);
        assert!(unheard(&[counts(0, 0, 1), again, again]) > 0.05);
        assert!(unheard(&[counts(0, 0, 1), again, again, again, again]) < 0.01);
        // A bad small round counts against the good one.
        assert!(unheard(&[counts(0, 0, 1), counts(1, 0, 0), counts(1, 1, 0)]) > 0.3);
    }

    #[test]
    fn on_average_the_estimate_is_what_is_really_unheard() {
        let mut rng = TestRng::new(7);
        for lost_percent in [10, 30, 51] {
            let (mut estimated, mut real) = (0.0, 0.0);
            for _ in 0..200 {
                let mut hears = |n: usize| (0..n).filter(|_| uniform(&mut rng, 100) >= lost_percent).count();
                let first = hears(1_000);
                let (mut left, mut rounds) = (1_000 - first, vec![counts(0, 0, first)]);
                for _ in 0..3 {
                    let (answered, fresh) = (hears(24), hears(left));
                    left -= fresh;
                    rounds.push(counts(24, answered, fresh));
                }
                estimated += unheard(&rounds);
                real += left as f64;
            }
            // The sample is small, so the estimate leans to the high side; it must not lean to the low one.
            let ratio = (estimated + 200.0) / (real + 200.0);
            assert!((0.95..1.8).contains(&ratio), "{lost_percent} % lost: {estimated} estimated, {real} real");
        }
    }
}
