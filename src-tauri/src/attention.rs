//! Which alerts need somebody, and what that comes to in numbers.

use muster_console::view::AlertView;
use std::collections::BTreeSet;

/// Open, and nobody has acknowledged or silenced it.
pub(crate) fn needs_somebody(alert: &AlertView) -> bool {
    alert.closed.is_none() && alert.acknowledged.is_none() && alert.silenced_until.is_none()
}

/// Appliances with an open alert. One with several counts once, where most has to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Nobody has acknowledged or silenced an alert of theirs.
    pub(crate) failing: usize,
    /// Somebody has seen all there is.
    pub(crate) acknowledged: usize,
    /// Nobody wants to hear of it for a while.
    pub(crate) silenced: usize,
}

impl Counts {
    /// What some alerts come to.
    pub(crate) fn of<'a>(alerts: impl IntoIterator<Item = &'a AlertView>) -> Self {
        let (mut failing, mut acknowledged, mut silenced) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for alert in alerts.into_iter().filter(|alert| alert.closed.is_none()) {
            let uids = alert.appliances.iter().map(|appliance| appliance.uid.as_str());
            if needs_somebody(alert) {
                failing.extend(uids);
            } else if alert.acknowledged.is_some() {
                acknowledged.extend(uids);
            } else {
                silenced.extend(uids);
            }
        }
        let silenced = silenced.iter().filter(|uid| !failing.contains(*uid) && !acknowledged.contains(*uid)).count();
        let acknowledged = acknowledged.iter().filter(|uid| !failing.contains(*uid)).count();
        Self { failing: failing.len(), acknowledged, silenced }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use muster_console::view::{AlertAppliance, RowAlertKind, RowHealth};

    /// An alert of silence, open since 100.
    pub(crate) fn alert(id: u32, names: &[&str]) -> AlertView {
        let named = |name: &&str| AlertAppliance {
            uid: format!("UID-{name}"),
            name: (*name).to_owned(),
            health: RowHealth::Silent,
        };
        AlertView {
            id,
            kind: if names.len() > 1 { RowAlertKind::Site } else { RowAlertKind::Silent },
            site: 7,
            rule: String::new(),
            appliances: names.iter().map(named).collect(),
            opened: 100,
            closed: None,
            acknowledged: None,
            acknowledged_by: String::new(),
            note: String::new(),
            silenced_until: None,
            escalated: None,
        }
    }

    pub(crate) fn closed(id: u32, names: &[&str]) -> AlertView {
        let mut alert = AlertView { closed: Some(200), ..alert(id, names) };
        alert.appliances.iter_mut().for_each(|appliance| appliance.health = RowHealth::Well);
        alert
    }

    pub(crate) fn acknowledged(id: u32, names: &[&str]) -> AlertView {
        AlertView { acknowledged: Some(150), acknowledged_by: "olga".to_owned(), ..alert(id, names) }
    }

    pub(crate) fn silenced(id: u32, names: &[&str]) -> AlertView {
        AlertView { silenced_until: Some(4_000), ..alert(id, names) }
    }

    #[test]
    fn counts_appliances_and_not_alerts() {
        let alerts = [alert(1, &["a"]), alert(2, &["a", "b"]), closed(3, &["c"])];
        assert_eq!(Counts::of(&alerts), Counts { failing: 2, ..Counts::default() });
        assert_eq!(Counts::of(&[]), Counts::default());
    }

    #[test]
    fn what_is_taken_care_of_counts_apart_and_once() {
        let alerts = [
            alert(1, &["a"]),
            acknowledged(2, &["a"]),
            acknowledged(3, &["b", "c"]),
            silenced(4, &["c"]),
            silenced(5, &["d"]),
            AlertView { silenced_until: Some(4_000), ..acknowledged(6, &["e"]) },
        ];
        assert_eq!(Counts::of(&alerts), Counts { failing: 1, acknowledged: 3, silenced: 1 });
    }
}
