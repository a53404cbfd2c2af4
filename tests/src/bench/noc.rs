//! The NOC as its operators and consoles meet it, with a large inventory: the real program over TLS.

use crate::process::{Running, program};
use anyhow::{Context, ensure};
use muster_console::noc_client::NocClient;
use muster_noc::{NewOperator, Role, RoleAt, SiteSpec};
use muster_protocol::api::{ResultItem, ResultReport};
use muster_protocol::id::{Seq, SiteId, Uid};
use muster_protocol::parameters::Confirm;
use reqwest::{Certificate, Client};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::inventory::{self, Device};
use super::usage;

/// Sizes of batches, and how many appliances are measured with each.
const BATCHES: [(usize, usize); 3] = [(1, 200), (100, 2_000), (1_000, 5_000)];
const PASSWORD: &str = "a benchmark has no secrets";

/// What was measured.
pub struct Figures {
    /// Plans and grants a second, one request after another, by the size of the batch.
    pub grants_per_s: BTreeMap<usize, f64>,
    /// Milliseconds until the first page of the fleet is there: the median of several.
    pub first_page_ms: f64,
    /// The same of what is looked for by a part of a serial number, which no index helps.
    pub filter_page_ms: f64,
    /// Milliseconds of a request under all clients at once.
    pub api_p50_ms: f64,
    /// The same of the slowest hundredth.
    pub api_p99_ms: f64,
    /// Requests that were answered a second meanwhile.
    pub api_per_s: f64,
    /// Seconds until a preview of the whole site is there.
    pub preview_s: f64,
    /// Seconds until a draft of so many appliances is applied.
    pub draft_s: (usize, f64),
    /// The most memory that the NOC had.
    pub peak_mib: u64,
}

/// Measures with `count` appliances and `clients` operators' programs at the same time.
pub fn run(count: usize, clients: usize, seconds: u64) -> anyhow::Result<Figures> {
    // The console's and the bench's own clients are of one process.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir()?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = format!("127.0.0.1:{port}");
    let data = folder.path().join("noc");
    let devices = inventory::devices(count);
    let (site, invite) = fill(&data, &address, &devices)?;
    let mut command = Command::new(program("muster-noc"));
    command.args(["serve", "--dir"]).arg(&data);
    let noc = Running::start(&mut command, &folder.path().join("noc.log"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut figures = runtime.block_on(measure(&address, site, &invite, &devices, clients, seconds))?;
    figures.peak_mib = usage::of_process(noc.id())?.peak_mib;
    Ok(figures)
}

/// Makes the NOC with its inventory; the site and an invite to it.
fn fill(data: &Path, address: &str, devices: &[Device]) -> anyhow::Result<(SiteId, String)> {
    let exclude = "10.0.1.0-10.0.1.255".into();
    let spec = SiteSpec { confirm: Confirm::FirstBeat, exclude, ..inventory::site(60) };
    let (noc, site, invite) = inventory::make(data, address, spec, devices)?;
    let roles = vec![RoleAt { organisation: None, site: None, role: Role::Administrator }];
    let root = NewOperator { organisation: None, login: "root".into(), name: "root".into(), roles };
    noc.add_operator(root, PASSWORD.to_owned().into())?;
    Ok((site, invite))
}

async fn measure(
    address: &str,
    site: SiteId,
    invite: &str,
    devices: &[Device],
    clients: usize,
    seconds: u64,
) -> anyhow::Result<Figures> {
    let console = inventory::console(invite).await?;
    let mut next = devices.iter();
    let mut grants_per_s = BTreeMap::new();
    let mut granted = Vec::new();
    for (batch, count) in BATCHES {
        let count = count.min(devices.len() / 4);
        let started = Instant::now();
        let mut done = 0;
        while done < count {
            let part: Vec<_> = next.by_ref().take(batch).collect();
            ensure!(!part.is_empty(), "the inventory is too small");
            done += part.len();
            granted = inventory::grant(&console, site, part).await?;
        }
        grants_per_s.insert(batch, done as f64 / started.elapsed().as_secs_f64());
    }
    let api = Api::sign_in(address).await?;
    let first_page_ms = median(&api, "/v1/appliances?limit=100", 21).await?;
    let last = format!("/v1/appliances?limit=100&text=sn{:06}", devices.len() - 1);
    let filter_page_ms = median(&api, &last, 21).await?;
    let started = Instant::now();
    api.post(&format!("/v1/sites/{site}/preview"), json!({})).await?;
    let preview_s = started.elapsed().as_secs_f64();
    let draft_s = draft(&console, &api, site, granted).await?;
    let (mut times, api_per_s) = crowd(&api, clients, seconds).await?;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    Ok(Figures {
        grants_per_s,
        first_page_ms,
        filter_page_ms,
        api_p50_ms: at(0.5),
        api_p99_ms: at(0.99),
        api_per_s,
        preview_s,
        draft_s,
        peak_mib: 0,
    })
}

/// Configures what was granted last, and changes all of that by one draft; at how many, and in how many seconds.
async fn draft(console: &NocClient, api: &Api, site: SiteId, granted: Vec<(Uid, Seq)>) -> anyhow::Result<(usize, f64)> {
    let count = granted.len();
    let item = |(uid, seq)| ResultItem { uid, seq, configured: true, reason: String::new() };
    console.report(&ResultReport { items: granted.into_iter().map(item).collect() }).await?;
    let change = json!({ "edit": { "edit": { "domain": "other.example.net" } } });
    let made = api.post("/v1/drafts", json!({ "sites": [site], "title": "bench", "changes": change })).await?;
    ensure!(made["rows"]["proposed"] == count, "{made}");
    let started = Instant::now();
    api.post(&format!("/v1/drafts/{}/apply", made["id"]), json!({})).await?;
    Ok((count, started.elapsed().as_secs_f64()))
}

/// An operator's program.
#[derive(Clone)]
struct Api {
    client: Client,
    ca: Certificate,
    base: String,
    secret: String,
}

impl Api {
    async fn sign_in(address: &str) -> anyhow::Result<Api> {
        let base = format!("https://{address}");
        let careless = Client::builder().tls_danger_accept_invalid_certs(true).build()?;
        let pem = careless.get(format!("{base}/v1/ca")).send().await?.text().await?;
        let ca = Certificate::from_pem(pem.as_bytes())?;
        let mut api = Api { client: client(&ca)?, ca, base, secret: String::new() };
        let proof = json!({ "method": "password", "login": "root", "password": PASSWORD });
        let signed_in = api.post("/v1/sessions", json!({ "proof": proof, "kind": "bearer" })).await?;
        api.secret = signed_in["secret"].as_str().context("a secret")?.to_owned();
        Ok(api)
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.client.get(format!("{}{path}", self.base)).bearer_auth(&self.secret).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        let request = self.client.post(format!("{}{path}", self.base)).bearer_auth(&self.secret).json(&body);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }
}

fn client(ca: &Certificate) -> anyhow::Result<Client> {
    Ok(Client::builder().tls_certs_only([ca.clone()]).build()?)
}

async fn median(api: &Api, path: &str, times: usize) -> anyhow::Result<f64> {
    let mut taken = Vec::with_capacity(times);
    for _ in 0..times {
        let started = Instant::now();
        let page = api.get(path).await?;
        ensure!(!page["items"].as_array().context("a page")?.is_empty(), "{path} shows nothing");
        taken.push(started.elapsed().as_secs_f64() * 1e3);
    }
    taken.sort_by(f64::total_cmp);
    Ok(taken[times / 2])
}

/// Clients that ask one thing after another, each on a connection of its own; the milliseconds of each answer, and how many a second.
async fn crowd(api: &Api, clients: usize, seconds: u64) -> anyhow::Result<(Vec<f64>, f64)> {
    let started = Instant::now();
    let until = started + Duration::from_secs(seconds);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..clients {
        let api = Api { client: client(&api.ca)?, ..api.clone() };
        tasks.spawn(async move {
            let paths = ["/v1/appliances?limit=20", "/v1/sites", "/v1/alerts?open=true", "/v1/consoles", "/v1/session"];
            let mut times = Vec::new();
            for path in paths.iter().cycle().skip(n % paths.len()) {
                let asked = Instant::now();
                api.get(path).await?;
                times.push(asked.elapsed().as_secs_f64() * 1e3);
                if Instant::now() > until {
                    break;
                }
            }
            anyhow::Ok(times)
        });
    }
    let mut all = Vec::new();
    while let Some(times) = tasks.join_next().await {
        all.extend(times??);
    }
    let per_s = all.len() as f64 / started.elapsed().as_secs_f64();
    Ok((all, per_s))
}
