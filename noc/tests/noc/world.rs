//! A real NOC on loopback, and clients with real keys and certificates.

pub(crate) use crate::client::*;

use data_encoding::BASE64URL_NOPAD;
use muster_noc::{Noc, Options, Running, SiteSpec};
use muster_protocol::api::*;
use muster_protocol::beat_watch::Rules;
use muster_protocol::id::SiteId;
use muster_protocol::parameters::Confirm;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) noc: Noc,
    pub(crate) running: Running,
}

impl World {
    pub(crate) async fn new() -> World {
        install_provider();
        let dir = TempDir::new().expect("temporary folder");
        let noc = Noc::init(&dir.path().join("noc"), &Options::at("127.0.0.1:0")).expect("init");
        let running = noc.serve("127.0.0.1:0".parse().expect("address")).await.expect("serve");
        World { dir, noc, running }
    }

    /// One of which noc.toml says more, and whose status daemon has these rules.
    pub(crate) async fn with(settings: &str, rules: Rules) -> World {
        let World { dir, noc, running } = World::new().await;
        running.shutdown().await;
        drop(noc);
        let folder = dir.path().join("noc");
        let file = folder.join("noc.toml");
        let toml = std::fs::read_to_string(&file).expect("noc.toml") + settings;
        std::fs::write(&file, toml).expect("written");
        let noc = Noc::open(&folder).expect("opens");
        let running = noc.serve_with("127.0.0.1:0".parse().expect("address"), rules).await.expect("serves");
        World { dir, noc, running }
    }

    /// Stops and starts the whole NOC, at the same port.
    pub(crate) async fn restart(self) -> World {
        let World { dir, noc, running } = self;
        let listen = running.local_addr();
        running.shutdown().await;
        drop(noc);
        let noc = Noc::open(&dir.path().join("noc")).expect("opens again");
        let running = noc.serve(listen).await.expect("serves again");
        World { dir, noc, running }
    }

    pub(crate) fn site(&self, name: &str, pool: &str) -> Site {
        self.noc.add_site(SiteSpec { name: name.into(), pool: pool.into(), ..spec() }).expect("site")
    }

    /// A client that trusts the NOC's CA and has no certificate.
    pub(crate) async fn anybody(&self) -> Http {
        Http::anybody(&self.noc.noc_address(), self.noc.ca_pin()).await
    }

    pub(crate) fn token(&self, sites: &[SiteId], ttl: Duration) -> String {
        let invite = self.noc.invite(sites, ttl).expect("invite");
        let body = invite.strip_prefix("muster-invite:").expect("prefix");
        let json = BASE64URL_NOPAD.decode(body.as_bytes()).expect("base64url");
        let json: serde_json::Value = serde_json::from_slice(&json).expect("json");
        assert_eq!(json["noc"], self.noc.noc_address());
        assert_eq!(json["pin"], data_encoding::HEXLOWER.encode(&self.noc.ca_pin()));
        json["token"].as_str().expect("token").to_owned()
    }

    pub(crate) async fn console(&self, sites: &[SiteId]) -> Console {
        Console::enrol(&self.anybody().await, &self.token(sites, Duration::from_secs(3600))).await
    }

    pub(crate) fn import(&self, devices: &[Device]) {
        let mut csv = "serial,mac,uid,claim,model\n".to_owned();
        for device in devices {
            let claim = device.claim.reveal();
            csv += &format!("SN{},{},{},{claim},Mail\n", device.n, device.mac, device.uid);
        }
        assert_eq!(self.noc.import_manifest(&csv).expect("imports").added, devices.len());
    }
}

pub(crate) fn spec() -> SiteSpec {
    SiteSpec {
        name: "Bern".into(),
        pool: "192.0.2.10-192.0.2.99".into(),
        netmask: "255.255.255.0".into(),
        gateway: "192.0.2.1".into(),
        domain: "example.net".into(),
        dns1: "192.0.2.53".into(),
        dns2: String::new(),
        pool6: String::new(),
        gateway6: String::new(),
        ntp: String::new(),
        search_domains: String::new(),
        host_name: "{model}-{n:03}".into(),
        beat_interval_s: 5,
        confirm: Confirm::KickStart,
        window_s: 90,
        drift: None,
        application: String::new(),
        proof: RequiredProof::Any,
        exclude: String::new(),
        inherit: Vec::new(),
    }
}
