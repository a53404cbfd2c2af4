//! Where the values of the configuration come from: the environment goes before `noc.toml`, and that before what is built in.
//!
//! Only the command line's own flags go before the environment. An empty variable counts as none.

use crate::api::{APPLIANCE_PER_S, ORGANISATION_PER_S};
use crate::audit::LEAST_DAYS;
use crate::config::{Config, OpenError, split_address};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use tracing_subscriber::EnvFilter;

/// What is logged when nobody says anything else.
const DEFAULT_LOG: &str = "info,refinery_core=warn";

/// In which form the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What a value is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An environment variable.
    Environment(&'static str),
    /// `noc.toml`.
    File,
    /// Nobody said anything.
    Default,
}

/// One value of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its name in `noc.toml`.
    pub name: &'static str,
    /// What holds; empty for none.
    pub value: String,
    /// What it is from.
    pub from: Origin,
}

/// The configuration of a data folder, with where each value is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub(crate) config: Config,
    from_environment: Vec<(&'static str, &'static str)>,
}

impl Settings {
    /// Reads `noc.toml` and this process's environment. The folder is not opened.
    pub fn read(folder: &Path) -> Result<Settings, OpenError> {
        Settings::read_with(folder, |name| std::env::var_os(name))
    }

    fn read_with(folder: &Path, environment: impl Fn(&str) -> Option<OsString>) -> Result<Settings, OpenError> {
        let mut config = Config::read(folder)?;
        let mut variables = Variables { environment, found: Vec::new() };
        if let Some(addresses) = variables.text("addresses", "MUSTER_NOC_ADDRESSES", |text| {
            let addresses: Vec<String> = text.split(',').map(|address| address.trim().to_owned()).collect();
            let good = addresses.iter().all(|address| split_address(address).is_some());
            good.then_some(addresses).ok_or("not host:port, several separated by commas")
        })? {
            config.addresses = addresses;
        }
        let listen = variables.value("listen", "MUSTER_NOC_LISTEN", "not an address with a port, as [::]:6878")?;
        config.listen = listen.unwrap_or(config.listen);
        let limit = variables.value("database_limit_mib", "MUSTER_NOC_DATABASE_LIMIT_MIB", "not a number of MiB")?;
        config.database_limit_mib = limit.or(config.database_limit_mib);
        let per_s = |text: &str| {
            text.parse().ok().filter(|per_s| *per_s > 0).ok_or("not a number of beats a second, at least 1")
        };
        let appliance = variables.text("beats_per_s_appliance", "MUSTER_NOC_BEATS_PER_S_APPLIANCE", per_s)?;
        config.beats_per_s_appliance = appliance.or(config.beats_per_s_appliance);
        let organisation = variables.text("beats_per_s_organisation", "MUSTER_NOC_BEATS_PER_S_ORGANISATION", per_s)?;
        config.beats_per_s_organisation = organisation.or(config.beats_per_s_organisation);
        let metrics = variables.text("metrics", "MUSTER_NOC_METRICS", |text| {
            text.parse().map_err(|_| "not an address with a port, as 127.0.0.1:9878").and_then(loopback)
        })?;
        config.metrics = metrics.or(config.metrics);
        let keep = variables.text("audit_keep_days", "MUSTER_NOC_AUDIT_KEEP_DAYS", |text| {
            text.parse().map_err(|_| KEEP_DAYS).and_then(keep_days)
        })?;
        config.audit_keep_days = keep.or(config.audit_keep_days);
        let networks = variables.text("channel_networks", "MUSTER_NOC_CHANNEL_NETWORKS", |text| {
            let networks: Result<Vec<IpNet>, _> = text.split(',').map(|network| network.trim().parse()).collect();
            networks.map_err(|_| "not networks, as 10.1.0.0/16, several separated by commas")
        })?;
        config.channel_networks = networks.unwrap_or(config.channel_networks);
        let what = "not a number of MiB";
        let waits = variables.value("remote_write_keep_mib", "MUSTER_NOC_REMOTE_WRITE_KEEP_MIB", what)?;
        config.remote_write_keep_mib = waits.or(config.remote_write_keep_mib);
        config.log_format = variables.text("log_format", "MUSTER_NOC_LOG_FORMAT", log_format)?.or(config.log_format);
        let log = match variables.text("log", "MUSTER_NOC_LOG", filter)? {
            // The variable that programs of this language have in common.
            None => variables.text("log", "RUST_LOG", filter)?,
            log => log,
        };
        config.log = log.or(config.log);
        let from_environment = variables.found;
        Ok(Settings { config, from_environment })
    }

    /// The directives of the log: which parts of the program say how much.
    pub fn log(&self) -> &str {
        self.config.log.as_deref().unwrap_or(DEFAULT_LOG)
    }

    /// The form of the log.
    pub fn log_format(&self) -> LogFormat {
        self.config.log_format.unwrap_or_default()
    }

    /// Every value, and where it is from.
    pub fn explain(&self) -> Vec<Setting> {
        let Config {
            addresses,
            listen,
            database_limit_mib,
            beats_per_s_appliance,
            beats_per_s_organisation,
            metrics,
            audit_keep_days,
            channel_networks,
            remote_write_keep_mib,
            log,
            log_format,
        } = &self.config;
        let is_said = |said: bool| if said { Origin::File } else { Origin::Default };
        let setting = |name, value: String, otherwise| {
            let variable = self.from_environment.iter().find(|(of, _)| *of == name);
            let from = variable.map_or(otherwise, |(_, variable)| Origin::Environment(variable));
            Setting { name, value, from }
        };
        let limit = database_limit_mib.map(|mib| mib.to_string()).unwrap_or_default();
        let format = crate::store::word(&self.log_format());
        let networks: Vec<_> = channel_networks.iter().map(ToString::to_string).collect();
        vec![
            setting("addresses", addresses.join(","), Origin::File),
            setting("listen", listen.to_string(), Origin::File),
            setting("database_limit_mib", limit, is_said(database_limit_mib.is_some())),
            setting(
                "beats_per_s_appliance",
                beats_per_s_appliance.unwrap_or(APPLIANCE_PER_S).to_string(),
                is_said(beats_per_s_appliance.is_some()),
            ),
            setting(
                "beats_per_s_organisation",
                beats_per_s_organisation.unwrap_or(ORGANISATION_PER_S).to_string(),
                is_said(beats_per_s_organisation.is_some()),
            ),
            setting("metrics", metrics.map(|at| at.to_string()).unwrap_or_default(), is_said(metrics.is_some())),
            setting(
                "audit_keep_days",
                audit_keep_days.map(|days| days.to_string()).unwrap_or_default(),
                is_said(audit_keep_days.is_some()),
            ),
            setting("channel_networks", networks.join(","), is_said(!networks.is_empty())),
            setting(
                "remote_write_keep_mib",
                self.config.remote_write_keep_mib().to_string(),
                is_said(remote_write_keep_mib.is_some()),
            ),
            setting("log", self.log().to_owned(), is_said(log.is_some())),
            setting("log_format", format, is_said(log_format.is_some())),
        ]
    }
}

/// What the environment says, name by name.
struct Variables<E> {
    environment: E,
    found: Vec<(&'static str, &'static str)>,
}

impl<E: Fn(&str) -> Option<OsString>> Variables<E> {
    fn value<T: FromStr>(
        &mut self,
        name: &'static str,
        variable: &'static str,
        what: &'static str,
    ) -> Result<Option<T>, OpenError> {
        self.text(name, variable, |text| text.parse().map_err(|_| what))
    }

    fn text<T, W: Display>(
        &mut self,
        name: &'static str,
        variable: &'static str,
        read: impl FnOnce(&str) -> Result<T, W>,
    ) -> Result<Option<T>, OpenError> {
        let Some(value) = (self.environment)(variable).filter(|value| !value.is_empty()) else { return Ok(None) };
        let bad = |what: String| OpenError::Variable { variable, what };
        let text = value.to_str().ok_or_else(|| bad("not UTF-8".to_owned()))?;
        let read = read(text.trim()).map_err(|what| bad(format!("`{text}` is {what}")))?;
        self.found.push((name, variable));
        Ok(Some(read))
    }
}

/// Figures are served without TLS, so nobody elsewhere may ask.
pub(crate) fn loopback(address: SocketAddr) -> Result<SocketAddr, &'static str> {
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("not an address of this machine alone, as 127.0.0.1:9878")
    }
}

const KEEP_DAYS: &str = "not a number of days of at least 30";

/// What is deleted cannot be looked up, so it is not deleted at once.
pub(crate) fn keep_days(days: u32) -> Result<u32, &'static str> {
    if days >= LEAST_DAYS { Ok(days) } else { Err(KEEP_DAYS) }
}

/// Checks the directives of a log.
pub(crate) fn filter(text: &str) -> Result<String, String> {
    let read = EnvFilter::try_new(text).map_err(|error| format!("no filter of a log: {error}"));
    read.map(|_| text.to_owned())
}

fn log_format(text: &str) -> Result<LogFormat, &'static str> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("neither text nor json"),
    }
}

/// The same as in the environment, for flags.
impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<LogFormat, &'static str> {
        log_format(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const FILE: &str = "addresses = [\"noc.example.net:6878\"]\nlisten = \"[::]:6878\"\nlog = \"warn\"\n";

    fn settings(environment: &[(&str, &str)]) -> Result<Settings, OpenError> {
        let folder = tempfile::TempDir::new().expect("folder");
        std::fs::write(folder.path().join("noc.toml"), FILE).expect("written");
        let environment: BTreeMap<_, _> = environment.iter().copied().collect();
        Settings::read_with(folder.path(), |name| environment.get(name).map(|value| OsString::from(*value)))
    }

    fn shown(settings: &Settings) -> Vec<(&'static str, String, Origin)> {
        settings.explain().into_iter().map(|setting| (setting.name, setting.value, setting.from)).collect()
    }

    #[test]
    fn every_value_can_come_from_the_environment_and_says_so() {
        let from_file = settings(&[("MUSTER_NOC_LISTEN", "")]).expect("reads");
        assert_eq!(
            shown(&from_file),
            [
                ("addresses", "noc.example.net:6878".into(), Origin::File),
                ("listen", "[::]:6878".into(), Origin::File),
                ("database_limit_mib", "".into(), Origin::Default),
                ("beats_per_s_appliance", "20".into(), Origin::Default),
                ("beats_per_s_organisation", "20000".into(), Origin::Default),
                ("metrics", "".into(), Origin::Default),
                ("audit_keep_days", "".into(), Origin::Default),
                ("channel_networks", "".into(), Origin::Default),
                ("remote_write_keep_mib", "1024".into(), Origin::Default),
                ("log", "warn".into(), Origin::File),
                ("log_format", "text".into(), Origin::Default),
            ]
        );
        let variables = [
            ("MUSTER_NOC_ADDRESSES", "a:1, [2001:db8::1]:2"),
            ("MUSTER_NOC_LISTEN", "127.0.0.1:7000"),
            ("MUSTER_NOC_DATABASE_LIMIT_MIB", "512"),
            ("MUSTER_NOC_BEATS_PER_S_APPLIANCE", "7"),
            ("MUSTER_NOC_BEATS_PER_S_ORGANISATION", "8"),
            ("MUSTER_NOC_METRICS", "[::1]:9878"),
            ("MUSTER_NOC_AUDIT_KEEP_DAYS", "400"),
            ("MUSTER_NOC_CHANNEL_NETWORKS", "10.1.0.0/16, fd00::/8"),
            ("MUSTER_NOC_REMOTE_WRITE_KEEP_MIB", "64"),
            ("MUSTER_NOC_LOG", "debug"),
            ("MUSTER_NOC_LOG_FORMAT", "json"),
        ];
        let values = [
            "a:1,[2001:db8::1]:2",
            "127.0.0.1:7000",
            "512",
            "7",
            "8",
            "[::1]:9878",
            "400",
            "10.1.0.0/16,fd00::/8",
            "64",
            "debug",
            "json",
        ];
        let expected = variables.iter().zip(values).map(|((variable, _), value)| (value, *variable));
        let settings = settings(&variables).expect("reads");
        let found = settings.explain();
        let found = found.iter().map(|setting| match setting.from {
            Origin::Environment(variable) => (setting.value.as_str(), variable),
            _ => panic!("{setting:?}"),
        });
        assert!(found.eq(expected), "{:?}", settings.explain());
        assert_eq!((settings.config.names().len(), settings.log_format()), (2, LogFormat::Json));
    }

    #[test]
    fn a_variable_that_does_not_read_is_named() {
        for (variable, value) in [
            ("MUSTER_NOC_ADDRESSES", "https://noc"),
            ("MUSTER_NOC_ADDRESSES", "a,,b"),
            ("MUSTER_NOC_LISTEN", "6878"),
            ("MUSTER_NOC_DATABASE_LIMIT_MIB", "-1"),
            ("MUSTER_NOC_BEATS_PER_S_APPLIANCE", "0"),
            ("MUSTER_NOC_BEATS_PER_S_ORGANISATION", "many"),
            ("MUSTER_NOC_METRICS", "0.0.0.0:9878"),
            ("MUSTER_NOC_METRICS", "9878"),
            ("MUSTER_NOC_AUDIT_KEEP_DAYS", "29"),
            ("MUSTER_NOC_AUDIT_KEEP_DAYS", "for ever"),
            ("MUSTER_NOC_CHANNEL_NETWORKS", "10.1.0.0"),
            ("MUSTER_NOC_REMOTE_WRITE_KEEP_MIB", "much"),
            ("MUSTER_NOC_LOG", "a=b=c"),
            ("RUST_LOG", "a=b=c"),
            ("MUSTER_NOC_LOG_FORMAT", "xml"),
        ] {
            let error = settings(&[(variable, value)]).expect_err(value);
            assert!(error.to_string().contains(variable) && error.to_string().contains(value), "{error}");
        }
    }
}
