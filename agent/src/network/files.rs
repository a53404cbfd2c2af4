//! The system files that settings are written to, and their former contents.

use super::{NetworkError, networkd};
use crate::storage;
use data_encoding::BASE64;
use muster_protocol::parameters::NetworkSettings;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// First line of files that are wholly ours.
pub(super) const MARK: &str = "# Written by muster-agent. It is replaced at the next configuration.";
const HOSTS_MARK: &str = "# muster-agent";

/// A file as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FormerFile {
    path: PathBuf,
    contents: Option<Contents>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Contents {
    base64: String,
    mode: u32,
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// What the files below `root` become with `settings`.
pub(super) fn plan(root: &Path, interface: &str, settings: &NetworkSettings) -> Result<Vec<NewFile>, NetworkError> {
    let file = |path: &str, text: String| NewFile { path: root.join(path), text };
    let hosts = root.join("etc/hosts");
    let mut files = vec![
        file(&networkd::file(interface), networkd::contents(interface, settings)),
        file("etc/hostname", format!("{}\n", settings.host_name())),
        file("etc/hosts", hosts_text(&read_text(&hosts)?, settings)),
    ];
    let resolver = root.join("etc/resolv.conf");
    // A link means that a resolver daemon owns the file; it takes the servers from networkd's.
    if !resolver.is_symlink() {
        files.push(NewFile { path: resolver, text: resolver_text(settings) });
    }
    Ok(files)
}

/// Reads what is there now, to be restored.
pub(super) fn remember(files: &[NewFile]) -> Result<Vec<FormerFile>, NetworkError> {
    let remember = |file: &NewFile| {
        let failed = |source| NetworkError::File { action: "read", path: file.path.clone(), source };
        let contents = match fs::read(&file.path) {
            Ok(bytes) => {
                let mode = fs::metadata(&file.path).map_err(failed)?.permissions().mode() & 0o7777;
                Some(Contents { base64: BASE64.encode(&bytes), mode })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        Ok(FormerFile { path: file.path.clone(), contents })
    };
    files.iter().map(remember).collect()
}

/// Writes the files.
pub(super) fn write(files: &[NewFile]) -> Result<(), NetworkError> {
    for file in files {
        put(&file.path, file.text.as_bytes(), 0o644)?;
    }
    Ok(())
}

/// Puts every file back; goes on after an error and returns the first.
pub(super) fn restore(files: &[FormerFile]) -> Result<(), NetworkError> {
    let mut result = Ok(());
    for FormerFile { path, contents } in files {
        let restored = match contents {
            Some(Contents { base64, mode }) => {
                let bytes = BASE64.decode(base64.as_bytes()).map_err(|_| NetworkError::Former);
                bytes.and_then(|bytes| match is(path, &bytes, *mode) {
                    true => storage::keep(path).map_err(|source| NetworkError::File {
                        action: "written",
                        path: path.clone(),
                        source,
                    }),
                    false => put(path, &bytes, *mode),
                })
            }
            // The folder may have come with the file.
            None if path.parent().is_some_and(Path::exists) => storage::remove(path)
                .map_err(|source| NetworkError::File { action: "removed", path: path.clone(), source }),
            None => Ok(()),
        };
        result = result.and(restored);
    }
    result
}

/// The files of `interface` below `root` that are wholly ours.
pub(super) fn ours(root: &Path, interface: &str) -> Vec<PathBuf> {
    let candidates = [root.join(networkd::file(interface)), root.join("etc/resolv.conf")];
    let is_ours = |path: &PathBuf| fs::read_to_string(path).is_ok_and(|text| text.starts_with(MARK));
    candidates.into_iter().filter(is_ours).collect()
}

/// True if a file is as it was. It is not written again then: on a disk that is full or read-only it could not be.
fn is(path: &Path, bytes: &[u8], mode: u32) -> bool {
    let has_mode = |about: fs::Metadata| about.permissions().mode() & 0o7777 == mode;
    fs::symlink_metadata(path).is_ok_and(has_mode) && fs::read(path).is_ok_and(|now| now == bytes)
}

/// Takes out of the files below `root` what [`plan`] put into them for `settings`.
pub(super) fn forget(root: &Path, interface: &str, settings: &NetworkSettings) -> Result<(), NetworkError> {
    for path in ours(root, interface) {
        let removed = storage::remove(&path);
        removed.map_err(|source| NetworkError::File { action: "removed", path, source })?;
    }
    let hosts = root.join("etc/hosts");
    let text = read_text(&hosts)?;
    let others = without_ours(&text);
    if others != text {
        put(&hosts, others.as_bytes(), 0o644)?;
    }
    let name = root.join("etc/hostname");
    if read_text(&name)?.trim() == settings.host_name() {
        put(&name, b"localhost\n", 0o644)?;
    }
    Ok(())
}

fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<(), NetworkError> {
    let written = (|| {
        if let Some(folder) = path.parent() {
            storage::make_folder(folder, 0o755)?;
        }
        match storage::replace(path, bytes, mode) {
            // The file is a mount point (containers mount resolv.conf): it can only be written in place.
            Err(error) if error.kind() == ErrorKind::ResourceBusy => write_in_place(path, bytes),
            other => other,
        }
    })();
    written.map_err(|source| NetworkError::File { action: "written", path: path.to_owned(), source })
}

fn write_in_place(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).truncate(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A file's text; nothing if it is not there.
pub(super) fn read_text(path: &Path) -> Result<String, NetworkError> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(NetworkError::File { action: "read", path: path.to_owned(), source }),
    }
}

/// Everything of others stays; the line of ours is replaced or added.
fn hosts_text(former: &str, settings: &NetworkSettings) -> String {
    let mut text = without_ours(former);
    if former.is_empty() {
        text += "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";
    }
    let (name, domain) = (settings.host_name(), settings.domain());
    text + &format!("127.0.1.1 {name}.{domain} {name} {HOSTS_MARK}\n")
}

fn without_ours(hosts: &str) -> String {
    let mut text = String::new();
    for line in hosts.lines().filter(|line| !line.trim_end().ends_with(HOSTS_MARK)) {
        text += line;
        text.push('\n');
    }
    text
}

fn resolver_text(settings: &NetworkSettings) -> String {
    let mut text = format!("{MARK}\nsearch {}\n", settings.domain());
    for server in settings.dns().into_iter().flatten() {
        text += &format!("nameserver {server}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::parameters::RawSettings;
    use std::os::unix::fs::symlink;

    fn settings() -> NetworkSettings {
        let raw = RawSettings {
            host_name: "mail-01".into(),
            domain: "example.net".into(),
            address: "192.0.2.10".into(),
            netmask: "24".into(),
            gateway: "192.0.2.1".into(),
            dns1: "192.0.2.53".into(),
            dns2: String::new(),
        };
        raw.validate().expect("valid")
    }

    #[test]
    fn files_are_written_and_come_back_exactly() {
        let root = tempfile::tempdir().expect("a folder");
        let etc = root.path().join("etc");
        fs::create_dir(&etc).expect("made");
        fs::write(etc.join("hosts"), "127.0.0.1 localhost\n10.0.0.1 other\n127.0.1.1 old.net old # muster-agent\n")
            .expect("written");
        fs::write(etc.join("hostname"), b"old\xff").expect("written");
        fs::set_permissions(etc.join("hostname"), fs::Permissions::from_mode(0o640)).expect("set");

        let files = plan(root.path(), "eth0", &settings()).expect("planned");
        let former = remember(&files).expect("read");
        let stored = serde_json::to_string(&former).expect("serialises");
        write(&files).expect("written");
        let read = |name: &str| fs::read_to_string(etc.join(name)).expect("there");
        assert_eq!(read("hostname"), "mail-01\n");
        assert_eq!(
            read("hosts"),
            "127.0.0.1 localhost\n10.0.0.1 other\n127.0.1.1 mail-01.example.net mail-01 # muster-agent\n"
        );
        assert_eq!(read("resolv.conf"), format!("{MARK}\nsearch example.net\nnameserver 192.0.2.53\n"));
        assert!(read("systemd/network/10-muster-eth0.network").starts_with(MARK));
        assert_eq!(ours(root.path(), "eth0").len(), 2);

        let former: Vec<FormerFile> = serde_json::from_str(&stored).expect("parses");
        restore(&former).expect("restored");
        assert_eq!(remember(&files).expect("read"), former);
        assert_eq!(fs::metadata(etc.join("hostname")).expect("there").permissions().mode() & 0o777, 0o640);
        assert!(!etc.join("resolv.conf").exists() && ours(root.path(), "eth0").is_empty());
    }

    #[test]
    fn nothing_of_a_former_owner_stays_in_the_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        fs::create_dir_all(root.join("etc")).expect("made");
        fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n192.0.2.9 other\n").expect("written");
        write(&plan(root, "eth0", &settings()).expect("planned")).expect("written");
        for _ in 0..2 {
            forget(root, "eth0", &settings()).expect("forgotten");
            let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
            assert_eq!(read("etc/hosts"), "127.0.0.1 localhost\n192.0.2.9 other\n");
            assert_eq!(read("etc/hostname"), "localhost\n");
            assert!(ours(root, "eth0").is_empty());
        }
    }

    #[test]
    fn a_resolver_daemons_link_is_left_alone() {
        let root = tempfile::tempdir().expect("a folder");
        fs::create_dir(root.path().join("etc")).expect("made");
        symlink("../run/stub", root.path().join("etc/resolv.conf")).expect("linked");
        let files = plan(root.path(), "eth0", &settings()).expect("planned");
        assert!(files.iter().all(|file| !file.path.ends_with("resolv.conf")));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let root = tempfile::tempdir().expect("a folder");
        fs::write(root.path().join("etc"), "not a folder").expect("written");
        let file = NewFile { path: root.path().join("etc/hostname"), text: String::new() };
        let error = write(&[file]).expect_err("refused");
        assert!(error.to_string().contains("etc/hostname"), "{error}");
    }
}
