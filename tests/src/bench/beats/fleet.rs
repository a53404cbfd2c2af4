//! A NOC with its inventory, and appliances of it with their certificates.

use super::client::Identity;
use crate::bench::inventory::{self, Device};
use data_encoding::BASE64;
use muster_console::noc_client::NocClient;
use muster_protocol::api::{ApplianceEnrolled, EnrolAppliance, ResultItem, ResultReport};
use muster_protocol::crypto::sign::{Purpose, sign};
use muster_protocol::grant::EnrolmentProof;
use muster_protocol::id::{Seq, SiteId, Uid};
use muster_protocol::wire::to_cbor;
use rcgen::{CertificateParams, KeyPair};
use sha2::{Digest, Sha256};
use std::net::TcpListener;
use std::path::Path;

/// Appliances that are planned, granted and reported together.
const BATCH: usize = 1_000;

/// The NOC's data and who is in it.
pub(in crate::bench) struct Fleet {
    address: String,
    ca_pem: String,
    site: SiteId,
    invite: String,
    devices: Vec<Device>,
}

impl Fleet {
    /// A new NOC that knows `count` appliances, which are to beat every `interval_s` seconds.
    pub(in crate::bench) fn make(data: &Path, count: usize, interval_s: u32) -> anyhow::Result<Fleet> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let devices = inventory::devices(count);
        let (_, site, invite) = inventory::make(data, &address, inventory::site(interval_s), &devices)?;
        let ca_pem = std::fs::read_to_string(data.join("ca.pem"))?;
        Ok(Fleet { address, ca_pem, site, invite, devices })
    }

    pub(in crate::bench) fn address(&self) -> &str {
        &self.address
    }

    /// Everybody, in the order in which they are enrolled.
    pub(in crate::bench) fn uids(&self) -> impl Iterator<Item = Uid> {
        self.devices.iter().map(|device| device.uid)
    }

    pub(in crate::bench) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Configures the first `count` and has the NOC issue their certificates. They share one TLS key: making ten thousand is not
    /// what is measured.
    pub(in crate::bench) async fn enrol(&self, count: usize) -> anyhow::Result<Vec<Identity>> {
        let console = inventory::console(&self.invite).await?;
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

async fn configure(console: &NocClient, site: SiteId, devices: &[Device]) -> anyhow::Result<Vec<Seq>> {
    let seqs: Vec<Seq> = inventory::grant(console, site, devices).await?.into_iter().map(|(_, seq)| seq).collect();
    let done = |(device, seq): (&Device, &Seq)| ResultItem {
        uid: device.uid,
        seq: *seq,
        configured: true,
        reason: String::new(),
    };
    console.report(&ResultReport { items: devices.iter().zip(&seqs).map(done).collect() }).await?;
    Ok(seqs)
}
