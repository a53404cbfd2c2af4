//! Debian's Prometheus and VictoriaMetrics, started for a test.

use crate::served::free_port;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A program of a package that `scripts/setup test` unpacks.
pub(crate) fn program(package: &str, name: &str) -> PathBuf {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/debian")).join(package).join("usr/bin");
    assert!(folder.is_dir(), "`scripts/setup test` unpacks {package} into .tools/debian");
    folder.join(name)
}

/// Has Prometheus' own tool look at a page of figures.
pub(crate) fn check(page: &str) {
    let mut tool = Command::new(program("prometheus", "promtool"));
    let mut tool =
        tool.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("promtool");
    tool.stdin.take().expect("piped").write_all(page.as_bytes()).expect("read");
    let checked = tool.wait_with_output().expect("ends");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// A store of measurements that answers PromQL.
pub(crate) struct Measures {
    child: Option<Child>,
    kind: Kind,
    pub(crate) port: u16,
    folder: TempDir,
}

enum Kind {
    Prometheus { config: String },
    Victoria { arguments: Vec<String> },
}

impl Measures {
    /// Prometheus, with a configuration; it takes remote write.
    pub(crate) fn prometheus(config: &str) -> Measures {
        Measures::start(Kind::Prometheus { config: config.to_owned() })
    }

    /// VictoriaMetrics.
    pub(crate) fn victoria(arguments: &[&str]) -> Measures {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Measures::start(Kind::Victoria { arguments })
    }

    fn start(kind: Kind) -> Measures {
        let folder = tempfile::tempdir().expect("folder");
        let mut measures = Measures { child: None, kind, port: free_port(), folder };
        measures.begin();
        measures
    }

    /// Starts it, at its port and with what it had.
    pub(crate) fn begin(&mut self) {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let mut command = match &self.kind {
            Kind::Prometheus { config } => {
                std::fs::write(path("prometheus.yml"), config).expect("written");
                let mut command = Command::new(program("prometheus", "prometheus"));
                command.arg(format!("--config.file={}", path("prometheus.yml")));
                command.arg(format!("--web.listen-address=127.0.0.1:{}", self.port));
                command.arg(format!("--storage.tsdb.path={}", path("data")));
                command.arg("--web.enable-remote-write-receiver");
                command
            }
            Kind::Victoria { arguments } => {
                let mut command = Command::new(program("victoria-metrics", "victoria-metrics"));
                command.arg(format!("-httpListenAddr=127.0.0.1:{}", self.port));
                command.arg(format!("-storageDataPath={}", path("data")));
                // What was taken is shown at once.
                command.arg("-search.latencyOffset=0s").arg("-search.disableCache").args(arguments);
                command
            }
        };
        let log = std::fs::File::options().create(true).append(true).open(self.log_file()).expect("a log");
        let started = command.stdout(Stdio::null()).stderr(log).spawn();
        self.child = Some(started.expect("it starts"));
    }

    /// Ends it.
    pub(crate) fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Where it takes remote write.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1/write", self.port)
    }

    /// What it answers to a question; none while it does not.
    pub(crate) async fn asked(&self, path: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let url = reqwest::Url::parse_with_params(&format!("http://127.0.0.1:{}{path}", self.port), parameters);
        let answer = reqwest::get(url.expect("an address")).await.ok()?;
        answer.json().await.ok()
    }

    /// The rows that a query finds now, once there are so many.
    pub(crate) async fn found(&self, query: &str, rows: usize) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let answer = self.asked("/api/v1/query", &[("query", query)]).await.unwrap_or_default();
            match answer["data"]["result"].as_array() {
                Some(found) if found.len() >= rows => return found.clone(),
                _ => {}
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "not {rows} rows of {query} after 60 s: {answer}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Drop for Measures {
    fn drop(&mut self) {
        self.end();
    }
}
