//! Nobody has the NOC speak to its own services, or to those beside it (decision 0037).

use super::receiver::{Manner, Receiver};
use super::{Scene, number};
use crate::api::{Api, role};
use muster_noc::Role;
use serde_json::{Value, json};

fn channel(organisation: u32, name: &str, url: &str) -> Value {
    json!({ "organisation": organisation, "channel": { "name": name, "target": { "kind": "webhook", "url": url } } })
}

async fn tested(api: &Api, id: u64) -> String {
    let tested = api.post(&format!("/v1/channels/{id}/test"), json!({})).await.good();
    format!("{} {}", tested["is_delivered"], tested["answer"].as_str().expect("words"))
}

#[tokio::test]
async fn only_what_noc_toml_allows_and_only_for_targets_of_the_nocs_own_people() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(Manner::Good).await;
    let acme = scene.world.noc.add_organisation("acme", "Acme").expect("added").id;
    scene.world.operator("admin", Some(acme), role(Some(acme), None, Role::Administrator));
    let admin = Api::anybody(&scene.world).await.sign_in("admin@acme").await;
    let port = receiver.url.split([':', '/']).nth(4).expect("a port").to_owned();

    // An organisation's administrator, by address and by name.
    for (n, host) in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"].iter().enumerate() {
        let made = admin
            .post("/v1/channels", channel(acme.0, &format!("c{n}"), &format!("http://{host}:{port}/")))
            .await
            .good();
        let (id, is_trusted) = (number(&made["channel"]["id"]), made["channel"]["is_trusted"].clone());
        assert_eq!(is_trusted, false);
        let said = tested(&admin, id).await;
        assert!(
            said.starts_with("false ")
                && said.contains("where nothing may be sent")
                && said.contains("channel_networks"),
            "{host}: {said}"
        );
    }
    // Somebody of the NOC may, within what noc.toml says.
    let made = scene.root.post("/v1/channels", channel(acme.0, "ours", &receiver.url)).await.good();
    let (id, path) = (number(&made["channel"]["id"]), format!("/v1/channels/{}", made["channel"]["id"]));
    assert!(tested(&scene.root, id).await.starts_with("true 200"));
    receiver.next().await;
    let outside = scene.root.post("/v1/channels", channel(acme.0, "beside", "http://[::1]:1/")).await.good();
    assert!(tested(&scene.root, number(&outside["channel"]["id"])).await.contains("where nothing may be sent"));

    // The organisation may change what is told there, but not where it goes.
    let put =
        |name: &str, url: &str| json!({ "channel": { "name": name, "target": { "kind": "webhook", "url": url } } });
    let changed = admin.change("PUT", &path, &path, put("renamed", &receiver.url)).await.good();
    assert_eq!(changed["channel"]["is_trusted"], true);
    assert!(tested(&admin, id).await.starts_with("true 200"));
    receiver.next().await;
    let changed =
        admin.change("PUT", &path, &path, put("renamed", &format!("http://127.0.0.1:{port}/other"))).await.good();
    assert_eq!(changed["channel"]["is_trusted"], false);
    assert!(tested(&admin, id).await.contains("where nothing may be sent"));

    // Neither is anything sent there when an alert comes.
    assert_eq!(admin.get("/v1/channels").await.good()["items"].as_array().expect("rows").len(), 6);
    receiver.nothing_for(1).await;
}

#[tokio::test]
async fn without_a_word_in_noc_toml_not_even_the_noc_reaches_its_own_machine() {
    let scene = Scene::with("").await;
    let mut receiver = Receiver::start(Manner::Good).await;
    let made = scene.root.post("/v1/channels", channel(1, "own", &receiver.url)).await.good();
    let said = tested(&scene.root, number(&made["channel"]["id"])).await;
    assert!(said.contains("127.0.0.1 is at 127.0.0.1, where nothing may be sent"), "{said}");
    // Nor what listens on another address of it.
    let own = if_addrs().into_iter().find(|ip| !ip.is_loopback());
    if let Some(own) = own {
        let made = scene.root.post("/v1/channels", channel(1, "own address", &format!("https://{own}/"))).await.good();
        assert!(tested(&scene.root, number(&made["channel"]["id"])).await.contains("where nothing may be sent"));
    }
    receiver.nothing_for(1).await;
}

/// Addresses of this machine, IPv4.
fn if_addrs() -> Vec<std::net::IpAddr> {
    let output = std::process::Command::new("ip").args(["-4", "-o", "addr"]).output().expect("ip");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().filter_map(|word| word.split_once('/')?.0.parse().ok()).collect()
}
