//! Reverse-path filters. With `rp_filter` 1 or 2 the kernel drops a console's broadcast before an appliance without a fitting
//! address sees it, and it goes by the larger of the interface's value and `all`. So both are opened while the appliance
//! waits for its configuration, and put back afterwards.

use crate::storage::{Document, Storage, StorageError};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Opens the filter of `all` and those of the interfaces; their former values are kept on disk first. To be called again
/// whenever an interface comes: the kernel gives it a filter of its own.
pub fn open<'a>(storage: &impl Storage, interfaces: impl IntoIterator<Item = &'a str>) -> Result<(), StorageError> {
    open_in(Path::new("/proc/sys"), storage, interfaces)
}

/// Puts the former values back, if the filters were opened; after an error it can be tried again.
pub fn put_back(storage: &impl Storage) -> Result<(), StorageError> {
    put_back_in(Path::new("/proc/sys"), storage)
}

fn open_in<'a>(
    sys: &Path,
    storage: &impl Storage,
    interfaces: impl IntoIterator<Item = &'a str>,
) -> Result<(), StorageError> {
    let mut former = load(storage)?;
    let before = former.len();
    for name in std::iter::once("all").chain(interfaces) {
        let path = file(sys, name);
        let Ok(value) = fs::read_to_string(&path) else { continue };
        let value = value.trim();
        if value != "0" {
            former.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    if former.len() > before {
        storage.save(Document::FormerFilters, &serde_json::to_vec(&former).unwrap_or_default())?;
    }
    for name in former.keys() {
        write(&file(sys, name), "0");
    }
    Ok(())
}

fn put_back_in(sys: &Path, storage: &impl Storage) -> Result<(), StorageError> {
    let former = load(storage)?;
    if former.is_empty() {
        return Ok(());
    }
    // What could not be put back stays remembered: an open filter must not become the ordinary one.
    for (name, value) in &former {
        let path = file(sys, name);
        match fs::read_to_string(&path) {
            Ok(now) if now.trim() == value => {}
            // The interface is gone, and its filter with it.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            _ => fs::write(&path, value).map_err(|source| StorageError::Io { action: "written", path, source })?,
        }
    }
    storage.remove(Document::FormerFilters)
}

fn load(storage: &impl Storage) -> Result<BTreeMap<String, String>, StorageError> {
    let bytes = storage.load(Document::FormerFilters)?.unwrap_or_default();
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

fn file(sys: &Path, name: &str) -> PathBuf {
    sys.join("net/ipv4/conf").join(name).join("rp_filter")
}

/// IPv6 multicast works whatever this says, so a read-only `/proc/sys` is only worth a warning. An interface that has gone
/// took its filter with it. What is right already is left alone: each write tells the kernel's routing to start over.
fn write(path: &Path, value: &str) {
    if fs::read_to_string(path).is_ok_and(|present| present.trim() == value) {
        return;
    }
    if let Err(error) = fs::write(path, value)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(file = %path.display(), %error, "cannot set: IPv4 discovery may not reach this appliance");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    struct Sys(tempfile::TempDir);

    impl Sys {
        fn set(&self, name: &str, value: &str) {
            fs::create_dir_all(file(self.0.path(), name).parent().expect("has one")).expect("made");
            fs::write(file(self.0.path(), name), value).expect("written");
        }

        fn get(&self, name: &str) -> String {
            fs::read_to_string(file(self.0.path(), name)).expect("there").trim().to_owned()
        }

        fn open(&self, storage: &MemoryStorage, interfaces: &[&str]) {
            open_in(self.0.path(), storage, interfaces.iter().copied()).expect("opened");
        }

        fn put_back(&self, storage: &MemoryStorage) {
            put_back_in(self.0.path(), storage).expect("put back");
        }
    }

    #[test]
    fn filters_are_opened_and_put_back_also_after_a_restart() {
        let sys = Sys(tempfile::tempdir().expect("a folder"));
        sys.set("all", "2\n");
        sys.set("eth0", "1\n");
        let storage = MemoryStorage::default();
        sys.open(&storage, &["eth0"]);
        // Killed and started again: what it finds open is not what was there.
        sys.open(&storage, &["eth0"]);
        assert_eq!((sys.get("all"), sys.get("eth0")), ("0".into(), "0".into()));
        sys.put_back(&storage);
        assert_eq!((sys.get("all"), sys.get("eth0")), ("2".into(), "1".into()));
        sys.set("all", "0");
        sys.put_back(&storage);
        assert_eq!(sys.get("all"), "0", "nothing to do");
    }

    #[test]
    fn interfaces_that_come_later_come_back_or_are_gone_are_no_exception() {
        let sys = Sys(tempfile::tempdir().expect("a folder"));
        let storage = MemoryStorage::default();
        for name in ["all", "eth0", "eth1"] {
            sys.set(name, "1");
        }
        sys.open(&storage, &["eth0"]);
        assert_eq!(sys.get("eth1"), "1", "nobody asked for it");
        sys.open(&storage, &["eth0", "eth1"]);
        // The card was replaced: the kernel starts with its default.
        sys.set("eth1", "2");
        sys.open(&storage, &["eth0", "eth1"]);
        assert_eq!(sys.get("eth1"), "0");
        fs::remove_dir_all(file(sys.0.path(), "eth0").parent().expect("has one")).expect("unplugged");
        sys.open(&storage, &["eth1"]);
        sys.put_back(&storage);
        assert_eq!((sys.get("all"), sys.get("eth1")), ("1".into(), "1".into()));
        assert!(!file(sys.0.path(), "eth0").exists());
    }

    #[test]
    fn a_filter_that_cannot_be_put_back_is_put_back_later() {
        let sys = tempfile::tempdir().expect("a folder");
        let all = file(sys.path(), "all");
        fs::create_dir_all(all.parent().expect("has one")).expect("made");
        fs::write(&all, "2\n").expect("written");
        let storage = MemoryStorage::default();
        open_in(sys.path(), &storage, ["eth0"]).expect("opened");
        fs::remove_file(&all).expect("removed");
        fs::create_dir(&all).expect("nothing can be written there");
        let error = put_back_in(sys.path(), &storage).expect_err("refused");
        assert!(error.to_string().contains("rp_filter"), "{error}");
        fs::remove_dir(&all).expect("removed");
        fs::write(&all, "0\n").expect("written");
        put_back_in(sys.path(), &storage).expect("put back");
        assert_eq!(fs::read_to_string(&all).expect("there"), "2");
    }
}
