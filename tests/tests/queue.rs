//! The message queue from the NOC through a console to appliances, with real programs: the seed's five messages, each with one
//! effect however often a console is killed.

use muster_console::engine::Engine;
use muster_console::view::{JobStep, RowMessageState};
use muster_noc::{MessageView, NewOrder, Standing};
use muster_protocol::api::Provisioning;
use muster_protocol::id::{ConsoleId, Mac};
use muster_protocol::parameters::RawSettings;
use muster_protocol::queue::{Filter, MessageNumber, read_list};
use std::process::Command as Program;
use std::time::Duration;
use system_tests::fleet::Knobs;
use system_tests::process::{self, Running};
use system_tests::world::{World, joined, until};

const CONSOLE: ConsoleId = ConsoleId(1);
const HOUR: Duration = Duration::from_secs(3_600);

fn send(world: &World, order: NewOrder) -> MessageNumber {
    world.noc.send(CONSOLE, order, HOUR).expect("sent").number
}

fn stands(world: &World, number: MessageNumber) -> MessageView {
    world.noc.message(CONSOLE, number).expect("known")
}

async fn ended(world: &World, number: MessageNumber) -> MessageView {
    until("the message has ended", 60, async || {
        let message = stands(world, number);
        if message.is_over() { Ok(message) } else { Err(message) }
    })
    .await
}

async fn answer(world: &World, order: NewOrder) -> String {
    let message = ended(world, send(world, order)).await;
    assert_eq!(message.state, Standing::Done, "{message:?}");
    message.answer.expect("an answer")
}

async fn failure(world: &World, order: NewOrder) -> String {
    let message = ended(world, send(world, order)).await;
    assert_eq!(message.state, Standing::Failed, "{message:?}");
    assert!(!message.detail.is_empty());
    message.code
}

fn macs(world: &World) -> Vec<Mac> {
    world.noc.appliances().expect("read").iter().map(|record| record.mac).collect()
}

fn config(mac: Mac, settings: Option<RawSettings>) -> NewOrder {
    NewOrder::Config { mac, site: None, settings }
}

fn settings(host_name: &str, address: &str) -> RawSettings {
    RawSettings {
        host_name: host_name.into(),
        domain: "depot.example".into(),
        address: address.into(),
        netmask: "255.255.0.0".into(),
        ..RawSettings::default()
    }
}

/// `muster` on the console's data folder.
fn muster(world: &World, args: &[&str]) -> Program {
    let mut command = Program::new(process::program("muster"));
    command.env("MUSTER_KEYRING", "off").args(["--no-lan", "--target", &world.target.to_string(), "--data-dir"]);
    command.arg(world.folder.path().join("console")).args(args);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_without_anybody_is_discovered_and_configured_from_the_noc() {
    let world = World::new(5, Knobs::default()).await;
    let engine = joined(&world).await;
    let zeros = |list: &str| list.matches(":,,0.0.0.0,0.0.0.0,0.0.0.0,0.0.0.0").count();

    assert_eq!(answer(&world, NewOrder::Status).await, "0", "nothing was configured yet");
    assert_eq!(answer(&world, NewOrder::Refresh).await, "5");
    let list = answer(&world, NewOrder::List { filter: Filter::All }).await;
    assert_eq!((read_list(&list).expect("the seed's form").len(), zeros(&list)), (5, 5));
    assert_eq!(answer(&world, NewOrder::List { filter: Filter::Configured }).await, "");

    // By policy, as typed, and all of it one after the other.
    let macs = macs(&world);
    let by_policy = send(&world, config(macs[0], None));
    let typed = send(&world, config(macs[1], Some(settings("relay-1", "10.20.7.7"))));
    for number in [by_policy, typed] {
        let message = ended(&world, number).await;
        assert_eq!(message.state, Standing::Done, "{message:?}");
    }
    assert_eq!(answer(&world, NewOrder::Status).await, "1");
    let list = answer(&world, NewOrder::List { filter: Filter::Configured }).await;
    let listed = read_list(&list).expect("the seed's form");
    assert_eq!(listed.len(), 2);
    let relay = format!("{}:relay-1,depot.example,10.20.7.7,255.255.0.0,0.0.0.0,0.0.0.0", macs[1]);
    assert!(list.split('|').any(|entry| entry == relay), "{list}");
    assert_eq!(ended(&world, send(&world, NewOrder::Kick { mac: macs[0] })).await.state, Standing::Done, "it runs");

    // What cannot be done says why, and nothing else suffers.
    assert_eq!(failure(&world, NewOrder::Kick { mac: macs[2] }).await, "nothing_to_kick");
    let stranger: Mac = "02:00:00:00:00:99".parse().expect("MAC");
    assert_eq!(failure(&world, config(stranger, None)).await, "not_heard");
    assert_eq!(failure(&world, config(macs[2], Some(settings("relay-1", "10.20.7.8")))).await, "check_failed");
    assert_eq!(answer(&world, NewOrder::Status).await, "-1");

    // The console shows what it was made to do.
    let rows = engine.messages();
    assert_eq!(rows.len(), 13);
    assert_eq!((rows[0].name.as_str(), rows[0].state), ("getStatus", RowMessageState::Done));
    let done = rows.iter().find(|row| row.number == typed.to_string()).expect("shown");
    assert_eq!((done.mac.clone(), done.job.is_some()), (macs[1].to_string(), true));
    let records = world.noc.appliances().expect("read");
    assert_eq!(records.iter().filter(|record| record.provisioning == Provisioning::Configured).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_is_killed_at_any_moment_carries_each_message_out_once() {
    const COUNT: usize = 8;
    let knobs = Knobs { install_ms: Some(300), ..Knobs::default() };
    let world = World::new(COUNT, knobs).await;
    let engine = joined(&world).await;
    engine.shutdown().await;
    drop(engine);
    let mut numbers = vec![send(&world, NewOrder::Refresh)];
    numbers.extend(macs(&world).into_iter().map(|mac| send(&world, config(mac, None))));
    numbers.push(send(&world, NewOrder::List { filter: Filter::Configured }));

    let log = world.folder.path().join("log");
    for life in 0..12_u64 {
        let mut console = Running::start(&mut muster(&world, &["run"]), &log);
        tokio::time::sleep(Duration::from_millis(120 + 70 * life)).await;
        console.kill();
    }
    let console = Running::start(&mut muster(&world, &["run"]), &log);
    for number in &numbers {
        let message = ended(&world, *number).await;
        assert_eq!(message.state, Standing::Done, "{message:?}\n{}", console.said());
    }
    drop(console);

    // Each configuration became one job, whatever was killed when.
    let jobs: serde_json::Value =
        serde_json::from_str(&process::succeed(&mut muster(&world, &["--json", "job", "list"]))).expect("JSON");
    assert_eq!(jobs.as_array().expect("jobs").len(), COUNT, "{jobs}");
    let engine = world.engine().await;
    assert!(engine.jobs().iter().all(|job| job.items[0].step == JobStep::Configured));
    let listed: serde_json::Value =
        serde_json::from_str(&process::succeed(&mut muster(&world, &["--json", "queue"]))).expect("JSON");
    let states: Vec<_> = listed.as_array().expect("rows").iter().map(|row| row["state"].as_str()).collect();
    assert_eq!(states, vec![Some("done"); COUNT + 2], "{listed}");
    let records = world.noc.appliances().expect("read");
    assert!(records.iter().all(|record| record.provisioning == Provisioning::Configured), "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn standing_by_ends_when_it_is_told_and_needs_a_noc() {
    let world = World::new(1, Knobs::default()).await;
    let output = process::output(&mut muster(&world, &["run"]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("not_joined"), "{said}");
    let said = process::output(&mut muster(&world, &["queue"]));
    assert!(String::from_utf8_lossy(&said.stderr).contains("not_joined"));

    let engine = joined(&world).await;
    engine.shutdown().await;
    drop(engine);
    let log = world.folder.path().join("log");
    let console = Running::start(&mut muster(&world, &["run"]), &log);
    assert_eq!(answer(&world, NewOrder::Refresh).await, "1");
    until("it says what it did", 20, async || {
        let said = console.said();
        if said.contains("sendRefresh") && said.contains("1 appliance") { Ok(()) } else { Err(said) }
    })
    .await;
    process::succeed(Program::new("kill").args(["-TERM", &console.id().to_string()]));
    until("its folder is free", 20, async || {
        Engine::start(world.console()).await.map(drop).map_err(|error| error.to_string())
    })
    .await;
}
