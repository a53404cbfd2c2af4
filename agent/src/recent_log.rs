//! The agent's own recent log lines, in memory, for the NOC when it asks. Bounded; the oldest go first.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tracing_subscriber::fmt::MakeWriter;

/// Most bytes kept.
pub const MOST: usize = 256 * 1024;
/// A line longer than this is cut.
const LONGEST: usize = 4 * 1024;

/// The lines. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct RecentLog(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    lines: VecDeque<Box<str>>,
    bytes: usize,
}

impl RecentLog {
    /// All that is kept, oldest first, each with its line feed.
    pub fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.lines.iter().map(|line| &**line).collect()
    }

    fn keep(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(&line[..line.len().min(LONGEST)]);
        let mut text = crate::network::shown(line.trim_end_matches('\n'));
        text.push('\n');
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += text.len();
        kept.lines.push_back(text.into());
        while kept.bytes > MOST
            && let Some(oldest) = kept.lines.pop_front()
        {
            kept.bytes -= oldest.len();
        }
    }
}

/// One line in the making.
pub struct Line<'a> {
    log: &'a RecentLog,
    bytes: Vec<u8>,
}

impl io::Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.log.keep(&self.bytes);
        }
    }
}

impl<'a> MakeWriter<'a> for RecentLog {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { log: self, bytes: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn it_holds_the_newest_lines_and_no_more_than_its_size() {
        let log = RecentLog::default();
        for number in 0..10_000 {
            log.keep(format!("line {number} {}\n", "x".repeat(100)).as_bytes());
        }
        let text = log.text();
        assert!(text.len() <= MOST && text.len() > MOST - 200, "{}", text.len());
        assert!(text.ends_with(&format!("line 9999 {}\n", "x".repeat(100))) && !text.contains("line 1 "));
        log.keep(&vec![b'y'; 1_000_000]);
        assert!(log.text().len() <= MOST);
        assert_eq!(log.text().lines().last().map(str::len), Some(LONGEST));
    }

    #[test]
    fn a_line_is_one_line_and_gives_no_orders() {
        let log = RecentLog::default();
        log.keep(b"one\x1b[2J\ntwo\n");
        assert_eq!(log.text(), "one\u{fffd}[2J\u{fffd}two\n");
    }

    #[test]
    fn it_takes_what_is_logged_from_info_up() {
        let log = RecentLog::default();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(log.clone());
        let subscriber = tracing_subscriber::registry().with(LevelFilter::INFO).with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(seq = 3, "configured");
            tracing::debug!("not this");
            tracing::warn!("that");
        });
        let text = log.text();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("configured seq=3") && text.contains("WARN"), "{text}");
    }
}
