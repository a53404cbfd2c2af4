//! `[components]` of agent.toml: what the image lets be installed.

use super::target::Kind;
use serde::Deserialize;
use std::path::PathBuf;

/// What the image allows. Without it nothing is installed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ComponentsConfig {
    /// Where components are kept: `NAME/current` below it leads to the version in force.
    pub folder: PathBuf,
    /// What may be installed.
    pub kinds: Vec<Kind>,
    /// Bytes a second that are downloaded at most; the plan may say less.
    pub bandwidth: Option<u64>,
    /// The most that a file may take, and an archive unpacked, in bytes.
    pub max_bytes: u64,
    /// SHA-256 of the first root metadata of the only repository that counts, in hexadecimal: then no NOC can name another.
    pub repository: Option<Hash>,
    /// The vendor's program for the kind `exec`, and its arguments.
    pub exec: Vec<String>,
    /// The package program for the kind `deb`, and its first arguments.
    pub dpkg: Vec<String>,
    /// What restarts the unit of a component; its name is added.
    pub restart: Vec<String>,
    /// What succeeds while a unit runs; its name is added.
    pub active: Vec<String>,
}

impl Default for ComponentsConfig {
    fn default() -> ComponentsConfig {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        ComponentsConfig {
            folder: "/opt/muster".into(),
            kinds: vec![Kind::Archive],
            bandwidth: None,
            max_bytes: 1024 * 1024 * 1024,
            repository: None,
            exec: Vec::new(),
            dpkg: words("dpkg"),
            restart: words("systemctl restart"),
            active: words("systemctl is-active --quiet"),
        }
    }
}

/// 32 bytes in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Hash(pub [u8; 32]);

impl TryFrom<String> for Hash {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Hash, &'static str> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Hash).ok_or("it is not 32 bytes in hexadecimal")
    }
}

impl ComponentsConfig {
    /// What does not fit together: said when the agent starts, not when a component comes.
    pub fn check(&self) -> Result<(), ComponentsConfigError> {
        let absolute = |path: &str| path.starts_with('/');
        if !self.folder.is_absolute() {
            return Err(ComponentsConfigError::Folder { folder: self.folder.clone() });
        }
        if self.kinds.contains(&Kind::Exec) && !self.exec.first().is_some_and(|program| absolute(program)) {
            return Err(ComponentsConfigError::Exec);
        }
        if self.kinds.contains(&Kind::Deb) && self.dpkg.is_empty() {
            return Err(ComponentsConfigError::Dpkg);
        }
        if self.bandwidth == Some(0) {
            return Err(ComponentsConfigError::Bandwidth);
        }
        Ok(())
    }
}

/// Why `[components]` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ComponentsConfigError {
    /// Its folder depends on where the agent was started.
    #[error("the folder {folder} in [components] of agent.toml is not named by its absolute path. Write it from / on")]
    Folder {
        /// As it was named.
        folder: PathBuf,
    },
    /// `exec` without a program.
    #[error("the kind `exec` needs a program. Name it by its absolute path as `exec` in [components] of agent.toml")]
    Exec,
    /// `deb` without a program.
    #[error("the kind `deb` needs `dpkg` in [components] of agent.toml. Leave it out for the usual one")]
    Dpkg,
    /// Nothing would ever arrive.
    #[error("`bandwidth = 0` in [components] of agent.toml lets nothing be downloaded. Leave it out for no limit")]
    Bandwidth,
}

impl ComponentsConfigError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            ComponentsConfigError::Folder { .. } => "config_components_folder",
            ComponentsConfigError::Exec => "config_components_exec",
            ComponentsConfigError::Dpkg => "config_components_dpkg",
            ComponentsConfigError::Bandwidth => "config_components_bandwidth",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ComponentsConfig, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn an_image_allows_archives_unless_it_says_more() {
        let usual = parse("").expect("valid");
        assert_eq!(usual, ComponentsConfig::default());
        assert_eq!(usual.kinds, [Kind::Archive]);
        usual.check().expect("fits together");
        let more =
            parse("kinds = [\"deb\", \"exec\"]\nexec = [\"/usr/lib/vendor/install\", \"--quiet\"]\nbandwidth = 1000");
        more.expect("valid").check().expect("fits together");
        let pinned = parse(&format!("repository = \"{}\"", "0a".repeat(32))).expect("valid");
        assert_eq!(pinned.repository, Some(Hash([10; 32])));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_to_do() {
        for (text, code, remedy) in [
            ("folder = \"here\"", "config_components_folder", "from / on"),
            ("kinds = [\"exec\"]", "config_components_exec", "absolute path"),
            ("kinds = [\"exec\"]\nexec = [\"install\"]", "config_components_exec", "absolute path"),
            ("kinds = [\"deb\"]\ndpkg = []", "config_components_dpkg", "Leave it out"),
            ("bandwidth = 0", "config_components_bandwidth", "Leave it out"),
        ] {
            let error = parse(text).expect("valid").check().expect_err(text);
            assert_eq!(error.code(), code);
            assert!(error.to_string().contains(remedy), "{error}");
        }
        for nonsense in ["kinds = [\"rpm\"]", "folders = \"/x\"", "repository = \"ab\""] {
            parse(nonsense).expect_err(nonsense);
        }
    }
}
