//! The connection to the NOC: its loss is told once it lasts, and so is its return.

use super::{About, Notification};
use crate::local_time::Zone;
use crate::texts;
use muster_console::view::NocLink;
use std::time::Duration;
use tokio::time::Instant;

/// A loss that is over sooner is nobody's matter.
pub(crate) const LASTS: Duration = Duration::from_secs(60);

/// Follows the connection.
#[derive(Debug)]
pub(crate) struct LinkWatch {
    /// Since when it is lost, if that was told.
    told: Option<u32>,
    now: State,
}

#[derive(Debug)]
enum State {
    /// Nothing is known yet.
    Unknown,
    Connected,
    /// `due` is when it has lasted long enough.
    Lost {
        since: u32,
        remedy: String,
        due: Instant,
    },
}

impl LinkWatch {
    /// `told`: since when it is lost, if an earlier run told so.
    pub(crate) fn new(told: Option<u32>) -> Self {
        Self { told, now: State::Unknown }
    }

    /// What is to be on record.
    pub(crate) fn told(&self) -> Option<u32> {
        self.told
    }

    /// Takes how it stands.
    pub(crate) fn observe(&mut self, link: &NocLink, now: Instant) {
        self.now = match (link, &self.now) {
            (NocLink::NotJoined, _) => State::Unknown,
            (NocLink::Connected { .. }, _) => State::Connected,
            (NocLink::Lost { since, problem, .. }, State::Lost { due, .. }) => {
                State::Lost { since: *since, remedy: problem.remedy.clone(), due: *due }
            }
            (NocLink::Lost { since, problem, .. }, _) => {
                State::Lost { since: *since, remedy: problem.remedy.clone(), due: now + LASTS }
            }
        };
    }

    /// The computer slept: what lasted until then says nothing, and has to last anew.
    pub(crate) fn resume(&mut self, at: Instant) {
        if let State::Lost { due, .. } = &mut self.now {
            *due = at + LASTS;
        }
    }

    /// Since when the NOC is lost: an earlier run may have known for longer.
    pub(crate) fn since(&self) -> Option<u32> {
        match &self.now {
            State::Lost { since, .. } => Some(self.told.map_or(*since, |told| told.min(*since))),
            State::Unknown | State::Connected => None,
        }
    }

    /// When there may be something to tell; `None` for not by itself.
    pub(crate) fn due(&self) -> Option<Instant> {
        match &self.now {
            State::Lost { due, .. } if self.told.is_none() => Some(*due),
            State::Connected if self.told.is_some() => Some(Instant::now()),
            _ => None,
        }
    }

    /// What there is to tell at `now`. In quiet times a return is not told, and a loss when they are over.
    pub(crate) fn take(&mut self, now: Instant, quiet: bool, zone: &Zone, wall: u64) -> Option<Notification> {
        match &self.now {
            State::Lost { since, remedy, due } if self.told.is_none() && *due <= now && !quiet => {
                self.told = Some(*since);
                Some(Notification {
                    title: texts::lost(&zone.written((*since).into(), wall)),
                    body: texts::lost_body(remedy),
                    uid: None,
                    bad: true,
                    about: About::Link,
                })
            }
            State::Connected => {
                let since = self.told.take()?;
                (!quiet).then(|| Notification {
                    title: texts::CONNECTED_AGAIN.to_owned(),
                    body: texts::connected_again_body(&zone.written(since.into(), wall)),
                    uid: None,
                    bad: false,
                    about: About::Nothing,
                })
            }
            State::Unknown | State::Lost { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local_time::tests::europe;
    use muster_console::view::ProblemView;

    const SINCE: u32 = 1_796_043_720;
    const WALL: u64 = 1_796_050_000;

    fn lost(since: u32) -> NocLink {
        let problem = ProblemView { code: String::new(), message: String::new(), remedy: "Look at it.".to_owned() };
        NocLink::Lost { url: "https://noc:6878".to_owned(), since, problem }
    }

    fn connected() -> NocLink {
        NocLink::Connected { url: "https://noc:6878".to_owned() }
    }

    fn take(watch: &mut LinkWatch, now: Instant) -> Option<String> {
        watch.take(now, false, &europe(), WALL).map(|told| told.title)
    }

    #[test]
    fn a_loss_is_told_once_it_lasts_and_so_is_the_return() {
        let mut watch = LinkWatch::new(None);
        let start = Instant::now();
        watch.observe(&connected(), start);
        watch.observe(&lost(SINCE), start);
        assert_eq!((take(&mut watch, start), watch.due()), (None, Some(start + LASTS)));
        watch.observe(&lost(SINCE), start + LASTS / 2);
        assert_eq!(watch.due(), Some(start + LASTS), "another attempt that failed changes nothing");
        let told = watch.take(start + LASTS, false, &europe(), WALL).expect("it lasts");
        assert_eq!((told.title.as_str(), told.about), ("No connection to the NOC since 14:02", About::Link));
        assert!(told.body.contains("Look at it."), "{}", told.body);
        assert_eq!((take(&mut watch, start + 2 * LASTS), watch.due()), (None, None), "once");
        watch.observe(&connected(), start + 2 * LASTS);
        assert_eq!(take(&mut watch, start + 2 * LASTS).as_deref(), Some("Connected to the NOC again"));
        assert_eq!((take(&mut watch, start + 3 * LASTS), watch.due()), (None, None), "once");
    }

    #[test]
    fn a_short_loss_is_not_told() {
        let mut watch = LinkWatch::new(None);
        let start = Instant::now();
        watch.observe(&lost(SINCE), start);
        watch.observe(&connected(), start + LASTS / 2);
        assert_eq!(take(&mut watch, start + LASTS), None);
        watch.observe(&lost(SINCE), start + LASTS);
        assert_eq!(take(&mut watch, start + LASTS), None, "and the next one has to last for itself");
    }

    #[test]
    fn a_restart_repeats_nothing_and_knows_since_when() {
        let mut watch = LinkWatch::new(Some(SINCE));
        let start = Instant::now();
        watch.observe(&NocLink::NotJoined, start);
        assert_eq!(take(&mut watch, start), None);
        watch.observe(&lost(SINCE + 600), start);
        assert_eq!((take(&mut watch, start + 2 * LASTS), watch.since()), (None, Some(SINCE)));
        watch.observe(&connected(), start + 2 * LASTS);
        assert_eq!(take(&mut watch, start + 2 * LASTS).as_deref(), Some("Connected to the NOC again"));
    }

    #[test]
    fn quiet_times_tell_a_loss_at_their_end_and_no_return() {
        let mut watch = LinkWatch::new(None);
        let start = Instant::now();
        watch.observe(&lost(SINCE), start);
        assert_eq!(watch.take(start + LASTS, true, &europe(), WALL), None);
        assert!(take(&mut watch, start + 2 * LASTS).is_some(), "it is still lost");
        watch.observe(&connected(), start + 3 * LASTS);
        assert_eq!(watch.take(start + 3 * LASTS, true, &europe(), WALL), None);
        assert_eq!(take(&mut watch, start + 4 * LASTS), None, "that is old");
    }

    #[test]
    fn sleep_is_no_loss() {
        let mut watch = LinkWatch::new(None);
        let start = Instant::now();
        watch.observe(&lost(SINCE), start);
        watch.resume(start + 10 * LASTS);
        assert_eq!(take(&mut watch, start + 10 * LASTS), None);
        assert!(take(&mut watch, start + 11 * LASTS).is_some(), "what is still lost after it is told");
    }
}
