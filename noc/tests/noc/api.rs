//! A client of the operators' interface, as a program or as a browser.

use crate::world::{Http, World};
use muster_noc::{NewOperator, OrganisationId, Role, RoleAt};
use muster_protocol::id::SiteId;
use reqwest::header::HeaderMap;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// Somebody who calls the interface, with a secret or without.
#[derive(Clone)]
pub(crate) struct Api {
    http: Http,
    pub(crate) secret: Option<String>,
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("JSON: {}", self.text))
    }

    /// The code of a refusal, in the form of every refusal.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.text);
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        for text in ["title", "detail"] {
            assert!(!problem[text].as_str().expect("text").is_empty(), "{problem}");
        }
        problem["code"].as_str().expect("a code").to_owned()
    }

    /// A good answer's body.
    pub(crate) fn good(self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("text")).unwrap_or_default()
    }
}

impl Api {
    pub(crate) async fn anybody(world: &World) -> Api {
        Api { http: world.anybody().await, secret: None }
    }

    pub(crate) fn with(&self, secret: &str) -> Api {
        Api { http: self.http.clone(), secret: Some(secret.to_owned()) }
    }

    /// Signs in as a program does.
    pub(crate) async fn sign_in(&self, login: &str) -> Api {
        let signed_in = self.post("/v1/sessions", sign_in(login, PASSWORD, "bearer")).await.good();
        self.with(signed_in["secret"].as_str().expect("a secret"))
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&'static str, &str)],
    ) -> Reply {
        let answer = self.ask(method, path, body, headers).await;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Reply { status, headers, text: answer.text().await.expect("text") }
    }

    /// An answer that is read as it comes.
    pub(crate) async fn stream(&self, path: &str, headers: &[(&'static str, &str)]) -> Response {
        self.ask("GET", path, None, headers).await
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>, headers: &[(&'static str, &str)]) -> Response {
        let method: Method = method.parse().expect("a method");
        let url = self.http.url("").replace("/v1/", path);
        let mut request = self.http.client.request(method, url);
        if let Some(secret) = &self.secret {
            request = request.bearer_auth(secret);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("an answer")
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, None, &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.call("POST", path, Some(body), &[]).await
    }

    /// Status and `Location`; none while nobody answers, or not to the end.
    pub(crate) async fn try_post(&self, path: &str, body: &Value) -> Option<(u16, String)> {
        let url = self.http.url("").replace("/v1/", path);
        let secret = self.secret.as_deref().unwrap_or_default();
        let answer = self.http.client.post(url).bearer_auth(secret).json(body).send().await.ok()?;
        let location = answer.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (status, location) = (answer.status().as_u16(), location.to_owned());
        answer.bytes().await.ok()?;
        Some((status, location))
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.call("DELETE", path, None, &[]).await
    }

    /// Changes what was read just before.
    pub(crate) async fn change(&self, method: &str, read: &str, path: &str, body: Value) -> Reply {
        let tag = self.get(read).await.header("etag").to_owned();
        self.call(method, path, Some(body), &[("if-match", &tag)]).await
    }
}

pub(crate) fn sign_in(login: &str, password: &str, kind: &str) -> Value {
    json!({ "proof": { "method": "password", "login": login, "password": password }, "kind": kind })
}

/// A role of an organisation, or everywhere.
pub(crate) fn role(organisation: Option<OrganisationId>, site: Option<SiteId>, role: Role) -> RoleAt {
    RoleAt { organisation, site, role }
}

impl World {
    /// Adds somebody with one role; their whole sign-in name.
    pub(crate) fn operator(&self, login: &str, home: Option<OrganisationId>, at: RoleAt) -> String {
        let new = NewOperator { organisation: home, login: login.into(), name: login.into(), roles: vec![at] };
        self.noc.add_operator(new, PASSWORD.to_owned().into()).expect("added").login
    }

    /// An administrator of the NOC, signed in.
    pub(crate) async fn administrator(&self) -> Api {
        self.operator("root", None, role(None, None, Role::Administrator));
        Api::anybody(self).await.sign_in("root").await
    }

    /// The database, beside the NOC that has it open.
    pub(crate) fn database(&self) -> rusqlite::Connection {
        let path = self.dir.path().join("noc/noc.sqlite");
        let db = rusqlite::Connection::open(path).expect("opens");
        db.busy_timeout(std::time::Duration::from_secs(10)).expect("set");
        db
    }
}
