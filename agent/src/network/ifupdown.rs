//! ifupdown: a marked file in `/etc/network/interfaces.d`, and `ifup` and `ifdown`.
//!
//! The interface may be defined in a file of somebody else. Those are never rewritten: it is an error that names the file.

use super::back_end::Place;
use super::files::{MARK, NewFile};
use super::netlink::{METRIC, Netlink};
use super::{NetworkError, program};
use muster_protocol::parameters::NetworkSettings;
use std::fs;
use std::path::{Path, PathBuf};

const INTERFACES: &str = "etc/network/interfaces";
/// How deep files may include each other.
const DEEPEST: usize = 8;

/// The file of an interface, below the root. `source-directory` takes no names with dots.
pub(super) fn path(interface: &str) -> String {
    let name = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    format!("etc/network/interfaces.d/muster-{}", interface.chars().map(name).collect::<String>())
}

pub(super) fn file(root: &Path, interface: &str, settings: &NetworkSettings) -> NewFile {
    NewFile { path: root.join(path(interface)), text: contents(interface, settings), mode: 0o644 }
}

fn contents(interface: &str, settings: &NetworkSettings) -> String {
    let (address, prefix) = (settings.address(), settings.prefix());
    let mut text = format!("{MARK}\nauto {interface}\niface {interface} inet static\n    address {address}/{prefix}\n");
    if let Some(gateway) = settings.gateway() {
        text += &format!("    gateway {gateway}\n");
    }
    let servers: Vec<String> = settings.dns().into_iter().flatten().map(|server| server.to_string()).collect();
    if !servers.is_empty() {
        text += &format!("    dns-nameservers {}\n", servers.join(" "));
    }
    text += &format!("    dns-search {}\n", settings.search().join(" "));
    if let Some(ipv6) = settings.ipv6() {
        // Not a stanza of the family: that may be somebody else's, and it would switch router advertisements off.
        let mut lines = |what: &str| {
            text += &format!("    up ip -6 {what} dev {interface}\n");
        };
        lines(&format!("address replace {ipv6}"));
        if let Some(gateway) = ipv6.gateway() {
            lines(&format!("route replace default via {gateway} metric {METRIC}"));
        }
        let gateway = ipv6.gateway().map(|gateway| format!("route del default via {gateway} metric {METRIC}"));
        for what in gateway.into_iter().chain([format!("address del {ipv6}")]) {
            text += &format!("    down ip -6 {what} dev {interface} || true\n");
        }
    }
    text
}

pub(super) fn is_installed(root: &Path) -> bool {
    program::is_installed("ifup") && root.join(INTERFACES).exists()
}

/// Whether the interface is nobody else's, and our file is read.
pub(super) async fn check(place: Place<'_>) -> Result<(), NetworkError> {
    let Place { root, interface, .. } = place;
    if !program::is_installed("ifup") {
        return Err(NetworkError::DaemonAbsent { daemon: "ifupdown" });
    }
    let ours = root.join(path(interface));
    if let Some(path) = definitions(root, interface).find(|path| *path != ours) {
        return Err(NetworkError::Owned { interface: interface.to_owned(), path });
    }
    if !includes(root, &ours) {
        return Err(NetworkError::NotIncluded { interfaces: root.join(INTERFACES), path: ours });
    }
    // ifupdown itself has the last word: its patterns go further than ours.
    let known = ours.exists() || read_all(root).iter().any(|(_, text)| stanzas(text, interface).next().is_some());
    if !known && program::run(Path::new("ifquery"), &[interface], &[], place.patience).await?.status.success() {
        return Err(NetworkError::Owned { interface: interface.to_owned(), path: root.join(INTERFACES) });
    }
    Ok(())
}

/// Whether ifupdown holds the interface for configured.
pub(super) async fn is_up(place: Place<'_>) -> Result<bool, NetworkError> {
    let arguments = ["--state", place.interface];
    Ok(program::run(Path::new("ifquery"), &arguments, &[], place.patience).await?.status.success())
}

/// Takes the interface down, as the files say now, if it is up.
pub(super) async fn let_go(place: Place<'_>) -> Result<(), NetworkError> {
    if is_up(place).await? {
        program::succeed("ifdown", &["--force", place.interface], place.patience).await?;
    }
    Ok(())
}

/// Brings it up as the files say. What is there is in ifup's way.
pub(super) async fn bring_up(place: Place<'_>, netlink: &Netlink, index: u32) -> Result<(), NetworkError> {
    netlink.clear(index, None).await?;
    netlink.remove_default_routes().await?;
    program::succeed("ifup", &["--force", place.interface], place.patience).await.map(|_| ())
}

/// The files that define the interface's IPv4 settings, as far as `source` lines can be followed.
pub(super) fn definitions<'a>(root: &Path, interface: &'a str) -> impl Iterator<Item = PathBuf> + use<'a> {
    let files = read_all(root);
    files.into_iter().filter(move |(_, text)| defines(text, interface)).map(|(path, _)| path)
}

fn includes(root: &Path, path: &Path) -> bool {
    // As it will be, whether it is there yet or not.
    let patterns = read_all(root).into_iter().flat_map(|(_, text)| sources(root, &text));
    patterns.into_iter().any(|source| source.takes(path))
}

/// Other families have stanzas of their own, and stay with whoever wrote them.
fn defines(text: &str, interface: &str) -> bool {
    stanzas(text, interface).any(|family| family == "inet")
}

/// The families that an interface has stanzas for.
fn stanzas<'a>(text: &str, interface: &'a str) -> impl Iterator<Item = String> + use<'a> {
    lines(text).into_iter().filter_map(move |line| {
        let mut words = line.split_whitespace();
        let is_its = words.next() == Some("iface") && words.next().is_some_and(|name| matches(name, interface));
        is_its.then(|| words.next().unwrap_or_default().to_owned())
    })
}

/// `interfaces` and what it includes.
fn read_all(root: &Path) -> Vec<(PathBuf, String)> {
    let mut found: Vec<(PathBuf, String)> = Vec::new();
    let mut level = vec![root.join(INTERFACES)];
    for _ in 0..DEEPEST {
        let mut next = Vec::new();
        for path in std::mem::take(&mut level) {
            if found.iter().any(|(known, _)| *known == path) {
                continue;
            }
            let Ok(bytes) = fs::read(&path) else { continue };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            next.extend(sources(root, &text).iter().flat_map(Source::files));
            found.push((path, text));
        }
        level = next;
    }
    found
}

/// A `source` or `source-directory` line.
struct Source {
    folder: PathBuf,
    /// Of the file's name; `None` for a whole folder.
    pattern: Option<String>,
}

impl Source {
    fn takes(&self, path: &Path) -> bool {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        path.parent() == Some(&self.folder)
            && match &self.pattern {
                Some(pattern) => matches(pattern, name),
                None => name.chars().all(plain),
            }
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| self.takes(path)).collect();
        files.sort();
        files
    }
}

fn sources(root: &Path, text: &str) -> Vec<Source> {
    let absolute = |word: &str| match word.strip_prefix('/') {
        Some(below) => root.join(below),
        None => root.join("etc/network").join(word),
    };
    let source = |line: &String| {
        let (keyword, rest) = line.split_once(char::is_whitespace)?;
        let path = absolute(rest.trim());
        match keyword {
            "source-directory" | "source-dir" => Some(Source { folder: path, pattern: None }),
            "source" => {
                let pattern = path.file_name()?.to_str()?.to_owned();
                Some(Source { folder: path.parent()?.to_owned(), pattern: Some(pattern) })
            }
            _ => None,
        }
    };
    lines(text).iter().filter_map(source).collect()
}

/// Lines without comments, continued ones joined.
fn lines(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(String::from).collect()
}

/// A shell pattern of `*`, `?` and plain characters.
fn matches(pattern: &str, name: &str) -> bool {
    match (pattern.chars().next(), name.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            matches(&pattern[1..], name)
                || name.chars().next().is_some_and(|first| matches(pattern, &name[first.len_utf8()..]))
        }
        (Some('?'), Some(first)) => matches(&pattern[1..], &name[first.len_utf8()..]),
        (Some(one), Some(other)) if one == other => matches(&pattern[one.len_utf8()..], &name[other.len_utf8()..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::parameters::RawSettings;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("has one")).expect("made");
            fs::write(path, text).expect("written");
        }
        root
    }

    fn owners(root: &tempfile::TempDir, interface: &str) -> Vec<String> {
        let below = |path: PathBuf| path.strip_prefix(root.path()).expect("below").display().to_string();
        definitions(root.path(), interface).map(below).collect()
    }

    #[test]
    fn the_file_has_every_setting() {
        let settings = RawSettings {
            host_name: "mail-01".into(),
            domain: "example.net".into(),
            address: "192.0.2.10".into(),
            netmask: "/25".into(),
            gateway: "192.0.2.1".into(),
            dns1: "192.0.2.53".into(),
            dns2: "198.51.100.53".into(),
            ..RawSettings::default()
        };
        let expected = "\
# Written by muster-agent. It is replaced at the next configuration.
auto eth0
iface eth0 inet static
    address 192.0.2.10/25
    gateway 192.0.2.1
    dns-nameservers 192.0.2.53 198.51.100.53
    dns-search example.net
";
        assert_eq!(contents("eth0", &settings.validate().expect("valid")), expected);
        let both = RawSettings { address6: "2001:db8::10/64".into(), gateway6: "fe80::1".into(), ..settings };
        let expected = format!(
            "{expected}\
\x20   up ip -6 address replace 2001:db8::10/64 dev eth0
    up ip -6 route replace default via fe80::1 metric 512 dev eth0
    down ip -6 route del default via fe80::1 metric 512 dev eth0 || true
    down ip -6 address del 2001:db8::10/64 dev eth0 || true
"
        );
        assert_eq!(contents("eth0", &both.validate().expect("valid")), expected);
        assert_eq!(path("eth0.10"), "etc/network/interfaces.d/muster-eth0_10");
    }

    #[test]
    fn whoever_defines_the_interface_is_found_through_every_kind_of_inclusion() {
        let root = root(&[
            ("etc/network/interfaces", "source /etc/network/interfaces.d/*.cfg\nsource-directory extra\nauto eth0\n"),
            (
                "etc/network/interfaces.d/one.cfg",
                "# iface eth0 inet dhcp\niface eth1 \\\n inet dhcp\nsource /etc/more\n",
            ),
            ("etc/network/interfaces.d/ignored", "iface eth0 inet dhcp\n"),
            ("etc/network/extra/two", "iface eth2* inet dhcp\niface eth0 inet6 auto\n"),
            ("etc/network/extra/two.bak", "iface eth0 inet dhcp\n"),
            ("etc/more", "\tiface  eth3  inet  manual\nsource /etc/network/interfaces\n"),
        ]);
        assert_eq!(owners(&root, "eth0"), Vec::<String>::new());
        assert_eq!(owners(&root, "eth1"), ["etc/network/interfaces.d/one.cfg"]);
        assert_eq!(owners(&root, "eth20"), ["etc/network/extra/two"]);
        assert_eq!(owners(&root, "eth3"), ["etc/more"]);
    }

    #[test]
    fn our_file_must_be_included() {
        for (line, included) in [
            ("source /etc/network/interfaces.d/*", true),
            ("source interfaces.d/*", true),
            ("source-directory /etc/network/interfaces.d", true),
            ("source /etc/network/interfaces.d/*.cfg", false),
            ("#source /etc/network/interfaces.d/*", false),
            ("auto lo", false),
        ] {
            let root = root(&[("etc/network/interfaces", line)]);
            assert_eq!(includes(root.path(), &root.path().join(path("eth0"))), included, "{line}");
        }
    }
}
