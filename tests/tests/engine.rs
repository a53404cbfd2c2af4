//! The console engine against the real NOC when something is in the way: bad invites, a NOC that goes away, a console that
//! is killed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use muster_console::engine::{Engine, EngineError, Options as EngineOptions};
use muster_console::problem::Explain;
use muster_console::view::{Chosen, EditedRow, JobStep, JobView, NocLink, RowOwnership, RowState};
use muster_protocol::api::Provisioning;
use muster_protocol::crypto::claim::ClaimSecret;
use std::path::Path;
use std::process::Command as Program;
use std::time::Duration;
use system_tests::fleet::Knobs;
use system_tests::process;
use system_tests::world::{World, joined, until};

async fn plan_all(engine: &Engine, count: usize) -> Vec<EditedRow> {
    engine.discover().await.expect("discovers");
    until("everybody is heard", 30, async || {
        let open = engine.appliances().iter().filter(|row| row.state == RowState::Unconfigured).count();
        if open == count { Ok(()) } else { Err(open) }
    })
    .await;
    let chosen = engine.appliances().into_iter().map(|row| Chosen { uid: row.uid, claim: None }).collect();
    let plan = engine.plan(1, chosen).await.expect("planned");
    plan.rows.into_iter().map(|row| EditedRow { uid: row.uid, settings: row.settings }).collect()
}

fn steps(job: &JobView) -> Vec<JobStep> {
    job.items.iter().map(|item| item.step).collect()
}

/// The invite with one value of its JSON replaced.
fn altered(invite: &str, key: &str, value: serde_json::Value) -> String {
    let code = invite.strip_prefix("muster-invite:").expect("an invite");
    let mut json: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(code).expect("base64")).expect("JSON");
    json[key] = value;
    format!("muster-invite:{}", URL_SAFE_NO_PAD.encode(json.to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_that_is_expired_used_or_of_another_noc_is_refused_with_its_remedy() {
    let world = World::new(1, Knobs::default()).await;
    let engine = world.engine().await;
    let code = async |invite: &str| {
        let error = engine.join(invite).await.expect_err("refused");
        assert!(!error.problem().remedy.is_empty(), "{error}");
        assert!(!engine.has_joined() && !world.folder.path().join("console/identity.json").exists(), "nothing changed");
        error.code()
    };
    let expired = world.noc.invite(&[world.site.id], Duration::ZERO).expect("an invite");
    assert_eq!(code(&expired).await, "invite_expired");
    // A console whose clock is behind learns it from the NOC.
    assert_eq!(code(&altered(&expired, "expires", 4_000_000_000_u64.into())).await, "invite_expired");
    let good = world.invite();
    assert_eq!(code(&altered(&good, "pin", "00".repeat(32).into())).await, "pin_mismatch");
    assert_eq!(code(&altered(&good, "token", "AAAABBBB".into())).await, "invite_unknown");
    engine.join(&good).await.expect("the good one is still good");
    assert!(engine.has_joined());
    let other = Engine::start(EngineOptions { data_dir: world.folder.path().join("other"), ..world.console() }).await;
    let error = other.expect("an engine").join(&good).await.expect_err("used");
    assert_eq!(error.code(), "invite_used");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_noc_that_goes_away_in_the_middle_is_told_everything_when_it_is_back() {
    let mut world = World::new(12, Knobs { install_ms: Some(1_500), ..Knobs::default() }).await;
    let engine = joined(&world).await;
    let rows = plan_all(&engine, 12).await;
    let id = engine.configure(1, rows).await.expect("begun");
    until("they install", 20, async || {
        let steps = steps(&engine.job(id).expect("known"));
        if steps.iter().all(|step| *step == JobStep::Installing) { Ok(()) } else { Err(steps) }
    })
    .await;
    world.stop_noc().await;
    let job = until("the job ends without a NOC", 60, async || {
        let job = engine.job(id).expect("known");
        if job.finished.is_some() { Ok(job) } else { Err(steps(&job)) }
    })
    .await;
    assert!(steps(&job).iter().all(|step| *step == JobStep::Configured), "{job:?}");
    let problem = until("the loss is seen", 40, async || match engine.noc() {
        NocLink::Lost { problem, .. } => Ok(problem),
        other => Err(other),
    })
    .await;
    assert_eq!(problem.code, "noc_unreachable");
    assert_eq!(engine.unreported().await.expect("read"), 12, "the results are kept");

    // Not even a new start of the console loses them.
    engine.shutdown().await;
    drop(engine);
    let engine = world.engine().await;
    assert_eq!(engine.unreported().await.expect("read"), 12);
    world.start_noc().await;
    until("the NOC is told", 60, async || match engine.unreported().await.expect("read") {
        0 => Ok(()),
        waiting => Err(waiting),
    })
    .await;
    until("connected again", 40, async || {
        matches!(engine.noc(), NocLink::Connected { .. }).then_some(()).ok_or(engine.noc())
    })
    .await;
    let records = world.noc.appliances().expect("read");
    assert!(records.iter().all(|record| record.provisioning == Provisioning::Configured), "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_anew_connects_at_once_and_says_what_noc_and_appliance_say() {
    let mut world = World::new(2, Knobs::default()).await;
    let error = world.engine().await.refresh().await.expect_err("there is no NOC yet");
    assert_eq!(error.code(), "not_joined");
    let engine = joined(&world).await;
    plan_all(&engine, 2).await;
    let uid = engine.appliances()[0].uid.clone();
    let is_connected = |link: &NocLink| matches!(link, NocLink::Connected { .. });
    assert!(is_connected(&engine.refresh().await.expect("asked")));

    world.stop_noc().await;
    let since = until("the loss is seen", 40, async || match engine.noc() {
        NocLink::Lost { since, .. } => Ok(since),
        other => Err(other),
    })
    .await;
    until("a second has passed", 5, async || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        if now > u64::from(since) { Ok(()) } else { Err(now) }
    })
    .await;
    match engine.refresh().await.expect("asked") {
        NocLink::Lost { since: again, .. } => assert_eq!(again, since, "it is not lost since now"),
        other => panic!("{other:?}"),
    }
    let checked = engine.check_now(&uid).await.expect("asked");
    assert!(!checked.heard_at.is_empty() && !checked.connected, "the appliance answers, the NOC does not: {checked:?}");

    world.start_noc().await;
    assert!(is_connected(&engine.refresh().await.expect("asked")), "without waiting for the next attempt");
    world.turn(Knobs { silent: Some(vec![uid.parse().expect("a UID")]), ..Knobs::default() }).await;
    let checked = engine.check_now(&uid).await.expect("asked");
    assert!(checked.heard_at.is_empty() && checked.connected, "the NOC answers, the appliance does not: {checked:?}");
    assert_eq!(engine.check_now("nonsense").await.expect_err("no UID").code(), "bad_identifier");
    assert_eq!(engine.silence(999, 3_600).await.expect_err("no such alert").code(), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_label_code_is_told_harms_nobody_and_can_be_typed_again() {
    let world = World::without_inventory(1, Knobs::default()).await;
    let engine = joined(&world).await;
    engine.discover().await.expect("discovers");
    let row = until("it is heard", 30, async || {
        engine.appliances().into_iter().find(|row| row.heard).ok_or(engine.discovery())
    })
    .await;
    assert_eq!(row.state, RowState::Unclaimed);
    let plan = async |claim: Option<&str>| {
        let chosen = vec![Chosen { uid: row.uid.clone(), claim: claim.map(str::to_owned) }];
        engine.plan(1, chosen).await.expect("planned").rows.remove(0)
    };
    let configure = async |settings| {
        let id = engine.configure(1, vec![EditedRow { uid: row.uid.clone(), settings }]).await.expect("a job");
        until("the job ends", 60, async || {
            let job = engine.job(id).expect("known");
            if job.finished.is_some() { Ok(job.items[0].clone()) } else { Err(job) }
        })
        .await
    };
    assert_eq!(plan(None).await.ownership, RowOwnership::Unclaimed);

    // A code that reads well and is another label's: only the appliance can tell.
    let wrong = ClaimSecret::generate(&mut rand_core::UnwrapErr(getrandom::SysRng)).reveal();
    let item = configure(plan(Some(&wrong)).await.settings).await;
    let problem = item.problem.expect("says why");
    assert_eq!((item.step, problem.code.as_str()), (JobStep::Failed, "not_opened"));
    assert!(!problem.remedy.is_empty());

    let again = until("the NOC has heard of it", 20, async || {
        let again = plan(None).await;
        if again.ownership == RowOwnership::Unclaimed { Ok(again) } else { Err(again) }
    })
    .await;
    assert_eq!(again.problem.expect("asks for the code").code, "claim_refused");
    let line = world.manifest.lines().nth(1).expect("an appliance");
    let right = line.split(',').find(|cell| cell.parse::<ClaimSecret>().is_ok()).expect("its label code");
    assert_eq!(configure(plan(Some(right)).await.settings).await.step, JobStep::Configured);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_grants_a_job_waits_and_says_why() {
    let mut world = World::new(3, Knobs::default()).await;
    let engine = joined(&world).await;
    let rows = plan_all(&engine, 3).await;
    world.stop_noc().await;
    let id = engine.configure(1, rows.clone()).await.expect("it is on disk");
    let why = until("it says why", 30, async || {
        let job = engine.job(id).expect("known");
        job.items[0].problem.clone().ok_or(job)
    })
    .await;
    assert_eq!(why.code, "noc_unreachable");
    let Err(EngineError::Job(error)) = engine.configure(1, rows).await else { panic!("they are in a job") };
    assert_eq!(error.code(), "already_in_job");
    world.start_noc().await;
    until("the job ends", 60, async || {
        let steps = steps(&engine.job(id).expect("known"));
        if steps.iter().all(|step| *step == JobStep::Configured) { Ok(()) } else { Err(steps) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_is_killed_again_and_again_finishes_its_job() {
    let knobs = Knobs { install_ms: Some(700), loss_percent: Some(10), ..Knobs::default() };
    let world = World::new(60, knobs).await;
    let engine = joined(&world).await;
    engine.shutdown().await;
    drop(engine);
    let log = world.folder.path().join("log");
    let muster = |args: &[&str]| {
        let mut command = Program::new(process::program("muster"));
        command.env("MUSTER_KEYRING", "off").args(["--no-lan", "--target", &world.target.to_string(), "--data-dir"]);
        command.arg(world.folder.path().join("console")).args(args);
        command
    };
    let mut console = process::Running::start(&mut muster(&["configure", "--all-unconfigured"]), &log);
    until("some are configured", 60, async || configured(&log)).await;
    console.kill();
    for _ in 0..3 {
        std::fs::write(&log, b"").expect("emptied");
        let mut console = process::Running::start(&mut muster(&["job", "resume"]), &log);
        until("it goes on", 60, async || configured(&log)).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        console.kill();
    }
    let output = tokio::task::spawn_blocking({
        let mut command = muster(&["--json", "job", "resume"]);
        move || process::output(&mut command)
    });
    let output = output.await.expect("ran");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let output = process::succeed(&mut muster(&["--json", "job", "show", "1"]));
    let job: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    let items = job["items"].as_array().expect("items");
    assert_eq!(items.iter().filter(|item| item["step"] == "configured").count(), 60, "{job}");
    let records = world.noc.appliances().expect("read");
    assert!(records.iter().all(|record| record.provisioning == Provisioning::Configured), "{records:?}");
}

/// What `muster` last said about its job, once that is more than nothing.
fn configured(log: &Path) -> Result<(), String> {
    let said = std::fs::read_to_string(log).unwrap_or_default();
    let mut counts =
        said.lines().filter_map(|line| line.strip_prefix("job 1: ")).filter_map(|line| line.split(' ').next());
    match counts.next_back() {
        None | Some("0") => Err(said),
        Some(_) => Ok(()),
    }
}
