//! The practice fleet with the real NOC and the real console engine, in one process: real agents, packets and TLS.

use muster_console::engine::{Engine, Options as EngineOptions};
use muster_console::view::{Chosen, EditedRow, JobStep, JobView, RowHealth, RowState};
use muster_noc::{ApplianceDetail, Edit, GivenState, Noc, Options as NocOptions, Running, SiteSpec};
use muster_protocol::api::Provisioning;
use muster_protocol::id::Uid;
use muster_protocol::instruction::Act;
use muster_protocol::parameters::Confirm;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use system_tests::fleet::{Command, Fleet, Knobs, Options, Stats, bind};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// A NOC, a console that has joined it, and a fleet that the inventory knows.
struct World {
    engine: Engine,
    fleet: mpsc::Sender<Command>,
    stats: mpsc::UnboundedReceiver<Stats>,
    noc: Noc,
    _running: Running,
    _folder: TempDir,
}

impl World {
    async fn new(count: usize, confirm: Confirm, knobs: Knobs) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let options = NocOptions { addresses: vec!["127.0.0.1:0".to_owned()], listen: loopback };
        let noc = Noc::init(&folder.path().join("noc"), &options).expect("a NOC");
        let site = SiteSpec {
            name: "Office".into(),
            pool: "10.20.0.10-10.20.9.250".into(),
            netmask: "255.255.0.0".into(),
            gateway: "10.20.0.1".into(),
            domain: "office.example".into(),
            dns1: "10.20.0.53".into(),
            dns2: String::new(),
            pool6: String::new(),
            gateway6: String::new(),
            ntp: String::new(),
            search_domains: String::new(),
            host_name: "{model}-{n:03}".into(),
            beat_interval_s: 5,
            confirm,
            window_s: 30,
            drift: None,
            application: String::new(),
            proof: muster_protocol::api::RequiredProof::Any,
            exclude: String::new(),
            inherit: Vec::new(),
        };
        let site = noc.add_site(site).expect("a site");
        let running = noc.serve(loopback).await.expect("serves");

        let options = Options { count, seed: 7, first_address: None, knobs };
        let fleet = Fleet::start(&options, bind(0).expect("a socket")).expect("a fleet");
        noc.import_manifest(fleet.manifest()).expect("imported");
        let target = fleet.address().expect("bound");
        let (command, commands) = mpsc::channel(4);
        let (told, stats) = mpsc::unbounded_channel();
        tokio::spawn(fleet.run(commands, told));

        let mut options = EngineOptions::new(folder.path().join("console"));
        (options.targets, options.lan) = (vec![target], false);
        let engine = Engine::start(options).await.expect("an engine");
        let invite = noc.invite(&[site.id], Duration::from_secs(600)).expect("an invite");
        engine.join(&invite).await.expect("joined");
        World { engine, fleet: command, stats, noc, _running: running, _folder: folder }
    }

    async fn turn(&self, knobs: Knobs) {
        self.fleet.send(Command::Knobs(knobs)).await.expect("the fleet runs");
    }

    async fn stats(&mut self) -> Stats {
        self.fleet.send(Command::Stats(true)).await.expect("the fleet runs");
        self.stats.recv().await.expect("the fleet answers")
    }

    /// Calls the roll and configures all whom it found; the job when it has ended.
    async fn configure(&mut self, count: usize) -> JobView {
        let engine = self.engine.clone();
        engine.discover().await.expect("discovers");
        until("everybody is heard", 30, async || {
            let heard = engine.appliances().iter().filter(|row| row.heard).count();
            if heard == count { Ok(()) } else { Err(format!("{heard} heard")) }
        })
        .await;
        let chosen = engine.appliances().into_iter().map(|row| Chosen { uid: row.uid, claim: None }).collect();
        let plan = engine.plan(1, chosen).await.expect("planned");
        let rows = plan.rows.into_iter().map(|row| EditedRow { uid: row.uid, settings: row.settings }).collect();
        let id = engine.configure(1, rows).await.expect("begun");
        until("the job ends", 90, async || {
            let job = engine.job(id).expect("known");
            if job.finished.is_some() { Ok(job) } else { Err(format!("{:?}", steps(&job))) }
        })
        .await
    }
}

fn steps(job: &JobView) -> Vec<JobStep> {
    job.items.iter().map(|item| item.step).collect()
}

async fn until<T, F: Future<Output = Result<T, String>>>(what: &str, seconds: u64, mut probe: impl FnMut() -> F) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(seconds);
    loop {
        match probe().await {
            Ok(value) => return value,
            Err(said) => assert!(tokio::time::Instant::now() < deadline, "waited {seconds} s until {what}: {said}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lossy_fleet_is_configured_once_each_and_beats_and_its_silence_is_seen() {
    let knobs = Knobs { install_ms: Some(400), loss_percent: Some(10), ..Knobs::default() };
    let mut world = World::new(24, Confirm::FirstBeat, knobs).await;
    let job = world.configure(24).await;
    assert!(steps(&job).iter().all(|step| *step == JobStep::Configured), "{:?}", steps(&job));
    let stats = world.stats().await;
    assert_eq!(stats.states.get("configured"), Some(&24), "{stats:?}");
    // The first beat is what made the settings final, so each has enrolled by its device key and beaten over mutual TLS.
    assert_eq!(stats.beating, 24, "{stats:?}");
    for record in world.noc.appliances().expect("read") {
        let beat = record.beat.expect("a beat");
        assert!(beat.counters.len() >= 2 && beat.uptime_s > 0, "{} reports what its model does: {beat:?}", record.uid);
    }

    let silent: Uid = job.items[0].uid.parse().expect("a UID");
    world.turn(Knobs { silent: Some(vec![silent]), ..Knobs::default() }).await;
    let engine = world.engine.clone();
    until("one is silent", 60, async || {
        let rows = engine.appliances();
        let health = rows.iter().find(|row| row.uid == silent.to_string()).map(|row| row.health);
        if health == Some(RowHealth::Silent) { Ok(()) } else { Err(format!("{health:?}")) }
    })
    .await;
    assert_eq!(engine.alerts().iter().filter(|alert| alert.closed.is_none()).count(), 1);
    world.turn(Knobs { silent: Some(Vec::new()), ..Knobs::default() }).await;
    until("it is well again", 60, async || {
        let open = engine.alerts().iter().filter(|alert| alert.closed.is_none()).count();
        if open == 0 { Ok(()) } else { Err(format!("{open} alerts open")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn installations_that_fail_leave_appliances_as_they_were_and_can_be_retried() {
    let mut world = World::new(6, Confirm::KickStart, Knobs { fail_percent: Some(100), ..Knobs::default() }).await;
    let job = world.configure(6).await;
    assert!(steps(&job).iter().all(|step| *step == JobStep::Failed), "{:?}", steps(&job));
    let problem = job.items[0].problem.as_ref().expect("a reason");
    assert_eq!(problem.code, "apply_failed");
    assert_eq!(world.stats().await.states.get("unconfigured"), Some(&6));

    world.turn(Knobs { fail_percent: Some(0), ..Knobs::default() }).await;
    world.engine.retry_job(job.id, job.items.iter().map(|item| item.uid.clone()).collect()).await.expect("begun");
    let (engine, id) = (world.engine.clone(), job.id);
    until("all are configured", 60, async || {
        let steps = steps(&engine.job(id).expect("known"));
        if steps.iter().all(|step| *step == JobStep::Configured) { Ok(()) } else { Err(format!("{steps:?}")) }
    })
    .await;
    assert_eq!(world.stats().await.states.get("configured"), Some(&6));
}

/// What the NOC knows of an appliance, once it is as asked for.
async fn detail(noc: &Noc, uid: &Uid, what: &str, is_so: impl Fn(&ApplianceDetail) -> bool) -> ApplianceDetail {
    until(what, 60, async || {
        let detail = noc.appliance(uid).expect("known");
        if is_so(&detail) { Ok(detail) } else { Err(format!("{detail:?}")) }
    })
    .await
}

fn uids(job: &JobView) -> Vec<Uid> {
    job.items.iter().map(|item| item.uid.parse().expect("a UID")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_noc_changes_configured_appliances_with_the_answers_to_their_beats() {
    let mut world = World::new(2, Confirm::KickStart, Knobs::default()).await;
    let uids = uids(&world.configure(2).await);
    let noc = world.noc.clone();
    let move_to = |uid: &Uid, address: &str| {
        let edit = Edit { address: Some(address.into()), ..Edit::default() };
        noc.change(uid, edit).expect("given")
    };
    move_to(&uids[0], "10.20.5.5");
    let is_in = |state| move |detail: &ApplianceDetail| detail.given.as_ref().is_some_and(|given| given.state == state);
    let moved = detail(&noc, &uids[0], "it beats under the new settings", is_in(GivenState::InForce)).await;
    assert_eq!(moved.record.settings.as_ref().expect("settings").address, "10.20.5.5");
    assert_eq!(moved.record.provisioning, Provisioning::Configured);

    // One that cannot apply them keeps what it has, beats on, and says why.
    world.turn(Knobs { fail_percent: Some(100), ..Knobs::default() }).await;
    let before = noc.appliance(&uids[1]).expect("known").record.settings;
    move_to(&uids[1], "10.20.5.6");
    let failed = detail(&noc, &uids[1], "it says that it failed", is_in(GivenState::Failed)).await;
    let given = failed.given.as_ref().expect("given");
    assert_eq!(given.reason, "apply_failed");
    assert!(given.detail.contains("practice fleet"), "{given:?}");
    assert_eq!((failed.record.settings, failed.record.provisioning), (before, Provisioning::Failed));
    let accepted = world.stats().await.beats_accepted;
    until("beats go on", 60, async || {
        let last = noc.appliance(&uids[1]).expect("known").record.last_beat;
        if last > failed.record.last_beat { Ok(()) } else { Err(format!("{last:?}")) }
    })
    .await;
    assert!(world.stats().await.beats_accepted > accepted);
    assert_eq!(world.stats().await.states.get("configured"), Some(&2));

    world.turn(Knobs { fail_percent: Some(0), ..Knobs::default() }).await;
    move_to(&uids[1], "10.20.5.7");
    detail(&noc, &uids[1], "the next try works", is_in(GivenState::InForce)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instructions_are_carried_out_and_a_decommissioned_appliance_starts_anew() {
    let mut world = World::new(2, Confirm::KickStart, Knobs::default()).await;
    let uids = uids(&world.configure(2).await);
    let noc = world.noc.clone();
    noc.instruct(&uids[0], Act::Reboot).expect("queued");
    noc.instruct(&uids[0], Act::SendLog).expect("queued");
    let all_done = |detail: &ApplianceDetail| {
        detail.instructions.len() == 2 && detail.instructions.iter().all(|one| one.done.is_some())
    };
    let done = detail(&noc, &uids[0], "both are reported", all_done).await;
    assert!(done.instructions.iter().all(|one| one.problem.is_empty()), "{done:?}");
    assert!(noc.appliance_log(&uids[0]).expect("a log").text.contains("practice appliance"));

    noc.instruct(&uids[0], Act::Decommission).expect("queued");
    let is_gone = |detail: &ApplianceDetail| detail.record.provisioning == Provisioning::Decommissioned;
    let gone = detail(&noc, &uids[0], "it has left", is_gone).await;
    assert_eq!(gone.record.settings, None);
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    while world.stats().await.states.get("unconfigured") != Some(&1) {
        assert!(tokio::time::Instant::now() < end, "{:?}", world.stats().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(world.stats().await.states.get("configured"), Some(&1), "the other one stays");

    // Its next life, here or elsewhere, begins with its label.
    assert!(noc.release(&uids[0]).expect("released"));
    let (engine, uid) = (world.engine.clone(), uids[0].to_string());
    engine.discover().await.expect("discovers");
    until("it answers as unconfigured", 30, async || {
        let state = engine.appliances().into_iter().find(|row| row.uid == uid).map(|row| row.state);
        if state == Some(RowState::Unconfigured) { Ok(()) } else { Err(format!("{state:?}")) }
    })
    .await;
    let job = world.configure(2).await;
    assert!(steps(&job).iter().all(|step| *step == JobStep::Configured), "{:?}", job.items);
    let is_back = |detail: &ApplianceDetail| detail.record.last_beat > gone.record.last_beat;
    detail(&noc, &uids[0], "it beats again", is_back).await;
}
