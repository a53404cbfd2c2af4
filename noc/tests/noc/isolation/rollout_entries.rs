//! What routes of roll-outs are tried with.

use super::{Hidden, MARK, Scene, Who};
use crate::world::World;
use muster_noc::{ComponentSpec, Noc, OrganisationId, Required};
use muster_protocol::id::SiteId;
use serde_json::{Value, json};
use std::time::Duration;

/// Three roll-outs at a site, each of which waits in its first wave for an appliance that has not reported yet.
pub(super) async fn fill(noc: &Noc, world: &World, marked: OrganisationId, site: SiteId) {
    let mut said = noc.site_components(site).expect("read");
    for number in 1..=3 {
        let name = format!("{MARK}-{number}");
        let own = ComponentSpec { sites: vec![site], ..crate::components::spec(Some(marked), &name, "1") };
        crate::components::add(noc, world, own, b"#!/bin/sh");
        let line = json!({ "name": name, "version": "1", "waves": { "waves": ["100%"] } });
        said.required.push(serde_json::from_value::<Required>(line).expect("reads"));
    }
    noc.set_site_components(site, said).expect("kept");
    while (1..=3).any(|id| noc.rollout(id).expect("there").wave == 0) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Scene {
    pub(super) fn rollout_entries(&self) -> Vec<(&'static str, String, Option<Value>, Who, Hidden)> {
        use Hidden::{NotFound, Without};
        use Who::{Administrator, Operator, Viewer};
        let at = |id: u32, act: &str| format!("/v1/components/rollouts/{id}{act}");
        vec![
            ("GET /v1/components/rollouts", "/v1/components/rollouts".into(), None, Viewer, Without),
            ("GET /v1/components/rollouts/{rollout}", at(1, ""), None, Viewer, NotFound),
            (
                "POST /v1/components/rollouts/{rollout}/continue",
                at(1, "/continue"),
                Some(json!({ "wave": 1 })),
                Administrator,
                NotFound,
            ),
            ("POST /v1/components/rollouts/{rollout}/halt", at(2, "/halt"), None, Operator, NotFound),
            ("POST /v1/components/rollouts/{rollout}/back", at(3, "/back"), None, Administrator, NotFound),
        ]
    }
}
