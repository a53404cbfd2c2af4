//! A site's applet in the wizard of the real window: published to a NOC by the vendor's own commands, while the wizard is open.

use anyhow::Context;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use system_tests::desktop::{App, Desktop, Launch, alone, eventually};
use system_tests::process::program;
use thirtyfour::By;

const PASSWORD: &str = "correct horse battery";
/// From a vendor's command to the window that is open.
const WITHIN: Duration = Duration::from_secs(10);

#[test]
fn a_sites_applet_changes_the_open_wizard_within_seconds() {
    alone("a_sites_applet_changes_the_open_wizard_within_seconds", || async {
        let desktop = Desktop::start().await?;
        // A fleet and a NOC with a site of its own, which the app has joined.
        let arguments = ["--practice", "3"].map(str::to_owned).to_vec();
        let app = App::start(&desktop, &Launch { arguments, ..Launch::default() }).await?;
        let outcome = wizard(&desktop, &app).await;
        desktop.or_picture(outcome).await
    });
}

async fn wizard(desktop: &Desktop, app: &App) -> anyhow::Result<()> {
    app.click("discover").await?;
    app.number("count-unconfigured", 3, Duration::from_secs(60)).await?;
    let vendor = Vendor::new(&desktop.data().join("muster-practice/noc")).await?;

    // No applet: the built-in wizard is all there is.
    app.click_css(".ag-header-select-all").await?;
    app.click("configure").await?;
    app.find_css("[data-testid='wizard'][data-step='0']").await?;
    app.click("wizard-next").await?;
    app.find("plan-sheet").await?;
    anyhow::ensure!(app.text("applets-panel").await?.is_empty(), "there is no applet yet");

    // Published: its form is in the wizard that is open.
    let took = vendor.publish("1.0.0", "Plant").await?;
    let began = Instant::now();
    app.find_css("[data-testid='applet'][data-version='1.0.0']").await?;
    let seen = [took + began.elapsed()];
    anyhow::ensure!(app.text("applet-form").await?.contains("Plant"), "the form of the vendor");
    let plant = app.find_css("[data-pointer='/plant']").await?;
    anyhow::ensure!(plant.prop("value").await?.as_deref() == Some("north"), "it begins with the default");
    plant.send_keys("-7").await?;
    desktop.picture("applet-wizard").await?;

    // A new version: another form, and what was typed stays.
    let took = vendor.publish("1.1.0", "Works").await?;
    let began = Instant::now();
    app.find_css("[data-testid='applet'][data-version='1.1.0']").await?;
    let seen = [seen[0], took + began.elapsed()];
    eventually("the form of the new version", || async { Ok(app.text("applet-form").await?.contains("Works")) })
        .await?;
    let plant = app.find_css("[data-pointer='/plant']").await?;
    anyhow::ensure!(plant.prop("value").await?.as_deref() == Some("north-7"), "what was typed stays");
    app.find_css("[data-testid='applet-status'][data-problems='0']").await?;
    app.click("wizard-next").await?;
    app.find_css("[data-testid='wizard'][data-step='2']").await?;
    app.click("wizard-next").await?;
    app.find_css("[data-testid='wizard'][data-step='3']").await?;
    app.click_css("[data-testid='application-review'] summary").await?;
    let document = app.text("application-document").await?;
    anyhow::ensure!(document.contains("plant") && document.contains("north-7"), "what it gets: {document}");
    desktop.picture("applet-review").await?;
    app.click("wizard-back").await?;
    app.click("wizard-back").await?;
    app.find("applet-form").await?;

    // Withdrawn: the one before it, and then none.
    for (version, left) in [("1.1.0", Some("1.0.0")), ("1.0.0", None)] {
        vendor.noc(&["applet", "withdraw", "plant", version])?;
        let began = Instant::now();
        eventually("the withdrawn version is gone", || async {
            let script = "return document.querySelector('[data-testid=applet]')?.dataset.version ?? null";
            let shown: Option<String> = app.window.execute(script, vec![]).await?.convert()?;
            Ok(shown.as_deref() == left)
        })
        .await?;
        anyhow::ensure!(began.elapsed() < WITHIN, "{version} is gone after {:?}", began.elapsed());
    }
    app.find("plan-sheet").await?;
    anyhow::ensure!(seen.iter().all(|one| *one < WITHIN), "seen after {seen:?}");
    Ok(())
}

#[test]
fn a_vendor_sees_a_folder_as_the_wizard_will_and_each_change_of_it() {
    alone("a_vendor_sees_a_folder_as_the_wizard_will_and_each_change_of_it", || async {
        let desktop = Desktop::start().await?;
        let folder = tempfile::tempdir()?;
        let applet = folder.path().join("mine");
        said(Command::new(program("muster")).args(["applet", "new"]).arg(&applet), "")?;
        let arguments = vec!["--applet".to_owned(), applet.display().to_string()];
        let app = App::start(&desktop, &Launch { arguments, ..Launch::default() }).await?;
        let outcome = preview(&desktop, &app, &applet).await;
        desktop.or_picture(outcome).await
    });
}

async fn preview(desktop: &Desktop, app: &App, applet: &Path) -> anyhow::Result<()> {
    // What `muster applet new` made: form, page and help, and the engine's own word on what is filled in.
    app.find("applet-form").await?;
    app.find_css("[data-testid='applet-frame'][data-started='true']").await?;
    app.find_css("[data-testid='applet-status'][data-problems='1']").await?;
    app.find_css("[data-pointer='/server']").await?.send_keys("mail.example.net").await?;
    eventually("what an appliance would get", || async {
        Ok(app.text("application-document").await?.contains("mail.example.net"))
    })
    .await?;
    desktop.picture("applet-preview").await?;

    let change = |file: &str, from: &str, to: &str| -> anyhow::Result<()> {
        let path = applet.join(file);
        let text = std::fs::read_to_string(&path)?;
        anyhow::ensure!(text.contains(from), "{file} has no {from}");
        Ok(std::fs::write(&path, text.replace(from, to))?)
    };
    change("form.json", "\"Server\"", "\"Mail server\"")?;
    change("logic.js", "'My appliance'", "'Another heading'")?;
    eventually("the form as it is now", || async { Ok(app.text("applet-form").await?.contains("Mail server")) })
        .await?;
    let server = app.find_css("[data-pointer='/server']").await?;
    anyhow::ensure!(server.prop("value").await?.as_deref() == Some("mail.example.net"), "what was filled in stays");
    eventually("the page as it is now", || async {
        // The frame of before may go at any moment.
        let heading = heading(app).await;
        app.window.enter_default_frame().await?;
        Ok(heading.is_ok_and(|heading| heading == "Another heading"))
    })
    .await?;

    // What is wrong is told, with its place, and mended.
    change("form.json", "\"integer\"", "\"nonsense\"")?;
    eventually("what is wrong", || async {
        Ok(app.text("preview-faults").await?.contains("form.json /properties/port"))
    })
    .await?;
    change("form.json", "\"nonsense\"", "\"integer\"")?;
    app.find("applet-form").await?;
    app.click("preview-leave").await?;
    app.find("start-join").await?;
    Ok(())
}

/// What stands above the applet's page.
async fn heading(app: &App) -> anyhow::Result<String> {
    app.find_css("[data-testid='applet-frame'][data-started='true']").await?.enter_frame().await?;
    Ok(app.window.find(By::Css("h2")).await?.text().await?)
}

/// A vendor with a folder, a key and a token of the NOC's.
struct Vendor {
    folder: tempfile::TempDir,
    noc: PathBuf,
    address: String,
}

impl Vendor {
    async fn new(noc: &Path) -> anyhow::Result<Vendor> {
        let settings = std::fs::read_to_string(noc.join("noc.toml")).context("noc.toml")?;
        let quoted = |line: &str| line.split('"').nth(1).map(str::to_owned);
        let listen = settings.lines().find(|line| line.starts_with("listen"));
        let address = listen.and_then(quoted).context("where the NOC listens")?;
        let vendor = Vendor { folder: tempfile::tempdir()?, noc: noc.to_owned(), address };
        vendor.noc_with(&["operator", "add", "--login", "vendor", "--role", "administrator"], PASSWORD)?;
        let token = vendor.sign_in().await?;
        std::fs::write(vendor.at("token"), token)?;
        std::fs::create_dir(vendor.folder.path().join("plant"))?;
        let key: Value = serde_json::from_str(&vendor.muster(&["--json", "applet", "key", &vendor.at("key")])?)?;
        let key = key["public"].as_str().with_context(|| format!("the public key: {key}"))?;
        vendor.noc(&["applet", "author", "add", "Vendor", key])?;
        Ok(vendor)
    }

    /// As a program signs in.
    async fn sign_in(&self) -> anyhow::Result<String> {
        let authority = reqwest::Certificate::from_pem(&std::fs::read(self.noc.join("ca.pem"))?)?;
        let client = reqwest::Client::builder().tls_certs_only([authority]).build()?;
        let proof = json!({ "method": "password", "login": "vendor", "password": PASSWORD });
        let answer = client
            .post(format!("https://{}/v1/sessions", self.address))
            .json(&json!({ "kind": "bearer", "proof": proof }))
            .send()
            .await?;
        let signed_in: Value = answer.error_for_status()?.json().await?;
        Ok(signed_in["secret"].as_str().context("a secret")?.to_owned())
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Makes a version whose one field has this title, and publishes it; how long that took.
    async fn publish(&self, version: &str, title: &str) -> anyhow::Result<Duration> {
        let folder = self.folder.path().join("plant");
        let write = |name: &str, value: &Value| std::fs::write(folder.join(name), value.to_string());
        let field = json!({ "type": "string", "title": title, "default": "north", "maxLength": 40 });
        let form = json!({ "type": "object", "additionalProperties": false, "properties": { "plant": field } });
        write("form.json", &form)?;
        let manifest =
            json!({ "format": 1, "name": "plant", "version": version, "title": "Plant control", "form": "form.json" });
        write("applet.json", &manifest)?;
        let bundle = self.at("plant.applet");
        let _ = std::fs::remove_file(&bundle);
        self.muster(&["applet", "sign", &self.at("plant"), "--key", &self.at("key"), "--out", &bundle])?;
        let began = Instant::now();
        let (ca, token) = (self.noc.join("ca.pem").display().to_string(), self.at("token"));
        let to =
            ["--noc", &self.address, "--ca", &ca, "--token-file", &token, "--organisation", "1", "--channel", "stable"];
        self.muster(&[&["applet", "publish", bundle.as_str()][..], &to].concat())?;
        Ok(began.elapsed())
    }

    fn muster(&self, words: &[&str]) -> anyhow::Result<String> {
        said(Command::new(program("muster")).args(words), "")
    }

    fn noc(&self, words: &[&str]) -> anyhow::Result<String> {
        self.noc_with(words, "")
    }

    fn noc_with(&self, words: &[&str], input: &str) -> anyhow::Result<String> {
        said(Command::new(program("muster-noc")).args(words).env("MUSTER_NOC_DIR", &self.noc), input)
    }
}

fn said(command: &mut Command, input: &str) -> anyhow::Result<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("its input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?}: {}{errors}", String::from_utf8_lossy(&output.stdout));
    Ok(String::from_utf8(output.stdout)?)
}
