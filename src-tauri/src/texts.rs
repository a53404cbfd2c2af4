//! Every text that the app shows outside its window: tray, notifications, problems. One place to translate.

use crate::tray::TrayState;

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

/// Tray menu: open the alerts.
pub(crate) fn alerts_item(open: usize) -> String {
    if open == 0 { "Alerts".to_owned() } else { format!("Alerts ({open})") }
}

/// What the tray icon says in words.
pub(crate) fn tray(state: TrayState) -> String {
    match state {
        TrayState::NotJoined => "Not set up yet".to_owned(),
        TrayState::Lost { failing: 0 } => "NOC not reachable; what is shown may be old".to_owned(),
        TrayState::Lost { failing } => format!("NOC not reachable; {} at last sight", failing_count(failing)),
        TrayState::Joined { failing: 0 } => "All well".to_owned(),
        TrayState::Joined { failing } => failing_count(failing),
    }
}

fn failing_count(failing: usize) -> String {
    match failing {
        1 => "1 appliance is failing".to_owned(),
        n => format!("{n} appliances are failing"),
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

    #[test]
    fn counts_read_well() {
        assert_eq!(tray(TrayState::Joined { failing: 0 }), "All well");
        assert_eq!(tray(TrayState::Joined { failing: 1 }), "1 appliance is failing");
        assert_eq!(tray(TrayState::Lost { failing: 3 }), "NOC not reachable; 3 appliances are failing at last sight");
        assert_eq!(silent(&["gw-003".to_owned()]), "gw-003 no longer reports");
        assert_eq!(reports_again(&["a".to_owned(), "b".to_owned()]), "2 appliances report again");
    }

    #[test]
    fn a_long_list_of_names_is_cut() {
        let many: Vec<String> = (1..=7).map(|n| format!("gw-{n}")).collect();
        assert_eq!(names(&many), "gw-1, gw-2, gw-3, gw-4, gw-5 and 2 more");
        assert_eq!(names(&many[..2]), "gw-1, gw-2");
    }
}
