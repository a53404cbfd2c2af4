//! How components stand on an appliance: what it shall have beside what it says; pure.

use super::required::Required;
use super::spec::Component;
use crate::operators::OrganisationId;
use muster_protocol::api::{ComponentReport, ComponentState};
use muster_protocol::id::{SiteId, Uid};
use serde::Serialize;
use utoipa::ToSchema;

/// How one component stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ComponentStandingState)]
pub enum Standing {
    /// The version that is required runs.
    Installed,
    /// It waits for its turn, or for another attempt.
    Waiting,
    /// It is being downloaded.
    Downloading,
    /// It is being installed, or its health is watched.
    Installing,
    /// It could not be installed, or was not well.
    Failed,
    /// The appliance has not said anything of this version yet.
    Unreported,
    /// There is no such component for this appliance: nothing was promoted, it was retired, or it is for others.
    Unavailable,
    /// It is there, and nobody requires it.
    Extra,
}

impl Standing {
    /// It is required, and not installed.
    pub fn is_behind(self) -> bool {
        !matches!(self, Standing::Installed | Standing::Extra)
    }
}

/// One component on an appliance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ComponentStanding {
    /// Its name.
    pub name: String,
    /// The version that is required; none if it is not, or there is none.
    pub version: Option<String>,
    /// How that stands.
    pub state: Standing,
    /// The version that runs now, as the appliance says.
    pub running: Option<String>,
    /// How far it is, percent.
    pub percent: Option<u8>,
    /// Why it could not be installed, as the appliance says.
    pub problem: Option<String>,
}

/// The components of an appliance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ApplianceComponents {
    /// The appliance.
    #[schema(value_type = String)]
    pub uid: Uid,
    /// Whose it is.
    #[schema(value_type = u32)]
    pub organisation: OrganisationId,
    /// Where it is.
    #[schema(value_type = Option<u32>)]
    pub site: Option<SiteId>,
    /// Its model, or empty.
    pub model: String,
    /// In the order in which they are installed; then those that nobody requires.
    pub components: Vec<ComponentStanding>,
}

/// What is required beside what was reported.
pub(crate) fn compare(lines: &[(Required, Option<Component>)], reported: &[ComponentReport]) -> Vec<ComponentStanding> {
    let said = |name: &str| reported.iter().find(|report| report.name == name);
    let mut standings: Vec<_> =
        lines.iter().map(|(line, found)| required(line, found.as_ref(), said(&line.name))).collect();
    let is_extra = |report: &&ComponentReport| lines.iter().all(|(line, _)| line.name != report.name);
    standings.extend(reported.iter().filter(is_extra).filter(|report| report.running.is_some()).map(|report| {
        ComponentStanding {
            name: report.name.clone(),
            version: None,
            state: Standing::Extra,
            running: report.running.clone(),
            percent: None,
            problem: None,
        }
    }));
    standings
}

fn required(line: &Required, found: Option<&Component>, report: Option<&ComponentReport>) -> ComponentStanding {
    let running = report.and_then(|report| report.running.clone());
    let version = found.map(|component| component.version.clone());
    let told = report.filter(|report| Some(&report.version) == version.as_ref());
    let state = match (&version, told) {
        (None, _) => Standing::Unavailable,
        (Some(_), None) if running == version => Standing::Installed,
        (Some(_), None) => Standing::Unreported,
        (Some(_), Some(report)) => match report.state {
            ComponentState::Waiting => Standing::Waiting,
            ComponentState::Downloading => Standing::Downloading,
            ComponentState::Installing => Standing::Installing,
            ComponentState::Installed => Standing::Installed,
            ComponentState::Failed => Standing::Failed,
        },
    };
    ComponentStanding {
        name: line.name.clone(),
        version,
        state,
        running,
        percent: told.and_then(|report| report.percent),
        problem: told.and_then(|report| report.problem.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::required::ReleaseChannel;
    use super::super::spec::ComponentKind;
    use super::*;

    fn report(name: &str, version: &str, state: ComponentState, running: Option<&str>) -> ComponentReport {
        let (running, problem) = (running.map(str::to_owned), Some("unhealthy: it ended with 1".to_owned()));
        ComponentReport { name: name.into(), version: version.into(), state, running, percent: Some(7), problem }
    }

    #[test]
    fn what_was_said_of_another_version_does_not_count() {
        let line = |name: &str| Required {
            name: name.into(),
            model: None,
            channel: Some(ReleaseChannel::Stable),
            version: None,
            waves: None,
        };
        let component = |name: &str| Component {
            id: 1,
            organisation: None,
            name: name.into(),
            version: "2".into(),
            kind: ComponentKind::Exec,
            target: String::new(),
            sha256: String::new(),
            size: 0,
            models: vec![],
            sites: vec![],
            channels: vec![],
            added: 0,
            retired: None,
            vendor: None,
        };
        let lines: Vec<_> =
            ["a", "b", "c", "d", "e"].map(|name| (line(name), (name != "e").then(|| component(name)))).into();
        let reported = [
            report("a", "2", ComponentState::Failed, Some("1")),
            report("b", "1", ComponentState::Failed, Some("1")),
            report("c", "1", ComponentState::Installed, Some("2")),
            report("x", "9", ComponentState::Installed, Some("9")),
            report("y", "9", ComponentState::Failed, None),
        ];
        let got: Vec<_> = compare(&lines, &reported)
            .into_iter()
            .map(|one| (one.name, one.state, one.problem.is_some(), one.running))
            .collect();
        let one = Some("1".to_owned());
        assert_eq!(
            got,
            [
                ("a".into(), Standing::Failed, true, one.clone()),
                ("b".into(), Standing::Unreported, false, one),
                ("c".into(), Standing::Installed, false, Some("2".into())),
                ("d".into(), Standing::Unreported, false, None),
                ("e".into(), Standing::Unavailable, false, None),
                ("x".into(), Standing::Extra, false, Some("9".into())),
            ]
        );
    }
}
