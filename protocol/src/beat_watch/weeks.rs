//! Weeks of a fleet in seconds, beside a model that looks at everybody: no false alert, and none too few.
//!
//! Beats come with jitter and are lost; appliances and the lines of sites fail; the NOC restarts, sleeps and is worked around;
//! people maintain sites. The model knows one thing of each appliance: since when it is judged, and whether it is silent. What is
//! behind a gateway has tests of its own.

use super::*;
use crate::test_rng::TestRng;
use rand_core::Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const SITES: u32 = 4;
const EACH: u32 = 15;
const DAY_MS: u64 = 86_400_000;
const WEEKS: u64 = 3;
const INTERVALS_S: [u32; 3] = [30, 60, 300];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Beat(u32),
    Fails(u32),
    Mends(u32),
    LineFails(u32),
    LineMends(u32),
    Stops,
    Starts,
    Sleeps,
    WorkBegins(u32),
    WorkEnds(u32),
    LookAtAll,
}

/// One appliance as the model sees it.
#[derive(Clone, Copy, Debug)]
struct Modelled {
    interval_ms: u64,
    since: u64,
    in_row: u32,
    is_silent: bool,
}

/// What a driver would have in its store.
#[derive(Default)]
struct Store {
    health: BTreeMap<Uid, Health>,
    alerts: BTreeMap<AlertId, (OpenAlert, BTreeSet<Uid>)>,
    highest: u64,
}

struct Sim {
    rng: TestRng,
    now: u64,
    queue: BinaryHeap<Reverse<(u64, Event)>>,
    watch: Option<BeatWatch>,
    store: Store,
    model: Vec<Modelled>,
    has_failed: Vec<bool>,
    line_is_down: Vec<bool>,
    is_worked_on: Vec<bool>,
    opened: BTreeMap<String, u64>,
    looks: u64,
}

fn uid(n: u32) -> Uid {
    let mut uid = [0; 20];
    uid[..4].copy_from_slice(&n.to_be_bytes());
    Uid(uid)
}

impl Sim {
    fn new(seed: u64) -> Sim {
        let mut sim = Sim {
            rng: TestRng::new(seed),
            now: 0,
            queue: BinaryHeap::new(),
            watch: Some(BeatWatch::new(Millis(0), Rules::default()).first_alert_id(AlertId(1))),
            store: Store::default(),
            model: Vec::new(),
            has_failed: vec![false; (SITES * EACH) as usize],
            line_is_down: vec![false; SITES as usize],
            is_worked_on: vec![false; SITES as usize],
            opened: BTreeMap::new(),
            looks: 0,
        };
        for n in 0..SITES * EACH {
            let interval_s = INTERVALS_S[(n % 3) as usize];
            let (interval_ms, since) = (u64::from(interval_s) * 1_000, 0);
            sim.model.push(Modelled { interval_ms, since, in_row: 0, is_silent: false });
            sim.input(Input::Expect { uid: uid(n), site: SiteId(n % SITES), interval_s });
            // Its first beat comes at once, as after a kick-start.
            sim.input(Input::Beat { uid: uid(n) });
            let first = sim.between(1_000, interval_ms);
            sim.at(first, Event::Beat(n));
            let fails = sim.between(0, 4 * DAY_MS);
            sim.at(fails, Event::Fails(n));
        }
        for site in 0..SITES {
            let (line, work) = (sim.between(0, 5 * DAY_MS), sim.between(0, 6 * DAY_MS));
            sim.at(line, Event::LineFails(site));
            sim.at(work, Event::WorkBegins(site));
        }
        sim.at(DAY_MS / 3, Event::Stops);
        sim.at(DAY_MS / 2, Event::Sleeps);
        sim.at(600_000, Event::LookAtAll);
        sim
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.rng.next_u64() % (most - least).max(1)
    }

    fn at(&mut self, after: u64, event: Event) {
        self.queue.push(Reverse((self.now + after, event)));
    }

    fn input(&mut self, input: Input) {
        if let Some(watch) = &mut self.watch {
            watch.handle_input(Millis(self.now), input);
        }
        self.keep();
    }

    fn keep(&mut self) {
        while let Some(output) = self.watch.as_mut().and_then(BeatWatch::poll_output) {
            match output {
                Output::Health { uid, health } => {
                    self.store.health.insert(uid, health);
                    if matches!(health, Health::Well | Health::Late | Health::Maintenance) {
                        for (alert, members) in self.store.alerts.values_mut() {
                            if alert.kind != AlertKind::Unstable {
                                members.remove(&uid);
                            }
                        }
                    }
                }
                Output::Open(id, alert) => {
                    assert!(id.0 > self.store.highest, "an alert is repeated");
                    self.store.highest = id.0;
                    *self.opened.entry(format!("{:?}", alert.kind)).or_default() += 1;
                    for uid in &alert.uids {
                        assert_eq!(self.store.alert_of(uid), None, "two alerts for {uid} at {}", self.now);
                    }
                    let members = alert.uids.iter().copied().collect();
                    self.store.alerts.insert(id, (alert, members));
                }
                Output::Attach { alert, uid } => {
                    self.store.alerts.get_mut(&alert).expect("an open alert").1.insert(uid);
                }
                Output::Close(id) => {
                    self.store.alerts.remove(&id).expect("an open alert");
                }
            }
        }
    }

    /// Does what the watch wants to do until then.
    fn run_to(&mut self, to: u64) {
        while let Some(at) = self.watch.as_ref().and_then(BeatWatch::poll_timeout).filter(|at| at.0 <= to) {
            self.now = self.now.max(at.0);
            let now = Millis(self.now);
            if let Some(watch) = &mut self.watch {
                watch.handle_timeout(now);
            }
            self.keep();
        }
        self.now = to;
    }

    fn site(n: u32) -> usize {
        (n % SITES) as usize
    }

    /// What the model makes of the time that went by.
    fn judge(&mut self, n: u32) {
        let is_judged = self.watch.is_some() && !self.is_worked_on[Sim::site(n)];
        let one = &mut self.model[n as usize];
        let silent = Timing::default().silent_after(one.interval_ms);
        if is_judged && self.now - one.since >= silent {
            (one.is_silent, one.in_row) = (true, 0);
        }
    }

    fn look(&mut self, n: u32) {
        self.judge(n);
        if self.watch.is_none() {
            return;
        }
        self.looks += 1;
        let kind = self.store.alert_of(&uid(n)).map(|id| self.store.alerts[&id].0.kind);
        let (one, now) = (self.model[n as usize], self.now);
        if one.is_silent {
            assert!(kind.is_some(), "{n} is silent at {now}, and no alert: {one:?}");
        } else {
            assert!(kind.is_none_or(|kind| kind == AlertKind::Unstable), "{n} is well at {now}, and {kind:?}: {one:?}");
        }
    }

    fn look_at_all(&mut self) {
        (0..SITES * EACH).for_each(|n| self.look(n));
    }

    fn beat(&mut self, n: u32) {
        self.look(n);
        let interval = self.model[n as usize].interval_ms;
        let next = self.between(interval * 9 / 10, interval * 11 / 10);
        self.at(next, Event::Beat(n));
        let is_lost = self.rng.next_u64().is_multiple_of(50);
        let site = Sim::site(n);
        if is_lost || self.has_failed[n as usize] || self.line_is_down[site] || self.watch.is_none() {
            return;
        }
        let (now, timing) = (self.now, Timing::default());
        let one = &mut self.model[n as usize];
        let in_time = now - one.since <= timing.late_after(one.interval_ms);
        one.in_row = if in_time && one.in_row > 0 { one.in_row + 1 } else { 1 };
        one.since = now;
        if one.in_row >= timing.recover_beats || self.is_worked_on[site] {
            one.is_silent = false;
        }
        self.input(Input::Beat { uid: uid(n) });
        self.look(n);
    }

    /// Everybody is given a fresh grace; how it stood with each stays.
    fn fresh_grace(&mut self) {
        for one in &mut self.model {
            one.since = self.now;
        }
    }

    fn start(&mut self) {
        let first = AlertId(self.store.highest + 1);
        let mut watch = BeatWatch::new(Millis(self.now), Rules::default()).first_alert_id(first);
        for n in 0..SITES * EACH {
            let interval_s = INTERVALS_S[(n % 3) as usize];
            let health = self.store.health[&uid(n)];
            let restore = Input::Restore { uid: uid(n), site: SiteId(n % SITES), interval_s, health };
            watch.handle_input(Millis(self.now), restore);
        }
        for (id, (alert, members)) in &self.store.alerts {
            let uids = members.iter().copied().collect();
            let (site, kind, rule) = (alert.site, alert.kind, String::new());
            watch.handle_input(Millis(self.now), Input::RestoreAlert { id: *id, site, kind, uids, rule });
        }
        assert_eq!(watch.poll_output(), None, "a restart repeats nothing");
        self.watch = Some(watch);
        self.fresh_grace();
        self.model.iter_mut().for_each(|one| one.in_row = 0);
    }

    fn maintain(&mut self, site: u32, on: bool) {
        (0..SITES * EACH).filter(|n| n % SITES == site).for_each(|n| self.judge(n));
        self.is_worked_on[site as usize] = on;
        for n in (0..SITES * EACH).filter(|n| n % SITES == site) {
            self.input(Input::Maintain { uid: uid(n), on });
            let one = &mut self.model[n as usize];
            (one.since, one.in_row, one.is_silent) = (self.now, 0, false);
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Beat(n) => self.beat(n),
            Event::Fails(n) => {
                self.has_failed[n as usize] = true;
                // From a moment to a day; some come and go.
                let longest = [90_000, 400_000, 3_600_000, DAY_MS][(self.rng.next_u64() % 4) as usize];
                let mends = self.between(1_000, longest);
                self.at(mends, Event::Mends(n));
            }
            Event::Mends(n) => {
                self.has_failed[n as usize] = false;
                let nervous = n % 20 == 7;
                let fails = if nervous { self.between(200_000, 900_000) } else { self.between(0, 4 * DAY_MS) };
                self.at(fails, Event::Fails(n));
            }
            Event::LineFails(site) => {
                self.line_is_down[site as usize] = true;
                let mends = self.between(10_000, 4 * 3_600_000);
                self.at(mends, Event::LineMends(site));
            }
            Event::LineMends(site) => {
                self.line_is_down[site as usize] = false;
                let fails = self.between(0, 5 * DAY_MS);
                self.at(fails, Event::LineFails(site));
            }
            Event::Stops => {
                self.look_at_all();
                self.watch = None;
                let starts = self.between(1_000, 2 * 3_600_000);
                self.at(starts, Event::Starts);
            }
            Event::Starts => {
                self.start();
                let stops = self.between(3_600_000, DAY_MS);
                self.at(stops, Event::Stops);
            }
            Event::Sleeps => {
                // The machine sleeps: time has gone by, and nobody was there.
                (0..SITES * EACH).for_each(|n| self.judge(n));
                if self.watch.is_some() {
                    self.input(Input::Stalled);
                    self.fresh_grace();
                }
                let sleeps = self.between(3_600_000, DAY_MS);
                self.at(sleeps, Event::Sleeps);
            }
            Event::WorkBegins(site) if self.watch.is_none() => self.at(8_000_000, Event::WorkBegins(site)),
            Event::WorkBegins(site) => {
                self.maintain(site, true);
                let ends = self.between(60_000, 3 * 3_600_000);
                self.at(ends, Event::WorkEnds(site));
            }
            Event::WorkEnds(site) if self.watch.is_none() => self.at(8_000_000, Event::WorkEnds(site)),
            Event::WorkEnds(site) => {
                self.maintain(site, false);
                let begins = self.between(DAY_MS, 6 * DAY_MS);
                self.at(begins, Event::WorkBegins(site));
            }
            Event::LookAtAll => {
                self.look_at_all();
                self.at(600_000, Event::LookAtAll);
            }
        }
    }
}

impl Store {
    fn alert_of(&self, uid: &Uid) -> Option<AlertId> {
        self.alerts.iter().find(|(_, (_, members))| members.contains(uid)).map(|(id, _)| *id)
    }
}

#[test]
fn in_weeks_of_loss_failures_restarts_and_work_there_is_no_false_alert_and_none_too_few() {
    let seed = 1;
    let mut sim = Sim::new(seed);
    while let Some(Reverse((at, event))) = sim.queue.pop().filter(|Reverse((at, _))| *at < WEEKS * 7 * DAY_MS) {
        sim.run_to(at);
        sim.happens(event);
    }
    assert!(sim.looks > 1_000_000, "seed {seed}: only {} looks", sim.looks);
    for kind in ["Silent", "Site", "Unstable"] {
        assert!(sim.opened.get(kind).is_some_and(|count| *count > 5), "seed {seed}: {:?}", sim.opened);
    }
    assert_eq!(sim.opened.get("NeverReported"), None, "seed {seed}");
}
