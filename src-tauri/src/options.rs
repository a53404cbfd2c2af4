//! The command line, and where the data is.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// Discover, configure and watch network appliances.
#[derive(Clone, Debug, Default, clap::Parser)]
#[command(name = "muster-desktop", version)]
pub struct Options {
    /// Use a practice fleet of N simulated appliances and a NOC of its own, apart from all real data
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub practice: Option<u16>,

    /// Keep all data in this folder
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Show the applet in this folder as administrators will see it, and again when a file of it changes; may be given several times
    #[arg(long, value_name = "DIR")]
    pub applet: Vec<PathBuf>,

    /// Start in the tray, without the window
    #[arg(long)]
    pub hidden: bool,
}

impl Options {
    /// The folder of everything this app keeps, in the user's data folder `base` unless the command line names another.
    pub(crate) fn folder(&self, base: &Path) -> PathBuf {
        match &self.data_dir {
            Some(dir) => dir.clone(),
            None if self.practice.is_some() => base.join("muster-practice"),
            None => base.join("muster"),
        }
    }

    /// The name under which a second start finds the first. One a data folder: practice does not raise real work.
    pub(crate) fn instance(&self) -> String {
        match &self.data_dir {
            Some(dir) => {
                let mut hasher = DefaultHasher::new();
                std::path::absolute(dir).unwrap_or_else(|_| dir.clone()).hash(&mut hasher);
                format!("net.muster.console.at{:x}", hasher.finish())
            }
            None if self.practice.is_some() => "net.muster.console.practice".to_owned(),
            None => "net.muster.console".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn practice_keeps_apart_from_real_data() {
        let base = Path::new("/home/ada/.local/share");
        let real = Options::default();
        let practice = Options::parse_from(["muster-desktop", "--practice", "24"]);
        assert_eq!(real.folder(base), base.join("muster"));
        assert_eq!(practice.folder(base), base.join("muster-practice"));
        assert_ne!(real.instance(), practice.instance());
    }

    #[test]
    fn one_instance_a_data_folder() {
        let at = |dir: &str| Options { data_dir: Some(dir.into()), ..Options::default() }.instance();
        assert_eq!(at("/tmp/a"), at("/tmp/a"));
        assert_ne!(at("/tmp/a"), at("/tmp/b"));
        let name = at("/tmp/a");
        assert!(name.split('.').all(|part| !part.starts_with(|c: char| c.is_ascii_digit())), "{name} is a D-Bus name");
    }

    #[test]
    fn a_fleet_of_none_is_refused() {
        assert!(Options::try_parse_from(["muster-desktop", "--practice", "0"]).is_err(), "a fleet has appliances");
    }
}
