//! `muster discover`.

use super::{CommandError, Context, Exit, Streams, table, wait, write_json};
use crate::view::{ApplianceRow, RowState};

pub(super) async fn discover(context: &Context, streams: &mut Streams<'_>) -> Result<Exit, CommandError> {
    let engine = context.looking().await?;
    // Without a NOC the roll call works as well; then nobody's model or owner is known.
    let (discovery, noc) = tokio::join!(wait::discovery(&engine), wait::noc(&engine));
    let discovery = discovery?;
    let rows: Vec<_> = engine.appliances().into_iter().filter(|row| row.heard).collect();
    engine.shutdown().await;
    if context.json {
        write_json(streams.out, &serde_json::json!({ "discovery": discovery, "noc": noc, "appliances": rows }))?;
        return Ok(Exit::Success);
    }
    let cells: Vec<_> = rows.iter().map(cells).collect();
    table::write(
        streams.out,
        ["UID", "MAC", "MAKER", "MODEL", "STATE", "NAME", "ADDRESS", "HEARD AT", "CONFLICTS"],
        &cells,
    )?;
    writeln!(
        streams.err,
        "{} appliances in {:.1} s (the last new one after {:.1} s), {} rounds, about {:.0} unheard. Interfaces: {}. \
         Receive buffer: {} KiB",
        discovery.found,
        discovery.seconds,
        discovery.last_found,
        discovery.round,
        discovery.unheard,
        discovery.interfaces.join(", "),
        discovery.receive_buffer / 1_024
    )?;
    Ok(Exit::Success)
}

fn cells(row: &ApplianceRow) -> [String; 9] {
    let maker = if row.maker.is_empty() && row.mac_is_local { "(local)".to_owned() } else { row.maker.clone() };
    [
        row.uid.clone(),
        row.mac.clone(),
        maker,
        row.model.clone(),
        state_word(row.state).to_owned(),
        row.settings.host_name.clone(),
        row.settings.address.clone(),
        row.heard_at.join(" "),
        row.conflicts.join("; "),
    ]
}

pub(super) fn state_word(state: RowState) -> &'static str {
    match state {
        RowState::Unconfigured => "unconfigured",
        RowState::Unclaimed => "unclaimed",
        RowState::NoVoucher => "no voucher",
        RowState::Configuring => "configuring",
        RowState::Provisional => "provisional",
        RowState::Configured => "configured",
        RowState::Failed => "failed",
        RowState::NotHeard => "not heard",
    }
}
