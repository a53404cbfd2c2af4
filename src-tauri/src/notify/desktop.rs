//! Showing notifications: `org.freedesktop.Notifications` on the session bus, spoken directly so that clicks come back.
//!
//! A system without that bus or without a notification service only gets a line in the log. Another way of showing
//! notifications, as a port needs, replaces this file.

use super::Notification;
use crate::texts;
use futures_util::StreamExt;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};
use zbus::zvariant::Value;

/// What a click on a notification opens, by its number, which only grows. That one was closed is no reason to forget
/// it: many desktops close a notification because it was clicked.
type Shown = BTreeMap<u32, Option<String>>;
/// Nobody clicks on anything older.
const MOST_SHOWN: usize = 100;

/// The desktop's notification service.
#[derive(Debug)]
pub(crate) struct NotificationService {
    clicked: mpsc::UnboundedSender<Option<String>>,
    session: Option<Session>,
}

#[derive(Debug)]
struct Session {
    proxy: NotificationsProxy<'static>,
    /// Whether the service takes `<` in a body for the beginning of a tag (capability `body-markup`).
    reads_markup: bool,
    shown: Arc<Mutex<Shown>>,
    _listener: DropGuard,
}

impl NotificationService {
    /// A click sends the appliance to open, or `None` for the alerts, to `clicked`.
    pub(crate) fn new(clicked: mpsc::UnboundedSender<Option<String>>) -> Self {
        Self { clicked, session: None }
    }

    /// Shows a notification. Never fails: what cannot be shown is in the log and in the window.
    pub(crate) async fn show(&mut self, notification: &Notification) {
        tracing::info!(title = notification.title, "notification");
        if let Err(error) = self.try_show(notification).await {
            // The service may be a new one next time.
            self.session = None;
            tracing::warn!(error = &error as &dyn std::error::Error, "the desktop shows no notification");
        }
    }

    async fn try_show(&mut self, notification: &Notification) -> zbus::Result<()> {
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(Session::open(self.clicked.clone()).await?),
        };
        let mut hints = HashMap::new();
        hints.insert("urgency", Value::U8(if notification.bad { 2 } else { 1 }));
        hints.insert("category", Value::from(if notification.bad { "device.error" } else { "device" }));
        hints.insert("desktop-entry", Value::from("muster"));
        if let Some(image) = image() {
            hints.insert("image-data", image);
        }
        // Until the number is known: a click may come before it.
        let mut shown = session.shown.lock().await;
        let body = if session.reads_markup { escaped(&notification.body) } else { notification.body.clone() };
        let id = session
            .proxy
            .notify(texts::APP, 0, "", &notification.title, &body, &["default", texts::SHOW], &hints, -1)
            .await?;
        shown.insert(id, notification.uid.clone());
        while shown.len() > MOST_SHOWN {
            shown.pop_first();
        }
        Ok(())
    }
}

impl Session {
    async fn open(clicked: mpsc::UnboundedSender<Option<String>>) -> zbus::Result<Self> {
        let connection = zbus::Connection::session().await?;
        let proxy = NotificationsProxy::new(&connection).await?;
        // A service that does not say is taken for one that does.
        let capabilities = proxy.get_capabilities().await;
        let reads_markup = capabilities.map_or(true, |all| all.iter().any(|capability| capability == "body-markup"));
        let invoked = proxy.receive_action_invoked().await?;
        let shown = Arc::new(Mutex::new(Shown::new()));
        let listener = CancellationToken::new();
        tokio::spawn(listener.clone().run_until_cancelled_owned(listen(invoked, Arc::clone(&shown), clicked)));
        Ok(Self { proxy, reads_markup, shown, _listener: listener.drop_guard() })
    }
}

async fn listen(
    mut invoked: ActionInvokedStream,
    shown: Arc<Mutex<Shown>>,
    clicked: mpsc::UnboundedSender<Option<String>>,
) {
    while let Some(signal) = invoked.next().await {
        let Ok(arguments) = signal.args() else { continue };
        // Other programs' notifications are signalled too.
        if let Some(target) = shown.lock().await.get(&arguments.id).cloned() {
            // Nobody listens only while the app ends.
            let _ = clicked.send(target);
        }
    }
}

/// A text for a body in markup: names come from elsewhere, and a link in one would be ours.
fn escaped(text: &str) -> String {
    let mut body = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => body.push_str("&amp;"),
            '<' => body.push_str("&lt;"),
            '>' => body.push_str("&gt;"),
            c => body.push(c),
        }
    }
    body
}

/// The app's picture in the form of the hint `image-data`.
fn image() -> Option<Value<'static>> {
    let image = tauri::image::Image::from_bytes(include_bytes!("../../../icons/muster-64.png")).ok()?;
    let (width, height) = (i32::try_from(image.width()).ok()?, i32::try_from(image.height()).ok()?);
    Some(Value::from((width, height, width * 4, true, 8, 4, image.rgba().to_vec())))
}

#[zbus::proxy(
    interface = "org.freedesktop.Notifications",
    default_service = "org.freedesktop.Notifications",
    default_path = "/org/freedesktop/Notifications"
)]
trait Notifications {
    fn get_capabilities(&self) -> zbus::Result<Vec<String>>;

    #[expect(clippy::too_many_arguments, reason = "the specification has as many")]
    fn notify(
        &self,
        app_name: &str,
        replaces_id: u32,
        app_icon: &str,
        summary: &str,
        body: &str,
        actions: &[&str],
        hints: &HashMap<&str, Value<'_>>,
        expire_timeout: i32,
    ) -> zbus::Result<u32>;

    #[zbus(signal)]
    fn action_invoked(&self, id: u32, action_key: &str) -> zbus::Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_markup_in_a_notification() {
        assert_eq!(
            escaped("<a href=\"http://x\">mail</a> & <b>"),
            "&lt;a href=\"http://x\"&gt;mail&lt;/a&gt; &amp; &lt;b&gt;"
        );
        assert_eq!(escaped("mail-001.example.net"), "mail-001.example.net");
    }
}
