//! Names the commands of the window for Tauri's access control, and rebuilds when the window's contents change.

/// Every command of `src/commands.rs`. A command that is missing here cannot be allowed by a capability.
const COMMANDS: &[&str] = &[
    "start_state",
    "subscribe",
    "local_setup_defaults",
    "use_this_computer",
    "join_noc",
    "discover",
    "stop_discovery",
    "plan",
    "applets",
    "check_application",
    "applet_previews",
    "check_preview",
    "check",
    "configure",
    "cancel_job",
    "retry_job",
    "export_job",
    "beats",
    "import_manifest",
    "acknowledge",
    "set_knobs",
    "silence",
    "check_now",
    "open_window",
    "close_summary",
    "notification_settings",
    "set_notification_settings",
    "do_not_disturb",
    "get_preference",
    "set_preference",
];

fn main() {
    // The assets are compiled in by a macro, whose inputs cargo does not know of.
    println!("cargo:rerun-if-changed=../ui/dist");
    println!("cargo:rerun-if-changed=../icons");
    let attributes = tauri_build::Attributes::new().app_manifest(tauri_build::AppManifest::new().commands(COMMANDS));
    tauri_build::try_build(attributes).expect("tauri.conf.json and capabilities/ describe this app");
}
