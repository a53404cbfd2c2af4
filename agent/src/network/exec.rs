//! A vendor's program: one JSON object on its standard input, one on its standard output. `docs/guide/src/vendors.md` is the
//! contract, and [`super::conformance`] tests a program against it.

use super::drift::Setting;
use super::program::{self, Ended};
use super::{NetworkError, shown};
use muster_protocol::parameters::{NetworkSettings, RawSettings};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

/// The version of the contract.
pub const VERSION: u32 = 1;
/// How long a program may take for one operation.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The most bytes of JSON that a state may have.
pub const MAX_STATE: usize = 64 * 1024;
/// What is kept of a message, in bytes.
const MAX_MESSAGE: usize = 300;

/// What a program can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Tell what is set, and the state to which `restore` can go back.
    Current,
    /// Bring settings into force.
    Apply,
    /// Go back to a state.
    Restore,
    /// What was applied last is final.
    Commit,
    /// The agent starts, or somebody changed settings by hand: see to it that final settings are in force.
    Resume,
    /// Forget settings, as at a factory reset.
    Reset,
}

impl Operation {
    /// As the contract names it.
    fn word(self) -> &'static str {
        match self {
            Operation::Current => "current",
            Operation::Apply => "apply",
            Operation::Restore => "restore",
            Operation::Commit => "commit",
            Operation::Resume => "resume",
            Operation::Reset => "reset",
        }
    }
}

#[derive(Serialize)]
struct Request<'a> {
    version: u32,
    operation: &'static str,
    interface: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<ExecSettings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a Value>,
}

/// Settings as a program gets and tells them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecSettings {
    host_name: String,
    domain: String,
    address: Ipv4Addr,
    prefix: u8,
    netmask: Ipv4Addr,
    gateway: Option<Ipv4Addr>,
    /// Of either family.
    dns: Vec<IpAddr>,
    /// Only where there is IPv6, so that a program that knows none hears of none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ipv6: Option<ExecIpv6>,
    /// The same: only where there are some. Addresses or names, the first is asked first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ntp: Vec<String>,
    /// The same: what is searched beside the domain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    search_domains: Vec<String>,
}

/// IPv6 beside IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ExecIpv6 {
    address: Ipv6Addr,
    prefix: u8,
    gateway: Option<Ipv6Addr>,
}

impl From<&NetworkSettings> for ExecSettings {
    fn from(settings: &NetworkSettings) -> ExecSettings {
        ExecSettings {
            host_name: settings.host_name().to_owned(),
            domain: settings.domain().to_owned(),
            address: settings.address(),
            prefix: settings.prefix(),
            netmask: settings.netmask(),
            gateway: settings.gateway(),
            dns: settings.dns().into_iter().flatten().collect(),
            ipv6: settings.ipv6().map(|ipv6| ExecIpv6 {
                address: ipv6.address(),
                prefix: ipv6.prefix(),
                gateway: ipv6.gateway(),
            }),
            ntp: settings.ntp().iter().map(ToString::to_string).collect(),
            search_domains: settings.search_domains().to_vec(),
        }
    }
}

impl ExecSettings {
    fn network6(&self) -> Option<(Ipv6Addr, u8)> {
        self.ipv6.map(|ipv6| (ipv6.address, ipv6.prefix))
    }

    fn gateway6(&self) -> Option<Ipv6Addr> {
        self.ipv6.and_then(|ipv6| ipv6.gateway)
    }

    /// Settings for tests, of the addresses that are kept free for documentation.
    pub(super) fn example(host_name: &str, address: &str, gateway: &str, dns: &[&str]) -> Option<ExecSettings> {
        let dns = |number: usize| dns.get(number).map(|dns| (*dns).to_owned()).unwrap_or_default();
        let raw = RawSettings {
            host_name: host_name.to_owned(),
            domain: "example.net".to_owned(),
            address: address.to_owned(),
            netmask: "24".to_owned(),
            gateway: gateway.to_owned(),
            dns1: dns(0),
            dns2: dns(1),
            ..RawSettings::default()
        };
        raw.validate().ok().as_ref().map(ExecSettings::from)
    }

    /// The same with an IPv6 address, gateway and name server of those that are kept free for documentation (RFC 3849).
    pub(super) fn with_ipv6(mut self) -> ExecSettings {
        let address = |last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
        self.ipv6 = Some(ExecIpv6 { address: address(0x10), prefix: 64, gateway: Some(address(1)) });
        self.dns = vec![address(0x53).into()];
        self
    }

    /// The same with time servers, one of them by name, and search domains.
    pub(super) fn with_lists(mut self) -> ExecSettings {
        self.ntp = vec!["ntp.example.net".to_owned(), "192.0.2.123".to_owned()];
        self.search_domains = vec!["example.org".to_owned(), "lab.example.net".to_owned()];
        self
    }
}

/// What a program answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Answer {
    version: u32,
    ok: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    message: String,
    /// Answer to `current`: what is in force, `null` if that is nothing of Muster's kind.
    #[serde(default)]
    pub(super) settings: Option<ExecSettings>,
    /// Answer to `current`.
    #[serde(default)]
    pub(super) state: Option<Value>,
}

/// A vendor's program and what it works on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exec<'a> {
    pub(super) program: &'a Path,
    pub(super) interface: &'a str,
    pub(super) patience: Duration,
}

impl Exec<'_> {
    /// What is in force, and the state to go back to.
    pub(super) async fn current(self) -> Result<(Option<ExecSettings>, Value), NetworkError> {
        let answer = self.ask(Operation::Current, None, None).await?;
        match answer.state {
            Some(state) if state.to_string().len() <= MAX_STATE => Ok((answer.settings, state)),
            Some(_) => Err(self.nonsense(format!("a state of more than {} KiB", MAX_STATE / 1024))),
            None => Err(self.nonsense("`current` without a state")),
        }
    }

    /// Brings settings into force by `apply` or `resume`, and looks whether the program says so afterwards.
    pub(super) async fn bring_in(self, operation: Operation, settings: &ExecSettings) -> Result<(), NetworkError> {
        self.ask(operation, Some(settings), None).await?;
        match self.current().await? {
            (Some(now), _) if now == *settings => Ok(()),
            _ => Err(self.nonsense(format!("`{}` succeeded, and `current` tells other settings", operation.word()))),
        }
    }

    /// Which settings are not as they were configured.
    pub(super) async fn drift(self, settings: &ExecSettings) -> Result<Vec<Setting>, NetworkError> {
        let Some(now) = self.current().await?.0 else { return Ok(vec![Setting::NetworkFile]) };
        let differs = [
            (
                Setting::Address,
                (now.address, now.prefix, now.network6()) != (settings.address, settings.prefix, settings.network6()),
            ),
            (Setting::Gateway, (now.gateway, now.gateway6()) != (settings.gateway, settings.gateway6())),
            (Setting::HostName, (&now.host_name, &now.domain) != (&settings.host_name, &settings.domain)),
            (Setting::Resolver, (&now.dns, &now.search_domains) != (&settings.dns, &settings.search_domains)),
            (Setting::TimeServers, now.ntp != settings.ntp),
        ];
        Ok(differs.into_iter().filter(|(_, differs)| *differs).map(|(setting, _)| setting).collect())
    }

    /// Goes back to a state that [`Self::current`] told.
    pub(super) async fn restore(self, state: &Value) -> Result<(), NetworkError> {
        self.ask(Operation::Restore, None, Some(state)).await.map(|_| ())
    }

    /// Every other operation.
    pub(super) async fn ask_for(
        self,
        operation: Operation,
        settings: Option<&ExecSettings>,
    ) -> Result<(), NetworkError> {
        self.ask(operation, settings, None).await.map(|_| ())
    }

    async fn ask(
        self,
        operation: Operation,
        settings: Option<&ExecSettings>,
        state: Option<&Value>,
    ) -> Result<Answer, NetworkError> {
        let request = Request {
            version: VERSION,
            operation: operation.word(),
            interface: self.interface,
            settings: settings.cloned(),
            state,
        };
        let input = serde_json::to_vec(&request).map_err(|_| NetworkError::Former)?;
        let ended = program::run(self.program, &[], &input, self.patience).await?;
        self.understand(&ended)
    }

    /// What the program's end means.
    pub(super) fn understand(self, ended: &Ended) -> Result<Answer, NetworkError> {
        if !ended.errors.is_empty() {
            tracing::debug!(program = %self.program.display(), said = ended.errors, "standard error");
        }
        let answer: Answer = match serde_json::from_slice(&ended.output) {
            Ok(answer) => answer,
            Err(_) if ended.output.trim_ascii().is_empty() => {
                let said = if ended.errors.is_empty() { String::new() } else { format!(": {}", ended.errors) };
                return Err(self.nonsense(format!("nothing, with {}{said}", ended.status)));
            }
            Err(error) => return Err(self.nonsense(format!("not one JSON object of the contract ({error})"))),
        };
        if answer.version != VERSION {
            return Err(self.nonsense(format!("version {}, asked in version {VERSION}", answer.version)));
        }
        match (answer.ok, ended.status.success()) {
            (true, true) => Ok(answer),
            (false, false) => Err(NetworkError::ProgramRefused {
                program: self.name(),
                refusal: refusal(&answer.error),
                message: message(&answer.message),
            }),
            (ok, _) => Err(self.nonsense(format!("`ok` is {ok}, with {}", ended.status))),
        }
    }

    fn nonsense(self, why: impl Into<String>) -> NetworkError {
        NetworkError::ProgramAnswer { program: self.name(), why: shown(&why.into()) }
    }

    fn name(self) -> String {
        self.program.display().to_string()
    }
}

/// The words of the contract; any other counts as the last.
fn refusal(word: &str) -> &'static str {
    ["invalid", "unsupported", "storage"].into_iter().find(|known| *known == word).unwrap_or("failed")
}

fn message(text: &str) -> String {
    let mut text = shown(text);
    while text.len() > MAX_MESSAGE {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::wire::result::Reason;
    use std::os::unix::fs::PermissionsExt;

    async fn asked(script: &str, operation: Operation) -> Result<Answer, NetworkError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("program");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("set");
        let exec = Exec { program: &path, interface: "eth0", patience: Duration::from_secs(20) };
        exec.ask(operation, None, None).await
    }

    #[tokio::test]
    async fn the_request_is_what_the_contract_says() {
        let settings = ExecSettings::example("mail-01", "192.0.2.10", "192.0.2.1", &["192.0.2.53"]);
        let settings = settings.expect("valid");
        let request = Request {
            version: VERSION,
            operation: Operation::Apply.word(),
            interface: "eth0",
            settings: Some(settings),
            state: None,
        };
        assert_eq!(
            serde_json::to_value(&request).expect("JSON"),
            serde_json::json!({
                "version": 1, "operation": "apply", "interface": "eth0",
                "settings": {
                    "host_name": "mail-01", "domain": "example.net", "address": "192.0.2.10", "prefix": 24,
                    "netmask": "255.255.255.0", "gateway": "192.0.2.1", "dns": ["192.0.2.53"],
                },
            })
        );
        let both = request.settings.clone().expect("there").with_ipv6();
        let both = serde_json::to_value(&both).expect("JSON");
        assert_eq!(
            (&both["ipv6"], &both["dns"]),
            (
                &serde_json::json!({"address": "2001:db8::10", "prefix": 64, "gateway": "2001:db8::1"}),
                &serde_json::json!(["2001:db8::53"]),
            )
        );
        let listed = serde_json::to_value(request.settings.clone().expect("there").with_lists()).expect("JSON");
        assert_eq!(
            (&listed["ntp"], &listed["search_domains"]),
            (
                &serde_json::json!(["ntp.example.net", "192.0.2.123"]),
                &serde_json::json!(["example.org", "lab.example.net"]),
            )
        );
        // It arrives whole, and what is told beyond the contract is ignored.
        let told = asked(
            r#"grep -q '^{"version":1,"operation":"current","interface":"eth0"}$' && echo '{"version":1,"ok":true,"state":[1],"more":2}'"#,
            Operation::Current,
        );
        assert_eq!(told.await.expect("understood").state, Some(serde_json::json!([1])));
    }

    #[tokio::test]
    async fn a_refusal_comes_through_with_its_word_and_its_text() {
        let refused = |word: &str| {
            let answer = format!(r#"{{"version":1,"ok":false,"error":"{word}","message":"no\u001b[2J room"}}"#);
            async move { asked(&format!("echo '{answer}'; exit 1"), Operation::Commit).await.expect_err("refused") }
        };
        let error = refused("storage").await;
        assert_eq!(error.code(), "network_program_refused");
        assert_eq!(error.to_failure().reason, Reason::Storage);
        assert!(error.to_string().ends_with("refused (storage): no\u{fffd}[2J room"), "{error}");
        let error = refused("some new word").await;
        assert!(error.to_string().contains("(failed)"), "{error}");
        assert_eq!(error.to_failure().reason, Reason::ApplyFailed);
    }

    #[tokio::test]
    async fn nonsense_is_told_from_a_refusal() {
        for (script, why) in [
            ("exit 3", "nothing, with exit status: 3"),
            ("echo oops >&2; exit 1", "nothing, with exit status: 1: oops"),
            ("echo '{\"version\":1'", "not one JSON object"),
            ("echo '{\"version\":1,\"ok\":true} {}'", "not one JSON object"),
            ("echo '[]'", "not one JSON object"),
            ("echo '{\"version\":2,\"ok\":true}'", "version 2"),
            ("echo '{\"version\":1,\"ok\":true}'; exit 1", "`ok` is true, with exit status: 1"),
            ("echo '{\"version\":1,\"ok\":false}'", "`ok` is false, with exit status: 0"),
        ] {
            let error = asked(script, Operation::Commit).await.expect_err("nonsense");
            assert_eq!(error.code(), "network_program_answer");
            assert!(error.to_string().contains(why), "{script}: {error}");
            assert!(error.to_string().contains("muster-agent conformance"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_state_is_required_and_bounded() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("program");
        let exec = Exec { program: &path, interface: "eth0", patience: Duration::from_secs(20) };
        let write = |state: &str| {
            let answer = format!("#!/bin/sh\necho '{{\"version\":1,\"ok\":true{state}}}'\n");
            std::fs::write(&path, answer).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("set");
        };
        write("");
        assert!(exec.current().await.expect_err("without").to_string().contains("without a state"));
        write(&format!(",\"state\":\"{}\"", "x".repeat(MAX_STATE)));
        assert!(exec.current().await.expect_err("too large").to_string().contains("64 KiB"));
        write(",\"state\":{\"a\":1}");
        let settings = ExecSettings::example("mail-01", "192.0.2.10", "192.0.2.1", &[]).expect("valid");
        assert_eq!(exec.drift(&settings).await.expect("told"), [Setting::NetworkFile], "nothing is in force");
        let now = ExecSettings::example("mail-02", "192.0.2.10", "", &[]).expect("valid");
        write(&format!(",\"state\":0,\"settings\":{}", serde_json::to_string(&now).expect("JSON")));
        assert_eq!(exec.drift(&settings).await.expect("told"), [Setting::Gateway, Setting::HostName]);
        assert_eq!(exec.drift(&now).await.expect("told"), []);
        let both = now.clone().with_ipv6();
        let drift = exec.drift(&both).await.expect("told");
        assert_eq!(drift, [Setting::Address, Setting::Gateway, Setting::Resolver]);
        let drift = exec.drift(&now.clone().with_lists()).await.expect("told");
        assert_eq!(drift, [Setting::Resolver, Setting::TimeServers]);
        write(",\"state\":{\"a\":1}");
        assert_eq!(exec.current().await.expect("right"), (None, serde_json::json!({"a": 1})));
    }
}
