//! The contract of a vendor's program as a test that the vendor runs: `muster-agent conformance PROGRAM`.
//!
//! It needs a bench: settings of the addresses for documentation (RFC 5737) are really applied. What was set before comes back
//! at the end.

pub use super::exec::VERSION;

use super::exec::{self, Exec, ExecSettings, Operation};
use super::{NetworkError, chain, program};
use serde_json::{Value, json};
use std::fmt;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

/// How one rule fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The rule, as a sentence.
    pub rule: &'static str,
    /// Why it does not hold.
    pub failure: Option<String>,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            None => write!(f, "ok      {}", self.rule),
            Some(why) => write!(f, "FAILED  {}\n        because: {why}", self.rule),
        }
    }
}

/// Drives a program through its life and tells the outcome of each rule whose text contains `only`; how many do not hold. What
/// was there before is restored in any case.
pub async fn run(program: &Path, interface: &str, only: &str, tell: &mut dyn FnMut(&Check)) -> usize {
    let exec = Exec { program, interface, patience: exec::PATIENCE };
    let mut outcomes = Outcomes { only, failed: 0, tell };
    let rule = "`current` tells what is set and a state to go back to";
    let (bench, before) = match Bench::new(exec).await {
        Ok(begun) => begun,
        Err(why) => {
            outcomes.add(rule, Err(why));
            return outcomes.failed;
        }
    };
    outcomes.add(rule, Ok(()));
    outcomes.check("`apply` brings settings into force", bench.apply(&bench.first)).await;
    outcomes.check("`apply` replaces settings", bench.replaces()).await;
    outcomes.check("`apply` takes settings without gateway and name servers", bench.apply(&bench.plain)).await;
    let rule = "`apply` takes IPv6 beside IPv4, or refuses it as `unsupported` and changes nothing";
    outcomes.check(rule, bench.takes(ExecSettings::with_ipv6)).await;
    let rule = "`apply` takes time servers and search domains, or refuses them as `unsupported` and changes nothing";
    outcomes.check(rule, bench.takes(ExecSettings::with_lists)).await;
    outcomes.check("`restore` goes back to the state before the first `apply`", bench.restore(&before)).await;
    outcomes.check("`restore` can be repeated", bench.restore(&before)).await;
    outcomes.check("`restore` goes back to earlier settings, across a second `apply`", bench.goes_back()).await;
    outcomes.check("`commit` keeps what was applied, and can be repeated", bench.commits()).await;
    outcomes.check("`resume` brings final settings into force, and can be repeated", bench.resumes()).await;
    outcomes.check("an `apply` that is killed at any moment can be restored", bench.survives()).await;
    outcomes.check("fields that it does not know are ignored", bench.ignores()).await;
    let mut is_applied = false;
    for (rule, input, word) in bench.bad_inputs() {
        let refuses = async {
            if !std::mem::take(&mut is_applied) {
                bench.apply(&bench.first).await?;
            }
            bench.refuses(&input, word).await?;
            is_applied = true;
            Ok(())
        };
        outcomes.check(rule, refuses).await;
    }
    outcomes.check("`reset` forgets settings, and can be repeated", bench.resets()).await;
    let rule = "`restore` brings back what was before this test, also after a `reset`";
    outcomes.add(rule, bench.restore(&before).await);
    outcomes.failed
}

struct Outcomes<'a> {
    only: &'a str,
    failed: usize,
    tell: &'a mut dyn FnMut(&Check),
}

impl Outcomes<'_> {
    /// Tests a rule, if it is wanted.
    async fn check(&mut self, rule: &'static str, outcome: impl Future<Output = Outcome>) {
        if rule.contains(self.only) {
            self.add(rule, outcome.await);
        }
    }

    fn add(&mut self, rule: &'static str, outcome: Outcome) {
        let check = Check { rule, failure: outcome.err() };
        self.failed += usize::from(check.failure.is_some());
        (self.tell)(&check);
    }
}

type Outcome = Result<(), String>;
/// What `current` told.
type Told = (Option<ExecSettings>, Value);

struct Bench<'a> {
    exec: Exec<'a>,
    first: ExecSettings,
    second: ExecSettings,
    /// Without gateway and name servers.
    plain: ExecSettings,
}

impl<'a> Bench<'a> {
    async fn new(exec: Exec<'a>) -> Result<(Bench<'a>, Told), String> {
        let example = |name, address, gateway, dns: &[&str]| {
            ExecSettings::example(name, address, gateway, dns).ok_or("the test's own settings are not valid")
        };
        let bench = Bench {
            exec,
            first: example("conformance-1", "192.0.2.10", "192.0.2.1", &["192.0.2.53", "198.51.100.53"])?,
            second: example("conformance-2", "198.51.100.20", "198.51.100.1", &["198.51.100.53"])?,
            plain: example("conformance-3", "203.0.113.30", "", &[])?,
        };
        let before = bench.current().await?;
        Ok((bench, before))
    }

    async fn current(&self) -> Result<Told, String> {
        self.exec.current().await.map_err(said)
    }

    async fn apply(&self, settings: &ExecSettings) -> Outcome {
        self.exec.bring_in(Operation::Apply, settings).await.map_err(said)
    }

    async fn replaces(&self) -> Outcome {
        self.apply(&self.first).await?;
        self.apply(&self.second).await
    }

    async fn takes(&self, more: fn(ExecSettings) -> ExecSettings) -> Outcome {
        self.apply(&self.first).await?;
        match self.exec.bring_in(Operation::Apply, &more(self.second.clone())).await {
            Err(NetworkError::ProgramRefused { refusal: "unsupported", .. }) => self.expect(Some(&self.first)).await,
            // And it goes again with settings that have none.
            Ok(()) => self.apply(&self.second).await,
            Err(error) => Err(said(error)),
        }
    }

    async fn restore(&self, (settings, state): &Told) -> Outcome {
        self.exec.restore(state).await.map_err(said)?;
        self.expect(settings.as_ref()).await
    }

    async fn expect(&self, settings: Option<&ExecSettings>) -> Outcome {
        let (now, _) = self.current().await?;
        if now.as_ref() == settings {
            return Ok(());
        }
        let text = |settings: Option<&ExecSettings>| serde_json::to_string(&settings).unwrap_or_default();
        Err(format!("`current` tells {}, expected {}", text(now.as_ref()), text(settings)))
    }

    async fn goes_back(&self) -> Outcome {
        self.apply(&self.first).await?;
        let told = self.current().await?;
        self.apply(&self.second).await?;
        self.apply(&self.plain).await?;
        self.restore(&told).await
    }

    async fn commits(&self) -> Outcome {
        self.apply(&self.second).await?;
        for _ in 0..2 {
            self.exec.ask_for(Operation::Commit, None).await.map_err(said)?;
            self.expect(Some(&self.second)).await?;
        }
        Ok(())
    }

    async fn resumes(&self) -> Outcome {
        self.apply(&self.second).await?;
        for _ in 0..2 {
            self.exec.bring_in(Operation::Resume, &self.first).await.map_err(said)?;
        }
        Ok(())
    }

    async fn survives(&self) -> Outcome {
        self.apply(&self.first).await?;
        let told = self.current().await?;
        let started = Instant::now();
        self.exec.ask_for(Operation::Apply, Some(&self.second)).await.map_err(said)?;
        let whole = started.elapsed();
        self.restore(&told).await?;
        for eighth in 1..8 {
            let patience = (whole * eighth / 8).max(Duration::from_millis(1));
            let hasty = Exec { patience, ..self.exec };
            match hasty.ask_for(Operation::Apply, Some(&self.second)).await {
                Ok(()) | Err(NetworkError::ProgramTimeout { .. }) => {}
                Err(error) => return Err(said(error)),
            }
            let restored = self.restore(&told).await;
            restored.map_err(|why| format!("killed after {} ms: {why}", patience.as_millis()))?;
        }
        Ok(())
    }

    async fn ignores(&self) -> Outcome {
        let mut request = self.request("apply", Some(&self.second));
        request["since_2031"] = json!({"a": [1]});
        request["settings"]["since_2031"] = json!(true);
        let ended = self.raw(&request.to_string()).await?;
        self.exec.understand(&ended).map_err(said)?;
        self.expect(Some(&self.second)).await
    }

    async fn resets(&self) -> Outcome {
        self.apply(&self.first).await?;
        for _ in 0..2 {
            self.exec.ask_for(Operation::Reset, None).await.map_err(said)?;
            self.expect(None).await?;
        }
        Ok(())
    }

    /// Rules, what is given, and the word it must be refused with, if only one is right.
    fn bad_inputs(&self) -> Vec<(&'static str, String, Option<&'static str>)> {
        let with = |change: &dyn Fn(&mut Value)| {
            let mut request = self.request("apply", Some(&self.second));
            change(&mut request);
            request.to_string()
        };
        vec![
            ("nothing on standard input is refused as `invalid`", String::new(), Some("invalid")),
            ("input that is no JSON is refused as `invalid`", "{\"version\":1,".into(), Some("invalid")),
            (
                "an operation that it does not know is refused as `unsupported`",
                with(&|r| r["operation"] = json!("dance")),
                Some("unsupported"),
            ),
            (
                "a version that it does not know is refused as `unsupported`",
                with(&|r| r["version"] = json!(9_999)),
                Some("unsupported"),
            ),
            (
                "`apply` without settings is refused as `invalid`",
                self.request("apply", None).to_string(),
                Some("invalid"),
            ),
            (
                "an address that is none is refused as `invalid`",
                with(&|r| r["settings"]["address"] = json!("198.51.100.256")),
                Some("invalid"),
            ),
            (
                "a host name that is a command is refused as `invalid`",
                with(&|r| r["settings"]["host_name"] = json!("$(reboot)")),
                Some("invalid"),
            ),
            ("an interface that is not there is refused", with(&|r| r["interface"] = json!("none-0")), None),
            (
                "a state that it did not tell is refused as `invalid`",
                json!({"version": VERSION, "operation": "restore", "interface": self.exec.interface,
                       "state": {"not": "a state"}})
                .to_string(),
                Some("invalid"),
            ),
        ]
    }

    /// After `first` was applied.
    async fn refuses(&self, input: &str, word: Option<&str>) -> Outcome {
        let ended = self.raw(input).await?;
        match (self.exec.understand(&ended), word) {
            (Ok(_), _) => return Err("it succeeded".into()),
            (Err(NetworkError::ProgramRefused { refusal, .. }), Some(word)) if refusal != word => {
                return Err(format!("refused as `{refusal}`"));
            }
            (Err(NetworkError::ProgramRefused { .. }), _) => {}
            (Err(error), _) => return Err(said(error)),
        }
        self.expect(Some(&self.first)).await.map_err(|why| format!("refused, and changed all the same: {why}"))
    }

    fn request(&self, operation: &str, settings: Option<&ExecSettings>) -> Value {
        let mut request = json!({"version": VERSION, "operation": operation, "interface": self.exec.interface});
        if let Some(settings) = settings {
            request["settings"] = json!(settings);
        }
        request
    }

    async fn raw(&self, input: &str) -> Result<program::Ended, String> {
        program::run(self.exec.program, &[], input.as_bytes(), self.exec.patience).await.map_err(said)
    }
}

fn said(error: NetworkError) -> String {
    match error {
        // The program is named at the top.
        NetworkError::ProgramAnswer { why, .. } => why,
        NetworkError::ProgramRefused { refusal, message, .. } => format!("it refused ({refusal}): {message}"),
        other => chain(&other),
    }
}
