//! The number in the tray icon's corner: as many appliances as need somebody.

/// Fails now.
pub(super) const RED: [u8; 3] = [0xd9, 0x2d, 0x20];
/// Failed when it was last known.
pub(super) const GREY: [u8; 3] = [0x4b, 0x50, 0x58];
const WHITE: [u8; 3] = [0xff; 3];

const WIDTH: usize = 5;
const HEIGHT: usize = 7;
/// The digits, and the plus sign: a row of five pixels is five bits.
const GLYPHS: [[u8; HEIGHT]; 11] = [
    [0b01110, 0b11011, 0b11011, 0b11011, 0b11011, 0b11011, 0b01110],
    [0b00110, 0b01110, 0b00110, 0b00110, 0b00110, 0b00110, 0b01111],
    [0b11110, 0b00011, 0b00011, 0b01110, 0b11000, 0b11000, 0b11111],
    [0b11110, 0b00011, 0b00011, 0b01110, 0b00011, 0b00011, 0b11110],
    [0b00111, 0b01011, 0b11011, 0b11011, 0b11111, 0b00011, 0b00011],
    [0b11111, 0b11000, 0b11110, 0b00011, 0b00011, 0b00011, 0b11110],
    [0b01110, 0b11000, 0b11110, 0b11011, 0b11011, 0b11011, 0b01110],
    [0b11111, 0b00011, 0b00110, 0b00110, 0b01100, 0b01100, 0b01100],
    [0b01110, 0b11011, 0b11011, 0b01110, 0b11011, 0b11011, 0b01110],
    [0b01110, 0b11011, 0b11011, 0b11011, 0b01111, 0b00011, 0b01110],
    [0b00000, 0b00100, 0b00100, 0b11111, 0b00100, 0b00100, 0b00000],
];

/// Draws a number into the lower right corner of a square picture of RGBA pixels, as large as there is room.
pub(super) fn draw(rgba: &mut [u8], side: usize, number: usize, colour: [u8; 3]) {
    let glyphs: Vec<usize> = match number {
        0..10 => vec![number],
        10..100 => vec![number / 10, number % 10],
        _ => vec![9, 9, 10],
    };
    let width_at = |scale: usize| glyphs.len() * (WIDTH + 1) * scale + 3 * scale;
    let height_at = |scale: usize| (HEIGHT + 4) * scale;
    let fits = |scale: &usize| width_at(*scale) <= side && height_at(*scale) <= side * 3 / 4;
    let scale = (1..=side / 10).rev().find(fits).unwrap_or(1);
    let (width, height) = (width_at(scale).min(side), height_at(scale).min(side));
    let (left, top) = (side - width, side - height);

    let mut put = |x: usize, y: usize, colour: [u8; 3]| {
        let at = (y * side + x) * 4;
        if let Some(pixel) = rgba.get_mut(at..at + 4) {
            pixel[..3].copy_from_slice(&colour);
            pixel[3] = 0xff;
        }
    };
    for y in top..side {
        for x in left..side {
            let is_edge = x < left + scale || y < top + scale || x + scale >= side || y + scale >= side;
            put(x, y, if is_edge { WHITE } else { colour });
        }
    }
    for (place, glyph) in glyphs.iter().enumerate() {
        for (row, bits) in GLYPHS[*glyph].iter().enumerate() {
            for column in (0..WIDTH).filter(|column| bits >> (WIDTH - 1 - column) & 1 == 1) {
                let x = left + 2 * scale + (place * (WIDTH + 1) + column) * scale;
                let y = top + 2 * scale + row * scale;
                (0..scale * scale).for_each(|dot| put(x + dot % scale, y + dot / scale, WHITE));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_own_picture_in_every_size() {
        for side in [22, 32, 64] {
            let mut pictures = std::collections::BTreeSet::new();
            for number in 1..=100 {
                let mut rgba = vec![0; side * side * 4];
                draw(&mut rgba, side, number, RED);
                assert!(rgba[..4].iter().all(|byte| *byte == 0), "{number} leaves room for the icon in {side} pixels");
                pictures.insert(rgba);
            }
            assert_eq!(pictures.len(), 100, "{side} pixels");
        }
    }
}
