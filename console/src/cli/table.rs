//! Tables for people.

use crate::view::SiteView;
use std::io::{self, Write};

/// Text from elsewhere without what a terminal would obey.
pub(super) fn printable(text: &str) -> String {
    muster_protocol::text::printable(text)
}

/// Columns as wide as their widest cell.
pub(super) fn write<const N: usize>(out: &mut dyn Write, header: [&str; N], rows: &[[String; N]]) -> io::Result<()> {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| printable(cell))).collect();
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    line(out, header, widths)?;
    rows.iter().try_for_each(|row| line(out, row.each_ref().map(String::as_str), widths))
}

pub(super) fn sites(out: &mut dyn Write, sites: &[SiteView]) -> io::Result<()> {
    let rows: Vec<_> =
        sites.iter().map(|site| [site.id.to_string(), site.name.clone(), site.policy.join(", ")]).collect();
    write(out, ["SITE", "NAME", "POLICY"], &rows)
}

fn line<const N: usize>(out: &mut dyn Write, cells: [&str; N], widths: [usize; N]) -> io::Result<()> {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let padding = width.saturating_sub(cell.chars().count()) + 2;
        text.push_str(cell);
        text.extend(std::iter::repeat_n(' ', padding));
    }
    writeln!(out, "{}", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_reaches_the_terminal_as_a_command() {
        let mut out = Vec::new();
        let rows = [["a".to_owned(), "long cell".to_owned()], ["\u{1b}[2Jb".to_owned(), String::new()]];
        write(&mut out, ["FIRST", "B"], &rows).expect("to memory");
        assert_eq!(String::from_utf8_lossy(&out), "FIRST  B\na      long cell\n\u{fffd}[2Jb\n");
    }
}
