//! The library of applets: by operators, at the command line, and as consoles get it.

use crate::api::{Api, role};
use crate::served::Served;
use crate::world::{Console, World};
use data_encoding::{BASE64, HEXLOWER};
use muster_applet::bundle::Bundle;
use muster_applet::release::{Releases, hash};
use muster_applet::signed;
use muster_noc::Role;
use muster_protocol::api::{AppletList, AskApplet, Changes, Problem, SealedApplet};
use muster_protocol::crypto::keys::{OpenKey, PublicKey, SecretKey};
use muster_protocol::crypto::seal::{Seal, Sealed, open};
use muster_protocol::id::SiteId;
use muster_protocol::time::UnixTime;
use serde_json::{Value, json};
use std::time::Duration;

const PATH: &str = "/v1/organisations/1/applets";

pub(crate) fn author(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

/// A small applet of a version; `title` makes it another one.
pub(crate) fn bundle(name: &str, version: &str, title: &str) -> Bundle {
    let manifest = json!({ "format": 1, "name": name, "version": version, "title": title, "form": "form.json" });
    let form =
        json!({ "type": "object", "additionalProperties": false, "properties": { "relay": { "type": "string" } } });
    let files = [("applet.json", manifest), ("form.json", form)];
    Bundle::new(files.map(|(name, value)| (name.to_owned(), value.to_string().into_bytes()))).expect("in order")
}

fn signed_bundle(name: &str, version: &str) -> Vec<u8> {
    signed::sign(&bundle(name, version, "Mail"), &author(1))
}

struct Library {
    world: World,
    root: Api,
    sites: [SiteId; 2],
    consoles: Vec<Console>,
}

impl Library {
    /// Two sites, two consoles that have both, and an author.
    async fn new() -> Library {
        let world = World::new().await;
        let root = world.administrator().await;
        let sites = [("Bern", "192.0.2.10-192.0.2.99"), ("Thun", "192.0.2.110-192.0.2.199")];
        let sites = sites.map(|(name, pool)| world.site(name, pool).id);
        let consoles = vec![world.console(&sites).await, world.console(&sites).await];
        let library = Library { world, root, sites, consoles };
        library.add_author(&author(1).public()).await.good();
        library
    }

    async fn add_author(&self, key: &PublicKey) -> crate::api::Reply {
        let body = json!({ "name": "Acme", "key": key.to_base64() });
        self.root.post("/v1/organisations/1/applet-authors", body).await
    }

    async fn publish(&self, bundle: &[u8], channel: &str) -> crate::api::Reply {
        self.root.post(PATH, json!({ "bundle": BASE64.encode(bundle), "channel": channel })).await
    }

    async fn put(&self, path: &str, body: Value) -> crate::api::Reply {
        self.root.call("PUT", &format!("{PATH}/{path}"), Some(body), &[]).await
    }

    /// What a console is told that it has at a site.
    async fn has(&self, console: usize, site: usize) -> Releases {
        let site = self.sites[site];
        let console = &self.consoles[console];
        let list: AppletList = console.http.get(&format!("console/applets?site={site}")).await.expect("a list");
        let signed = BASE64.decode(list.releases.as_bytes()).expect("base64");
        let root = PublicKey::from_base64(&console.enrolled.root).expect("a key");
        let now = UnixTime::from_system(std::time::SystemTime::now());
        Releases::open(&signed, &root, console.enrolled.console, site, 0, now).expect("opens")
    }

    async fn versions(&self, console: usize, site: usize) -> Vec<String> {
        self.has(console, site).await.applets.into_iter().map(|one| format!("{} {}", one.name, one.version)).collect()
    }

    /// A bundle as a console gets it.
    async fn bundle(&self, console: usize, site: usize, hash: &[u8; 32], key: &OpenKey) -> Result<Vec<u8>, Problem> {
        let asked =
            AskApplet { site: self.sites[site], hash: HEXLOWER.encode(hash), key: BASE64.encode(&key.public().0) };
        let sealed: SealedApplet = self.consoles[console].http.post("console/applets/bundles", &asked).await?;
        let bytes = |text: &str| BASE64.decode(text.as_bytes()).expect("base64");
        let sealed =
            Sealed { enc: bytes(&sealed.enc).try_into().expect("a key"), ciphertext: bytes(&sealed.ciphertext) };
        Ok(open(Seal::Applet, key, None, hash, &sealed).expect("sealed to this key").0)
    }
}

#[tokio::test]
async fn what_is_published_reaches_the_consoles_of_its_channel_sealed_to_each() {
    let library = Library::new().await;
    let (one, two) = (signed_bundle("mail", "1.0.0"), signed_bundle("mail", "1.1.0"));
    assert_eq!(library.versions(0, 0).await, Vec::<String>::new());
    let shown = library.publish(&one, "stable").await.good();
    assert_eq!((&shown["versions"][0]["version"], &shown["channels"][0]["percent"]), (&json!("1.0.0"), &json!(100)));
    library.publish(&two, "test").await.good();
    assert_eq!(library.versions(0, 0).await, ["mail 1.0.0"]);

    let places = json!({ "places": [
        { "site": library.sites[1], "channel": "test" },
        { "console": library.consoles[1].enrolled.console, "channel": "none" },
    ] });
    library.put("mail/places", places).await.good();
    assert_eq!(library.versions(0, 0).await, ["mail 1.0.0"]);
    assert_eq!(library.versions(0, 1).await, ["mail 1.1.0"]);
    assert_eq!(library.versions(1, 1).await, Vec::<String>::new(), "the console's own word counts");

    let (key, other) = (OpenKey::from_seed(&[7; 32]), OpenKey::from_seed(&[8; 32]));
    assert_eq!(library.bundle(0, 1, &hash(&two), &key).await.expect("its own"), two);
    assert_eq!(library.bundle(0, 1, &hash(&two), &other).await.expect("to another key"), two);
    for (console, site, wanted) in [(0, 0, &two), (0, 1, &one), (1, 1, &two)] {
        let refused = library.bundle(console, site, &hash(wanted), &key).await.expect_err("not its own");
        assert_eq!(refused.code, "not_found", "{console} {site}");
    }
}

#[tokio::test]
async fn a_later_version_goes_out_by_parts_and_back_when_it_is_withdrawn() {
    let library = Library::new().await;
    library.publish(&signed_bundle("mail", "1.0.0"), "stable").await.good();
    library.publish(&signed_bundle("mail", "2.0.0"), "test").await.good();
    let release = |version: &str, percent: u8| json!({ "version": version, "percent": percent });
    let before = library.has(0, 0).await.number;
    let shown = library.put("mail/channels/stable", release("2.0.0", 1)).await.good();
    let stable = shown["channels"].as_array().expect("channels").iter().find(|one| one["channel"] == "stable");
    assert_eq!(stable, Some(&json!({ "channel": "stable", "version": "2.0.0", "former": "1.0.0", "percent": 1 })));
    library.put("mail/channels/stable", release("2.0.0", 100)).await.good();
    assert_eq!(library.versions(0, 0).await, ["mail 2.0.0"]);
    assert!(library.has(0, 0).await.number > before, "an older statement is told from it");

    assert_eq!(library.put("mail/channels/stable", release("1.0.0", 100)).await.code(), "applet_older");
    library.root.delete(&format!("{PATH}/mail/versions/2.0.0")).await.good();
    assert_eq!(library.versions(0, 0).await, ["mail 1.0.0"]);
    assert_eq!(library.put("mail/channels/stable", release("2.0.0", 100)).await.code(), "applet_withdrawn");
    assert_eq!(library.publish(&signed_bundle("mail", "2.0.0"), "stable").await.code(), "applet_withdrawn");

    library.publish(&signed_bundle("mail", "2.0.1"), "stable").await.good();
    library.put("mail/floor", json!({ "version": "2.0.1" })).await.good();
    assert_eq!(library.has(0, 0).await.applets[0].floor, "2.0.1");
    assert_eq!(library.put("mail/floor", json!({ "version": "1.0.0" })).await.code(), "applet_older");
    library.root.delete(&format!("{PATH}/mail/versions/2.0.1")).await.good();
    assert_eq!(library.versions(0, 0).await, Vec::<String>::new(), "what lies below the floor is no way back");
}

#[tokio::test]
async fn nothing_is_taken_of_strangers_or_changed_and_no_version_becomes_another() {
    let library = Library::new().await;
    let one = signed_bundle("mail", "1.1.0");
    library.publish(&one, "stable").await.good();
    library.publish(&one, "stable").await.good();

    let stranger = signed::sign(&bundle("mail", "1.2.0", "Mail"), &author(2));
    assert_eq!(library.publish(&stranger, "stable").await.code(), "applet_author_unknown");
    let mut changed = one.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    assert_eq!(library.publish(&changed, "stable").await.code(), "applet_faulty");
    let unsigned = bundle("mail", "1.2.0", "Mail").to_bytes();
    assert_eq!(library.publish(&unsigned, "stable").await.code(), "applet_faulty");
    let other = signed::sign(&bundle("mail", "1.1.0", "Other"), &author(1));
    assert_eq!(library.publish(&other, "stable").await.code(), "applet_version_taken");
    assert_eq!(library.publish(&signed_bundle("mail", "1.0.9"), "stable").await.code(), "applet_older");
    let text = json!({ "bundle": "!", "channel": "stable" });
    assert_eq!(library.root.post(PATH, text).await.code(), "invalid");

    assert_eq!(library.add_author(&author(1).public()).await.code(), "applet_author_known");
    let listed = library.root.get("/v1/organisations/1/applet-authors").await.good();
    let id = listed["items"][0]["id"].as_u64().expect("a number");
    library.root.delete(&format!("/v1/organisations/1/applet-authors/{id}")).await.good();
    assert_eq!(library.publish(&signed_bundle("mail", "1.2.0"), "stable").await.code(), "applet_author_unknown");
    assert_eq!(library.versions(0, 0).await, ["mail 1.1.0"], "what was published stays");

    let release = |version: &str, percent: u8| json!({ "version": version, "percent": percent });
    assert_eq!(library.put("mail/channels/stable", release("9.0.0", 1)).await.code(), "not_found");
    assert_eq!(library.put("mail/channels/night", release("1.1.0", 1)).await.code(), "not_found");
    assert_eq!(library.put("mail/channels/stable", release("1.1.0", 0)).await.code(), "invalid");
    for places in [
        json!([{ "channel": "test" }]),
        json!([{ "site": 1, "console": 1, "channel": "test" }]),
        json!([{ "site": 1, "channel": "test" }, { "site": 1, "channel": "none" }]),
        json!([{ "console": 99, "channel": "test" }]),
    ] {
        assert_eq!(library.put("mail/places", json!({ "places": places })).await.code(), "invalid", "{places}");
    }
    let elsewhere = json!({ "places": [{ "site": 99, "channel": "test" }] });
    assert_eq!(library.put("mail/places", elsewhere).await.code(), "unknown_site");
    assert_eq!(library.put("nothing/places", json!({ "places": [] })).await.code(), "not_found");

    let asked = AskApplet { site: library.sites[0], hash: "xy".into(), key: BASE64.encode(&[7; 32]) };
    let refused = library.consoles[0].http.post::<SealedApplet>("console/applets/bundles", &asked).await;
    assert_eq!(refused.expect_err("no hash").code, "invalid");
    for key in ["", "AAAA", &BASE64.encode(&[0; 32])] {
        let asked = AskApplet { hash: HEXLOWER.encode(&hash(&one)), key: key.to_owned(), ..asked.clone() };
        let refused = library.consoles[0].http.post::<SealedApplet>("console/applets/bundles", &asked).await;
        assert_eq!(refused.expect_err("no key").code, "bad_key", "{key}");
    }
}

#[tokio::test]
async fn of_another_organisation_nothing_is_had_and_nothing_is_seen() {
    let library = Library::new().await;
    let acme = library.world.noc.add_organisation("acme", "Acme").expect("added").id;
    let bundle = signed_bundle("mail", "1.0.0");
    library.publish(&bundle, "stable").await.good();
    library.world.operator("bob", Some(acme), role(Some(acme), None, Role::Administrator));
    let bob = library.root.sign_in("bob@acme").await;
    assert_eq!(bob.get(PATH).await.code(), "not_found");
    assert_eq!(bob.post(PATH, json!({ "bundle": BASE64.encode(&bundle) })).await.code(), "not_found");
    let own = format!("/v1/organisations/{acme}/applets");
    let refused = bob.post(&own, json!({ "bundle": BASE64.encode(&bundle) })).await;
    assert_eq!(refused.code(), "applet_author_unknown", "an author of one organisation is none of another");
    assert_eq!(bob.get(&own).await.good()["items"], json!([]));

    // The console of a site has nothing at others.
    let console = library.world.console(&[library.sites[0]]).await;
    let other = library.sites[1];
    let refused = console.http.get::<AppletList>(&format!("console/applets?site={other}")).await;
    assert_eq!(refused.expect_err("not its site").code, "unknown_site");
    let key = BASE64.encode(&[7; 32]);
    let asked = AskApplet { site: other, hash: HEXLOWER.encode(&hash(&bundle)), key };
    let refused = console.http.post::<SealedApplet>("console/applets/bundles", &asked).await;
    assert_eq!(refused.expect_err("not its site").code, "unknown_site");
}

#[tokio::test]
async fn a_console_that_waits_hears_of_a_new_version_within_a_second() {
    let library = Library::new().await;
    let console = &library.consoles[0];
    let first: Changes = console.http.get("console/changes?after=0").await.expect("an answer");
    let waiting = format!("console/changes?after={}", first.revision);
    let heard = console.http.get::<Changes>(&waiting);
    let published = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        library.publish(&signed_bundle("mail", "1.0.0"), "stable").await.good();
    };
    let (heard, ()) = tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(heard, published) })
        .await
        .expect("the long poll ends when something is published");
    let heard = heard.expect("an answer");
    assert!(heard.applets > first.applets && !heard.reset, "{heard:?}");
    assert_eq!(library.has(0, 0).await.number, heard.applets);
}

#[test]
fn the_command_line_does_what_the_interface_does() {
    let noc = Served::stopped();
    noc.site();
    let path = noc.path("mail.applet");
    let write = |version: &str| std::fs::write(&path, signed_bundle("mail", version)).expect("written");
    write("1.0.0");
    assert!(noc.bad(&["applet", "publish", &path]).contains("whose applets this organisation does not take"));
    let key = author(1).public().to_base64();
    noc.good(&["applet", "author", "add", "Acme", &key]);
    assert_eq!(noc.json(&["applet", "author", "list"])[0]["key"], key);
    noc.good(&["applet", "publish", &path, "--channel", "stable"]);
    write("1.1.0");
    noc.good(&["applet", "publish", &path]);
    noc.good(&["applet", "release", "mail", "1.1.0", "--percent", "25"]);
    noc.good(&["applet", "places", "mail", "--test-site", "1"]);
    let listed = noc.good(&["applet", "list"]);
    for said in
        ["stable: 1.1.0 for 25 of 100 consoles, 1.0.0 for the others", "test: 1.1.0", "site 1 has the test channel"]
    {
        assert!(listed.contains(said), "{said}: {listed}");
    }
    noc.good(&["applet", "withdraw", "mail", "1.1.0"]);
    noc.good(&["applet", "floor", "mail", "1.0.0"]);
    let listed = noc.good(&["applet", "list"]);
    assert!(listed.contains(", withdrawn") && listed.contains("nothing below 1.0.0 may be used"), "{listed}");
    noc.good(&["applet", "author", "remove", "1"]);
    assert!(noc.good(&["applet", "author", "list"]).contains("Nobody's applets are taken"));
    assert!(noc.bad(&["applet", "withdraw", "mail", "9.0.0"]).contains("there is no such thing here"));
}
