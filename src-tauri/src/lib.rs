//! The console's window, tray and notifications.
//!
//! # Map
//! - `options`: the command line. `desktop`: engine, local NOC and practice fleet, started and stopped together.
//! - `commands`: what the window may ask; `events`: what is pushed to it. `window`, `export`: the system's side of it.
//! - `applet_page`: the frames of applets' own pages. `summary`: the tray's pop-up.
//! - `watch`: tray and notifications while nobody looks; `tray`, `notify` and their files for each kind of system.
//! - `action`: what is asked for in tray and notifications; `settings`, `quiet`: which alerts are told, and when.
//! - `sleep`: that this computer slept, so that all that is known is old.
//! - `attention`: which alerts need somebody; `local_time`: what this computer's wall says.
//! - `texts`: every text outside the window.

#![forbid(unsafe_code)]

mod action;
mod applet_page;
mod attention;
mod commands;
mod desktop;
mod error;
mod events;
mod export;
mod local_network;
mod local_noc;
mod local_time;
mod notify;
mod options;
mod practice;
mod quiet;
mod settings;
mod sleep;
mod summary;
mod texts;
mod tray;
mod watch;
mod window;

pub use options::Options;

use anyhow::Context;
use desktop::Desktop;
use tauri::{AppHandle, Manager, RunEvent};
use tauri_plugin_window_state::StateFlags;

/// Runs the app until the administrator quits.
///
/// # Errors
/// When there is no display, or the window's system libraries do not work.
pub fn run(options: Options) -> anyhow::Result<()> {
    let instance = options.instance();
    let app = applet_page::register(tauri::Builder::default())
        // First, so that a second start ends before it touches anything.
        .plugin(
            tauri_plugin_single_instance::Builder::new()
                .callback(|app, _arguments, _folder| window::raise(app))
                .dbus_id(instance)
                .build(),
        )
        // Whether the window shows is for the command line and the tray to say.
        .plugin(
            tauri_plugin_window_state::Builder::new().with_state_flags(StateFlags::all() - StateFlags::VISIBLE).build(),
        )
        .plugin(tauri_plugin_dialog::init())
        .invoke_handler(tauri::generate_handler![
            commands::start_state,
            commands::subscribe,
            commands::local_setup_defaults,
            commands::use_this_computer,
            commands::join_noc,
            commands::discover,
            commands::stop_discovery,
            commands::plan,
            commands::applets,
            commands::check_application,
            commands::applet_previews,
            commands::check_preview,
            commands::check,
            commands::configure,
            commands::acknowledge,
            commands::cancel_job,
            commands::retry_job,
            commands::export_job,
            commands::beats,
            commands::import_manifest,
            commands::set_knobs,
            commands::silence,
            commands::check_now,
            commands::open_window,
            commands::close_summary,
            commands::notification_settings,
            commands::set_notification_settings,
            commands::do_not_disturb,
            commands::get_preference,
            commands::set_preference,
        ])
        .setup(move |app| {
            let folder = options.folder(&app.path().data_dir()?);
            app.manage(Desktop::new(app.handle().clone(), folder, &options));
            window::open(app.handle(), options.hidden)?;
            // Not only when the window asks: started into the tray, nobody asks.
            start(app.handle().clone());
            quit_on_signals(app.handle().clone());
            Ok(())
        })
        .build(tauri::generate_context!())
        .context("the window cannot be opened")?;
    app.run(|app, event| match event {
        // The last window closing is no reason to stop watching; `AppHandle::exit` is, and names a code.
        RunEvent::ExitRequested { api, code: None, .. } => api.prevent_exit(),
        RunEvent::Exit => tauri::async_runtime::block_on(app.state::<Desktop>().stop()),
        _ => {}
    });
    Ok(())
}

/// Unix seconds.
fn wall() -> u64 {
    muster_protocol::time::UnixTime::from_system(std::time::SystemTime::now()).0
}

fn start(app: AppHandle) {
    tauri::async_runtime::spawn(async move {
        if let Err(problem) = app.state::<Desktop>().engine().await {
            // The window shows it too, and how to go on.
            tracing::error!(code = problem.code, remedy = problem.remedy, "{}", problem.message);
        }
    });
}

/// The system ends the session, or somebody pressed Ctrl+C in the terminal: quit in good order.
#[cfg(unix)]
fn quit_on_signals(app: AppHandle) {
    use tokio::signal::unix::{SignalKind, signal};
    tauri::async_runtime::spawn(async move {
        let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        app.exit(0);
    });
}

/// Other systems send no such signals.
#[cfg(not(unix))]
fn quit_on_signals(_app: AppHandle) {}
