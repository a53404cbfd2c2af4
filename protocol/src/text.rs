//! Texts from elsewhere that people read: names, models, serial numbers, an appliance's own words.

pub mod formula;

/// True for what a terminal would obey or a reader would be misled by: control characters, line and paragraph separators, marks
/// that turn the direction of reading, and characters that nobody sees. The joiners that some languages need are none.
pub fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// The text with U+FFFD for each character that [`misleads`].
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if misleads(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_or_a_terminal_obeys_is_told_from_writing() {
        assert_eq!(
            printable("a\u{1b}[2J\r\n\u{202e}b\u{200b}\u{2066}\u{feff}"),
            "a\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}b\u{fffd}\u{fffd}\u{fffd}"
        );
        for good in ["Zürich", "神戸 1", "مشهد", "می\u{200c}خواهم", "<b>=1+1</b>", "e\u{301}", "👩\u{200d}💻"]
        {
            assert_eq!(printable(good), good);
        }
    }
}
