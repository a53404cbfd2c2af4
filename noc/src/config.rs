//! The data folder: what is in it, who may read it, how it comes into being.
//!
//! `noc.toml` is written last: a folder without it is no NOC, and `init` may be run again in it.

use crate::error::{AsProblem, StoreError, problem};
use crate::random;
use crate::settings::{self, LogFormat, Settings};
use crate::signer::Signer;
use crate::store::Store;
use crate::tls::Authority;
use ipnet::IpNet;
use muster_protocol::api::Problem;
use muster_protocol::crypto::keys::{PublicKey, SecretKey};
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// TCP port of the NOC unless said otherwise: "MUST" on a keypad, as the UDP port of the LAN.
pub const DEFAULT_PORT: u16 = 6878;

/// What `init` needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where consoles and appliances reach this NOC: `host[:port]`, at least one. The first goes into grants and invites.
    /// Port 0 stands for whatever port `serve` was given.
    pub addresses: Vec<String>,
    /// Where `muster-noc serve` listens.
    pub listen: SocketAddr,
}

impl Options {
    /// Reached at `address`, listening on every interface at that address's port.
    pub fn at(address: &str) -> Options {
        let port = split_address(address).map_or(DEFAULT_PORT, |(_, port)| port);
        Options { addresses: vec![address.to_owned()], listen: (Ipv6Addr::UNSPECIFIED, port).into() }
    }
}

/// The contents of `noc.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) addresses: Vec<String>,
    pub(crate) listen: SocketAddr,
    /// Largest size of the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) database_limit_mib: Option<u32>,
    /// How often an appliance may beat, and those of an organisation together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) beats_per_s_appliance: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) beats_per_s_organisation: Option<u32>,
    /// Where figures for Prometheus are served, on loopback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Days for which records of the audit log are kept; none for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) audit_keep_days: Option<u32>,
    /// Networks besides the public internet that channels may reach (decision 0037).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) channel_networks: Vec<IpNet>,
    /// Most that waits to be written to other stores, by all organisations (decision 0041).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remote_write_keep_mib: Option<u32>,
    /// Directives of the log, as in `RUST_LOG`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log_format: Option<LogFormat>,
}

impl Config {
    /// What `noc.toml` of a data folder says.
    pub(crate) fn read(folder: &Path) -> Result<Config, OpenError> {
        let path = folder.join("noc.toml");
        if !path.exists() {
            return Err(OpenError::NotInitialised { path: folder.to_owned() });
        }
        let damaged = |what: String| OpenError::Damaged { path: path.clone(), what };
        let config: Config = toml::from_str(&read(&path)?).map_err(|e| damaged(e.message().to_owned()))?;
        if config.names().is_empty() || config.names().len() != config.addresses.len() {
            return Err(damaged("`addresses` needs at least one host:port".to_owned()));
        }
        for (name, per_s) in [
            ("beats_per_s_appliance", config.beats_per_s_appliance),
            ("beats_per_s_organisation", config.beats_per_s_organisation),
        ] {
            if per_s == Some(0) {
                return Err(damaged(format!("`{name}` must be at least 1")));
            }
        }
        if let Some(metrics) = config.metrics {
            settings::loopback(metrics).map_err(|what| damaged(format!("`metrics` is {what}")))?;
        }
        if let Some(days) = config.audit_keep_days {
            settings::keep_days(days).map_err(|what| damaged(format!("`audit_keep_days` is {what}")))?;
        }
        if let Some(log) = &config.log {
            settings::filter(log).map_err(|what| damaged(format!("`log` is {what}")))?;
        }
        Ok(config)
    }

    /// How much may wait to be written to other stores, in MiB.
    pub(crate) fn remote_write_keep_mib(&self) -> u32 {
        self.remote_write_keep_mib.unwrap_or(1_024)
    }

    /// Host and port of each public address.
    pub(crate) fn names(&self) -> Vec<(String, u16)> {
        self.addresses.iter().filter_map(|address| split_address(address)).collect()
    }
}

/// An opened data folder.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) config: Config,
    pub(crate) authority: Authority,
    pub(crate) signer: Signer,
    pub(crate) store: Store,
}

/// Why a data folder could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is a NOC already.
    #[error("{} already holds a NOC", path.display())]
    AlreadyInitialised {
        /// The folder.
        path: PathBuf,
    },
    /// A public address is none.
    #[error("`{address}` is not an address for a NOC")]
    BadAddress {
        /// What was given.
        address: String,
    },
    /// A file or folder could not be made.
    #[error("{} could not be written", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes for the keys")]
    NoEntropy,
    /// A certificate could not be made.
    #[error("the TLS CA could not be made")]
    Certificate(#[source] rcgen::Error),
    /// The new folder could not be opened.
    #[error("the new data folder does not open")]
    Open(#[source] OpenError),
}

impl AsProblem for InitError {
    fn problem(&self) -> Problem {
        match self {
            InitError::AlreadyInitialised { .. } => {
                problem(409, "already_initialised", self, "Use it with `muster-noc serve`, or choose another folder.")
            }
            InitError::BadAddress { .. } => problem(
                400,
                "bad_address",
                self,
                "Give the name or IP address under which consoles and appliances reach it, as noc.example.net:6878.",
            ),
            InitError::Write { .. } => {
                problem(500, "folder_unwritable", self, "Choose a folder you may write to, with free space.")
            }
            InitError::NoEntropy => {
                problem(500, "no_entropy", self, "Try again once the machine has finished starting.")
            }
            InitError::Certificate(_) => problem(500, "certificate_failed", self, "Check the public addresses."),
            InitError::Open(error) => error.problem(),
        }
    }
}

/// Why a data folder does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No NOC there.
    #[error("{} holds no NOC", path.display())]
    NotInitialised {
        /// The folder.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error("{} could not be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A secret can be read by others.
    #[error("{} can be read by others (mode {mode:03o}); it holds a secret", path.display())]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file does not hold what it should.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// An environment variable does not say what it should.
    #[error("the environment variable {variable} is unusable: {what}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What is wrong.
        what: String,
    },
    /// The database belongs to another root key.
    #[error("{} belongs to another NOC than root.key beside it", path.display())]
    Mixed {
        /// The database.
        path: PathBuf,
    },
    /// The linked SQLite has a known bug that can lose data.
    #[error("SQLite {version} is older than 3.51.3 and may corrupt a database in WAL mode")]
    OldSqlite {
        /// The version.
        version: String,
    },
    /// The database does not open or migrate.
    #[error("the database does not open")]
    Database(#[source] StoreError),
    /// The database's tables could not be brought up to date.
    #[error("the database's tables could not be brought up to date")]
    Migrate(#[source] Box<refinery::Error>),
}

impl AsProblem for OpenError {
    fn problem(&self) -> Problem {
        match self {
            OpenError::NotInitialised { .. } => {
                problem(404, "not_initialised", self, "Make one with `muster-noc init --dir DIR --address HOST`.")
            }
            OpenError::Read { .. } => problem(
                500,
                "folder_unreadable",
                self,
                "Run as the user that owns the folder, or restore it from a backup.",
            ),
            OpenError::Exposed { path, .. } => {
                let remedy = format!(
                    "Nobody else may read it: run `chmod 600 {}`. If others could, make a new NOC.",
                    path.display()
                );
                problem(500, "key_exposed", self, &remedy)
            }
            OpenError::Damaged { .. } => problem(500, "folder_damaged", self, "Restore the file from a backup."),
            OpenError::Variable { .. } => problem(
                400,
                "bad_variable",
                self,
                "Correct it or unset it: without it, noc.toml or what is built in holds.",
            ),
            OpenError::Mixed { .. } => {
                problem(500, "folder_mixed", self, "Restore root.key and noc.sqlite from the same backup.")
            }
            OpenError::OldSqlite { .. } => {
                problem(500, "sqlite_too_old", self, "Install the program as it was released.")
            }
            OpenError::Database(error) => error.problem(),
            OpenError::Migrate(_) => problem(
                500,
                "migration_failed",
                self,
                "Restore the folder from a backup and use a program at least as new.",
            ),
        }
    }
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`; the port defaults to [`DEFAULT_PORT`].
pub(crate) fn split_address(text: &str) -> Option<(String, u16)> {
    let text = text.trim();
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some((ip.to_string(), DEFAULT_PORT));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') => (host, port.parse().ok()?),
        _ => (text, DEFAULT_PORT),
    };
    if let Some(v6) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return v6.parse::<Ipv6Addr>().ok().map(|ip| (ip.to_string(), port));
    }
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    // 110 bytes leave room for the port within a grant's 128.
    let good = host.len() <= 110 && host.split('.').all(label);
    good.then(|| (host.to_ascii_lowercase(), port))
}

/// `host:port` as in grants and URLs.
pub(crate) fn join_address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Makes a data folder with new keys.
pub(crate) fn init(path: &Path, options: &Options) -> Result<Folder, InitError> {
    if path.join("noc.toml").exists() {
        return Err(InitError::AlreadyInitialised { path: path.to_owned() });
    }
    if options.addresses.is_empty() {
        return Err(InitError::BadAddress { address: String::new() });
    }
    for address in &options.addresses {
        split_address(address).ok_or_else(|| InitError::BadAddress { address: address.clone() })?;
    }
    let config = Config {
        addresses: options.addresses.clone(),
        listen: options.listen,
        database_limit_mib: None,
        beats_per_s_appliance: None,
        beats_per_s_organisation: None,
        metrics: None,
        channel_networks: Vec::new(),
        remote_write_keep_mib: None,
        log: None,
        audit_keep_days: None,
        log_format: None,
    };

    make_folder(path).map_err(|source| InitError::Write { path: path.to_owned(), source })?;
    let write = |name: &str, contents: &[u8]| {
        let path = path.join(name);
        write_private(&path, contents).map_err(|source| InitError::Write { path, source })
    };
    let root = make_keys(path)?;
    for name in ["noc.sqlite", "noc.sqlite-wal", "noc.sqlite-shm"] {
        let file = path.join(name);
        match fs::remove_file(&file) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(InitError::Write { path: file, source });
            }
            _ => {}
        }
    }
    write("noc.sqlite", b"")?;
    Store::create(&path.join("noc.sqlite"), &root).map_err(InitError::Open)?;
    write_config(path, &config)?;
    open(path).map_err(InitError::Open)
}

/// Makes new keys and a new CA in a folder; the root's public key.
pub(crate) fn make_keys(path: &Path) -> Result<PublicKey, InitError> {
    let write = |name: &str, contents: &[u8]| {
        let path = path.join(name);
        write_private(&path, contents).map_err(|source| InitError::Write { path, source })
    };
    let seed = Zeroizing::new(random::bytes::<32>().map_err(|_| InitError::NoEntropy)?);
    write("root.key", &Zeroizing::new(data_encoding::BASE64.encode(&*seed).into_bytes()))?;
    let (certificate, key) = Authority::generate().map_err(InitError::Certificate)?;
    write("ca.key", key.as_bytes())?;
    write("ca.pem", certificate.as_bytes())?;
    Ok(SecretKey::from_seed(&seed).public())
}

/// Writes `noc.toml`: from then on the folder is a NOC.
pub(crate) fn write_config(folder: &Path, config: &Config) -> Result<(), InitError> {
    let path = folder.join("noc.toml");
    let written =
        toml::to_string(config).map_err(io::Error::other).and_then(|text| write_private(&path, text.as_bytes()));
    written.map_err(|source| InitError::Write { path, source })
}

/// Opens a data folder; refuses when others can read its secrets.
pub(crate) fn open(path: &Path) -> Result<Folder, OpenError> {
    let file = |name: &str| path.join(name);
    let config = Settings::read(path)?.config;
    for name in ["root.key", "ca.key", "noc.sqlite"] {
        check_private(&file(name))?;
    }
    let root = read_key(&file("root.key"))?;
    let authority = Authority::load(&read(&file("ca.pem"))?, &Zeroizing::new(read(&file("ca.key"))?))
        .map_err(|what| OpenError::Damaged { path: file("ca.pem"), what })?;
    let store = Store::open(&file("noc.sqlite"), &root.public(), config.database_limit_mib)?;
    Ok(Folder { path: path.to_owned(), config, authority, signer: Signer::new(root), store })
}

/// A signing key: 32 bytes in base64.
pub(crate) fn read_key(path: &Path) -> Result<SecretKey, OpenError> {
    let key = Zeroizing::new(read(path)?);
    let seed = data_encoding::BASE64.decode(key.trim().as_bytes()).ok().map(Zeroizing::new);
    let seed: Option<[u8; 32]> = seed.and_then(|seed| seed.as_slice().try_into().ok());
    let what = || "not 32 bytes in base64".to_owned();
    let seed = Zeroizing::new(seed.ok_or_else(|| OpenError::Damaged { path: path.to_owned(), what: what() })?);
    Ok(SecretKey::from_seed(&seed))
}

fn read(path: &Path) -> Result<String, OpenError> {
    fs::read_to_string(path).map_err(|source| OpenError::Read { path: path.to_owned(), source })
}

#[cfg(unix)]
pub(crate) fn check_private(path: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::metadata(path).map_err(|source| OpenError::Read { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(OpenError::Exposed { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
pub(crate) fn check_private(path: &Path) -> Result<(), OpenError> {
    // The user's own data folder is private by the defaults of the other systems.
    fs::metadata(path).map(|_| ()).map_err(|source| OpenError::Read { path: path.to_owned(), source })
}

/// Makes a folder that only its owner can read; one that is there already stays as it is.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// The same for a folder that must not be there yet, inside of one that is.
pub(crate) fn make_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Writes a file that only its owner can read, and waits until it is on disk.
fn write_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    // A file left by an init that was cut short may have other permissions: start with a new one.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    create_private(path, contents)
}

/// Writes a file that only its owner can read over another one: whoever reads it finds the one or the other, whole.
pub(crate) fn write_over(path: &Path, contents: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    write_private(&beside, contents)?;
    fs::rename(&beside, path)?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// The same for a file that must not be there yet.
pub(crate) fn create_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(contents)?;
    file.sync_all()?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::File::open(parent)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_read_in_every_common_form() {
        let cases = [
            ("noc.example.net", Some(("noc.example.net", DEFAULT_PORT))),
            ("NOC:443", Some(("noc", 443))),
            ("192.0.2.1:0", Some(("192.0.2.1", 0))),
            ("2001:db8::1", Some(("2001:db8::1", DEFAULT_PORT))),
            ("[2001:db8::1]:8443", Some(("2001:db8::1", 8443))),
            ("", None),
            ("a b", None),
            ("https://noc", None),
            ("noc:99999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(split_address(text), expected.map(|(h, p)| (h.to_owned(), p)), "{text}");
        }
        assert_eq!(join_address("2001:db8::1", 1), "[2001:db8::1]:1");
    }
}
