//! How many appliances are still unheard: capture and recapture with a measured chance of capture.
//!
//! The appliances that answered cannot be recaptured, because the pings list them. So each wave of pings leaves a random
//! sample of them off its list. Waves that follow each other make a *stretch*: `k` waves in which `M` of the heard were
//! asked again and `R` of them answered.
//!
//! - The chance `p` that an appliance which is asked once is heard is not known; after a stretch it is distributed as
//!   Beta(R + 1/2, M - R + 1/2) (Jeffreys' prior). An unheard one stayed so through the stretch with the chance
//!   `E[(1 - p)^k] = Π (M - R + 1/2 + i) / (M + 1 + i)` over `i` from 0 to `k - 1`. The whole distribution counts: where
//!   few could be asked, little is known, and the mean of the powers is far above the power of the mean.
//! - Where the loss differed between the waves of a stretch, the true chance `Π (1 - p_i)` is below `(1 - mean p)^k`, as the
//!   geometric mean is never above the arithmetic one: taking them together errs to the careful side.
//! - Let `U` be how many were unheard before the first stretch. Of these `n` have answered since, and each had the chance
//!   `Q`, the product over all stretches, of staying unheard. With no prior opinion of `U` (all numbers equally likely),
//!   the number still unheard is negative binomial with mean `(n + 1) Q / (1 - Q)`. That is the estimate.
//!
//! Waves before anybody was heard have no sample and only set the stage: nothing is assumed about their loss, so a first
//! round that overran the receive buffer does not spoil the estimate.
//!
//! It takes every appliance for equally easy to hear. One that hears no ping at all cannot be estimated by anybody.

/// What a stretch of waves brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// How often everybody who is unheard was asked.
    pub waves: usize,
    /// How often a heard appliance was asked again on purpose.
    pub sample: usize,
    /// How many of those questions were answered.
    pub answered: usize,
}

/// The expected number of appliances that are still unheard, `fresh` of which have answered during the stretches. Zero if
/// nothing could be measured.
pub fn unheard(stretches: &[Stretch], fresh: usize) -> f64 {
    if stretches.iter().all(|stretch| stretch.sample == 0) {
        return 0.0;
    }
    let missed: f64 = stretches.iter().map(Stretch::missed).product();
    (fresh as f64 + 1.0) * missed / (1.0 - missed)
}

impl Stretch {
    /// Both one after the other.
    pub fn and(self, next: Stretch) -> Stretch {
        Stretch {
            waves: self.waves + next.waves,
            sample: self.sample + next.sample,
            answered: self.answered.min(self.sample) + next.answered.min(next.sample),
        }
    }

    /// The chance to be missed by every wave of it.
    pub fn missed(&self) -> f64 {
        let silent = (self.sample - self.answered.min(self.sample)) as f64 + 0.5;
        let all = self.sample as f64 + 1.0;
        (0..self.waves).map(|i| (silent + i as f64) / (all + i as f64)).product()
    }

    /// The chance that an appliance which is asked once is heard; one half if nothing was measured.
    pub fn chance(&self) -> f64 {
        (self.answered.min(self.sample) as f64 + 0.5) / (self.sample as f64 + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::uniform;
    use crate::test_rng::TestRng;

    fn stretch(waves: usize, sample: usize, answered: usize) -> Stretch {
        Stretch { waves, sample, answered }
    }

    #[test]
    fn nothing_measured_is_nothing_estimated() {
        assert_eq!(unheard(&[], 0), 0.0);
        assert_eq!(unheard(&[stretch(3, 0, 0)], 1_000), 0.0);
    }

    #[test]
    fn a_whole_sample_that_answers_leaves_next_to_nobody() {
        assert!(unheard(&[stretch(1, 24, 24)], 0) < 0.05);
        assert!(unheard(&[stretch(2, 64, 64)], 0) < 0.001);
        // New answers in a round that the whole sample answered: the first round was bad, this one was not.
        assert!(unheard(&[stretch(1, 24, 24)], 400) < 20.0);
    }

    #[test]
    fn a_silent_sample_is_an_estimate_and_not_a_division_by_zero() {
        let many = unheard(&[stretch(2, 10, 0)], 0);
        assert!(many.is_finite() && many > 1.0, "{many}");
        // More answers than were asked for must not turn the estimate negative.
        assert!(unheard(&[stretch(1, 1, 9)], 0) >= 0.0);
        assert!(unheard(&[stretch(1, 1, 9).and(stretch(1, 1, 0))], 0) > 0.1);
    }

    #[test]
    fn a_small_sample_says_little_however_often_it_was_asked_for() {
        // One appliance that answers four times more has hardly a neighbour that is missed each time.
        assert!(unheard(&[stretch(2, 2, 2)], 0) > 0.05);
        assert!(unheard(&[stretch(4, 4, 4)], 0) < 0.01);
        // Further waves without a sample help, but less than if it were certain that the loss is small.
        let further = unheard(&[stretch(8, 4, 4)], 0);
        let certain = unheard(&[stretch(8, 400, 400)], 0);
        assert!(further < 0.001 && certain < further / 1_000.0, "{further} and {certain}");
    }

    #[test]
    fn on_average_the_estimate_is_what_is_really_unheard() {
        let mut rng = TestRng::new(7);
        for lost_percent in [10, 30, 51, 75] {
            for waves in [1, 2, 4] {
                let (mut estimated, mut real) = (0.0, 0.0);
                for _ in 0..300 {
                    let mut hears = |n: usize| (0..n).filter(|_| uniform(&mut rng, 100) >= lost_percent).count();
                    let (mut left, mut fresh) = (1_000 - hears(1_000), 0);
                    let mut stretches = Vec::new();
                    for _ in 0..2 {
                        let mut all = Stretch::default();
                        for _ in 0..waves {
                            let (answered, heard) = (hears(32), hears(left));
                            (left, fresh) = (left - heard, fresh + heard);
                            all = all.and(stretch(1, 32, answered));
                        }
                        stretches.push(all);
                    }
                    estimated += unheard(&stretches, fresh);
                    real += left as f64;
                }
                // The sample is small, so the estimate leans to the high side; it must not lean to the low one.
                let ratio = (estimated + 200.0) / (real + 200.0);
                let case = format!("{lost_percent} % lost, {waves} waves: {estimated} estimated, {real} real");
                assert!((0.95..1.8).contains(&ratio), "{case}");
            }
        }
    }
}
