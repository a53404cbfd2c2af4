//! The first files of an applet, which work as they are.

use super::cannot;
use crate::cli::CommandError;
use muster_applet::is_name;
use std::path::Path;

const FILES: [(&str, &str); 8] = [
    ("applet.json", include_str!("skeleton/applet.json")),
    ("form.json", include_str!("skeleton/form.json")),
    ("templates/small.json", include_str!("skeleton/small.json")),
    ("help.txt", include_str!("skeleton/help.txt")),
    ("page.html", include_str!("skeleton/page.html")),
    ("page.css", include_str!("skeleton/page.css")),
    ("logic.js", include_str!("skeleton/logic.js")),
    ("translations/de.json", include_str!("skeleton/de.json")),
];

/// Writes them into a new folder; their names.
pub(super) fn new(folder: &Path, name: Option<&str>) -> Result<Vec<&'static str>, CommandError> {
    let of_folder = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.unwrap_or(&of_folder);
    if !is_name(name) {
        let message = format!("`{}` is not a name of an applet", name.escape_debug());
        let remedy = "Use 1 to 64 lower-case letters, digits and dashes, a letter first; --name gives it.";
        return Err(CommandError::other("bad_applet_name", message, remedy));
    }
    let is_empty = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    if folder.exists() && !is_empty {
        let message = format!("{} is there already, and something is in it", folder.display());
        return Err(CommandError::other("file_exists", message, "Choose another folder; nothing was changed."));
    }
    for (file, text) in FILES {
        let path = folder.join(file);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(|error| cannot(parent, "made", &error))?;
        std::fs::write(&path, text.replace("my-applet", name)).map_err(|error| cannot(&path, "written", &error))?;
    }
    Ok(FILES.map(|(file, _)| file).to_vec())
}
