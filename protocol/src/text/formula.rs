//! Cells of tables that somebody opens in a spreadsheet: none of them is run.

/// What a spreadsheet takes for the beginning of a formula (OWASP, "CSV injection"), also in the width that Japanese and
/// Chinese keyboards write; and the mark itself, so that it can be told from what somebody wrote.
const FORMULA: [char; 9] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}', MARK];
/// What another program, or another country's, takes for the end of a cell.
const SEPARATORS: [char; 4] = [';', '\t', '\r', '\n'];
/// What spreadsheets write before a text that is nothing but that.
const MARK: char = '\'';

/// A cell with an apostrophe before whatever could begin a formula: at the beginning, and wherever a program with another separator would
/// begin a cell. One that begins with a tab or a line break gets one, too. [`unmarked`] takes them off.
pub fn harmless(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len() + 1);
    if cell.starts_with(is_blank) {
        text.push(MARK);
    }
    let mut begins = true;
    for c in cell.chars() {
        if begins && FORMULA.contains(&c) {
            text.push(MARK);
        }
        text.push(c);
        begins = goes_on(begins, c);
    }
    text
}

/// What [`harmless`] was made of. What people typed without such marks stays as it is.
pub fn unmarked(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    let (mut is_first, mut begins, mut rest) = (true, true, cell.chars().peekable());
    while let Some(mut c) = rest.next() {
        let is_marked = |next: &char| FORMULA.contains(next) || is_first && is_blank(*next);
        if begins
            && c == MARK
            && let Some(marked) = rest.next_if(is_marked)
        {
            c = marked;
        }
        text.push(c);
        begins = goes_on(begins, c);
        is_first = false;
    }
    text
}

fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\r' | '\n')
}

/// Whether a cell may begin behind `c`: quotes and spaces after a separator do not keep a formula from being one.
fn goes_on(begins: bool, c: char) -> bool {
    SEPARATORS.contains(&c) || begins && matches!(c, ' ' | '"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_cell_is_a_formula_and_all_is_read_as_it_was() {
        for (cell, safe) in [
            ("=1+1", "'=1+1"),
            ("-2", "'-2"),
            ("@x", "'@x"),
            ("\tx", "'\tx"),
            ("a;=1+1", "a;'=1+1"),
            ("a; \"-1", "a; \"'-1"),
            ("a, -1", "a, -1"),
            ("x\r\n@SUM(A1)", "x\r\n'@SUM(A1)"),
            ("\t=1", "'\t'=1"),
            (" =1", " '=1"),
            ("\"=1", "\"'=1"),
            ("\u{ff1d}1+1", "'\u{ff1d}1+1"),
            ("'quoted", "''quoted"),
            ("'\tx", "''\tx"),
            ("it's", "it's"),
            ("mail-1.example.net", "mail-1.example.net"),
            ("2026-11-24 10:00", "2026-11-24 10:00"),
            ("", ""),
        ] {
            assert_eq!((harmless(cell).as_str(), unmarked(safe).as_str()), (safe, cell));
        }
        assert_eq!(unmarked("'typed"), "'typed", "no mark of ours");
    }

    #[test]
    fn every_text_of_six_of_what_matters_comes_back_and_begins_no_formula() {
        let letters = ['=', '\'', ';', '\t', ' ', '"', 'a'];
        let mut texts = vec![String::new()];
        for _ in 0..6 {
            let longer: Vec<_> =
                texts.iter().flat_map(|text| letters.map(|letter| format!("{text}{letter}"))).collect();
            texts = longer;
            for text in &texts {
                let safe = harmless(text);
                assert_eq!(unmarked(&safe), *text, "{safe:?}");
                for part in safe.split(SEPARATORS) {
                    assert!(!part.trim_start_matches([' ', '"']).starts_with('='), "{text:?} {safe:?}");
                }
            }
        }
    }
}
