//! The tray on Windows and macOS, by Tauri's own icon.

use super::{IconSize, TrayView};
use crate::action::Action;
use crate::texts;
use tauri::menu::{Menu, MenuItem, PredefinedMenuItem};
use tauri::tray::{MouseButton, MouseButtonState, TrayIcon, TrayIconBuilder, TrayIconEvent};
use tokio::sync::mpsc;

/// The tray icon; it goes when this is dropped.
pub(crate) struct Tray {
    icon: TrayIcon,
    status: MenuItem<tauri::Wry>,
    alerts: MenuItem<tauri::Wry>,
}

impl Tray {
    /// Shows the icon. What the administrator chooses arrives at `chosen`.
    ///
    /// # Errors
    /// When the system has no place for it.
    #[expect(clippy::unused_async, reason = "other systems wait for their tray")]
    pub(crate) async fn start(
        app: &tauri::AppHandle,
        state: TrayView,
        chosen: mpsc::UnboundedSender<Action>,
    ) -> tauri::Result<Self> {
        let status = MenuItem::with_id(app, "status", texts::tray(&state), false, None::<&str>)?;
        let open = MenuItem::with_id(app, "open", texts::OPEN, true, None::<&str>)?;
        let discover = MenuItem::with_id(app, "discover", texts::DISCOVER, true, None::<&str>)?;
        let alerts = MenuItem::with_id(app, "alerts", texts::alerts_item(state.counts.failing), true, None::<&str>)?;
        let quit = MenuItem::with_id(app, "quit", texts::QUIT, true, None::<&str>)?;
        let line = PredefinedMenuItem::separator(app)?;
        let menu = Menu::with_items(app, &[&status, &line, &open, &discover, &alerts, &line, &quit])?;

        let clicked = chosen.clone();
        let icon = TrayIconBuilder::new()
            .icon(state.icon(IconSize::Medium)?)
            .tooltip(texts::tray(&state))
            .menu(&menu)
            .show_menu_on_left_click(false)
            .on_menu_event(move |_, event| {
                let action = match event.id().as_ref() {
                    "open" => Action::Open,
                    "discover" => Action::Discover,
                    "alerts" => Action::Show(None),
                    "quit" => Action::Quit,
                    _ => return,
                };
                // Nobody listens only while the app ends.
                let _ = chosen.send(action);
            })
            .on_tray_icon_event(move |_, event| {
                let up = MouseButtonState::Up;
                if let TrayIconEvent::Click { button: MouseButton::Left, button_state, position, .. } = event
                    && button_state == up
                {
                    let position = position.cast::<i32>();
                    let _ = clicked.send(Action::Summary(position.x, position.y));
                }
            })
            .build(app)?;
        Ok(Self { icon, status, alerts })
    }

    /// Whether the icon is shown: these systems always have a place for it.
    #[expect(clippy::unused_self, reason = "other systems have to look")]
    pub(crate) fn is_visible(&self) -> bool {
        true
    }

    /// Shows another state.
    #[expect(clippy::unused_async, reason = "other systems wait for their tray")]
    pub(crate) async fn show(&self, state: TrayView) {
        let shown = state
            .icon(IconSize::Medium)
            .and_then(|image| self.icon.set_icon(Some(image)))
            .and_then(|()| self.icon.set_tooltip(Some(texts::tray(&state))))
            .and_then(|()| self.status.set_text(texts::tray(&state)))
            .and_then(|()| self.alerts.set_text(texts::alerts_item(state.counts.failing)));
        if let Err(error) = shown {
            tracing::warn!(error = &error as &dyn std::error::Error, "the tray icon does not change");
        }
    }
}
