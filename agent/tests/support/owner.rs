//! The NOC root and the console of a test, and what they send an appliance.
#![allow(dead_code, reason = "each test program uses its part")]

use muster_agent::entropy::OsEntropy;
use muster_protocol::application::ApplicationSettings;
use muster_protocol::crypto::claim::ClaimKey;
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::crypto::random;
use muster_protocol::crypto::seal::ExportedKey;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::grant::Grant;
use muster_protocol::id::{RequestId, Seq, SiteId};
use muster_protocol::parameters::{Confirm, NetworkSettings, Parameters};
use muster_protocol::time::UnixTime;
use muster_protocol::wire::config::{self, Address};
use muster_protocol::wire::here::Here;
use muster_protocol::wire::kick::KickStart;
use muster_protocol::wire::to_cbor;

/// Who owns the appliances of a test.
pub(crate) struct Owner {
    pub(crate) root: SecretKey,
    console: SecretKey,
    /// What the application shall have, too.
    pub(crate) application: Option<ApplicationSettings>,
    /// Where its NOC is, and the pin of its CA; nowhere at first.
    pub(crate) noc: (String, [u8; 32]),
}

/// A config packet, and what goes with it.
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    pub(crate) exported: ExportedKey,
    /// The kick-start that makes its settings final.
    pub(crate) kick: Vec<u8>,
}

impl Owner {
    pub(crate) fn new() -> Owner {
        let [root, console] = [(); 2].map(|()| SecretKey::generate(&mut OsEntropy));
        Owner { root, console, application: None, noc: ("127.0.0.1:9".into(), [0; 32]) }
    }

    /// For the appliance that answered so: confirmed by its kick-start, within half a minute.
    pub(crate) fn packet(&self, here: &Here, seq: Seq, network: NetworkSettings, claim: Option<&ClaimKey>) -> Packet {
        let (uid, mac) = (here.uid(), here.mac);
        let grant = Grant {
            uid,
            mac,
            site: SiteId(1),
            seq,
            parameters: Parameters {
                network,
                confirm: Confirm::KickStart,
                window_s: 30,
                beat_interval_s: 86_400,
                drift: None,
                application: self.application.clone(),
            },
            console: self.console.public(),
            root: self.root.public(),
            issued: UnixTime(1),
            expires: UnixTime(u64::MAX),
            noc: self.noc.0.clone(),
            ca_pin: self.noc.1,
        };
        let signed = sign::sign(&self.root, Purpose::Grant, to_cbor(&grant));
        let request = RequestId(random(&mut OsEntropy));
        let to = Address { uid, mac, one_time_key: here.one_time_key, request };
        let (bytes, exported) = config::build(&mut OsEntropy, &self.console, claim, to, &signed).expect("sealed");
        let kick = KickStart { uid, request, seq }.to_datagram(&self.console, &exported);
        Packet { bytes, exported, kick }
    }
}
