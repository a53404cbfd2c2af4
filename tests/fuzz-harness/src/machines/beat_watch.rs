//! The NOC's status daemon, against the store that a driver would have.

use crate::allocation::Held;
use crate::choices::Choices;
use crate::reached;
use muster_protocol::beat_watch::{AlertId, AlertKind, BeatWatch, Health, Input, OpenAlert, Output, Rules, Timing};
use muster_protocol::id::{SiteId, Uid};
use muster_protocol::time::Millis;
use std::collections::{BTreeMap, BTreeSet};

const MOST_STEPS: usize = 200;
const APPLIANCES: u8 = 12;
/// Twelve appliances, some alerts, and what its trees and its queue keep for growth.
const MOST_HELD: isize = 32 * 1024;
/// Each appliance's health, and its alert opened, attached and closed.
const MOST_OUTPUTS: usize = 5 * APPLIANCES as usize;

/// Plays the choices.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let rules = rules(&mut choices);
    let mut held = Held::default();
    let mut run = Run {
        watch: held.count(|| BeatWatch::new(Millis(0), rules.clone()).first_alert_id(AlertId(1))),
        held,
        rules,
        store: Store::default(),
        gateways: BTreeMap::new(),
        now: Millis(0),
        settled_at: Millis(0),
    };
    for _ in 0..MOST_STEPS {
        if !choices.any() {
            break;
        }
        run.step(&mut choices);
    }
    for n in 0..APPLIANCES {
        run.input(Input::Maintain { uid: Uid([n; 20]), on: false });
    }
    // Whoever never beats again ends in an alert, after at most six times the longest interval and its grace.
    run.wait_to(run.now + 4_000_000_000);
    for uid in run.store.health.keys() {
        assert!(run.store.alert_of(uid).is_some(), "{uid} went unnoticed");
    }
}

/// What a driver would have in its store, from outputs alone.
#[derive(Default)]
struct Store {
    health: BTreeMap<Uid, (SiteId, u32, Health)>,
    alerts: BTreeMap<AlertId, (OpenAlert, BTreeSet<Uid>)>,
    highest: u64,
}

impl Store {
    fn apply(&mut self, output: &Output) {
        match output {
            Output::Health { uid, health } => {
                let stored = self.health.get_mut(uid).expect("health of one that nobody expects");
                stored.2 = *health;
                if is_in_no_alert(*health) {
                    self.leave(uid);
                }
            }
            Output::Open(id, alert) => {
                assert!(id.0 > self.highest, "an alert number was used again");
                self.highest = id.0;
                assert!(!alert.uids.is_empty() && alert.uids.is_sorted());
                for uid in &alert.uids {
                    let other = if alert.kind == AlertKind::Failing {
                        self.failing(uid, &alert.rule)
                    } else {
                        self.alert_of(uid)
                    };
                    assert!(other.is_none(), "two open alerts for one appliance");
                }
                reached::mark(match alert.kind {
                    AlertKind::Site => "site alert",
                    AlertKind::Silent => "silent",
                    AlertKind::NeverReported => "never reported",
                    AlertKind::Unstable => "unstable",
                    AlertKind::Failing => "failing",
                });
                let members = alert.uids.iter().copied().collect();
                self.alerts.insert(*id, (alert.clone(), members));
            }
            Output::Attach { alert, uid } => {
                reached::mark("attached");
                assert!(self.alert_of(uid).is_none(), "two open alerts for one appliance");
                let (_, members) = self.alerts.get_mut(alert).expect("attached to an alert that is open");
                members.insert(*uid);
            }
            Output::Close(id) => assert!(self.alerts.remove(id).is_some(), "closed twice, or never opened"),
        }
    }

    fn leave(&mut self, uid: &Uid) {
        for (alert, members) in self.alerts.values_mut() {
            if !matches!(alert.kind, AlertKind::Unstable | AlertKind::Failing) {
                members.remove(uid);
            }
        }
    }

    /// The alert of its beats.
    fn alert_of(&self, uid: &Uid) -> Option<AlertId> {
        let mut of_beats = self.alerts.iter().filter(|(_, (alert, _))| alert.kind != AlertKind::Failing);
        of_beats.find(|(_, (_, members))| members.contains(uid)).map(|(id, _)| *id)
    }

    fn failing(&self, uid: &Uid, rule: &str) -> Option<AlertId> {
        let is_it = |alert: &OpenAlert| alert.kind == AlertKind::Failing && alert.rule == rule;
        self.alerts.iter().find(|(_, (alert, members))| is_it(alert) && members.contains(uid)).map(|(id, _)| *id)
    }
}

/// What the machine says of who is in no alert of its beats.
fn is_in_no_alert(health: Health) -> bool {
    matches!(health, Health::Well | Health::Failing | Health::Late | Health::Maintenance | Health::NeverReported)
}

struct Run {
    watch: BeatWatch,
    held: Held,
    rules: Rules,
    store: Store,
    gateways: BTreeMap<Uid, Uid>,
    now: Millis,
    /// After a restart a silent appliance may wait for the alert it lost until then.
    settled_at: Millis,
}

fn rules(choices: &mut Choices<'_>) -> Rules {
    if !choices.yes() {
        return Rules::default();
    }
    Rules {
        timing: timing(choices),
        site_fraction: f64::from(choices.below(11)) / 10.0,
        site_min: choices.below(6).into(),
        site_window_ms: choices.wait_ms(),
        site_close_fraction: f64::from(choices.below(11)) / 10.0,
        flap_changes: choices.below(6).into(),
        flap_window_ms: choices.wait_ms(),
    }
}

fn timing(choices: &mut Choices<'_>) -> Timing {
    Timing {
        grace_ms: choices.yes().then(|| choices.wait_ms()),
        miss_intervals: choices.below(6).into(),
        recover_beats: choices.below(6).into(),
        ..Timing::default()
    }
}

impl Run {
    fn step(&mut self, choices: &mut Choices<'_>) {
        let uid = |choices: &mut Choices<'_>| Uid([choices.below(APPLIANCES); 20]);
        match choices.below(16) {
            0 | 1 => {
                let (uid, site) = (uid(choices), SiteId(choices.below(2).into()));
                let interval_s = choices.one_of(&[5, 60, 3_600, 0, u32::MAX]);
                let stored = self.store.health.entry(uid).or_insert((site, interval_s, Health::NeverReported));
                (stored.0, stored.1) = (site, interval_s);
                self.input(Input::Expect { uid, site, interval_s });
            }
            2 => {
                let uid = uid(choices);
                self.held.count(|| self.watch.handle_input(self.now, Input::Forget { uid }));
                self.drain();
                self.store.health.remove(&uid);
                self.gateways.remove(&uid);
                self.store.leave(&uid);
                self.check();
            }
            3..=5 => {
                let uid = uid(choices);
                self.input(Input::Beat { uid });
            }
            6 => (0..APPLIANCES).for_each(|n| self.input(Input::Beat { uid: Uid([n; 20]) })),
            7 => match choices.below(3) {
                0 => self.input(Input::Stalled),
                1 => {
                    self.now = self.now + choices.wait_ms();
                    self.timeout(self.now);
                }
                _ => self.timeout(self.now - choices.wait_ms()),
            },
            8 | 9 => self.wait_to(self.now + choices.wait_ms()),
            10 => {
                if let Some(at) = self.watch.poll_timeout() {
                    self.wait_to(at.max(self.now));
                }
            }
            11 => {
                let (uid, gateway) = (uid(choices), uid(choices));
                if self.store.health.contains_key(&uid) && uid != gateway {
                    self.gateways.insert(uid, gateway);
                }
                self.input(Input::Behind { uid, gateway: Some(gateway) });
            }
            12 => {
                let (uid, on) = (uid(choices), choices.yes());
                self.input(Input::Maintain { uid, on });
            }
            13 => {
                let (uid, broken) = (uid(choices), choices.yes());
                self.input(Input::Rule { uid, rule: "disk".to_owned(), broken });
            }
            14 => {
                let site = SiteId(choices.below(2).into());
                let timing = choices.yes().then(|| timing(choices));
                self.input(Input::Timing { site, timing });
            }
            _ => self.restart(),
        }
    }

    fn input(&mut self, input: Input) {
        self.held.count(|| self.watch.handle_input(self.now, input));
        self.drain();
        self.check();
    }

    fn timeout(&mut self, now: Millis) {
        self.held.count(|| self.watch.handle_timeout(now));
        self.drain();
        self.check();
    }

    fn wait_to(&mut self, to: Millis) {
        let mut wakes = 0;
        while let Some(at) = self.watch.poll_timeout().filter(|at| *at <= to) {
            self.now = self.now.max(at);
            self.timeout(self.now);
            let next = self.watch.poll_timeout();
            assert!(
                next.is_none_or(|next| next > self.now),
                "it wants to be woken at {next:?}, and it is {:?}",
                self.now
            );
            wakes += 1;
            assert!(wakes < 10_000, "it wakes up for ever");
        }
        self.now = to;
    }

    fn drain(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.held.count(|| self.watch.poll_output()) {
            self.store.apply(&output);
            self.held.count(|| drop(output));
            outputs += 1;
            assert!(outputs <= MOST_OUTPUTS, "one input made it do {outputs} things");
        }
        assert!(self.held.bytes() <= MOST_HELD, "it holds {} bytes", self.held.bytes());
    }

    fn check(&self) {
        let settling = self.now <= self.settled_at;
        for (uid, (_, _, health)) in &self.store.health {
            assert_eq!(*health, self.watch.health(uid), "the store and the watch differ");
            let alerted = self.store.alert_of(uid).is_some();
            match health {
                Health::Silent | Health::Recovering | Health::Unreachable => {
                    assert!(alerted || settling, "silent, and no alert");
                }
                Health::Well | Health::Late | Health::Failing => {
                    let kind = self.store.alert_of(uid).map(|id| self.store.alerts[&id].0.kind);
                    assert!(kind.is_none_or(|kind| kind == AlertKind::Unstable), "well, and an alert");
                }
                Health::Maintenance => assert!(!alerted, "worked on, and an alert"),
                Health::NeverReported | Health::NotExpected => {}
            }
        }
        let mut sites = BTreeSet::new();
        for (alert, members) in self.store.alerts.values() {
            assert!(!members.is_empty() || settling, "an alert without an appliance");
            let by_itself = |uid: &Uid| self.store.health.get(uid).is_some_and(|known| known.2 != Health::Unreachable);
            let is_about_one = alert.kind == AlertKind::Failing || members.iter().any(by_itself);
            assert!(is_about_one || settling, "an alert about nobody");
            assert!(alert.kind != AlertKind::Site || sites.insert(alert.site), "two site alerts for one site");
        }
    }

    fn restart(&mut self) {
        let first = AlertId(self.store.highest + 1);
        let (now, rules, store) = (self.now, self.rules.clone(), &self.store);
        self.held = Held::default();
        self.watch = self.held.count(|| BeatWatch::new(now, rules).first_alert_id(first));
        for (uid, (site, interval_s, health)) in &store.health {
            let input = Input::Restore { uid: *uid, site: *site, interval_s: *interval_s, health: *health };
            self.held.count(|| self.watch.handle_input(now, input));
        }
        for (id, (alert, members)) in &store.alerts {
            let uids = members.iter().copied().collect();
            let rule = alert.rule.clone();
            let input = Input::RestoreAlert { id: *id, site: alert.site, kind: alert.kind, uids, rule };
            self.held.count(|| self.watch.handle_input(now, input));
        }
        for (uid, gateway) in &self.gateways {
            let input = Input::Behind { uid: *uid, gateway: Some(*gateway) };
            self.held.count(|| self.watch.handle_input(now, input));
        }
        assert_eq!(self.watch.poll_output(), None, "a restart alone says nothing");
        self.settled_at = self.now + 10_000;
        self.check();
    }
}
