//! Showing notifications: `org.freedesktop.Notifications` on the session bus, spoken directly so that clicks come back.
//!
//! A system without that bus or without a notification service only gets a line in the log. Another way of showing
//! notifications, as a port needs, replaces this file.

use super::{About, Notification, sound};
use crate::action::{Action, Silence};
use crate::texts;
use futures_util::StreamExt;
use muster_console::view::SoundWay;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};
use zbus::proxy::OwnerChangedStream;
use zbus::zvariant::Value;

/// Notifications by their number, which only grows. That one was closed is no reason to forget it: many desktops close a
/// notification because it was clicked.
type Shown = BTreeMap<u32, Entry>;

/// What a click on a notification opens, and what it is about.
#[derive(Clone, Debug)]
struct Entry {
    uid: Option<String>,
    about: About,
}

/// How long the service may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// Nobody clicks on anything older.
const MOST_SHOWN: usize = 100;

/// The desktop's notification service.
#[derive(Debug)]
pub(crate) struct NotificationService {
    chosen: mpsc::UnboundedSender<Action>,
    session: Option<Session>,
}

#[derive(Debug)]
struct Session {
    proxy: NotificationsProxy<'static>,
    /// Whether the service takes `<` in a body for the beginning of a tag (capability `body-markup`).
    reads_markup: bool,
    /// Whether the service has buttons (capability `actions`).
    has_actions: bool,
    /// Whether the service plays sounds (capability `sound`).
    has_sound: bool,
    shown: Arc<Mutex<Shown>>,
    _listener: DropGuard,
}

impl NotificationService {
    /// What is clicked on is sent to `chosen`.
    pub(crate) fn new(chosen: mpsc::UnboundedSender<Action>) -> Self {
        Self { chosen, session: None }
    }

    /// Shows a notification. Never fails: what cannot be shown is in the log and in the window.
    pub(crate) async fn show(&mut self, notification: &Notification, with_sound: bool) {
        tracing::info!(title = notification.title, "notification");
        if let Err(error) = self.try_show(notification, with_sound).await {
            // The service may be a new one next time.
            self.session = None;
            tracing::warn!(error = &error as &dyn std::error::Error, "the desktop shows no notification");
        }
    }

    /// Takes notifications off the screen whose matter is over.
    pub(crate) async fn withdraw(&self, is_over: impl Fn(&About) -> bool) {
        let Some(session) = &self.session else { return };
        let mut shown = session.shown.lock().await;
        for (id, entry) in shown.iter_mut().filter(|(_, entry)| is_over(&entry.about)) {
            entry.about = About::Nothing;
            if let Err(error) = session.proxy.close_notification(*id).await {
                // Somebody has closed it already.
                tracing::debug!(error = &error as &dyn std::error::Error, id, "a notification is not there any more");
            }
        }
    }

    async fn try_show(&mut self, notification: &Notification, with_sound: bool) -> zbus::Result<()> {
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(Session::open(self.chosen.clone()).await?),
        };
        let mut hints = HashMap::new();
        hints.insert("urgency", Value::U8(if notification.bad { 2 } else { 1 }));
        hints.insert("category", Value::from(if notification.bad { "device.error" } else { "device" }));
        hints.insert("desktop-entry", Value::from("muster"));
        match (with_sound, session.has_sound) {
            (true, true) => drop(hints.insert("sound-name", Value::from(sound::name(notification.bad)))),
            (true, false) => sound::play(notification.bad),
            (false, _) => drop(hints.insert("suppress-sound", Value::Bool(true))),
        }
        if let Some(image) = image() {
            hints.insert("image-data", image);
        }
        // Until the number is known: a click may come before it.
        let mut shown = session.shown.lock().await;
        let body = if session.reads_markup { escaped(&notification.body) } else { notification.body.clone() };
        let buttons = if session.has_actions { buttons(&notification.about) } else { &[] };
        let id = session.proxy.notify(texts::APP, 0, "", &notification.title, &body, buttons, &hints, -1).await?;
        shown.insert(id, Entry { uid: notification.uid.clone(), about: notification.about.clone() });
        while shown.len() > MOST_SHOWN {
            shown.pop_first();
        }
        Ok(())
    }
}

/// Who makes a notification's sound here.
pub(crate) async fn sound_way() -> SoundWay {
    let asked = async { NotificationsProxy::new(&zbus::Connection::session().await?).await?.get_capabilities().await };
    let capabilities = asked.await.unwrap_or_default();
    match (capabilities.iter().any(|capability| capability == "sound"), sound::can_play()) {
        (true, _) => SoundWay::Service,
        (false, true) => SoundWay::Player,
        (false, false) => SoundWay::Nobody,
    }
}

impl Session {
    async fn open(chosen: mpsc::UnboundedSender<Action>) -> zbus::Result<Self> {
        // A service that hangs must not hold up the tray.
        let connection = zbus::connection::Builder::session()?.method_timeout(ANSWERS_WITHIN).build().await?;
        let proxy = NotificationsProxy::new(&connection).await?;
        // A service that does not say is taken for one that does.
        let capabilities = proxy.get_capabilities().await.ok();
        let can = |wanted: &str| capabilities.as_ref().is_none_or(|all| all.iter().any(|one| one == wanted));
        let (reads_markup, has_actions, has_sound) = (can("body-markup"), can("actions"), can("sound"));
        let invoked = proxy.receive_action_invoked().await?;
        let owners = proxy.inner().receive_owner_changed().await?;
        let shown = Arc::new(Mutex::new(Shown::new()));
        let listener = CancellationToken::new();
        tokio::spawn(listener.clone().run_until_cancelled_owned(listen(invoked, Arc::clone(&shown), chosen)));
        tokio::spawn(listener.clone().run_until_cancelled_owned(forget(owners, Arc::clone(&shown))));
        Ok(Self { proxy, reads_markup, has_actions, has_sound, shown, _listener: listener.drop_guard() })
    }
}

async fn listen(mut invoked: ActionInvokedStream, shown: Arc<Mutex<Shown>>, chosen: mpsc::UnboundedSender<Action>) {
    while let Some(signal) = invoked.next().await {
        let Ok(arguments) = signal.args() else { continue };
        // Other programs' notifications are signalled too.
        if let Some(entry) = shown.lock().await.get(&arguments.id).cloned() {
            // Nobody listens only while the app ends.
            let _ = chosen.send(pressed(arguments.action_key, entry));
        }
    }
}

/// A new service counts from one: what it shows under our numbers is somebody else's.
async fn forget(mut owners: OwnerChangedStream<'static>, shown: Arc<Mutex<Shown>>) {
    while owners.next().await.is_some() {
        shown.lock().await.clear();
    }
}

/// Keys and labels of a notification's buttons; the first is a click on the notification itself.
fn buttons(about: &About) -> &'static [&'static str] {
    match about {
        About::Nothing | About::Link => &["default", texts::SHOW],
        About::Alerts(_) => &[
            "default",
            texts::SHOW,
            "acknowledge",
            texts::ACKNOWLEDGE,
            "open",
            texts::OPEN_ALERT,
            "silence",
            texts::SILENCE_HOUR,
        ],
    }
}

/// What pressing a button means.
fn pressed(key: &str, entry: Entry) -> Action {
    match (key, entry.about) {
        ("acknowledge", About::Alerts(keys)) => Action::Acknowledge(keys.into_iter().map(|(id, _)| id).collect()),
        ("silence", About::Alerts(keys)) => {
            Action::Silence(keys.into_iter().map(|(id, _)| id).collect(), Silence::Hour)
        }
        _ => Action::Show(entry.uid),
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

    fn close_notification(&self, id: u32) -> zbus::Result<()>;

    #[zbus(signal)]
    fn action_invoked(&self, id: u32, action_key: &str) -> zbus::Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buttons_do_what_they_say() {
        let entry = |about| Entry { uid: Some("UID-a".to_owned()), about };
        let alerts = || entry(About::Alerts(vec![(1, 100), (2, 100)]));
        assert_eq!(pressed("default", alerts()), Action::Show(Some("UID-a".to_owned())));
        assert_eq!(pressed("open", alerts()), Action::Show(Some("UID-a".to_owned())));
        assert_eq!(pressed("acknowledge", alerts()), Action::Acknowledge(vec![1, 2]));
        assert_eq!(pressed("silence", alerts()), Action::Silence(vec![1, 2], Silence::Hour));
        assert_eq!(pressed("acknowledge", entry(About::Nothing)), Action::Show(Some("UID-a".to_owned())), "it is over");
        for about in [About::Nothing, About::Link, About::Alerts(vec![])] {
            assert!(buttons(&about).len().is_multiple_of(2), "a label for every key");
        }
    }

    #[test]
    fn a_name_is_no_markup_in_a_notification() {
        assert_eq!(
            escaped("<a href=\"http://x\">mail</a> & <b>"),
            "&lt;a href=\"http://x\"&gt;mail&lt;/a&gt; &amp; &lt;b&gt;"
        );
        assert_eq!(escaped("mail-001.example.net"), "mail-001.example.net");
    }
}
