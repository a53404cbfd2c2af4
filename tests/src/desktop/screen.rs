//! A screen in memory.

use super::process::Started;
use super::x11;
use anyhow::Context;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// An X server without hardware.
#[derive(Debug)]
pub struct Screen {
    display: String,
    _server: Started,
}

impl Screen {
    /// Starts it on the first free display.
    pub async fn start() -> anyhow::Result<Self> {
        tokio::task::spawn_blocking(|| {
            let mut server = Started::new(
                Command::new("Xvfb")
                    .args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp", "-noreset"])
                    .stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null()),
            )?;
            // It writes the display's number once it accepts clients.
            let mut number = String::new();
            BufReader::new(server.stdout()?).read_line(&mut number).context("Xvfb names its display")?;
            let number: u32 = number.trim().parse().context("Xvfb did not start")?;
            Ok(Self { display: format!(":{number}"), _server: server })
        })
        .await?
    }

    /// `:N`.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// Saves what is on the screen as a PNG.
    pub async fn picture(&self, path: &Path) -> anyhow::Result<()> {
        let status = tokio::process::Command::new("import")
            .args(["-display", &self.display, "-window", "root"])
            .arg(path)
            .status()
            .await
            .context("ImageMagick's `import`")?;
        anyhow::ensure!(status.success(), "no picture of the screen: {status}");
        Ok(())
    }

    /// Whether a window with exactly this title is on the screen.
    pub async fn shows(&self, title: &str) -> anyhow::Result<bool> {
        Ok(self.window(title).await?.is_some())
    }

    /// Closes a window as its frame's button would: asks its program to.
    pub async fn close(&self, title: &str) -> anyhow::Result<()> {
        let window = self.window(title).await?.with_context(|| format!("no window `{title}` on the screen"))?;
        let socket = format!("/tmp/.X11-unix/X{}", self.display.trim_start_matches(':'));
        tokio::task::spawn_blocking(move || x11::ask_to_close(&socket, window)).await?
    }

    async fn window(&self, title: &str) -> anyhow::Result<Option<u32>> {
        let output = tokio::process::Command::new("xdotool")
            .args(["search", "--onlyvisible", "--name", &format!("^{title}$")])
            .env("DISPLAY", &self.display)
            .stderr(Stdio::null())
            .output()
            .await
            .context("xdotool")?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().next().map(|id| id.trim().parse().context("xdotool names windows by number")).transpose()
    }
}
