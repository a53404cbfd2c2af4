//! Final settings that could not be brought into force: tried again, ever more seldom, and told.
//!
//! A vendor's program that always fails must neither keep the appliance busy nor keep it from being configured anew.

use super::{Agent, Change};
use crate::entropy::OsEntropy;
use crate::health::Health;
use crate::network::Network;
use crate::storage::Storage;
use muster_protocol::crypto::random;
use muster_protocol::time::Millis;

/// From the first attempt that failed to the second.
const FIRST_MS: u64 = 5_000;
/// The longest time from one attempt to the next, before chance adds or takes a quarter.
const LONGEST_MS: u64 = 600_000;

/// How bringing the final settings into force goes.
#[derive(Debug, Default)]
pub(super) struct Resume {
    problem: Option<NetworkProblem>,
    /// When it is tried again; none while it is being tried.
    again_at: Option<Millis>,
    /// It was to undo a change by hand.
    restores: bool,
}

/// Final settings are not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkProblem {
    /// Why the last attempt failed: a stable word.
    pub code: String,
    /// How many attempts failed in a row.
    pub attempts: u32,
}

impl Resume {
    pub(super) fn is_failing(&self) -> bool {
        self.problem.is_some()
    }

    /// True if that is news.
    fn failed(&mut self, now: Millis, code: String) -> bool {
        let attempts = self.problem.as_ref().map_or(0, |problem| problem.attempts).saturating_add(1);
        let is_news = self.problem.as_ref().is_none_or(|problem| problem.code != code);
        self.problem = Some(NetworkProblem { code, attempts });
        self.again_at = Some(now + pause(attempts, u64::from_le_bytes(random(&mut OsEntropy))));
        is_news
    }

    /// They are in force, or are no longer the final ones. True if they were not.
    pub(super) fn ended(&mut self) -> bool {
        self.again_at = None;
        self.problem.take().is_some()
    }
}

/// Doubles with each attempt; `chance` spreads what a whole site would do at the same moment.
fn pause(attempts: u32, chance: u64) -> u64 {
    let doubled = FIRST_MS << attempts.saturating_sub(1).min(20);
    let longest = doubled.min(LONGEST_MS);
    longest - longest / 4 + chance % (longest / 2 + 1)
}

impl<S: Storage + Clone, N: Network, H: Health> Agent<S, N, H> {
    /// Why the final settings are not in force, as of the last attempt.
    pub fn network_problem(&self) -> Option<&NetworkProblem> {
        self.resume.problem.as_ref()
    }

    /// An attempt has ended: with the code of what went wrong, if anything did.
    pub(super) fn resumed(&mut self, now: Millis, restored: bool, result: Result<(), String>) {
        let uid = self.uid();
        self.resume.restores = restored;
        match result {
            Ok(()) if self.resume.ended() => tracing::info!(uid = %uid.short(), "the settings are in force again"),
            Ok(()) => {}
            Err(code) => {
                if self.resume.failed(now, code.clone()) {
                    tracing::error!(uid = %uid.short(), code, "the settings could not be brought into force; trying again");
                }
            }
        }
    }

    /// When the next attempt is due. Whatever else is to be done to the network comes first.
    pub(super) fn next_resume(&self) -> Option<Millis> {
        self.resume.again_at.filter(|_| self.is_at_rest())
    }

    pub(super) fn resume_again(&mut self, now: Millis) {
        if self.next_resume().is_some_and(|at| at <= now)
            && let Some(settings) = self.appliance.settings().cloned()
        {
            self.resume.again_at = None;
            let application = self.appliance.application().cloned();
            let restores = self.resume.restores;
            self.changes.push_back(if restores {
                Change::Restore(settings, application)
            } else {
                Change::Resume(settings)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_become_ever_more_seldom_but_never_end_and_no_two_appliances_keep_step() {
        let range = |attempts| (pause(attempts, 0), pause(attempts, pause(attempts, 0) * 2 / 3));
        assert_eq!(range(1), (3_750, 6_250));
        assert_eq!(range(2), (7_500, 12_500));
        for attempts in [8, 100, u32::MAX] {
            assert_eq!(range(attempts), (450_000, 750_000), "attempt {attempts}");
        }
        for chance in [0, 1, 999_999_999, u64::MAX] {
            assert!((3_750..=6_250).contains(&pause(1, chance)), "{chance}");
        }
    }

    #[test]
    fn a_problem_counts_its_attempts_and_is_news_once() {
        let mut resume = Resume::default();
        assert!(!resume.ended());
        assert!(resume.failed(Millis(0), "network_program_refused".into()));
        assert!(!resume.failed(Millis(9_000), "network_program_refused".into()));
        assert!(resume.failed(Millis(20_000), "network_program_timeout".into()));
        assert_eq!(resume.problem.as_ref().map(|problem| problem.attempts), Some(3));
        assert!(resume.again_at.is_some_and(|at| at.0 >= 35_000));
        assert!(resume.ended() && !resume.is_failing() && resume.again_at.is_none());
    }
}
