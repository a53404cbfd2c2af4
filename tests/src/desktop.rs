//! A desktop of the test's own: a virtual screen, a session bus with a tray and a notification service, and the real
//! app on it, steered through WebDriver.
//!
//! Everything that this starts is ended by its process id when the [`Desktop`] goes, also when a test fails.

mod alone;
mod app;
mod bus;
mod process;
mod screen;
mod x11;

pub use alone::alone;
pub use app::{App, Launch, eventually};
pub use bus::{Bus, MenuEntry, Notification, SessionServices};
pub use process::{Started, alive};
pub use screen::Screen;

use anyhow::Context;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long anything may take that is not the work under test itself. Generous: a slow machine is no failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One user's desktop, with an empty home.
#[derive(Debug)]
pub struct Desktop {
    /// The screen.
    pub screen: Screen,
    /// The session bus.
    pub bus: Bus,
    home: tempfile::TempDir,
}

impl Desktop {
    /// Starts a screen and a session bus.
    pub async fn start() -> anyhow::Result<Self> {
        // Whatever TLS the test's HTTP client was built with, it is never used: WebDriver is on loopback.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let home = tempfile::tempdir().context("a home for the app")?;
        Ok(Self { screen: Screen::start().await?, bus: Bus::start().await?, home })
    }

    /// Where the app keeps its data.
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Where the app saves what it exports.
    pub fn exports(&self) -> PathBuf {
        self.home.path().join("exports")
    }

    /// The environment of this user's programs.
    pub fn environment(&self) -> Vec<(&'static str, std::ffi::OsString)> {
        let folder = |name: &str| {
            let path = self.home.path().join(name);
            // A missing folder shows in the app, where the test sees it.
            let _ = std::fs::create_dir_all(&path);
            path.into_os_string()
        };
        let mut environment = vec![
            ("DISPLAY", self.screen.display().into()),
            ("DBUS_SESSION_BUS_ADDRESS", self.bus.address().into()),
            ("HOME", self.home.path().into()),
            ("XDG_DATA_HOME", folder("data")),
            ("XDG_CONFIG_HOME", folder("config")),
            ("XDG_CACHE_HOME", folder("cache")),
            ("XDG_RUNTIME_DIR", folder("run")),
            ("MUSTER_EXPORT_DIR", folder("exports")),
            // The screen has no graphics card.
            ("WEBKIT_DISABLE_DMABUF_RENDERER", "1".into()),
            ("LIBGL_ALWAYS_SOFTWARE", "1".into()),
            ("GDK_BACKEND", "x11".into()),
            ("NO_AT_BRIDGE", "1".into()),
        ];
        if let Some(log) = std::env::var_os("RUST_LOG") {
            environment.push(("RUST_LOG", log));
        }
        environment
    }

    /// Saves a picture of the screen as `tests/artifacts/NAME.png`.
    pub async fn picture(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts");
        std::fs::create_dir_all(&folder).context("tests/artifacts")?;
        let path = folder.join(format!("{name}.png"));
        self.screen.picture(&path).await?;
        Ok(path)
    }

    /// Passes an outcome on; a failure leaves a picture of the screen as `tests/artifacts/failed.png`.
    pub async fn or_picture<T>(&self, outcome: anyhow::Result<T>) -> anyhow::Result<T> {
        if outcome.is_err() {
            // What failed matters more than that its picture failed, too.
            let _ = self.picture("failed").await;
        }
        outcome
    }
}
