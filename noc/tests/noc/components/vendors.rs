//! Vendors that sign for their own components: what the NOC takes of them, and what it refuses.

use super::client::Tuf;
use super::*;
use muster_noc::{ComponentError, VendorFile, read_vendor};
use muster_protocol::component::ComponentVendor;
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

const YEAR: u64 = 365 * 86_400;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs()
}

fn key() -> TufKey {
    TufKey::generate().expect("a key")
}

fn vendor(handle: &str, keys: &[&TufKey], threshold: u64, components: &[&str]) -> ComponentVendor {
    let components = components.iter().map(ToString::to_string).collect();
    let keys = keys.iter().map(|key| key.public()).collect();
    ComponentVendor { vendor: handle.to_owned(), components, keys, threshold }
}

/// A vendor's workplace.
struct Workplace {
    file: VendorFile,
    folder: PathBuf,
}

impl Workplace {
    fn new(world: &World, name: &str) -> Workplace {
        let folder = world.dir.path().join(name);
        std::fs::create_dir_all(&folder).expect("made");
        Workplace { file: VendorFile::new().expect("empty"), folder }
    }

    /// Puts a version in; its file.
    fn add(&mut self, name: &str, version: &str, text: &[u8]) -> PathBuf {
        let path = self.folder.join(format!("{name}-{version}"));
        std::fs::write(&path, text).expect("written");
        self.file.add(&spec(None, name, version), &path).expect("added");
        path
    }

    fn sign(&mut self, keys: &[&TufKey]) {
        self.file.renew(now(), now() + YEAR).expect("numbered");
        self.only_sign(keys);
    }

    fn only_sign(&mut self, keys: &[&TufKey]) {
        keys.iter().for_each(|key| self.file.sign(key).expect("signed"));
    }

    /// The same with something else in it, signed by this key.
    fn altered(&self, key: &TufKey, change: impl FnOnce(&mut Value)) -> VendorFile {
        let path = self.folder.join("altered.json");
        self.file.write(&path).expect("written");
        let mut metadata: Value = serde_json::from_slice(&std::fs::read(&path).expect("read")).expect("JSON");
        metadata["signatures"] = json!([]);
        metadata["signed"]["version"] = json!(self.file.version() + 1);
        change(&mut metadata["signed"]);
        std::fs::write(&path, metadata.to_string()).expect("written");
        let mut file = VendorFile::read(&path).expect("reads");
        file.sign(key).expect("signed");
        file
    }
}

fn publish(noc: &Noc, file: &VendorFile, files: &[PathBuf]) -> Result<muster_noc::Published, ComponentError> {
    noc.publish_of_vendor("acme", file, files, &[])
}

#[tokio::test]
async fn a_vendors_component_comes_with_the_vendors_own_signature() {
    let world = World::new().await;
    let noc = &world.noc;
    let (_, mut fleet) = fleet(&world, 0..1).await;
    let (_, _, http) = fleet.remove(0);
    let first = key();
    let acme = vendor("acme", &[&first], 1, &["scan"]);
    assert!(matches!(noc.add_component_vendor(acme.clone()), Err(ComponentError::NoRepository)));
    let roots = repository(noc);
    add(noc, &world, spec(None, "own", "1"), b"#!own");
    let added = noc.add_component_vendor(acme.clone()).expect("registered");
    assert_eq!((added.version, added.named_by_root), (None, false));
    let mut tuf = Tuf::new(&http, roots.root_text());
    assert_eq!(tuf.load().await.expect("loads before it has published").names(), ["own_1"]);

    let mut theirs = Workplace::new(&world, "acme");
    let file = theirs.add("scan", "1", b"#!scan 1");
    theirs.sign(&[&first]);
    let published = publish(noc, &theirs.file, &[file]).expect("taken");
    assert_eq!((published.added, published.retired), (vec!["scan_1".to_owned()], vec![]));
    noc.promote_component(None, "scan", "1", ReleaseChannel::Stable).expect("promoted");
    let said = policy(vec![required("scan", Some(ReleaseChannel::Stable), None)]);
    noc.set_organisation_components(OrganisationId(1), said).expect("kept");
    assert_eq!(plan(&http).await.components[0].target, "scan_1");
    let listed = noc.components().expect("listed");
    assert_eq!(listed.iter().find(|one| one.name == "scan").expect("there").vendor.as_deref(), Some("acme"));

    // The NOC's own list does not have it; the framework's own client finds it by the delegation.
    let got = tuf.load().await.expect("loads");
    assert_eq!(got.names(), ["own_1"]);
    assert_eq!(got.target("scan_1").await.expect("read"), b"#!scan 1");
    assert_eq!(got.facts("scan_1")["name"], "scan");

    // A second version; then the first is withdrawn. What is there needs no file.
    let file = theirs.add("scan", "2", b"#!scan 2");
    theirs.sign(&[&first]);
    publish(noc, &theirs.file, &[file]).expect("taken");
    theirs.file.withdraw("scan", "1").expect("there");
    assert!(matches!(theirs.file.withdraw("scan", "9"), Err(ComponentError::Unknown { .. })));
    theirs.sign(&[&first]);
    let published = publish(noc, &theirs.file, &[]).expect("taken");
    assert_eq!(published.retired, ["scan_1"]);
    assert_eq!(plan(&http).await.components, []);
    let got = tuf.load().await.expect("loads");
    assert_eq!(got.target("scan_2").await.expect("read"), b"#!scan 2");
    assert!(got.target("scan_1").await.is_err());

    // The NOC retires a version: its file is not given, and the vendor's next metadata do not change that.
    noc.retire_component(None, "scan", "2").expect("retired");
    assert!(tuf.load().await.expect("loads").target("scan_2").await.is_err());
    theirs.sign(&[&first]);
    assert_eq!(publish(noc, &theirs.file, &[]).expect("taken").added, Vec::<String>::new());
    assert!(tuf.load().await.expect("loads").target("scan_2").await.is_err());
    theirs.sign(&[&first]);
    let again = publish(noc, &theirs.file, &[theirs.folder.join("scan-2")]).expect("taken");
    assert_eq!(again.added, ["scan_2"]);
    assert_eq!(tuf.load().await.expect("loads").target("scan_2").await.expect("read"), b"#!scan 2");

    // Other keys, which have signed the metadata anew.
    let second = key();
    let changed = vendor("acme", &[&second], 1, &["scan"]);
    let refused = noc.change_component_vendor(changed.clone(), None).expect_err("not signed by it");
    assert!(refused.to_string().contains("lack signatures of acme"), "{refused}");
    theirs.sign(&[&second]);
    noc.change_component_vendor(changed, Some(&theirs.file)).expect("changed");
    assert_eq!(tuf.load().await.expect("follows").target("scan_2").await.expect("read"), b"#!scan 2");
    theirs.sign(&[&first]);
    assert!(publish(noc, &theirs.file, &[]).is_err(), "the former key is worth nothing");

    // Removed: nothing of it is had any more, clients go on, and the name is the NOC's.
    let own = noc.add_component(spec(None, "scan", "3"), &theirs.folder.join("scan-2"));
    assert!(matches!(own, Err(ComponentError::VendorsOwn { .. })), "{own:?}");
    let removed = noc.remove_component_vendor("acme").expect("removed");
    assert!(removed.removed.is_some());
    let got = tuf.load().await.expect("loads");
    assert!(got.target("scan_2").await.is_err());
    assert!(matches!(publish(noc, &theirs.file, &[]), Err(ComponentError::UnknownVendor { .. })));
    // Once more, with the first key: nothing that it signed before counts until it signs something newer.
    noc.add_component_vendor(acme).expect("registered again");
    assert!(tuf.load().await.expect("loads").target("scan_2").await.is_err());
    theirs.sign(&[&first]);
    publish(noc, &theirs.file, &[theirs.folder.join("scan-2")]).expect("taken");
    assert_eq!(tuf.load().await.expect("loads").target("scan_2").await.expect("read"), b"#!scan 2");
    noc.remove_component_vendor("acme").expect("removed");
    add(noc, &world, spec(None, "scan", "3"), b"#!scan 3");
    let got = tuf.load().await.expect("loads");
    assert_eq!(got.target("scan_3").await.expect("read"), b"#!scan 3");

    let db = world.database();
    let mut read =
        db.prepare("SELECT action FROM audit WHERE action LIKE 'component.vendor%' ORDER BY seq").expect("read");
    let actions = read.query_map([], |row| row.get::<_, String>(0)).expect("read");
    let mut actions: Vec<String> = actions.map(|action| action.expect("an action")).collect();
    actions.dedup();
    let wanted = ["add", "publish", "change", "remove", "add", "publish", "remove"];
    assert_eq!(actions, wanted.map(|action| format!("component.vendor_{action}")));
}

#[tokio::test]
async fn what_a_vendor_may_not_sign_is_refused_and_nothing_of_it_is_taken() {
    let world = World::new().await;
    let noc = &world.noc;
    repository(noc);
    let (own, second, foreign) = (key(), key(), key());
    noc.add_component_vendor(vendor("acme", &[&own], 1, &["scan"])).expect("registered");
    noc.add_component_vendor(vendor("bolt", &[&second], 1, &["other"])).expect("registered");
    let mut theirs = Workplace::new(&world, "acme");
    let file = theirs.add("scan", "1", b"#!scan 1");
    theirs.sign(&[&own]);
    publish(noc, &theirs.file, std::slice::from_ref(&file)).expect("taken");
    let in_force = theirs.file.clone();
    let before = (noc.components().expect("read"), noc.component_vendors().expect("read"));
    let refuses = |what: &str, file: &VendorFile, files: &[PathBuf], why: &str| {
        let refused = publish(noc, file, files).expect_err(what).to_string();
        assert!(refused.contains(why), "{what}: {refused}");
        assert_eq!((noc.components().expect("read"), noc.component_vendors().expect("read")), before, "{what}");
    };

    // Rolled back, or the same number once more.
    refuses("the same", &in_force, &[], "that in force is");
    let old = theirs.altered(&own, |signed| signed["version"] = json!(5));
    refuses("rolled back", &old, &[], "their version is 5");
    let ahead = theirs.altered(&own, |signed| signed["version"] = json!(u64::MAX / 2));
    refuses("the last number", &ahead, &[], "far above");
    // Expired, and good for ever.
    let expired = theirs.altered(&own, |signed| signed["expires"] = json!("2020-01-01T00:00:00Z"));
    refuses("expired", &expired, &[], "must end within");
    let endless = theirs.altered(&own, |signed| signed["expires"] = json!("2099-01-01T00:00:00Z"));
    refuses("for ever", &endless, &[], "must end within");
    // By another key, also another vendor's; by nobody.
    for other in [&foreign, &second] {
        let forged = theirs.altered(other, |_| {});
        refuses("another key", &forged, &[], "lack signatures of acme");
    }
    let mut unsigned = in_force.clone();
    unsigned.renew(now() + 10, now() + YEAR).expect("numbered");
    refuses("nobody", &unsigned, &[], "lack signatures of acme");
    // The name of another vendor, of nobody, and under a name that leads elsewhere or is another's.
    for (target, name) in [("other_1", "other"), ("nobodys_1", "nobodys"), ("scan_1", "other")] {
        let foreign = theirs.altered(&own, |signed| {
            let mut told = signed["targets"]["scan_1"].take();
            told["custom"]["muster"]["name"] = json!(name);
            signed["targets"] = json!({ target: told });
        });
        refuses(target, &foreign, std::slice::from_ref(&file), "not this vendor's");
    }
    for target in ["../scan_1", "/scan_1", "a/../scan_1", "scan_2", "other_1", "scan_1.deb"] {
        let elsewhere = theirs.altered(&own, |signed| {
            let told = signed["targets"]["scan_1"].take();
            signed["targets"] = json!({ target: told });
        });
        refuses(target, &elsewhere, std::slice::from_ref(&file), "is not the name");
    }
    // What an installer would be told wrongly.
    for (key, value) in [("unit", json!("x")), ("kind", json!("rpm")), ("more", json!(1)), ("unpacked", json!(5))] {
        let wrong = theirs.altered(&own, |signed| signed["targets"]["scan_1"]["custom"]["muster"][key] = value);
        assert!(publish(noc, &wrong, &[]).is_err(), "{key}");
    }
    let others = json!({ "keys": {}, "roles": [{
        "name": "evil", "keyids": [], "threshold": 1, "paths": ["*"], "terminating": false,
    }] });
    let delegating = theirs.altered(&own, |signed| signed["delegations"] = others);
    refuses("delegates", &delegating, &[], "delegate to others");
    // Other contents under a version that is there; a new one without its file, or with another file.
    let changed = theirs.altered(&own, |signed| {
        signed["targets"]["scan_1"]["hashes"]["sha256"] = json!("00".repeat(32));
    });
    refuses("other contents", &changed, &[], "is there already, with other contents");
    theirs.add("scan", "2", b"#!scan 2");
    theirs.sign(&[&own]);
    let next = theirs.file.clone();
    refuses("no file", &next, &[], "scan_2 is new, and its file was not given");
    let wrong = theirs.folder.join("wrong");
    std::fs::write(&wrong, b"#!evil").expect("written");
    refuses("another file", &next, &[wrong], "as it is");
    // Endless.
    let long = theirs.folder.join("long.json");
    std::fs::write(&long, vec![b' '; 1 << 20]).expect("written");
    assert!(matches!(VendorFile::read(&long), Err(ComponentError::NotVendors { .. })));
    assert!(matches!(read_vendor(&long), Err(ComponentError::NotVendors { .. })));
    std::fs::write(&long, b"{}").expect("written");
    assert!(matches!(VendorFile::read(&long), Err(ComponentError::NotVendors { .. })));
    // The genuine one is still taken.
    publish(noc, &next, &[theirs.folder.join("scan-2")]).expect("taken");
}

#[tokio::test]
async fn a_vendor_with_a_threshold_signs_with_as_many_keys() {
    let world = World::new().await;
    let noc = &world.noc;
    repository(noc);
    let (one, two, three) = (key(), key(), key());
    noc.add_component_vendor(vendor("acme", &[&one, &two, &three], 2, &["scan"])).expect("registered");
    let mut theirs = Workplace::new(&world, "acme");
    let file = theirs.add("scan", "1", b"#!scan 1");
    theirs.sign(&[&one, &one]);
    assert_eq!(theirs.file.signatures(), 1, "the same key twice is one signature");
    assert!(publish(noc, &theirs.file, std::slice::from_ref(&file)).is_err());
    theirs.only_sign(&[&key()]);
    assert!(publish(noc, &theirs.file, std::slice::from_ref(&file)).is_err(), "a foreign one");
    theirs.only_sign(&[&three]);
    publish(noc, &theirs.file, &[file]).expect("two of three");
}

#[tokio::test]
async fn nobody_takes_a_name_or_a_key_that_is_somebody_elses() {
    let world = World::new().await;
    let noc = &world.noc;
    repository(noc);
    let (one, two) = (key(), key());
    add(noc, &world, spec(None, "own", "1"), b"#!own");
    add(noc, &world, spec(Some(OrganisationId(1)), "private", "1"), b"#!private");
    noc.add_component_vendor(vendor("acme", &[&one], 1, &["scan"])).expect("registered");
    let refused = |vendor| noc.add_component_vendor(vendor).expect_err("refused").to_string();
    assert!(refused(vendor("acme", &[&two], 1, &["x"])).contains("there is a vendor acme already"));
    assert!(refused(vendor("bolt", &[&two], 1, &["x", "scan"])).contains("scan belongs to the vendor acme"));
    assert!(refused(vendor("bolt", &[&one], 1, &["x"])).contains("belongs to the vendor acme"));
    assert!(refused(vendor("bolt", &[&two], 1, &["own"])).contains("the NOC, which has to retire them first"));
    assert!(refused(vendor("bolt", &[&two], 1, &["private"])).contains("single organisations"));
    for (wrong, field) in [
        (vendor("Bolt", &[&two], 1, &["x"]), "vendor"),
        (vendor(&"b".repeat(33), &[&two], 1, &["x"]), "vendor"),
        (vendor("bolt", &[&two], 1, &["../x"]), "name"),
        (vendor("bolt", &[&two], 1, &["*"]), "name"),
        (vendor("bolt", &[&two], 1, &[]), "components"),
        (vendor("bolt", &[], 1, &["x"]), "keys"),
        (vendor("bolt", &[&two, &two], 1, &["x"]), "keys"),
        (vendor("bolt", &[&two], 2, &["x"]), "threshold"),
        (vendor("bolt", &[&two], 0, &["x"]), "threshold"),
    ] {
        assert!(refused(wrong).contains(&format!("`{field}`")), "{field}");
    }
    let unknown = noc.change_component_vendor(vendor("bolt", &[&two], 1, &["x"]), None);
    assert!(matches!(unknown, Err(ComponentError::UnknownVendor { .. })));
    // What the NOC has retired, a vendor can take over, with the same contents.
    noc.retire_component(None, "own", "1").expect("retired");
    noc.add_component_vendor(vendor("bolt", &[&two], 1, &["own"])).expect("registered");
    let mut theirs = Workplace::new(&world, "bolt");
    let file = theirs.add("own", "1", b"#!own");
    theirs.sign(&[&two]);
    let published = noc.publish_of_vendor("bolt", &theirs.file, &[file], &[]).expect("taken");
    assert_eq!(published.added, ["own_1"]);
}

/// A successor that names vendors.
fn naming(noc: &Noc, after: &Roots, vendors: Vec<ComponentVendor>) -> RootFile {
    let online = noc.component_keys(false).expect("keys");
    let keys = after.keys.iter().map(TufKey::public).collect();
    let (before, vendors) = (Some(&after.root), Some(vendors));
    let new = NewRoot { after: before, keys, threshold: 2, online: &online, expires: NEVER, vendors };
    let mut root = new.make().expect("a root");
    for key in &after.keys[..2] {
        root.sign(key, PathBuf::new(), before).expect("signed");
    }
    root
}

#[tokio::test]
async fn a_vendor_that_the_root_names_is_taken_as_the_root_names_it() {
    let world = World::new().await;
    let noc = &world.noc;
    let roots = repository(noc);
    let (one, two, new) = (key(), key(), key());
    let named = vendor("acme", &[&one, &two], 2, &["scan"]);
    let doctor = || {
        let findings = muster_noc::examine(&world.dir.path().join("noc"));
        let told: Vec<String> = findings.iter().map(|finding| format!("{finding:?}")).collect();
        told.into_iter().find(|told| told.contains("appliances refuse components of the vendor acme"))
    };
    add(noc, &world, spec(None, "scan", "0"), b"#!scan 0");
    let root = naming(noc, &roots, vec![named.clone()]);
    noc.rotate_components(&root).expect("in force");
    assert!(doctor().expect("said").contains("which others sign for"), "what the NOC had signed until then");
    noc.retire_component(None, "scan", "0").expect("retired");
    assert_eq!(doctor(), None);
    assert_eq!(root.vendors().expect("read"), [ComponentVendor { keys: sorted(&named.keys), ..named.clone() }]);
    // Before it is registered, too, nobody else signs for its names.
    let file = world.dir.path().join("scan");
    std::fs::write(&file, b"#!scan").expect("written");
    let own = noc.add_component(spec(None, "scan", "1"), &file).expect_err("refused").to_string();
    assert!(own.contains("scan belongs to the vendor acme"), "{own}");
    let refused = |vendor| noc.add_component_vendor(vendor).expect_err("refused").to_string();
    assert!(refused(vendor("bolt", &[&one], 1, &["scan"])).contains("the root names acme for scan"));
    assert!(refused(vendor("acme", &[&one, &new], 2, &["scan"])).contains("other keys of acme"));
    assert!(refused(vendor("acme", &[&one, &two], 1, &["scan"])).contains("asks for 2 signatures"));
    assert!(noc.add_component_vendor(named).expect("registered").named_by_root);

    // A root that names other keys: until the vendor is changed, appliances refuse its components, and doctor says so.
    let second = Roots { keys: roots.keys, root };
    let third = naming(noc, &second, vec![vendor("acme", &[&new], 1, &["scan"])]);
    noc.rotate_components(&third).expect("in force");
    assert!(doctor().expect("said").contains("other keys of acme"));
    noc.change_component_vendor(vendor("acme", &[&new], 1, &["scan"]), None).expect("changed");
    assert_eq!(doctor(), None);
    // Two vendors for one name, or twice the same, is no root.
    let third = Roots { keys: second.keys, root: third };
    let online = noc.component_keys(false).expect("keys");
    let keys: Vec<_> = third.keys.iter().map(TufKey::public).collect();
    for other in ["acme", "bolt"] {
        let vendors = Some(vec![vendor("acme", &[&new], 1, &["scan"]), vendor(other, &[&one], 1, &["scan"])]);
        let after = Some(&third.root);
        let new = NewRoot { after, keys: keys.clone(), threshold: 2, online: &online, expires: NEVER, vendors };
        assert!(new.make().expect_err("refused").to_string().contains("for two vendors, or twice"));
    }
}

fn sorted(keys: &[String]) -> Vec<String> {
    let mut keys = keys.to_vec();
    keys.sort();
    keys
}
