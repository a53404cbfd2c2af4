//! The window.

use crate::applet_page;
use crate::desktop::Desktop;
use crate::texts;
use tauri::{AppHandle, Manager, WebviewUrl, WebviewWindowBuilder, WindowEvent};

/// The label that `capabilities/main.json` names.
pub(crate) const MAIN: &str = "main";

/// In the locale `C` the web view calls its language `C`, which is none: every number format would throw.
pub(crate) const LANGUAGE: &str = "try { new Intl.Locale(navigator.language) } catch {
    Object.defineProperty(Navigator.prototype, 'language', { get: () => 'en-US' });
    Object.defineProperty(Navigator.prototype, 'languages', { get: () => ['en-US'] });
}";

/// Makes the window; `hidden` leaves it to the tray to show it.
pub(crate) fn open(app: &AppHandle, hidden: bool) -> tauri::Result<()> {
    let window = WebviewWindowBuilder::new(app, MAIN, WebviewUrl::default())
        .title(texts::APP)
        .inner_size(1280.0, 800.0)
        .min_inner_size(900.0, 600.0)
        .visible(!hidden)
        .initialization_script(LANGUAGE)
        // Also of frames: what an applet's page knows leaves by no address.
        .on_navigation(|url| applet_page::may_go(url.scheme(), url.host_str()))
        .build()?;
    let closing = window.clone();
    window.on_window_event(move |event| {
        let WindowEvent::CloseRequested { api, .. } = event else { return };
        api.prevent_close();
        if closing.state::<Desktop>().has_tray() {
            // Appliances are watched on without the window; the tray or a second start brings it back.
            if let Err(error) = closing.hide() {
                tracing::warn!(error = &error as &dyn std::error::Error, "the window does not hide");
            }
        } else {
            // Without a tray nobody could see that the app still runs, nor end it.
            closing.app_handle().exit(0);
        }
    });
    Ok(())
}

/// Brings the window to the front.
pub(crate) fn raise(app: &AppHandle) {
    let Some(window) = app.get_webview_window(MAIN) else { return };
    let raised = window.show().and_then(|()| window.unminimize()).and_then(|()| window.set_focus());
    if let Err(error) = raised {
        tracing::warn!(error = &error as &dyn std::error::Error, "the window does not come to the front");
    }
}
