//! Receivers that are down, slow or odd: nothing is lost, nothing is repeated under another name, and nobody else waits.

use super::receiver::{Manner, Receiver};
use super::{Scene, eventually, number, webhook};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn what_a_receiver_did_not_take_is_sent_again_as_the_same_message() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(Manner::Status(500)).await;
    let made = scene.add(webhook(&receiver.url)).await;
    let id = number(&made["channel"]["id"]);
    scene.silent(0..2).await;
    let first = receiver.next().await;
    eventually("it is known to fail", async || !scene.state(id).await["failing_since"].is_null()).await;
    let state = scene.state(id).await;
    let outcome = state["outcome"].as_str().expect("words");
    assert!(outcome.starts_with("it answered 500: not\u{fffd}[2J now. Look at"), "{outcome}");
    assert_eq!(number(&state["waiting"]), 2);
    // The next attempt is 30 s away, a fifth more or less.
    let pause = number(&state["due"]) - number(&state["tried"]);
    assert!((24..=36).contains(&pause), "{pause}");

    // What happens meanwhile waits with it, and is another message.
    scene.silent(2..3).await;
    scene.open_alerts(3).await;
    receiver.behave(Manner::Later(120));
    scene.hasten(id);
    let again = receiver.next().await;
    assert_eq!((again.id.as_str(), again.events()), (first.id.as_str(), first.events()));
    eventually("it is to be asked later", async || {
        let state = scene.state(id).await;
        !state["due"].is_null() && number(&state["due"]) >= number(&state["tried"]) + 120
    })
    .await;
    receiver.behave(Manner::Good);
    scene.hasten(id);
    let third = receiver.next().await;
    assert_eq!((third.id.as_str(), third.events()), (first.id.as_str(), first.events()));
    let rest = receiver.next().await;
    assert_ne!(rest.id, first.id);
    assert_eq!(rest.events().len(), 1);
    eventually("nothing waits", async || number(&scene.state(id).await["waiting"]) == 0).await;
    assert!(scene.state(id).await["failing_since"].is_null());
}

#[tokio::test]
async fn a_receiver_that_hangs_or_never_ends_holds_up_nobody_but_itself() {
    let scene = Scene::new().await;
    let mut hanging = Receiver::start(Manner::Hanging).await;
    let mut good = Receiver::start(Manner::Good).await;
    let id = number(&scene.add(webhook(&hanging.url)).await["channel"]["id"]);
    scene.add(json!({ "name": "good", "target": { "kind": "webhook", "url": good.url } })).await;
    scene.silent(0..1).await;
    hanging.next().await;
    let begun = Instant::now();
    good.next().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "it did not wait for the other");
    eventually("it is given up on", async || {
        scene.state(id).await["outcome"].as_str().expect("words").starts_with("no answer within 20 s")
    })
    .await;

    hanging.behave(Manner::Endless);
    scene.hasten(id);
    hanging.next().await;
    eventually("its beginning is enough", async || number(&scene.state(id).await["waiting"]) == 0).await;
    assert!(scene.state(id).await["outcome"].as_str().expect("words").starts_with("200 xxxx"));

    for (manner, words) in [
        (Manner::Redirecting, "it answered 302: Found. Redirections are not followed"),
        (Manner::Status(404), "it answered 404"),
        (Manner::Later(1), "it answered 429: later"),
    ] {
        hanging.behave(manner);
        let tested = scene.root.post(&format!("/v1/channels/{id}/test"), json!({})).await.good();
        assert_eq!(tested["is_delivered"], false);
        let answer = tested["answer"].as_str().expect("words");
        assert!(answer.starts_with(words), "{manner:?}: {answer}");
    }
}

#[tokio::test]
async fn after_three_days_a_message_is_given_up_and_that_is_said() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(Manner::Status(503)).await;
    let id = number(&scene.add(webhook(&receiver.url)).await["channel"]["id"]);
    scene.silent(0..1).await;
    receiver.next().await;
    eventually("it is known to fail", async || !scene.state(id).await["failing_since"].is_null()).await;
    let made = "UPDATE channel_messages SET made = made - 3 * 86400";
    scene.world.database().execute(made, []).expect("set");
    scene.hasten(id);
    receiver.next().await;
    eventually("it is given up", async || number(&scene.state(id).await["given_up"]) == 1).await;
    let state = scene.state(id).await;
    assert_eq!((number(&state["waiting"]), state["due"].is_null()), (0, true), "nothing is left to try");
    assert_eq!(scene.audited("channel:"), ["channel.add", "channel.give_up"]);
    let findings = muster_noc::examine(&scene.world.dir.path().join("noc"));
    let finding = findings.iter().find(|finding| finding.check == "channels").expect("looked at");
    assert_eq!(finding.level, muster_noc::Level::Warning);
    assert!(finding.what.contains("hook") && finding.what.contains("given up"), "{}", finding.what);
    receiver.behave(Manner::Good);
    scene.silent(1..2).await;
    receiver.next().await;
    eventually("it works again", async || scene.state(id).await["failing_since"].is_null()).await;
}
