//! The system files that settings are written to, and their former contents.

use super::NetworkError;
use crate::storage;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// First line of files that are wholly ours.
pub(super) const MARK: &str = "# Written by muster-agent. It is replaced at the next configuration.";

/// A file as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FormerFile {
    path: PathBuf,
    contents: Option<Contents>,
    /// Where it led, if it was a symbolic link.
    #[serde(default)]
    link: Option<PathBuf>,
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
    pub(super) mode: u32,
}

/// Reads what is there now, to be restored.
pub(super) fn remember(path: &Path) -> Result<FormerFile, NetworkError> {
    let failed = |source| NetworkError::File { action: "read", path: path.to_owned(), source };
    if path.is_symlink() {
        let link = Some(fs::read_link(path).map_err(failed)?);
        return Ok(FormerFile { path: path.to_owned(), contents: None, link });
    }
    let contents = match fs::read(path) {
        Ok(bytes) => {
            let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o7777;
            Some(Contents { base64: BASE64.encode(&bytes), mode })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    Ok(FormerFile { path: path.to_owned(), contents, link: None })
}

impl FormerFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its text, if it was a file.
    pub(super) fn text(&self) -> Option<String> {
        let bytes = BASE64.decode(self.contents.as_ref()?.base64.as_bytes()).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn is_as_it_was(&self) -> bool {
        remember(&self.path).is_ok_and(|now| now == *self)
    }

    fn restore(&self) -> Result<(), NetworkError> {
        let path = &self.path;
        let failed = |action| move |source| NetworkError::File { action, path: path.clone(), source };
        // What is as it was is not written again: on a disk that is full or read-only it could not be.
        let is_as_it_was = self.is_as_it_was();
        match (&self.contents, &self.link) {
            (Some(_), _) if is_as_it_was => storage::keep(path).map_err(failed("written")),
            (None, Some(_)) if is_as_it_was => Ok(()),
            (Some(Contents { base64, mode }), _) => {
                let bytes = BASE64.decode(base64.as_bytes()).map_err(|_| NetworkError::Former)?;
                put(path, &bytes, *mode)
            }
            (None, Some(target)) => {
                storage::remove(path).map_err(failed("removed"))?;
                std::os::unix::fs::symlink(target, path).map_err(failed("written"))
            }
            // The folder may have come with the file.
            (None, None) if path.parent().is_some_and(Path::exists) => storage::remove(path).map_err(failed("removed")),
            (None, None) => Ok(()),
        }
    }
}

/// Writes the files.
pub(super) fn write(files: &[NewFile]) -> Result<(), NetworkError> {
    for NewFile { path, text, mode } in files {
        put(path, text.as_bytes(), *mode)?;
    }
    Ok(())
}

/// Whether every file is as it was.
pub(super) fn are_as_they_were(files: &[FormerFile]) -> bool {
    files.iter().all(FormerFile::is_as_it_was)
}

/// Puts every file back; goes on after an error and returns the first.
pub(super) fn restore(files: &[FormerFile]) -> Result<(), NetworkError> {
    let mut result = Ok(());
    for file in files {
        result = result.and(file.restore());
    }
    result
}

/// Removes files; a missing one is fine.
pub(super) fn remove(paths: &[PathBuf]) -> Result<(), NetworkError> {
    for path in paths {
        let removed = storage::remove(path);
        removed.map_err(|source| NetworkError::File { action: "removed", path: path.clone(), source })?;
    }
    Ok(())
}

/// Those of the files that are wholly ours.
pub(super) fn ours(candidates: Vec<PathBuf>) -> Vec<PathBuf> {
    let is_ours = |path: &PathBuf| fs::read_to_string(path).is_ok_and(|text| text.starts_with(MARK));
    candidates.into_iter().filter(is_ours).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn new(path: PathBuf, text: &str, mode: u32) -> NewFile {
        NewFile { path, text: text.to_owned(), mode }
    }

    #[test]
    fn files_are_written_and_come_back_exactly() {
        let root = tempfile::tempdir().expect("a folder");
        let path = |name: &str| root.path().join(name);
        fs::write(path("bytes"), b"old\xff").expect("written");
        fs::set_permissions(path("bytes"), fs::Permissions::from_mode(0o640)).expect("set");
        symlink("../elsewhere", path("link")).expect("linked");
        fs::write(path("same"), "same").expect("written");

        let new = [
            new(path("bytes"), "new", 0o644),
            new(path("link"), "new", 0o644),
            new(path("below/folder/secret"), MARK, 0o600),
        ];
        let paths = ["bytes", "link", "below/folder/secret", "same"];
        let former: Vec<FormerFile> = paths.iter().map(|name| remember(&path(name)).expect("read")).collect();
        let stored = serde_json::to_string(&former).expect("serialises");
        write(&new).expect("written");
        assert_eq!(fs::read(path("bytes")).expect("there"), b"new");
        assert_eq!(fs::metadata(path("below/folder/secret")).expect("there").permissions().mode() & 0o777, 0o600);
        let candidates = paths.iter().map(|name| path(name)).collect();
        assert_eq!(ours(candidates), [path("below/folder/secret")]);
        let untouched = fs::metadata(path("same")).expect("there").modified().expect("a time");

        let former: Vec<FormerFile> = serde_json::from_str(&stored).expect("parses");
        restore(&former).expect("restored");
        let now: Vec<FormerFile> = paths.iter().map(|name| remember(&path(name)).expect("read")).collect();
        assert_eq!(now, former);
        assert_eq!(fs::read(path("bytes")).expect("there"), b"old\xff");
        assert_eq!(fs::metadata(path("bytes")).expect("there").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_link(path("link")).expect("a link"), Path::new("../elsewhere"));
        assert_eq!(fs::metadata(path("same")).expect("there").modified().expect("a time"), untouched);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let root = tempfile::tempdir().expect("a folder");
        fs::write(root.path().join("etc"), "not a folder").expect("written");
        let error = write(&[new(root.path().join("etc/hostname"), "", 0o644)]).expect_err("refused");
        assert!(error.to_string().contains("etc/hostname"), "{error}");
    }
}
