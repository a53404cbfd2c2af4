//! What tcpdump writes, as far as the lab needs it.

/// The payloads of all UDP datagrams in a pcap file's bytes (Ethernet, IPv4 or IPv6 without extension headers).
pub(crate) fn payloads(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = bytes.get(24..).unwrap_or_default();
    let mut payloads = Vec::new();
    while let Some((header, tail)) = rest.split_at_checked(16) {
        let mut length = [0; 4];
        length.copy_from_slice(&header[8..12]);
        let Some((frame, tail)) = tail.split_at_checked(u32::from_le_bytes(length) as usize) else { break };
        payloads.extend(payload(frame).map(<[u8]>::to_vec));
        rest = tail;
    }
    payloads
}

fn payload(frame: &[u8]) -> Option<&[u8]> {
    let (kind, packet) = (frame.get(12..14)?, frame.get(14..)?);
    let header = match kind {
        [0x08, 0x00] => usize::from(packet.first()? & 15) * 4,
        [0x86, 0xdd] => 40,
        _ => return None,
    };
    let udp = packet.get(header..)?;
    let length = usize::from(u16::from_be_bytes([*udp.get(4)?, *udp.get(5)?]));
    udp.get(8..length)
}
