//! What changed of what an operator sees, since a moment that they name.

use super::{appliances, audit, rows};
use crate::error::StoreError;
use crate::operators::access::{OperatorId, visible};
use crate::store::fleet::{self, OwnedAppliance};
use rusqlite::{Connection, params};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Changed appliances that are told one by one. Whoever missed more reads anew.
const MOST_APPLIANCES: usize = 200;
/// Messages older than this are over, seconds: none waits longer than seven days.
const MESSAGES_S: u64 = 8 * 86_400;

/// How far somebody has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    revision: u64,
    audit: u64,
    /// What the messages that they see add up to: rows of the queue carry no revision.
    messages: u64,
}

/// What they are told.
pub(crate) struct News {
    pub(crate) cursor: Cursor,
    /// They know nothing, or nothing that could be followed up.
    pub(crate) is_start: bool,
    pub(crate) appliances: Vec<OwnedAppliance>,
    pub(crate) kinds: BTreeSet<String>,
}

/// What is new for `reader`.
pub(crate) fn after(db: &Connection, now: u64, reader: OperatorId, cursor: Option<Cursor>) -> Result<News, StoreError> {
    let current = Cursor {
        revision: super::revision(db)?,
        audit: audit::last(db)?.map_or(0, |(seq, _)| seq),
        messages: messages(db, now, reader)?,
    };
    let start = News { cursor: current, is_start: true, appliances: Vec::new(), kinds: BTreeSet::new() };
    // A database that was restored knows less than whoever watched it.
    let Some(before) = cursor.filter(|c| c.revision <= current.revision && c.audit <= current.audit) else {
        return Ok(start);
    };
    let appliances = changed(db, reader, before.revision)?;
    if appliances.len() > MOST_APPLIANCES {
        return Ok(start);
    }
    let mut kinds = subjects(db, reader, before.audit)?;
    if alerts_changed(db, reader, before.revision)? {
        kinds.insert("alert".to_owned());
    }
    if before.messages != current.messages {
        kinds.insert("message".to_owned());
    }
    Ok(News { cursor: current, is_start: false, appliances, kinds })
}

fn changed(db: &Connection, reader: OperatorId, after: u64) -> Result<Vec<OwnedAppliance>, StoreError> {
    let seen = visible("appliances.organisation", "appliances.site");
    let sql = format!(
        "SELECT {}, organisation FROM appliances WHERE revision > ?2 AND {seen} ORDER BY revision LIMIT ?3",
        appliances::COLUMNS
    );
    rows(db, &sql, params![reader, after, MOST_APPLIANCES as i64 + 1], fleet::owned_appliance)
}

fn alerts_changed(db: &Connection, reader: OperatorId, after: u64) -> Result<bool, StoreError> {
    let seen = visible("s.organisation", "s.id");
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM alerts a JOIN sites s ON s.id = a.site WHERE a.revision > ?2 AND {seen})"
    );
    Ok(db.prepare_cached(&sql)?.query_row(params![reader, after], |row| row.get(0))?)
}

/// How the subjects of what was recorded begin.
fn subjects(db: &Connection, reader: OperatorId, after: u64) -> Result<BTreeSet<String>, StoreError> {
    let seen = visible("audit.organisation", "audit.site");
    let sql = format!(
        "SELECT DISTINCT substr(subject, 1, instr(subject || ':', ':') - 1) FROM audit WHERE seq > ?2 AND {seen}"
    );
    let found = rows(db, &sql, params![reader, after], |row| Ok::<_, StoreError>(row.get::<_, String>(0)?))?;
    Ok(found.into_iter().collect())
}

fn messages(db: &Connection, now: u64, reader: OperatorId) -> Result<u64, StoreError> {
    let sql = format!(
        "SELECT count(*), coalesce(sum((fetched IS NOT NULL) + (taken IS NOT NULL) + (finished IS NOT NULL)
         + (state = 'cancelled') + (state = 'waiting' AND expires < ?3)), 0)
         FROM consoles JOIN queue ON queue.console = consoles.id AND queue.number > ?2 WHERE {}",
        fleet::console_seen()
    );
    let since = now.saturating_sub(MESSAGES_S) * 1_000;
    let sums: (u64, u64) =
        db.prepare_cached(&sql)?.query_row(params![reader, since, now], |row| Ok((row.get(0)?, row.get(1)?)))?;
    // Each message goes through at most five of these.
    Ok(sums.0 * 8 + sums.1)
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.revision, self.audit, self.messages)
    }
}

/// No cursor of ours.
#[derive(Debug)]
pub(crate) struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;
    fn from_str(text: &str) -> Result<Cursor, NoCursor> {
        let numbers: Vec<u64> =
            text.split('.').map(|part| part.parse().map_err(|_| NoCursor)).collect::<Result<_, _>>()?;
        match numbers[..] {
            [revision, audit, messages] => Ok(Cursor { revision, audit, messages }),
            _ => Err(NoCursor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_nothing_else_is() {
        let cursor = Cursor { revision: 7, audit: 3, messages: 80 };
        assert_eq!(cursor.to_string().parse::<Cursor>().expect("ours"), cursor);
        for other in ["", "7", "7.3", "7.3.x", "7.3.80.1", "-1.3.80", "7.3.99999999999999999999"] {
            assert!(other.parse::<Cursor>().is_err(), "{other}");
        }
    }
}
