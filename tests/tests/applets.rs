//! Applets from a real NOC to a real console, and what a console does with what it should not get.

use muster_applet::bundle::Bundle;
use muster_applet::signed;
use muster_console::engine::Engine;
use muster_console::view::AppletView;
use muster_noc::{AppletChannelName, NewPlace, OrganisationId, PlaceChannel};
use muster_protocol::crypto::keys::SecretKey;
use rusqlite::{Connection, params};
use serde_json::json;
use system_tests::fleet::Knobs;
use system_tests::world::{World, joined, until};

const DEFAULT: OrganisationId = OrganisationId(1);

fn author(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

fn bundle(version: &str) -> Bundle {
    let manifest = json!({
        "format": 1, "name": "mail", "version": version, "title": "Mail", "form": "form.json",
        "page": { "html": "page.html", "logic": "logic.js" }, "translations": { "de": "de.json" }
    });
    let form = json!({
        "type": "object", "additionalProperties": false, "required": ["relay"],
        "properties": { "relay": { "type": "string", "format": "hostname" } }
    });
    let files = [
        ("applet.json", manifest.to_string()),
        ("form.json", form.to_string()),
        ("page.html", "<p>Mail</p>".to_owned()),
        ("logic.js", format!("// {version}")),
        ("de.json", json!({ "Mail": "Post" }).to_string()),
    ];
    Bundle::new(files.map(|(name, text)| (name.to_owned(), text.into_bytes()))).expect("in order")
}

fn publish(world: &World, version: &str) {
    let signed = signed::sign(&bundle(version), &author(1));
    world.noc.publish_applet(DEFAULT, signed, AppletChannelName::Stable).expect("published");
}

/// A NOC that takes applets of an author, and a console that has joined it.
async fn world() -> (World, Engine) {
    let world = World::new(1, Knobs::default()).await;
    world.noc.add_applet_author(DEFAULT, "Acme", &author(1).public().to_base64()).expect("added");
    let engine = joined(&world).await;
    (world, engine)
}

async fn versions(engine: &Engine) -> Vec<String> {
    engine.applets(1, "en").await.expect("listed").into_iter().map(|applet| applet.version).collect()
}

async fn has(engine: &Engine, expected: &[&str]) {
    until("the console has these applets", 20, async || {
        let found = versions(engine).await;
        if found == expected { Ok(()) } else { Err((found, engine.applet_problem())) }
    })
    .await;
}

async fn refused(engine: &Engine, code: &str) {
    until("the console refuses it", 20, async || match engine.applet_problem() {
        Some(problem) if problem.code == code && !problem.remedy.is_empty() => Ok(()),
        other => Err(other),
    })
    .await;
}

/// The NOC's database, while nobody serves it.
fn noc_database(world: &World) -> Connection {
    Connection::open(world.folder.path().join("noc/noc.sqlite")).expect("opens")
}

fn console_database(world: &World) -> Connection {
    Connection::open(world.folder.path().join("console/muster.db")).expect("opens")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_has_what_is_published_within_seconds_and_without_a_link_too() {
    let (mut world, engine) = world().await;
    assert_eq!(versions(&engine).await, Vec::<String>::new(), "the built-in wizard is all there is");
    publish(&world, "1.0.0");
    has(&engine, &["1.0.0"]).await;
    publish(&world, "1.1.0");
    has(&engine, &["1.1.0"]).await;

    let AppletView { texts, form, has_page, .. } = engine.applets(1, "de").await.expect("listed").remove(0);
    assert_eq!((texts["Mail"].as_str(), form.is_some(), has_page), ("Post", true, true));
    let page = engine.applet_page(1, "mail", "1.1.0").expect("a page");
    assert_eq!((page.html.as_str(), page.logic.as_str()), ("<p>Mail</p>", "// 1.1.0"));
    assert_eq!(engine.applet_page(1, "mail", "1.0.0"), None, "only what is there now");
    let checked = engine.check_application(1, "mail", &json!({ "relay": "-" })).await.expect("judged");
    assert_eq!(checked.problems[0].path, "/relay");
    let checked = engine.check_application(1, "mail", &json!({ "relay": "mail.example.net" })).await.expect("judged");
    assert_eq!((checked.problems.len(), checked.text.as_str()), (0, r#"{"relay":"mail.example.net"}"#));
    let error = engine.check_application(1, "other", &json!({})).await.expect_err("there is none");
    assert!(error.to_string().contains("no applet other"), "{error}");

    // Nothing of it can be read where it is kept.
    let kept: Vec<u8> =
        console_database(&world).query_row("SELECT ciphertext FROM applet_bundle", [], |row| row.get(0)).expect("kept");
    assert!(!kept.windows(10).any(|part| part == b"mail\"" || part == b"<p>Mail</p"), "sealed");

    world.stop_noc().await;
    engine.shutdown().await;
    drop(engine);
    let engine = world.engine().await;
    has(&engine, &["1.1.0"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_withdrawn_or_taken_from_the_site_is_gone() {
    let (world, engine) = world().await;
    publish(&world, "1.0.0");
    publish(&world, "1.1.0");
    has(&engine, &["1.1.0"]).await;
    world.noc.withdraw_applet(DEFAULT, "mail", "1.1.0").expect("withdrawn");
    has(&engine, &["1.0.0"]).await;
    let nothing = NewPlace { site: Some(world.site.id), console: None, channel: PlaceChannel::None };
    world.noc.set_applet_places(DEFAULT, "mail", vec![nothing]).expect("set");
    has(&engine, &[]).await;
}

/// A NOC that lost its latest changes, or somebody who shows what it said before.
#[tokio::test(flavor = "multi_thread")]
async fn attack_an_older_list_is_refused_and_what_was_there_stays() {
    let (mut world, engine) = world().await;
    publish(&world, "1.0.0");
    publish(&world, "1.1.0");
    has(&engine, &["1.1.0"]).await;
    world.stop_noc().await;
    let db = noc_database(&world);
    db.execute("UPDATE applet_channels SET version = '1.0.0', former = NULL", []).expect("changed");
    db.execute("UPDATE applet_numbers SET number = number - 1", []).expect("changed");
    drop(db);
    world.start_noc().await;
    refused(&engine, "applet_list").await;
    assert_eq!(versions(&engine).await, ["1.1.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_a_version_below_the_floor_is_refused_even_when_the_noc_names_it() {
    let (mut world, engine) = world().await;
    publish(&world, "1.0.0");
    publish(&world, "1.1.0");
    world.noc.raise_applet_floor(DEFAULT, "mail", "1.1.0").expect("raised");
    has(&engine, &["1.1.0"]).await;
    world.stop_noc().await;
    let db = noc_database(&world);
    db.execute("UPDATE applet_channels SET version = '1.0.0', former = NULL", []).expect("changed");
    db.execute("DELETE FROM applet_floors", []).expect("changed");
    db.execute("UPDATE applet_numbers SET number = number + 10", []).expect("changed");
    db.execute("UPDATE noc SET revision = revision + 10", []).expect("changed");
    drop(db);
    world.start_noc().await;
    refused(&engine, "applet_below_floor").await;
    assert_eq!(versions(&engine).await, ["1.1.0"]);
}

/// Whoever can write into the NOC's library, and has not its root key or an author's.
#[tokio::test(flavor = "multi_thread")]
async fn attack_a_bundle_that_is_not_the_one_named_is_refused() {
    let (mut world, engine) = world().await;
    publish(&world, "1.0.0");
    has(&engine, &["1.0.0"]).await;
    publish(&world, "1.1.0");
    has(&engine, &["1.1.0"]).await;
    let good = signed::sign(&bundle("1.2.0"), &author(1));
    for (name, bundle, hash, code) in [
        ("one byte of it is another", flipped(&good), None, "applet_other"),
        ("a changed one under its own hash", flipped(&good), Some(()), "applet_faulty"),
        ("another version of it", signed::sign(&bundle("1.0.0"), &author(1)), Some(()), "applet_other"),
        ("unsigned", Bundle::to_bytes(&self::bundle("1.2.0")), Some(()), "applet_faulty"),
    ] {
        world.stop_noc().await;
        let db = noc_database(&world);
        let named =
            if hash.is_some() { muster_applet::release::hash(&bundle) } else { muster_applet::release::hash(&good) };
        db.execute("DELETE FROM applets WHERE version = '1.2.0'", []).expect("gone");
        let sql = "INSERT INTO applets (organisation, name, version, title, author, hash, bundle, published)
            VALUES (1, 'mail', '1.2.0', 'Mail', zeroblob(32), ?1, ?2, 5)";
        db.execute(sql, params![named, bundle]).expect("written");
        db.execute("UPDATE applet_channels SET version = '1.2.0', former = NULL", []).expect("changed");
        db.execute("UPDATE applet_numbers SET number = number + 10", []).expect("changed");
        db.execute("UPDATE noc SET revision = revision + 10", []).expect("changed");
        drop(db);
        world.start_noc().await;
        refused(&engine, code).await;
        assert_eq!(versions(&engine).await, ["1.1.0"], "{name}");
        // Until the next one is another problem.
        publish_good(&world).await;
        has(&engine, &["1.1.0"]).await;
    }
}

/// Puts the channel back on what is in order.
async fn publish_good(world: &World) {
    let db = noc_database(world);
    db.busy_timeout(std::time::Duration::from_secs(10)).expect("set");
    db.execute("UPDATE applet_channels SET version = '1.1.0', former = NULL", []).expect("changed");
    world.noc.release_applet(DEFAULT, "mail", "1.1.0", AppletChannelName::Stable, 100).expect("released");
}

fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

/// Whoever can write into the console's folder, and has not its key.
#[tokio::test(flavor = "multi_thread")]
async fn attack_what_was_changed_where_it_is_kept_is_not_used() {
    let (mut world, engine) = world().await;
    publish(&world, "1.0.0");
    has(&engine, &["1.0.0"]).await;
    world.stop_noc().await;
    engine.shutdown().await;
    drop(engine);
    for sql in [
        "UPDATE applet_bundle SET ciphertext = zeroblob(length(ciphertext))",
        "UPDATE applet_bundle SET enc = zeroblob(32)",
        "UPDATE applet_list SET signed = zeroblob(length(signed))",
        "UPDATE applet_list SET site = 2",
    ] {
        let path = world.folder.path().join("console/muster.db");
        let copy = std::fs::read(&path).expect("read");
        console_database(&world).execute(sql, []).expect("changed");
        let engine = world.engine().await;
        until("it is noticed", 20, async || engine.applet_problem().ok_or(())).await;
        assert_eq!(versions(&engine).await, Vec::<String>::new(), "{sql}");
        engine.shutdown().await;
        drop(engine);
        std::fs::write(&path, copy).expect("put back");
    }
    let engine = world.engine().await;
    has(&engine, &["1.0.0"]).await;
}
