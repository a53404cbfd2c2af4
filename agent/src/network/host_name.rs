//! The host name: NetworkManager or hostnamed, so that they and whoever listens to them know it; the kernel and
//! `/etc/hostname` in any case. `/etc/hosts` has one line of ours.

use super::back_end::{BackEnd, Place};
use super::files::{self, NewFile};
use super::{NetworkError, networkmanager, program};
use muster_protocol::parameters::NetworkSettings;
use std::path::{Path, PathBuf};

/// The host name of an appliance without an owner.
pub(super) const NO_NAME: &str = "localhost";
const HOSTS_MARK: &str = "# muster-agent";

/// What the files become.
pub(super) fn files(root: &Path, settings: &NetworkSettings) -> Result<Vec<NewFile>, NetworkError> {
    let hosts = root.join("etc/hosts");
    let text = hosts_text(&files::read_text(&hosts)?, settings);
    Ok(vec![
        NewFile { path: file(root), text: format!("{}\n", settings.host_name()), mode: 0o644 },
        NewFile { path: hosts, text, mode: 0o644 },
    ])
}

/// The file that keeps the name.
pub(super) fn file(root: &Path) -> PathBuf {
    root.join("etc/hostname")
}

/// The kernel's host name.
pub(super) fn current() -> Result<String, NetworkError> {
    let name = nix::unistd::gethostname().map_err(|errno| kernel("read the host name", errno))?;
    Ok(name.to_string_lossy().into_owned())
}

/// Has the daemon that keeps it take a lasting name, which it writes to the file itself. What it leaves undone, the kernel
/// and our own file do: one that fails or hangs is no reason for an appliance to be without its name.
pub(super) async fn tell(place: Place<'_>, back_end: &BackEnd, lasting: &str) {
    let hostnamed =
        place.is_real() && Path::new("/run/systemd/system").is_dir() && program::is_installed("hostnamectl");
    let told = match back_end {
        BackEnd::NetworkManager => networkmanager::tell_host_name(place, lasting).await,
        _ if hostnamed => {
            let arguments = ["set-hostname", "--static", lasting];
            program::succeed("hostnamectl", &arguments, place.patience).await.map(|_| ())
        }
        _ => Ok(()),
    };
    if let Err(error) = told {
        tracing::warn!(code = error.code(), %error, "who keeps the host name was not told");
    }
}

/// Sets the kernel's host name.
pub(super) fn set(name: &str) -> Result<(), NetworkError> {
    if current()? == name {
        return Ok(());
    }
    nix::unistd::sethostname(name).map_err(|errno| kernel("set the host name", errno))
}

/// Takes the name away from the kernel, if it is ours.
pub(super) fn let_go(settings: &NetworkSettings) -> Result<(), NetworkError> {
    if current()? == settings.host_name() { set(NO_NAME) } else { Ok(()) }
}

/// Takes out of the files what [`files`] put into them.
pub(super) fn forget(root: &Path, settings: &NetworkSettings) -> Result<(), NetworkError> {
    let hosts = root.join("etc/hosts");
    let text = files::read_text(&hosts)?;
    let others = without_ours(&text);
    if others != text {
        files::write(&[NewFile { path: hosts, text: others, mode: 0o644 }])?;
    }
    let path = file(root);
    if files::read_text(&path)?.trim() == settings.host_name() {
        files::write(&[NewFile { path, text: format!("{NO_NAME}\n"), mode: 0o644 }])?;
    }
    Ok(())
}

/// Everything of others stays; the line of ours is replaced or added.
fn hosts_text(former: &str, settings: &NetworkSettings) -> String {
    let mut text = without_ours(former);
    if former.is_empty() {
        text += "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";
    }
    let (name, domain) = (settings.host_name(), settings.domain());
    text + &format!("127.0.1.1 {name}.{domain} {name} {HOSTS_MARK}\n")
}

fn without_ours(hosts: &str) -> String {
    let mut text = String::new();
    for line in hosts.lines().filter(|line| !line.trim_end().ends_with(HOSTS_MARK)) {
        text += line;
        text.push('\n');
    }
    text
}

fn kernel(action: &'static str, errno: nix::errno::Errno) -> NetworkError {
    NetworkError::Kernel { action, source: errno.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::parameters::RawSettings;
    use std::fs;

    fn settings() -> NetworkSettings {
        let raw = RawSettings {
            host_name: "mail-01".into(),
            domain: "example.net".into(),
            address: "192.0.2.10".into(),
            netmask: "24".into(),
            ..RawSettings::default()
        };
        raw.validate().expect("valid")
    }

    #[test]
    fn others_lines_stay_and_ours_is_replaced() {
        let root = tempfile::tempdir().expect("a folder");
        fs::create_dir(root.path().join("etc")).expect("made");
        let former = "127.0.0.1 localhost\n10.0.0.1 other\n127.0.1.1 old.net old # muster-agent\n";
        fs::write(root.path().join("etc/hosts"), former).expect("written");
        let files = files(root.path(), &settings()).expect("planned");
        assert_eq!(files[0].text, "mail-01\n");
        assert_eq!(
            files[1].text,
            "127.0.0.1 localhost\n10.0.0.1 other\n127.0.1.1 mail-01.example.net mail-01 # muster-agent\n"
        );
        assert!(hosts_text("", &settings()).starts_with("127.0.0.1 localhost\n::1 "));
    }
    #[test]
    fn nothing_of_a_former_owner_stays_in_the_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        fs::create_dir(root.join("etc")).expect("made");
        fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n192.0.2.9 other\n").expect("written");
        files::write(&files(root, &settings()).expect("planned")).expect("written");
        for _ in 0..2 {
            forget(root, &settings()).expect("forgotten");
            let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
            assert_eq!(read("etc/hosts"), "127.0.0.1 localhost\n192.0.2.9 other\n");
            assert_eq!(read("etc/hostname"), "localhost\n");
        }
    }
}
