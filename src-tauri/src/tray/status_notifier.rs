//! The tray on Linux desktops: a StatusNotifierItem on the session bus.
//!
//! Spoken directly, because the usual library never reports clicks. A desktop without a tray is no error: the item waits
//! for one to appear, as it does when a panel restarts.

use super::{IconSize, TrayAction, TrayState};
use crate::texts;
use ksni::TrayMethods;
use ksni::menu::{MenuItem, StandardItem};
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
        state: TrayState,
        chosen: mpsc::UnboundedSender<TrayAction>,
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
    pub(crate) async fn show(&self, state: TrayState) {
        self.handle.update(|item| item.state = state).await;
    }
}

struct Item {
    state: TrayState,
    chosen: mpsc::UnboundedSender<TrayAction>,
    /// No panel shows it.
    hidden: Arc<AtomicBool>,
}

impl Item {
    fn choose(&self, action: TrayAction) {
        // Nobody listens only while the app ends.
        let _ = self.chosen.send(action);
    }

    fn entry(label: String, action: TrayAction) -> MenuItem<Self> {
        StandardItem { label, activate: Box::new(move |item: &mut Self| item.choose(action)), ..Default::default() }
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
        format!("{}: {}", texts::APP, texts::tray(self.state))
    }

    fn status(&self) -> ksni::Status {
        if self.state.failing() > 0 { ksni::Status::NeedsAttention } else { ksni::Status::Active }
    }

    fn icon_pixmap(&self) -> Vec<ksni::Icon> {
        [IconSize::Small, IconSize::Medium, IconSize::Large]
            .iter()
            .filter_map(|size| pixels(self.state, *size))
            .collect()
    }

    fn attention_icon_pixmap(&self) -> Vec<ksni::Icon> {
        self.icon_pixmap()
    }

    fn tool_tip(&self) -> ksni::ToolTip {
        ksni::ToolTip {
            title: texts::APP.to_owned(),
            description: texts::tray(self.state),
            icon_pixmap: self.icon_pixmap(),
            ..Default::default()
        }
    }

    fn activate(&mut self, _x: i32, _y: i32) {
        self.choose(TrayAction::Open);
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
        vec![
            StandardItem { label: texts::tray(self.state), enabled: false, ..Default::default() }.into(),
            MenuItem::Separator,
            Self::entry(texts::OPEN.to_owned(), TrayAction::Open),
            Self::entry(texts::DISCOVER.to_owned(), TrayAction::Discover),
            Self::entry(texts::alerts_item(self.state.failing()), TrayAction::Alerts),
            MenuItem::Separator,
            Self::entry(texts::QUIT.to_owned(), TrayAction::Quit),
        ]
    }
}

/// The picture as the desktop wants it: alpha first.
fn pixels(state: TrayState, size: IconSize) -> Option<ksni::Icon> {
    let image = tauri::image::Image::from_bytes(state.icon(size)).ok()?;
    let mut data = image.rgba().to_vec();
    for pixel in data.chunks_exact_mut(4) {
        pixel.rotate_right(1);
    }
    Some(ksni::Icon { width: i32::try_from(image.width()).ok()?, height: i32::try_from(image.height()).ok()?, data })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ksni::Tray as _;

    fn item(state: TrayState, chosen: mpsc::UnboundedSender<TrayAction>) -> Item {
        Item { state, chosen, hidden: Arc::default() }
    }

    #[test]
    fn every_state_has_its_picture_in_every_size() {
        let pictures = |state| item(state, mpsc::unbounded_channel().0).icon_pixmap();
        let well = pictures(TrayState::Joined { failing: 0 });
        let failing = pictures(TrayState::Joined { failing: 1 });
        let lost = pictures(TrayState::Lost { failing: 0 });
        for icons in [&well, &failing, &lost] {
            assert_eq!(icons.iter().map(|icon| icon.width).collect::<Vec<_>>(), [22, 32, 64]);
        }
        assert_ne!(well[0].data, failing[0].data, "the icon shows that something fails");
        assert_ne!(well[0].data, lost[0].data, "the icon shows that the NOC is lost");
    }

    #[test]
    fn the_menu_does_what_it_says() {
        let (chosen, mut actions) = mpsc::unbounded_channel();
        let mut item = item(TrayState::Joined { failing: 2 }, chosen);
        let mut labels = Vec::new();
        for entry in item.menu() {
            if let MenuItem::Standard(entry) = entry {
                labels.push(entry.label);
                if entry.enabled {
                    (entry.activate)(&mut item);
                }
            }
        }
        assert_eq!(labels, ["2 appliances are failing", "Open Muster", "Discover", "Alerts (2)", "Quit"]);
        let mut chosen = Vec::new();
        while let Ok(action) = actions.try_recv() {
            chosen.push(action);
        }
        assert_eq!(chosen, [TrayAction::Open, TrayAction::Discover, TrayAction::Alerts, TrayAction::Quit]);
    }
}
