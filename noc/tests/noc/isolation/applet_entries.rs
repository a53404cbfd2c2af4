//! What routes of applets are tried with.

use super::{Hidden, MARK, Scene, Who};
use crate::applets::{author, bundle};
use data_encoding::BASE64;
use muster_applet::signed;
use muster_noc::{AppletChannelName, Noc, OrganisationId};
use serde_json::{Value, json};

/// An applet, whose author is the first; nobody needs the second.
pub(super) fn fill(noc: &Noc, marked: OrganisationId) {
    for n in 1..=2 {
        noc.add_applet_author(marked, &format!("{MARK} {n}"), &author(n).public().to_base64()).expect("added");
    }
    noc.publish_applet(marked, signed_bundle(), AppletChannelName::Stable).expect("published");
}

fn signed_bundle() -> Vec<u8> {
    signed::sign(&bundle("mail", "1.0.0", MARK), &author(1))
}

impl Scene {
    pub(super) fn applet_entries(&self) -> Vec<(&'static str, String, Option<Value>, Who, Hidden)> {
        use Hidden::NotFound;
        use Who::{Administrator, Viewer};
        let Scene { marked, site, .. } = self;
        let at = |rest: &str| format!("/v1/organisations/{marked}/{rest}");
        let published = json!({ "bundle": BASE64.encode(&signed_bundle()), "channel": "stable" });
        let places = json!({ "places": [{ "site": site, "channel": "stable" }] });
        let other = json!({ "name": MARK, "key": author(3).public().to_base64() });
        let (applets, authors) = (at("applets"), at("applet-authors"));
        vec![
            ("GET /v1/organisations/{organisation}/applets", applets.clone(), None, Viewer, NotFound),
            ("POST /v1/organisations/{organisation}/applets", applets, Some(published), Administrator, NotFound),
            (
                "PUT /v1/organisations/{organisation}/applets/{applet}/channels/{applet_channel}",
                at("applets/mail/channels/stable"),
                Some(json!({ "version": "1.0.0", "percent": 100 })),
                Administrator,
                NotFound,
            ),
            (
                "PUT /v1/organisations/{organisation}/applets/{applet}/places",
                at("applets/mail/places"),
                Some(places),
                Administrator,
                NotFound,
            ),
            (
                "PUT /v1/organisations/{organisation}/applets/{applet}/floor",
                at("applets/mail/floor"),
                Some(json!({ "version": "1.0.0" })),
                Administrator,
                NotFound,
            ),
            (
                "DELETE /v1/organisations/{organisation}/applets/{applet}/versions/{applet_version}",
                at("applets/mail/versions/1.0.0"),
                None,
                Administrator,
                NotFound,
            ),
            ("GET /v1/organisations/{organisation}/applet-authors", authors.clone(), None, Viewer, NotFound),
            ("POST /v1/organisations/{organisation}/applet-authors", authors, Some(other), Administrator, NotFound),
            (
                "DELETE /v1/organisations/{organisation}/applet-authors/{author}",
                at("applet-authors/2"),
                None,
                Administrator,
                NotFound,
            ),
        ]
    }
}
