//! A session bus of the test's own, with what a desktop offers there: a place for tray icons and a service for
//! notifications. Both write down what they are asked.

use super::PATIENCE;
use super::process::Started;
use anyhow::Context;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::sync::watch;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{OwnedValue, Value};

/// The bus.
#[derive(Debug)]
pub struct Bus {
    address: String,
    _daemon: Started,
}

impl Bus {
    /// Starts it.
    pub async fn start() -> anyhow::Result<Self> {
        tokio::task::spawn_blocking(|| {
            let mut daemon = Started::new(
                Command::new("dbus-daemon")
                    .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
                    .stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null()),
            )?;
            let mut address = String::new();
            BufReader::new(daemon.stdout()?).read_line(&mut address).context("dbus-daemon names its address")?;
            anyhow::ensure!(!address.trim().is_empty(), "dbus-daemon did not start");
            Ok(Self { address: address.trim().to_owned(), _daemon: daemon })
        })
        .await?
    }

    /// What `DBUS_SESSION_BUS_ADDRESS` holds.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Puts a tray and a notification service on the bus.
    pub async fn services(&self) -> anyhow::Result<SessionServices> {
        let notifications = watch::Sender::new(Vec::new());
        let items = watch::Sender::new(Vec::new());
        let connection = zbus::connection::Builder::address(self.address.as_str())?
            .serve_at("/org/freedesktop/Notifications", NotificationService { shown: notifications.clone() })?
            .serve_at("/StatusNotifierWatcher", TrayService { items: items.clone() })?
            .name("org.freedesktop.Notifications")?
            .name("org.kde.StatusNotifierWatcher")?
            .build()
            .await
            .context("the desktop's services on the bus")?;
        Ok(SessionServices { connection, notifications, items })
    }
}

/// The desktop's side of tray and notifications.
#[derive(Debug)]
pub struct SessionServices {
    connection: zbus::Connection,
    notifications: watch::Sender<Vec<Notification>>,
    items: watch::Sender<Vec<String>>,
}

/// A notification that a program showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Its number.
    pub id: u32,
    /// The program.
    pub app: String,
    /// First line.
    pub title: String,
    /// The rest.
    pub body: String,
    /// What can be clicked: key and label in turn.
    pub actions: Vec<String>,
    /// Whether the program took it off the screen again.
    pub withdrawn: bool,
}

/// An entry of the tray's menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MenuEntry {
    /// Its number, for clicking.
    pub id: i32,
    /// Its text, behind those of the menus that it is in (`menu > entry`); empty for a line.
    pub label: String,
    /// Whether it can be clicked.
    pub enabled: bool,
}

impl SessionServices {
    /// What has been shown so far.
    pub fn notifications(&self) -> Vec<Notification> {
        self.notifications.borrow().clone()
    }

    /// Waits for a notification whose title `wanted` accepts, among all that were shown.
    pub async fn notification(
        &self,
        wanted: impl Fn(&str) -> bool,
        patience: Duration,
    ) -> anyhow::Result<Notification> {
        let mut shown = self.notifications.subscribe();
        let found = tokio::time::timeout(
            patience,
            shown.wait_for(|shown| shown.iter().any(|notification| wanted(&notification.title))),
        )
        .await
        .with_context(|| format!("no such notification; these were shown: {:?}", self.notifications()))??
        .iter()
        .find(|notification| wanted(&notification.title))
        .cloned();
        found.context("the notification that was just there")
    }

    /// Clicks on a notification, as the administrator would.
    pub async fn click(&self, notification: &Notification) -> anyhow::Result<()> {
        self.press(notification, "default").await
    }

    /// Presses a button of a notification.
    pub async fn press(&self, notification: &Notification, key: &str) -> anyhow::Result<()> {
        anyhow::ensure!(notification.actions.iter().step_by(2).any(|action| action == key), "no button `{key}`");
        let path = "/org/freedesktop/Notifications";
        let emitter = SignalEmitter::new(&self.connection, path)?;
        NotificationService::action_invoked(&emitter, notification.id, key).await?;
        NotificationService::notification_closed(&emitter, notification.id, 2).await?;
        Ok(())
    }

    /// Waits for the tray icon of the app's first, second, ... start on this bus; its name there.
    pub async fn tray_item(&self, start: usize) -> anyhow::Result<String> {
        let mut items = self.items.subscribe();
        let item = tokio::time::timeout(PATIENCE, items.wait_for(|items| items.len() >= start))
            .await
            .context("no tray icon was registered")??
            .get(start - 1)
            .cloned();
        item.context("the tray icon that was just there")
    }

    /// The tray icon's title.
    pub async fn tray_title(&self, item: &str) -> anyhow::Result<String> {
        let proxy =
            zbus::Proxy::new(&self.connection, item.to_owned(), "/StatusNotifierItem", "org.kde.StatusNotifierItem")
                .await?;
        Ok(proxy.get_property("Title").await?)
    }

    /// Clicks the tray icon itself.
    pub async fn activate_tray(&self, item: &str) -> anyhow::Result<()> {
        let path = "/StatusNotifierItem";
        let interface = Some("org.kde.StatusNotifierItem");
        self.connection.call_method(Some(item), path, interface, "Activate", &(1, 1)).await?;
        Ok(())
    }

    /// The entries of the tray's menu.
    pub async fn tray_menu(&self, item: &str) -> anyhow::Result<Vec<MenuEntry>> {
        type Layout = (i32, HashMap<String, OwnedValue>, Vec<OwnedValue>);
        let menu = self.menu_path(item).await?;
        let reply = self
            .connection
            .call_method(
                Some(item),
                menu.as_str(),
                Some("com.canonical.dbusmenu"),
                "GetLayout",
                &(0, -1, Vec::<&str>::new()),
            )
            .await?;
        let (_revision, (_, _, children)): (u32, Layout) = reply.body().deserialize()?;
        let mut entries = Vec::new();
        let mut waiting: Vec<(String, OwnedValue)> =
            children.into_iter().rev().map(|child| (String::new(), child)).collect();
        while let Some((way, child)) = waiting.pop() {
            let (id, properties, children): Layout = Value::from(child).try_into()?;
            let text = |key: &str| properties.get(key).and_then(|value| value.downcast_ref::<String>().ok());
            let enabled = properties.get("enabled").and_then(|value| value.downcast_ref::<bool>().ok()).unwrap_or(true);
            let label = format!("{way}{}", text("label").unwrap_or_default());
            waiting.extend(children.into_iter().rev().map(|child| (format!("{label} > "), child)));
            entries.push(MenuEntry { id, label, enabled });
        }
        Ok(entries)
    }

    /// Chooses an entry of the tray's menu by its text.
    pub async fn choose(&self, item: &str, label: &str) -> anyhow::Result<()> {
        self.choose_which(item, label, |entry| entry == label).await
    }

    /// Chooses the first entry of the tray's menu whose text `wanted` accepts.
    pub async fn choose_which(&self, item: &str, label: &str, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        let entries = self.tray_menu(item).await?;
        let entry = entries.iter().find(|entry| wanted(&entry.label));
        let entry = entry.with_context(|| format!("no `{label}` in the tray's menu: {entries:?}"))?;
        let menu = self.menu_path(item).await?;
        let interface = Some("com.canonical.dbusmenu");
        let arguments = (entry.id, "clicked", Value::from(0_i32), 0_u32);
        self.connection.call_method(Some(item), menu.as_str(), interface, "Event", &arguments).await?;
        Ok(())
    }

    async fn menu_path(&self, item: &str) -> anyhow::Result<zbus::zvariant::OwnedObjectPath> {
        let proxy =
            zbus::Proxy::new(&self.connection, item.to_owned(), "/StatusNotifierItem", "org.kde.StatusNotifierItem")
                .await?;
        Ok(proxy.get_property("Menu").await?)
    }
}

struct NotificationService {
    shown: watch::Sender<Vec<Notification>>,
}

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl NotificationService {
    #[expect(clippy::too_many_arguments, reason = "the specification has as many")]
    fn notify(
        &self,
        app_name: String,
        _replaces_id: u32,
        _app_icon: String,
        summary: String,
        body: String,
        actions: Vec<String>,
        _hints: HashMap<String, OwnedValue>,
        _expire_timeout: i32,
    ) -> u32 {
        let mut id = 0;
        self.shown.send_modify(|shown| {
            id = u32::try_from(shown.len()).unwrap_or(u32::MAX - 1) + 1;
            shown.push(Notification { id, app: app_name, title: summary, body, actions, withdrawn: false });
        });
        id
    }

    fn close_notification(&self, id: u32) {
        self.shown.send_modify(|shown| {
            shown.iter_mut().filter(|one| one.id == id).for_each(|one| one.withdrawn = true);
        });
    }

    fn get_capabilities(&self) -> Vec<String> {
        vec!["actions".to_owned(), "body".to_owned()]
    }

    fn get_server_information(&self) -> (String, String, String, String) {
        ("recorder".to_owned(), "muster".to_owned(), "1".to_owned(), "1.2".to_owned())
    }

    #[zbus(signal)]
    async fn action_invoked(emitter: &SignalEmitter<'_>, id: u32, action_key: &str) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn notification_closed(emitter: &SignalEmitter<'_>, id: u32, reason: u32) -> zbus::Result<()>;
}

struct TrayService {
    items: watch::Sender<Vec<String>>,
}

#[zbus::interface(name = "org.kde.StatusNotifierWatcher")]
impl TrayService {
    fn register_status_notifier_item(&self, service: String, #[zbus(header)] header: zbus::message::Header<'_>) {
        // A path stands for an object of whoever calls.
        let item = match (service.starts_with('/'), header.sender()) {
            (true, Some(sender)) => sender.to_string(),
            _ => service,
        };
        self.items.send_modify(|items| items.push(item));
    }

    fn register_status_notifier_host(&self, _service: String) {}

    #[zbus(property)]
    fn registered_status_notifier_items(&self) -> Vec<String> {
        self.items.borrow().clone()
    }

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn protocol_version(&self) -> i32 {
        0
    }
}
