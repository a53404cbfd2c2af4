//! What the image and the command line decide: `agent.toml`, overridden by options.

use muster_protocol::wire::here::Proof;
use serde::Deserialize;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The agent's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where state is kept.
    pub state_dir: PathBuf,
    /// What system files are relative to.
    pub root: PathBuf,
    /// The interface to configure; the first Ethernet if absent.
    pub interface: Option<String>,
    /// What proves ownership while unconfigured.
    pub proof: Proof,
    /// A file of the image with the label's claim code.
    pub claim_file: Option<PathBuf>,
    /// Serial number, for the label.
    pub serial: String,
    /// Model, for the label.
    pub model: String,
    /// How long to wait for a host that has the address already.
    pub probe: Duration,
    /// The user, by name or number, that reads what the network sends: `muster-agent` if there is one and the image names none; with
    /// `root` one process does everything.
    pub user: Option<String>,
    /// Whether that process may only make the system calls that it needs.
    pub system_call_filter: bool,
    /// What is done about settings that somebody changed by hand.
    pub drift: DriftPolicy,
    /// Program and arguments that restart the system; empty: systemd if it runs, else the kernel.
    pub reboot: Vec<String>,
}

/// `agent.toml` of the image. Everything is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageConfig {
    /// `claim` or `open`.
    pub proof: Option<ProofName>,
    /// The interface to configure.
    pub interface: Option<String>,
    /// A file with the label's claim code.
    pub claim_file: Option<PathBuf>,
    /// Serial number.
    pub serial: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Milliseconds to wait for a host that has the address already.
    pub probe_ms: Option<u64>,
    /// The user that reads what the network sends.
    pub user: Option<String>,
    /// Whether it may only make the system calls that it needs.
    pub system_call_filter: Option<bool>,
    /// `report` or `restore`.
    pub drift: Option<DriftPolicy>,
    /// Program and arguments that restart the system.
    pub reboot: Option<Vec<String>>,
}

/// What is done about settings that somebody changed by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriftPolicy {
    /// The beats say which.
    #[default]
    Report,
    /// Besides, they are set again as they were configured.
    Restore,
}

/// A proof that an image can be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ProofName {
    /// The label's claim code.
    Claim,
    /// Nothing: for a bench only.
    Open,
}

impl From<ProofName> for Proof {
    fn from(name: ProofName) -> Proof {
        match name {
            ProofName::Claim => Proof::Claim,
            ProofName::Open => Proof::Open,
        }
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there but cannot be read.
    #[error("{path} cannot be read. Check its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{path} is not a valid agent.toml. Correct it, or remove it to use the defaults")]
    Form {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: toml::de::Error,
    },
}

impl ConfigError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            ConfigError::Read { .. } => "config_unreadable",
            ConfigError::Form { .. } => "config_invalid",
        }
    }
}

impl ImageConfig {
    /// `etc/muster/agent.toml` below `root`; the defaults if there is none.
    pub fn load(root: &Path) -> Result<ImageConfig, ConfigError> {
        let path = root.join("etc/muster/agent.toml");
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|source| ConfigError::Form { path, source }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(ImageConfig::default()),
            Err(source) => Err(ConfigError::Read { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_may_say_nothing_something_or_nonsense() {
        let root = tempfile::tempdir().expect("a folder");
        assert_eq!(ImageConfig::load(root.path()).expect("defaults"), ImageConfig::default());
        let folder = root.path().join("etc/muster");
        std::fs::create_dir_all(&folder).expect("made");
        let write = |text: &str| std::fs::write(folder.join("agent.toml"), text).expect("written");
        write(
            "proof = \"open\"\nmodel = \"MG-20\"\nprobe_ms = 500\ndrift = \"restore\"\nreboot = [\"restart\", \"now\"]\n",
        );
        let config = ImageConfig::load(root.path()).expect("valid");
        assert_eq!((config.proof, config.model.as_deref()), (Some(ProofName::Open), Some("MG-20")));
        assert_eq!(config.drift, Some(DriftPolicy::Restore));
        assert_eq!(config.reboot, Some(vec!["restart".to_owned(), "now".to_owned()]));
        for nonsense in ["proof = \"none\"", "drift = \"ignore\"", "prof = \"open\"", "\u{0}"] {
            write(nonsense);
            assert_eq!(ImageConfig::load(root.path()).expect_err("refused").code(), "config_invalid");
        }
    }
}
