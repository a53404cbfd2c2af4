//! The tray on Linux desktops: a StatusNotifierItem on the session bus.
//!
//! Spoken directly, because the usual library never reports clicks. A desktop without a tray is no error: the item waits
//! for one to appear, as it does when a panel restarts.

use super::{IconSize, TrayAlert, TrayQuiet, TrayView};
use crate::action::{Action, Disturb, Silence};
use crate::texts;
use ksni::TrayMethods;
use ksni::menu::{MenuItem, StandardItem, SubMenu};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// The tray icon; it goes when this is dropped.
pub(crate) struct Tray {
    handle: ksni::Handle<Item>,
    hidden: Arc<AtomicBool>,
}

impl Tray {
    /// Registers the icon, or waits in the background for a desktop that shows one.
    /// What the administrator chooses arrives at `chosen`.
    ///
    /// # Errors
    /// When there is no session bus.
    pub(crate) async fn start(
        _app: &tauri::AppHandle,
        state: TrayView,
        chosen: mpsc::UnboundedSender<Action>,
    ) -> Result<Self, ksni::Error> {
        let hidden = Arc::new(AtomicBool::new(false));
        let item = Item { state, chosen, hidden: Arc::clone(&hidden) };
        let handle = item.assume_sni_available(true).spawn().await?;
        Ok(Self { handle, hidden })
    }

    /// Whether there is a panel that shows the icon now.
    pub(crate) fn is_visible(&self) -> bool {
        !self.hidden.load(Ordering::Relaxed)
    }

    /// Shows another state.
    pub(crate) async fn show(&self, state: TrayView) {
        self.handle.update(|item| item.state = state).await;
    }
}

struct Item {
    state: TrayView,
    chosen: mpsc::UnboundedSender<Action>,
    /// No panel shows it.
    hidden: Arc<AtomicBool>,
}

impl Item {
    fn choose(&self, action: Action) {
        // Nobody listens only while the app ends.
        let _ = self.chosen.send(action);
    }

    fn entry(label: String, action: Action) -> MenuItem<Self> {
        StandardItem {
            label,
            activate: Box::new(move |item: &mut Self| item.choose(action.clone())),
            ..Default::default()
        }
        .into()
    }
}

impl ksni::Tray for Item {
    fn id(&self) -> String {
        "muster".to_owned()
    }

    fn category(&self) -> ksni::Category {
        ksni::Category::SystemServices
    }

    fn title(&self) -> String {
        format!("{}: {}", texts::APP, texts::tray(&self.state))
    }

    fn status(&self) -> ksni::Status {
        if self.state.counts.failing > 0 { ksni::Status::NeedsAttention } else { ksni::Status::Active }
    }

    fn icon_pixmap(&self) -> Vec<ksni::Icon> {
        [IconSize::Small, IconSize::Medium, IconSize::Large]
            .iter()
            .filter_map(|size| pixels(&self.state, *size))
            .collect()
    }

    fn attention_icon_pixmap(&self) -> Vec<ksni::Icon> {
        self.icon_pixmap()
    }

    fn tool_tip(&self) -> ksni::ToolTip {
        ksni::ToolTip {
            title: texts::APP.to_owned(),
            description: texts::tray(&self.state),
            icon_pixmap: self.icon_pixmap(),
            ..Default::default()
        }
    }

    fn activate(&mut self, x: i32, y: i32) {
        self.choose(Action::Summary(x, y));
    }

    fn secondary_activate(&mut self, _x: i32, _y: i32) {
        self.choose(Action::Open);
    }

    fn watcher_online(&self) {
        self.hidden.store(false, Ordering::Relaxed);
    }

    fn watcher_offline(&self, _reason: ksni::OfflineReason) -> bool {
        self.hidden.store(true, Ordering::Relaxed);
        // Wait for the next one.
        true
    }

    fn menu(&self) -> Vec<MenuItem<Self>> {
        let mut menu = vec![
            StandardItem { label: texts::tray(&self.state), enabled: false, ..Default::default() }.into(),
            MenuItem::Separator,
        ];
        menu.extend(self.state.alerts.iter().map(Self::alert));
        if self.state.more > 0 {
            menu.push(Self::entry(texts::more_alerts(self.state.more), Action::Show(None)));
        }
        if !self.state.alerts.is_empty() {
            menu.push(MenuItem::Separator);
        }
        menu.extend([
            Self::entry(texts::OPEN.to_owned(), Action::Open),
            Self::entry(texts::DISCOVER.to_owned(), Action::Discover),
            Self::entry(texts::alerts_item(self.state.counts.failing), Action::Show(None)),
            self.do_not_disturb(),
            MenuItem::Separator,
            Self::entry(texts::QUIT.to_owned(), Action::Quit),
        ]);
        menu
    }
}

impl Item {
    fn alert(alert: &TrayAlert) -> MenuItem<Self> {
        let mut submenu = vec![
            Self::entry(texts::OPEN_ALERT.to_owned(), Action::Show(alert.uid.clone())),
            Self::entry(texts::ACKNOWLEDGE.to_owned(), Action::Acknowledge(vec![alert.id])),
            Self::entry(texts::SILENCE_HOUR.to_owned(), Action::Silence(vec![alert.id], Silence::Hour)),
            Self::entry(texts::SILENCE_TOMORROW.to_owned(), Action::Silence(vec![alert.id], Silence::Tomorrow)),
        ];
        submenu.extend(alert.uid.clone().map(|uid| Self::entry(texts::CHECK.to_owned(), Action::Check(uid))));
        SubMenu { label: label(&alert.label), submenu, ..Default::default() }.into()
    }

    fn do_not_disturb(&self) -> MenuItem<Self> {
        let choose = |label: &str, disturb| Self::entry(label.to_owned(), Action::Disturb(disturb));
        let mut submenu = vec![
            choose(texts::DISTURB_HOUR, Disturb::Not(Silence::Hour)),
            choose(texts::DISTURB_TOMORROW, Disturb::Not(Silence::Tomorrow)),
            choose(texts::DISTURB_ON, Disturb::Never),
        ];
        // Hours end by themselves, or in the settings.
        if matches!(self.state.quiet, Some(TrayQuiet::Until(_) | TrayQuiet::Open)) {
            submenu.push(choose(texts::DISTURB_OFF, Disturb::Again));
        }
        SubMenu { label: texts::do_not_disturb(self.state.quiet.as_ref()), submenu, ..Default::default() }.into()
    }
}

/// A text as the menu shows it: one underscore would mark the letter behind it as a key.
fn label(text: &str) -> String {
    text.replace('_', "__")
}

/// The picture as the desktop wants it: alpha first.
fn pixels(state: &TrayView, size: IconSize) -> Option<ksni::Icon> {
    let image = state.icon(size).ok()?;
    let mut data = image.rgba().to_vec();
    for pixel in data.chunks_exact_mut(4) {
        pixel.rotate_right(1);
    }
    Some(ksni::Icon { width: i32::try_from(image.width()).ok()?, height: i32::try_from(image.height()).ok()?, data })
}

#[cfg(test)]
mod tests {
    use super::super::TrayLink;
    use super::*;
    use crate::attention::Counts;
    use ksni::Tray as _;

    fn item(state: TrayView, chosen: mpsc::UnboundedSender<Action>) -> Item {
        Item { state, chosen, hidden: Arc::default() }
    }

    fn view(link: TrayLink, failing: usize) -> TrayView {
        TrayView { link, counts: Counts { failing, ..Counts::default() }, ..TrayView::unknown() }
    }

    fn lost() -> TrayLink {
        TrayLink::Lost { since: "14:02".to_owned() }
    }

    #[test]
    fn every_state_has_its_picture_in_every_size() {
        let pictures = |state| item(state, mpsc::unbounded_channel().0).icon_pixmap();
        let well = pictures(view(TrayLink::Joined, 0));
        let failing = pictures(view(TrayLink::Joined, 1));
        let more = pictures(view(TrayLink::Joined, 12));
        let lost = pictures(view(self::lost(), 0));
        let then = pictures(view(self::lost(), 1));
        for icons in [&well, &failing, &more, &lost, &then] {
            assert_eq!(icons.iter().map(|icon| icon.width).collect::<Vec<_>>(), [22, 32, 64]);
        }
        assert_ne!(well[0].data, failing[0].data, "the icon shows that something fails");
        assert_ne!(failing[0].data, more[0].data, "the icon shows how many");
        assert_ne!(well[0].data, lost[0].data, "the icon shows that the NOC is lost");
        assert_ne!(lost[0].data, then[0].data, "and what was known then");
    }

    /// All that can be chosen, with the way to it, and what it does.
    fn choices(item: &mut Item, menu: Vec<MenuItem<Item>>, way: &str, found: &mut Vec<String>) {
        for entry in menu {
            match entry {
                MenuItem::Standard(entry) => {
                    found.push(format!("{way}{}", entry.label));
                    if entry.enabled {
                        (entry.activate)(item);
                    }
                }
                MenuItem::SubMenu(menu) => choices(item, menu.submenu, &format!("{way}{} > ", menu.label), found),
                _ => {}
            }
        }
    }

    #[test]
    fn the_menu_does_what_it_says() {
        let (chosen, mut actions) = mpsc::unbounded_channel();
        let alert =
            |id, label: &str, uid: Option<&str>| TrayAlert { id, label: label.to_owned(), uid: uid.map(str::to_owned) };
        let state = TrayView {
            alerts: vec![alert(3, "gw_1 no longer reports", Some("UID-1")), alert(4, "Harbour", None)],
            more: 2,
            quiet: Some(TrayQuiet::Until("17:00".to_owned())),
            ..view(TrayLink::Joined, 2)
        };
        let mut item = item(state, chosen);
        let (menu, mut labels) = (item.menu(), Vec::new());
        choices(&mut item, menu, "", &mut labels);
        assert_eq!(
            labels,
            [
                "2 appliances are failing",
                "gw__1 no longer reports > Open",
                "gw__1 no longer reports > Acknowledge",
                "gw__1 no longer reports > Silence for 1 hour",
                "gw__1 no longer reports > Silence until tomorrow",
                "gw__1 no longer reports > Check now",
                "Harbour > Open",
                "Harbour > Acknowledge",
                "Harbour > Silence for 1 hour",
                "Harbour > Silence until tomorrow",
                "and 2 more…",
                "Open Muster",
                "Discover",
                "Alerts (2)",
                "Do not disturb (until 17:00) > For 1 hour",
                "Do not disturb (until 17:00) > Until tomorrow, 8:00",
                "Do not disturb (until 17:00) > Until switched off",
                "Do not disturb (until 17:00) > Notify again",
                "Quit"
            ]
        );
        let mut chosen = Vec::new();
        while let Ok(action) = actions.try_recv() {
            chosen.push(action);
        }
        assert_eq!(
            chosen,
            [
                Action::Show(Some("UID-1".to_owned())),
                Action::Acknowledge(vec![3]),
                Action::Silence(vec![3], Silence::Hour),
                Action::Silence(vec![3], Silence::Tomorrow),
                Action::Check("UID-1".to_owned()),
                Action::Show(None),
                Action::Acknowledge(vec![4]),
                Action::Silence(vec![4], Silence::Hour),
                Action::Silence(vec![4], Silence::Tomorrow),
                Action::Show(None),
                Action::Open,
                Action::Discover,
                Action::Show(None),
                Action::Disturb(Disturb::Not(Silence::Hour)),
                Action::Disturb(Disturb::Not(Silence::Tomorrow)),
                Action::Disturb(Disturb::Never),
                Action::Disturb(Disturb::Again),
                Action::Quit,
            ]
        );
    }
}
