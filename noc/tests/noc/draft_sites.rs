//! Drafts of several sites: one difference, all of it or none, and nothing of it for who does not see every site.

use crate::api::{Api, PASSWORD, role};
use crate::world::{Console, Device, Http, World, beat};
use muster_noc::{
    AsProblem, DraftChanges, DraftRowSpec, DraftRowState, DraftSpec, DraftState, Edit, NewOperator, OrganisationId,
    Role, SiteSpec,
};
use muster_protocol::api::*;
use muster_protocol::id::{Seq, SiteId, Uid};
use serde_json::json;
use std::collections::BTreeMap;

const OWN: OrganisationId = OrganisationId(1);

struct Unit {
    uid: Uid,
    http: Http,
    seq: Seq,
    counter: u64,
}

/// Two appliances at each of two sites.
struct Two {
    world: World,
    bern: SiteId,
    thun: SiteId,
    console: Console,
    units: Vec<Unit>,
}

impl Two {
    async fn new() -> Two {
        let world = World::new().await;
        let bern = world.site("Bern", "192.0.2.10-192.0.2.19").id;
        let thun = world.site("Thun", "192.0.2.20-192.0.2.29").id;
        let console = world.console(&[bern, thun]).await;
        let mut units = Vec::new();
        for (site, numbers) in [(bern, 0..2), (thun, 2..4)] {
            let devices = Device::several(numbers);
            world.import(&devices);
            let seqs = console.configure(site, &devices).await;
            for (device, seq) in devices.iter().zip(seqs) {
                let http = device.enrol(&world.anybody().await, seq).await;
                units.push(Unit { uid: device.uid, http, seq, counter: 0 });
            }
        }
        Two { world, bern, thun, console, units }
    }

    fn edit(&self, sites: &[SiteId], address: &str) -> DraftSpec {
        let edit = Edit { dns1: Some(address.into()), ..Edit::default() };
        let changes = DraftChanges::Edit { edit, uids: Vec::new() };
        DraftSpec { sites: sites.to_vec(), title: "another name server".into(), changes }
    }

    /// Everybody beats until they have what waits for them.
    async fn take(&mut self) {
        for unit in &mut self.units {
            for _ in 0..2 {
                unit.counter += 1;
                let beat = beat(1, unit.counter, unit.seq);
                let answer: BeatAnswer = unit.http.post("appliances/beats", &beat).await.expect("taken");
                let Some(grant) = answer.work.grant else { break };
                unit.seq = grant.seq;
            }
        }
    }

    async fn dns(&self) -> Vec<String> {
        let mut found = Vec::new();
        for unit in &self.units {
            found.push(self.console.appliance(unit.uid).await.settings.expect("settings").dns1);
        }
        found
    }
}

#[tokio::test]
async fn appliances_of_two_sites_are_changed_as_one_or_not_at_all() {
    let mut two = Two::new().await;
    let noc = two.world.noc.clone();
    let (bern, thun) = (two.bern, two.thun);
    // A site that is named twice, or where nothing changes, makes no difference.
    let chur = two.world.site("Chur", "192.0.2.30-192.0.2.39").id;
    let draft = noc.draft(two.edit(&[thun, bern, thun, chur], "192.0.2.54")).expect("made");
    assert_eq!((draft.sites, draft.rows), (vec![bern, thun], BTreeMap::from([(DraftRowState::Proposed, 4)])));
    let (_, difference) = noc.show_draft(draft.id).expect("shown");
    let line = &difference.lines[0];
    assert_eq!((difference.lines.len(), line.column, line.appliances), (1, "dns1", 4));
    let rows = noc.draft_rows(draft.id).expect("rows");
    assert_eq!(rows.iter().map(|row| row.site).collect::<Vec<_>>(), [bern, bern, thun, thun].map(Some));
    two.take().await;
    assert_eq!(two.dns().await, ["192.0.2.53"; 4], "nothing is changed by a draft");
    let applied = noc.apply_draft(draft.id).expect("applied");
    assert_eq!((applied.state, applied.rows), (DraftState::Applied, BTreeMap::from([(DraftRowState::Waiting, 4)])));
    two.take().await;
    assert_eq!(two.dns().await, ["192.0.2.54"; 4]);
    assert_eq!(noc.show_draft(draft.id).expect("shown").0.rows, BTreeMap::from([(DraftRowState::InForce, 4)]));

    // Whoever looks after one of the sites finds it in the log, with what it was there.
    for action in ["draft.make", "draft.apply"] {
        let records = noc.search_audit(None, Some(action.into()), None, None, 9).expect("read");
        let mut places: Vec<_> = records.iter().map(|record| record.site).collect();
        places.sort_unstable();
        assert_eq!(places, [Some(bern), Some(thun)], "{action}");
        for record in records {
            assert!(record.detail.contains("\"appliances\":2") && record.detail.contains("\"sites\":2"), "{record:?}");
            assert_eq!(record.subject, format!("draft:{}", draft.id));
        }
    }

    // One that does not fit at one site refuses all of it, also at the other.
    let row = |at: usize, address: &str| DraftRowSpec {
        uid: two.units[at].uid,
        edit: Edit { address: Some(address.into()), ..Edit::default() },
    };
    let changes = DraftChanges::Rows { rows: vec![row(0, "192.0.2.61"), row(2, "192.0.2.21")] };
    let taken = noc.draft(DraftSpec { sites: vec![bern, thun], title: "move".into(), changes }).expect("made");
    let refused = noc.apply_draft(taken.id).expect_err("held by its neighbour");
    assert_eq!(refused.problem().code, "draft_refused");
    assert!(refused.to_string().contains("192.0.2.21 is held by"), "{refused}");
    let newest = noc.versions(&two.units[0].uid, 1).expect("listed").remove(0);
    assert_eq!(newest.settings.address, "192.0.2.10", "nothing was signed at the other site");
    assert_eq!(noc.show_draft(taken.id).expect("shown").0.state, DraftState::Open);

    // One that has gone to a site that nobody reviewed.
    let moved = noc.draft(two.edit(&[bern, thun], "192.0.2.55")).expect("made");
    let gone = "UPDATE appliances SET site = ?1 WHERE serial = 'SN3'";
    two.world.database().execute(gone, [chur.0]).expect("moved");
    let refused = noc.apply_draft(moved.id).expect_err("it is elsewhere");
    assert!(refused.to_string().contains("is at another site now"), "{refused}");
}

#[tokio::test]
async fn who_does_not_see_every_site_of_a_draft_neither_makes_it_nor_sees_it() {
    let two = Two::new().await;
    let (bern, thun) = (two.bern, two.thun);
    let noc = two.world.noc.clone();
    let other = noc.add_organisation("other", "Other").expect("added").id;
    let foreign = noc.add_site_to(other, SiteSpec { name: "Basel".into(), ..crate::world::spec() }).expect("a site").id;
    let anybody = Api::anybody(&two.world).await;
    let mut people = Vec::new();
    let at = |site, r| role(Some(OWN), Some(site), r);
    for (login, roles) in [
        ("both", vec![at(bern, Role::Operator), at(thun, Role::Operator)]),
        ("half", vec![at(bern, Role::Operator), at(thun, Role::Viewer)]),
        ("local", vec![at(bern, Role::Administrator)]),
        ("stranger", vec![role(Some(other), None, Role::Administrator)]),
        ("root", vec![role(None, None, Role::Administrator)]),
    ] {
        let new = NewOperator { organisation: None, login: login.into(), name: login.into(), roles };
        noc.add_operator(new, PASSWORD.to_owned().into()).expect("added");
        people.push(anybody.sign_in(login).await);
    }
    let [both, half, local, stranger, root] = <[Api; 5]>::try_from(people).ok().expect("five");
    let edit = json!({ "edit": { "edit": { "dns1": "192.0.2.54" } } });
    let body = |sites: &[SiteId]| json!({ "sites": sites, "title": "one", "changes": edit });
    let make = async |api: &Api, sites: &[SiteId]| api.post("/v1/drafts", body(sites)).await;

    // A site that they do not see is answered as one that is not there.
    let never = make(&local, &[bern, SiteId(999)]).await;
    assert_eq!(never.code(), "not_found");
    for (api, sites) in [(&local, [bern, thun]), (&local, [bern, foreign]), (&both, [bern, foreign])] {
        let reply = make(api, &sites).await;
        assert_eq!((reply.status, &reply.text), (never.status, &never.text));
    }
    assert_eq!(make(&stranger, &[bern, thun]).await.code(), "not_found");
    assert_eq!(make(&half, &[bern, thun]).await.code(), "role_too_low");
    assert_eq!(make(&root, &[bern, foreign]).await.code(), "several_organisations");
    assert_eq!(make(&root, &[]).await.code(), "draft_sites");
    // Nor does an appliance that is named say where it is.
    let of = |uid: Uid| json!({ "sites": [bern], "title": "one", "changes": { "edit": { "edit": { "dns1": "192.0.2.54" }, "uids": [uid] } } });
    let words = |reply: crate::api::Reply, uid: Uid| reply.text.replace(&uid.short().to_string(), "UID");
    let unseen = words(local.post("/v1/drafts", of(two.units[2].uid)).await, two.units[2].uid);
    assert_eq!(unseen, words(local.post("/v1/drafts", of(Uid([7; 20]))).await, Uid([7; 20])));
    assert!(unseen.contains("draft_row"), "{unseen}");
    assert!(noc.drafts(None, 9).expect("listed").is_empty(), "nothing was kept");

    let made = make(&both, &[bern, thun]).await.good();
    assert_eq!(made["sites"], json!([bern, thun]));
    let path = format!("/v1/drafts/{}", made["id"]);
    let listed = async |api: &Api, query: &str| {
        api.get(&format!("/v1/drafts{query}")).await.good()["items"].as_array().expect("a list").len()
    };
    for (api, sees) in [(&both, 1), (&half, 1), (&root, 1), (&local, 0), (&stranger, 0)] {
        assert_eq!(listed(api, "").await, sees);
        for part in ["", "/rows"] {
            let reply = api.get(&format!("{path}{part}")).await;
            assert_eq!(reply.status.is_success(), sees == 1, "{}", reply.text);
        }
    }
    let by_site = async |site: SiteId| listed(&root, &format!("?site={site}")).await;
    assert_eq!((by_site(bern).await, by_site(thun).await, by_site(foreign).await), (1, 1, 0));
    assert_eq!((listed(&root, "?organisation=1").await, listed(&root, "?organisation=2").await), (1, 0));
    for how in ["apply", "discard"] {
        let decide = format!("{path}/{how}");
        assert_eq!(half.post(&decide, json!({})).await.code(), "role_too_low");
        assert_eq!(local.post(&decide, json!({})).await.code(), "not_found");
        assert_eq!(stranger.post(&decide, json!({})).await.code(), "not_found");
    }
    let applied = both.post(&format!("{path}/apply"), json!({})).await.good();
    assert_eq!(applied["rows"], json!({ "waiting": 4 }));
    // What is of one site only is theirs who look after it, as before.
    assert_eq!(make(&local, &[bern]).await.good()["sites"], json!([bern]));
    assert_eq!(listed(&local, "").await, 1);
}
