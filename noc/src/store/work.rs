//! What goes out with the answer to a beat, and what beats say became of it.

use super::appliances::{self, Appliance};
use super::{drift, given, handover, instructions, retirement};
use crate::api::ApiError;
use crate::watch::Notice;
use crate::work::InstructionView;
use muster_protocol::api::{Provisioning, WorkReport};
use muster_protocol::handover::Successor;
use muster_protocol::id::{Seq, Uid};
use muster_protocol::instruction::{Act, Serial};
use muster_protocol::parameters::DriftPolicy;
use rusqlite::Connection;
use std::sync::Arc;

/// What an answer carries.
#[derive(Default)]
pub(crate) struct Due {
    /// A grant as it was signed.
    pub(crate) grant: Option<(Seq, Vec<u8>)>,
    /// To be signed for the grant under which the beat came.
    pub(crate) instruction: Option<InstructionView>,
    /// To be signed for the same grant.
    pub(crate) handover: Option<(Serial, Successor)>,
    /// Names what components it shall have. It goes out with every answer, so it is nothing that waits.
    pub(crate) components: Option<Arc<str>>,
}

impl Due {
    /// True if nothing waits for the appliance.
    pub(crate) fn is_empty(&self) -> bool {
        self.grant.is_none() && self.instruction.is_none() && self.handover.is_none()
    }
}

/// What is pending for an appliance that beats under `in_force` and says what it obeys about changes by hand.
pub(super) fn due(
    db: &Connection,
    now: u64,
    appliance: &Appliance,
    (in_force, obeys): (Seq, Option<DriftPolicy>),
) -> Result<Due, ApiError> {
    let grant = given::due(db, now, appliance, in_force)?;
    // A grant brings the site's policy with it.
    if grant.is_none() {
        drift::settle(db, now, appliance, obeys)?;
    }
    let (instruction, handover) = (instructions::due(db, now, appliance)?, handover::due(db, now, appliance)?);
    Ok(Due { grant, instruction, handover, components: None })
}

/// Keeps what a beat says of earlier work.
pub(super) fn report(db: &Connection, now: u64, uid: &Uid, report: &WorkReport) -> Result<Vec<Notice>, ApiError> {
    let mut notices = Vec::new();
    if report.is_empty() {
        return Ok(notices);
    }
    let Some(appliance) = appliances::find(db, uid)? else { return Ok(notices) };
    if let Some(failure) = &report.failed {
        notices.extend(given::failed(db, now, &appliance, failure)?);
    }
    if let Some(said) = &report.handover {
        handover::report(db, now, &appliance, said)?;
    }
    if let Some(accepted) = &report.instruction
        && instructions::accepted(db, now, &appliance, accepted)?.contains(&Act::Decommission)
    {
        retirement::retire(db, &appliance, Provisioning::Decommissioned)?;
        notices.push(Notice::Forget { uid: *uid });
    }
    Ok(notices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::site::{Policy, SiteSpec};
    use crate::store::appliances::NewAppliance;
    use crate::store::grants::{self, Asked, Bearer, Issuer};
    use crate::store::{Store, given, sites};
    use crate::work::GivenState;
    use muster_protocol::crypto::keys::SecretKey;
    use muster_protocol::id::{Mac, SiteId};
    use muster_protocol::parameters::{Confirm, RawSettings};
    use tempfile::TempDir;

    const DEVICE: Uid = Uid([1; 20]);
    const DAY: u64 = 86_400;

    fn new() -> (TempDir, Store) {
        let dir = TempDir::new().expect("folder");
        let path = dir.path().join("noc.sqlite");
        std::fs::write(&path, b"").expect("file");
        let root = SecretKey::from_seed(&[1; 32]).public();
        Store::create(&path, &root).expect("tables");
        let store = Store::open(&path, &root, None).expect("opens");
        let spec = SiteSpec {
            name: "Bern".into(),
            pool: "192.0.2.10-192.0.2.99".into(),
            netmask: "/24".into(),
            gateway: String::new(),
            domain: "example.net".into(),
            dns1: String::new(),
            dns2: String::new(),
            pool6: String::new(),
            gateway6: String::new(),
            ntp: String::new(),
            search_domains: String::new(),
            host_name: "m-{n}".into(),
            beat_interval_s: 60,
            confirm: Confirm::KickStart,
            window_s: 90,
            drift: None,
            application: String::new(),
            proof: muster_protocol::api::RequiredProof::Any,
            exclude: String::new(),
            inherit: Vec::new(),
        };
        let policy = Policy::of(spec.into_site(SiteId(0))).expect("fits");
        let site = store.write_now(move |db| sites::add(db, &policy)).expect("a site").id;
        let insert = move |db: &Connection| {
            let (serial, model, claim) = ("", "", "");
            appliances::insert(
                db,
                &NewAppliance { uid: DEVICE, mac: Mac([2; 6]), serial, model, claim, site: Some(site) },
            )
        };
        store.write_now(insert).expect("kept");
        (dir, store)
    }

    fn appliance(store: &Store) -> Appliance {
        store.read_now(|db| appliances::find(db, &DEVICE)).expect("read").expect("known")
    }

    fn due_at(store: &Store, now: u64) -> Due {
        let known = appliance(store);
        store.write_now(move |db| due(db, now, &known, (Seq(0), None))).expect("answered")
    }

    #[test]
    fn settings_that_nobody_came_for_in_time_are_over_and_say_so() {
        let (_dir, store) = new();
        let settings = RawSettings {
            host_name: "m-7".into(),
            domain: "example.net".into(),
            address: "192.0.2.40".into(),
            netmask: "24".into(),
            ..RawSettings::default()
        };
        let root = SecretKey::from_seed(&[1; 32]).public();
        let issuer = Issuer { root, noc: "noc:1".into(), ca_pin: [0; 32] };
        let give = move |db: &Connection| {
            let known = appliances::find(db, &DEVICE)?.ok_or(ApiError::ApplianceUnknown)?;
            let site = known.record.site.ok_or(ApiError::ApplianceUnknown)?;
            let asked = [Asked { uid: DEVICE, settings, stored: None }];
            let decisions =
                grants::decide_for(db, DAY, Bearer::Noc(&crate::audit::By::local(), ""), &issuer, site, &asked)?;
            let seq = decisions[0].outcome.as_ref().map(|unsigned| unsigned.grant.seq).expect("good settings");
            Ok::<_, ApiError>(given::keep(db, known.id, seq, b"signed")?)
        };
        store.write_now(give).expect("given");
        for day in [1, 7, 8] {
            assert_eq!(due_at(&store, day * DAY).grant, Some((Seq(1), b"signed".to_vec())), "day {day}");
        }
        assert_eq!(due_at(&store, 9 * DAY).grant, None);
        let known = appliance(&store);
        assert_eq!(known.record.provisioning, Provisioning::Failed);
        let view = store.read_now(move |db| given::view(db, 9 * DAY, &known)).expect("read").expect("remembered");
        assert_eq!((view.state, view.reason.as_str(), view.given), (GivenState::Failed, "expired", Some(DAY)));
    }

    #[test]
    fn serial_numbers_follow_the_clock_never_go_back_and_instructions_end() {
        let (_dir, store) = new();
        let add = |now: u64, act: Act| {
            let known = appliance(&store);
            store.write_now(move |db| instructions::add(db, now, &known, act)).expect("queued").serial.0
        };
        assert_eq!(add(50 * DAY, Act::Reboot), 50 * DAY);
        assert_eq!(add(50 * DAY, Act::SendLog), 50 * DAY + 1, "in the same second");
        assert_eq!(add(20 * DAY, Act::Decommission), 50 * DAY + 2, "a clock that was set back");
        assert_eq!(due_at(&store, 51 * DAY).instruction.map(|due| due.act), Some(Act::Reboot));
        assert_eq!(due_at(&store, 58 * DAY).instruction.map(|due| due.act), None, "all are over");
        assert_eq!(add(60 * DAY, Act::Reboot), 60 * DAY, "a new one, since the first is over");
    }
}
