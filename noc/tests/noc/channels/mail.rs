//! Mail, taken by a real mail server.

use super::{Scene, number};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Debian's, for which its package is.
const PYTHON: &str = "/usr/bin/python3";

/// A mail server on this machine.
struct Sink {
    port: u16,
    taken: Receiver<Value>,
    child: Child,
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sink {
    fn start(words: &[&str]) -> Sink {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/noc/channels/sink.py");
        let mut command = Command::new(PYTHON);
        command.arg(script).args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("`scripts/setup test` installs python3-aiosmtpd");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (tell, taken) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = tell.send(serde_json::from_str(&line).expect("JSON"));
            }
        });
        let first: Value = taken.recv_timeout(Duration::from_secs(30)).expect("it serves");
        Sink { port: first["port"].as_u64().expect("a port") as u16, taken, child }
    }

    async fn next(&mut self) -> Value {
        self.next_within(60).await.expect("a mail in time")
    }

    async fn next_within(&mut self, seconds: u64) -> Option<Value> {
        let end = std::time::Instant::now() + Duration::from_secs(seconds);
        while std::time::Instant::now() < end {
            if let Ok(value) = self.taken.try_recv() {
                return Some(value);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    }
}

fn email(port: u16, security: &str) -> Value {
    json!({
        "kind": "email", "server": "127.0.0.1", "port": port, "security": security,
        "from": "Muster <muster@example.net>", "to": ["ops@example.net", "Anna <anna@example.net>"],
    })
}

/// The lines of a mail's head, unfolded.
fn head(mail: &Value) -> Vec<String> {
    let text = mail["text"].as_str().expect("text").replace("\r\n ", " ").replace("\r\n\t", " ");
    let (head, _) = text.split_once("\r\n\r\n").expect("a head");
    head.split("\r\n").map(str::to_owned).collect()
}

fn line<'a>(head: &'a [String], name: &str) -> &'a str {
    let found: Vec<&String> =
        head.iter().filter(|line| line.to_lowercase().starts_with(&format!("{name}: "))).collect();
    assert_eq!(found.len(), 1, "{name}: {head:?}");
    &found[0][name.len() + 2..]
}

/// The text, whatever way it is written in.
fn body(mail: &Value) -> String {
    let text = mail["text"].as_str().expect("text");
    let (_, body) = text.split_once("\r\n\r\n").expect("a body");
    body.replace("=\r\n", "").replace("=3D", "=")
}

#[tokio::test]
async fn a_burst_is_one_mail_and_names_in_it_are_only_names() {
    let scene = Scene::new().await;
    let mut sink = Sink::start(&[]);
    let id = number(&scene.add(json!({ "name": "mail", "target": email(sink.port, "none") })).await["channel"]["id"]);
    scene.silent(0..4).await;
    scene.open_alerts(4).await;
    // As no form takes them: whatever gets into the database some day changes nothing of the mail.
    let evil = "Bern\r\nBcc: evil@example.org\r\n\r\n<script>alert(1)</script>\u{202e}";
    scene.world.database().execute("UPDATE sites SET name = ?1", [evil]).expect("set");
    let mail = sink.next().await;
    assert_eq!(mail["to"], json!(["ops@example.net", "anna@example.net"]), "nobody else gets it");
    assert_eq!(mail["from"], "muster@example.net");
    let lines = head(&mail);
    assert!(lines.iter().all(|line| !line.to_lowercase().starts_with("bcc")), "{lines:?}");
    assert_eq!(line(&lines, "content-type"), "text/plain; charset=utf-8");
    assert_eq!(line(&lines, "auto-submitted"), "auto-generated");
    assert!(line(&lines, "message-id").starts_with('<') && line(&lines, "message-id").ends_with("@127.0.0.1>"));
    let body = body(&mail);
    assert_eq!(body.matches("opened: ").count(), 4, "{body}");
    assert!(body.contains("never reported") && body.contains("https://127.0.0.1:"), "{body}");
    assert!(body.contains("Sent by the channel mail."), "{body}");
    assert!(sink.next_within(6).await.is_none(), "one mail");
    super::eventually("it was taken", async || scene.state(id).await["outcome"] == "250 taken, says the sink").await;
}

#[tokio::test]
async fn the_subject_says_what_and_where() {
    let scene = Scene::new().await;
    let mut sink = Sink::start(&[]);
    scene.add(json!({ "name": "mail", "target": email(sink.port, "none") })).await;
    scene.silent(0..1).await;
    let mail = sink.next().await;
    assert_eq!(line(&head(&mail), "subject"), "Muster: Bern: mail-001 never reported");
    scene.silent(1..3).await;
    let mail = sink.next().await;
    assert_eq!(line(&head(&mail), "subject"), "Muster: Bern: 2 opened");
}

#[tokio::test]
async fn a_server_that_is_not_ready_is_asked_again_with_the_same_message() {
    let scene = Scene::new().await;
    let mut sink = Sink::start(&["--fail", "451", "1"]);
    let id = number(&scene.add(json!({ "name": "mail", "target": email(sink.port, "none") })).await["channel"]["id"]);
    scene.silent(0..1).await;
    assert_eq!(sink.next().await["refused"], 451);
    super::eventually("it is known to fail", async || !scene.state(id).await["failing_since"].is_null()).await;
    let outcome = scene.state(id).await["outcome"].clone();
    assert!(outcome.as_str().expect("words").contains("not now, says the sink"), "{outcome}");
    let key: String = {
        let db = scene.world.database();
        db.query_row("SELECT key FROM channel_messages", [], |row| row.get(0)).expect("one message")
    };
    scene.hasten(id);
    let mail = sink.next().await;
    assert!(line(&head(&mail), "message-id").contains(&key));
}

/// A certificate for this machine: its file, its key's file, and itself in PEM.
fn certificate(folder: &Path) -> (String, String, String) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("names");
    let pem = params.self_signed(&key).expect("signed").pem();
    let (cert_file, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert_file, &pem).expect("written");
    std::fs::write(&key_file, key.serialize_pem()).expect("written");
    let path = |file: std::path::PathBuf| file.to_str().expect("UTF-8").to_owned();
    (path(cert_file), path(key_file), pem)
}

#[tokio::test]
async fn a_password_goes_only_through_tls_to_a_server_that_proves_itself() {
    let scene = Scene::new().await;
    let folder = tempfile::TempDir::new().expect("a folder");
    let (cert, key, ca) = certificate(folder.path());
    for (security, flag) in [("starttls", "--starttls"), ("tls", "--tls")] {
        let mut sink = Sink::start(&[flag, &cert, &key, "--user", "muster", "pässwörd"]);
        let port = sink.port;
        let with = |ca: &str, user: &str| {
            let mut target = email(port, security);
            (target["ca"], target["user"]) = (json!(ca), json!(user));
            target
        };
        let channel = |target: Value| json!({ "name": security, "target": target });
        let add = async |channel: Value, password: Value| {
            scene
                .root
                .post("/v1/channels", json!({ "organisation": 1, "channel": channel, "password": password }))
                .await
        };
        assert_eq!(add(channel(with(&ca, "muster")), json!(null)).await.code(), "invalid", "a user without a password");
        let made = add(channel(with(&ca, "muster")), json!("pässwörd")).await.good();
        assert!(made["secret"].is_null());
        let path = format!("/v1/channels/{}", made["channel"]["id"]);
        let test = async || scene.root.post(&format!("{path}/test"), json!({})).await.good();
        let tested = test().await;
        assert_eq!(
            (tested["is_delivered"].clone(), tested["answer"].clone()),
            (json!(true), json!("250 taken, says the sink")),
            "{security}: {tested}"
        );
        let mail = sink.next().await;
        assert_eq!((mail["is_encrypted"].clone(), mail["user"].clone()), (json!(true), json!("muster")));
        assert!(line(&head(&mail), "subject").contains("a test of the channel"));

        // Another server would get the password: it has to be given again.
        let mut other = with(&ca, "muster");
        other["server"] = json!("localhost");
        let put = json!({ "channel": channel(other.clone()) });
        assert_eq!(scene.root.change("PUT", &path, &path, put).await.code(), "invalid", "{security}");
        let put = json!({ "channel": channel(other), "password": "wrong" });
        scene.root.change("PUT", &path, &path, put).await.good();
        let tested = test().await;
        assert_eq!(tested["is_delivered"], false);
        assert!(tested["answer"].as_str().expect("words").contains("535"), "{tested}");
        // A server that nobody vouches for gets nothing at all.
        let put = json!({ "channel": channel(with("", "muster")), "password": "pässwörd" });
        scene.root.change("PUT", &path, &path, put).await.good();
        let tested = test().await;
        assert_eq!(tested["is_delivered"], false);
        let answer = tested["answer"].as_str().expect("words");
        assert!(answer.contains("certificate") && answer.contains("`ca`"), "{answer}");
        let shown = scene.root.get("/v1/channels").await.text + &scene.root.get("/v1/audit").await.text;
        assert!(!shown.contains("pässwörd"), "a password is never shown");
        scene.root.delete(&path).await.good();
        let db = scene.world.database();
        let kept: i64 =
            db.query_row("SELECT count(*) FROM channels WHERE secret <> ''", [], |row| row.get(0)).expect("read");
        assert_eq!(kept, 0, "what is removed has no password any more");
    }
    // A server without STARTTLS is not talked to in the clear instead.
    let mut sink = Sink::start(&[]);
    let made = scene.add(json!({ "name": "plain", "target": email(sink.port, "starttls") })).await;
    let tested = scene.root.post(&format!("/v1/channels/{}/test", made["channel"]["id"]), json!({})).await.good();
    assert!(tested["answer"].as_str().expect("words").contains("STARTTLS"), "{tested}");
    assert!(sink.next_within(1).await.is_none());
}
