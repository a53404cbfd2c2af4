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
/// The keys of the repository of components; there may be none.
pub(super) const COMPONENT_KEYS: [&str; 2] = [crate::components::keys::FILE, crate::components::keys::NEXT];
/// The files of components, each named by its hash.
pub(super) const COMPONENTS: &str = crate::components::folder::FOLDER;
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
    for name in names().map(str::to_owned).chain(components_in(folder)?) {
        let path = folder.join(&name);
        if is_optional(&name) && !path.exists() {
            continue;
        }
        let (sum, size) = sum_of(&path).map_err(|error| (path, error))?;
        sums.text += &format!("{sum}  {name}\n");
        sums.size += size;
    }
    Ok(sums)
}

/// Reads such a list: only files that a backup has, each once, and all that it must have. Else what is wrong.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let name = line.split_once("  ").filter(|(sum, _)| sum.len() == 64).map(|(_, name)| name);
        let name = name.ok_or("a line is no checksum with a name")?;
        if !names().any(|known| known == name) && component(name).is_none() {
            return Err("it names a file that no backup has".to_owned());
        }
        found.insert(name.to_owned(), line[..64].to_owned());
    }
    match names().find(|name| !is_optional(name) && !found.contains_key(*name)) {
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
    KEPT.into_iter().chain([DATABASE, ANCHOR, MANIFEST]).chain(COMPONENT_KEYS)
}

fn is_optional(name: &str) -> bool {
    name == ANCHOR || COMPONENT_KEYS.contains(&name)
}

/// The hash that is the name of a component's file.
pub(super) fn component(name: &str) -> Option<&str> {
    let hash = name.strip_prefix(COMPONENTS)?.strip_prefix('/')?;
    let hexadecimal = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (hash.len() == 64 && hash.bytes().all(hexadecimal)).then_some(hash)
}

/// The files of components in a folder, by their names in it.
fn components_in(folder: &Path) -> Result<Vec<String>, (PathBuf, io::Error)> {
    let path = folder.join(COMPONENTS);
    let failed = |error| (path.clone(), error);
    let entries = match std::fs::read_dir(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let name = format!("{COMPONENTS}/{}", name.to_string_lossy());
        found.extend(component(&name).map(|_| name.clone()));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_cut_or_names_anything_else_is_refused() {
        let line = |name: &str| format!("{}  {name}\n", "ab".repeat(32));
        let whole: String = names().map(line).collect();
        assert_eq!(parse(&whole).expect("whole").len(), 9);
        let without_anchor: String = names().filter(|name| *name != ANCHOR).map(line).collect();
        assert_eq!(parse(&without_anchor).expect("a NOC without records has no anchor").len(), 8);
        let without_keys: String = names().filter(|name| !COMPONENT_KEYS.contains(name)).map(line).collect();
        let with_file = without_keys + &line(&format!("components/{}", "0a".repeat(32)));
        assert_eq!(parse(&with_file).expect("components without keys of one's own").len(), 8);
        let cut = &whole[..whole.len() - 8];
        assert_eq!(parse(cut), Err("it names a file that no backup has".to_owned()));
        assert_eq!(parse(&whole[..line("noc.toml").len()]), Err("it does not name root.key".to_owned()));
        assert_eq!(parse(""), Err("it does not name noc.toml".to_owned()));
        let upper = format!("components/{}", "0A".repeat(32));
        for other in ["../../etc/passwd", "/etc/passwd", "noc.sqlite-wal", "components/../x", "components/", &upper] {
            assert!(parse(&(whole.clone() + &line(other))).is_err(), "{other}");
        }
        assert!(parse(&whole.replacen("ab", "a\u{e9}", 1)).is_err());
    }
}
