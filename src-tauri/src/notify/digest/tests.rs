use super::*;
use crate::attention::tests::{acknowledged, alert, closed, silenced};

fn digest() -> Digest {
    Digest::new(BTreeMap::new())
}

fn tell(digest: &mut Digest) -> Vec<Notification> {
    tell_when(digest, false, &|_| true)
}

fn tell_when(digest: &mut Digest, quiet: bool, wanted: &dyn Fn(&AlertView) -> bool) -> Vec<Notification> {
    digest.take(&Telling { quiet, wanted, site: &|_| Some("Harbour".to_owned()) })
}

fn titles(notifications: &[Notification]) -> Vec<&str> {
    notifications.iter().map(|notification| notification.title.as_str()).collect()
}

#[test]
fn opening_and_closing_are_told_once() {
    let mut digest = digest();
    assert!(digest.observe(&[alert(1, &["gw-1"])], false));
    let told = tell(&mut digest);
    assert_eq!(titles(&told), ["gw-1 no longer reports"]);
    assert_eq!(told[0].uid.as_deref(), Some("UID-gw-1"));
    assert_eq!(told[0].about, About::Alerts(vec![(1, 100)]));
    assert!(!digest.observe(&[alert(1, &["gw-1"])], true), "a replay is no news");
    assert!(digest.observe(&[closed(1, &["gw-1"])], false));
    let told = tell(&mut digest);
    assert_eq!((titles(&told), &told[0].about), (vec!["gw-1 reports again"], &About::Nothing));
    assert!(!digest.observe(&[closed(1, &["gw-1"])], true), "a closed alert is no news");
}

#[test]
fn a_restart_repeats_nothing() {
    let mut digest = digest();
    digest.observe(&[alert(1, &["gw-1"])], true);
    tell(&mut digest);
    let mut digest = Digest::new(digest.known().clone());
    assert!(!digest.observe(&[alert(1, &["gw-1"]), closed(2, &["gw-2"])], true));
    assert!(digest.observe(&[closed(1, &["gw-1"])], false), "that it is back is still to be told");
}

#[test]
fn a_burst_is_one_notification() {
    let mut digest = digest();
    for id in 1..=7 {
        digest.observe(&[alert(id, &[&format!("gw-{id}")])], false);
    }
    let told = tell(&mut digest);
    assert_eq!(titles(&told), ["7 appliances no longer report"]);
    assert_eq!((told[0].body.as_str(), &told[0].uid), ("gw-1, gw-2, gw-3, gw-4, gw-5 and 2 more", &None));
    assert_eq!(told[0].about, About::Alerts((1..=7).map(|id| (id, 100)).collect()));
    assert!(tell(&mut digest).is_empty(), "what was taken is gone");
}

#[test]
fn a_short_silence_is_not_told() {
    let mut digest = digest();
    assert!(digest.observe(&[alert(1, &["gw-1"])], false));
    assert!(!digest.observe(&[closed(1, &["gw-1"])], false));
    assert!(tell(&mut digest).is_empty(), "it came back before anybody was told");
}

#[test]
fn an_alert_that_gives_way_to_another_is_no_good_news() {
    let mut digest = digest();
    digest.observe(&[alert(1, &["gw-1"])], false);
    tell(&mut digest);
    let mut over = closed(1, &["gw-1"]);
    over.appliances[0].health = RowHealth::Unreachable;
    digest.observe(&[over, alert(2, &["gw-1", "gw-2"])], false);
    assert_eq!(titles(&tell(&mut digest)), ["Harbour: 2 appliances became silent at once"]);
}

#[test]
fn a_broken_rule_is_told_with_its_name_and_so_is_that_it_is_mended() {
    let mut digest = digest();
    let broken = |alert| AlertView { kind: RowAlertKind::Failing, rule: "disk full".to_owned(), ..alert };
    digest.observe(&[broken(alert(1, &["gw-1"])), broken(alert(2, &["gw-2"]))], false);
    assert_eq!(titles(&tell(&mut digest)), ["2 appliances: disk full"]);
    digest.observe(&[broken(closed(1, &["gw-1"]))], false);
    assert_eq!(titles(&tell(&mut digest)), ["gw-1 is fine again"]);
    let unstable = AlertView { kind: RowAlertKind::Unstable, ..alert(3, &["gw-3"]) };
    digest.observe(&[unstable], false);
    assert_eq!(titles(&tell(&mut digest)), ["gw-3 keeps coming and going"]);
}

#[test]
fn a_site_is_named() {
    let mut digest = digest();
    digest.observe(&[alert(1, &["gw-1", "gw-2"])], false);
    assert_eq!(titles(&tell(&mut digest)), ["Harbour: 2 appliances became silent at once"]);
}

#[test]
fn what_somebody_has_taken_up_is_not_told() {
    let mut digest = digest();
    digest.observe(&[alert(1, &["gw-1"])], false);
    assert!(!digest.observe(&[acknowledged(1, &["gw-1"]), acknowledged(2, &["gw-2"])], false));
    assert!(!digest.observe(&[closed(1, &["gw-1"]), closed(2, &["gw-2"])], false), "nor that it is over");
    assert!(digest.known().is_empty());
}

#[test]
fn that_it_is_over_is_told_to_who_acknowledged_it() {
    let mut digest = digest();
    digest.observe(&[alert(1, &["gw-1"])], false);
    tell(&mut digest);
    assert!(!digest.observe(&[acknowledged(1, &["gw-1"])], false));
    assert!(digest.observe(&[closed(1, &["gw-1"])], false));
    assert_eq!(titles(&tell(&mut digest)), ["gw-1 reports again"]);
}

#[test]
fn what_was_silenced_is_told_again_when_that_ends() {
    let mut digest = digest();
    digest.observe(&[alert(1, &["gw-1"])], false);
    tell(&mut digest);
    assert!(!digest.observe(&[silenced(1, &["gw-1"]), silenced(2, &["gw-2"])], false));
    assert!(!digest.observe(&[closed(2, &["gw-2"])], false), "it came back while it was silenced");
    let mut digest = Digest::new(digest.known().clone());
    assert!(digest.observe(&[alert(1, &["gw-1"])], true));
    assert_eq!(titles(&tell(&mut digest)), ["gw-1 no longer reports"]);
}

#[test]
fn quiet_hours_are_summed_up() {
    let mut digest = digest();
    digest.observe(&[alert(1, &["gw-1"])], false);
    tell(&mut digest);
    let opened = [alert(2, &["gw-2"]), alert(3, &["gw-3"]), alert(4, &["gw-4"]), alert(5, &["gw-5"])];
    digest.observe(&opened, false);
    digest.observe(&[closed(1, &["gw-1"])], false);
    assert!(tell_when(&mut digest, true, &|_| true).is_empty(), "nothing pops up");
    // A restart in between, one that came back, one that somebody took up.
    let mut digest = Digest::new(digest.known().clone());
    let now = [closed(2, &["gw-2"]), acknowledged(3, &["gw-3"]), alert(4, &["gw-4"]), alert(5, &["gw-5"])];
    assert!(!digest.observe(&now, true));
    let told = digest.summary(now.iter()).expect("two are still open");
    assert_eq!(
        (told.title.as_str(), told.body.as_str()),
        ("Meanwhile 2 alerts opened and are still open", "gw-4, gw-5")
    );
    assert_eq!(told.about, About::Alerts(vec![(4, 100), (5, 100)]));
    assert_eq!(digest.summary(now.iter()), None, "once");
    assert!(digest.observe(&[closed(4, &["gw-4"])], false), "that it is over is told, for now it was told");
}

#[test]
fn what_nobody_wants_to_hear_of_is_told_neither_now_nor_later() {
    let mut digest = digest();
    digest.observe(&[alert(1, &["gw-1"]), alert(2, &["gw-2"])], false);
    let wanted = |alert: &AlertView| alert.id == 2;
    assert_eq!(titles(&tell_when(&mut digest, false, &wanted)), ["gw-2 no longer reports"]);
    assert!(!digest.observe(&[alert(1, &["gw-1"])], true), "the filter was changed: what is old is no news");
    assert!(!digest.observe(&[closed(1, &["gw-1"])], false));
}
