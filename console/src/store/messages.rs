//! Messages of the NOC's queue: on disk before anything is done about them, and until the NOC knows how they ended.

use super::rows::{problem_of_text, problem_to_text};
use super::{Store, StoreError};
use crate::view::ProblemView;
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::queue::{MessageNumber, MessageReport, MessageState};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Messages that are remembered beside those that are under way.
const MOST_KEPT: u32 = 1_000;

/// Which message: the NOC's root, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageKey {
    /// The root of the NOC that wrote it.
    pub noc: PublicKey,
    /// Its number.
    pub number: MessageNumber,
}

/// A message as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMessage {
    /// Which.
    pub key: MessageKey,
    /// The order as JSON.
    pub said: String,
    /// When it came, Unix seconds.
    pub received: u64,
    /// How it stands.
    pub state: MessageState,
    /// The job it became.
    pub job: Option<u32>,
    /// When it ended.
    pub finished: Option<u64>,
    /// Why it failed.
    pub problem: Option<ProblemView>,
    /// What it returned.
    pub answer: Option<String>,
}

/// How a message ended.
#[derive(Clone, Debug, PartialEq)]
pub enum MessageEnd {
    /// Carried out; what it returns, if anything.
    Done(Option<String>),
    /// Not carried out, or without success.
    Failed(ProblemView),
}

const COLUMNS: &str = "noc, number, said, received, state, job, finished, problem, answer";

impl Store {
    /// The highest number taken from a NOC.
    pub fn last_message(&self, noc: PublicKey) -> Result<MessageNumber, StoreError> {
        let sql = "SELECT coalesce(max(number), 0) FROM message WHERE noc = ?1";
        self.reading(|db| db.query_row(sql, [noc.0], |row| row.get::<_, i64>(0)).map(|n| MessageNumber(n as u64)))
    }

    /// Takes a message, once; false when its number is not above that of every message taken before.
    pub fn take_message(&self, key: MessageKey, said: &str, received: u64) -> Result<bool, StoreError> {
        self.transaction(|tx| {
            let sql = "INSERT INTO message (noc, number, said, received) SELECT ?1, ?2, ?3, ?4
                       WHERE ?2 > (SELECT coalesce(max(number), 0) FROM message WHERE noc = ?1)";
            let taken = tx.execute(sql, params![key.noc.0, number(key), said, received as i64])?;
            let sql = "DELETE FROM message WHERE state <> 'taken' AND told = state AND number <=
                       (SELECT number FROM message WHERE noc = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2) AND noc = ?1";
            tx.execute(sql, params![key.noc.0, MOST_KEPT])?;
            Ok(taken > 0)
        })
    }

    /// Messages that have not ended, in order.
    pub fn open_messages(&self, noc: PublicKey) -> Result<Vec<StoredMessage>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM message WHERE noc = ?1 AND state = 'taken' ORDER BY number");
        self.reading(|db| list(db, &sql, params![noc.0]))
    }

    /// The newest messages of a NOC, newest first.
    pub fn messages(&self, noc: PublicKey, limit: u32) -> Result<Vec<StoredMessage>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM message WHERE noc = ?1 ORDER BY number DESC LIMIT ?2");
        self.reading(|db| list(db, &sql, params![noc.0, limit]))
    }

    /// The last configuration that came before a message.
    pub fn config_before(&self, key: MessageKey) -> Result<Option<StoredMessage>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM message WHERE noc = ?1 AND number < ?2 AND json_extract(said, '$.kind') = 'config'
             ORDER BY number DESC LIMIT 1"
        );
        self.reading(|db| db.query_row(&sql, params![key.noc.0, number(key)], read).optional())
    }

    /// A message has ended; once, the first end counts.
    pub fn end_message(&self, key: MessageKey, at: u64, end: &MessageEnd) -> Result<(), StoreError> {
        let (state, problem, answer) = match end {
            MessageEnd::Done(answer) => ("done", None, answer.as_deref()),
            MessageEnd::Failed(problem) => ("failed", Some(problem_to_text(problem)), None),
        };
        self.transaction(|tx| {
            let sql = "UPDATE message SET state = ?3, finished = ?4, problem = ?5, answer = ?6
                       WHERE noc = ?1 AND number = ?2 AND state = 'taken'";
            tx.execute(sql, params![key.noc.0, number(key), state, at as i64, problem, answer]).map(drop)
        })
    }

    /// What the NOC has still to be told, oldest first.
    pub fn untold_messages(&self, noc: PublicKey, limit: usize) -> Result<Vec<MessageReport>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM message WHERE noc = ?1 AND told <> state ORDER BY number LIMIT ?2");
        let messages = self.reading(|db| list(db, &sql, params![noc.0, limit as i64]))?;
        Ok(messages.into_iter().map(report).collect())
    }

    /// The NOC has these.
    pub fn told_messages(&self, noc: PublicKey, reports: &[MessageReport]) -> Result<(), StoreError> {
        self.transaction(|tx| {
            let mut update = tx.prepare_cached("UPDATE message SET told = ?3 WHERE noc = ?1 AND number = ?2")?;
            for report in reports {
                update.execute(params![noc.0, report.number.0 as i64, word(report.state)])?;
            }
            Ok(())
        })
    }
}

/// Within the transaction that makes the job: the message will not be carried out again.
pub(super) fn becomes_job(tx: &Connection, key: MessageKey, job: u32) -> rusqlite::Result<()> {
    let sql = "UPDATE message SET job = ?3 WHERE noc = ?1 AND number = ?2";
    tx.execute(sql, params![key.noc.0, number(key), job]).map(drop)
}

fn report(message: StoredMessage) -> MessageReport {
    let StoredMessage { key, state, problem, answer, .. } = message;
    let (code, detail) = match problem {
        Some(problem) => (problem.code, format!("{} {}", problem.message, problem.remedy).trim().to_owned()),
        None => Default::default(),
    };
    MessageReport { number: key.number, state, code, detail, answer }
}

fn list(db: &Connection, sql: &str, by: impl rusqlite::Params) -> rusqlite::Result<Vec<StoredMessage>> {
    db.prepare_cached(sql)?.query_map(by, read)?.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredMessage> {
    let problem: Option<String> = row.get(7)?;
    Ok(StoredMessage {
        key: MessageKey { noc: PublicKey(row.get(0)?), number: MessageNumber(row.get::<_, i64>(1)? as u64) },
        said: row.get(2)?,
        received: row.get::<_, i64>(3)? as u64,
        state: match row.get::<_, String>(4)?.as_str() {
            "done" => MessageState::Done,
            "failed" => MessageState::Failed,
            _ => MessageState::Taken,
        },
        job: row.get(5)?,
        finished: row.get::<_, Option<i64>>(6)?.map(|at| at as u64),
        problem: problem.as_deref().map(problem_of_text),
        answer: row.get(8)?,
    })
}

fn word(state: MessageState) -> &'static str {
    match state {
        MessageState::Taken => "taken",
        MessageState::Done => "done",
        MessageState::Failed => "failed",
    }
}

/// SQLite's integers have a sign; numbers of the NOC fit.
fn number(key: MessageKey) -> i64 {
    i64::try_from(key.number.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::problem;
    use muster_protocol::id::SiteId;

    const NOC: PublicKey = PublicKey([7; 32]);

    fn key(number: u64) -> MessageKey {
        MessageKey { noc: NOC, number: MessageNumber(number) }
    }

    #[test]
    fn a_number_is_taken_once_and_never_below_another_of_the_same_noc() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store = Store::open(folder.path()).expect("new");
        assert_eq!(store.last_message(NOC).expect("none"), MessageNumber(0));
        assert!(store.take_message(key(5), r#"{"kind":"refresh"}"#, 1).expect("taken"));
        assert!(!store.take_message(key(5), r#"{"kind":"refresh"}"#, 2).expect("again"));
        assert!(!store.take_message(key(4), r#"{"kind":"refresh"}"#, 2).expect("below"));
        let other = MessageKey { noc: PublicKey([8; 32]), number: MessageNumber(1) };
        assert!(store.take_message(other, r#"{"kind":"status"}"#, 2).expect("of another NOC"));
        drop(store);
        let store = Store::open(folder.path()).expect("again");
        assert_eq!(store.last_message(NOC).expect("kept"), MessageNumber(5));
        assert_eq!(store.open_messages(NOC).expect("open").len(), 1);
    }

    #[test]
    fn the_first_end_counts_and_is_told_until_the_noc_has_it() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store = Store::open(folder.path()).expect("new");
        for number in 1..=2 {
            assert!(store.take_message(key(number), r#"{"kind":"list","filter":"0"}"#, 1).expect("taken"));
        }
        let taken = store.untold_messages(NOC, 10).expect("untold");
        assert_eq!(taken.iter().map(|report| report.state).collect::<Vec<_>>(), [MessageState::Taken; 2]);
        store.told_messages(NOC, &taken).expect("told");
        assert_eq!(store.untold_messages(NOC, 10).expect("nothing"), []);

        store.end_message(key(1), 9, &MessageEnd::Done(Some("list".into()))).expect("done");
        let why = problem("late", "it is late", "Send it again.");
        store.end_message(key(1), 9, &MessageEnd::Failed(why.clone())).expect("ignored");
        store.end_message(key(2), 9, &MessageEnd::Failed(why)).expect("failed");
        let ended = store.untold_messages(NOC, 10).expect("untold");
        assert_eq!(
            ended.iter().map(|r| (r.state, r.answer.as_deref(), r.code.as_str())).collect::<Vec<_>>(),
            [(MessageState::Done, Some("list"), ""), (MessageState::Failed, None, "late")]
        );
        assert_eq!(ended[1].detail, "it is late Send it again.");
        // The NOC had the older word only; the newer one is still told.
        store.told_messages(NOC, &taken).expect("told late");
        assert_eq!(store.untold_messages(NOC, 10).expect("untold").len(), 2);
        store.told_messages(NOC, &ended).expect("told");
        assert_eq!(store.untold_messages(NOC, 10).expect("nothing"), []);
        assert_eq!(store.open_messages(NOC).expect("none open"), []);
    }

    #[test]
    fn a_configuration_becomes_a_job_in_one_transaction_and_status_finds_the_last() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store = Store::open(folder.path()).expect("new");
        for (number, kind) in [(1, "config"), (2, "refresh"), (3, "config"), (4, "status")] {
            assert!(store.take_message(key(number), &format!(r#"{{"kind":"{kind}"}}"#), 1).expect("taken"));
        }
        let job = store.create_job(SiteId(1), 1, &[], Some(key(3))).expect("job");
        let config = store.config_before(key(4)).expect("read").expect("found");
        assert_eq!((config.key, config.job), (key(3), Some(job)));
        assert_eq!(store.config_before(key(3)).expect("read").expect("found").key, key(1));
        assert_eq!(store.config_before(key(1)).expect("read"), None);
    }

    #[test]
    fn old_messages_are_forgotten_but_never_what_is_open_or_untold() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store = Store::open(folder.path()).expect("new");
        let many = u64::from(MOST_KEPT) + 10;
        for number in 1..=many {
            assert!(store.take_message(key(number), r#"{"kind":"refresh"}"#, 1).expect("taken"));
            if number > 2 {
                store.end_message(key(number), 2, &MessageEnd::Done(None)).expect("done");
            }
            if number != 3 {
                let told = store.untold_messages(NOC, 10).expect("untold");
                let told: Vec<_> = told.into_iter().filter(|report| report.number.0 != 3).collect();
                store.told_messages(NOC, &told).expect("told");
            }
        }
        let kept = store.messages(NOC, 10_000).expect("read");
        let numbers: Vec<u64> = kept.iter().rev().map(|message| message.key.number.0).take(4).collect();
        assert_eq!(numbers, [1, 2, 3, many - u64::from(MOST_KEPT) + 1]);
    }
}
