//! What changes, as it changes, over real TLS.

use crate::api::{Api, PASSWORD, role, sign_in};
use crate::world::{Device, World, beat, spec};
use muster_noc::{NewOrder, Noc, Role, SiteSpec};
use serde_json::{Value, json};
use std::time::Duration;

/// A stream that somebody listens to.
struct Stream {
    answer: reqwest::Response,
    read: String,
}

#[derive(Debug)]
struct Event {
    id: String,
    kind: String,
    data: Value,
}

impl Stream {
    async fn open(api: &Api, last: Option<&str>) -> Stream {
        let headers: Vec<_> = last.map(|last| ("last-event-id", last)).into_iter().collect();
        let answer = api.stream("/v1/events", &headers).await;
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Stream { answer, read: String::new() }
    }

    /// The next event; none when the stream ended.
    async fn next(&mut self) -> Option<Event> {
        tokio::time::timeout(Duration::from_secs(30), async {
            loop {
                if let Some((block, rest)) = self.read.split_once("\n\n") {
                    let field = |name: &str| {
                        let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                        line.map(|text| text.trim().to_owned()).unwrap_or_default()
                    };
                    let event = (!field("event").is_empty()).then(|| Event {
                        id: field("id"),
                        kind: field("event"),
                        data: serde_json::from_str(&field("data")).expect("JSON"),
                    });
                    self.read = rest.to_owned();
                    match event {
                        Some(event) => return Some(event),
                        None => continue,
                    }
                }
                let bytes = self.answer.chunk().await.ok()??;
                self.read += std::str::from_utf8(&bytes).expect("text");
            }
        })
        .await
        .expect("in time")
    }

    /// The next one that is about this.
    async fn about(&mut self, kind: &str) -> Event {
        loop {
            let event = self.next().await.expect("goes on");
            if event.data["kinds"].as_array().is_some_and(|kinds| kinds.contains(&json!(kind))) {
                return event;
            }
        }
    }
}

#[tokio::test]
async fn who_listens_hears_of_every_kind_of_change_also_from_another_process_and_goes_on_where_it_was() {
    let world = World::new().await;
    let root = world.administrator().await;
    let site = world.site("Bern", "192.0.2.10-192.0.2.99").id;
    let console = world.console(&[site]).await;
    let mut stream = Stream::open(&root, None).await;
    assert_eq!(stream.next().await.expect("an event").kind, "start");

    let device = Device::new(1);
    let beside = Noc::open(&world.dir.path().join("noc")).expect("the command line opens it, too");
    let csv = format!("serial,mac,uid,claim\nSN1,{},{},{}\n", device.mac, device.uid, device.claim.reveal());
    tokio::task::spawn_blocking(move || beside.import_manifest(&csv)).await.expect("ran").expect("imported");
    let imported = stream.next().await.expect("an event");
    assert_eq!((imported.kind.as_str(), &imported.data["appliances"][0]["serial"]), ("changes", &json!("SN1")));

    let seqs = console.configure(site, std::slice::from_ref(&device)).await;
    let http = device.enrol(&world.anybody().await, seqs[0]).await;
    let _: Value = http.post("appliances/beats", &beat(1, 1, seqs[0])).await.expect("a beat");
    let well = loop {
        let event = stream.next().await.expect("an event");
        if event.data["appliances"].as_array().is_some_and(|rows| rows.iter().any(|row| row["health"] == "well")) {
            break event;
        }
    };
    drop(stream);

    // While nobody listened:
    world.noc.send(console.enrolled.console, NewOrder::Refresh, Duration::from_secs(60)).expect("sent");
    root.post("/v1/sites", json!({ "organisation": 1, "policy": SiteSpec { name: "Thun".into(), ..spec() } }))
        .await
        .good();
    let mut stream = Stream::open(&root, Some(&well.id)).await;
    let missed = stream.about("message").await;
    assert!(missed.data["kinds"].as_array().expect("kinds").contains(&json!("site")), "{missed:?}");

    // Of a later state than this database has, of an earlier NOC, or of nobody: it is begun anew.
    for foreign in ["999999.1.0", "nonsense", "0.0"] {
        assert_eq!(Stream::open(&root, Some(foreign)).await.next().await.expect("an event").kind, "start", "{foreign}");
    }
}

#[tokio::test]
async fn nothing_of_another_organisation_or_site_is_heard_and_an_ended_session_hears_nothing() {
    let world = World::new().await;
    let root = world.administrator().await;
    let (acme, other) = (
        world.noc.add_organisation("acme", "Acme").expect("added").id,
        world.noc.add_organisation("other", "Other").expect("added").id,
    );
    let named = |name: &str| SiteSpec { name: name.into(), ..spec() };
    let bern = world.noc.add_site_to(acme, named("Bern")).expect("a site").id;
    let thun = world.noc.add_site_to(acme, named("Thun")).expect("a site").id;
    let logins = [
        world.operator("whole", Some(acme), role(Some(acme), None, Role::Viewer)),
        world.operator("thun", Some(acme), role(Some(acme), Some(thun), Role::Administrator)),
        world.operator("stranger", Some(other), role(Some(other), None, Role::Administrator)),
    ];
    let anybody = Api::anybody(&world).await;
    let mut streams = Vec::new();
    for login in &logins {
        let mut stream = Stream::open(&anybody.sign_in(login).await, None).await;
        assert_eq!(stream.next().await.expect("an event").kind, "start");
        streams.push(stream);
    }
    let [mut whole, mut of_thun, mut stranger] = <[Stream; 3]>::try_from(streams).ok().expect("three");

    let device = Device::new(7);
    let manifest = |d: &Device| format!("serial,mac,uid,claim\nS{},{},{},{}\n", d.n, d.mac, d.uid, d.claim.reveal());
    world.noc.import_manifest_to(acme, &manifest(&device)).expect("imported");
    let console = world.console(&[bern]).await;
    console.configure(bern, std::slice::from_ref(&device)).await;
    world.noc.send(console.enrolled.console, NewOrder::Refresh, Duration::from_secs(60)).expect("sent");
    assert!(whole.about("message").await.data["kinds"].is_array());
    // What each of the others hears first is what is theirs, and came last.
    let own = Device::new(8);
    world.noc.import_manifest_to(other, &manifest(&own)).expect("imported");
    world.noc.update_site(thun, named("Thun 2")).expect("changed");
    let heard = stranger.next().await.expect("an event");
    assert_eq!(heard.data["appliances"].as_array().map(Vec::len), Some(1), "{heard:?}");
    assert_eq!(heard.data["appliances"][0]["serial"], "S8");
    let heard = of_thun.next().await.expect("an event");
    assert_eq!((&heard.data["appliances"], &heard.data["kinds"]), (&json!([]), &json!(["site"])), "{heard:?}");

    // A stream ends with its session, and at once.
    let session = anybody.post("/v1/sessions", sign_in("whole@acme", PASSWORD, "bearer")).await.good();
    let mut short = Stream::open(&anybody.with(session["secret"].as_str().expect("a secret")), None).await;
    assert_eq!(short.next().await.expect("an event").kind, "start");
    root.delete(&format!("/v1/sessions/{}", session["session"]["id"])).await.good();
    while let Some(event) = short.next().await {
        assert_eq!(event.data["appliances"], json!([]), "{event:?}");
    }
}

#[tokio::test]
async fn a_stream_is_for_sessions_and_not_for_any_number_of_windows() {
    let world = World::new().await;
    let root = world.administrator().await;
    let anybody = Api::anybody(&world).await;
    assert_eq!(anybody.get("/v1/events").await.code(), "not_signed_in");
    let forged = anybody.with(&format!("muster_session_{}", "A".repeat(43)));
    assert_eq!(forged.get("/v1/events").await.code(), "session_ended");
    let token = root.post("/v1/tokens", json!({ "name": "n", "scopes": ["appliances:read"], "days": 1 })).await.good();
    assert_eq!(
        anybody.with(token["secret"].as_str().expect("a secret")).get("/v1/events").await.code(),
        "session_only"
    );
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(Stream::open(&root, None).await);
    }
    let refused = root.get("/v1/events").await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, "too_many_streams"));
    // Windows that were closed make room.
    drop(open);
    let again = async {
        loop {
            if root.stream("/v1/events", &[]).await.status().is_success() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.expect("room again");
}
