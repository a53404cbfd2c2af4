//! What the administrator set about notifications, in a file of its own: it holds for this desktop, whatever the NOC.

use crate::error::SettingsError;
use crate::notify::record::replace;
use crate::quiet;
use crate::texts;
use muster_console::view::{DoNotDisturb, NotificationSettings};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// Most models that are named: more were not chosen by hand.
const MOST: usize = 1_000;

/// The settings.
#[derive(Debug)]
pub(crate) struct Settings {
    file: PathBuf,
    now: watch::Sender<NotificationSettings>,
    /// What is wrong with the file.
    note: Mutex<Option<String>>,
}

impl Settings {
    /// Those in `folder`. A damaged file means the defaults, and a note; it is kept until something is set.
    pub(crate) fn open(folder: &Path) -> Self {
        let file = folder.join("notifications.json");
        let (settings, note) = match std::fs::read(&file) {
            Ok(bytes) => match read(&bytes) {
                Ok(settings) => (settings, None),
                Err(why) => (NotificationSettings::default(), Some(texts::damaged_settings(&file, &why))),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (NotificationSettings::default(), None),
            Err(error) => (NotificationSettings::default(), Some(texts::damaged_settings(&file, &error.to_string()))),
        };
        if let Some(note) = &note {
            tracing::warn!("{note}");
        }
        Self { file, now: watch::Sender::new(settings), note: Mutex::new(note) }
    }

    /// What is set.
    pub(crate) fn get(&self) -> NotificationSettings {
        self.now.borrow().clone()
    }

    /// What is wrong with the file.
    pub(crate) fn note(&self) -> Option<String> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is set from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<NotificationSettings> {
        self.now.subscribe()
    }

    /// Sets all but whether nobody is to be disturbed, which may have been switched since these were read.
    pub(crate) fn set(&self, settings: NotificationSettings) -> Result<(), SettingsError> {
        check(&settings)?;
        self.keep(|now| NotificationSettings { do_not_disturb: now.do_not_disturb, ..settings })
    }

    /// Sets whether nobody is to be disturbed.
    pub(crate) fn disturb(&self, do_not_disturb: DoNotDisturb) -> Result<(), SettingsError> {
        self.keep(|now| NotificationSettings { do_not_disturb, ..now })
    }

    fn keep(&self, change: impl FnOnce(NotificationSettings) -> NotificationSettings) -> Result<(), SettingsError> {
        let kept = |source| SettingsError::Write { path: self.file.clone(), source };
        // One at a time: the file says what the memory says.
        let mut note = self.note.lock().unwrap_or_else(PoisonError::into_inner);
        let settings = change(self.get());
        let folder = self.file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(kept)?;
        let bytes = serde_json::to_vec_pretty(&settings).map_err(std::io::Error::other).map_err(kept)?;
        replace(&self.file, &bytes).map_err(kept)?;
        *note = None;
        self.now.send_replace(settings);
        Ok(())
    }
}

fn read(bytes: &[u8]) -> Result<NotificationSettings, String> {
    let settings = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    check(&settings).map_err(|error| error.to_string())?;
    Ok(settings)
}

fn check(settings: &NotificationSettings) -> Result<(), SettingsError> {
    if let Some(why) = settings.quiet_hours.as_ref().and_then(quiet::fault) {
        return Err(SettingsError::QuietHours { why });
    }
    let long = [settings.muted_sites.len(), settings.muted_kinds.len(), settings.muted_models.len()];
    if long.into_iter().any(|length| length > MOST) {
        return Err(SettingsError::TooMany { most: MOST });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_console::view::{QuietHours, RowAlertKind};

    fn some() -> NotificationSettings {
        NotificationSettings {
            do_not_disturb: DoNotDisturb::Until { at: 4_000 },
            quiet_hours: Some(QuietHours { from: 1_320, to: 360, days: vec![0, 1] }),
            muted_sites: vec![3],
            muted_kinds: vec![RowAlertKind::Unstable],
            muted_models: vec!["Mail".to_owned()],
            sound: true,
        }
    }

    #[test]
    fn what_is_set_is_there_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings::open(&folder.path().join("new"));
        assert_eq!((settings.get(), settings.note()), (NotificationSettings::default(), None));
        let mut changes = settings.subscribe();
        settings.disturb(some().do_not_disturb).expect("writable");
        settings.set(NotificationSettings { do_not_disturb: DoNotDisturb::On, ..some() }).expect("writable");
        assert!(changes.has_changed().expect("open") && *changes.borrow_and_update() == some());
        settings.disturb(DoNotDisturb::On).expect("writable");
        let again = Settings::open(&folder.path().join("new"));
        assert_eq!(again.get(), NotificationSettings { do_not_disturb: DoNotDisturb::On, ..some() });
    }

    #[test]
    fn a_damaged_file_means_the_defaults_and_a_note() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("notifications.json");
        let impossible = br#"{"quiet_hours":{"from":9999,"to":1,"days":[0]}}"#;
        for bytes in [&b"{\"sound\":tr"[..], b"\xff", impossible, b""] {
            std::fs::write(&file, bytes).expect("writable");
            let settings = Settings::open(folder.path());
            assert_eq!(settings.get(), NotificationSettings::default());
            let note = settings.note().expect("a note");
            assert!(note.contains("notifications.json"), "{note}");
            assert_eq!(std::fs::read(&file).expect("there"), bytes, "it is not touched before something is set");
        }
        let settings = Settings::open(folder.path());
        settings.set(some()).expect("writable");
        assert_eq!((settings.note(), Settings::open(folder.path()).note()), (None, None));
    }

    #[test]
    fn what_cannot_be_is_refused_and_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings::open(folder.path());
        let hours = Some(QuietHours { from: 60, to: 60, days: vec![0] });
        let error = settings.set(NotificationSettings { quiet_hours: hours, ..some() }).expect_err("refused");
        assert!(error.to_string().contains("they end when they begin"), "{error}");
        let models = vec![String::new(); MOST + 1];
        settings.set(NotificationSettings { muted_models: models, ..some() }).expect_err("refused");
        assert_eq!(settings.get(), NotificationSettings::default());
    }

    #[test]
    fn a_disk_that_takes_nothing_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("file"), b"").expect("writable");
        let settings = Settings::open(&folder.path().join("file"));
        settings.set(some()).expect_err("a file is no folder");
        assert_eq!(settings.get(), NotificationSettings::default());
    }
}
