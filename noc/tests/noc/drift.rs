//! A site's policy about settings that are changed by hand, on its way to the appliances.

use crate::work::{Bench, accepted};
use crate::world::spec;
use muster_noc::SiteSpec;
use muster_protocol::api::{Work, WorkReport};
use muster_protocol::instruction::{Act, Serial};
use muster_protocol::parameters::DriftPolicy;

fn set(bench: &Bench, drift: Option<DriftPolicy>) {
    let spec = SiteSpec { drift, ..spec() };
    bench.world.noc.update_site(bench.site.id, spec).expect("changed");
}

fn obeys(policy: DriftPolicy, serial: Serial) -> WorkReport {
    WorkReport { drift: Some(policy), ..accepted(serial, "") }
}

#[tokio::test]
async fn a_sites_policy_reaches_an_appliance_that_is_configured_by_an_instruction_until_it_obeys() {
    let mut bench = Bench::new().await;
    assert_eq!(bench.beat().await, Work::default(), "the site says nothing");
    set(&bench, Some(DriftPolicy::Restore));
    let mut serial = Serial(0);
    for _ in 0..3 {
        let work = bench.beat().await;
        let told = bench.instruction(&work);
        assert_eq!((told.act, told.uid, told.seq), (Act::RestoreDrift, bench.uid(), bench.seq));
        assert!(serial == Serial(0) || serial == told.serial, "one instruction, however often it is given");
        serial = told.serial;
    }
    assert_eq!(bench.beat_with(obeys(DriftPolicy::Restore, serial)).await, Work::default());
    let shown = bench.world.noc.appliance(&bench.uid()).expect("known").instructions;
    assert_eq!(shown.iter().map(|one| (one.act, one.done.is_some())).collect::<Vec<_>>(), [(Act::RestoreDrift, true)]);

    // Two changes of mind: the last one counts, and what waits of the one before is taken back.
    set(&bench, Some(DriftPolicy::Report));
    let work = bench.beat_with(obeys(DriftPolicy::Restore, serial)).await;
    let report = bench.instruction(&work);
    assert_eq!(report.act, Act::ReportDrift);
    set(&bench, None);
    let work = bench.beat_with(obeys(DriftPolicy::Restore, serial)).await;
    let image = bench.instruction(&work);
    assert_eq!((image.act, image.serial > serial), (Act::DriftByImage, true));
    assert_eq!(bench.beat_with(accepted(image.serial, "")).await, Work::default());

    // Back to what it obeys: nothing waits any more.
    set(&bench, Some(DriftPolicy::Report));
    assert!(bench.beat_with(accepted(image.serial, "")).await.instruction.is_some());
    set(&bench, None);
    assert_eq!(bench.beat_with(accepted(image.serial, "")).await, Work::default());
    assert_eq!(bench.world.noc.take_back(&bench.uid()).expect("nothing waits"), 0);
}

#[tokio::test]
async fn a_grant_brings_the_sites_policy_and_nothing_else_has_to() {
    let mut bench = Bench::new().await;
    set(&bench, Some(DriftPolicy::Restore));
    bench.readdress("192.0.2.80").expect("given");
    let work = bench.beat().await;
    assert_eq!(bench.grant(&work).parameters.drift, Some(DriftPolicy::Restore));
    assert_eq!(work.instruction, None, "the grant says it");
    bench.seq = bench.grant(&work).seq;
    let report = WorkReport { drift: Some(DriftPolicy::Restore), ..WorkReport::default() };
    assert_eq!(bench.beat_with(report).await, Work::default());
    // A grant for a console says it, too; a database of an older copy is told by the beats.
    set(&bench, None);
    let report = WorkReport { drift: Some(DriftPolicy::Restore), ..WorkReport::default() };
    let work = bench.beat_with(report).await;
    assert_eq!(bench.instruction(&work).act, Act::DriftByImage);
}
