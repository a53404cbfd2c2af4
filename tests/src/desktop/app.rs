//! The real app under WebDriver.

use super::process::{Started, alive};
use super::{Desktop, PATIENCE};
use crate::process::program;
use anyhow::Context;
use serde_json::json;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use thirtyfour::prelude::*;

/// How often a condition is looked at while waiting for it.
const GLANCE: Duration = Duration::from_millis(100);

/// How to start the app.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// Arguments.
    pub arguments: Vec<String>,
    /// More environment.
    pub environment: Vec<(&'static str, String)>,
}

/// The app, its window open.
#[derive(Debug)]
pub struct App {
    /// The window's contents.
    pub window: WebDriver,
    driver: Started,
}

impl App {
    /// Starts the app and waits for its window.
    pub async fn start(desktop: &Desktop, launch: &Launch) -> anyhow::Result<Self> {
        let app = program("muster-desktop");
        let (port, native_port) = free_ports()?;
        let driver = Started::new(
            Command::new("tauri-driver")
                .args(["--port", &port.to_string(), "--native-port", &native_port.to_string()])
                .envs(desktop.environment())
                .envs(launch.environment.iter().map(|(name, value)| (name, value)))
                .stdin(Stdio::null())
                .stdout(Stdio::null()),
        )
        .context("tauri-driver")?;
        let url = format!("http://127.0.0.1:{port}");
        eventually("tauri-driver listens", || async {
            Ok(tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok()
                && tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, native_port)).await.is_ok())
        })
        .await?;
        let mut capabilities = Capabilities::new();
        capabilities.set("browserName", "wry")?;
        capabilities.set("tauri:options", json!({ "application": app, "args": launch.arguments }))?;
        let window = WebDriver::new(url, capabilities).await.context("a WebDriver session with the app")?;
        Ok(Self { window, driver })
    }

    /// The app's processes: the app itself, the fleet, the web view's.
    pub fn processes(&self) -> Vec<i32> {
        self.driver.descendants()
    }

    /// The process of this name.
    pub fn process(&self, name: &str) -> anyhow::Result<i32> {
        let named = |id: &i32| {
            let command = std::fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
            // The kernel keeps the first 15 bytes.
            command.trim_end() == &name[..name.len().min(15)]
        };
        self.processes().into_iter().find(named).with_context(|| format!("no process `{name}`"))
    }

    /// Waits for the element of this test id, visible.
    pub async fn find(&self, test_id: &str) -> anyhow::Result<WebElement> {
        self.find_css(&css(test_id)).await
    }

    /// Waits for a visible element by CSS selector.
    pub async fn find_css(&self, selector: &str) -> anyhow::Result<WebElement> {
        let query = self.window.query(By::Css(selector)).wait(PATIENCE, GLANCE).and_displayed();
        query.first().await.with_context(|| format!("no `{selector}` in the window"))
    }

    /// Waits for the element of this test id, and until it can be clicked, and clicks it.
    pub async fn click(&self, test_id: &str) -> anyhow::Result<()> {
        self.click_css(&css(test_id)).await
    }

    /// Waits for an element by CSS selector, and until it takes a click.
    pub async fn click_css(&self, selector: &str) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let query = self.window.query(By::Css(selector)).wait(PATIENCE, GLANCE).and_enabled();
            let element = query.first().await.with_context(|| format!("no `{selector}` to click in the window"))?;
            let clicked = match element.scroll_into_view().await {
                Ok(_) => element.click().await,
                Err(error) => Err(error),
            };
            match clicked {
                Ok(()) => return Ok(()),
                // Something passes over it, as a toast does, or it was drawn anew: a person would click again.
                Err(error) if start.elapsed() > PATIENCE => {
                    return Err(error).with_context(|| format!("`{selector}` takes no click"));
                }
                Err(_) => tokio::time::sleep(GLANCE).await,
            }
        }
    }

    /// Replaces what is in a field, as a person would: selects all and types.
    pub async fn fill(&self, test_id: &str, text: &str) -> anyhow::Result<()> {
        let field = self.find(test_id).await?;
        field.click().await?;
        field.send_keys(Key::Control + "a").await?;
        field.send_keys(text).await.with_context(|| format!("`{test_id}` takes no text"))
    }

    /// The element's text; empty when there is none.
    pub async fn text(&self, test_id: &str) -> anyhow::Result<String> {
        let found = self.window.find_all(By::Css(css(test_id))).await?;
        match found.first() {
            // The text also of what is scrolled away.
            Some(element) => Ok(element.prop("textContent").await?.unwrap_or_default().trim().to_owned()),
            None => Ok(String::new()),
        }
    }

    /// Waits until the element's text holds this number, whatever words are around it.
    pub async fn number(&self, test_id: &str, wanted: usize, patience: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let text = self.text(test_id).await.unwrap_or_default();
            if first_number(&text) == Some(wanted) {
                return Ok(());
            }
            anyhow::ensure!(
                start.elapsed() < patience,
                "`{test_id}` says `{text}` and not {wanted} after {patience:?}"
            );
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Waits until the app and all that it started have ended.
    pub async fn ended(&self, processes: &[i32]) -> anyhow::Result<()> {
        eventually("the app and its fleet end", || async { Ok(!processes.iter().any(|id| alive(*id))) }).await
    }
}

fn css(test_id: &str) -> String {
    format!("[data-testid='{test_id}']")
}

/// Looks until `holds`, for as long as [`PATIENCE`].
pub async fn eventually<F: Future<Output = anyhow::Result<bool>>>(
    what: &str,
    holds: impl Fn() -> F,
) -> anyhow::Result<()> {
    let start = Instant::now();
    while !holds().await? {
        anyhow::ensure!(start.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(GLANCE).await;
    }
    Ok(())
}

/// `24 configured`, `Configured: 24` and `24` are all 24.
fn first_number(text: &str) -> Option<usize> {
    let digits = text
        .split(|c: char| !c.is_ascii_digit() && c != ',')
        .find(|part| part.contains(|c: char| c.is_ascii_digit()))?;
    digits.replace(',', "").parse().ok()
}

fn free_ports() -> anyhow::Result<(u16, u16)> {
    let (one, two) = (TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
    Ok((one.local_addr()?.port(), two.local_addr()?.port()))
}
