//! What the image and the command line decide: `agent.toml`, overridden by options.

use crate::installer::config::{ComponentsConfig, ComponentsConfigError};
use crate::network::application::ApplicationPlace;
use crate::network::arp::Timing;
use crate::network::back_end::{BackEnd, BackEndName};
use crate::network::links::{Choice, ChoiceError};
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::parameters::DriftPolicy;
use muster_protocol::wire::here::Proof;
use serde::Deserialize;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub mod application;

/// The agent's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where state is kept.
    pub state_dir: PathBuf,
    /// What system files are relative to.
    pub root: PathBuf,
    /// The interface to configure.
    pub interface: Choice,
    /// What proves ownership while unconfigured.
    pub proof: Proof,
    /// Whose vouchers count, with [`Proof::Voucher`].
    pub vendor: Option<PublicKey>,
    /// A file of the image with the label's claim code.
    pub claim_file: Option<PathBuf>,
    /// Serial number, for the label.
    pub serial: String,
    /// Model, for the label.
    pub model: String,
    /// How a host that has the address already is looked for.
    pub probe: Timing,
    /// The user, by name or number, that reads what the network sends: `muster-agent` if there is one and the image names none; with
    /// `root` one process does everything.
    pub user: Option<String>,
    /// Whether that process may only make the system calls that it needs.
    pub system_call_filter: bool,
    /// What is done about settings that somebody changed by hand, unless the NOC says it.
    pub drift: DriftPolicy,
    /// Program and arguments that restart the system; empty: systemd if it runs, else the kernel.
    pub reboot: Vec<String>,
    /// Who sets the network; found out at start if absent.
    pub network: Option<BackEnd>,
    /// Where application settings go; none: the appliance takes none.
    pub application: Option<ApplicationPlace>,
    /// What may be installed; none: nothing.
    pub components: Option<ComponentsConfig>,
}

impl Config {
    /// Whether the kernel has the settings: those of a vendor's program may be somewhere else.
    pub fn sets_kernel(&self) -> bool {
        !matches!(self.network, Some(BackEnd::Exec(_)))
    }
}

/// `agent.toml` of the image. Everything is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageConfig {
    /// `claim`, `voucher` or `open`.
    pub proof: Option<ProofName>,
    /// The vendor's key, with `voucher`: what `muster-noc voucher new-key` printed.
    pub vendor_key: Option<VendorKey>,
    /// The interface to configure: its name or its MAC address.
    pub interface: Option<String>,
    /// A file with the label's claim code.
    pub claim_file: Option<PathBuf>,
    /// Serial number.
    pub serial: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// How a host that has the address already is looked for.
    pub probe: Option<ProbeName>,
    /// The same within a time of the image's own, in milliseconds; instead of `probe`.
    pub probe_ms: Option<u64>,
    /// The user that reads what the network sends.
    pub user: Option<String>,
    /// Whether it may only make the system calls that it needs.
    pub system_call_filter: Option<bool>,
    /// `report` or `restore`.
    pub drift: Option<DriftPolicy>,
    /// Program and arguments that restart the system.
    pub reboot: Option<Vec<String>>,
    /// Who sets the network.
    pub network: Option<BackEndName>,
    /// The vendor's program for `network = "exec"`.
    pub network_program: Option<PathBuf>,
    /// Where application settings go.
    pub application: Option<application::Section>,
    /// What the NOC may have installed.
    pub components: Option<ComponentsConfig>,
}

/// A way to probe for address conflicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeName {
    /// Some 0.6 s.
    Fast,
    /// The times of RFC 5227: 4 to 7 s.
    Full,
}

/// A proof that an image can be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ProofName {
    /// The label's claim code.
    Claim,
    /// A voucher by the vendor whose key the image names.
    Voucher,
    /// Nothing: for a bench only.
    Open,
}

/// An Ed25519 public key, in base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct VendorKey(pub PublicKey);

impl TryFrom<String> for VendorKey {
    type Error = &'static str;
    fn try_from(text: String) -> Result<VendorKey, &'static str> {
        PublicKey::from_base64(&text).map(VendorKey).ok_or("vendor_key is not 32 bytes in base64")
    }
}

impl From<ProofName> for Proof {
    fn from(name: ProofName) -> Proof {
        match name {
            ProofName::Claim => Proof::Claim,
            ProofName::Voucher => Proof::Voucher,
            ProofName::Open => Proof::Open,
        }
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No interface can have that name.
    #[error(transparent)]
    Interface(#[from] ChoiceError),
    /// What may be installed cannot be meant.
    #[error(transparent)]
    Components(#[from] ComponentsConfigError),
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
    /// `exec` without a program.
    #[error(
        "the network back end `exec` needs a program. Name it with network_program in agent.toml or --network-program"
    )]
    NetworkProgramMissing,
    /// The program's path depends on where the agent was started.
    #[error("the network program {program} is not named by its absolute path. Write it from / on")]
    NetworkProgramRelative {
        /// As it was named.
        program: PathBuf,
    },
    /// A program for a back end that has none.
    #[error("a network program is for the network back end `exec` only. Name that, or take the program out")]
    NetworkProgramUnused,
    /// Daemons know no other root.
    #[error(
        "with a root other than / no network daemon can be used. Leave --root out, or name the network back end `bare`"
    )]
    NetworkRoot,
    /// What `[application]` says cannot be meant.
    #[error("[application] in agent.toml: {0}")]
    Application(#[from] application::SectionError),
    /// The proof is a voucher, and nobody says by whom.
    #[error(
        "the proof is `voucher`, and agent.toml names no `vendor_key`. Put there what `muster-noc voucher new-key` printed"
    )]
    NoVendorKey,
    /// A vendor's key that nothing is checked with: the image would accept another proof than its vendor believes.
    #[error("agent.toml names a `vendor_key` and another proof. Say `proof = \"voucher\"`, or remove the key")]
    UnusedVendorKey,
}

impl ConfigError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            ConfigError::Interface(error) => error.code(),
            ConfigError::Components(error) => error.code(),
            ConfigError::Read { .. } => "config_unreadable",
            ConfigError::Form { .. } => "config_invalid",
            ConfigError::NetworkProgramMissing => "config_network_program_missing",
            ConfigError::NetworkProgramRelative { .. } => "config_network_program_relative",
            ConfigError::NetworkProgramUnused => "config_network_program_unused",
            ConfigError::NetworkRoot => "config_network_root",
            ConfigError::Application(error) => error.code(),
            ConfigError::NoVendorKey => "vendor_key_missing",
            ConfigError::UnusedVendorKey => "vendor_key_unused",
        }
    }
}

impl ImageConfig {
    /// `etc/muster/agent.toml` below `root`; the defaults if there is none.
    pub fn load(root: &Path) -> Result<ImageConfig, ConfigError> {
        let path = root.join("etc/muster/agent.toml");
        match std::fs::read_to_string(&path) {
            Ok(text) => parse(&text).map_err(|source| ConfigError::Form { path, source }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(ImageConfig::default()),
            Err(source) => Err(ConfigError::Read { path, source }),
        }
    }

    /// The times of the probe for address conflicts.
    pub fn timing(&self) -> Timing {
        match (self.probe_ms, self.probe) {
            (Some(ms), _) => Timing::within(Duration::from_millis(ms)),
            (None, Some(ProbeName::Full)) => Timing::FULL,
            (None, Some(ProbeName::Fast) | None) => Timing::FAST,
        }
    }

    /// What proves ownership, and whose vouchers count; `chosen` on the command line overrides the image.
    pub fn ownership(&self, chosen: Option<ProofName>) -> Result<(Proof, Option<PublicKey>), ConfigError> {
        let key = self.vendor_key.map(|VendorKey(key)| key);
        if key.is_some() && self.proof != Some(ProofName::Voucher) && chosen != Some(ProofName::Voucher) {
            return Err(ConfigError::UnusedVendorKey);
        }
        match chosen.or(self.proof).unwrap_or(ProofName::Claim) {
            ProofName::Voucher => Ok((Proof::Voucher, Some(key.ok_or(ConfigError::NoVendorKey)?))),
            other => Ok((other.into(), None)),
        }
    }
}

fn parse(text: &str) -> Result<ImageConfig, toml::de::Error> {
    let config: ImageConfig = toml::from_str(text)?;
    if config.probe.is_some() && config.probe_ms.is_some() {
        return Err(serde::de::Error::custom("`probe` and `probe_ms` exclude each other: give one of them"));
    }
    Ok(config)
}

/// What names a back end: its name, and the program for `exec`.
pub type NamedBackEnd = (Option<BackEndName>, Option<PathBuf>);

/// The back end that options name, or else the image; none if neither does. A program alone means `exec`.
pub fn back_end(options: NamedBackEnd, image: NamedBackEnd, root: &Path) -> Result<Option<BackEnd>, ConfigError> {
    let named = match options {
        (None, None) => image,
        // `--network exec` is the image's program.
        (Some(BackEndName::Exec), None) => (Some(BackEndName::Exec), image.1),
        options => options,
    };
    let back_end = match named {
        (None, None) => return Ok(None),
        (None | Some(BackEndName::Exec), Some(program)) if program.is_absolute() => BackEnd::Exec(program),
        (None | Some(BackEndName::Exec), Some(program)) => return Err(ConfigError::NetworkProgramRelative { program }),
        (Some(BackEndName::Exec), None) => return Err(ConfigError::NetworkProgramMissing),
        (Some(_), Some(_)) => return Err(ConfigError::NetworkProgramUnused),
        (Some(BackEndName::Networkd), None) => BackEnd::Networkd,
        (Some(BackEndName::NetworkManager), None) => BackEnd::NetworkManager,
        (Some(BackEndName::Ifupdown), None) => BackEnd::Ifupdown,
        (Some(BackEndName::Bare), None) => BackEnd::Bare,
    };
    if root != Path::new("/") && back_end != BackEnd::Bare {
        return Err(ConfigError::NetworkRoot);
    }
    Ok(Some(back_end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str, options: NamedBackEnd) -> Result<Option<BackEnd>, ConfigError> {
        let image: ImageConfig = toml::from_str(text).expect("valid");
        back_end(options, (image.network, image.network_program), Path::new("/"))
    }

    #[test]
    fn a_back_end_is_named_by_the_image_or_an_option() {
        let none = || (None, None);
        assert_eq!(named("", none()).expect("none"), None);
        let manager = "network = \"network-manager\"";
        assert_eq!(named(manager, none()).expect("named"), Some(BackEnd::NetworkManager));
        assert_eq!(named(manager, (Some(BackEndName::Bare), None)).expect("named"), Some(BackEnd::Bare));
        let program = PathBuf::from("/usr/lib/vendor/network");
        let alone = format!("network_program = \"{}\"", program.display());
        let both = format!("network = \"exec\"\n{alone}");
        let exec = Some(BackEnd::Exec(program.clone()));
        for (text, options) in [
            (alone.as_str(), none()),
            (&both, none()),
            (&alone, (Some(BackEndName::Exec), None)),
            (manager, (None, Some(program.clone()))),
        ] {
            assert_eq!(named(text, options).expect("named"), exec, "{text}");
        }
        assert_eq!(named(&both, (Some(BackEndName::Networkd), None)).expect("named"), Some(BackEnd::Networkd));
    }

    #[test]
    fn a_back_end_that_cannot_be_meant_is_refused_with_what_to_do() {
        let refused = |text: &str, options, code: &str, remedy: &str| {
            let error = named(text, options).expect_err("refused");
            assert_eq!(error.code(), code);
            assert!(error.to_string().contains(remedy), "{error}");
        };
        let none = (None, None);
        refused("network = \"exec\"", none.clone(), "config_network_program_missing", "--network-program");
        refused("network_program = \"here\"", none.clone(), "config_network_program_relative", "from / on");
        let both = "network = \"bare\"\nnetwork_program = \"/here\"";
        refused(both, none, "config_network_program_unused", "take the program out");
        let options = (Some(BackEndName::Ifupdown), Some("/here".into()));
        refused("", options, "config_network_program_unused", "`exec`");

        let elsewhere = |name| back_end((Some(name), None), (None, None), Path::new("/lab"));
        assert_eq!(elsewhere(BackEndName::Bare).expect("named"), Some(BackEnd::Bare));
        let error = elsewhere(BackEndName::Networkd).expect_err("refused");
        assert_eq!(error.code(), "config_network_root");
        assert!(error.to_string().contains("--root"), "{error}");
        let unknown = toml::from_str::<ImageConfig>("network = \"netplan\"").expect_err("unknown");
        assert!(unknown.to_string().contains("network-manager"), "it names the known ones: {unknown}");
    }

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
        assert_eq!(config.timing(), Timing::within(Duration::from_millis(500)));
        for (text, timing) in
            [("", Timing::FAST), ("probe = \"fast\"", Timing::FAST), ("probe = \"full\"", Timing::FULL)]
        {
            write(text);
            assert_eq!(ImageConfig::load(root.path()).expect("valid").timing(), timing);
        }
        let both = "probe = \"full\"\nprobe_ms = 500";
        for nonsense in [
            "vendor_key = \"short\"",
            "proof = \"none\"",
            "drift = \"ignore\"",
            "prof = \"open\"",
            "\u{0}",
            "probe = \"slow\"",
            both,
        ] {
            write(nonsense);
            assert_eq!(ImageConfig::load(root.path()).expect_err("refused").code(), "config_invalid");
        }
    }

    #[test]
    fn an_image_that_accepts_vouchers_names_the_vendor_and_no_other_does() {
        let key = PublicKey([7; 32]);
        let image = |text: &str| toml::from_str::<ImageConfig>(text).expect("valid");
        let named = format!("proof = \"voucher\"\nvendor_key = \"{}\"", key.to_base64());
        let code = |image: &ImageConfig, chosen| image.ownership(chosen).expect_err("refused").code();
        assert_eq!(image(&named).ownership(None).expect("whole"), (Proof::Voucher, Some(key)));
        let bench = image(&named).ownership(Some(ProofName::Open)).expect("a bench");
        assert_eq!(bench, (Proof::Open, None), "the command line overrides the image");
        assert_eq!(image("").ownership(None).expect("the default"), (Proof::Claim, None));
        assert_eq!(code(&image("proof = \"voucher\""), None), "vendor_key_missing");
        assert_eq!(code(&image(""), Some(ProofName::Voucher)), "vendor_key_missing");
        let alone = format!("vendor_key = \"{}\"", key.to_base64());
        assert_eq!(code(&image(&alone), None), "vendor_key_unused");
        assert_eq!(image(&alone).ownership(Some(ProofName::Voucher)).expect("chosen"), (Proof::Voucher, Some(key)));
    }
}
