//! What systemd is told of the service: that it is ready, that it ends, and that it is not stuck (sd_notify(3)).

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Tells whoever started the service, if somebody wants to know.
pub(super) fn tell(state: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&name, state) {
        tracing::warn!(%error, "the service manager could not be told `{state}`");
    }
}

fn send(name: &OsStr, state: &str) -> io::Result<()> {
    let address = match name.as_bytes() {
        // A socket that has a name only.
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

/// Says again and again that the service is not stuck, twice as often as it is asked to; never returns.
pub(super) async fn watchdog() {
    let asked: Option<u64> = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
    let is_for_us = std::env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
    let Some(asked) = asked.filter(|asked| *asked > 0 && is_for_us) else { return std::future::pending().await };
    let mut tick = tokio::time::interval(Duration::from_micros((asked / 2).max(1)));
    loop {
        tick.tick().await;
        tell("WATCHDOG=1");
    }
}
