//! Alerts that are told elsewhere: to a real mail server, a receiver that checks signatures, and the real Alertmanager.

mod alertmanager;
mod faults;
mod handling;
mod killed;
mod mail;
mod reach;
pub(crate) mod receiver;
mod webhook;

use crate::api::Api;
use crate::world::{Console, Device, World, beat};
use muster_noc::SiteSpec;
use muster_protocol::api::BeatAnswer;
use muster_protocol::beat_watch::{Rules, Timing};
use muster_protocol::id::{Seq, SiteId};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A NOC whose channels may reach this machine, that opens alerts a moment after an appliance was configured, and its administrator.
struct Scene {
    world: World,
    root: Api,
    site: SiteId,
    console: Console,
}

impl Scene {
    async fn new() -> Scene {
        Scene::with("channel_networks = [\"127.0.0.0/8\"]\n").await
    }

    async fn with(settings: &str) -> Scene {
        let world = World::with(settings, rules()).await;
        let root = world.administrator().await;
        let site = world.noc.add_site(SiteSpec { name: "Bern".into(), ..crate::world::spec() }).expect("a site").id;
        let console = world.console(&[site]).await;
        Scene { world, root, site, console }
    }

    /// Appliances that are configured and report nothing: an alert each.
    async fn silent(&self, numbers: std::ops::Range<u32>) -> Vec<(Device, Seq)> {
        let devices = Device::several(numbers);
        self.world.import(&devices);
        let seqs = self.console.configure(self.site, &devices).await;
        devices.into_iter().zip(seqs).collect()
    }

    /// An appliance reports after all: its alert is over.
    async fn recover(&self, (device, seq): &(Device, Seq)) {
        let appliance = device.enrol(&self.world.anybody().await, *seq).await;
        for counter in 1..=2 {
            let _: BeatAnswer = appliance.post("appliances/beats", &beat(1, counter, *seq)).await.expect("taken");
        }
    }

    async fn add(&self, channel: Value) -> Value {
        let body = json!({ "organisation": 1, "channel": channel });
        self.root.post("/v1/channels", body).await.good()
    }

    async fn state(&self, id: u64) -> Value {
        self.root.get(&format!("/v1/channels/{id}")).await.good()["state"].clone()
    }

    /// Has a channel be tried now instead of when its time comes.
    fn hasten(&self, id: u64) {
        let db = self.world.database();
        db.execute("UPDATE channels SET due = 1 WHERE id = ?1", [id]).expect("set");
        db.execute("UPDATE noc SET revision = revision + 1", []).expect("told");
    }

    async fn open_alerts(&self, count: usize) -> Vec<Value> {
        let mut found = Vec::new();
        eventually("alerts open", async || {
            found = self.root.get("/v1/alerts?open=true&limit=1000").await.good()["items"]
                .as_array()
                .expect("rows")
                .clone();
            found.len() == count
        })
        .await;
        found
    }
}

fn rules() -> Rules {
    Rules { timing: Timing { never_reported_ms: 300, ..Timing::default() }, ..Rules::default() }
}

fn webhook(url: &str) -> Value {
    json!({ "name": "hook", "target": { "kind": "webhook", "url": url } })
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

/// Asks again and again until it is so.
async fn eventually(what: &str, mut probe: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !probe().await {
        assert!(Instant::now() < end, "waited 60 s until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
