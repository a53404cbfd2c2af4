//! What a person sees of a discovery, and the pings that have still to go out.

use crate::problem::problem;
use crate::udp::Reached;
use crate::view::DiscoveryView;
use muster_protocol::discovery::{Event, Heard};
use std::collections::{BTreeSet, VecDeque};
use tokio::time::Instant;

#[derive(Default)]
pub(super) struct Progress {
    view: DiscoveryView,
    began: Option<Instant>,
    pings: VecDeque<Vec<u8>>,
    /// Interfaces that a ping of this discovery has left by.
    reached: BTreeSet<u32>,
    /// Some ping of this discovery has left, wherever to.
    went_out: bool,
}

/// What a ping's leaving, or not leaving, means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sent {
    /// What is shown has changed.
    pub(super) show: bool,
    /// An interface was reached for the first time, and not by the first ping.
    pub(super) new_interface: bool,
    /// No network is left: the discovery may as well end.
    pub(super) stranded: bool,
}

impl Progress {
    pub(super) fn begin(&mut self, now: Instant, receive_buffer: usize) {
        let interfaces = std::mem::take(&mut self.view.interfaces);
        let receive_buffer = u32::try_from(receive_buffer).unwrap_or(u32::MAX);
        self.view = DiscoveryView { running: true, round: 1, interfaces, receive_buffer, ..DiscoveryView::default() };
        self.began = Some(now);
        self.reached.clear();
        self.went_out = false;
    }

    pub(super) fn add_ping(&mut self, bytes: Vec<u8>) {
        self.pings.push_back(bytes);
    }

    pub(super) fn ping(&mut self) -> Option<Vec<u8>> {
        self.pings.pop_front()
    }

    /// A ping went out, or did not.
    pub(super) fn went_out(&mut self, reached: Reached) -> Sent {
        let mut sent = Sent::default();
        if self.view.running {
            self.view.pings += 1;
            sent.new_interface = self.went_out && !reached.interfaces.is_subset(&self.reached);
            self.reached.extend(&reached.interfaces);
            // An interface that vanishes in the middle takes nothing away from what was found.
            sent.stranded = !reached.anybody;
            if sent.stranded && !self.went_out {
                let message = match reached.report.as_slice() {
                    [] => "no network interface is up".to_owned(),
                    report => format!("no ping went out ({})", report.join("; ")),
                };
                let remedy = "Plug in a network cable or switch the network on, then discover again.";
                self.view.problem = Some(problem("no_network", message, remedy));
            }
            self.went_out |= reached.anybody;
        }
        sent.show = sent.stranded || self.view.interfaces != reached.report;
        self.view.interfaces = reached.report;
        sent
    }

    /// True if that changes what is shown.
    pub(super) fn heard(&mut self, now: Instant, heard: &Heard) -> bool {
        let counts = heard.fresh && self.view.running;
        self.view.found += u32::from(counts);
        if counts {
            self.view.last_found = self.since_start(now);
        }
        counts
    }

    pub(super) fn note(&mut self, now: Instant, event: &Event) {
        self.view.seconds = self.since_start(now);
        let count = |found: usize| u32::try_from(found).unwrap_or(u32::MAX);
        match event {
            Event::Heard(_) => {}
            Event::Round { number, found, unheard } => {
                (self.view.round, self.view.found, self.view.unheard) = (number + 1, count(*found), *unheard);
            }
            Event::Finished { found, unheard, rounds } => {
                (self.view.round, self.view.found, self.view.unheard) = (*rounds, count(*found), *unheard);
                self.view.running = false;
            }
        }
    }

    fn since_start(&self, now: Instant) -> f64 {
        self.began.map_or(0.0, |began| now.duration_since(began).as_secs_f64())
    }

    pub(super) fn view(&self) -> DiscoveryView {
        self.view.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(interfaces: &[u32]) -> Reached {
        let report = interfaces.iter().map(|index| format!("eth{index}")).collect();
        Reached { anybody: !interfaces.is_empty(), interfaces: interfaces.iter().copied().collect(), report }
    }

    fn begun() -> Progress {
        let mut progress = Progress::default();
        progress.begin(Instant::now(), 212_992);
        progress
    }

    #[test]
    fn an_interface_that_comes_in_the_middle_is_noticed_once() {
        let mut progress = begun();
        assert_eq!(progress.went_out(reached(&[2])), Sent { show: true, ..Sent::default() });
        assert_eq!(progress.went_out(reached(&[2])), Sent::default());
        assert!(progress.went_out(reached(&[2, 3])).new_interface);
        assert!(!progress.went_out(reached(&[2, 3])).new_interface);
        // It goes and comes back: whoever is behind it has been asked.
        assert!(!progress.went_out(reached(&[2])).new_interface);
        assert!(!progress.went_out(reached(&[2, 3])).new_interface);
        assert_eq!(progress.view().pings, 6);
    }

    #[test]
    fn a_network_that_was_never_there_is_a_problem_and_one_that_vanishes_is_not() {
        let mut progress = begun();
        assert!(progress.went_out(reached(&[])).stranded);
        assert_eq!(progress.view().problem.map(|problem| problem.code), Some("no_network".to_owned()));
        let mut progress = begun();
        progress.went_out(reached(&[2]));
        assert!(progress.went_out(reached(&[])).stranded, "nobody is left to be asked");
        assert_eq!(progress.view().problem, None);
    }
}
