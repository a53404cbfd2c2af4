//! The desktop app from end to end: the real binary on a virtual screen, its window steered through WebDriver, its tray
//! icon and notifications seen on a session bus.

use anyhow::Context;
use std::process::Stdio;
use std::time::Duration;
use system_tests::desktop::{App, Desktop, Launch, SessionServices, alone, eventually};
use thirtyfour::Key;

/// Beats come every five seconds; an alert opens after three missed ones and the grace.
const ALERT_WITHIN: Duration = Duration::from_secs(120);
/// Title of the tray's pop-up.
const SUMMARY: &str = "Muster summary";

#[test]
fn first_start_to_a_silenced_appliance_that_reports_again() {
    alone("first_start_to_a_silenced_appliance_that_reports_again", || async {
        let desktop = Desktop::start().await?;
        let services = desktop.bus.services().await?;
        let app = App::start(&desktop, &Launch::default()).await?;
        let outcome = first_start(&desktop, &services, &app).await;
        desktop.or_picture(outcome).await?;
        drop(app);

        // The next start goes on where this one ended, and repeats no notification.
        let told = services.notifications();
        let app = App::start(&desktop, &Launch::default()).await?;
        let outcome = next_start(&services, &app).await;
        desktop.or_picture(outcome).await?;
        assert_eq!(services.notifications(), told, "nothing is told twice");
        Ok(())
    });
}

async fn first_start(desktop: &Desktop, services: &SessionServices, app: &App) -> anyhow::Result<()> {
    // First start asks one question.
    app.find("start-join").await?;
    desktop.picture("first-start").await?;
    app.click("start-local").await?;
    app.click("setup-practice").await?;
    desktop.picture("use-this-computer").await?;

    // A wrong value is named, and nothing of the attempt stands in the way of the next.
    let pool = app.find("setup-pool").await?;
    let proposed = pool.prop("value").await?.context("a pool is proposed")?;
    app.fill("setup-pool", "192.0.2.10-203.0.113.9").await?;
    app.click("local-submit").await?;
    assert_eq!(app.find("problem").await?.attr("data-code").await?.as_deref(), Some("site_invalid"));
    app.fill("setup-pool", &proposed).await?;
    app.click("local-submit").await?;

    let item = services.tray_item(1).await?;
    discover(app, 24).await?;
    desktop.picture("discovered").await?;
    configure_all(desktop, app, 24).await?;

    // Everybody is well, in the grid and in the tray.
    app.click("nav-appliances").await?;
    app.number("count-configured", 24, ALERT_WITHIN).await?;
    app.number("count-unconfigured", 0, ALERT_WITHIN).await?;
    eventually("the tray says that all is well", || async {
        Ok(services.tray_title(&item).await? == "Muster: All well")
    })
    .await?;
    desktop.picture("configured").await?;

    silence_one(desktop, app, services, &item).await?;

    // Quit in the tray ends the app and the fleet.
    let processes = app.processes();
    let own = [app.process("muster-desktop")?, app.process("fleet")?];
    assert!(own.iter().all(|id| processes.contains(id)), "they run until now");
    services.choose(&item, "Quit").await?;
    app.ended(&own).await
}

/// Everybody still has what they were given, beats, and is well.
async fn next_start(services: &SessionServices, app: &App) -> anyhow::Result<()> {
    app.find("nav-practice").await?;
    app.click("discover").await?;
    app.number("count-configured", 24, ALERT_WITHIN).await?;
    app.number("count-silent", 0, ALERT_WITHIN).await?;
    let item = services.tray_item(2).await?;
    eventually("the tray says that all is well", || async {
        Ok(services.tray_title(&item).await? == "Muster: All well")
    })
    .await
}

/// Cuts one appliance off: the desktop tells, a click shows the appliance, and its return is told too.
async fn silence_one(desktop: &Desktop, app: &App, services: &SessionServices, item: &str) -> anyhow::Result<()> {
    app.click("nav-practice").await?;
    app.click("practice-silence").await?;
    app.find("practice-silenced").await?;
    let told = services.notification(|title| title.ends_with("no longer reports"), ALERT_WITHIN).await?;
    assert_eq!(told.app, "Muster");
    assert!(told.actions.contains(&"default".to_owned()), "it can be clicked: {:?}", told.actions);
    eventually("the tray says that one fails", || async {
        Ok(services.tray_title(item).await? == "Muster: 1 appliance is failing")
    })
    .await?;
    let menu = services.tray_menu(item).await?;
    assert!(menu.iter().any(|entry| entry.label == "Alerts (1)"), "{menu:?}");

    services.click(&told).await?;
    app.find("appliance-page").await?;
    desktop.picture("appliance").await?;
    let name = told.title.trim_end_matches(" no longer reports");
    let page = app.text("appliance-page").await?;
    assert!(page.contains(name), "the page is about {name}: {page}");

    services.choose(item, "Alerts (1)").await?;
    app.find("alerts-list").await?;
    desktop.picture("alerts").await?;

    app.click("nav-practice").await?;
    app.click_css("[data-testid='practice-silenced'] button").await?;
    let back = format!("{name} reports again");
    services.notification(|title| title == back, ALERT_WITHIN).await?;
    let titles: Vec<String> = services.notifications().into_iter().map(|shown| shown.title).collect();
    assert_eq!(titles, [told.title.as_str(), &back], "each is told once, and nothing else");
    Ok(())
}

#[test]
fn practice_starts_ready_and_a_second_start_raises_the_first() {
    alone("practice_starts_ready_and_a_second_start_raises_the_first", || async {
        let desktop = Desktop::start().await?;
        let arguments = ["--practice", "24", "--hidden"].map(str::to_owned).to_vec();
        // No tray and no notification service: the app works all the same.
        let app = App::start(&desktop, &Launch { arguments, ..Launch::default() }).await?;
        let outcome = practice(&desktop, &app).await;
        desktop.or_picture(outcome).await
    });
}

async fn practice(desktop: &Desktop, app: &App) -> anyhow::Result<()> {
    app.window.source().await.context("the hidden window is loaded")?;
    assert!(!desktop.screen.shows("Muster").await?, "it starts in the tray");

    start_again(desktop).await?;
    eventually("the second start raises the first", || desktop.screen.shows("Muster")).await?;

    discover(app, 24).await?;
    app.find("nav-practice").await?;

    // A panel that appears later gets the icon, and its menu calls the roll.
    let services = desktop.bus.services().await?;
    let item = services.tray_item(1).await?;
    services.choose(&item, "Discover").await?;
    eventually("the roll is called from the tray", || async { Ok(app.text("discovery-status").await?.contains("24")) })
        .await?;

    // A click on the icon shows the summary beside it, and another hides it.
    services.activate_tray(&item).await?;
    summary(desktop, app).await?;
    services.activate_tray(&item).await?;
    eventually("the summary is shown again", || desktop.screen.shows(SUMMARY)).await?;
    services.activate_tray(&item).await?;
    eventually("the summary is gone", || async { Ok(!desktop.screen.shows(SUMMARY).await?) }).await?;

    // What is set about notifications is in a file, and the tray knows of it.
    app.click("nav-settings").await?;
    app.click("quiet-hours").await?;
    app.click("tell-unstable").await?;
    app.click("notification-save").await?;
    let kept = desktop.data().join("muster-practice/notifications.json");
    eventually("the settings are kept", || async {
        let text = std::fs::read_to_string(&kept).unwrap_or_default();
        Ok(text.contains(r#""from": 1320"#) && text.contains(r#""unstable""#))
    })
    .await?;
    desktop.picture("settings").await?;
    app.click("quiet-on").await?;
    app.find("quiet-off").await?;
    eventually("the tray says so", || async {
        Ok(services.tray_menu(&item).await?.iter().any(|entry| entry.label == "Do not disturb (on)"))
    })
    .await?;

    // Closing the window leaves the tray running; a second start brings it back, and so does the icon's menu.
    let own = [app.process("muster-desktop")?, app.process("fleet")?];
    for bring_back in ["second start", "menu"] {
        desktop.screen.close("Muster").await?;
        eventually("the window is gone", || async { Ok(!desktop.screen.shows("Muster").await?) }).await?;
        assert_eq!(services.tray_title(&item).await?, "Muster: All well", "the app goes on");
        if bring_back == "menu" {
            services.choose(&item, "Open Muster").await?;
        } else {
            start_again(desktop).await?;
        }
        eventually("the window is back", || desktop.screen.shows("Muster")).await?;
    }
    services.choose(&item, "Quit").await?;
    app.ended(&own).await
}

/// The pop-up says how it stands, and Escape closes it.
async fn summary(desktop: &Desktop, app: &App) -> anyhow::Result<()> {
    eventually("the summary is shown", || desktop.screen.shows(SUMMARY)).await?;
    let main = app.window.window().await?;
    eventually("the summary says how it stands", || async {
        for window in app.window.windows().await? {
            app.window.switch_to_window(window).await?;
            if app.text("summary-state").await? == "All well" {
                return Ok(true);
            }
        }
        Ok(false)
    })
    .await?;
    desktop.picture("summary-pop-up").await?;
    app.find("summary").await?.send_keys(Key::Escape + "").await?;
    eventually("Escape closes the summary", || async { Ok(!desktop.screen.shows(SUMMARY).await?) }).await?;
    Ok(app.window.switch_to_window(main).await?)
}

#[test]
fn a_wrong_invite_is_explained_and_without_a_tray_closing_ends_the_app() {
    alone("a_wrong_invite_is_explained_and_without_a_tray_closing_ends_the_app", || async {
        let desktop = Desktop::start().await?;
        let app = App::start(&desktop, &Launch::default()).await?;
        let outcome = wrong_invite(&desktop, &app).await;
        desktop.or_picture(outcome).await
    });
}

async fn wrong_invite(desktop: &Desktop, app: &App) -> anyhow::Result<()> {
    app.click("start-join").await?;
    app.fill("invite-input", "muster-invite:nonsense").await?;
    app.click("invite-submit").await?;
    let problem = app.find("problem").await?;
    let code = problem.attr("data-code").await?.unwrap_or_default();
    assert_eq!(code, "invite_malformed", "{}", problem.text().await?);
    desktop.picture("wrong-invite").await?;

    let own = [app.process("muster-desktop")?];
    desktop.screen.close("Muster").await?;
    app.ended(&own).await
}

/// Starts the app a second time: it has nothing to do and ends well.
async fn start_again(desktop: &Desktop) -> anyhow::Result<()> {
    let second = tokio::process::Command::new(system_tests::process::program("muster-desktop"))
        .args(["--practice", "24"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(desktop.environment())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status();
    let second = tokio::time::timeout(Duration::from_secs(30), second).await.context("the second start stays")??;
    assert!(second.success(), "a second start ends well: {second}");
    Ok(())
}

async fn discover(app: &App, count: usize) -> anyhow::Result<()> {
    app.click("discover").await?;
    app.number("count-unconfigured", count, ALERT_WITHIN).await
}

/// Selects all rows, goes through the wizard with what the policy proposes, and exports the summary.
async fn configure_all(desktop: &Desktop, app: &App, count: usize) -> anyhow::Result<()> {
    app.click_css(".ag-header-select-all").await?;
    app.click("configure").await?;
    for step in 0..3 {
        app.find_css(&format!("[data-testid='wizard'][data-step='{step}']")).await?;
        app.click("wizard-next").await?;
    }
    app.find_css("[data-testid='wizard'][data-step='3']").await?;
    desktop.picture("review").await?;
    app.click("wizard-apply").await?;
    app.find("wizard-progress").await?;
    app.find_css("[data-testid='job'] .ag-row").await?;
    desktop.picture("progress").await?;
    app.number("summary-configured", count, ALERT_WITHIN).await?;
    app.number("summary-failed", 0, ALERT_WITHIN).await?;
    app.click("job-export").await?;
    eventually("the summary is saved", || async {
        let saved = std::fs::read_dir(desktop.exports())?.flatten().next();
        let lines = saved.map(|file| std::fs::read_to_string(file.path())).transpose()?;
        Ok(lines.is_some_and(|text| text.lines().count() == count + 1))
    })
    .await?;
    desktop.picture("summary").await?;
    app.click("wizard-done").await
}
