//! What each route is tried with.

use super::{Entry, Hidden, MARK, Scene, Who};
use crate::api::PASSWORD;
use crate::world::spec;
use muster_noc::SiteSpec;
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl Scene {
    /// A route that is not here fails the test.
    pub(super) fn entries(&self) -> BTreeMap<String, Entry> {
        use Hidden::{Forbidden, NotFound, Without};
        use Who::{Administrator, Noc, Operator, Viewer};
        let Scene { marked, uid, site, console, message, invite, operator, session, token, .. } = self;
        let policy = json!(SiteSpec { name: format!("{MARK} Chur"), ..spec() });
        // Where nobody listens: what is tested is who may try.
        let hook = json!({ "kind": "webhook", "url": "https://127.0.0.1:1/" });
        let whole = json!([{ "organisation": marked, "role": "viewer" }]);
        let mut list: Vec<(&str, String, Option<Value>, Who, Hidden)> = vec![
            ("GET /v1/session", "/v1/session".into(), None, Viewer, Without),
            (
                "POST /v1/session/password",
                "/v1/session/password".into(),
                Some(json!({ "old": PASSWORD, "new": PASSWORD })),
                Viewer,
                Without,
            ),
            ("GET /v1/sessions", format!("/v1/sessions?operator={operator}"), None, Administrator, NotFound),
            ("GET /v1/tokens", format!("/v1/tokens?operator={operator}"), None, Administrator, NotFound),
            (
                "POST /v1/tokens",
                "/v1/tokens".into(),
                Some(json!({ "name": "n", "scopes": ["audit:read"], "days": 1 })),
                Viewer,
                Without,
            ),
            ("GET /v1/organisations", "/v1/organisations".into(), None, Viewer, Without),
            (
                "POST /v1/organisations",
                "/v1/organisations".into(),
                Some(json!({ "handle": "new", "name": "New" })),
                Noc,
                Forbidden,
            ),
            ("GET /v1/organisations/{organisation}", format!("/v1/organisations/{marked}"), None, Viewer, NotFound),
            (
                "PATCH /v1/organisations/{organisation}",
                format!("/v1/organisations/{marked}"),
                Some(json!({ "name": MARK })),
                Administrator,
                NotFound,
            ),
            ("GET /v1/sites", "/v1/sites".into(), None, Viewer, Without),
            (
                "POST /v1/sites",
                "/v1/sites".into(),
                Some(json!({ "organisation": marked, "policy": policy })),
                Administrator,
                NotFound,
            ),
            ("GET /v1/sites.csv", format!("/v1/sites.csv?organisation={marked}"), None, Viewer, NotFound),
            (
                "POST /v1/sites/import",
                "/v1/sites/import".into(),
                Some(json!({
                    "organisation": marked,
                    "csv": format!("name,pool,netmask,domain\n{MARK} Sion,192.0.2.1,/24,a.example\n"),
                })),
                Administrator,
                NotFound,
            ),
            ("GET /v1/sites/{site}", format!("/v1/sites/{site}"), None, Viewer, NotFound),
            (
                "PUT /v1/sites/{site}",
                format!("/v1/sites/{site}"),
                Some(json!(SiteSpec { name: format!("{MARK} Biel"), ..spec() })),
                Administrator,
                NotFound,
            ),
            (
                "GET /v1/organisations/{organisation}/policy",
                format!("/v1/organisations/{marked}/policy"),
                None,
                Viewer,
                NotFound,
            ),
            (
                "PUT /v1/organisations/{organisation}/policy",
                format!("/v1/organisations/{marked}/policy"),
                Some(json!({ "values": {}, "profiles": [{ "model": MARK, "values": {} }] })),
                Administrator,
                NotFound,
            ),
            ("GET /v1/sites/{site}/profiles", format!("/v1/sites/{site}/profiles"), None, Viewer, NotFound),
            (
                "PUT /v1/sites/{site}/profiles",
                format!("/v1/sites/{site}/profiles"),
                Some(json!({ "profiles": [{ "model": MARK, "values": {} }] })),
                Administrator,
                NotFound,
            ),
            ("GET /v1/sites/{site}/effective", format!("/v1/sites/{site}/effective"), None, Viewer, NotFound),
            ("POST /v1/sites/{site}/preview", format!("/v1/sites/{site}/preview"), Some(json!({})), Viewer, NotFound),
            ("GET /v1/sites/{site}/reservations", format!("/v1/sites/{site}/reservations"), None, Viewer, NotFound),
            (
                "GET /v1/sites/{site}/reservations.csv",
                format!("/v1/sites/{site}/reservations.csv"),
                None,
                Viewer,
                NotFound,
            ),
            (
                "POST /v1/sites/{site}/reservations",
                format!("/v1/sites/{site}/reservations"),
                Some(json!({ "serial": format!("{MARK}3"), "address": "192.0.2.78" })),
                Administrator,
                NotFound,
            ),
            (
                "POST /v1/sites/{site}/reservations/import",
                format!("/v1/sites/{site}/reservations/import"),
                Some(json!({ "csv": format!("serial,address\n{MARK}4,192.0.2.79\n") })),
                Administrator,
                NotFound,
            ),
            (
                "GET /v1/sites/{site}/reservations/{reservation}",
                format!("/v1/sites/{site}/reservations/1"),
                None,
                Viewer,
                NotFound,
            ),
            (
                "PUT /v1/sites/{site}/reservations/{reservation}",
                format!("/v1/sites/{site}/reservations/1"),
                Some(json!({ "serial": format!("{MARK}2"), "address": "192.0.2.80" })),
                Administrator,
                NotFound,
            ),
            (
                "DELETE /v1/sites/{site}/reservations/{reservation}",
                format!("/v1/sites/{site}/reservations/1"),
                None,
                Administrator,
                NotFound,
            ),
            ("GET /v1/operators", "/v1/operators".into(), None, Viewer, Without),
            (
                "POST /v1/operators",
                "/v1/operators".into(),
                Some(
                    json!({ "organisation": marked, "login": "new", "name": "New", "password": PASSWORD, "roles": whole }),
                ),
                Administrator,
                NotFound,
            ),
            ("GET /v1/operators/{operator}", format!("/v1/operators/{operator}"), None, Administrator, NotFound),
            (
                "PATCH /v1/operators/{operator}",
                format!("/v1/operators/{operator}"),
                Some(json!({ "name": MARK })),
                Administrator,
                NotFound,
            ),
            (
                "PUT /v1/operators/{operator}/roles",
                format!("/v1/operators/{operator}/roles"),
                Some(json!({ "roles": whole })),
                Administrator,
                NotFound,
            ),
            ("GET /v1/appliances", "/v1/appliances".into(), None, Viewer, Without),
            ("GET /v1/appliances/{uid}", format!("/v1/appliances/{uid}"), None, Viewer, NotFound),
            ("GET /v1/appliances/{uid}/beats", format!("/v1/appliances/{uid}/beats"), None, Viewer, NotFound),
            ("GET /v1/availability", "/v1/availability".into(), None, Viewer, Without),
            ("GET /v1/availability.csv", format!("/v1/availability.csv?site={site}"), None, Viewer, NotFound),
            ("GET /v1/sites/{site}/availability", format!("/v1/sites/{site}/availability"), None, Viewer, NotFound),
            ("GET /v1/appliances/{uid}/strip", format!("/v1/appliances/{uid}/strip"), None, Viewer, NotFound),
            ("GET /v1/appliances/{uid}/history", format!("/v1/appliances/{uid}/history"), None, Viewer, NotFound),
            (
                "GET /v1/organisations/{organisation}/metrics",
                format!("/v1/organisations/{marked}/metrics"),
                None,
                Viewer,
                NotFound,
            ),
            (
                "GET /v1/organisations/{organisation}/remote-write",
                format!("/v1/organisations/{marked}/remote-write"),
                None,
                Administrator,
                NotFound,
            ),
            (
                "PUT /v1/organisations/{organisation}/remote-write",
                format!("/v1/organisations/{marked}/remote-write"),
                Some(json!({ "target": { "url": "https://127.0.0.1:1/", "user": MARK }, "password": "p" })),
                Administrator,
                NotFound,
            ),
            (
                "POST /v1/organisations/{organisation}/remote-write/test",
                format!("/v1/organisations/{marked}/remote-write/test"),
                Some(json!({})),
                Administrator,
                NotFound,
            ),
            (
                "DELETE /v1/organisations/{organisation}/remote-write",
                format!("/v1/organisations/{marked}/remote-write"),
                None,
                Administrator,
                NotFound,
            ),
            (
                "GET /v1/organisations/{organisation}/history",
                format!("/v1/organisations/{marked}/history"),
                None,
                Viewer,
                NotFound,
            ),
            (
                "PATCH /v1/organisations/{organisation}/history",
                format!("/v1/organisations/{marked}/history"),
                Some(json!({ "hours_days": 365 })),
                Administrator,
                NotFound,
            ),
            ("GET /v1/appliances/{uid}/settings", format!("/v1/appliances/{uid}/settings"), None, Viewer, NotFound),
            (
                "PATCH /v1/appliances/{uid}/settings",
                format!("/v1/appliances/{uid}/settings"),
                Some(json!({ "address": "192.0.2.77" })),
                Operator,
                NotFound,
            ),
            (
                "POST /v1/appliances/{uid}/instructions",
                format!("/v1/appliances/{uid}/instructions"),
                Some(json!({ "act": "reboot" })),
                Operator,
                NotFound,
            ),
            (
                "GET /v1/appliances/{uid}/instructions",
                format!("/v1/appliances/{uid}/instructions"),
                None,
                Viewer,
                NotFound,
            ),
            ("GET /v1/appliances/{uid}/log", format!("/v1/appliances/{uid}/log"), None, Operator, NotFound),
            (
                "POST /v1/inventory/import",
                "/v1/inventory/import".into(),
                Some(json!({ "organisation": marked, "csv": self.manifest })),
                Operator,
                NotFound,
            ),
            ("DELETE /v1/appliances/{uid}/work", format!("/v1/appliances/{uid}/work"), None, Operator, NotFound),
            ("GET /v1/appliances/{uid}/versions", format!("/v1/appliances/{uid}/versions"), None, Viewer, NotFound),
            (
                "POST /v1/appliances/{uid}/rollback",
                format!("/v1/appliances/{uid}/rollback"),
                Some(json!({ "version": 2 })),
                Operator,
                NotFound,
            ),
            ("GET /v1/drafts", "/v1/drafts".into(), None, Viewer, Without),
            (
                "POST /v1/drafts",
                "/v1/drafts".into(),
                Some(json!({
                    "site": site,
                    "title": MARK,
                    "changes": { "edit": { "edit": { "dns1": "192.0.2.61" }, "uids": [uid] } },
                })),
                Operator,
                NotFound,
            ),
            ("GET /v1/drafts/{draft}", "/v1/drafts/1".into(), None, Viewer, NotFound),
            ("GET /v1/drafts/{draft}/rows", "/v1/drafts/1/rows".into(), None, Viewer, NotFound),
            ("POST /v1/drafts/{draft}/apply", "/v1/drafts/1/apply".into(), None, Operator, NotFound),
            ("POST /v1/drafts/{draft}/discard", "/v1/drafts/2/discard".into(), None, Operator, NotFound),
            ("GET /v1/consoles", "/v1/consoles".into(), None, Viewer, Without),
            ("GET /v1/consoles/{console}", format!("/v1/consoles/{console}"), None, Viewer, NotFound),
            ("GET /v1/invites", "/v1/invites".into(), None, Viewer, Without),
            (
                "POST /v1/invites",
                "/v1/invites".into(),
                Some(json!({ "sites": [site], "hours": 1 })),
                Operator,
                NotFound,
            ),
            ("GET /v1/consoles/{console}/messages", format!("/v1/consoles/{console}/messages"), None, Viewer, NotFound),
            (
                "POST /v1/consoles/{console}/messages",
                format!("/v1/consoles/{console}/messages"),
                Some(json!({ "order": { "kind": "refresh" } })),
                Operator,
                NotFound,
            ),
            (
                "GET /v1/consoles/{console}/messages/{message}",
                format!("/v1/consoles/{console}/messages/{message}"),
                None,
                Viewer,
                NotFound,
            ),
            (
                "DELETE /v1/consoles/{console}/messages/{message}",
                format!("/v1/consoles/{console}/messages/{message}"),
                None,
                Operator,
                NotFound,
            ),
            (
                "GET /v1/organisations/{organisation}/monitoring",
                format!("/v1/organisations/{marked}/monitoring"),
                None,
                Viewer,
                NotFound,
            ),
            (
                "PUT /v1/organisations/{organisation}/monitoring",
                format!("/v1/organisations/{marked}/monitoring"),
                Some(json!({ "rules": [{ "name": MARK, "value": "disk", "is": "above", "than": 80, "for_s": 60 }] })),
                Administrator,
                NotFound,
            ),
            ("GET /v1/sites/{site}/monitoring", format!("/v1/sites/{site}/monitoring"), None, Viewer, NotFound),
            (
                "PUT /v1/sites/{site}/monitoring",
                format!("/v1/sites/{site}/monitoring"),
                Some(json!({ "rules": [{ "name": MARK, "value": "disk", "is": "above", "than": 80, "for_s": 60 }] })),
                Administrator,
                NotFound,
            ),
            (
                "GET /v1/sites/{site}/monitoring/effective",
                format!("/v1/sites/{site}/monitoring/effective"),
                None,
                Viewer,
                NotFound,
            ),
            ("GET /v1/maintenance", "/v1/maintenance".into(), None, Viewer, Without),
            (
                "POST /v1/maintenance",
                "/v1/maintenance".into(),
                Some(json!({ "site": site, "for_s": 3600, "note": MARK })),
                Operator,
                NotFound,
            ),
            ("GET /v1/maintenance/{maintenance}", "/v1/maintenance/1".into(), None, Viewer, NotFound),
            ("DELETE /v1/maintenance/{maintenance}", "/v1/maintenance/1".into(), None, Operator, NotFound),
            ("GET /v1/alerts", "/v1/alerts".into(), None, Viewer, Without),
            ("GET /v1/alerts/{alert}", "/v1/alerts/1".into(), None, Viewer, NotFound),
            (
                "PUT /v1/alerts/{alert}/acknowledgement",
                "/v1/alerts/1/acknowledgement".into(),
                Some(json!({ "note": MARK })),
                Operator,
                NotFound,
            ),
            ("GET /v1/alerts/{alert}/events", "/v1/alerts/1/events".into(), None, Viewer, NotFound),
            (
                "PUT /v1/alerts/{alert}/silence",
                "/v1/alerts/1/silence".into(),
                Some(json!({ "seconds": 600, "note": MARK })),
                Operator,
                NotFound,
            ),
            ("DELETE /v1/alerts/{alert}/silence", "/v1/alerts/1/silence".into(), None, Operator, NotFound),
            ("GET /v1/channels", "/v1/channels".into(), None, Administrator, Without),
            (
                "POST /v1/channels",
                "/v1/channels".into(),
                Some(json!({ "organisation": marked, "channel": { "name": format!("{MARK} 2"), "target": hook } })),
                Administrator,
                NotFound,
            ),
            ("GET /v1/channels/{channel}", "/v1/channels/1".into(), None, Administrator, NotFound),
            (
                "PUT /v1/channels/{channel}",
                "/v1/channels/1".into(),
                Some(json!({ "channel": { "name": MARK, "target": hook } })),
                Administrator,
                NotFound,
            ),
            (
                "POST /v1/channels/{channel}/test",
                "/v1/channels/1/test".into(),
                Some(json!({})),
                Administrator,
                NotFound,
            ),
            (
                "POST /v1/channels/{channel}/secret",
                "/v1/channels/1/secret".into(),
                Some(json!({})),
                Administrator,
                NotFound,
            ),
            ("DELETE /v1/channels/{channel}", "/v1/channels/2".into(), None, Administrator, NotFound),
            ("GET /v1/audit", "/v1/audit".into(), None, Administrator, Without),
            ("DELETE /v1/invites/{invite}", format!("/v1/invites/{invite}"), None, Operator, NotFound),
            ("DELETE /v1/consoles/{console}", format!("/v1/consoles/{console}"), None, Operator, NotFound),
            ("DELETE /v1/tokens/{token}", format!("/v1/tokens/{token}"), None, Administrator, NotFound),
            ("DELETE /v1/sessions/{session}", format!("/v1/sessions/{session}"), None, Administrator, NotFound),
        ];
        list.extend(self.applet_entries());
        let mut entries: BTreeMap<String, Entry> = list
            .into_iter()
            .map(|(route, path, body, who, hidden)| (route.to_owned(), Entry { path, body, who, hidden }))
            .collect();
        let reset = Some(json!({ "password": "another good password" }));
        let path = format!("/v1/operators/{operator}/password");
        entries.insert(
            "POST /v1/operators/{operator}/password".into(),
            Entry { path, body: reset, who: Administrator, hidden: NotFound },
        );
        entries.insert(
            "DELETE /v1/session".into(),
            Entry { path: "/v1/session".into(), body: None, who: Viewer, hidden: Without },
        );
        entries
    }
}
