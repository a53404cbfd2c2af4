//! What the NOC gives with the answers to beats: new settings and instructions, to an appliance with real keys over real TLS.

use crate::world::{Console, Device, Http, World, beat, code, spec};
use data_encoding::BASE64;
use muster_noc::{AsProblem, Edit, GivenState, WorkError};
use muster_protocol::api::*;
use muster_protocol::crypto::sign::{Purpose, verify};
use muster_protocol::grant::Grant;
use muster_protocol::id::{Seq, Uid};
use muster_protocol::instruction::{Act, Instruction, Serial};
use muster_protocol::parameters::Confirm;
use muster_protocol::wire::from_cbor;

/// A configured appliance that beats.
pub(crate) struct Bench {
    pub(crate) world: World,
    pub(crate) site: Site,
    pub(crate) console: Console,
    pub(crate) device: Device,
    pub(crate) seq: Seq,
    pub(crate) http: Http,
    pub(crate) counter: u64,
}

impl Bench {
    pub(crate) async fn new() -> Bench {
        let world = World::new().await;
        let site = world.site("Bern", "192.0.2.10-192.0.2.99");
        let device = Device::new(0);
        world.import(std::slice::from_ref(&device));
        let console = world.console(&[site.id]).await;
        let seq = console.configure(site.id, std::slice::from_ref(&device)).await[0];
        let http = device.enrol(&world.anybody().await, seq).await;
        let mut bench = Bench { world, site, console, device, seq, http, counter: 0 };
        assert_eq!(bench.beat().await, Work::default(), "nothing waits");
        bench
    }

    pub(crate) fn uid(&self) -> Uid {
        self.device.uid
    }

    pub(crate) async fn beat(&mut self) -> Work {
        self.beat_with(WorkReport::default()).await
    }

    pub(crate) async fn beat_with(&mut self, work: WorkReport) -> Work {
        self.try_beat(work).await.expect("taken").work
    }

    pub(crate) async fn try_beat(&mut self, work: WorkReport) -> Result<BeatAnswer, Problem> {
        self.counter += 1;
        self.http.post("appliances/beats", &Beat { work, ..beat(1, self.counter, self.seq) }).await
    }

    pub(crate) fn readdress(&self, address: &str) -> Result<muster_noc::ApplianceDetail, WorkError> {
        self.world.noc.change(&self.uid(), Edit { address: Some(address.into()), ..Edit::default() })
    }

    pub(crate) fn given(&self) -> muster_noc::GivenView {
        self.world.noc.appliance(&self.uid()).expect("known").given.expect("given")
    }

    pub(crate) fn grant(&self, work: &Work) -> Grant {
        let given = work.grant.as_ref().expect("a grant");
        let bytes = BASE64.decode(given.grant.as_bytes()).expect("base64");
        let payload = verify(&self.world.noc.root(), Purpose::Grant, &bytes).expect("by the root");
        let grant: Grant = from_cbor(&payload).expect("a grant");
        assert_eq!(grant.seq, given.seq);
        grant
    }

    pub(crate) fn instruction(&self, work: &Work) -> Instruction {
        let bytes = BASE64.decode(work.instruction.as_ref().expect("an instruction").as_bytes()).expect("base64");
        let payload = verify(&self.world.noc.root(), Purpose::Instruction, &bytes).expect("by the root");
        from_cbor(&payload).expect("an instruction")
    }

    pub(crate) async fn address(&self) -> String {
        self.console.appliance(self.uid()).await.settings.expect("settings").address
    }
}

pub(crate) fn accepted(serial: Serial, problem: &str) -> WorkReport {
    let instruction = Some(InstructionReport { serial, problem: problem.into() });
    WorkReport { instruction, ..WorkReport::default() }
}

pub(crate) fn failed(seq: Seq, reason: &str) -> WorkReport {
    let failed = Some(GrantFailure { seq, reason: reason.into(), detail: "it\u{1b}[2J is so".into() });
    WorkReport { failed, ..WorkReport::default() }
}

#[tokio::test]
async fn new_settings_go_out_with_every_answer_until_a_beat_comes_under_them() {
    let mut bench = Bench::new().await;
    bench.readdress("192.0.2.80").expect("given");
    assert_eq!(bench.given().state, GivenState::Waiting);
    let work = bench.beat().await;
    let grant = bench.grant(&work);
    let root = bench.world.noc.root();
    assert_eq!((grant.uid, grant.mac, grant.site), (bench.uid(), bench.device.mac, bench.site.id));
    assert_eq!((grant.root, grant.console), (root, root), "no console may deliver it");
    assert_eq!(grant.parameters.network.address().to_string(), "192.0.2.80");
    assert_eq!(grant.parameters.network.host_name(), "mail-001", "what was not named stays");
    assert_eq!((grant.parameters.confirm, grant.seq > bench.seq), (Confirm::FirstBeat, true));
    assert_eq!(bench.given().state, GivenState::Given);
    assert_eq!(bench.address().await, "192.0.2.10", "not before it is so");

    // The NOC restarts; what it signed once it gives again, to the byte.
    bench.world = bench.world.restart().await;
    assert_eq!(bench.beat().await, work);
    let former = std::mem::replace(&mut bench.seq, grant.seq);
    assert_eq!(bench.beat().await, Work::default(), "it is in force");
    assert_eq!((bench.given().state, bench.address().await.as_str()), (GivenState::InForce, "192.0.2.80"));
    assert_eq!(bench.console.appliance(bench.uid()).await.provisioning, Provisioning::Configured);

    // It lost power before that was on its disk, and has rolled back.
    bench.seq = former;
    assert_eq!(bench.beat_with(failed(grant.seq, "interrupted")).await, Work::default());
    let given = bench.given();
    assert_eq!(
        (given.state, given.reason.as_str(), given.detail.as_str()),
        (GivenState::Failed, "interrupted", "it[2J is so")
    );
    assert_eq!(bench.address().await, "192.0.2.10");
    assert_eq!(bench.console.appliance(bench.uid()).await.provisioning, Provisioning::Failed);
    let before = bench.console.appliance(bench.uid()).await;
    bench.beat_with(failed(grant.seq, "no_beat")).await;
    let after = bench.console.appliance(bench.uid()).await;
    assert_eq!((after.settings, bench.given().reason.as_str()), (before.settings, "interrupted"), "told once");

    bench.readdress("192.0.2.81").expect("the next try");
    let next = bench.beat_with(failed(grant.seq, "no_beat")).await;
    assert!(bench.grant(&next).seq > grant.seq);
}

#[tokio::test]
async fn a_consoles_later_grant_overtakes_what_the_noc_would_give() {
    let mut bench = Bench::new().await;
    bench.readdress("192.0.2.80").expect("given");
    assert!(bench.beat().await.grant.is_some());
    bench.seq = bench.console.configure(bench.site.id, std::slice::from_ref(&bench.device)).await[0];
    assert_eq!(bench.beat().await, Work::default());
    assert_eq!(bench.given().state, GivenState::Overtaken);
    // And what the NOC gives after that counts again; a report about the former changes nothing.
    bench.readdress("192.0.2.81").expect("given");
    let work = bench.beat_with(failed(Seq(2), "old_sequence")).await;
    assert_eq!(bench.grant(&work).parameters.network.address().to_string(), "192.0.2.81");
}

#[tokio::test]
async fn what_cannot_be_given_is_refused_with_a_reason_and_uses_up_no_number() {
    let mut bench = Bench::new().await;
    let noc = bench.world.noc.clone();
    let other = Device::new(1);
    bench.world.import(std::slice::from_ref(&other));
    let refusal = |result: Result<muster_noc::ApplianceDetail, WorkError>| result.expect_err("refused").problem().code;
    assert_eq!(refusal(bench.readdress("192.0.2.10")), "no_change");
    assert_eq!(refusal(noc.change(&bench.uid(), Edit::default())), "no_change");
    for (address, names) in [("198.51.100.7", "wrong_subnet"), ("192.0.2.1", "gateway"), ("nonsense", "nonsense")] {
        let error = bench.readdress(address).expect_err("refused");
        assert_eq!(error.problem().code, "invalid_settings", "{names}");
        assert!(!error.to_string().is_empty());
    }
    assert_eq!(refusal(noc.appliance(&Uid([7; 20]))), "unknown_appliance");
    assert_eq!(
        refusal(noc.change(&other.uid, Edit { address: Some("192.0.2.77".into()), ..Edit::default() })),
        "not_configured"
    );
    let told = |result: Result<muster_noc::InstructionView, WorkError>| result.expect_err("refused").problem().code;
    assert_eq!(told(noc.instruct(&other.uid, Act::Reboot)), "not_configured");
    assert_eq!(noc.appliance_log(&bench.uid()).expect_err("none").problem().code, "no_log");
    // Another appliance's address.
    bench.console.configure(bench.site.id, std::slice::from_ref(&other)).await;
    assert_eq!(refusal(bench.readdress("192.0.2.11")), "invalid_settings");
    assert_eq!(bench.beat().await, Work::default());
    bench.readdress("192.0.2.12").expect("free");
    let work = bench.beat().await;
    assert_eq!(bench.grant(&work).seq, bench.seq.next());
    assert_eq!(noc.take_back(&bench.uid()).expect("taken back"), 1);
    assert_eq!((bench.beat().await, bench.given().reason.as_str()), (Work::default(), "cancelled"));
}

#[tokio::test]
async fn instructions_go_out_one_after_the_other_each_until_it_is_accepted() {
    let mut bench = Bench::new().await;
    let noc = bench.world.noc.clone();
    let reboot = noc.instruct(&bench.uid(), Act::Reboot).expect("queued");
    assert_eq!(noc.instruct(&bench.uid(), Act::Reboot).expect("the same").serial, reboot.serial);
    let log = noc.instruct(&bench.uid(), Act::SendLog).expect("queued");
    assert!(log.serial > reboot.serial);
    for _ in 0..2 {
        let work = bench.beat().await;
        let instruction = bench.instruction(&work);
        assert_eq!(
            (instruction.uid, instruction.seq),
            (bench.uid(), bench.seq),
            "for this appliance as it is configured"
        );
        assert_eq!((instruction.serial, instruction.act), (reboot.serial, Act::Reboot));
        bench.world = bench.world.restart().await;
    }
    let noc = bench.world.noc.clone();
    let work = bench.beat_with(accepted(reboot.serial, "command_failed\u{202e}")).await;
    assert_eq!(bench.instruction(&work).serial, log.serial);
    let shown = noc.appliance(&bench.uid()).expect("known").instructions;
    assert_eq!(
        shown.iter().map(|i| (i.serial, i.done.is_some())).collect::<Vec<_>>(),
        [(log.serial, false), (reboot.serial, true)]
    );
    assert_eq!(shown[1].problem, "command_failed");
    assert_eq!(bench.beat_with(accepted(log.serial, "")).await, Work::default());

    noc.instruct(&bench.uid(), Act::Decommission).expect("queued");
    assert_eq!(noc.take_back(&bench.uid()).expect("taken back"), 1);
    assert_eq!(bench.beat().await, Work::default());
    let impossible = bench.try_beat(accepted(Serial(u64::MAX), "")).await;
    assert_eq!(code(impossible), "malformed");
}

#[tokio::test]
async fn a_log_is_taken_when_it_was_asked_for_and_only_the_newest_is_kept() {
    let mut bench = Bench::new().await;
    let noc = bench.world.noc.clone();
    let send = async |bench: &Bench, serial: Serial, text: &str| -> Result<LogTaken, Problem> {
        bench.http.post("appliances/logs", &LogBundle { serial, text: text.into() }).await
    };
    assert_eq!(code(send(&bench, Serial(1), "unasked").await), "log_not_wanted");
    for round in ["first", "second"] {
        let asked = noc.instruct(&bench.uid(), Act::SendLog).expect("queued").serial;
        assert_eq!(code(send(&bench, asked, "before it was told").await), "log_not_wanted");
        bench.beat().await;
        assert_eq!(code(send(&bench, Serial(asked.0 + 1), "another number").await), "log_not_wanted");
        let long = "x".repeat(MAX_LOG + 1);
        assert_eq!(code(send(&bench, asked, &long).await), "too_large");
        send(&bench, asked, &format!("{round}\u{1b}[2J\n")).await.expect("taken");
        assert_eq!(noc.appliance_log(&bench.uid()).expect("there").text, format!("{round}\u{1b}[2J\n"));
        bench.beat_with(accepted(asked, "")).await;
    }
    let stranger = bench.world.anybody().await;
    let bundle = LogBundle { serial: Serial(1), text: String::new() };
    assert_eq!(code(stranger.post::<LogTaken>("appliances/logs", &bundle).await), "certificate_missing");
    let by_console = bench.console.http.post::<LogTaken>("appliances/logs", &bundle).await;
    assert_eq!(code(by_console), "certificate_wrong_kind");
}

#[tokio::test]
async fn a_decommissioned_appliance_is_refused_everything_until_it_is_released() {
    let mut bench = Bench::new().await;
    let noc = bench.world.noc.clone();
    let leave = noc.instruct(&bench.uid(), Act::Decommission).expect("queued");
    let work = bench.beat().await;
    assert_eq!(bench.instruction(&work).act, Act::Decommission);
    assert_eq!(
        bench.console.appliance(bench.uid()).await.provisioning,
        Provisioning::Configured,
        "not before it says so"
    );
    bench.beat_with(accepted(leave.serial, "")).await;
    let record = bench.console.appliance(bench.uid()).await;
    assert_eq!((record.provisioning, record.settings), (Provisioning::Decommissioned, None));
    assert_eq!(code(bench.try_beat(WorkReport::default()).await), "appliance_retired");
    let (_, request) = bench.device.enrolment(&bench.device.key, bench.seq);
    let again = bench.world.anybody().await.post::<ApplianceEnrolled>("appliances/enrol", &request).await;
    assert_eq!(code(again), "appliance_retired");
    let log =
        bench.http.post::<LogTaken>("appliances/logs", &LogBundle { serial: Serial(1), text: String::new() }).await;
    assert_eq!(code(log), "appliance_retired");
    let retired = noc.instruct(&bench.uid(), Act::Reboot).expect_err("refused").problem().code;
    assert_eq!(retired, "retired");
    let plan = bench.console.plan(bench.site.id, std::slice::from_ref(&bench.device)).await;
    assert_eq!(
        (plan.rows[0].problem.as_ref().map(|p| p.code.as_str()), &plan.rows[0].settings),
        (Some("retired"), &None)
    );
    let items = vec![GrantItem { uid: bench.uid(), settings: noc_settings(), refusal: None }];
    let grants: Grants = bench
        .console
        .http
        .post("console/grants", &GrantRequest { site: bench.site.id, items })
        .await
        .expect("answered");
    assert_eq!((grants.items[0].grant.is_none(), grants.items[0].errors[0].code.as_str()), (true, "retired"));

    assert!(noc.release(&bench.uid()).expect("released"));
    bench.seq = bench.console.configure(bench.site.id, std::slice::from_ref(&bench.device)).await[0];
    bench.http = bench.device.enrol(&bench.world.anybody().await, bench.seq).await;
    assert_eq!(bench.beat().await, Work::default(), "it serves again");
}

fn noc_settings() -> muster_protocol::parameters::RawSettings {
    muster_protocol::parameters::RawSettings {
        host_name: "mail-009".into(),
        domain: "example.net".into(),
        address: "192.0.2.19".into(),
        netmask: "24".into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_new_appliance_takes_over_the_role_of_a_dead_one() {
    let mut bench = Bench::new().await;
    let noc = bench.world.noc.clone();
    let [heir, other]: [Device; 2] = [1, 2].map(Device::new);
    for device in [&heir, &other] {
        bench.world.import(std::slice::from_ref(device));
    }
    let refusal = |old: &Uid, new: &Uid| noc.replace(old, new).expect_err("refused").problem().code;
    assert_eq!(refusal(&bench.uid(), &bench.uid()), "itself");
    assert_eq!(refusal(&heir.uid, &bench.uid()), "not_configured");
    assert_eq!(refusal(&bench.uid(), &Uid([7; 20])), "unknown_appliance");
    bench.console.configure(bench.site.id, std::slice::from_ref(&other)).await;
    assert_eq!(refusal(&bench.uid(), &other.uid), "in_use");
    let dead = bench.console.appliance(bench.uid()).await.settings.expect("settings");

    let detail = noc.replace(&bench.uid(), &heir.uid).expect("replaced");
    assert_eq!((detail.record.site, detail.planned.as_ref()), (Some(bench.site.id), Some(&dead)));
    let old = noc.appliance(&bench.uid()).expect("known");
    assert_eq!((old.record.provisioning, old.successor), (Provisioning::Replaced, Some(heir.uid)));
    assert_eq!(code(bench.try_beat(WorkReport::default()).await), "appliance_retired", "should it come to life");
    assert_eq!(refusal(&bench.uid(), &heir.uid), "retired");

    // Nobody else gets its address meanwhile.
    let third = Device::new(3);
    bench.world.import(std::slice::from_ref(&third));
    let plan = bench.console.plan(bench.site.id, std::slice::from_ref(&third)).await;
    assert_ne!(plan.rows[0].settings.as_ref().expect("planned").address, dead.address);
    let plan = bench.console.plan(bench.site.id, std::slice::from_ref(&heir)).await;
    assert_eq!(plan.rows[0].settings.as_ref(), Some(&dead));
    assert_eq!(plan.rows[0].rules["address"], "the appliance that it replaces");
    bench.console.configure(bench.site.id, std::slice::from_ref(&heir)).await;
    assert_eq!(bench.console.appliance(heir.uid).await.settings, Some(dead));
}

#[tokio::test]
async fn a_changed_interval_of_the_site_comes_with_the_next_answer() {
    let mut bench = Bench::new().await;
    assert_eq!(bench.try_beat(WorkReport::default()).await.expect("taken").interval_s, 5);
    bench
        .world
        .noc
        .update_site(bench.site.id, muster_noc::SiteSpec { beat_interval_s: 120, ..spec() })
        .expect("changed");
    assert_eq!(bench.try_beat(WorkReport::default()).await.expect("taken").interval_s, 120);
}
