//! What the administrator asks for outside the window: in the tray, and on a notification.

use crate::desktop::Desktop;
use crate::local_time::{Local, Zone};
use crate::notify::{About, Notification};
use crate::{summary, texts, wall, window};
use muster_console::engine::Engine;
use muster_console::problem::Explain;
use muster_console::view::{DoNotDisturb, ProblemView};
use tauri::{AppHandle, Manager};
use tokio::sync::mpsc;

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Show the window.
    Open,
    /// Show the pop-up beside this point of the screen, or hide it.
    Summary(i32, i32),
    /// Show the window and call the roll.
    Discover,
    /// Show an appliance in the window, or the alerts.
    Show(Option<String>),
    /// Say that these alerts were seen.
    Acknowledge(Vec<u32>),
    /// Have nobody be told of these alerts for a while.
    Silence(Vec<u32>, Silence),
    /// Ask after an appliance.
    Check(String),
    /// Say whether nobody is to be disturbed.
    Disturb(Disturb),
    /// End the app.
    Quit,
}

/// For how long nobody is to be disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disturb {
    /// Notifications come again.
    Again,
    /// As long as that.
    Not(Silence),
    /// Until somebody says otherwise.
    Never,
}

impl Disturb {
    /// What is to be set.
    pub(crate) fn setting(self, zone: &Zone, now: u64) -> DoNotDisturb {
        match self {
            Self::Again => DoNotDisturb::Off,
            Self::Not(length) => DoNotDisturb::Until { at: u32::try_from(length.until(zone, now)).unwrap_or(u32::MAX) },
            Self::Never => DoNotDisturb::On,
        }
    }
}

/// How long nobody is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// One hour.
    Hour,
    /// Until the next morning, at [`MORNING`].
    Tomorrow,
}

/// When a day begins for who does not want to be told before: minutes since midnight.
const MORNING: u16 = 8 * 60;

impl Silence {
    /// When it ends, in Unix seconds.
    pub(crate) fn until(self, zone: &Zone, now: u64) -> u64 {
        match self {
            Self::Hour => now + 3_600,
            Self::Tomorrow => tomorrow_morning(zone, now),
        }
    }
}

/// Eight o'clock of the next day, local time.
pub(crate) fn tomorrow_morning(zone: &Zone, now: u64) -> u64 {
    zone.moment(Local { day: zone.local(now).day + 1, minute: MORNING })
}

/// Does what is asked for, each by itself: a NOC that does not answer holds up nothing else. What came of it goes to `told`.
pub(crate) async fn follow(
    app: &AppHandle,
    mut actions: mpsc::UnboundedReceiver<Action>,
    told: mpsc::UnboundedSender<Notification>,
) {
    while let Some(action) = actions.recv().await {
        match action {
            Action::Open => window::raise(app),
            Action::Summary(x, y) => show_summary(app, x, y).await,
            Action::Show(uid) => app.state::<Desktop>().open_at(uid),
            Action::Quit => app.exit(0),
            Action::Disturb(disturb) => {
                let setting = disturb.setting(&Zone::system(), wall());
                if let Err(error) = app.state::<Desktop>().settings().disturb(setting) {
                    let _ = told.send(failed(texts::NOT_SET, &error.problem()));
                }
            }
            slow => {
                let (app, told) = (app.clone(), told.clone());
                tauri::async_runtime::spawn(async move {
                    if let Some(notification) = act(&app, slow).await {
                        // Nobody listens only while the app ends.
                        let _ = told.send(notification);
                    }
                });
            }
        }
    }
}

/// Before a NOC was joined there is nothing to sum up, but a question to answer.
async fn show_summary(app: &AppHandle, x: i32, y: i32) {
    let engine = app.state::<Desktop>();
    let has_joined = engine.engine().await.is_ok_and(Engine::has_joined);
    let (asked, asking) = (app.clone(), app.clone());
    let shown = asking.run_on_main_thread(move || {
        if !has_joined {
            return window::raise(&asked);
        }
        if let Err(error) = summary::toggle(&asked, x, y) {
            tracing::warn!(error = &error as &dyn std::error::Error, "no pop-up: the window is shown");
            window::raise(&asked);
        }
    });
    if let Err(error) = shown {
        tracing::warn!(error = &error as &dyn std::error::Error, "no pop-up");
    }
}

/// What came of it, if there is something to say.
async fn act(app: &AppHandle, action: Action) -> Option<Notification> {
    let desktop = app.state::<Desktop>();
    let engine = match desktop.engine().await {
        Ok(engine) => engine,
        Err(problem) => return Some(failed(texts::NOT_DONE, &problem)),
    };
    match action {
        Action::Discover => {
            window::raise(app);
            engine.discover().await.err().map(|error| failed(texts::NOT_DISCOVERED, &error.problem()))
        }
        Action::Acknowledge(alerts) => Some(acknowledge(engine, &alerts).await),
        Action::Silence(alerts, silence) => {
            let (zone, now) = (Zone::system(), wall());
            Some(silence_until(engine, &alerts, silence.until(&zone, now), &zone, now).await)
        }
        Action::Check(uid) => Some(check(engine, &uid).await),
        Action::Open | Action::Summary(..) | Action::Show(_) | Action::Disturb(_) | Action::Quit => None,
    }
}

async fn acknowledge(engine: &Engine, alerts: &[u32]) -> Notification {
    let mut outcome = Outcome::default();
    for alert in alerts {
        if !outcome.take(engine.acknowledge(*alert, "").await.map_err(|error| error.problem())) {
            break;
        }
    }
    outcome.told(alerts, &texts::acknowledged(outcome.done), texts::NOT_ACKNOWLEDGED)
}

async fn silence_until(engine: &Engine, alerts: &[u32], until: u64, zone: &Zone, now: u64) -> Notification {
    let seconds = u32::try_from(until.saturating_sub(now)).unwrap_or(u32::MAX);
    let mut outcome = Outcome::default();
    for alert in alerts {
        if !outcome.take(engine.silence(*alert, seconds).await.map_err(|error| error.problem())) {
            break;
        }
    }
    outcome.told(alerts, &texts::silenced(outcome.done, &zone.written(until, now)), texts::NOT_SILENCED)
}

async fn check(engine: &Engine, uid: &str) -> Notification {
    match engine.check_now(uid).await {
        Err(error) => failed(texts::NOT_CHECKED, &error.problem()),
        Ok(checked) => Notification {
            title: texts::checked(&checked),
            body: texts::checked_body(&checked),
            uid: Some(uid.to_owned()),
            bad: false,
            about: About::Nothing,
        },
    }
}

/// What became of one thing done to several alerts.
#[derive(Debug, Default)]
struct Outcome {
    done: usize,
    problem: Option<ProblemView>,
}

impl Outcome {
    /// False when it makes no sense to go on: what is not reached for one is not reached for the next.
    fn take(&mut self, outcome: Result<(), ProblemView>) -> bool {
        match outcome {
            Ok(()) => {
                self.done += 1;
                true
            }
            Err(problem) => {
                let goes_on = !["noc_unreachable", "not_joined", "engine_ended"].contains(&problem.code.as_str());
                self.problem.get_or_insert(problem);
                goes_on
            }
        }
    }

    fn told(&self, alerts: &[u32], done: &str, not: &str) -> Notification {
        let Some(problem) = &self.problem else {
            return Notification {
                title: done.to_owned(),
                body: String::new(),
                uid: None,
                bad: false,
                about: About::Nothing,
            };
        };
        let not = if alerts.len() == 1 { not.to_owned() } else { texts::in_part(self.done, alerts.len(), not) };
        failed(&not, problem)
    }
}

fn failed(not: &str, problem: &ProblemView) -> Notification {
    Notification { title: not.to_owned(), body: texts::why(problem), uid: None, bad: true, about: About::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local_time::tests::europe;

    fn problem(code: &str) -> ProblemView {
        ProblemView {
            code: code.to_owned(),
            message: "the NOC at https://noc:6878 cannot be reached".to_owned(),
            remedy: "Check the network.".to_owned(),
        }
    }

    #[test]
    fn a_silence_ends_in_an_hour_or_in_the_morning() {
        // 2026-11-30 14:02 and 2026-10-24 23:30, the night before the clocks change.
        for (now, morning) in [(1_796_043_720, "2026-12-01 08:00"), (1_792_877_400, "2026-10-25 08:00")] {
            let zone = europe();
            assert_eq!(Silence::Hour.until(&zone, now), now + 3_600);
            assert_eq!(zone.written(Silence::Tomorrow.until(&zone, now), now), morning);
        }
    }

    #[test]
    fn what_came_of_it_is_told_with_its_reason() {
        let told = |outcome: &Outcome, alerts: &[u32]| {
            outcome.told(alerts, &texts::acknowledged(outcome.done), texts::NOT_ACKNOWLEDGED)
        };
        let mut outcome = Outcome::default();
        assert!(outcome.take(Ok(())));
        assert_eq!(told(&outcome, &[1]).title, "1 alert acknowledged");
        assert!(outcome.take(Err(problem("not_found"))), "the others may be there");
        assert!(!outcome.take(Err(problem("noc_unreachable"))));
        let partly = told(&outcome, &[1, 2, 3]);
        assert_eq!(partly.title, "1 of 3 done, the rest was not acknowledged");
        assert_eq!(partly.body, "The NOC at https://noc:6878 cannot be reached. Check the network.");
        assert!(partly.bad);
        let mut failed = Outcome::default();
        failed.take(Err(problem("noc_unreachable")));
        assert_eq!(told(&failed, &[1]).title, "Not acknowledged");
    }
}
