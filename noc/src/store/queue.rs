//! The message queue: what waits for consoles, and what became of it (decision 0027).

use super::{audit, consoles, from_word, word};
use crate::api::{Page, Window};
use crate::audit::{By, Event};
use crate::error::StoreError;
use crate::operators::access::Place;
use crate::queue::{MessageView, Standing};
use muster_protocol::id::ConsoleId;
use muster_protocol::queue::{
    MAX_ANSWER, MOST_MESSAGES, Message, MessageHead, MessageNumber, MessageReport, MessageState, Order, SignedMessage,
};
use muster_protocol::text::misleads;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Messages of one console that are remembered.
const MOST_KEPT: i64 = 1_000;
/// Longest stable word, and longest sentence, of a console, in characters.
const MAX_CODE: usize = 64;
const MAX_DETAIL: usize = 500;

const COLUMNS: &str = "console, number, said, issued, expires, fetched, taken, finished, state, code, detail, answer";

/// Adds a message, numbered and signed.
pub(crate) fn add(
    db: &Connection,
    now_ms: u64,
    console: ConsoleId,
    order: Order,
    expires: u64,
    sign: impl FnOnce(&Message) -> Vec<u8>,
) -> Result<MessageNumber, StoreError> {
    let sql = "SELECT coalesce(max(number), 0) FROM queue WHERE console = ?1";
    let last: u64 = db.prepare_cached(sql)?.query_row([console.0], |row| row.get(0))?;
    // Numbers follow the clock, so that a NOC restored from an old copy goes on above what its consoles remember.
    let number = MessageNumber(now_ms.max(last + 1));
    let head = MessageHead { console, number, issued: now_ms / 1_000, expires };
    let message = Message { head, order };
    let said = serde_json::to_string(&message.order).map_err(|_| StoreError::Corrupt { what: "message" })?;
    let sql = "INSERT INTO queue (console, number, said, signed, issued, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    db.prepare_cached(sql)?.execute(params![
        console.0,
        number.0,
        said,
        sign(&message),
        message.head.issued,
        expires
    ])?;
    let sql = "DELETE FROM queue WHERE console = ?1 AND state <> 'taken' AND (state <> 'waiting' OR expires < ?3) AND number <=
               (SELECT number FROM queue WHERE console = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)";
    db.prepare_cached(sql)?.execute(params![console.0, MOST_KEPT, message.head.issued])?;
    super::next_revision(db)?;
    Ok(number)
}

/// How many messages wait for a console.
pub(crate) fn waiting(db: &Connection, now: u64, console: ConsoleId) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM queue WHERE console = ?1 AND state = 'waiting' AND expires >= ?2";
    Ok(db.prepare_cached(sql)?.query_row(params![console.0, now], |row| row.get(0))?)
}

/// What waits for a console above a number, in order; and whether any of it goes out for the first time.
pub(crate) fn due(
    db: &Connection,
    now: u64,
    console: ConsoleId,
    after: MessageNumber,
) -> Result<(Vec<SignedMessage>, bool), StoreError> {
    let sql = "SELECT number, signed, fetched IS NULL FROM queue
               WHERE console = ?1 AND number > ?2 AND state = 'waiting' AND expires >= ?3 ORDER BY number LIMIT ?4";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![console.0, after.0, now, MOST_MESSAGES as i64])?;
    let (mut messages, mut is_new) = (Vec::new(), false);
    while let Some(row) = rows.next()? {
        let message = data_encoding::BASE64.encode(&row.get::<_, Vec<u8>>(1)?);
        messages.push(SignedMessage { number: MessageNumber(row.get(0)?), message });
        is_new |= row.get::<_, bool>(2)?;
    }
    Ok((messages, is_new))
}

/// These went out.
pub(crate) fn fetched(
    db: &Connection,
    now: u64,
    console: ConsoleId,
    messages: &[SignedMessage],
) -> Result<(), StoreError> {
    let sql = "UPDATE queue SET fetched = ?3 WHERE console = ?1 AND number = ?2 AND fetched IS NULL";
    let mut statement = db.prepare_cached(sql)?;
    for message in messages {
        statement.execute(params![console.0, message.number.0, now])?;
    }
    Ok(())
}

/// A console says what became of messages. They only ever go on: what is finished stays so.
pub(crate) fn report(
    db: &Connection,
    now: u64,
    console: ConsoleId,
    reports: &[MessageReport],
) -> Result<(), StoreError> {
    let sql =
        "UPDATE queue SET state = ?3, taken = coalesce(taken, ?4), finished = ?5, code = ?6, detail = ?7, answer = ?8
               WHERE console = ?1 AND number = ?2
               AND (state IN ('waiting', 'cancelled') OR (state = 'taken' AND ?3 <> 'taken'))";
    let mut statement = db.prepare_cached(sql)?;
    let mut changed = 0;
    for report in reports {
        let finished = (report.state != MessageState::Taken).then_some(now);
        let answer = report.answer.as_deref().filter(|answer| answer.len() <= MAX_ANSWER).map(|a| plain(a, MAX_ANSWER));
        let kept = statement.execute(params![
            console.0,
            report.number.0,
            word(&report.state),
            now,
            finished,
            plain(&report.code, MAX_CODE),
            plain(&report.detail, MAX_DETAIL),
            answer
        ])?;
        if kept > 0 {
            let action = match report.state {
                MessageState::Taken => "queue.taken",
                MessageState::Done => "queue.done",
                MessageState::Failed => "queue.failed",
            };
            let place = consoles::organisation(db, console)?.map_or(Place::NOC, Place::organisation);
            let event = Event::new(place, action, format!("console:{console} message:{}", report.number));
            let detail = serde_json::json!({ "code": plain(&report.code, MAX_CODE) });
            audit::record(db, now, &By::console(console), event.with(detail))?;
        }
        changed += kept;
    }
    if changed > 0 {
        super::next_revision(db)?;
    }
    Ok(())
}

/// Takes back a message that its console has not taken; false when it has.
pub(crate) fn cancel(db: &Connection, console: ConsoleId, number: MessageNumber) -> Result<bool, StoreError> {
    let sql = "UPDATE queue SET state = 'cancelled' WHERE console = ?1 AND number = ?2 AND state = 'waiting'";
    let changed = db.prepare_cached(sql)?.execute(params![console.0, number.0])?;
    if changed > 0 {
        super::next_revision(db)?;
    }
    Ok(changed > 0)
}

/// One message.
pub(crate) fn find(
    db: &Connection,
    now: u64,
    console: ConsoleId,
    number: MessageNumber,
) -> Result<Option<MessageView>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM queue WHERE console = ?1 AND number = ?2");
    let mut statement = db.prepare_cached(&sql)?;
    statement.query_row(params![console.0, number.0], |row| Ok(read(row, now))).optional()?.transpose()
}

/// The newest messages, of one console or of all, newest first.
pub(crate) fn newest(
    db: &Connection,
    now: u64,
    console: Option<ConsoleId>,
    limit: usize,
) -> Result<Vec<MessageView>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM queue WHERE ?1 IS NULL OR console = ?1 ORDER BY number DESC, console LIMIT ?2");
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params![console.map(|id| id.0), limit as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row, now)?);
    }
    Ok(found)
}

/// Messages of one console, newest first.
pub(crate) fn page(
    db: &Connection,
    now: u64,
    console: ConsoleId,
    window: Window,
) -> Result<Page<MessageView>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM queue WHERE console = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3");
    let asked = params![console.0, window.after.unwrap_or(i64::MAX), window.rows()];
    let found = super::rows(db, &sql, asked, |row| read(row, now))?;
    Ok(Page::of(found, window.limit, |message| i64::try_from(message.number.0).unwrap_or(i64::MAX)))
}

fn read(row: &Row<'_>, now: u64) -> Result<MessageView, StoreError> {
    let said: String = row.get(2)?;
    let order: Order = serde_json::from_str(&said).map_err(|_| StoreError::Corrupt { what: "message" })?;
    let (expires, fetched): (u64, Option<u64>) = (row.get(4)?, row.get(5)?);
    let standing = match (row.get::<_, String>(8)?.as_str(), fetched) {
        ("waiting", _) if expires < now => Standing::Expired,
        ("waiting", Some(_)) => Standing::Fetched,
        (state, _) => from_word("message", state)?,
    };
    Ok(MessageView {
        console: ConsoleId(row.get(0)?),
        number: MessageNumber(row.get(1)?),
        name: order.name(),
        order,
        issued: row.get(3)?,
        expires,
        fetched,
        taken: row.get(6)?,
        finished: row.get(7)?,
        state: standing,
        code: row.get(9)?,
        detail: row.get(10)?,
        answer: row.get(11)?,
    })
}

/// Text of a console, for terminals and pages.
fn plain(text: &str, most: usize) -> String {
    text.chars().filter(|c| !misleads(*c)).take(most).collect()
}
