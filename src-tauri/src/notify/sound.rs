//! A notification's sound where the notification service has none: by a program and a sound file that the system has.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// Programs that play a file in the formats of the freedesktop sound theme.
const PLAYERS: [&str; 3] = ["pw-play", "paplay", "ffplay"];
/// What the theme calls something that fails, and good news.
const NAMES: [&str; 2] = ["dialog-warning", "complete"];

/// Name of a sound in the freedesktop naming specification.
pub(crate) fn name(bad: bool) -> &'static str {
    NAMES[usize::from(!bad)]
}

/// Whether this system can play one.
pub(crate) fn can_play() -> bool {
    found(true).is_some()
}

/// Plays one, in the background. Without a program or a file nothing happens: the settings say so.
pub(crate) fn play(bad: bool) {
    let Some((program, arguments)) = found(bad) else { return };
    let mut command = Command::new(&program);
    command.args(arguments).kill_on_drop(true);
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    match command.spawn() {
        Ok(mut child) => drop(tokio::spawn(async move { child.wait().await })),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, program = %program.display(), "no sound");
        }
    }
}

fn found(bad: bool) -> Option<(PathBuf, Vec<OsString>)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let data = std::env::var_os("XDG_DATA_DIRS").filter(|dirs| !dirs.is_empty());
    let data = data.unwrap_or_else(|| "/usr/local/share:/usr/share".into());
    find(&path, &data, name(bad))
}

/// The program with its arguments.
fn find(path: &OsStr, data: &OsStr, name: &str) -> Option<(PathBuf, Vec<OsString>)> {
    let program = |name: &str| std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.is_file());
    if let Some(theme) = program("canberra-gtk-play") {
        return Some((theme, vec!["-i".into(), name.into()]));
    }
    let file = std::env::split_paths(data)
        .map(|folder| folder.join(Path::new("sounds/freedesktop/stereo")).join(format!("{name}.oga")))
        .find(|file| file.is_file())?;
    let player = PLAYERS.iter().find_map(|name| program(name))?;
    let mut arguments: Vec<OsString> = Vec::new();
    if player.ends_with("ffplay") {
        arguments.extend(["-nodisp", "-autoexit", "-loglevel", "quiet"].map(OsString::from));
    }
    arguments.push(file.into());
    Some((player, arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plays_with_what_is_there_and_says_when_there_is_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |file: &str| {
            let file = folder.path().join(file);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("writable");
            std::fs::write(&file, b"").expect("writable");
            file
        };
        let (path, data) = (folder.path().join("bin"), folder.path().join("share"));
        let found = || find(path.as_os_str(), data.as_os_str(), name(true));
        assert_eq!(found(), None);
        let player = put("bin/paplay");
        assert_eq!(found(), None, "a player without a file");
        let file = put("share/sounds/freedesktop/stereo/dialog-warning.oga");
        assert_eq!(found(), Some((player, vec![file.into_os_string()])));
        let theme = put("bin/canberra-gtk-play");
        assert_eq!(found(), Some((theme, vec!["-i".into(), "dialog-warning".into()])));
    }
}
