//! What a person sees of a discovery, and the pings that have still to go out.

use crate::problem::problem;
use crate::udp::Reached;
use crate::view::DiscoveryView;
use muster_protocol::discovery::{Event, Heard};
use std::collections::VecDeque;
use tokio::time::Instant;

#[derive(Default)]
pub(super) struct Progress {
    view: DiscoveryView,
    began: Option<Instant>,
    pings: VecDeque<Vec<u8>>,
}

impl Progress {
    pub(super) fn begin(&mut self, now: Instant) {
        let interfaces = std::mem::take(&mut self.view.interfaces);
        self.view = DiscoveryView { running: true, round: 1, interfaces, ..DiscoveryView::default() };
        self.began = Some(now);
    }

    pub(super) fn add_ping(&mut self, bytes: Vec<u8>) {
        self.pings.push_back(bytes);
    }

    pub(super) fn ping(&mut self) -> Option<Vec<u8>> {
        self.pings.pop_front()
    }

    /// A ping went out; true if that changes what is shown.
    pub(super) fn went_out(&mut self, reached: Reached) -> bool {
        let stranded = self.view.running && !reached.anybody;
        if stranded {
            let message = match reached.report.as_slice() {
                [] => "no network interface is up".to_owned(),
                report => format!("no ping went out ({})", report.join("; ")),
            };
            let remedy = "Plug in a network cable or switch the network on, then discover again.";
            self.view.problem = Some(problem("no_network", message, remedy));
        }
        let changed = stranded || self.view.interfaces != reached.report;
        self.view.interfaces = reached.report;
        changed
    }

    /// The discovery under way reaches nobody and may as well end.
    pub(super) fn is_stranded(&self) -> bool {
        self.view.running && self.view.problem.is_some()
    }

    /// True if that changes what is shown.
    pub(super) fn heard(&mut self, heard: &Heard) -> bool {
        let counts = heard.fresh && self.view.running;
        self.view.found += u32::from(counts);
        counts
    }

    pub(super) fn note(&mut self, now: Instant, event: &Event) {
        self.view.seconds = self.began.map_or(0.0, |began| now.duration_since(began).as_secs_f64());
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

    pub(super) fn view(&self) -> DiscoveryView {
        self.view.clone()
    }
}
