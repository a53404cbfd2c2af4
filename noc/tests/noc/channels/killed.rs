//! `kill -9` of the real program between a commit and the delivery, and while it delivers: nothing is lost, and what comes twice comes
//! under the same name.

use super::number;
use super::receiver::{Manner, Receiver};
use crate::served::Served;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const ALERTS: u64 = 60;
const KILLS: u64 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_noc_that_is_killed_loses_no_delivery() {
    let mut noc = Served::stopped();
    noc.environment.push(("MUSTER_NOC_CHANNEL_NETWORKS", "127.0.0.1/32".to_owned()));
    let site = noc.site();
    let mut receiver = Receiver::start(Manner::Good).await;
    let made = noc.json(&["channel", "add", "webhook", "--name", "hook", "--url", &receiver.url]);
    let channel = number(&made["channel"]["id"]);
    let db = noc.database();
    db.busy_timeout(Duration::from_secs(10)).expect("set");
    for alert in 1..=ALERTS {
        let sql = "INSERT INTO alerts (id, site, kind, opened, revision) VALUES (?1, ?2, 'silent', 1, 1)";
        db.execute(sql, rusqlite::params![alert, site.0]).expect("an alert");
    }
    noc.serve(&[]);
    let mut alerts = 1..=ALERTS;
    for kill in 0..KILLS {
        for alert in alerts.by_ref().take((ALERTS / KILLS) as usize) {
            noc.good(&["alert", "ack", &alert.to_string(), "--note", &format!("kill {kill}")]);
        }
        // Every third time the receiver has it, and has not answered when the NOC ends.
        let is_hanging = kill % 3 == 2;
        receiver.behave(if is_hanging { Manner::Hanging } else { Manner::Good });
        db.execute("UPDATE channels SET due = 1 WHERE due IS NOT NULL", []).expect("set");
        db.execute("UPDATE noc SET revision = revision + 1", []).expect("told");
        tokio::time::sleep(Duration::from_millis(kill * 97 % 700)).await;
        noc.cut_power();
        receiver.behave(Manner::Good);
        noc.serve(&[]);
    }
    // What is left comes when its time does.
    let (mut seen, mut names): (BTreeSet<u64>, BTreeMap<u64, BTreeSet<String>>) = Default::default();
    while seen.len() < ALERTS as usize {
        let received = receiver.next().await;
        for event in received.json()["data"]["events"].as_array().expect("events") {
            seen.insert(number(&event["alert"]["id"]));
            names.entry(number(&event["id"])).or_default().insert(received.id.clone());
        }
    }
    assert_eq!(seen, (1..=ALERTS).collect(), "each of them");
    assert!(names.values().all(|names| names.len() == 1), "a repeat has the same name: {names:?}");
    let listed = noc.json(&["channel", "list"]);
    assert_eq!(listed[0]["id"], channel);
    let history = noc.json(&["alert", "history", "7"]);
    assert_eq!(
        (history.as_array().expect("rows").len(), history[0]["who"].as_str()),
        (1, Some("the NOC's command line"))
    );
}
