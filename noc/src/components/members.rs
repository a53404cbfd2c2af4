//! How one appliance stands in a roll-out, by what it says and how it beats; pure.

use crate::store::word;
use muster_protocol::api::{ComponentReport, ComponentState, Health};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why an appliance counts as one that failed, when it does not say itself.
const SILENT: &str = "it does not beat any more";
const FAILING: &str = "a health rule is broken since";
const LATE: &str = "it did not install it in time";

/// How an appliance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MemberState {
    /// It has not said that the version runs.
    Waiting,
    /// The version runs.
    Well,
    /// It could not be installed, or the appliance is not well since.
    Failed,
    /// It failed, and somebody went on all the same.
    Excused,
    /// It was silent before, or is being worked on: it does not count.
    Absent,
}

/// An appliance of a wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) state: MemberState,
    pub(crate) since: u64,
    /// When it was asked of it.
    pub(crate) asked: u64,
    /// It was failing before.
    pub(crate) is_ailing: bool,
    /// Why it counts as one that failed.
    pub(crate) why: String,
}

/// What is known of an appliance.
pub(crate) struct Seen<'a> {
    pub(crate) health: Health,
    /// It beats at this moment, whatever its health is said to be.
    pub(crate) is_beating: bool,
    /// What it says of the component.
    pub(crate) report: Option<&'a ComponentReport>,
}

impl Member {
    /// One of a wave that begins.
    pub(crate) fn new(now: u64, health: Health) -> Member {
        let counts = matches!(health, Health::Well | Health::Late | Health::Recovering | Health::Failing);
        let state = if counts { MemberState::Waiting } else { MemberState::Absent };
        Member { state, since: now, asked: now, is_ailing: health == Health::Failing, why: String::new() }
    }
}

/// How it stands now; none if it is none of the appliances that anything is expected of.
pub(crate) fn stands(
    before: Option<&Member>,
    seen: &Seen<'_>,
    (version, within_s): (&str, u64),
    now: u64,
) -> Option<Member> {
    use MemberState::{Absent, Excused, Failed, Waiting, Well};
    let health = seen.health;
    let mut member = before.cloned().unwrap_or_else(|| Member::new(now, health));
    if !seen.is_beating {
        match health {
            Health::NotExpected => return None,
            Health::NeverReported | Health::Unreachable | Health::Maintenance => {
                // Nobody waits for one that cannot say anything, and it is not to blame.
                let is_late = member.state == Waiting && member.asked + within_s <= now;
                return Some(if is_late { changed(member, Absent, "", now) } else { member });
            }
            Health::Silent if matches!(member.state, Absent | Excused) => return Some(member),
            Health::Silent => return Some(changed(member, Failed, SILENT, now)),
            Health::Well | Health::Late | Health::Recovering | Health::Failing => {}
        }
    }
    member.is_ailing &= health == Health::Failing;
    if member.state == Absent {
        member.asked = now;
    }
    let told = seen.report.filter(|report| report.version == version);
    let runs = seen.report.is_some_and(|report| report.running.as_deref() == Some(version));
    let (state, why) = match told.map(|report| report.state) {
        Some(ComponentState::Failed) => {
            (Failed, told.and_then(|report| report.problem.as_deref()).unwrap_or("it could not be installed"))
        }
        Some(ComponentState::Installed) => (Well, ""),
        None if runs => (Well, ""),
        _ if member.asked + within_s <= now => (Failed, LATE),
        _ => (Waiting, ""),
    };
    let breaks_rule = health == Health::Failing && !member.is_ailing;
    let (state, why) = if breaks_rule && matches!(state, Well | Waiting) { (Failed, FAILING) } else { (state, why) };
    // Who was excused counts again once it is well.
    if member.state == Excused && state != Well {
        return Some(member);
    }
    Some(changed(member, state, why, now))
}

fn changed(mut member: Member, state: MemberState, why: &str, now: u64) -> Member {
    if member.state != state {
        member.since = now;
    }
    member.state = state;
    why.clone_into(&mut member.why);
    member
}

/// What of a report makes a difference here.
pub(crate) fn mark(reports: &[ComponentReport]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hash = DefaultHasher::new();
    for report in reports {
        (&report.name, &report.version, word(&report.state), &report.running).hash(&mut hash);
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(state: ComponentState, version: &str, running: Option<&str>) -> ComponentReport {
        let problem = (state == ComponentState::Failed).then(|| "unhealthy".to_owned());
        let (name, version, running) = ("filter".into(), version.into(), running.map(str::to_owned));
        ComponentReport { name, version, state, running, percent: None, problem }
    }

    fn now_stands(
        before: Option<&Member>,
        health: Health,
        is_beating: bool,
        said: Option<&ComponentReport>,
        now: u64,
    ) -> Option<Member> {
        stands(before, &Seen { health, is_beating, report: said }, ("2", 100), now)
    }

    #[test]
    fn an_appliance_is_well_by_its_own_word_and_fails_by_it_or_by_silence() {
        use MemberState::{Absent, Excused, Failed, Waiting, Well};
        let new = Member::new(10, Health::Well);
        let former = report(ComponentState::Installed, "1", Some("1"));
        let getting = report(ComponentState::Downloading, "2", Some("1"));
        let has = report(ComponentState::Installed, "2", Some("2"));
        let broken = report(ComponentState::Failed, "2", Some("1"));
        let state = |before: &Member, health, is_beating, said: Option<&ComponentReport>, now| {
            now_stands(Some(before), health, is_beating, said, now)
                .map(|member| (member.state, member.since, member.why))
        };
        let none = String::new();
        assert_eq!(state(&new, Health::Well, true, Some(&former), 20), Some((Waiting, 10, none.clone())));
        assert_eq!(state(&new, Health::Well, true, Some(&getting), 20), Some((Waiting, 10, none.clone())));
        assert_eq!(state(&new, Health::Well, true, None, 110), Some((Failed, 110, LATE.into())));
        assert_eq!(state(&new, Health::Well, true, Some(&broken), 20), Some((Failed, 20, "unhealthy".into())));
        let well = now_stands(Some(&new), Health::Well, true, Some(&has), 20).expect("one");
        assert_eq!((well.state, well.since), (Well, 20));
        assert_eq!(
            now_stands(Some(&well), Health::Late, false, Some(&has), 30),
            Some(well.clone()),
            "since when stays"
        );
        assert_eq!(state(&well, Health::Silent, false, Some(&has), 40), Some((Failed, 40, SILENT.into())));
        assert_eq!(state(&well, Health::Failing, true, Some(&has), 40), Some((Failed, 40, FAILING.into())));
        assert_eq!(state(&well, Health::Unreachable, false, Some(&has), 40), Some((Well, 20, none.clone())));
        assert_eq!(state(&new, Health::Unreachable, false, None, 50), Some((Waiting, 10, none.clone())));
        assert_eq!(state(&new, Health::Maintenance, false, None, 110), Some((Absent, 110, none.clone())));
        let silent = now_stands(Some(&well), Health::Silent, false, Some(&has), 40).expect("one");
        assert_eq!(state(&silent, Health::Silent, true, Some(&has), 50), Some((Well, 50, none.clone())), "it is back");
        assert_eq!(now_stands(Some(&well), Health::NotExpected, false, Some(&has), 40), None);
        // What was so before has nothing to do with it.
        let gone = Member::new(10, Health::Silent);
        assert_eq!(gone.state, Absent);
        assert_eq!(state(&gone, Health::Silent, false, None, 500), Some((Absent, 10, none.clone())));
        let back = now_stands(Some(&gone), Health::Silent, true, Some(&getting), 500).expect("one");
        assert_eq!((back.state, back.asked), (Waiting, 500));
        let ailing = Member::new(10, Health::Failing);
        assert_eq!(state(&ailing, Health::Failing, true, Some(&has), 20), Some((Well, 20, none.clone())));
        let cured = now_stands(Some(&ailing), Health::Well, true, Some(&has), 20).expect("one");
        assert_eq!(state(&cured, Health::Failing, false, Some(&has), 30), Some((Failed, 30, FAILING.into())));
        // Who was excused stays so until it is well.
        let excused = Member { state: Excused, ..new };
        assert_eq!(state(&excused, Health::Well, true, Some(&broken), 50).map(|one| one.0), Some(Excused));
        assert_eq!(state(&excused, Health::Silent, false, Some(&broken), 50).map(|one| one.0), Some(Excused));
        assert_eq!(state(&excused, Health::Well, true, Some(&has), 50).map(|one| one.0), Some(Well));
        assert_ne!(mark(std::slice::from_ref(&getting)), mark(std::slice::from_ref(&has)));
        let further = ComponentReport { percent: Some(50), ..getting.clone() };
        assert_eq!(mark(&[getting]), mark(&[further]));
    }
}
