use super::*;
use crate::attention::tests::{acknowledged, alert, closed};
use crate::notify::link::LASTS;
use muster_console::view::{DoNotDisturb, ProblemView, RowAlertKind};

const WALL: u64 = 1_796_050_000;

fn watch(folder: &Path) -> Watch {
    let mut watch = Watch::new(folder, NotificationSettings::default());
    watch.learn(connected());
    watch.learn(Event::Alerts { reset: true, alerts: Vec::new() });
    watch
}

fn connected() -> Event {
    Event::Noc { noc: NocLink::Connected { url: "https://noc:6878".to_owned() }, sites: Vec::new() }
}

fn lost() -> Event {
    let problem = ProblemView { code: String::new(), message: String::new(), remedy: String::new() };
    let since = 1_796_043_720;
    Event::Noc { noc: NocLink::Lost { url: "https://noc:6878".to_owned(), since, problem }, sites: Vec::new() }
}

fn alerts(alerts: &[AlertView]) -> Event {
    Event::Alerts { reset: false, alerts: alerts.to_vec() }
}

fn titles(told: Vec<Notification>) -> Vec<String> {
    told.into_iter().map(|told| told.title).collect()
}

fn later(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

#[test]
fn what_is_acknowledged_elsewhere_takes_its_notification_along() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut watch = watch(folder.path());
    watch.learn(alerts(&[alert(1, &["gw-1"]), alert(2, &["gw-2"])]));
    let told = watch.take(later(5), WALL);
    assert_eq!(told.len(), 1);
    assert!(!watch.is_over(&told[0].about));
    watch.learn(alerts(&[acknowledged(1, &["gw-1"])]));
    assert!(!watch.is_over(&told[0].about), "one of two still needs somebody");
    assert_eq!((watch.tray(WALL).counts.failing, watch.tray(WALL).counts.acknowledged), (1, 1));
    watch.learn(alerts(&[closed(2, &["gw-2"])]));
    assert!(watch.is_over(&told[0].about));
    let another = AlertView { opened: 900, ..alert(2, &["gw-2"]) };
    watch.learn(alerts(&[another]));
    assert!(watch.is_over(&told[0].about), "another NOC has a number 2, too");
}

#[test]
fn after_a_sleep_the_state_comes_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut watch = watch(folder.path());
    watch.learn(lost());
    watch.learn(alerts(&[alert(1, &["gw-1"])]));
    watch.is_old = true;
    assert!(watch.take(later(3_600), WALL).is_empty(), "neither the loss nor what may be over");
    // The NOC is asked anew: the alert is over, and the connection is there.
    watch.learn(connected());
    watch.learn(alerts(&[closed(1, &["gw-1"]), alert(2, &["gw-2"])]));
    watch.know_again(later(3_600));
    assert_eq!(titles(watch.take(later(3_605), WALL)), ["gw-2 no longer reports"]);
}

#[test]
fn a_noc_that_is_lost_after_a_sleep_has_to_be_so_for_a_while() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut watch = watch(folder.path());
    watch.learn(lost());
    watch.is_old = true;
    watch.know_again(later(3_600));
    assert!(watch.take(later(3_605), WALL).is_empty());
    let lasts = LASTS.as_secs();
    assert_eq!(titles(watch.take(later(3_605 + lasts), WALL)).len(), 1);
}

#[test]
fn quiet_times_end_with_one_summary_of_what_is_still_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut watch = watch(folder.path());
    watch.settings.do_not_disturb = DoNotDisturb::Until { at: u32::try_from(WALL).expect("before 2106") + 60 };
    watch.learn(alerts(&[alert(1, &["gw-1"]), alert(2, &["gw-2"])]));
    assert!(watch.take(later(5), WALL).is_empty());
    assert_eq!(watch.tray(WALL).counts.failing, 2, "the tray counts");
    assert!(watch.tray(WALL).quiet.is_some());
    watch.learn(alerts(&[closed(1, &["gw-1"])]));
    watch.learn(lost());
    assert!(watch.take(later(10), WALL + 61).is_empty(), "what is open is not known");
    watch.learn(connected());
    assert_eq!(titles(watch.take(later(10), WALL + 62)), ["Meanwhile an alert opened and is still open"]);
    assert!(watch.take(later(15), WALL + 63).is_empty());
    assert_eq!(watch.tray(WALL + 63).quiet, None);
}

#[test]
fn who_does_not_want_to_hear_of_it_does_not() {
    let of = |uids: &[&str]| alert(1, uids);
    let models: BTreeMap<String, String> =
        [("UID-a".to_owned(), "Mail".to_owned()), ("UID-b".to_owned(), "Door".to_owned())].into();
    let all = NotificationSettings::default();
    let settings = |change: fn(&mut NotificationSettings)| {
        let mut settings = all.clone();
        change(&mut settings);
        settings
    };
    assert!(is_wanted(&of(&["a"]), &all, &models));
    assert!(!is_wanted(&of(&["a"]), &settings(|all| all.muted_sites = vec![7]), &models));
    assert!(!is_wanted(&of(&["a"]), &settings(|all| all.muted_kinds = vec![RowAlertKind::Silent]), &models));
    let mail = settings(|all| all.muted_models = vec!["Mail".to_owned()]);
    assert!(!is_wanted(&of(&["a"]), &mail, &models));
    assert!(is_wanted(&of(&["a", "b"]), &mail, &models), "one of them is another model");
    assert!(is_wanted(&of(&["c"]), &mail, &models), "a model that is not known");
    assert!(is_wanted(&of(&[]), &mail, &models));
}

#[test]
fn nothing_is_looked_at_before_it_is_due_and_nothing_in_a_circle() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut watch = watch(folder.path());
    watch.settings.do_not_disturb = DoNotDisturb::On;
    watch.learn(lost());
    let late = later(3_600);
    assert!(watch.take(late, WALL).is_empty());
    assert_eq!(watch.wakes(late), late + GLANCE, "the loss waits for the end of the quiet time");
    watch.learn(connected());
    watch.learn(alerts(&[alert(1, &["gw-1"])]));
    let now = Instant::now();
    assert!(watch.wakes(now) <= now + BURST);
}
