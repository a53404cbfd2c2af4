//! What the window may ask. A command parses, asks the engine once, converts.

use crate::desktop::Desktop;
use crate::summary;
use muster_console::engine::EngineError;
use muster_console::problem::Explain;
use muster_console::view::{
    AppletPreview, AppletView, ApplicationChecked, BeatView, CellError, CheckedView, Chosen, DoNotDisturb, EditedRow,
    Event, ImportReport, NotificationSettings, NotificationState, PlanView, PracticeKnobs, ProblemView, SiteSetup,
    StartView,
};
use tauri::ipc::Channel;
use tauri::{AppHandle, State, WebviewWindow};

type Answer<T> = Result<T, ProblemView>;
/// The engine's own explanation of what went wrong.
fn told<T>(outcome: Result<T, EngineError>) -> Answer<T> {
    outcome.map_err(|error| error.problem())
}

type App<'a> = State<'a, Desktop>;

#[tauri::command]
pub(crate) async fn start_state(app: App<'_>) -> Answer<StartView> {
    app.start_view().await
}

#[tauri::command]
pub(crate) async fn subscribe(app: App<'_>, window: WebviewWindow, channel: Channel<Vec<Event>>) -> Answer<()> {
    app.subscribe(window.label(), channel).await
}

#[tauri::command]
pub(crate) fn local_setup_defaults() -> SiteSetup {
    crate::local_network::site_setup(muster_noc::DEFAULT_PORT)
}

#[tauri::command]
pub(crate) async fn use_this_computer(app: App<'_>, setup: SiteSetup) -> Answer<()> {
    app.use_this_computer(setup).await
}

#[tauri::command]
pub(crate) async fn join_noc(app: App<'_>, invite: String) -> Answer<()> {
    app.join(&invite).await
}

#[tauri::command]
pub(crate) async fn discover(app: App<'_>) -> Answer<()> {
    told(app.engine().await?.discover().await)
}

#[tauri::command]
pub(crate) async fn stop_discovery(app: App<'_>) -> Answer<()> {
    told(app.engine().await?.stop_discovery().await)
}

#[tauri::command]
pub(crate) async fn applets(app: App<'_>, site: u32, language: String) -> Answer<Vec<AppletView>> {
    told(app.engine().await?.applets(site, &language).await)
}

#[tauri::command]
pub(crate) async fn check_application(
    app: App<'_>,
    site: u32,
    applet: String,
    values: serde_json::Value,
) -> Answer<ApplicationChecked> {
    told(app.engine().await?.check_application(site, &applet, &values).await)
}

#[tauri::command]
pub(crate) async fn applet_previews(app: App<'_>, language: String) -> Answer<Vec<AppletPreview>> {
    app.applet_previews(language).await
}

#[tauri::command]
pub(crate) async fn check_preview(
    app: App<'_>,
    applet: String,
    values: serde_json::Value,
) -> Answer<ApplicationChecked> {
    app.check_preview(applet, values).await
}

#[tauri::command]
pub(crate) async fn plan(app: App<'_>, site: u32, chosen: Vec<Chosen>) -> Answer<PlanView> {
    told(app.engine().await?.plan(site, chosen).await)
}

#[tauri::command]
pub(crate) async fn check(app: App<'_>, site: u32, rows: Vec<EditedRow>) -> Answer<Vec<CellError>> {
    told(app.engine().await?.check(site, rows).await)
}

#[tauri::command]
pub(crate) async fn configure(app: App<'_>, site: u32, rows: Vec<EditedRow>) -> Answer<u32> {
    told(app.engine().await?.configure(site, rows).await)
}

#[tauri::command]
pub(crate) async fn acknowledge(app: App<'_>, alert: u32, note: String) -> Answer<()> {
    told(app.engine().await?.acknowledge(alert, &note).await)
}

#[tauri::command]
pub(crate) async fn silence(app: App<'_>, alert: u32, seconds: u32) -> Answer<()> {
    told(app.engine().await?.silence(alert, seconds).await)
}

#[tauri::command]
pub(crate) async fn check_now(app: App<'_>, uid: String) -> Answer<CheckedView> {
    told(app.engine().await?.check_now(&uid).await)
}

#[tauri::command]
pub(crate) fn open_window(app: App<'_>, uid: Option<String>) {
    app.open_at(uid);
}

#[tauri::command]
pub(crate) fn close_summary(handle: AppHandle) {
    summary::close(&handle);
}

#[tauri::command]
pub(crate) async fn cancel_job(app: App<'_>, id: u32) -> Answer<()> {
    told(app.engine().await?.cancel_job(id).await)
}

#[tauri::command]
pub(crate) async fn retry_job(app: App<'_>, id: u32, uids: Vec<String>) -> Answer<()> {
    told(app.engine().await?.retry_job(id, uids).await)
}

#[tauri::command]
pub(crate) async fn export_job(app: App<'_>, id: u32) -> Answer<Option<String>> {
    app.export_job(id).await
}

#[tauri::command]
pub(crate) async fn beats(app: App<'_>, uid: String, since: u32) -> Answer<Vec<BeatView>> {
    told(app.engine().await?.beats(&uid, since).await)
}

#[tauri::command]
pub(crate) async fn import_manifest(app: App<'_>, csv: String) -> Answer<ImportReport> {
    app.import_manifest(csv).await
}

#[tauri::command]
pub(crate) async fn set_knobs(app: App<'_>, knobs: PracticeKnobs) -> Answer<()> {
    app.set_knobs(knobs).await
}

#[tauri::command]
pub(crate) async fn notification_settings(app: App<'_>) -> Answer<NotificationState> {
    Ok(app.notification_state().await)
}

#[tauri::command]
pub(crate) fn set_notification_settings(app: App<'_>, settings: NotificationSettings) -> Answer<()> {
    app.settings().set(settings).map_err(|error| error.problem())
}

#[tauri::command]
pub(crate) fn do_not_disturb(app: App<'_>, setting: DoNotDisturb) -> Answer<()> {
    app.settings().disturb(setting).map_err(|error| error.problem())
}

#[tauri::command]
pub(crate) async fn get_preference(app: App<'_>, key: String) -> Answer<Option<String>> {
    told(app.engine().await?.get_preference(&key).await)
}

#[tauri::command]
pub(crate) async fn set_preference(app: App<'_>, key: String, value: String) -> Answer<()> {
    told(app.engine().await?.set_preference(&key, &value).await)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// The texts between `before` and `after`, as `discover` in `invoke('discover'`.
    fn between<'a>(text: &'a str, before: &str, after: char) -> BTreeSet<&'a str> {
        text.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
    }

    #[test]
    fn handler_access_list_capability_and_window_name_the_same_commands() {
        let handled = between(include_str!("lib.rs"), "commands::", ',');
        assert!(handled.contains("discover") && handled.len() > 10, "{handled:?}");
        let listed: BTreeSet<&str> = include_str!("../build.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("    \"")?.strip_suffix("\","))
            .collect();
        assert_eq!(listed, handled, "build.rs");
        let capability = include_str!("../capabilities/main.json").replace('-', "_");
        assert_eq!(between(&capability, "\"allow_", '"'), handled, "capabilities/main.json");
        let asked = between(include_str!("../../ui/src/backend/desktop.ts"), "invoke('", '\'');
        assert_eq!(asked, handled, "ui/src/backend/desktop.ts");
        let summary = include_str!("../capabilities/summary.json").replace('-', "_");
        let summary = between(&summary, "\"allow_", '"');
        assert!(summary.is_subset(&handled) && !summary.contains("configure"), "capabilities/summary.json");
    }
}
