//! `replay FILE.pcap INTERFACE`: sends every recorded datagram again, to everybody on that interface's network.

use anyhow::Context;
use std::path::PathBuf;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let file: PathBuf = args.next().context("usage: replay FILE.pcap INTERFACE")?.into();
    let interface =
        args.next().and_then(|name| name.into_string().ok()).context("usage: replay FILE.pcap INTERFACE")?;
    let index =
        nix::net::if_::if_nametoindex(interface.as_str()).with_context(|| format!("no interface {interface}"))?;
    let payloads = system_tests::lab::capture::payloads(&file);
    system_tests::lab::capture::send_all(&payloads, index)?;
    Ok(())
}
