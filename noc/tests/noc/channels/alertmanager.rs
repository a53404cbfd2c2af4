//! The real Alertmanager of Debian.

use super::{Scene, eventually, number};
use crate::served::free_port;
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

struct Alertmanager {
    url: String,
    child: Child,
    _folder: TempDir,
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Alertmanager {
    async fn start() -> Alertmanager {
        let folder = TempDir::new().expect("a folder");
        let config = folder.path().join("alertmanager.yml");
        std::fs::write(&config, "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n").expect("written");
        let port = free_port();
        let child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("`scripts/setup test` installs it");
        let url = format!("http://127.0.0.1:{port}");
        let started = Alertmanager { url, child, _folder: folder };
        eventually("it is ready", async || reqwest::get(format!("{}/-/ready", started.url)).await.is_ok()).await;
        started
    }

    /// Its alerts that are not over.
    async fn alerts(&self) -> Vec<Value> {
        let answer = reqwest::get(format!("{}/api/v2/alerts", self.url)).await.expect("an answer");
        answer.json().await.expect("JSON")
    }
}

#[tokio::test]
async fn an_alertmanager_knows_what_is_open_and_what_ended() {
    let scene = Scene::new().await;
    let alertmanager = Alertmanager::start().await;
    let target = json!({ "kind": "alertmanager", "url": format!("{}/", alertmanager.url) });
    let id = number(&scene.add(json!({ "name": "am", "target": target })).await["channel"]["id"]);
    let devices = scene.silent(0..2).await;
    eventually("both are there", async || alertmanager.alerts().await.len() == 2).await;
    let uid = devices[0].0.uid.to_string();
    let alerts = alertmanager.alerts().await;
    let alert = alerts.iter().find(|alert| alert["labels"]["uid"] == uid.as_str()).expect("the appliance's");
    let labels = &alert["labels"];
    assert_eq!(
        (&labels["alertname"], &labels["organisation"], &labels["site"], &labels["kind"], &labels["severity"]),
        (&json!("MusterAlert"), &json!("default"), &json!("Bern"), &json!("never_reported"), &json!("warning"))
    );
    assert!(alert["annotations"]["summary"].as_str().expect("words").starts_with("Bern: "), "{alert}");

    // Told again before it would be thought over, with a later end.
    let ends = alert["endsAt"].as_str().expect("a time").to_owned();
    let due = number(&scene.state(id).await["due"]);
    let told = number(&scene.state(id).await["delivered"]);
    assert_eq!(due - told, 120, "three times within what it believes");
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    scene.hasten(id);
    eventually("it ends later", async || {
        let alerts = alertmanager.alerts().await;
        let alert = alerts.iter().find(|alert| alert["labels"]["uid"] == uid.as_str());
        alert.is_some_and(|alert| alert["endsAt"].as_str().expect("a time") > ends.as_str())
    })
    .await;

    // Silenced here, it is over there; and there again afterwards.
    let open = scene.open_alerts(2).await;
    let silenced = open.iter().find(|alert| alert["appliances"][0] != uid.as_str()).expect("the other");
    let path = format!("/v1/alerts/{}", silenced["id"]);
    scene.root.change("PUT", &path, &format!("{path}/silence"), json!({ "seconds": 3_600 })).await.good();
    eventually("one is over", async || alertmanager.alerts().await.len() == 1).await;
    scene.root.delete(&format!("{path}/silence")).await.good();
    eventually("it is there again", async || alertmanager.alerts().await.len() == 2).await;

    scene.recover(&devices[0]).await;
    eventually("it ended", async || {
        let alerts = alertmanager.alerts().await;
        alerts.len() == 1 && alerts[0]["labels"]["uid"] != uid.as_str()
    })
    .await;

    let tested = scene.root.post(&format!("/v1/channels/{id}/test"), json!({})).await.good();
    assert_eq!(tested["is_delivered"], true, "{tested}");
    eventually("the test is there", async || {
        alertmanager.alerts().await.iter().any(|alert| alert["labels"]["alertname"] == "MusterTest")
    })
    .await;
    let quiet = json!({ "organisation": 1, "channel": {
        "name": "quiet", "target": { "kind": "alertmanager", "url": "https://am.example.net" }, "quiet": { "from": 0, "to": 60 },
    } });
    assert_eq!(scene.root.post("/v1/channels", quiet).await.code(), "invalid", "it has hours of its own");
}
