//! A NOC with its inventory, and appliances of it with their certificates.

use super::client::Identity;
use anyhow::{Context, ensure};
use data_encoding::BASE64;
use muster_console::noc_client::{NocClient, join};
use muster_noc::{Noc, Options, SiteSpec};
use muster_protocol::api::{
    ApplianceEnrolled, EnrolAppliance, GrantItem, GrantRequest, PlanFor, PlanRequest, ResultItem, ResultReport,
};
use muster_protocol::crypto::claim::ClaimSecret;
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::crypto::sign::{Purpose, sign};
use muster_protocol::grant::EnrolmentProof;
use muster_protocol::id::{Mac, Seq, SiteId, Uid};
use muster_protocol::parameters::Confirm;
use muster_protocol::time::UnixTime;
use muster_protocol::wire::to_cbor;
use rcgen::{CertificateParams, KeyPair};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Appliances that are planned, granted and reported together.
const BATCH: usize = 1_000;

/// The NOC's data and who is in it.
pub(super) struct Fleet {
    address: String,
    ca_pem: String,
    site: SiteId,
    invite: String,
    devices: Vec<Device>,
}

struct Device {
    key: SecretKey,
    uid: Uid,
    mac: Mac,
}

impl Fleet {
    /// A new NOC that knows `count` appliances.
    pub(super) fn make(data: &Path, count: usize) -> anyhow::Result<Fleet> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let options = Options { addresses: vec![address.clone()], listen: address.parse()? };
        let noc = Noc::init(data, &options)?;
        let site = noc.add_site(SiteSpec {
            name: "Bench".into(),
            pool: "10.0.0.10-10.3.255.250".into(),
            netmask: "/14".into(),
            gateway: "10.0.0.1".into(),
            domain: "bench.example.net".into(),
            dns1: String::new(),
            dns2: String::new(),
            pool6: String::new(),
            gateway6: String::new(),
            host_name: "a-{n:06}".into(),
            beat_interval_s: 3_600,
            confirm: Confirm::KickStart,
            window_s: 120,
            drift: None,
            exclude: String::new(),
            inherit: Vec::new(),
        })?;
        let devices: Vec<Device> = (0..count as u64).map(Device::new).collect();
        for (part, devices) in devices.chunks(50_000).enumerate() {
            let mut csv = "serial,mac,uid,claim,model\n".to_owned();
            for (n, device) in devices.iter().enumerate() {
                let claim = ClaimSecret::generate(&mut rand_core::UnwrapErr(getrandom::SysRng)).reveal();
                writeln!(csv, "SN{:06},{},{},{claim},Mail", part * 50_000 + n, device.mac, device.uid)?;
            }
            noc.import_manifest(&csv)?;
        }
        let invite = noc.invite(&[site.id], Duration::from_secs(3_600))?;
        let ca_pem = std::fs::read_to_string(data.join("ca.pem"))?;
        Ok(Fleet { address, ca_pem, site: site.id, invite, devices })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Configures the first `count` and has the NOC issue their certificates. They share one TLS key: making ten thousand is not
    /// what is measured.
    pub(super) async fn enrol(&self, count: usize) -> anyhow::Result<Vec<Identity>> {
        let console = console(&self.invite).await?;
        let ca = reqwest::Certificate::from_pem(self.ca_pem.as_bytes())?;
        let anybody = reqwest::Client::builder().tls_certs_only([ca]).build()?;
        let tls = KeyPair::generate()?;
        let csr = CertificateParams::default().serialize_request(&tls)?.pem()?;
        let csr_hash: [u8; 32] = Sha256::digest(csr.as_bytes()).into();
        let mut identities = Vec::with_capacity(count);
        for devices in self.devices[..count].chunks(BATCH) {
            let seqs = configure(&console, self.site, devices).await?;
            for (device, seq) in devices.iter().zip(seqs) {
                let proof = EnrolmentProof { device_key: device.key.public(), seq, csr_hash };
                let proof = BASE64.encode(&sign(&device.key, Purpose::Enrolment, to_cbor(&proof)));
                let request = anybody.post(format!("https://{}/v1/appliances/enrol", self.address));
                let request = request.json(&EnrolAppliance { proof, csr: csr.clone() });
                let enrolled: ApplianceEnrolled = request.send().await?.error_for_status()?.json().await?;
                identities.push(Identity::new(&enrolled.certificate, &tls, seq)?);
            }
        }
        Ok(identities)
    }
}

impl Device {
    fn new(n: u64) -> Device {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&n.to_be_bytes());
        let key = SecretKey::from_seed(&seed);
        let [.., a, b, c] = n.to_be_bytes();
        Device { uid: Uid::of(&key.public()), key, mac: Mac([2, 0, 0, a, b, c]) }
    }
}

async fn console(invite: &str) -> anyhow::Result<NocClient> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match join(invite, "bench", [9; 32], UnixTime(now)).await {
            Ok(identity) => return Ok(NocClient::new(&identity)?),
            Err(error) => ensure!(Instant::now() < deadline, "the NOC does not answer: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn configure(console: &NocClient, site: SiteId, devices: &[Device]) -> anyhow::Result<Vec<Seq>> {
    let ask = |device: &Device| PlanFor {
        device_key: device.key.public().to_base64(),
        mac: device.mac,
        claim: None,
        wants_voucher: false,
    };
    let plan = console.plan(&PlanRequest { site, appliances: devices.iter().map(ask).collect() }).await?;
    let items = plan.rows.into_iter().map(|row| {
        let settings = row.settings.with_context(|| format!("no settings: {:?}", row.problem))?;
        Ok(GrantItem { uid: row.uid, settings, refusal: None })
    });
    let request = GrantRequest { site, items: items.collect::<anyhow::Result<_>>()? };
    let grants = console.grants(&request).await?;
    let seqs: Option<Vec<Seq>> = grants.items.iter().map(|item| Some(item.grant.as_ref()?.seq)).collect();
    let seqs = seqs.context("not everybody got a grant")?;
    let done = |(device, seq): (&Device, &Seq)| ResultItem {
        uid: device.uid,
        seq: *seq,
        configured: true,
        reason: String::new(),
    };
    console.report(&ResultReport { items: devices.iter().zip(&seqs).map(done).collect() }).await?;
    Ok(seqs)
}
