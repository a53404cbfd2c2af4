//! Application counters: files that applications drop into a folder, lines of `name value`.
//!
//! An application writes a file beside and renames it in. Whatever is wrong in one line costs that line only; sizes are
//! bounded, for a beat must stay small whatever applications do.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Most bytes read of one file.
pub const MAX_FILE: u64 = 16 * 1024;
/// Most counters in one beat.
pub const MAX_COUNTERS: usize = 64;
/// Longest name, bytes.
pub const MAX_NAME: usize = 64;

const MAX_FILES: usize = 256;

/// The counters in all files of `folder`, in the order of file names; a name that comes twice keeps its first value.
pub fn read(folder: &Path) -> BTreeMap<String, f64> {
    let mut counters = BTreeMap::new();
    for path in files(folder) {
        let mut text = String::new();
        let opened = open(&path).and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text));
        if let Err(error) = opened {
            tracing::warn!(file = %path.display(), %error, "counter file is not readable text");
            continue;
        }
        if text.len() as u64 > MAX_FILE {
            tracing::warn!(file = %path.display(), limit = MAX_FILE, "counter file is too long: left out");
            continue;
        }
        let bad = add(&mut counters, &text);
        if bad > 0 {
            tracing::warn!(file = %path.display(), lines = bad, "counter lines left out: expected `name value`");
        }
    }
    counters
}

/// Opens a regular file. Whoever may write to the folder may put anything there at any moment: a link to a file that only
/// root may read, or a pipe that nobody ever writes to.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(ErrorKind::InvalidInput.into()) }
}

/// Adds the counters of one file; how many lines were left out.
pub(crate) fn add(counters: &mut BTreeMap<String, f64>, text: &str) -> usize {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut bad = 0;
    for line in lines {
        match counter(line) {
            Some((name, value)) if counters.len() < MAX_COUNTERS || counters.contains_key(name) => {
                counters.entry(name.to_owned()).or_insert(value);
            }
            _ => bad += 1,
        }
    }
    bad
}

fn counter(line: &str) -> Option<(&str, f64)> {
    let (name, value) = line.split_once(char::is_whitespace)?;
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(letters) {
        return None;
    }
    let value: f64 = value.trim().parse().ok()?;
    value.is_finite().then_some((name, value))
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "counters cannot be read");
            return Vec::new();
        }
    };
    let visible = |path: &Path| !path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let mut files: Vec<_> = entries
        .take(MAX_FILES)
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .filter(|path| visible(path))
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_all_files_are_read_and_bad_lines_cost_only_themselves() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).expect("written");
        write(
            "10-mail",
            b"# of today\nmail.delivered 1200\nmail.queued\t7.5\n\nno-value\nbad name 1\nnan NaN\ninf inf\n",
        );
        write("20-other", b"mail.delivered 9\nqueue/depth -3\n\xc3\xa4 1\n");
        write(".hidden", b"hidden 1\n");
        write("30-binary", b"\xff\xfe 1\n");
        write("40-long", &b"x 1\n".repeat(MAX_FILE as usize));
        let found = read(folder.path());
        let expected = [("mail.delivered", 1200.0), ("mail.queued", 7.5), ("queue/depth", -3.0)];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)).into());
    }

    #[test]
    fn a_beat_stays_small_whatever_applications_write() {
        let mut counters = BTreeMap::new();
        let text: String = (0..200).map(|n| format!("counter{n:03} {n}\n")).collect();
        assert_eq!(add(&mut counters, &text), 200 - MAX_COUNTERS);
        assert_eq!(counters.len(), MAX_COUNTERS);
        assert_eq!(add(&mut counters, &format!("{} 1", "n".repeat(MAX_NAME + 1))), 1);
    }

    #[test]
    fn a_missing_folder_has_no_counters_and_a_pipe_does_not_block() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(read(&folder.path().join("missing")).is_empty());
        let made = std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status().expect("mkfifo runs");
        assert!(made.success());
        std::os::unix::fs::symlink("/proc/loadavg", folder.path().join("link")).expect("linked");
        assert!(read(folder.path()).is_empty());
        for name in ["pipe", "link"] {
            assert!(open(&folder.path().join(name)).is_err(), "{name} is not followed, even if it came a moment ago");
        }
    }
}
