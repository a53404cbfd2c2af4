//! Acknowledging, silencing, escalating, and the history of it.

use super::receiver::{Manner, Receiver};
use super::{Scene, eventually, number, webhook};
use muster_noc::OrganisationId;
use muster_protocol::api::{Acknowledge, Alert, SilenceAlert};
use serde_json::{Value, json};

const DEFAULT: OrganisationId = OrganisationId(1);

impl Scene {
    async fn history(&self, alert: u64) -> Vec<String> {
        let events = self.root.get(&format!("/v1/alerts/{alert}/events")).await.good();
        events["items"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|event| event["what"].as_str().expect("a word").to_owned())
            .collect()
    }

    async fn alert(&self, alert: u64) -> Value {
        self.root.get(&format!("/v1/alerts/{alert}")).await.good()
    }

    async fn put(&self, alert: u64, what: &str, body: Value) -> crate::api::Reply {
        let path = format!("/v1/alerts/{alert}");
        self.root.change("PUT", &path, &format!("{path}/{what}"), body).await
    }
}

#[tokio::test]
async fn who_waits_too_long_is_escalated_once_and_who_was_seen_or_silenced_is_not() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(Manner::Good).await;
    let mut hook = webhook(&receiver.url);
    hook["only_escalations"] = json!(true);
    scene.add(hook).await;
    let noc = &scene.world.noc;
    scene.silent(0..3).await;
    let open: Vec<u64> = scene.open_alerts(3).await.iter().map(|alert| number(&alert["id"])).collect();
    scene.put(open[0], "acknowledgement", json!({ "note": "mine" })).await.good();
    scene.put(open[1], "silence", json!({ "seconds": 600, "note": "later" })).await.good();
    noc.set_escalation(DEFAULT, None, Some(1)).expect("set");

    let received = receiver.next().await;
    assert_eq!(received.events(), [("escalated".to_owned(), open[2])]);
    assert!(!scene.alert(open[2]).await["escalated"].is_null());
    assert_eq!(scene.history(open[0]).await, ["opened", "acknowledged"]);
    assert_eq!(scene.history(open[1]).await, ["opened", "silenced"]);
    assert_eq!(scene.history(open[2]).await, ["opened", "escalated"]);

    // The end of a silence comes by itself, and gives the whole time once more.
    noc.set_escalation(DEFAULT, None, Some(3_600)).expect("set");
    let db = scene.world.database();
    db.execute("UPDATE alerts SET silenced_until = 1, due = 1 WHERE id = ?1", [open[1]]).expect("set");
    db.execute("UPDATE noc SET revision = revision + 1", []).expect("told");
    eventually("it is silent no more", async || {
        scene.history(open[1]).await.last().is_some_and(|what| what == "unsilenced")
    })
    .await;
    assert!(scene.alert(open[1]).await["silenced_until"].is_null());
    let due: u64 =
        db.query_row("SELECT due - unixepoch() FROM alerts WHERE id = ?1", [open[1]], |row| row.get(0)).expect("due");
    assert!((3_500..=3_600).contains(&due), "{due}");
    // A site may say something else than its organisation.
    noc.set_escalation(DEFAULT, Some(scene.site), Some(0)).expect("set");
    let due: Option<u64> =
        db.query_row("SELECT due FROM alerts WHERE id = ?1", [open[1]], |row| row.get(0)).expect("read");
    assert_eq!((due, noc.escalation(DEFAULT, Some(scene.site)).expect("read")), (None, Some(0)), "never");
    receiver.nothing_for(6).await;
    let actions = scene.audited("alert:");
    for action in ["alert.open", "alert.acknowledge", "alert.silence", "alert.escalate", "alert.unsilence"] {
        assert!(actions.iter().any(|one| one == action), "{action}: {actions:?}");
    }
    assert_eq!(actions.iter().filter(|action| *action == "alert.escalate").count(), 1);
}

#[tokio::test]
async fn the_history_of_an_alert_is_only_appended_to() {
    let scene = Scene::new().await;
    scene.silent(0..1).await;
    let id = number(&scene.open_alerts(1).await[0]["id"]);
    for (body, code) in [
        (json!({ "seconds": 59 }), "invalid"),
        (json!({ "seconds": 30 * 86_400 + 1 }), "invalid"),
        (json!({ "seconds": 600, "note": "a\u{202e}b" }), "invalid"),
        (json!({}), "malformed"),
    ] {
        assert_eq!(scene.put(id, "silence", body).await.code(), code);
    }
    let late = format!("/v1/alerts/{id}/silence");
    assert_eq!(scene.root.call("PUT", &late, Some(json!({ "seconds": 60 })), &[]).await.code(), "if_match_missing");
    let path = format!("/v1/alerts/{id}");
    scene.put(id, "silence", json!({ "seconds": 600, "note": "<i>later</i>" })).await.good();
    let shown = scene.alert(id).await;
    assert_eq!((shown["silenced_by"].clone(), shown["silence_note"].clone()), (json!("root"), json!("<i>later</i>")));
    assert_eq!(scene.root.get("/v1/alerts?waiting=true").await.good()["items"], json!([]));
    assert_eq!(
        scene.root.get("/v1/alerts?waiting=false&kind=never_reported").await.good()["items"]
            .as_array()
            .expect("rows")
            .len(),
        1
    );
    assert_eq!(scene.root.get("/v1/alerts?kind=site").await.good()["items"], json!([]));
    let uid = shown["appliances"][0].as_str().expect("a UID");
    assert_eq!(scene.root.get(&format!("/v1/alerts?uid={uid}")).await.good()["items"][0]["id"], json!(id));
    scene.root.delete(&format!("{path}/silence")).await.good();
    scene.root.delete(&format!("{path}/silence")).await.good();
    // The console's own administrator, with a note.
    let said = Acknowledge { note: "I go there".into() };
    let seen: Alert =
        scene.console.http.post(&format!("console/alerts/{id}/acknowledgement"), &said).await.expect("seen");
    assert_eq!((seen.handling.note.as_str(), seen.handling.acknowledged.is_some()), ("I go there", true));
    assert!(seen.handling.acknowledged_by.starts_with("console "), "{seen:?}");
    let again = Acknowledge { note: "me too".into() };
    let seen: Alert =
        scene.console.http.post(&format!("console/alerts/{id}/acknowledgement"), &again).await.expect("seen");
    assert_eq!(seen.handling.note, "I go there", "what was said first stays");
    let unknown: Result<Alert, _> = scene.console.http.post("console/alerts/999/acknowledgement", &again).await;
    assert_eq!(crate::world::code(unknown), "not_found");
    let silence = |seconds: u32| SilenceAlert { seconds, note: "until lunch".into() };
    let path = format!("console/alerts/{id}/silence");
    let seen: Alert = scene.console.http.post(&path, &silence(7_200)).await.expect("silenced");
    let until = seen.handling.silenced_until.expect("a time");
    assert!(seen.handling.silenced_by.starts_with("console "), "{seen:?}");
    let seen: Alert = scene.console.http.post(&path, &silence(60)).await.expect("silenced");
    assert_eq!(seen.handling.silenced_until, Some(until), "a longer silence stays");
    for seconds in [0, 59, 30 * 86_400 + 1, u32::MAX] {
        let refused: Result<Alert, _> = scene.console.http.post(&path, &silence(seconds)).await;
        assert_eq!(crate::world::code(refused), "invalid", "{seconds}");
    }
    let unknown: Result<Alert, _> = scene.console.http.post("console/alerts/999/silence", &silence(60)).await;
    assert_eq!(crate::world::code(unknown), "not_found");
    let listed: Vec<Alert> = scene.console.http.get("console/alerts?open=true").await.expect("listed");
    assert_eq!(listed[0].handling, seen.handling, "and every console of the site sees it");

    assert_eq!(scene.history(id).await, ["opened", "silenced", "unsilenced", "acknowledged", "silenced"]);
    let first = scene.root.get(&format!("/v1/alerts/{id}/events?limit=1")).await.good();
    let rest =
        scene.root.get(&format!("/v1/alerts/{id}/events?after={}", first["next"].as_str().expect("more"))).await.good();
    assert_eq!(rest["items"].as_array().expect("rows").len(), 4);
    let db = scene.world.database();
    for sql in ["DELETE FROM alert_events", "UPDATE alert_events SET note = ''"] {
        let refused = db.execute(sql, []).expect_err("refused").to_string();
        assert!(refused.contains("only appended"), "{refused}");
    }
}

#[tokio::test]
async fn quiet_hours_hold_everything_back_but_escalations_and_sum_it_up() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(Manner::Good).await;
    // All of the day but a minute that is not now.
    let minute =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs() / 60 % 1_440;
    let (from, to) = ((minute + 721) % 1_440, (minute + 720) % 1_440);
    let mut hook = webhook(&receiver.url);
    hook["quiet"] = json!({ "from": from, "to": to, "offset": 0 });
    let id = number(&scene.add(hook.clone()).await["channel"]["id"]);
    scene.silent(0..2).await;
    let open: Vec<u64> = scene.open_alerts(2).await.iter().map(|alert| number(&alert["id"])).collect();
    let due = number(&scene.state(id).await["due"]);
    let opened = number(&scene.alert(open[0]).await["opened"]);
    assert!((11 * 3_600..=13 * 3_600).contains(&(due - opened)), "at their end: {}", due - opened);
    receiver.nothing_for(6).await;

    scene.put(open[0], "acknowledgement", json!({})).await.good();
    scene.world.noc.set_escalation(DEFAULT, None, Some(1)).expect("set");
    let urgent = receiver.next().await;
    assert_eq!(urgent.events(), [("escalated".to_owned(), open[1])], "nothing else with it");
    eventually("the rest waits", async || {
        let state = scene.state(id).await;
        number(&state["waiting"]) == 3 && !state["due"].is_null() && number(&state["due"]) == due
    })
    .await;
    // Their end, here by a change: one message for all.
    hook["quiet"] = Value::Null;
    let path = format!("/v1/channels/{id}");
    scene.root.change("PUT", &path, &path, json!({ "channel": hook })).await.good();
    let summed = receiver.next().await.events();
    let count = |what: &str| summed.iter().filter(|(one, _)| one == what).count();
    assert_eq!((summed.len(), count("opened"), count("acknowledged")), (3, 2, 1));
}
