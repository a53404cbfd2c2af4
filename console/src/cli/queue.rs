//! `muster run` and `muster queue`: a console that nobody sits at, and what the NOC had it do.

use super::status::time;
use super::{CommandError, Context, Exit, Streams, table, write_json};
use crate::engine::EngineError;
use crate::view::{Event, MessageRow, RowMessageState};
use std::collections::BTreeMap;

/// Until it is told to stop.
pub(super) async fn run(context: &Context, streams: &mut Streams<'_>) -> Result<Exit, CommandError> {
    let engine = context.working().await?;
    // Without a NOC there is nobody to stand by for.
    if !engine.has_joined() {
        engine.shutdown().await;
        return Err(EngineError::NotJoined.into());
    }
    let (_, mut events) = engine.subscribe();
    let mut told: BTreeMap<String, RowMessageState> =
        engine.messages().into_iter().map(|row| (row.number, row.state)).collect();
    writeln!(streams.err, "Standing by for the NOC. Stop with Ctrl+C.")?;
    let mut stop = std::pin::pin!(stopped());
    loop {
        tokio::select! {
            () = &mut stop => break,
            batch = events.next() => {
                let Some(batch) = batch else { break };
                if !batch.iter().any(|event| matches!(event, Event::Messages { .. })) {
                    continue;
                }
                for row in engine.messages().into_iter().rev() {
                    if told.insert(row.number.clone(), row.state) == Some(row.state) {
                        continue;
                    }
                    if context.json {
                        write_json(streams.out, &row)?;
                    } else {
                        writeln!(streams.out, "{}", cells(&row).join("  ").trim_end())?;
                    }
                    streams.out.flush()?;
                }
            }
        }
    }
    engine.shutdown().await;
    Ok(Exit::Success)
}

/// Also while a window or `run` is open.
pub(super) async fn queue(context: &Context, streams: &mut Streams<'_>) -> Result<Exit, CommandError> {
    let engine = context.asking().await?;
    let rows = engine.stored_messages().await;
    engine.shutdown().await;
    let rows = rows?;
    if context.json {
        write_json(streams.out, &rows)?;
    } else {
        let rows: Vec<_> = rows.iter().map(cells).collect();
        table::write(streams.out, ["MESSAGE", "CAME", "WHAT", "APPLIANCE", "STATE", "RESULT"], &rows)?;
    }
    Ok(Exit::Success)
}

fn cells(row: &MessageRow) -> [String; 6] {
    let state = match row.state {
        RowMessageState::Taken => "under way",
        RowMessageState::Done => "done",
        RowMessageState::Failed => "failed",
    };
    let result = match (&row.problem, row.found) {
        (Some(problem), _) => format!("{} {}", problem.message, problem.remedy),
        (None, Some(1)) => "1 appliance".to_owned(),
        (None, Some(count)) => format!("{count} appliances"),
        (None, None) => String::new(),
    };
    let what = if row.name.is_empty() { "not understood" } else { &row.name };
    let cells = [row.number.clone(), time(row.received), what.to_owned(), row.mac.clone(), state.to_owned(), result];
    cells.map(|cell| table::printable(&cell).to_string())
}

/// Ctrl+C, or the system's wish.
async fn stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
