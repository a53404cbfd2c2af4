//! The NOC on this computer: the same NOC as anywhere, in a folder of the app's data, served by the app itself.

use crate::texts;
use muster_console::view::{ImportReport, LineError, ProblemView, SiteSetup};
use muster_noc::{AsProblem, ImportError, Noc, Options, Running, SiteSpec};
use muster_protocol::api::{Problem, Site};
use muster_protocol::parameters::Confirm;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between the invite and its use there is nobody to wait for.
const INVITE_TTL: Duration = Duration::from_secs(300);
/// Until an unconfirmed configuration is rolled back (`design.md` §4).
const WINDOW_S: u16 = 90;

/// A NOC that is served by this process.
pub(crate) struct LocalNoc {
    noc: Noc,
    running: Running,
}

impl LocalNoc {
    /// Whether `folder` holds a NOC.
    pub(crate) fn exists(folder: &Path) -> bool {
        folder.join("noc.toml").exists()
    }

    /// Serves the NOC in `folder`.
    pub(crate) async fn open(folder: PathBuf) -> Result<Self, ProblemView> {
        let noc = blocking(move || Noc::open(&folder).map_err(|error| view(&error))).await?;
        let listen = noc.listen();
        let running = noc.serve(listen).await.map_err(|error| view(&error))?;
        Ok(Self { noc, running })
    }

    /// Makes a NOC in `folder` and serves it.
    pub(crate) async fn create(folder: PathBuf, options: Options) -> Result<Self, ProblemView> {
        let made = folder.clone();
        blocking(move || Noc::init(&made, &options).map(drop).map_err(|error| view(&error))).await?;
        Self::open(folder).await.map_err(|problem| match problem.code.as_str() {
            // Nobody has a noc.toml to edit yet.
            "cannot_listen" => ProblemView { remedy: texts::ANOTHER_PORT.to_owned(), ..problem },
            _ => problem,
        })
    }

    /// A site as the form has it. The site of that name is brought up to date if an earlier attempt left it.
    pub(crate) async fn site(&self, setup: &SiteSetup, beat_interval_s: u32) -> Result<Site, ProblemView> {
        let noc = self.noc.clone();
        let spec = spec(setup, beat_interval_s);
        blocking(move || {
            let sites = noc.sites().map_err(|error| view(&error))?;
            match sites.iter().find(|site| site.name == spec.name.trim()) {
                Some(site) => noc.update_site(site.id, spec).map_err(|error| view(&error)),
                None => noc.add_site(spec).map_err(|error| view(&error)),
            }
        })
        .await
    }

    /// Takes a vendor's manifest in. What is wrong with its lines is part of the report.
    pub(crate) async fn import(&self, csv: String) -> Result<ImportReport, ProblemView> {
        let noc = self.noc.clone();
        blocking(move || match noc.import_manifest(&csv) {
            // The form has no third number: a changed line is one that brought something new.
            Ok(report) => Ok(ImportReport {
                added: count(report.added + report.updated),
                unchanged: count(report.unchanged),
                errors: Vec::new(),
            }),
            Err(ImportError::Lines { lines, .. }) => {
                let error = |line: muster_noc::LineError| LineError {
                    line: u32::try_from(line.line).unwrap_or(u32::MAX),
                    message: line.message,
                };
                Ok(ImportReport { errors: lines.into_iter().map(error).collect(), ..ImportReport::default() })
            }
            Err(error) => Err(view(&error)),
        })
        .await
    }

    /// An invite for this computer's own console, to all sites (of which an invite may name sixteen).
    pub(crate) async fn invite(&self) -> Result<String, ProblemView> {
        let noc = self.noc.clone();
        blocking(move || {
            let sites = noc.sites().map_err(|error| view(&error))?;
            let sites: Vec<_> = sites.iter().take(16).map(|site| site.id).collect();
            noc.invite(&sites, INVITE_TTL).map_err(|error| view(&error))
        })
        .await
    }

    /// Stops serving; open requests finish first.
    pub(crate) async fn stop(self) {
        self.running.shutdown().await;
    }
}

/// Where a NOC that only this computer uses is reached: loopback, at a port that is free now.
pub(crate) fn loopback() -> std::io::Result<Options> {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    Ok(Options { addresses: vec![address.to_string()], listen: address })
}

/// Where a NOC for the network is reached: at `address`, on every interface.
pub(crate) fn on_network(address: &str) -> Options {
    let mut options = Options::at(address.trim());
    // Practice appliances and this console are on this computer: they reach it even when the network is away.
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, options.listen.port())).to_string();
    if options.addresses[0] != here {
        options.addresses.push(here);
    }
    options
}

fn spec(setup: &SiteSetup, beat_interval_s: u32) -> SiteSpec {
    let SiteSetup {
        name,
        pool,
        netmask,
        gateway,
        domain,
        dns1,
        dns2,
        pool6,
        gateway6,
        host_name,
        noc_address: _,
        practice: _,
    } = setup.clone();
    let confirm = Confirm::FirstBeat;
    SiteSpec {
        name,
        pool,
        netmask,
        gateway,
        domain,
        dns1,
        dns2,
        pool6,
        gateway6,
        ntp: String::new(),
        search_domains: String::new(),
        host_name,
        beat_interval_s,
        confirm,
        window_s: WINDOW_S,
        drift: None,
        application: String::new(),
        proof: muster_protocol::api::RequiredProof::Any,
        exclude: String::new(),
        inherit: Vec::new(),
    }
}

/// Work that waits for the disk; the window does not.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ProblemView> + Send + 'static,
) -> Result<T, ProblemView> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The NOC's explanation, with the causes.
pub(crate) fn view<E: AsProblem + std::error::Error>(error: &E) -> ProblemView {
    let Problem { code, title, detail, .. } = error.problem();
    let mut message = title;
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    ProblemView { code, message, remedy: detail }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup() -> SiteSetup {
        SiteSetup {
            name: "Harbour".to_owned(),
            pool: "192.0.2.10-192.0.2.99".to_owned(),
            netmask: "255.255.255.0".to_owned(),
            domain: "example.net".to_owned(),
            host_name: "gw-{n:03}".to_owned(),
            ..SiteSetup::default()
        }
    }

    async fn noc() -> (tempfile::TempDir, LocalNoc) {
        // Another test of this process may have installed it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let options = loopback().expect("a free port");
        let noc = LocalNoc::create(folder.path().join("noc"), options).await.expect("a NOC");
        (folder, noc)
    }

    #[tokio::test]
    async fn it_comes_back_with_its_sites() {
        let (folder, noc) = noc().await;
        noc.site(&setup(), 5).await.expect("a site");
        let invite = noc.invite().await.expect("an invite");
        assert!(invite.starts_with("muster-invite:"), "{invite}");
        noc.stop().await;
        let path = folder.path().join("noc");
        assert!(LocalNoc::exists(&path));
        let noc = LocalNoc::open(path).await.expect("it opens again");
        assert_eq!(noc.noc.sites().expect("sites").len(), 1);
    }

    #[tokio::test]
    async fn a_second_attempt_corrects_the_site() {
        let (_folder, noc) = noc().await;
        let first = noc.site(&setup(), 60).await.expect("a site");
        let changed = SiteSetup { domain: "example.org".to_owned(), ..setup() };
        let second = noc.site(&changed, 60).await.expect("the same site");
        assert_eq!((second.id, second.domain.as_str()), (first.id, "example.org"));
        let wrong = SiteSetup { pool: "192.0.2.10-203.0.113.9".to_owned(), ..setup() };
        let problem = noc.site(&wrong, 60).await.expect_err("the pool is no range of the network");
        assert_eq!(problem.code, "site_invalid");
        assert!(!problem.remedy.is_empty());
    }

    #[tokio::test]
    async fn a_wrong_manifest_names_its_lines() {
        let (_folder, noc) = noc().await;
        let report = noc.import("serial,mac,uid,claim\nS1,nonsense,,\n".to_owned()).await.expect("a report");
        assert_eq!((report.added, report.errors.first().map(|error| error.line)), (0, Some(2)));
    }

    #[tokio::test]
    async fn a_taken_port_is_a_problem_with_a_remedy() {
        let (_folder, noc) = noc().await;
        let other = tempfile::tempdir().expect("a folder");
        let listen = noc.running.local_addr();
        let options = Options { addresses: vec![listen.to_string()], listen };
        let problem = LocalNoc::create(other.path().join("noc"), options).await.err().expect("the port is taken");
        assert_eq!(problem.code, "cannot_listen");
        assert!(problem.message.contains(&listen.to_string()), "{}", problem.message);
        assert_eq!(problem.remedy, texts::ANOTHER_PORT);
    }
}
