//! An applet as a folder of files.

use super::cannot;
use crate::cli::CommandError;
use muster_applet::bundle::{Bundle, MAX_BUNDLE, MOST_FILES};
use muster_applet::manifest::MANIFEST;
use std::io::Read;
use std::path::Path;

/// How deep folders may lie in each other.
const DEEPEST: usize = 4;

/// Reads a folder. Files that begin with a dot or end with `~` are an editor's, and are left out.
pub(super) fn read(folder: &Path) -> Result<Bundle, CommandError> {
    if !folder.join(MANIFEST).is_file() {
        let message = format!("{} holds no {MANIFEST}, so it is no applet", folder.display());
        return Err(CommandError::other("no_applet", message, "Make one with `muster applet new FOLDER`."));
    }
    let mut files = Vec::new();
    collect(folder, "", 0, &mut files)?;
    Ok(Bundle::new(files)?)
}

fn collect(folder: &Path, inside: &str, depth: usize, files: &mut Vec<(String, Vec<u8>)>) -> Result<(), CommandError> {
    for entry in std::fs::read_dir(folder).map_err(|error| cannot(folder, "read", &error))? {
        let entry = entry.map_err(|error| cannot(folder, "read", &error))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let name = format!("{inside}{name}");
        let kind = entry.file_type().map_err(|error| cannot(&path, "read", &error))?;
        if kind.is_dir() && depth < DEEPEST {
            collect(&path, &format!("{name}/"), depth + 1, files)?;
        } else if !kind.is_file() {
            let message = format!("{} is neither a file nor a folder of an applet", path.display());
            return Err(CommandError::other("applet_file", message, "Take it out, or put the file itself there."));
        } else {
            files.push((name, file(&path)?));
        }
        if files.len() > MOST_FILES {
            let message = format!("{} holds more than {MOST_FILES} files", folder.display());
            return Err(CommandError::other("applet_file", message, "Take out what the manifest does not name."));
        }
    }
    Ok(())
}

/// A file that is no longer than a bundle may be.
pub(super) fn file(path: &Path) -> Result<Vec<u8>, CommandError> {
    let most = u64::try_from(MAX_BUNDLE).unwrap_or(u64::MAX) + 64 * 1024;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| cannot(path, "read", &error))?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| cannot(path, "read", &error))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        let message = format!("{} is longer than an applet may be, {MAX_BUNDLE} bytes", path.display());
        return Err(CommandError::other("applet_file", message, "Make pictures and programs smaller."));
    }
    Ok(bytes)
}
