//! Unpacking an archive: a tree of folders, files and links that stay inside it, and nothing else.

use super::Problem;
use super::target::is_inside;
use flate2::read::GzDecoder;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use tar::{Archive, EntryType};

/// Most entries, and how deep they lie at most.
const MOST_ENTRIES: usize = 100_000;
const DEEPEST: usize = 32;
/// What an archive may be longer than what is in it, for its headers.
const HEADERS: u64 = 64 * 1024 * 1024;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Unpacks a tar archive, plain or gzip, into a new folder, which takes at most `most` bytes.
pub fn unpack(archive: &Path, folder: &Path, most: u64) -> Result<(), Problem> {
    let unreadable = |error: io::Error| Problem::disk("read", archive, &error);
    let mut file = File::open(archive).map_err(unreadable)?;
    let mut magic = [0; 2];
    let is_gzip = file.read_exact(&mut magic).is_ok() && magic == GZIP;
    file.rewind().map_err(unreadable)?;
    let limit = most.saturating_add(HEADERS);
    new_folder(folder).map_err(|error| Problem::disk("made", folder, &error))?;
    if is_gzip {
        entries(Archive::new(GzDecoder::new(file).take(limit)), folder, most)
    } else {
        entries(Archive::new(file.take(limit)), folder, most)
    }
}

fn entries<R: Read>(mut archive: Archive<R>, folder: &Path, most: u64) -> Result<(), Problem> {
    let broken = |error: io::Error| refused(format!("it cannot be read ({error})"));
    let mut left = most;
    for (number, entry) in archive.entries().map_err(broken)?.enumerate() {
        let mut entry = entry.map_err(broken)?;
        if number >= MOST_ENTRIES {
            return Err(refused(format!("it has more than {MOST_ENTRIES} entries")));
        }
        let named = entry.path().map_err(broken)?.into_owned();
        let Some(path) = inner(&named)? else { continue };
        let mode = entry.header().mode().map_err(broken)?;
        if mode & 0o6000 != 0 {
            return Err(refused(format!("{} would run with another's rights (setuid or setgid)", path.display())));
        }
        let at = place(folder, &path)?;
        let disk = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => refused(format!("{} is in it twice", path.display())),
            _ => Problem::disk("written", &at, &error),
        };
        match entry.header().entry_type() {
            EntryType::Directory => match new_folder(&at) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && at.is_dir() && !at.is_symlink() => {}
                made => made.map_err(disk)?,
            },
            EntryType::Regular => {
                left = left.checked_sub(entry.size()).ok_or_else(|| {
                    Problem::lasting("too_large", format!("unpacked it takes more than {most} bytes"))
                })?;
                let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&at).map_err(disk)?;
                let size = entry.size();
                if copy(&mut entry, &mut file, &at)? != size {
                    return Err(refused(format!("it ends within {}", path.display())));
                }
                // Whatever the umask; nobody but root writes, and everybody may read.
                let permissions = if mode & 0o100 != 0 { 0o755 } else { 0o644 };
                file.set_permissions(fs::Permissions::from_mode(permissions)).map_err(disk)?;
            }
            EntryType::Symlink => {
                let target = entry.link_name().map_err(broken)?.unwrap_or_default().into_owned();
                if !stays_inside(&path, &target) {
                    return Err(refused(format!("the link {} leads out of it", path.display())));
                }
                symlink(&target, &at).map_err(disk)?;
            }
            // Names that are too long for a header, and comments: read already.
            EntryType::XGlobalHeader => {}
            _ => return Err(refused(format!("{} is neither folder, file nor link", path.display()))),
        }
    }
    Ok(())
}

fn refused(text: String) -> Problem {
    Problem::lasting("archive", format!("the archive is refused: {text}. Publish it anew"))
}

/// Whatever the umask: what is installed may run as somebody else.
pub(super) fn new_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// To tell a spoilt archive from a full disk.
fn copy(from: &mut impl Read, to: &mut File, at: &Path) -> Result<u64, Problem> {
    let mut buffer = vec![0; 64 * 1024];
    let mut copied = 0;
    loop {
        let read = from.read(&mut buffer).map_err(|error| refused(format!("it cannot be read ({error})")))?;
        if read == 0 {
            return Ok(copied);
        }
        to.write_all(&buffer[..read]).map_err(|error| Problem::disk("written", at, &error))?;
        copied += read as u64;
    }
}

/// The path inside the tree; none for its root.
fn inner(named: &Path) -> Result<Option<PathBuf>, Problem> {
    let path: PathBuf = named.components().filter(|part| *part != Component::CurDir).collect();
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    if !is_inside(&path) || path.components().count() > DEEPEST {
        return Err(refused(format!("{} leads out of it, or too deep", named.display())));
    }
    Ok(Some(path))
}

/// Where an entry goes. What it lies in must be folders, and no links: nothing is written through one.
fn place(folder: &Path, path: &Path) -> Result<PathBuf, Problem> {
    let mut at = folder.to_owned();
    for part in path.parent().into_iter().flat_map(Path::components) {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(refused(format!("{} lies below a link or a file", path.display()))),
            Err(_) => {
                new_folder(&at).map_err(|error| Problem::disk("made", &at, &error))?;
            }
        }
    }
    Ok(folder.join(path))
}

/// Whether a link at `path` leads to something inside. It may go up only at its beginning: what a link in the middle leads to is
/// inside, but up from there need not be.
fn stays_inside(path: &Path, target: &Path) -> bool {
    let depth = path.components().count() - 1;
    let up = target.components().take_while(|part| *part == Component::ParentDir).count();
    let rest = target.components().skip(up);
    target.components().next().is_some()
        && up <= depth
        && rest.into_iter().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{Builder, Header};

    fn header(kind: EntryType, size: u64, mode: u32) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(mode);
        header
    }

    /// A path that `tar` itself would refuse to write.
    fn raw(builder: &mut Builder<Vec<u8>>, path: &str, mut header: Header, link: &str, contents: &[u8]) {
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        builder.append(&header, contents).expect("written");
    }

    fn unpacked(build: impl FnOnce(&mut Builder<Vec<u8>>), gzip: bool) -> (tempfile::TempDir, Result<(), Problem>) {
        let mut builder = Builder::new(Vec::new());
        build(&mut builder);
        let mut bytes = builder.into_inner().expect("a tar");
        if gzip {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&bytes).expect("packed");
            bytes = encoder.finish().expect("packed");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let archive = folder.path().join("archive");
        fs::write(&archive, bytes).expect("written");
        let result = unpack(&archive, &folder.path().join("tree"), 1024);
        (folder, result)
    }

    #[test]
    fn files_folders_and_inner_links_are_unpacked() {
        for gzip in [false, true] {
            let (folder, result) = unpacked(
                |tar| {
                    raw(tar, "./", header(EntryType::Directory, 0, 0o700), "", b"");
                    raw(tar, "./bin/run", header(EntryType::Regular, 4, 0o777), "", b"#!/x");
                    raw(tar, "share/", header(EntryType::Directory, 0, 0o777), "", b"");
                    raw(tar, "share/text", header(EntryType::Regular, 2, 0o600), "", b"hi");
                    raw(tar, "share/run", header(EntryType::Symlink, 0, 0o777), "../bin/run", b"");
                },
                gzip,
            );
            result.expect("unpacked");
            let tree = folder.path().join("tree");
            assert_eq!(fs::read(tree.join("share/run")).expect("through the link"), b"#!/x");
            let mode = |path: &str| fs::metadata(tree.join(path)).expect("there").permissions().mode() & 0o7777;
            assert_eq!((mode("bin/run"), mode("share/text"), mode("share")), (0o755, 0o644, 0o755));
        }
    }

    #[test]
    fn an_archive_that_would_write_elsewhere_or_bring_rights_is_refused() {
        let file = || header(EntryType::Regular, 1, 0o644);
        let link = || header(EntryType::Symlink, 0, 0o777);
        type Build = Box<dyn FnOnce(&mut Builder<Vec<u8>>)>;
        let one = |path: &'static str, header: Header, to: &'static str| -> Build {
            Box::new(move |tar| {
                let contents: &[u8] = if header.size().expect("set") > 0 { b"x" } else { b"" };
                raw(tar, path, header, to, contents);
            })
        };
        let attacks: Vec<(&str, Build)> = vec![
            ("up", one("../evil", file(), "")),
            ("up in the middle", one("a/../../evil", file(), "")),
            ("absolute", one("/tmp/evil", file(), "")),
            ("a link up", one("a", link(), "..")),
            ("a link up too far", one("a/b", link(), "../..")),
            ("an absolute link", one("a", link(), "/etc")),
            ("a link up by another", one("a/b", link(), "../c/..")),
            ("an empty link", one("a", link(), "")),
            ("a hard link", one("a", header(EntryType::Link, 0, 0o644), "/etc/passwd")),
            ("a device", one("a", header(EntryType::Block, 0, 0o644), "")),
            ("a terminal", one("a", header(EntryType::Char, 0, 0o644), "")),
            ("a pipe", one("a", header(EntryType::Fifo, 0, 0o644), "")),
            ("setuid", one("a", header(EntryType::Regular, 1, 0o4755), "")),
            ("setgid", one("a", header(EntryType::Directory, 0, 0o2755), "")),
            (
                "through a link",
                Box::new(move |tar| {
                    raw(tar, "inside/", header(EntryType::Directory, 0, 0o755), "", b"");
                    raw(tar, "link", header(EntryType::Symlink, 0, 0o777), "inside", b"");
                    raw(tar, "link/x", header(EntryType::Regular, 1, 0o644), "", b"x");
                }),
            ),
            (
                "twice",
                Box::new(move |tar| {
                    raw(tar, "x", header(EntryType::Symlink, 0, 0o777), "y", b"");
                    raw(tar, "x", header(EntryType::Regular, 1, 0o644), "", b"x");
                }),
            ),
        ];
        for (attack, build) in attacks {
            let (folder, result) = unpacked(build, false);
            assert_eq!(result.expect_err(attack).code, "archive", "{attack}");
            assert!(!folder.path().join("evil").exists(), "{attack}");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        for gzip in [false, true] {
            let bomb = |tar: &mut Builder<Vec<u8>>| {
                for name in ["a", "b"] {
                    raw(tar, name, header(EntryType::Regular, 600, 0o644), "", &[0; 600]);
                }
            };
            let (_, result) = unpacked(bomb, gzip);
            assert_eq!(result.expect_err("too large").code, "too_large");
        }
    }

    #[test]
    fn a_torn_archive_is_no_archive() {
        let mut tar = Builder::new(Vec::new());
        raw(&mut tar, "a", header(EntryType::Regular, 600, 0o644), "", &[7; 600]);
        let bytes = tar.into_inner().expect("a tar");
        let folder = tempfile::tempdir().expect("a folder");
        let archive = folder.path().join("archive");
        for length in [1, 300, 700] {
            fs::write(&archive, &bytes[..length]).expect("written");
            let result = unpack(&archive, &folder.path().join(length.to_string()), 1024);
            assert_eq!(result.expect_err("torn").code, "archive", "{length}");
        }
    }
}
