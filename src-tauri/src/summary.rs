//! The tray's pop-up: a small window of its own, beside the icon that was clicked.

use crate::window::LANGUAGE;
use tauri::{AppHandle, LogicalSize, Manager, PhysicalPosition, WebviewUrl, WebviewWindow, WebviewWindowBuilder};
use tauri::{PhysicalSize, WindowEvent};

/// The label that `capabilities/summary.json` names.
pub(crate) const SUMMARY: &str = "summary";
/// Its title, by which it is not the window.
const TITLE: &str = "Muster summary";
/// In logical pixels.
const SIZE: LogicalSize<f64> = LogicalSize { width: 420.0, height: 520.0 };
/// Between the pointer and the pop-up.
const GAP: i32 = 8;

/// Shows the pop-up beside a point of the screen, or hides it if it is shown.
///
/// # Errors
/// When the system makes no window.
pub(crate) fn toggle(app: &AppHandle, x: i32, y: i32) -> tauri::Result<()> {
    let window = match app.get_webview_window(SUMMARY) {
        Some(window) if window.is_visible()? => return window.hide(),
        Some(window) => window,
        None => build(app)?,
    };
    place(&window, x, y)?;
    window.show()?;
    window.set_focus()
}

/// Hides it.
pub(crate) fn close(app: &AppHandle) {
    let hidden = app.get_webview_window(SUMMARY).map(|window| window.hide());
    if let Some(Err(error)) = hidden {
        tracing::warn!(error = &error as &dyn std::error::Error, "the pop-up does not close");
    }
}

fn build(app: &AppHandle) -> tauri::Result<WebviewWindow> {
    let window = WebviewWindowBuilder::new(app, SUMMARY, WebviewUrl::App("index.html#/summary".into()))
        .title(TITLE)
        .inner_size(SIZE.width, SIZE.height)
        .resizable(false)
        .decorations(false)
        .skip_taskbar(true)
        .always_on_top(true)
        .visible(false)
        .initialization_script(LANGUAGE)
        .build()?;
    let closing = window.clone();
    window.on_window_event(move |event| {
        let hides = match event {
            WindowEvent::Focused(false) => true,
            WindowEvent::CloseRequested { api, .. } => {
                api.prevent_close();
                true
            }
            _ => false,
        };
        if hides && let Err(error) = closing.hide() {
            tracing::warn!(error = &error as &dyn std::error::Error, "the pop-up does not close");
        }
    });
    Ok(window)
}

/// Moves it beside the pointer, wholly onto that screen. Under Wayland the compositor places windows, and this does nothing.
fn place(window: &WebviewWindow, x: i32, y: i32) -> tauri::Result<()> {
    // Some panels do not say where they were clicked.
    let pointer = if (x, y) == (0, 0) { window.cursor_position().unwrap_or_default() } else { (x, y).into() };
    let monitor = window.monitor_from_point(pointer.x, pointer.y)?.or(window.primary_monitor()?);
    let Some(monitor) = monitor else { return Ok(()) };
    let size = SIZE.to_physical(monitor.scale_factor());
    window.set_position(beside(pointer.cast(), size, *monitor.position(), *monitor.size()))
}

/// Where it covers neither the pointer nor the edge of the screen.
fn beside(
    pointer: PhysicalPosition<i32>,
    size: PhysicalSize<i32>,
    origin: PhysicalPosition<i32>,
    screen: PhysicalSize<u32>,
) -> PhysicalPosition<i32> {
    let extent = |length: u32| i32::try_from(length).unwrap_or(i32::MAX);
    let (right, bottom) = (origin.x + extent(screen.width), origin.y + extent(screen.height));
    let y = if pointer.y + GAP + size.height <= bottom { pointer.y + GAP } else { pointer.y - GAP - size.height };
    let x = pointer.x - size.width / 2;
    PhysicalPosition {
        x: x.min(right - size.width - GAP).max(origin.x + GAP),
        y: y.min(bottom - size.height).max(origin.y),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_wholly_on_the_screen_that_was_clicked_on() {
        let (size, screen) = (PhysicalSize::new(420, 520), PhysicalSize::new(1920_u32, 1080));
        let at = |x, y, left| beside((x, y).into(), size, (left, 0).into(), screen);
        assert_eq!(at(1_000, 12, 0), (790, 20).into(), "below a panel at the top");
        assert_eq!(at(1_910, 1_070, 0), (1_492, 542).into(), "above a panel at the bottom, in the corner");
        assert_eq!(at(1_925, 1_070, 1_920), (1_928, 542).into(), "on the second screen");
        let small = beside((10, 10).into(), size, (0, 0).into(), PhysicalSize::new(300_u32, 200));
        assert_eq!((small.x, small.y), (8, 0), "on a screen that is too small its head is there");
    }
}
