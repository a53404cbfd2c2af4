//! What the desktop app does about alerts while its window is closed: tray and notifications, with a NOC elsewhere that is
//! lost and comes back.

use anyhow::Context;
use muster_console::engine::{Engine, Options};
use muster_console::view::{Chosen, EditedRow, JobStep, RowHealth, RowState};
use muster_protocol::id::Uid;
use std::path::Path;
use std::time::Duration;
use system_tests::desktop::{App, Desktop, Launch, SessionServices, alone, eventually};
use system_tests::fleet::Knobs;
use system_tests::world::{World, until};

/// Beats come every five seconds; an alert opens after three missed ones and the grace. A loss is told after a minute.
const TOLD_WITHIN: Duration = Duration::from_secs(120);

#[test]
fn alerts_are_taken_up_from_tray_and_notifications_with_the_window_closed() {
    alone("alerts_are_taken_up_from_tray_and_notifications_with_the_window_closed", || async {
        let desktop = Desktop::start().await?;
        let services = desktop.bus.services().await?;
        let mut world = World::new(2, Knobs { install_ms: Some(200), ..Knobs::default() }).await;
        let uids = configured(&world, &desktop.data()).await?;
        let arguments = vec!["--hidden".to_owned(), "--data-dir".to_owned(), desktop.data().display().to_string()];
        let launch = Launch { arguments, ..Launch::default() };
        let app = App::start(&desktop, &launch).await?;
        let outcome = take_up(&desktop, &services, &mut world, &uids).await;
        desktop.or_picture(outcome).await?;
        // Not once more at the next start, whatever was told.
        let told = services.notifications();
        services.choose(&services.tray_item(1).await?, "Quit").await?;
        app.ended(&[app.process("muster-desktop")?]).await?;
        drop(app);
        let _app = App::start(&desktop, &launch).await?;
        title(&services, &services.tray_item(2).await?, |title| title.contains("1 silenced")).await?;
        assert_eq!(services.notifications(), told, "nothing is told twice");
        Ok(())
    });
}

/// Has a console in this folder configure everybody; their identities.
async fn configured(world: &World, folder: &Path) -> anyhow::Result<Vec<Uid>> {
    let options = Options { data_dir: folder.to_owned(), ..world.console() };
    let engine = Engine::start(options).await?;
    engine.join(&world.invite()).await?;
    engine.discover().await?;
    let heard = until("everybody is heard", 30, async || {
        let rows = engine.appliances();
        let open = rows.iter().filter(|row| row.state == RowState::Unconfigured).count();
        if open == 2 { Ok(rows) } else { Err(open) }
    })
    .await;
    let chosen = heard.iter().map(|row| Chosen { uid: row.uid.clone(), claim: None }).collect();
    let plan = engine.plan(world.site.id.0, chosen).await?;
    let rows = plan.rows.into_iter().map(|row| EditedRow { uid: row.uid, settings: row.settings }).collect();
    let job = engine.configure(world.site.id.0, rows).await?;
    until("everybody is configured and beats", 90, async || {
        let steps: Vec<JobStep> =
            engine.job(job).map(|job| job.items.iter().map(|item| item.step).collect()).unwrap_or_default();
        let well = engine.appliances().iter().filter(|row| row.health == RowHealth::Well).count();
        if steps == [JobStep::Configured; 2] && well == 2 { Ok(()) } else { Err((steps, well)) }
    })
    .await;
    engine.shutdown().await;
    heard.iter().map(|row| row.uid.parse().context("a UID")).collect()
}

async fn title(services: &SessionServices, item: &str, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let reached = eventually("the tray's title", || async { Ok(wanted(&services.tray_title(item).await?)) }).await;
    if reached.is_err() {
        anyhow::bail!("the tray says `{}`", services.tray_title(item).await?);
    }
    Ok(())
}

async fn take_up(desktop: &Desktop, services: &SessionServices, world: &mut World, uids: &[Uid]) -> anyhow::Result<()> {
    let item = services.tray_item(1).await?;
    title(services, &item, |title| title == "Muster: All well").await?;
    assert!(!desktop.screen.shows("Muster").await?, "the window stays closed");

    // Acknowledged on the notification.
    world.turn(Knobs { silent: Some(vec![uids[0]]), ..Knobs::default() }).await;
    let first = services.notification(|title| title.ends_with("no longer reports"), TOLD_WITHIN).await?;
    title(services, &item, |title| title == "Muster: 1 appliance is failing").await?;
    services.press(&first, "acknowledge").await?;
    services.notification(|title| title == "1 alert acknowledged", TOLD_WITHIN).await?;
    title(services, &item, |title| title == "Muster: Nobody is needed: 1 acknowledged").await?;
    let open = world.noc.alerts(true)?;
    assert!(open[0].handling.acknowledged_by.starts_with("console "), "the NOC knows who: {open:?}");

    // The NOC is lost: that is told once it lasts, and what cannot be done is said with its reason.
    world.turn(Knobs { silent: Some(uids.to_vec()), ..Knobs::default() }).await;
    let is_second = |title: &str| title.ends_with("no longer reports") && title != first.title;
    let second = services.notification(is_second, TOLD_WITHIN).await?;
    world.stop_noc().await;
    title(services, &item, |title| title.starts_with("Muster: No connection to the NOC since ")).await?;
    let lost = services.tray_title(&item).await?;
    assert!(lost.ends_with("Known from then: 1 appliance is failing, 1 acknowledged"), "{lost}");
    let acknowledge = format!("{} (", second.title);
    services
        .choose_which(&item, "Acknowledge", |label| label.starts_with(&acknowledge) && label.ends_with("> Acknowledge"))
        .await?;
    let refused = services.notification(|title| title == "Not acknowledged", TOLD_WITHIN).await?;
    assert!(refused.body.contains("cannot be reached") && refused.body.contains("keeps trying"), "{}", refused.body);
    let lost = services.notification(|title| title.starts_with("No connection to the NOC since "), TOLD_WITHIN).await?;
    world.start_noc().await;
    services.notification(|title| title == "Connected to the NOC again", TOLD_WITHIN).await?;
    withdrawn(services, lost.id).await?;
    title(services, &item, |title| title == "Muster: 1 appliance is failing, 1 acknowledged").await?;

    // Silenced in the tray: its notification goes.
    let silence = |label: &str| label.starts_with(&acknowledge) && label.ends_with("> Silence for 1 hour");
    services.choose_which(&item, "Silence for 1 hour", silence).await?;
    services.notification(|title| title.starts_with("1 alert silenced until "), TOLD_WITHIN).await?;
    title(services, &item, |title| title == "Muster: Nobody is needed: 1 acknowledged, 1 silenced").await?;
    withdrawn(services, second.id).await?;

    // Nobody is to be disturbed: nothing pops up, and the tray still counts.
    services.choose(&item, "Do not disturb > Until switched off").await?;
    eventually("the tray says so", || async {
        Ok(services.tray_menu(&item).await?.iter().any(|entry| entry.label == "Do not disturb (on)"))
    })
    .await?;
    world.turn(Knobs { silent: Some(vec![uids[1]]), ..Knobs::default() }).await;
    let told = services.notifications().len();
    title(services, &item, |title| title == "Muster: Nobody is needed: 1 silenced").await?;
    world.noc.unsilence_alert(u32::try_from(world.noc.alerts(true)?[0].id)?)?;
    title(services, &item, |title| title == "Muster: 1 appliance is failing").await?;
    let record = desktop.data().join("notified.json");
    eventually("it is held back", || async { Ok(std::fs::read_to_string(&record)?.contains("held")) }).await?;
    assert_eq!(services.notifications().len(), told, "nothing pops up");
    services.choose(&item, "Do not disturb (on) > Notify again").await?;
    let is_summary = |title: &str| title == "Meanwhile an alert opened and is still open";
    let summary = services.notification(is_summary, TOLD_WITHIN).await?;
    services.press(&summary, "silence").await?;
    title(services, &item, |title| title == "Muster: Nobody is needed: 1 silenced").await?;
    withdrawn(services, summary.id).await
}

async fn withdrawn(services: &SessionServices, id: u32) -> anyhow::Result<()> {
    eventually("the notification is withdrawn", || async {
        Ok(services.notifications().iter().any(|shown| shown.id == id && shown.withdrawn))
    })
    .await
}
