//! The one message of the X protocol that no tool of the screen sends: the close button's.

use anyhow::Context;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// Sends `WM_DELETE_WINDOW` (ICCCM 4.2.8.1) to a window.
pub(super) fn ask_to_close(socket: &str, window: u32) -> anyhow::Result<()> {
    let mut server = UnixStream::connect(socket).with_context(|| format!("the screen at {socket}"))?;
    // Little-endian, protocol 11.0, no authentication.
    server.write_all(&[b'l', 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
    let mut head = [0; 8];
    server.read_exact(&mut head)?;
    let mut rest = vec![0; usize::from(u16::from_le_bytes([head[6], head[7]])) * 4];
    server.read_exact(&mut rest)?;
    anyhow::ensure!(head[0] == 1, "the screen refuses: {}", String::from_utf8_lossy(&rest));

    let protocols = atom(&mut server, "WM_PROTOCOLS")?;
    let delete = atom(&mut server, "WM_DELETE_WINDOW")?;
    // SendEvent of a ClientMessage with five 32-bit values.
    let mut request = vec![25, 0, 11, 0];
    request.extend(window.to_le_bytes());
    request.extend(0_u32.to_le_bytes());
    request.extend([33, 32, 0, 0]);
    for value in [window, protocols, delete, 0, 0, 0, 0] {
        request.extend(value.to_le_bytes());
    }
    server.write_all(&request)?;
    // GetInputFocus: its answer says that the event has been taken.
    server.write_all(&[43, 0, 1, 0])?;
    reply(&mut server)?;
    Ok(())
}

fn atom(server: &mut UnixStream, name: &str) -> anyhow::Result<u32> {
    let padded = name.len().next_multiple_of(4);
    let mut request = vec![16, 0];
    request.extend(u16::try_from(2 + padded / 4)?.to_le_bytes());
    request.extend(u16::try_from(name.len())?.to_le_bytes());
    request.extend([0, 0]);
    request.extend(name.bytes());
    request.resize(8 + padded, 0);
    server.write_all(&request)?;
    let reply = reply(server)?;
    Ok(u32::from_le_bytes([reply[8], reply[9], reply[10], reply[11]]))
}

/// The next reply; neither of the requests above has a longer one.
fn reply(server: &mut UnixStream) -> anyhow::Result<[u8; 32]> {
    let mut reply = [0; 32];
    server.read_exact(&mut reply)?;
    anyhow::ensure!(reply[0] == 1, "the screen answers with error {}", reply[1]);
    Ok(reply)
}
