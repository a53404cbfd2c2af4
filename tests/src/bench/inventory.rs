//! A NOC's data folder with one site and an inventory, and a console that has its appliances configured.

use anyhow::{Context, ensure};
use muster_console::noc_client::{NocClient, join};
use muster_noc::{Noc, Options, SiteSpec};
use muster_protocol::api::{GrantItem, GrantRequest, PlanFor, PlanRequest};
use muster_protocol::crypto::claim::ClaimSecret;
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::id::{Mac, Seq, SiteId, Uid};
use muster_protocol::parameters::Confirm;
use muster_protocol::time::UnixTime;
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Lines of one manifest.
const MANIFEST: usize = 50_000;

/// An appliance, of which there is only its key.
pub(super) struct Device {
    pub(super) key: SecretKey,
    pub(super) uid: Uid,
    pub(super) mac: Mac,
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

/// So many, always the same ones.
pub(super) fn devices(count: usize) -> Vec<Device> {
    (0..count as u64).map(Device::new).collect()
}

/// A site with room for a quarter of a million.
pub(super) fn site(beat_interval_s: u32) -> SiteSpec {
    SiteSpec {
        name: "Bench".into(),
        pool: "10.0.0.10-10.3.255.250".into(),
        netmask: "/14".into(),
        gateway: "10.0.0.1".into(),
        domain: "bench.example.net".into(),
        dns1: String::new(),
        dns2: String::new(),
        pool6: String::new(),
        gateway6: String::new(),
        ntp: String::new(),
        search_domains: String::new(),
        host_name: "a-{n:06}".into(),
        beat_interval_s,
        confirm: Confirm::KickStart,
        window_s: 120,
        drift: None,
        application: String::new(),
        proof: muster_protocol::api::RequiredProof::Any,
        exclude: String::new(),
        inherit: Vec::new(),
    }
}

/// Makes the folder; the NOC, opened, its site, and an invite to it.
pub(super) fn make(
    data: &Path,
    address: &str,
    site: SiteSpec,
    devices: &[Device],
) -> anyhow::Result<(Noc, SiteId, String)> {
    let options = Options { addresses: vec![address.to_owned()], listen: address.parse()? };
    let noc = Noc::init(data, &options)?;
    let site = noc.add_site(site)?.id;
    for (part, devices) in devices.chunks(MANIFEST).enumerate() {
        let mut csv = "serial,mac,uid,claim,model\n".to_owned();
        for (n, device) in devices.iter().enumerate() {
            let claim = ClaimSecret::generate(&mut rand_core::UnwrapErr(getrandom::SysRng)).reveal();
            writeln!(csv, "SN{:06},{},{},{claim},Model {}", part * MANIFEST + n, device.mac, device.uid, n % 7)?;
        }
        noc.import_manifest(&csv)?;
    }
    let invite = noc.invite(&[site], Duration::from_secs(3_600))?;
    Ok((noc, site, invite))
}

/// A console that has joined by an invite, once the NOC answers.
pub(super) async fn console(invite: &str) -> anyhow::Result<NocClient> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match join(invite, "bench", [9; 32], UnixTime(now)).await {
            Ok(identity) => return Ok(NocClient::new(&identity)?),
            Err(error) => ensure!(Instant::now() < deadline, "the NOC does not answer: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Plans and grants; the numbers of the grants.
pub(super) async fn grant(
    console: &NocClient,
    site: SiteId,
    devices: impl IntoIterator<Item = &Device>,
) -> anyhow::Result<Vec<(Uid, Seq)>> {
    let ask = |device: &Device| PlanFor {
        here: None,
        device_key: device.key.public().to_base64(),
        mac: device.mac,
        claim: None,
        wants_voucher: false,
    };
    let appliances = devices.into_iter().map(ask).collect();
    let plan = console.plan(&PlanRequest { site, appliances }).await?;
    let items = plan.rows.into_iter().map(|row| {
        let settings = row.settings.with_context(|| format!("no settings: {:?}", row.problem))?;
        Ok(GrantItem { uid: row.uid, settings, refusal: None })
    });
    let request = GrantRequest { site, items: items.collect::<anyhow::Result<_>>()? };
    let grants = console.grants(&request).await?;
    let signed = grants.items.iter().map(|item| Some((item.uid, item.grant.as_ref()?.seq)));
    signed.collect::<Option<_>>().context("not everybody got a grant")
}
