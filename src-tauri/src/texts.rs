//! Every text that the app shows outside its window: tray, notifications, problems. One place to translate.

use crate::attention::Counts;
use crate::tray::{TrayLink, TrayQuiet, TrayView};
use muster_console::view::{AlertView, CheckedView, ProblemView, RowAlertKind, RowHealth};
use muster_protocol::text::printable;

/// Name of the app, title of the window.
pub(crate) const APP: &str = "Muster";
/// Tray menu: show the window.
pub(crate) const OPEN: &str = "Open Muster";
/// Tray menu: call the roll.
pub(crate) const DISCOVER: &str = "Discover";
/// Tray menu: end the app.
pub(crate) const QUIT: &str = "Quit";
/// Button of a notification.
pub(crate) const SHOW: &str = "Show";
/// Button of a notification, entry of the tray: show the appliance or the alerts.
pub(crate) const OPEN_ALERT: &str = "Open";
/// Button of a notification, entry of the tray.
pub(crate) const ACKNOWLEDGE: &str = "Acknowledge";
/// Button of a notification, entry of the tray.
pub(crate) const SILENCE_HOUR: &str = "Silence for 1 hour";

/// Entry of the tray.
pub(crate) const SILENCE_TOMORROW: &str = "Silence until tomorrow";
/// Entry of the tray.
pub(crate) const CHECK: &str = "Check now";
/// Entries of the tray: how long nobody is to be disturbed.
pub(crate) const DISTURB_HOUR: &str = "For 1 hour";
/// See [`DISTURB_HOUR`].
pub(crate) const DISTURB_TOMORROW: &str = "Until tomorrow, 8:00";
/// See [`DISTURB_HOUR`].
pub(crate) const DISTURB_ON: &str = "Until switched off";
/// See [`DISTURB_HOUR`].
pub(crate) const DISTURB_OFF: &str = "Notify again";

/// Entry of the tray: whether nobody is to be disturbed, and until when.
pub(crate) fn do_not_disturb(quiet: Option<&TrayQuiet>) -> String {
    match quiet {
        None => "Do not disturb".to_owned(),
        Some(TrayQuiet::Until(until)) => format!("Do not disturb (until {until})"),
        Some(TrayQuiet::Open) => "Do not disturb (on)".to_owned(),
        Some(TrayQuiet::Hours(until)) => format!("Do not disturb (quiet hours until {until})"),
    }
}

/// Entry of the tray about an alert.
pub(crate) fn alert(alert: &AlertView, site: &str, since: &str) -> String {
    let names: Vec<String> = alert.appliances.iter().map(|appliance| printable(&appliance.name)).collect();
    let what = match alert.kind {
        RowAlertKind::Silent => silent(&names),
        RowAlertKind::NeverReported => never_reported(&names),
        RowAlertKind::Site => self::site(site, names.len()),
        RowAlertKind::Unstable => unstable(&names),
        RowAlertKind::Failing => failing(&names, &alert.rule),
    };
    format!("{what} ({since})")
}

/// Entry of the tray below the alerts that have one of their own.
pub(crate) fn more_alerts(count: usize) -> String {
    format!("and {count} more…")
}

/// Why settings are not as they were left.
pub(crate) fn damaged_settings(file: &std::path::Path, why: &str) -> String {
    format!("{} cannot be read ({why}), so the usual settings hold until you save others", file.display())
}

/// What did not happen: a change of settings.
pub(crate) const NOT_SET: &str = "Not set";
/// What did not happen: an acknowledgement.
pub(crate) const NOT_ACKNOWLEDGED: &str = "Not acknowledged";
/// What did not happen: a silence.
pub(crate) const NOT_SILENCED: &str = "Not silenced";
/// What did not happen: asking after an appliance.
pub(crate) const NOT_CHECKED: &str = "Not checked";
/// What did not happen: a roll call.
pub(crate) const NOT_DISCOVERED: &str = "Not discovered";
/// What did not happen: anything.
pub(crate) const NOT_DONE: &str = "Not done";

/// Second line of a notification about what did not happen: why, and what to do.
pub(crate) fn why(problem: &ProblemView) -> String {
    let mut message = problem.message.trim_end_matches('.').to_owned();
    if let Some(first) = message.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!("{message}. {}", problem.remedy).trim_end().to_owned()
}

/// What did not happen to some of several alerts.
pub(crate) fn in_part(done: usize, of: usize, not: &str) -> String {
    let mut rest = not.to_owned();
    if let Some(first) = rest.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    format!("{done} of {of} done, the rest was {rest}")
}

fn alerts(count: usize) -> String {
    if count == 1 { "1 alert".to_owned() } else { format!("{count} alerts") }
}

/// Title of the notification that alerts were acknowledged.
pub(crate) fn acknowledged(count: usize) -> String {
    format!("{} acknowledged", alerts(count))
}

/// Title of the notification that alerts were silenced.
pub(crate) fn silenced(count: usize, until: &str) -> String {
    format!("{} silenced until {until}", alerts(count))
}

/// Title of the notification about an appliance that was asked after.
pub(crate) fn checked(checked: &CheckedView) -> String {
    let name = printable(&checked.name);
    match (&checked.problem, checked.heard_at.is_empty()) {
        (Some(_), true) => format!("{name} could not be asked on this network"),
        (_, true) => format!("{name} does not answer on this network"),
        (_, false) => format!("{name} answers on this network"),
    }
}

/// Second line of that notification.
pub(crate) fn checked_body(checked: &CheckedView) -> String {
    let from = checked.heard_at.first().map(|place| format!("From {place}. "));
    let why = checked.problem.as_ref().map(|problem| format!("{}. ", problem.message));
    let noc = if checked.connected {
        format!("The NOC says: {}.", health(checked.health))
    } else {
        "The NOC cannot be reached.".to_owned()
    };
    [from, why, Some(noc)].into_iter().flatten().collect()
}

fn health(health: RowHealth) -> &'static str {
    match health {
        RowHealth::NotExpected => "no beats are expected",
        RowHealth::NeverReported => "it never reported",
        RowHealth::Well => "it is well",
        RowHealth::Late => "its beat is late",
        RowHealth::Silent => "it is silent",
        RowHealth::Recovering => "it beats again",
        RowHealth::Failing => "it reports, and something is wrong",
        RowHealth::Unreachable => "it is unreachable behind its gateway",
        RowHealth::Maintenance => "it is in maintenance",
    }
}

/// Tray menu: open the alerts.
pub(crate) fn alerts_item(open: usize) -> String {
    if open == 0 { "Alerts".to_owned() } else { format!("Alerts ({open})") }
}

/// What the tray icon says in words.
pub(crate) fn tray(view: &TrayView) -> String {
    match &view.link {
        TrayLink::NotJoined => "Not set up yet".to_owned(),
        TrayLink::Joined => counts(view.counts, "All well"),
        TrayLink::Lost { since } => {
            let then = counts(view.counts, "nothing was failing");
            format!("No connection to the NOC since {since}. Known from then: {then}")
        }
    }
}

/// How many fail, and how many are taken care of; or `none`.
fn counts(counts: Counts, none: &str) -> String {
    let Counts { failing, acknowledged, silenced } = counts;
    let handled: Vec<String> = [(acknowledged, "acknowledged"), (silenced, "silenced")]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    match (failing, handled.is_empty()) {
        (0, true) => none.to_owned(),
        (0, false) => format!("Nobody is needed: {}", handled.join(", ")),
        (_, true) => failing_count(failing),
        (_, false) => format!("{}, {}", failing_count(failing), handled.join(", ")),
    }
}

fn failing_count(failing: usize) -> String {
    match failing {
        1 => "1 appliance is failing".to_owned(),
        n => format!("{n} appliances are failing"),
    }
}

/// Title of the notification about a NOC that is not reached any more.
pub(crate) fn lost(since: &str) -> String {
    format!("No connection to the NOC since {since}")
}

/// Second line of that notification.
pub(crate) fn lost_body(remedy: &str) -> String {
    format!("Nothing is known of the appliances since then. {remedy}").trim_end().to_owned()
}

/// Title of the notification about a NOC that is reached again.
pub(crate) const CONNECTED_AGAIN: &str = "Connected to the NOC again";

/// Second line of that notification.
pub(crate) fn connected_again_body(since: &str) -> String {
    format!("It was not reached since {since}. What happened meanwhile is told now.")
}

/// Title of the notification at the end of a time in which nobody was to be disturbed.
pub(crate) fn opened_meanwhile(alerts: usize) -> String {
    match alerts {
        1 => "Meanwhile an alert opened and is still open".to_owned(),
        n => format!("Meanwhile {n} alerts opened and are still open"),
    }
}

/// Title of the notification about appliances that were well and no longer report.
pub(crate) fn silent(names: &[String]) -> String {
    match names {
        [one] => format!("{one} no longer reports"),
        many => format!("{} appliances no longer report", many.len()),
    }
}

/// Title of the notification about appliances that were configured and never reported.
pub(crate) fn never_reported(names: &[String]) -> String {
    match names {
        [one] => format!("{one} was configured and does not report"),
        many => format!("{} configured appliances do not report", many.len()),
    }
}

/// Title of the notification about a site that became silent as a whole.
pub(crate) fn site(site: &str, count: usize) -> String {
    match count {
        1 => format!("{site}: 1 appliance became silent"),
        n => format!("{site}: {n} appliances became silent at once"),
    }
}

/// Title of the notification about appliances that are back.
pub(crate) fn reports_again(names: &[String]) -> String {
    match names {
        [one] => format!("{one} reports again"),
        many => format!("{} appliances report again", many.len()),
    }
}

/// Title of the notification about appliances that become silent and well again too often.
pub(crate) fn unstable(names: &[String]) -> String {
    match names {
        [one] => format!("{one} keeps coming and going"),
        many => format!("{} appliances keep coming and going", many.len()),
    }
}

/// Title of the notification about appliances that break a health rule.
pub(crate) fn failing(names: &[String], rule: &str) -> String {
    match names {
        [one] => format!("{one}: {rule}"),
        many => format!("{} appliances: {rule}", many.len()),
    }
}

/// Title of the notification about appliances that break no rule any more.
pub(crate) fn is_fine_again(names: &[String]) -> String {
    match names {
        [one] => format!("{one} is fine again"),
        many => format!("{} appliances are fine again", many.len()),
    }
}

/// Second line of a notification about one appliance that breaks a health rule.
pub(crate) const FAILING_BODY: &str = "It reports, and says that something is wrong.";
/// Second line of a notification about one appliance that is unstable.
pub(crate) const UNSTABLE_BODY: &str =
    "Check its link and its power. Single failures are not told until it has been quiet for an hour.";
/// Second line of a notification about one appliance, or about one site.
pub(crate) const SILENT_BODY: &str = "Its SecureBeat failed. Check its power and its link; Muster keeps watching.";
/// Second line of a notification about a whole site.
pub(crate) const SITE_BODY: &str = "Check the site's power and its uplink first; Muster keeps watching.";

/// Second line of a notification about several: the first names.
pub(crate) fn names(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut line = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        line.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    line
}

/// Remedy when the port of the new NOC is taken.
pub(crate) const ANOTHER_PORT: &str =
    "Stop the program that uses the port, or write another after the colon in the address of this computer.";

/// A site whose name is not known.
pub(crate) fn unnamed_site(id: u32) -> String {
    format!("Site {id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(link: TrayLink, failing: usize, acknowledged: usize, silenced: usize) -> String {
        tray(&TrayView { link, counts: Counts { failing, acknowledged, silenced }, ..TrayView::unknown() })
    }

    #[test]
    fn counts_read_well() {
        assert_eq!(says(TrayLink::Joined, 0, 0, 0), "All well");
        assert_eq!(says(TrayLink::Joined, 1, 0, 0), "1 appliance is failing");
        assert_eq!(says(TrayLink::Joined, 3, 2, 0), "3 appliances are failing, 2 acknowledged");
        assert_eq!(says(TrayLink::Joined, 0, 2, 1), "Nobody is needed: 2 acknowledged, 1 silenced");
        assert_eq!(says(TrayLink::NotJoined, 0, 0, 0), "Not set up yet");
        assert_eq!(silent(&["gw-003".to_owned()]), "gw-003 no longer reports");
        assert_eq!(reports_again(&["a".to_owned(), "b".to_owned()]), "2 appliances report again");
    }

    #[test]
    fn a_lost_link_is_never_all_well() {
        let lost = || TrayLink::Lost { since: "14:02".to_owned() };
        let quiet = says(lost(), 0, 0, 0);
        assert_eq!(quiet, "No connection to the NOC since 14:02. Known from then: nothing was failing");
        let failing = says(lost(), 3, 1, 0);
        assert_eq!(
            failing,
            "No connection to the NOC since 14:02. Known from then: 3 appliances are failing, 1 acknowledged"
        );
    }

    #[test]
    fn a_long_list_of_names_is_cut() {
        let many: Vec<String> = (1..=7).map(|n| format!("gw-{n}")).collect();
        assert_eq!(names(&many), "gw-1, gw-2, gw-3, gw-4, gw-5 and 2 more");
        assert_eq!(names(&many[..2]), "gw-1, gw-2");
    }
}
