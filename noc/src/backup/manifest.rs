//! What a backup consists of, and the list of checksums that holds it together.

use crate::store::schema;
use data_encoding::HEXLOWER;
use muster_protocol::crypto::keys::PublicKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The form of a backup. A program refuses forms that it does not know.
pub(super) const FORMAT: u32 = 1;

pub(super) const MANIFEST: &str = "backup.json";
pub(super) const DATABASE: &str = "noc.sqlite";
pub(super) const ANCHOR: &str = "audit.anchor";
/// What is copied as it is.
pub(super) const KEPT: [&str; 4] = ["noc.toml", "root.key", "ca.key", "ca.pem"];
/// In the form of sha256sum, so that it can be checked without this program.
pub(super) const SUMS: &str = "SHA256SUMS";

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    /// The program that made it.
    pub(super) program: String,
    pub(super) schema: i64,
    /// When it was begun, Unix seconds.
    pub(super) taken: u64,
    /// Where the NOC was reached.
    pub(super) address: String,
    /// The root's public key, base64.
    pub(super) root: String,
}

impl Manifest {
    pub(super) fn new(taken: u64, address: &str, root: &PublicKey) -> Manifest {
        let program = env!("CARGO_PKG_VERSION").to_owned();
        let (schema, address, root) = (schema(), address.to_owned(), root.to_base64());
        Manifest { format: FORMAT, program, schema, taken, address, root }
    }

    pub(super) fn text(&self) -> String {
        // Numbers and texts always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// The list of a folder's files with their checksums.
pub(super) struct Sums {
    pub(super) text: String,
    /// Bytes of all files.
    pub(super) size: u64,
}

/// Makes the list of what is in a backup's folder. An error names its file.
pub(super) fn sums_of(folder: &Path) -> Result<Sums, (PathBuf, io::Error)> {
    let mut sums = Sums { text: String::new(), size: 0 };
    for name in names() {
        let path = folder.join(name);
        if name == ANCHOR && !path.exists() {
            continue;
        }
        let (sum, size) = sum_of(&path).map_err(|error| (path, error))?;
        sums.text += &format!("{sum}  {name}\n");
        sums.size += size;
    }
    Ok(sums)
}

/// Reads such a list: only files that a backup has, each once, and all that it must have. Else what is wrong.
pub(super) fn parse(text: &str) -> Result<BTreeMap<&'static str, String>, String> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let name = line.split_once("  ").filter(|(sum, _)| sum.len() == 64).map(|(_, name)| name);
        let name = name.ok_or("a line is no checksum with a name")?;
        let known = names().find(|known| *known == name).ok_or("it names a file that no backup has")?;
        found.insert(known, line[..64].to_owned());
    }
    match names().find(|name| *name != ANCHOR && !found.contains_key(name)) {
        Some(missing) => Err(format!("it does not name {missing}")),
        None => Ok(found),
    }
}

/// SHA-256 of a file in hexadecimal, and its size.
pub(super) fn sum_of(path: &Path) -> io::Result<(String, u64)> {
    let (mut file, mut hash, mut size) = (File::open(path)?, Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((HEXLOWER.encode(&hash.finalize()), size));
        }
        hash.update(&buffer[..read]);
        size += read as u64;
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    KEPT.into_iter().chain([DATABASE, ANCHOR, MANIFEST])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_cut_or_names_anything_else_is_refused() {
        let line = |name: &str| format!("{}  {name}\n", "ab".repeat(32));
        let whole: String = names().map(line).collect();
        assert_eq!(parse(&whole).expect("whole").len(), 7);
        let without_anchor: String = names().filter(|name| *name != ANCHOR).map(line).collect();
        assert_eq!(parse(&without_anchor).expect("a NOC without records has no anchor").len(), 6);
        let cut = &whole[..whole.len() - 8];
        assert_eq!(parse(cut), Err("it names a file that no backup has".to_owned()));
        assert_eq!(parse(&whole[..line("noc.toml").len()]), Err("it does not name root.key".to_owned()));
        assert_eq!(parse(""), Err("it does not name noc.toml".to_owned()));
        for other in ["../../etc/passwd", "/etc/passwd", "noc.sqlite-wal"] {
            assert!(parse(&(whole.clone() + &line(other))).is_err(), "{other}");
        }
        assert!(parse(&whole.replacen("ab", "a\u{e9}", 1)).is_err());
    }
}
