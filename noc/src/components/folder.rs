//! The files of components, each under the hash of its contents. A file has its name once all of it is on disk.

use super::ComponentError;
use super::spec::ComponentKind;
use crate::config::make_folder;
use crate::random;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// In the NOC's data folder.
pub(crate) const FOLDER: &str = "components";
const PARTIAL: &str = "partial";
/// After this time nobody is still writing a file, or about to name it in the database.
const LEFT_OVER: Duration = Duration::from_secs(86_400);
const CHUNK: usize = 1 << 16;

/// A file that was taken in.
pub(crate) struct Taken {
    pub(crate) hash: [u8; 32],
    pub(crate) size: u64,
    /// Bytes once it is unpacked, as far as the file says.
    pub(crate) unpacked: Option<u64>,
}

/// Where the file with a hash is.
pub(crate) fn path(data: &Path, sha256: &str) -> PathBuf {
    data.join(FOLDER).join(sha256)
}

/// Copies a file in. When it fails, or is cut short, nothing has a name.
pub(crate) fn take(data: &Path, from: &Path, kind: ComponentKind) -> Result<Taken, ComponentError> {
    let folder = data.join(FOLDER);
    make_folder(&folder).map_err(|source| ComponentError::Write { path: folder.clone(), source })?;
    let number = random::bytes::<8>().map_err(|_| ComponentError::NoEntropy)?;
    let beside = folder.join(format!("{}.{PARTIAL}", HEXLOWER.encode(&number)));
    let taken = copy(from, &beside, kind).and_then(|taken| {
        let named = path(data, &HEXLOWER.encode(&taken.hash));
        let moved = fs::rename(&beside, &named).and_then(|()| File::open(&folder)?.sync_all());
        moved.map_err(|source| ComponentError::Write { path: named, source })?;
        Ok(taken)
    });
    if taken.is_err() {
        // The first error is the one that matters.
        let _ = fs::remove_file(&beside);
    }
    taken
}

fn copy(from: &Path, to: &Path, kind: ComponentKind) -> Result<Taken, ComponentError> {
    let unwritten = |source| ComponentError::Write { path: to.to_owned(), source };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut copy = options.open(to).map_err(unwritten)?;
    let taken = read(from, Some(kind), |part| copy.write_all(part).map_err(unwritten))?;
    copy.sync_all().map_err(unwritten)?;
    Ok(taken)
}

/// What a file would be taken in as. Nothing is copied.
pub(crate) fn look(from: &Path, kind: ComponentKind) -> Result<Taken, ComponentError> {
    read(from, Some(kind), |_| Ok(()))
}

/// The hash and the size of a file, whatever it is.
pub(crate) fn hash(from: &Path) -> Result<([u8; 32], u64), ComponentError> {
    read(from, None, |_| Ok(())).map(|taken| (taken.hash, taken.size))
}

fn read(
    from: &Path,
    kind: Option<ComponentKind>,
    mut to: impl FnMut(&[u8]) -> Result<(), ComponentError>,
) -> Result<Taken, ComponentError> {
    let unread = |source| ComponentError::Read { path: from.to_owned(), source };
    let mut source = File::open(from).map_err(unread)?;
    if !source.metadata().map_err(unread)?.is_file() {
        return Err(ComponentError::invalid("file", "is no file"));
    }
    let (mut hash, mut size, mut last) = (Sha256::new(), 0u64, [0u8; 4]);
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = source.read(&mut buffer).map_err(unread)?;
        let part = buffer.get(..read).unwrap_or_default();
        if let Some(kind) = kind.filter(|_| size == 0) {
            kind.check(part)?;
        }
        if read == 0 {
            break;
        }
        hash.update(part);
        to(part)?;
        size += read as u64;
        for byte in part.iter().skip(read.saturating_sub(4)) {
            last.rotate_left(1);
            last[3] = *byte;
        }
    }
    // RFC 1952: a gzip file ends with the size of what is in it, modulo 2^32.
    let unpacked = (kind == Some(ComponentKind::Archive) && size < u64::from(u32::MAX) / 8)
        .then(|| u32::from_le_bytes(last).into());
    Ok(Taken { hash: hash.finalize().into(), size, unpacked })
}

/// Deletes files that no component has any more, and what was cut short, once they are a day old; how many.
pub(crate) fn sweep(data: &Path, wanted: &[String]) -> io::Result<usize> {
    let folder = data.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut gone = 0;
    for entry in entries {
        let entry = entry?;
        let is_old = |at: SystemTime| at.elapsed().is_ok_and(|age| age > LEFT_OVER);
        let is_wanted = entry.file_name().to_str().is_some_and(|name| wanted.iter().any(|known| known == name));
        if !is_wanted && entry.metadata()?.modified().is_ok_and(is_old) {
            fs::remove_file(entry.path())?;
            gone += 1;
        }
    }
    Ok(gone)
}

/// Which of the files that are wanted are missing, or of another size.
pub(crate) fn missing<'a>(data: &Path, wanted: impl Iterator<Item = (&'a str, u64)>) -> Vec<String> {
    let is_there = |sha256: &str, size: u64| fs::metadata(path(data, sha256)).is_ok_and(|found| found.len() == size);
    wanted.filter(|(sha256, size)| !is_there(sha256, *size)).map(|(sha256, _)| sha256.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_under_its_hash_or_not_at_all() {
        let data = tempfile::TempDir::new().expect("folder");
        let from = data.path().join("from");
        let mut text = vec![0x1f, 0x8b];
        text.resize(CHUNK + 1, 7);
        text.extend(1_234_567u32.to_le_bytes());
        fs::write(&from, &text).expect("written");
        let taken = take(data.path(), &from, ComponentKind::Archive).expect("taken");
        assert_eq!((taken.size, taken.unpacked), (text.len() as u64, Some(1_234_567)));
        assert_eq!(<[u8; 32]>::from(Sha256::digest(&text)), taken.hash);
        let name = HEXLOWER.encode(&taken.hash);
        assert_eq!(fs::read(path(data.path(), &name)).expect("there"), text);
        assert!(matches!(take(data.path(), &from, ComponentKind::Deb), Err(ComponentError::Invalid { .. })));
        assert!(matches!(take(data.path(), data.path(), ComponentKind::Deb), Err(ComponentError::Invalid { .. })));
        fs::write(&from, b"").expect("written");
        assert!(take(data.path(), &from, ComponentKind::Exec).is_err(), "an empty one");
        assert!(take(data.path(), &data.path().join("none"), ComponentKind::Exec).is_err());
        let left: Vec<_> = fs::read_dir(data.path().join(FOLDER)).expect("listed").collect();
        assert_eq!(left.len(), 1);
        assert!(missing(data.path(), [(name.as_str(), taken.size)].into_iter()).is_empty());
        assert_eq!(missing(data.path(), [(name.as_str(), 1), ("ab", 1)].into_iter()), [name.as_str(), "ab"]);
        assert_eq!(sweep(data.path(), &[]).expect("swept"), 0, "it may be about to be named");
        let old = SystemTime::now() - 2 * LEFT_OVER;
        File::options()
            .write(true)
            .open(path(data.path(), &name))
            .and_then(|file| file.set_modified(old))
            .expect("old");
        assert_eq!(sweep(data.path(), &[name]).expect("swept"), 0);
        assert_eq!(sweep(data.path(), &[]).expect("swept"), 1);
    }
}
