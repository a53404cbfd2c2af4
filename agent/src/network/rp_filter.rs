//! Reverse-path filters. With `rp_filter` 1 or 2 the kernel drops a console's broadcast before an appliance without a fitting
//! address sees it, and it goes by the larger of the interface's value and `all`. So both are opened while the appliance
//! waits for its configuration, and put back afterwards.

use crate::storage::{Document, Storage, StorageError};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Opens both filters; their former values are kept on disk first.
pub fn open(storage: &impl Storage, interface: &str) -> Result<(), StorageError> {
    open_in(Path::new("/proc/sys"), storage, interface)
}

/// Puts the former values back, if the filters were opened; after an error it can be tried again.
pub fn put_back(storage: &impl Storage) -> Result<(), StorageError> {
    put_back_in(Path::new("/proc/sys"), storage)
}

fn open_in(sys: &Path, storage: &impl Storage, interface: &str) -> Result<(), StorageError> {
    let mut former = load(storage)?;
    let before = former.len();
    for name in ["all", interface] {
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

/// IPv6 multicast works whatever this says, so a read-only `/proc/sys` is only worth a warning.
fn write(path: &Path, value: &str) {
    if let Err(error) = fs::write(path, value) {
        tracing::warn!(file = %path.display(), %error, "cannot set: IPv4 discovery may not reach this appliance");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    #[test]
    fn filters_are_opened_and_put_back_also_after_a_restart() {
        let sys = tempfile::tempdir().expect("a folder");
        let set = |name: &str, value: &str| {
            fs::create_dir_all(file(sys.path(), name).parent().expect("has one")).expect("made");
            fs::write(file(sys.path(), name), value).expect("written");
        };
        let get = |name: &str| fs::read_to_string(file(sys.path(), name)).expect("there").trim().to_owned();
        set("all", "2\n");
        set("eth0", "1\n");
        let storage = MemoryStorage::default();
        open_in(sys.path(), &storage, "eth0").expect("opened");
        // Killed and started again: what it finds open is not what was there.
        open_in(sys.path(), &storage, "eth0").expect("opened");
        assert_eq!((get("all"), get("eth0")), ("0".into(), "0".into()));
        put_back_in(sys.path(), &storage).expect("put back");
        assert_eq!((get("all"), get("eth0")), ("2".into(), "1".into()));
        set("all", "0");
        put_back_in(sys.path(), &storage).expect("nothing to do");
        assert_eq!(get("all"), "0");
    }

    #[test]
    fn a_filter_that_cannot_be_put_back_is_put_back_later() {
        let sys = tempfile::tempdir().expect("a folder");
        let all = file(sys.path(), "all");
        fs::create_dir_all(all.parent().expect("has one")).expect("made");
        fs::write(&all, "2\n").expect("written");
        let storage = MemoryStorage::default();
        open_in(sys.path(), &storage, "eth0").expect("opened");
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
