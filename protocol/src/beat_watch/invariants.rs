//! What holds after any sequence of inputs.

use super::*;
use proptest::prelude::*;

/// What a driver would have in its store, from outputs alone.
#[derive(Default)]
struct Store {
    health: BTreeMap<Uid, (SiteId, Health)>,
    alerts: BTreeMap<AlertId, (OpenAlert, BTreeSet<Uid>)>,
    highest: u64,
}

impl Store {
    fn apply(&mut self, output: Output) -> Result<(), TestCaseError> {
        match output {
            Output::Health { uid, health } => {
                let stored = self.health.get_mut(&uid);
                prop_assert!(stored.is_some(), "health of one that nobody expects");
                if let Some(stored) = stored {
                    stored.1 = health;
                }
                if is_in_no_alert(health) {
                    self.leave(&uid);
                }
            }
            Output::Open(id, alert) => {
                prop_assert!(id.0 > self.highest, "an alert number was used again");
                self.highest = id.0;
                prop_assert!(!alert.uids.is_empty());
                for uid in &alert.uids {
                    let other = if alert.kind == AlertKind::Failing {
                        self.failing(uid, &alert.rule)
                    } else {
                        self.alert_of(uid)
                    };
                    prop_assert!(other.is_none(), "two open alerts for one appliance");
                }
                let members = alert.uids.iter().copied().collect();
                self.alerts.insert(id, (alert, members));
            }
            Output::Attach { alert, uid } => {
                prop_assert!(self.alert_of(&uid).is_none(), "two open alerts for one appliance");
                let open = self.alerts.get_mut(&alert);
                prop_assert!(open.is_some(), "attached to an alert that is not open");
                if let Some((_, members)) = open {
                    members.insert(uid);
                }
            }
            Output::Close(id) => prop_assert!(self.alerts.remove(&id).is_some(), "closed twice, or never opened"),
        }
        Ok(())
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

/// What the module says of who is in no alert of its beats.
fn is_in_no_alert(health: Health) -> bool {
    matches!(health, Health::Well | Health::Failing | Health::Late | Health::Maintenance | Health::NeverReported)
}

#[derive(Clone, Debug)]
enum Step {
    Expect(u8, u8, u8),
    Forget(u8),
    Beat(u8),
    BeatAll,
    Stalled,
    Wait(u32),
    Jump(u32),
    Back(u32),
    Restart,
    Behind(u8, u8),
    Maintain(u8, bool),
    Rule(u8, bool),
    Timing(u8, u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12_u8, 0..2_u8, 0..3_u8).prop_map(|(uid, site, interval)| Step::Expect(uid, site, interval)),
        1 => (0..12_u8).prop_map(Step::Forget),
        8 => (0..12_u8).prop_map(Step::Beat),
        3 => Just(Step::BeatAll),
        1 => Just(Step::Stalled),
        10 => (0..200_000_u32).prop_map(Step::Wait),
        1 => (0..100_000_000_u32).prop_map(Step::Jump),
        1 => (0..1_000_000_u32).prop_map(Step::Back),
        1 => Just(Step::Restart),
        2 => (0..12_u8, 0..12_u8).prop_map(|(uid, gateway)| Step::Behind(uid, gateway)),
        1 => (0..12_u8, any::<bool>()).prop_map(|(uid, on)| Step::Maintain(uid, on)),
        2 => (0..12_u8, any::<bool>()).prop_map(|(uid, broken)| Step::Rule(uid, broken)),
        1 => (0..2_u8, 0..4_u32).prop_map(|(site, misses)| Step::Timing(site, misses)),
    ]
}

const INTERVALS_S: [u32; 3] = [5, 60, 3_600];

struct Run {
    watch: BeatWatch,
    store: Store,
    intervals: BTreeMap<Uid, u32>,
    gateways: BTreeMap<Uid, Uid>,
    now: Millis,
    /// Set at a restart: until then a silent appliance may wait for the alert it lost.
    settled_at: Millis,
}

impl Run {
    fn input(&mut self, input: Input) -> Result<(), TestCaseError> {
        self.watch.handle_input(self.now, input);
        self.check()
    }

    fn wait_to(&mut self, to: Millis) -> Result<(), TestCaseError> {
        let mut wakes = 0;
        while let Some(at) = self.watch.poll_timeout().filter(|at| *at <= to) {
            self.now = self.now.max(at);
            self.watch.handle_timeout(self.now);
            self.check()?;
            wakes += 1;
            prop_assert!(wakes < 10_000, "wakes up for ever");
        }
        self.now = to;
        Ok(())
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        while let Some(output) = self.watch.poll_output() {
            self.store.apply(output)?;
        }
        for (uid, (_, health)) in &self.store.health {
            prop_assert_eq!(*health, self.watch.health(uid), "the store and the watch differ");
            let alerted = self.store.alert_of(uid).is_some();
            match health {
                Health::Silent | Health::Recovering | Health::Unreachable => {
                    prop_assert!(alerted || self.now <= self.settled_at, "silent, and no alert");
                }
                Health::Well | Health::Late | Health::Failing => {
                    let kind = self.store.alert_of(uid).map(|id| self.store.alerts[&id].0.kind);
                    prop_assert!(kind.is_none_or(|kind| kind == AlertKind::Unstable), "well, and an alert");
                }
                Health::Maintenance => prop_assert!(!alerted, "worked on, and an alert"),
                Health::NeverReported | Health::NotExpected => {}
            }
            let fails = self.store.failing(uid, "disk").is_some();
            prop_assert!(fails || *health != Health::Failing, "failing, and no alert");
            prop_assert!(!fails || !matches!(health, Health::Well | Health::Maintenance), "an alert, and not failing");
        }
        let mut sites = BTreeMap::new();
        for (alert, members) in self.store.alerts.values() {
            prop_assert!(!members.is_empty() || self.now <= self.settled_at, "an alert without an appliance");
            let is_for_many = matches!(alert.kind, AlertKind::Site | AlertKind::Silent | AlertKind::NeverReported);
            prop_assert!(members.len() == 1 || is_for_many || self.now <= self.settled_at);
            let by_itself =
                |uid: &&Uid| self.store.health.get(uid).is_some_and(|(_, health)| *health != Health::Unreachable);
            let is_about_one = alert.kind == AlertKind::Failing || members.iter().any(|uid| by_itself(&uid));
            prop_assert!(is_about_one || self.now <= self.settled_at, "an alert about nobody");
            if alert.kind == AlertKind::Site {
                let before = sites.insert(alert.site, ());
                prop_assert!(before.is_none(), "two site alerts for one site");
            }
        }
        Ok(())
    }

    fn restart(&mut self) -> Result<(), TestCaseError> {
        let first = AlertId(self.store.highest + 1);
        self.watch = BeatWatch::new(self.now, Rules::default()).first_alert_id(first);
        for (uid, (site, health)) in self.store.health.clone() {
            let interval_s = self.intervals.get(&uid).copied().unwrap_or(60);
            self.watch.handle_input(self.now, Input::Restore { uid, site, interval_s, health });
        }
        for (id, (alert, members)) in &self.store.alerts {
            let uids = members.iter().copied().collect();
            let input =
                Input::RestoreAlert { id: *id, site: alert.site, kind: alert.kind, uids, rule: alert.rule.clone() };
            self.watch.handle_input(self.now, input);
        }
        for (uid, gateway) in self.gateways.clone() {
            self.watch.handle_input(self.now, Input::Behind { uid, gateway: Some(gateway) });
        }
        prop_assert_eq!(self.watch.poll_output(), None, "a restart alone says nothing");
        self.settled_at = self.now + 10_000;
        self.check()
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        let uid = |n: u8| Uid([n; 20]);
        match step {
            Step::Expect(n, site, interval) => {
                let site = SiteId(u32::from(site));
                let interval_s = INTERVALS_S[usize::from(interval)];
                let stored = self.store.health.entry(uid(n)).or_insert((site, Health::NeverReported));
                stored.0 = site;
                self.intervals.insert(uid(n), interval_s);
                self.input(Input::Expect { uid: uid(n), site, interval_s })
            }
            Step::Forget(n) => {
                self.watch.handle_input(self.now, Input::Forget { uid: uid(n) });
                while let Some(output) = self.watch.poll_output() {
                    self.store.apply(output)?;
                }
                self.store.health.remove(&uid(n));
                self.gateways.remove(&uid(n));
                self.store.leave(&uid(n));
                self.check()
            }
            Step::Beat(n) => self.input(Input::Beat { uid: uid(n) }),
            Step::BeatAll => (0..12).try_for_each(|n| self.input(Input::Beat { uid: uid(n) })),
            Step::Stalled => self.input(Input::Stalled),
            Step::Wait(ms) => self.wait_to(self.now + u64::from(ms)),
            Step::Jump(ms) => {
                self.now = self.now + u64::from(ms);
                self.watch.handle_timeout(self.now);
                self.check()
            }
            Step::Back(ms) => {
                self.watch.handle_timeout(self.now - u64::from(ms));
                self.check()
            }
            Step::Restart => self.restart(),
            Step::Behind(n, gateway) => {
                if self.store.health.contains_key(&uid(n)) && n != gateway {
                    self.gateways.insert(uid(n), uid(gateway));
                }
                self.input(Input::Behind { uid: uid(n), gateway: Some(uid(gateway)) })
            }
            Step::Maintain(n, on) => self.input(Input::Maintain { uid: uid(n), on }),
            Step::Rule(n, broken) => self.input(Input::Rule { uid: uid(n), rule: "disk".to_owned(), broken }),
            Step::Timing(site, misses) => {
                let timing = (misses > 0).then(|| Timing { miss_intervals: misses, ..Timing::default() });
                self.input(Input::Timing { site: SiteId(u32::from(site)), timing })
            }
        }
    }
}

proptest! {
    #[test]
    fn nobody_is_in_two_alerts_and_no_silence_goes_unnoticed(steps in prop::collection::vec(step(), 0..120)) {
        let mut run = Run {
            watch: BeatWatch::new(Millis(0), Rules::default()).first_alert_id(AlertId(1)),
            store: Store::default(),
            intervals: BTreeMap::new(),
            gateways: BTreeMap::new(),
            now: Millis(0),
            settled_at: Millis(0),
        };
        for step in steps {
            run.step(step)?;
        }
        // Liveness: whoever never beats again ends in an alert.
        for n in 0..12 {
            run.step(Step::Maintain(n, false))?;
        }
        run.wait_to(run.now + 100_000_000)?;
        for uid in run.store.health.keys() {
            prop_assert!(run.store.alert_of(uid).is_some(), "{} went unnoticed", uid);
        }
    }
}
