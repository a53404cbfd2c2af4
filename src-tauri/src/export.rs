//! Saving a file where the administrator wants it.

use crate::error::ExportError;
use std::path::PathBuf;
use tauri::AppHandle;
use tauri_plugin_dialog::DialogExt;
use tokio::sync::oneshot;

/// Asks where to save; the path, or `None` when the administrator changed their mind.
/// With `MUSTER_EXPORT_DIR` set it asks nobody and saves there: on a kiosk, or in a test.
pub(crate) async fn save(app: &AppHandle, name: &str, contents: String) -> Result<Option<String>, ExportError> {
    let path = match std::env::var_os("MUSTER_EXPORT_DIR") {
        Some(folder) => Some(PathBuf::from(folder).join(name)),
        None => ask(app, name).await,
    };
    let Some(path) = path else { return Ok(None) };
    match tokio::fs::write(&path, contents).await {
        Ok(()) => Ok(Some(path.display().to_string())),
        Err(source) => Err(ExportError { path, source }),
    }
}

async fn ask(app: &AppHandle, name: &str) -> Option<PathBuf> {
    let (answer, answered) = oneshot::channel();
    app.dialog().file().set_file_name(name).add_filter("CSV", &["csv"]).save_file(move |path| {
        // Nobody waits any more only when the app ends.
        let _ = answer.send(path);
    });
    answered.await.ok().flatten()?.into_path().ok()
}
