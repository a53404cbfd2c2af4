//! Who made a network card: the IEEE's table of MAC address blocks, compiled in, so that it answers without a network.
//!
//! The table is `oui/makers.tsv`, built by `scripts/oui`: one line for each block, its hexadecimal digits, a tab and the
//! maker, sorted by the digits. Blocks are 24, 28 or 36 bits long (6, 7 or 9 digits).

use std::cmp::Ordering;

use muster_protocol::id::Mac;

static MAKERS: &str = include_str!("oui/makers.tsv");

/// The maker to whom the block of `mac` is assigned.
///
/// `None` for addresses that nobody assigned (locally administered, multicast), for blocks whose holder stays private,
/// and for blocks younger than the table. Where a block is divided, the smallest part that holds `mac` decides.
pub fn maker(mac: Mac) -> Option<&'static str> {
    const MULTICAST: u8 = 1;
    if mac.is_locally_administered() || mac.0[0] & MULTICAST != 0 {
        return None;
    }
    let digits = digits_of(mac);
    [9, 7, 6].into_iter().find_map(|length| maker_of_block(&digits[..length]))
}

/// Binary search over the lines, by byte offsets: no index has to be built or kept.
fn maker_of_block(block: &[u8]) -> Option<&'static str> {
    let table = MAKERS.as_bytes();
    // Both are always at the start of a line.
    let (mut from, mut to) = (0, table.len());
    while from < to {
        let middle = from + (to - from) / 2;
        let start = table[from..middle].iter().rposition(|&byte| byte == b'\n').map_or(from, |at| from + at + 1);
        let end = table[middle..to].iter().position(|&byte| byte == b'\n').map_or(to, |at| middle + at);
        let (found, name) = MAKERS[start..end].split_once('\t')?;
        match found.as_bytes().cmp(block) {
            Ordering::Equal => return Some(name),
            Ordering::Less => from = (end + 1).min(to),
            Ordering::Greater => to = start,
        }
    }
    None
}

fn digits_of(mac: Mac) -> [u8; 12] {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut digits = [0; 12];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(mac.0) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maker_of(mac: &str) -> Option<&'static str> {
        maker(mac.parse().expect("the test writes a MAC address"))
    }

    #[test]
    fn well_known_blocks_have_their_makers() {
        assert_eq!(maker_of("00:00:0C:12:34:56"), Some("Cisco Systems, Inc"));
        assert_eq!(maker_of("00:1B:21:00:00:01"), Some("Intel Corporate"));
        assert_eq!(maker_of("B8:27:EB:FF:FF:FF"), Some("Raspberry Pi Foundation"));
    }

    #[test]
    fn the_smallest_block_decides() {
        // 00:55:DA belongs to the registry, which handed out sixteen parts of it (28 bits).
        assert_eq!(maker_of("00:55:DA:0F:FF:FF"), Some("Shinko Technos co.,ltd."));
        assert_eq!(maker_of("00:55:DA:50:00:00"), Some("Nanoleaf"));
        // 00:1B:C5 is divided into 4,096 parts (36 bits).
        assert_eq!(maker_of("00:1B:C5:00:0A:BC"), Some("Converging Systems Inc."));
        assert_eq!(maker_of("00:1B:C5:00:1A:BC"), Some("OpenRB.com, Direct SIA"));
    }

    #[test]
    fn private_parts_and_unknown_blocks_have_none() {
        assert_eq!(maker_of("00:55:DA:F0:00:00"), None, "its holder stays private");
        assert_eq!(maker_of("FC:FF:FF:00:00:00"), None, "past the last block of the table");
    }

    #[test]
    fn addresses_that_nobody_assigned_have_none() {
        assert_eq!(maker_of("02:00:00:00:00:01"), None);
        assert_eq!(maker_of("02:60:8C:00:00:01"), None, "an old assignment, but the bit says otherwise");
        assert_eq!(maker_of("01:00:5E:00:00:FB"), None);
        assert_eq!(maker_of("FF:FF:FF:FF:FF:FF"), None);
    }

    #[test]
    fn every_line_is_found_by_its_block() {
        for line in MAKERS.lines() {
            let (block, name) = line.split_once('\t').expect("a line is block, tab, maker");
            assert_eq!(maker_of_block(block.as_bytes()), Some(name), "{block}");
        }
    }

    #[test]
    fn the_table_is_sorted_and_without_doubles() {
        let blocks: Vec<&str> = MAKERS.lines().filter_map(|line| line.split('\t').next()).collect();
        assert!(blocks.is_sorted_by(|earlier, later| earlier < later));
        assert!(blocks.len() > 50_000, "the table has all {} blocks", blocks.len());
    }
}
