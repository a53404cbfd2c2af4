//! Application counters: files in the Prometheus text format that applications drop into a folder.
//!
//! An application writes a file beside and renames it in. Whatever is wrong in one line costs that line only; sizes are
//! bounded, for a beat must stay small whatever applications do.

use muster_protocol::text::misleads;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Most bytes read of one file.
pub const MAX_FILE: u64 = 16 * 1024;
/// Most counters in one beat.
pub const MAX_COUNTERS: usize = 64;
/// Longest name with its labels, bytes.
pub const MAX_NAME: usize = 128;
/// Most bytes that all counters together take in a beat.
pub const MAX_BYTES: usize = 8 * 1024;

const MAX_FILES: usize = 256;
/// Most labels of one counter.
const MAX_LABELS: usize = 8;

/// Adds the counters in all files of `folder`, in the order of file names; a name that comes twice keeps its first value.
pub fn read(folder: &Path, counters: &mut BTreeMap<String, f64>) {
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
        let bad = add(counters, &text);
        if bad > 0 {
            tracing::warn!(file = %path.display(), lines = bad, "counter lines left out: expected `name{{label=\"text\"}} value`, and not too many");
        }
    }
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
    let mut room = MAX_BYTES.saturating_sub(counters.keys().map(|name| size(name)).sum());
    // `# HELP` and `# TYPE` are for people and other programs.
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut bad = 0;
    for line in lines {
        match counter(line) {
            Some((name, _)) if counters.contains_key(&name) => {}
            Some((name, value)) if counters.len() < MAX_COUNTERS && size(&name) <= room => {
                room -= size(&name);
                counters.insert(name, value);
            }
            _ => bad += 1,
        }
    }
    bad
}

/// What a counter takes in JSON at most: every quote and backslash of the name is written as two.
fn size(name: &str) -> usize {
    const LONGEST_NUMBER: usize = 25;
    let escaped = name.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    name.len() + escaped + LONGEST_NUMBER + r#""":,"#.len()
}

/// `name value`, `name{label="text",…} value`, each with or without a timestamp, which says nothing that a beat does not.
fn counter(line: &str) -> Option<(String, f64)> {
    let end = line.find(|c: char| !is_name(c))?;
    let (name, rest) = line.split_at(end);
    if name.is_empty() {
        return None;
    }
    let (name, rest) = match rest.trim_start().strip_prefix('{') {
        Some(rest) => {
            let (labels, rest) = labels(rest)?;
            (with_labels(name, labels), rest)
        }
        None => (name.to_owned(), rest.strip_prefix(char::is_whitespace)?),
    };
    let mut words = rest.split_whitespace();
    let value: f64 = words.next()?.parse().ok()?;
    let timestamp = words.next().map(str::parse::<i64>);
    let whole = words.next().is_none() && timestamp.is_none_or(|parsed| parsed.is_ok());
    (whole && name.len() <= MAX_NAME && value.is_finite()).then_some((name, value))
}

/// Wider than Prometheus's own names, for other applications have dots in theirs.
fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/')
}

/// Labels up to the closing brace, their texts as they are written, and what follows.
fn labels(mut rest: &str) -> Option<(BTreeMap<&str, &str>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (label, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?);
        let (text, after) = quoted(after.trim_start().strip_prefix('=')?.trim_start())?;
        if label.is_empty() || label.starts_with(|c: char| c.is_ascii_digit()) || labels.len() == MAX_LABELS {
            return None;
        }
        if labels.insert(label, text).is_some() {
            return None;
        }
        rest = after.trim_start();
        rest = rest.strip_prefix(',').or_else(|| rest.starts_with('}').then_some(rest))?;
    }
}

/// A text in quotes, without them but with its escapes (`\\`, `\"`, `\n`), and what follows.
fn quoted(rest: &str) -> Option<(&str, &str)> {
    let rest = rest.strip_prefix('"')?;
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        match c {
            _ if misleads(c) => return None,
            _ if escaped => {
                if !matches!(c, '\\' | '"' | 'n') {
                    return None;
                }
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((&rest[..at], &rest[at + 1..])),
            _ => {}
        }
    }
    None
}

/// One form for one counter, in whatever order its labels come.
fn with_labels(name: &str, labels: BTreeMap<&str, &str>) -> String {
    if labels.is_empty() {
        return name.to_owned();
    }
    let labels: Vec<String> = labels.into_iter().map(|(label, text)| format!("{label}=\"{text}\"")).collect();
    format!("{name}{{{}}}", labels.join(","))
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        // Where the process that beats may not look, nobody has counters for it.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => return Vec::new(),
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "the folder of counters cannot be read");
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

    fn read(folder: &Path) -> BTreeMap<String, f64> {
        let mut counters = BTreeMap::new();
        super::read(folder, &mut counters);
        counters
    }

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
    fn the_prometheus_text_format_is_understood() {
        // From the format's own description, with what is no number of use to a person left out.
        let text = r#"
# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{code="400", method="post",} 3 1395066363000
# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9
metric_without_timestamp_and_labels 12.47
something_weird{problem="division by zero"} +Inf -3982045
http_request_duration_seconds_bucket{le="+Inf"} 144320
rpc_duration_seconds {quantile="0.01"} 3102
empty{} 5
"#;
        let mut counters = BTreeMap::new();
        assert_eq!(add(&mut counters, text), 1, "infinity is no value");
        let expected = [
            (r#"empty"#, 5.0),
            (r#"http_request_duration_seconds_bucket{le="+Inf"}"#, 144_320.0),
            (r#"http_requests_total{code="200",method="post"}"#, 1027.0),
            (r#"http_requests_total{code="400",method="post"}"#, 3.0),
            (r#"metric_without_timestamp_and_labels"#, 12.47),
            (
                r#"msdos_file_access_time_seconds{error="Cannot find file:\n\"FILE.TXT\"",path="C:\\DIR\\FILE.TXT"}"#,
                1_458_255_915.0,
            ),
            (r#"rpc_duration_seconds{quantile="0.01"}"#, 3102.0),
        ];
        assert_eq!(counters, expected.map(|(name, value)| (name.to_owned(), value)).into());
    }

    #[test]
    fn lines_that_are_nearly_right_are_left_out() {
        let nearly = [
            "n{a=\"1\"",
            "n{a=\"1} 1",
            "n{a=1} 1",
            "n{a\"1\"} 1",
            "n{=\"1\"} 1",
            "n{1a=\"1\"} 1",
            "n{a=\"1\" b=\"2\"} 1",
            "n{a=\"1\",a=\"2\"} 1",
            "n{,} 1",
            "n{a=\"\\x\"} 1",
            "n{a=\"\\",
            "n{a=\"\u{1b}[2J\"} 1",
            "n{a=\"\u{202e}\"} 1",
            "n{} 1 now",
            "n 1 2 3",
            "n",
            "n 1e999",
            "{a=\"1\"} 1",
            "n} 1",
        ];
        for line in nearly {
            let mut counters = BTreeMap::new();
            assert_eq!((add(&mut counters, line), counters.len()), (1, 0), "{line}");
        }
        let nine: Vec<String> = (0..=MAX_LABELS).map(|n| format!("l{n}=\"\"")).collect();
        assert_eq!(counter(&format!("n{{{}}} 1", nine.join(","))), None);
    }

    #[test]
    fn a_beat_stays_small_whatever_applications_write() {
        let mut counters = BTreeMap::new();
        let text: String = (0..200).map(|n| format!("counter{n:03} {n}\n")).collect();
        assert_eq!(add(&mut counters, &text), 200 - MAX_COUNTERS);
        assert_eq!(counters.len(), MAX_COUNTERS);
        assert_eq!(add(&mut counters, "counter000 1"), 0, "it is there already");
        assert_eq!(add(&mut BTreeMap::new(), &format!("{} 1", "n".repeat(MAX_NAME + 1))), 1);

        // The longest names, of what grows most in JSON, from several files.
        let mut counters = BTreeMap::new();
        for file in 0..4 {
            let hostile = |n| format!("n{file}{n:02}{{l=\"{}\"}} -1.2345678901234567e-308\n", "\\\\".repeat(55));
            assert!(add(&mut counters, &(0..50).map(hostile).collect::<String>()) > 0);
        }
        let bytes = serde_json::to_vec(&counters).expect("JSON").len();
        assert!((MAX_BYTES / 2..=MAX_BYTES + 2).contains(&bytes), "{bytes}");
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
