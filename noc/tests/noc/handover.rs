//! Appliances that are handed over, to another address and to another NOC: two real NOCs, and appliances with real keys.

use crate::world::{Console, Device, Http, World, beat, code};
use data_encoding::BASE64;
use muster_noc::{AsProblem, HandoverError, Noc, Options};
use muster_protocol::api::*;
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::crypto::sign::{Purpose, sign};
use muster_protocol::handover::{Handover, Successor};
use muster_protocol::id::{Seq, Uid};
use muster_protocol::instruction::{Act, Serial};
use std::path::PathBuf;

/// A NOC with a site and configured appliances that beat.
struct Home {
    world: World,
    site: Site,
    console: Console,
    devices: Vec<Device>,
    seqs: Vec<Seq>,
    https: Vec<Http>,
    counter: u64,
}

impl Home {
    async fn of(count: u32) -> Home {
        let world = World::new().await;
        let site = world.site("Bern", "192.0.2.10-192.0.2.99");
        let devices = Device::several(0..count);
        world.import(&devices);
        let console = world.console(&[site.id]).await;
        let seqs = console.configure(site.id, &devices).await;
        let anybody = world.anybody().await;
        let mut https = Vec::new();
        for (device, seq) in devices.iter().zip(&seqs) {
            https.push(device.enrol(&anybody, *seq).await);
        }
        let mut home = Home { world, site, console, devices, seqs, https, counter: 0 };
        for n in 0..count as usize {
            assert_eq!(home.beat(n, None).await, Work::default(), "nothing waits");
        }
        home
    }

    async fn try_beat(&mut self, n: usize, said: Option<HandoverReport>) -> Result<BeatAnswer, Problem> {
        self.counter += 1;
        let work = WorkReport { handover: said, ..WorkReport::default() };
        let beat = Beat { work, ..beat(1, self.counter, self.seqs[n]) };
        self.https[n].post("appliances/beats", &beat).await
    }

    async fn beat(&mut self, n: usize, said: Option<HandoverReport>) -> Work {
        self.try_beat(n, said).await.expect("taken").work
    }

    fn uid(&self, n: usize) -> Uid {
        self.devices[n].uid
    }

    fn handover(&self, work: &Work) -> Handover {
        let given = work.handover.as_ref().expect("a hand-over");
        let bytes = BASE64.decode(given.handover.as_bytes()).expect("base64");
        let handover = Handover::verify(&self.world.noc.root(), &bytes).expect("by the root");
        assert_eq!(handover.serial, given.serial);
        handover
    }

    async fn farewell(&self, n: usize, serial: Serial) -> Result<FarewellTaken, Problem> {
        self.https[n].post("appliances/farewells", &Farewell { serial }).await
    }

    fn export(&self, name: &str) -> (PathBuf, String) {
        let path = self.world.dir.path().join(name);
        self.world.noc.export_handover(&path).expect("exported");
        let text = std::fs::read_to_string(&path).expect("written");
        (path, text)
    }
}

fn successor(world: &World) -> Successor {
    Successor { noc: world.noc.noc_address(), ca_pin: world.noc.ca_pin(), root: world.noc.root() }
}

fn said(serial: Serial, done: bool, problem: &str) -> Option<HandoverReport> {
    Some(HandoverReport { serial, done, problem: problem.into() })
}

fn refusal<T: std::fmt::Debug>(result: Result<T, HandoverError>) -> String {
    let problem = result.expect_err("refused").problem();
    assert!(!problem.title.is_empty() && !problem.detail.is_empty(), "{problem:?}");
    problem.code
}

#[tokio::test]
async fn another_address_of_the_same_noc_is_given_until_the_appliance_reports_there() {
    let mut home = Home::of(2).await;
    let view = home.world.noc.hand_over(None).expect("begun");
    assert_eq!((view.is_own, view.waiting, view.given, view.done), (true, 2, 0, 0));
    let mut first = None;
    for _ in 0..2 {
        let work = home.beat(0, None).await;
        let handover = home.handover(&work);
        assert_eq!((handover.uid, handover.seq), (home.uid(0), home.seqs[0]), "for this appliance as it is configured");
        assert_eq!((handover.serial, &handover.to), (view.serial, &successor(&home.world)));
        assert!(handover.expires.0 >= handover.issued.0 + 86_400);
        first.get_or_insert(handover);
        home.world = home.world.restart().await;
    }
    let noc = home.world.noc.clone();
    assert_eq!(noc.hand_over(None).expect("the same").serial, view.serial, "begun once");
    home.beat(0, said(view.serial, false, "noc_unreachable\u{202e}")).await;
    let view = noc.handover().expect("there");
    assert_eq!((view.waiting, view.given, view.done), (1, 1, 0));
    assert_eq!((view.stuck[0].uid, view.stuck[0].problem.as_str()), (home.uid(0), "noc_unreachable"));
    // It says so where it is reached now, and with a farewell where it was.
    assert_eq!(home.beat(0, said(view.serial, true, "")).await.handover, None, "and is left alone");
    assert!(home.beat(1, None).await.handover.is_some());
    home.farewell(1, view.serial).await.expect("taken");
    assert_eq!(home.beat(1, None).await, Work::default());
    let view = noc.handover().expect("there");
    assert_eq!((view.waiting, view.given, view.done, view.stuck.len()), (0, 0, 2, 0));
    for n in 0..2 {
        assert_eq!(
            home.console.appliance(home.uid(n)).await.provisioning,
            Provisioning::Configured,
            "it is still ours"
        );
    }
    assert_eq!(refusal(noc.finish_handover(true)), "no_handover", "nobody is sent away");
}

#[tokio::test]
async fn another_noc_takes_appliances_over_with_everything_it_has_to_know() {
    let mut home = Home::of(2).await;
    let there = World::new().await;
    let unconfigured = Device::new(7);
    home.world.import(std::slice::from_ref(&unconfigured));
    let former = home.console.appliance(home.uid(0)).await;
    let instruction = home.world.noc.instruct(&home.uid(0), Act::Reboot).expect("queued");
    let offer = there.noc.handover_offer().expect("offered");
    let view = home.world.noc.hand_over(Some(&offer)).expect("begun");
    assert!(!view.is_own);
    let work = home.beat(0, None).await;
    let handover = home.handover(&work);
    assert_eq!(handover.to, successor(&there));

    // It tries before its new NOC knows of it, and stays.
    let anybody = there.anybody().await;
    let (_, request) = home.devices[0].enrolment(&home.devices[0].key, home.seqs[0]);
    assert_eq!(code(anybody.post::<ApplianceEnrolled>("appliances/enrol", &request).await), "appliance_unknown");

    let (path, text) = home.export("transfer");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600, "it holds claim codes");
    let report = there.noc.accept_handover(&home.world.noc.root(), &text).expect("accepted");
    assert_eq!((report.sites, report.added, report.updated, report.unchanged), (1, 3, 0, 0));
    let report = there.noc.accept_handover(&home.world.noc.root(), &text).expect("again");
    assert_eq!((report.sites, report.added, report.updated, report.unchanged), (0, 0, 3, 0));
    assert_eq!(there.noc.sites().expect("read"), [home.site.clone()], "with its number and policy");

    let http = home.devices[0].enrol(&anybody, home.seqs[0]).await;
    let answer: BeatAnswer = http.post("appliances/beats", &beat(1, 9, home.seqs[0])).await.expect("taken");
    assert_eq!((answer.work, answer.interval_s), (Work::default(), 5));
    let console = there.console(&[home.site.id]).await;
    let record = console.appliance(home.uid(0)).await;
    assert_eq!((record.provisioning, &record.settings), (Provisioning::Configured, &former.settings));
    assert_eq!((record.mac, record.serial, record.model), (former.mac, former.serial, former.model));
    assert_eq!(there.noc.accept_handover(&home.world.noc.root(), &text).expect("again").unchanged, 1, "it is here");

    // Numbers go on above those of the former root.
    let again = there.noc.instruct(&home.uid(0), Act::Reboot).expect("queued");
    assert!(again.serial > instruction.serial && again.serial > handover.serial);
    assert!(console.configure(home.site.id, &home.devices[..1]).await[0] > home.seqs[0]);
    // The one that nobody owns yet: with its claim code, which only the new NOC's consoles get now.
    let plan = console.plan(home.site.id, std::slice::from_ref(&unconfigured)).await;
    assert!(console.grants(&plan).await.items[0].grant.as_ref().expect("granted").claim_key.is_some());
    // The one that is still to come holds its address.
    let taken = home.console.appliance(home.uid(1)).await.settings.expect("configured").address;
    assert_ne!(plan.rows[0].settings.as_ref().expect("planned").address, taken);
}

#[tokio::test]
async fn who_has_left_is_refused_and_consoles_are_told_where_to_turn_to() {
    let mut home = Home::of(2).await;
    let there = World::new().await;
    let noc = home.world.noc.clone();
    assert_eq!(code(home.farewell(0, Serial(1)).await), "not_handed_over");
    assert_eq!(code(home.farewell(0, Serial(u64::MAX)).await), "not_handed_over");
    let serial = noc.hand_over(Some(&there.noc.handover_offer().expect("offered"))).expect("begun").serial;
    assert_eq!(code(home.farewell(0, serial).await), "not_handed_over", "it was never told");
    home.beat(0, None).await;
    home.beat(0, said(serial, true, "")).await;
    let record = home.console.appliance(home.uid(0)).await;
    assert_eq!(record.provisioning, Provisioning::Configured, "only a farewell ends it");
    for _ in 0..2 {
        home.farewell(0, serial).await.expect("taken, and taken again");
    }
    let record = home.console.appliance(home.uid(0)).await;
    assert_eq!((record.provisioning, record.settings), (Provisioning::HandedOver, None));
    assert_eq!(code(home.try_beat(0, None).await), "appliance_retired");
    let (_, request) = home.devices[0].enrolment(&home.devices[0].key, home.seqs[0]);
    let enrolled = home.world.anybody().await.post::<ApplianceEnrolled>("appliances/enrol", &request).await;
    assert_eq!(code(enrolled), "appliance_retired");
    assert_eq!(noc.instruct(&home.uid(0), Act::Reboot).expect_err("refused").problem().code, "retired");

    assert_eq!(refusal(noc.finish_handover(false)), "left_behind");
    assert!(noc.handover().expect("there").finished.is_none());
    assert!(noc.finish_handover(true).expect("finished").finished.is_some());
    let refused = home.console.http.get::<Vec<Site>>("console/sites").await.expect_err("refused");
    assert_eq!((refused.status, refused.code.as_str()), (410, "noc_moved"));
    assert!(refused.title.contains(&there.noc.noc_address()) && refused.detail.contains("invite"), "{refused:?}");
    home.beat(1, None).await;
    // Called off: consoles may go on with who is still here.
    noc.cancel_handover().expect("called off");
    assert_eq!(home.console.http.get::<Vec<Site>>("console/sites").await.expect("answered").len(), 1);
    assert_eq!(home.beat(1, None).await.handover, None);
}

#[tokio::test]
async fn what_is_wrong_with_an_offer_or_a_transfer_is_told_and_changes_nothing() {
    let mut home = Home::of(1).await;
    let [there, third] = [World::new().await, World::new().await];
    let noc = home.world.noc.clone();
    for nothing in [noc.handover().map(drop), noc.cancel_handover().map(drop), noc.finish_handover(true).map(drop)] {
        assert_eq!(refusal(nothing), "no_handover");
    }
    let unborn = home.world.dir.path().join("none");
    assert_eq!(refusal(noc.export_handover(&unborn)), "no_handover");
    let offer = there.noc.handover_offer().expect("offered");
    for bad in ["", "muster-offer:", "muster-offer:####", &offer[..offer.len() - 4]] {
        assert_eq!(refusal(noc.hand_over(Some(bad))), "bad_offer", "{bad}");
    }
    let broken = format!("  {}\n{}", &offer[..50], &offer[50..]);
    noc.hand_over(Some(&broken)).expect("a mail program broke the line");
    assert_eq!(refusal(noc.hand_over(Some(&third.noc.handover_offer().expect("offered")))), "handover_under_way");
    assert_eq!(refusal(noc.hand_over(None)), "handover_under_way");

    let (path, text) = home.export("transfer");
    assert_eq!(refusal(noc.export_handover(&path)), "folder_unwritable", "never over another file");
    let root = noc.root();
    assert_eq!(refusal(third.noc.accept_handover(&root, &text)), "transfer_for_another");
    assert_eq!(refusal(there.noc.accept_handover(&there.noc.root(), &text)), "bad_transfer", "by another root");
    let mut bytes = BASE64.decode(text.trim().as_bytes()).expect("base64");
    bytes[40] ^= 1;
    assert_eq!(refusal(there.noc.accept_handover(&root, &BASE64.encode(&bytes))), "bad_transfer", "altered");
    assert_eq!(refusal(there.noc.accept_handover(&root, "nonsense")), "bad_transfer");
    // Its numbers of sites are taken, then its address.
    let site = there.site("Thun", "192.0.2.10-192.0.2.99");
    assert_eq!(refusal(there.noc.accept_handover(&root, &text)), "site_taken");
    let spec = muster_noc::SiteSpec { name: "Bern".into(), ..crate::world::spec() };
    there.noc.update_site(site.id, spec).expect("renamed");
    let other = Device::new(50);
    there.import(std::slice::from_ref(&other));
    there.console(&[site.id]).await.configure(site.id, std::slice::from_ref(&other)).await;
    assert_eq!(refusal(there.noc.accept_handover(&root, &text)), "address_held");
    assert_eq!(there.noc.appliances().expect("read").len(), 1, "all of it, or nothing");
    assert!(there.noc.release(&other.uid).expect("released"));
    assert_eq!(there.noc.accept_handover(&root, &text).expect("accepted").added, 1);
    assert!(home.beat(0, None).await.handover.is_some());
}

#[tokio::test]
async fn a_hand_over_comes_into_the_organisation_that_is_named_and_is_in_the_audit_log() {
    let mut home = Home::of(1).await;
    let there = World::new().await;
    let root = there.administrator().await;
    let acme = there.noc.add_organisation("acme", "Acme").expect("added").id;
    home.world.noc.hand_over(Some(&there.noc.handover_offer().expect("offered"))).expect("begun");
    home.beat(0, None).await;
    let (text, from) = (home.export("to").1, home.world.noc.root());
    assert_eq!(there.noc.accept_handover_to(acme, &from, &text).expect("accepted").added, 1);
    let shown = root.get(&format!("/v1/appliances/{}", home.uid(0))).await.good();
    assert_eq!(shown["organisation"], serde_json::json!(acme));
    assert_eq!(root.get("/v1/sites").await.good()["items"][0]["organisation"], serde_json::json!(acme));
    // For another organisation its site is another one.
    assert_eq!(refusal(there.noc.accept_handover(&from, &text)), "site_taken");
    let accepted = root.get("/v1/audit?action=handover.").await.good();
    assert_eq!(accepted["items"][0]["organisation"], serde_json::json!(acme));
    home.world.noc.cancel_handover().expect("called off");
    let here = home.world.administrator().await.get("/v1/audit?action=handover.").await.good();
    let actions: Vec<_> = here["items"].as_array().expect("rows").iter().map(|row| row["action"].clone()).collect();
    assert_eq!(actions, ["handover.cancel", "handover.export", "handover.start"].map(serde_json::Value::from));
}

#[tokio::test]
async fn an_appliance_of_another_customer_is_not_taken_in() {
    let mut home = Home::of(1).await;
    let there = World::new().await;
    let acme = there.noc.add_organisation("acme", "Acme").expect("added").id;
    home.world.noc.hand_over(Some(&there.noc.handover_offer().expect("offered"))).expect("begun");
    home.beat(0, None).await;
    let (text, from) = (home.export("to").1, home.world.noc.root());
    there.import(std::slice::from_ref(&home.devices[0]));
    assert_eq!(refusal(there.noc.accept_handover_to(acme, &from, &text)), "other_organisation");
    assert!(there.noc.sites().expect("listed").is_empty(), "nothing of it was taken in");
}

#[tokio::test]
async fn appliances_can_be_given_back() {
    let mut home = Home::of(1).await;
    let there = World::new().await;
    let (noc, root) = (home.world.noc.clone(), home.world.noc.root());
    let serial = noc.hand_over(Some(&there.noc.handover_offer().expect("offered"))).expect("begun").serial;
    home.beat(0, None).await;
    there.noc.accept_handover(&root, &home.export("to").1).expect("accepted");
    let http = home.devices[0].enrol(&there.anybody().await, home.seqs[0]).await;
    http.post::<BeatAnswer>("appliances/beats", &beat(1, 50, home.seqs[0])).await.expect("taken");
    home.farewell(0, serial).await.expect("taken");
    noc.finish_handover(false).expect("all have left");

    let back = there.noc.hand_over(Some(&noc.handover_offer().expect("offered"))).expect("begun").serial;
    assert!(back > serial, "above the numbers of the NOC that it comes from");
    let answer: BeatAnswer = http.post("appliances/beats", &beat(1, 51, home.seqs[0])).await.expect("taken");
    assert_eq!(answer.work.handover.expect("given").serial, back);
    let file = there.dir.path().join("back");
    there.noc.export_handover(&file).expect("exported");
    let text = std::fs::read_to_string(&file).expect("written");
    assert_eq!(noc.accept_handover(&there.noc.root(), &text).expect("accepted").updated, 1);
    home.https[0] = home.devices[0].enrol(&home.world.anybody().await, home.seqs[0]).await;
    home.counter = 60;
    assert_eq!(home.beat(0, None).await, Work::default());
    let record = home.console.appliance(home.uid(0)).await;
    assert_eq!(record.provisioning, Provisioning::Configured, "and consoles are served again");
}

#[tokio::test]
async fn what_no_program_of_ours_makes_is_refused_as_well() {
    let folder = tempfile::TempDir::new().expect("folder");
    let noc = |name: &str, address: &str| Noc::init(&folder.path().join(name), &Options::at(address)).expect("init");
    let [one, two, portless] = [("one", "192.0.2.1:8443"), ("two", "192.0.2.1:8443"), ("three", "192.0.2.1:0")]
        .map(|(name, address)| noc(name, address));
    assert_eq!(refusal(portless.handover_offer()), "no_port");
    assert_eq!(refusal(portless.hand_over(None)), "no_port");
    assert_eq!(refusal(one.hand_over(Some(&two.handover_offer().expect("offered")))), "same_address");

    let seed = std::fs::read_to_string(folder.path().join("two/root.key")).expect("readable");
    let seed = BASE64.decode(seed.trim().as_bytes()).expect("base64");
    let root = SecretKey::from_seed(&seed.try_into().expect("32 bytes"));
    let to = one.root().to_base64();
    let site = serde_json::json!({
        "id": 1, "name": "Bern", "pool": "nonsense", "netmask": "24", "gateway": "", "domain": "example.net", "dns1": "",
        "dns2": "", "host_name": "{n}", "beat_interval_s": 60, "confirm": "first_beat", "window_s": 90,
    });
    for (what, transfer) in [
        ("transfer_version", serde_json::json!({ "version": 2, "to": to })),
        ("bad_transfer", serde_json::json!({ "version": 1, "to": to })),
        ("site_invalid", serde_json::json!({ "version": 1, "to": to, "sites": [site], "appliances": [] })),
    ] {
        let signed = sign(&root, Purpose::Transfer, transfer.to_string().into_bytes());
        assert_eq!(refusal(one.accept_handover(&two.root(), &BASE64.encode(&signed))), what);
    }
    assert_eq!(one.sites().expect("read"), []);
}
