//! Whoever sets the clock gets the time servers as a marked file beside its own: systemd-timesyncd or chrony (decision 0046).
//!
//! Without either nobody takes them. That is no reason for an appliance to be without its network: it is said, and no more.

use super::back_end::{BackEnd, Place, is_enabled};
use super::files::{MARK, NewFile, ours, read_text};
use super::program;
use muster_protocol::parameters::NetworkSettings;
use std::path::{Path, PathBuf};

const TIMESYNCD: &str = "systemd-timesyncd.service";
const TIMESYNCD_FILE: &str = "etc/systemd/timesyncd.conf.d/50-muster.conf";
const CHRONY_FILE: &str = "muster.sources";
/// Debian's names come first.
const CHRONY_UNITS: [&str; 2] = ["chrony.service", "chronyd.service"];
const CHRONY_CONFIGS: [&str; 2] = ["etc/chrony/chrony.conf", "etc/chrony.conf"];

/// Who takes time servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Keeper {
    /// systemd-timesyncd, from networkd, whose file has them.
    Networkd,
    /// systemd-timesyncd, from a file of ours.
    Timesyncd,
    /// chrony, from a file in this folder, which its configuration names.
    Chrony(PathBuf),
    /// A vendor's program, with all the rest.
    Program,
    /// Nobody, and why.
    Nobody(&'static str),
}

/// Who takes them beside this back end. What is to run at boot counts before what is installed only.
pub(super) fn keeper(root: &Path, back_end: &BackEnd) -> Keeper {
    if matches!(back_end, BackEnd::Exec(_)) {
        return Keeper::Program;
    }
    let has = |names: &[&str]| names.iter().any(|name| root.join(name).exists());
    let timesyncd = has(&["usr/lib/systemd/systemd-timesyncd", "lib/systemd/systemd-timesyncd"]);
    let chrony = has(&["usr/sbin/chronyd"]);
    let by_timesyncd = if *back_end == BackEnd::Networkd { Keeper::Networkd } else { Keeper::Timesyncd };
    let chrony_runs = CHRONY_UNITS.iter().any(|unit| is_enabled(root, unit));
    match (timesyncd, chrony) {
        (true, true) if !chrony_runs || is_enabled(root, TIMESYNCD) => by_timesyncd,
        (true, false) => by_timesyncd,
        (_, true) => match source_folder(root) {
            Some(folder) => Keeper::Chrony(folder),
            None => Keeper::Nobody(
                "chrony reads no folder of sources below /etc. Add to its configuration: sourcedir /etc/chrony/sources.d",
            ),
        },
        (false, false) => Keeper::Nobody("neither systemd-timesyncd nor chrony is installed. Install one of them"),
    }
}

/// The first `sourcedir` below `/etc`: others are gone after a boot.
fn source_folder(root: &Path) -> Option<PathBuf> {
    let texts = CHRONY_CONFIGS.iter().filter_map(|path| read_text(&root.join(path)).ok());
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).find_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| word.eq_ignore_ascii_case("sourcedir"))?;
        let folder = words.find(|word| word.starts_with("/etc/"))?;
        Some(root.join(folder.trim_start_matches('/')))
    })
}

impl Keeper {
    fn path(&self, root: &Path) -> Option<PathBuf> {
        match self {
            Keeper::Timesyncd => Some(root.join(TIMESYNCD_FILE)),
            Keeper::Chrony(folder) => Some(folder.join(CHRONY_FILE)),
            Keeper::Networkd | Keeper::Program | Keeper::Nobody(_) => None,
        }
    }

    /// What its file becomes. A file of ours stays, and says nothing, when there are no servers any more.
    pub(super) fn files(&self, root: &Path, settings: &NetworkSettings) -> Vec<NewFile> {
        let Some(path) = self.path(root) else { return Vec::new() };
        let servers: Vec<String> = settings.ntp().iter().map(ToString::to_string).collect();
        if servers.is_empty() && ours(vec![path.clone()]).is_empty() {
            return Vec::new();
        }
        let text = match self {
            Keeper::Chrony(_) => servers.iter().fold(format!("{MARK}\n"), |text, server| {
                // Several questions at first, so that the clock is right within seconds of a boot.
                text + &format!("server {server} iburst\n")
            }),
            _ if servers.is_empty() => format!("{MARK}\n"),
            _ => format!("{MARK}\n[Time]\nNTP={}\n", servers.join(" ")),
        };
        vec![NewFile { path, text, mode: 0o644 }]
    }

    /// Why nobody takes them, if nobody does.
    pub(super) fn untaken(&self, settings: &NetworkSettings) -> Option<&'static str> {
        match self {
            Keeper::Nobody(why) if !settings.ntp().is_empty() => Some(*why),
            _ => None,
        }
    }
}

/// The files below `root` that may be wholly ours.
pub(super) fn candidates(root: &Path) -> impl Iterator<Item = PathBuf> {
    let chrony = source_folder(root).map(|folder| folder.join(CHRONY_FILE));
    std::iter::once(root.join(TIMESYNCD_FILE)).chain(chrony)
}

/// Whether a file is one that [`Keeper::files`] writes.
pub(super) fn is_file(path: &Path) -> bool {
    path.ends_with(TIMESYNCD_FILE) || path.ends_with(CHRONY_FILE)
}

/// Has the owners of those of the files that are theirs read them again. One that cannot be told has them at its next start, and
/// the appliance is reached all the same.
pub(super) async fn tell(place: Place<'_>, files: &[PathBuf]) {
    if !place.is_real() {
        return;
    }
    let systemd = Path::new("/run/systemd/system").is_dir();
    for path in files {
        let told = if path.ends_with(TIMESYNCD_FILE) && systemd {
            // It reads its files when it starts, and never again.
            restart(place, &[TIMESYNCD]).await
        } else if path.ends_with(CHRONY_FILE) {
            match program::succeed("chronyc", &["reload", "sources"], place.patience).await {
                Ok(_) => Ok(()),
                // It takes no orders from whoever may not write to its folder in /run.
                Err(_) if systemd => restart(place, &CHRONY_UNITS).await,
                Err(error) => Err(error),
            }
        } else {
            Ok(())
        };
        if let Err(error) = told {
            tracing::warn!(code = error.code(), %error, "who sets the clock was not told");
        }
    }
}

/// What does not run is not started.
async fn restart(place: Place<'_>, units: &[&str]) -> Result<(), super::NetworkError> {
    let arguments: Vec<&str> = std::iter::once("try-restart").chain(units.iter().copied()).collect();
    program::succeed("systemctl", &arguments, place.patience).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::parameters::RawSettings;
    use std::fs;

    fn settings(ntp: &str) -> NetworkSettings {
        let raw = RawSettings {
            host_name: "mail-01".into(),
            domain: "example.net".into(),
            address: "192.0.2.10".into(),
            netmask: "24".into(),
            ntp: ntp.into(),
            ..RawSettings::default()
        };
        raw.validate().expect("valid")
    }

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, "").expect("written");
    }

    #[test]
    fn what_is_to_run_at_boot_takes_them_and_then_what_is_installed() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let is = |back_end: BackEnd| keeper(root, &back_end);
        assert!(matches!(is(BackEnd::Bare), Keeper::Nobody(why) if why.contains("neither")));
        assert_eq!(is(BackEnd::Exec("/x".into())), Keeper::Program);
        touch(&root.join("usr/sbin/chronyd"));
        assert!(matches!(is(BackEnd::Networkd), Keeper::Nobody(why) if why.contains("sourcedir")));
        touch(&root.join("etc/chrony/chrony.conf"));
        let config = "# sourcedir /etc/no\nsourcedir /run/chrony-dhcp\nSourceDir /etc/chrony/sources.d\n";
        fs::write(root.join("etc/chrony/chrony.conf"), config).expect("written");
        let chrony = Keeper::Chrony(root.join("etc/chrony/sources.d"));
        assert_eq!((is(BackEnd::Bare), is(BackEnd::Networkd)), (chrony.clone(), chrony.clone()));
        touch(&root.join("lib/systemd/systemd-timesyncd"));
        assert_eq!(
            (is(BackEnd::Bare), is(BackEnd::Networkd), is(BackEnd::NetworkManager), is(BackEnd::Ifupdown)),
            (Keeper::Timesyncd, Keeper::Networkd, Keeper::Timesyncd, Keeper::Timesyncd)
        );
        let wants = root.join("etc/systemd/system/multi-user.target.wants");
        fs::create_dir_all(&wants).expect("made");
        std::os::unix::fs::symlink("/none", wants.join("chrony.service")).expect("linked");
        assert_eq!(is(BackEnd::Bare), chrony);
    }

    #[test]
    fn each_gets_a_file_that_it_understands_and_none_without_need() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let chrony = Keeper::Chrony(root.join("etc/chrony/sources.d"));
        let two = settings("ntp.example.net 2001:db8::7b");
        assert_eq!(
            Keeper::Timesyncd.files(root, &two)[0].text,
            format!("{MARK}\n[Time]\nNTP=ntp.example.net 2001:db8::7b\n")
        );
        let file = &chrony.files(root, &two)[0];
        assert_eq!(file.text, format!("{MARK}\nserver ntp.example.net iburst\nserver 2001:db8::7b iburst\n"));
        assert!(is_file(&file.path) && is_file(&root.join(TIMESYNCD_FILE)) && !is_file(&root.join("etc/hosts")));
        for keeper in [Keeper::Timesyncd, chrony] {
            assert!(keeper.files(root, &settings("")).is_empty(), "there was none");
            let path = keeper.path(root).expect("a path");
            touch(&path);
            assert!(keeper.files(root, &settings("")).is_empty(), "it is somebody else's");
            fs::write(&path, format!("{MARK}\n[Time]\n")).expect("written");
            assert_eq!(keeper.files(root, &settings(""))[0].text, format!("{MARK}\n"), "what was said is unsaid");
        }
        for keeper in [Keeper::Networkd, Keeper::Program, Keeper::Nobody("why")] {
            assert!(keeper.files(root, &two).is_empty());
        }
        assert_eq!(Keeper::Nobody("why").untaken(&two), Some("why"));
        assert_eq!((Keeper::Nobody("why").untaken(&settings("")), Keeper::Networkd.untaken(&two)), (None, None));
    }
}
