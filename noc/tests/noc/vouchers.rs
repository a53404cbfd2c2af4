//! Appliances that want a voucher of their vendor.

use crate::world::{Console, Device, World, grant_request};
use data_encoding::BASE64;
use muster_noc::{AsProblem, ImportError, VendorKey};
use muster_protocol::api::*;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::id::SiteId;
use muster_protocol::voucher::Voucher;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

struct Vendor {
    key: VendorKey,
    _folder: tempfile::TempDir,
}

impl Vendor {
    fn new() -> Vendor {
        let folder = tempfile::TempDir::new().expect("folder");
        Vendor { key: VendorKey::make(&folder.path().join("vendor.key")).expect("made"), _folder: folder }
    }

    /// The manifest of these, without label codes.
    fn manifest(&self, devices: &[Device], root: &PublicKey, expires: Option<u64>) -> String {
        let lines: String = devices.iter().map(|d| format!("SN{},{},{},Mail\n", d.n, d.mac, d.uid)).collect();
        self.key.vouch(&format!("serial,mac,uid,model\n{lines}"), root, 1, expires).expect("signed")
    }
}

async fn plan_one(console: &Console, site: SiteId, device: &Device) -> PlanRow {
    let appliances = vec![PlanFor { wants_voucher: true, ..device.plan_for() }];
    let plan: Plan = console.http.post("console/plans", &PlanRequest { site, appliances }).await.expect("plan");
    plan.rows.into_iter().next().expect("a row")
}

fn missing(row: &PlanRow) -> &str {
    assert_eq!((row.ownership, &row.settings), (Ownership::NoVoucher, &None));
    let problem = row.problem.as_ref().expect("says why");
    assert!(problem.detail.contains("muster-noc voucher root"), "{problem:?}");
    &problem.code
}

fn line_codes(error: ImportError) -> Vec<(u64, String)> {
    assert_eq!(error.problem().code, "manifest_invalid");
    match error {
        ImportError::Lines { lines, .. } => lines.into_iter().map(|line| (line.line, line.code)).collect(),
        ImportError::Store(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_voucher_goes_with_the_grant_and_the_plan_says_when_there_is_none() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99").id;
    let console = world.console(&[site]).await;
    let (vendor, devices) = (Vendor::new(), Device::several(0..2));

    // Not in the inventory, and in it with a label code only.
    assert_eq!(missing(&plan_one(&console, site, &devices[0]).await), "no_voucher");
    world.import(&devices[..1]);
    assert_eq!(missing(&plan_one(&console, site, &devices[0]).await), "no_voucher");
    let typed = PlanFor { wants_voucher: true, claim: Some(devices[0].claim.reveal()), ..devices[0].plan_for() };
    let plan: Plan =
        console.http.post("console/plans", &PlanRequest { site, appliances: vec![typed] }).await.expect("plan");
    assert_eq!(missing(&plan.rows[0]), "no_voucher", "a label code is of no use to it");
    assert!(!console.appliance(devices[0].uid).await.has_voucher);

    let manifest = vendor.manifest(&devices, &world.noc.root(), None);
    let report = world.noc.import_manifest(&manifest).expect("good");
    assert_eq!((report.added, report.updated, report.unchanged), (1, 1, 0));
    assert_eq!(world.noc.import_manifest(&manifest).expect("good").unchanged, 2);
    assert!(console.appliance(devices[0].uid).await.has_voucher);
    for device in &devices {
        let row = plan_one(&console, site, device).await;
        assert_eq!((row.ownership, &row.problem), (Ownership::Owned, &None));
        let plan = Plan { site, expires: 0, rows: vec![row] };
        let grants: Grants = console.http.post("console/grants", &grant_request(&plan)).await.expect("grants");
        let grant = grants.items[0].grant.as_ref().expect("granted");
        let signed = BASE64.decode(grant.voucher.as_ref().expect("a voucher").as_bytes()).expect("base64");
        let voucher = Voucher::read(&signed).expect("as the vendor signed it");
        assert_eq!((voucher.uid, voucher.root, voucher.vendor), (device.uid, world.noc.root(), vendor.key.public()));
        // What a manifest leaves out stays.
        assert_eq!(grant.claim_key.is_some(), device.n == 0);
    }
}

#[tokio::test]
async fn a_voucher_that_the_appliance_refused_is_not_tried_again_until_another_is_imported() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99").id;
    let console = world.console(&[site]).await;
    let (wrong, right, device) = (Vendor::new(), Vendor::new(), Device::new(1));
    let devices = std::slice::from_ref(&device);
    world
        .noc
        .import_manifest(&wrong.manifest(devices, &world.noc.root(), None))
        .expect("its key is for nobody here to judge");
    let plan = Plan { site, expires: 0, rows: vec![plan_one(&console, site, &device).await] };
    let grants = console.grants(&plan).await;
    let seq = grants.items[0].grant.as_ref().expect("granted").seq;
    let items = vec![ResultItem { uid: device.uid, seq, configured: false, reason: "voucher_refused".into() }];
    console.http.post_nothing("console/results", &ResultReport { items }).await.expect("told");
    assert_eq!(missing(&plan_one(&console, site, &device).await), "voucher_refused");
    world.noc.import_manifest(&right.manifest(devices, &world.noc.root(), None)).expect("good");
    assert_eq!(plan_one(&console, site, &device).await.ownership, Ownership::Owned);
}

#[tokio::test]
async fn vouchers_that_cannot_be_good_here_are_refused_at_the_import() {
    let world = World::new().await;
    let (vendor, devices) = (Vendor::new(), Device::several(0..2));
    let refused = |csv: &str| line_codes(world.noc.import_manifest(csv).expect_err(csv));
    let root = world.noc.root();
    let other_root = refused(&vendor.manifest(&devices, &PublicKey([7; 32]), None));
    assert_eq!(other_root, [(2, "voucher_of_another_noc".to_owned()), (3, "voucher_of_another_noc".to_owned())]);
    assert_eq!(refused(&vendor.manifest(&devices[..1], &root, Some(5))), [(2, "voucher_ended".to_owned())]);
    let good = vendor.manifest(&devices, &root, None);
    let swapped = good.replacen(&devices[0].uid.to_string(), "x", 1);
    let swapped = swapped.replacen(&devices[1].uid.to_string(), &devices[0].uid.to_string(), 1);
    let swapped = swapped.replacen(",x,", &format!(",{},", devices[1].uid), 1);
    assert_eq!(refused(&swapped), [(2, "bad_voucher".to_owned()), (3, "bad_voucher".to_owned())]);
    assert_eq!(refused(&good.replace("hEOh", "AAAA")), [(2, "bad_voucher".to_owned()), (3, "bad_voucher".to_owned())]);
    let no_base64 = format!("serial,mac,uid,voucher\nS,{},{},!!\n", devices[0].mac, devices[0].uid);
    assert_eq!(refused(&no_base64), [(2, "bad_voucher".to_owned())]);
    let neither = format!("serial,mac,uid,claim,voucher\nS,{},{},,\n", devices[0].mac, devices[0].uid);
    assert_eq!(refused(&neither), [(2, "bad_claim".to_owned())], "one of the two is needed");
    assert!(world.noc.appliances().expect("listed").is_empty(), "nothing of all this was kept");
}

#[tokio::test]
async fn a_voucher_that_ends_while_it_is_here_is_asked_for_anew() {
    let world = World::new().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99").id;
    let console = world.console(&[site]).await;
    let (vendor, device) = (Vendor::new(), Device::new(1));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let devices = std::slice::from_ref(&device);
    let manifest = vendor.manifest(devices, &world.noc.root(), Some(now + 2));
    world.noc.import_manifest(&manifest).expect("good so far");
    let deadline = Instant::now() + Duration::from_secs(20);
    let ended = loop {
        let row = plan_one(&console, site, &device).await;
        if row.ownership == Ownership::NoVoucher {
            break row;
        }
        assert!(Instant::now() < deadline, "it should have ended: {row:?}");
    };
    assert_eq!(missing(&ended), "voucher_ended");
    assert_eq!(world.noc.import_manifest(&manifest).expect("it is known just so").unchanged, 1);
}
