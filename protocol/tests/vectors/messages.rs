//! The messages that are accepted.

use super::hpke::{self, Inputs};
use super::parties::{
    BOOT, MAC, claim_key, console, device, one_time_key, one_time_secret, open_key, reply_secret, root, uid,
};
use super::{Given, cose, hex, seed};
use muster_protocol::crypto::keys::SealKey;
use muster_protocol::crypto::seal::ExportedKey;
use muster_protocol::crypto::sign::Purpose;
use muster_protocol::grant::{Credential, EnrolmentProof, Grant};
use muster_protocol::id::{ConsoleId, Mac, PingId, RequestId, Seq, SiteId, Uid};
use muster_protocol::parameters::{Confirm, NetworkSettings, Parameters, RawSettings};
use muster_protocol::time::UnixTime;
use muster_protocol::wire::config::{self, Address, PacketHash};
use muster_protocol::wire::here::{Here, Proof, SealedSettings, State};
use muster_protocol::wire::kick::KickStart;
use muster_protocol::wire::ping::{self, Ping, Shard, heard_hash};
use muster_protocol::wire::result::{ConfigResult, Reason, Stage, Status};
use muster_protocol::wire::{MAX_DATAGRAM, to_cbor};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(crate) fn settings() -> RawSettings {
    RawSettings {
        host_name: "mail-01".into(),
        domain: "example.net".into(),
        address: "192.0.2.10".into(),
        netmask: "255.255.255.0".into(),
        gateway: "192.0.2.1".into(),
        dns1: "192.0.2.53".into(),
        dns2: "198.51.100.53".into(),
        ..RawSettings::default()
    }
}

/// The first grant of the appliance: what its first config packet brings.
pub(crate) fn first_grant() -> Grant {
    Grant {
        uid: uid(),
        mac: MAC,
        site: SiteId(3),
        seq: Seq(7),
        parameters: Parameters {
            network: settings().validate().expect("good settings"),
            confirm: Confirm::KickStart,
            window_s: 90,
            beat_interval_s: 60,
            drift: None,
            application: None,
        },
        console: console().public(),
        root: root().public(),
        issued: UnixTime(1_790_000_000),
        expires: UnixTime(1_790_604_800),
        noc: "noc.example.net:6878".into(),
        ca_pin: seed("CA certificate"),
    }
}

/// The second: no gateway, no name servers, confirmed by the first beat.
pub(crate) fn second_grant() -> Grant {
    let bare = RawSettings { gateway: String::new(), dns1: String::new(), dns2: String::new(), ..settings() };
    let network = bare.validate().expect("good settings");
    let parameters = Parameters {
        network,
        confirm: Confirm::FirstBeat,
        window_s: 600,
        beat_interval_s: 86_400,
        drift: None,
        application: None,
    };
    Grant { seq: Seq(24), parameters, ..first_grant() }
}

/// The longest there can be.
pub(crate) fn longest_grant() -> Grant {
    let label = |letter: char, n: usize| letter.to_string().repeat(n);
    let raw = RawSettings {
        host_name: label('h', 63),
        domain: [label('a', 63), label('b', 63), label('c', 62)].join("."),
        address: "223.255.255.2".into(),
        gateway: "223.255.255.1".into(),
        dns1: "223.255.255.3".into(),
        dns2: "223.255.255.4".into(),
        ..settings()
    };
    let network = raw.validate().expect("good settings");
    let parameters = Parameters {
        network,
        confirm: Confirm::FirstBeat,
        window_s: 600,
        beat_interval_s: 86_400,
        drift: None,
        application: None,
    };
    Grant {
        site: SiteId(u32::MAX),
        seq: Seq(u64::MAX),
        parameters,
        issued: UnixTime(u64::MAX - 1),
        expires: UnixTime(u64::MAX),
        noc: format!("{}:65535", label('n', 122)),
        ..first_grant()
    }
}

pub(crate) fn signed_grant(grant: &Grant) -> Vec<u8> {
    cose(&root(), Purpose::Grant, "muster/1 grant", &to_cbor(grant)).0
}

pub(crate) fn grants() -> Vec<Value> {
    let named = [("first", first_grant()), ("second", second_grant()), ("longest", longest_grant())];
    named.into_iter().map(|(name, grant)| grant_vector(name, &grant)).collect()
}

pub(crate) fn grant_vector(name: &str, grant: &Grant) -> Value {
    let steps = cose(&root(), Purpose::Grant, "muster/1 grant", &to_cbor(grant)).1;
    let mut meaning = grant_meaning(grant);
    let raw = grant.parameters.network.to_raw();
    // The vectors that were frozen before there was IPv6 do not name what they lack.
    if !raw.address6.is_empty() {
        (meaning["address6"], meaning["gateway6"]) = (json!(raw.address6), json!(raw.gateway6));
    }
    json!({ "name": name, "meaning": meaning, "cose": steps })
}

pub(crate) fn grant_meaning(grant: &Grant) -> Value {
    let p = &grant.parameters;
    let raw = p.network.to_raw();
    json!({
        "uid": grant.uid.to_string(), "mac": grant.mac.to_string(), "site": grant.site.0, "seq": grant.seq.0.to_string(),
        "host_name": raw.host_name, "domain": raw.domain, "address": raw.address, "prefix": p.network.prefix(),
        "gateway": raw.gateway, "dns1": raw.dns1, "dns2": raw.dns2,
        "confirm": match p.confirm { Confirm::KickStart => "kick-start", Confirm::FirstBeat => "first beat" },
        "window_s": p.window_s, "beat_interval_s": p.beat_interval_s,
        "console": hex(&grant.console.0), "root": hex(&grant.root.0),
        "issued": grant.issued.0.to_string(), "expires": grant.expires.0.to_string(),
        "noc": grant.noc, "ca_pin": hex(&grant.ca_pin),
    })
}

pub(crate) fn credential() -> Credential {
    Credential {
        console: ConsoleId(12),
        key: console().public(),
        sites: vec![SiteId(3), SiteId(4), SiteId(70_000)],
        expires: UnixTime(1_853_072_000),
    }
}

pub(crate) fn credentials() -> Vec<Value> {
    let credential = credential();
    let steps = cose(&root(), Purpose::Credential, "muster/1 credential", &to_cbor(&credential)).1;
    let sites: Vec<u32> = credential.sites.iter().map(|site| site.0).collect();
    vec![json!({
        "name": "three sites",
        "meaning": {
            "console": credential.console.0, "key": hex(&credential.key.0), "sites": sites,
            "expires": credential.expires.0.to_string(),
        },
        "cose": steps,
    })]
}

pub(crate) fn enrolments() -> Vec<Value> {
    let csr =
        "-----BEGIN CERTIFICATE REQUEST-----\nthe request's text, as it is sent\n-----END CERTIFICATE REQUEST-----\n";
    let proof =
        EnrolmentProof { device_key: device().public(), seq: Seq(7), csr_hash: Sha256::digest(csr.as_bytes()).into() };
    let steps = cose(&device(), Purpose::Enrolment, "muster/1 enrolment", &to_cbor(&proof)).1;
    let meaning = json!({ "device_key": hex(&proof.device_key.0), "seq": "7", "csr_hash": hex(&proof.csr_hash) });
    vec![json!({ "name": "after the first configuration", "csr": csr, "meaning": meaning, "cose": steps })]
}

pub(crate) fn heard() -> Vec<Value> {
    let uids = [uid(), Uid([0; 20]), Uid([0xff; 20])];
    let salts = [*b"\x00\x01\x02\x03\x04\x05\x06\x07", *b"a salt.."];
    let pairs = salts.iter().flat_map(|salt| uids.iter().map(move |uid| (salt, uid)));
    pairs.map(|(salt, uid)| {
        let hash = heard_hash(salt, uid);
        let value = u32::from(u16::from_be_bytes([hash[4], hash[5]]));
        let shards: Vec<Value> = [0_u32, 1, 3, 8, 16].map(|bits| json!([bits, value >> (16 - bits)])).to_vec();
        json!({ "salt": hex(salt), "uid": hex(&uid.0), "hash": hex(&hash[..4]), "shard_bytes": hex(&hash[4..]), "shards": shards })
    }).collect()
}

pub(crate) fn plain_ping() -> Ping {
    Ping {
        id: PingId(*b"the first ping.."),
        window_ms: 250,
        salt: *b"a salt..",
        shard: Shard::default(),
        heard: Vec::new(),
        only: None,
        reply_key: None,
        credential: None,
    }
}

pub(crate) fn signed_ping() -> Ping {
    let (credential, _) = cose(&root(), Purpose::Credential, "muster/1 credential", &to_cbor(&credential()));
    Ping {
        id: PingId(*b"the second ping."),
        window_ms: 0,
        only: Some(uid()),
        reply_key: Some(open_key(reply_secret()).public()),
        credential: Some(credential.into()),
        ..plain_ping()
    }
}

pub(crate) fn pings() -> Vec<Value> {
    let mut hashes: Vec<[u8; 6]> = [Uid([0; 20]), Uid([0xff; 20])].map(|uid| heard_hash(b"a salt..", &uid)).to_vec();
    hashes.sort_unstable();
    let listed = Ping {
        window_ms: 4_000,
        shard: Shard { bits: 3, index: 5 },
        heard: hashes.iter().flat_map(|hash| hash[..4].to_vec()).collect(),
        ..plain_ping()
    };
    let full = Ping {
        window_ms: u16::MAX,
        shard: Shard { bits: 16, index: u16::MAX },
        heard: vec![0xfe; ping::MAX_HEARD * 4],
        only: None,
        ..signed_ping()
    };
    let mut vectors: Vec<Value> = [("plain", plain_ping()), ("plain, some heard, one shard of eight", listed)]
        .map(|(name, ping)| ping_vector(name, &ping, &ping.to_plain(), None))
        .to_vec();
    for (name, ping) in [("signed, to one appliance", signed_ping()), ("signed, as long as can be", full)] {
        let steps = cose(&console(), Purpose::Ping, "muster/1 ping", &to_cbor(&ping)).1;
        vectors.push(ping_vector(name, &ping, &ping.to_signed(&console()), Some(steps)));
    }
    vectors
}

fn ping_vector(name: &str, ping: &Ping, datagram: &[u8], cose: Option<Value>) -> Value {
    assert!((ping::MIN_PING..=MAX_DATAGRAM).contains(&datagram.len()));
    let mut vector = json!({
        "name": name,
        "datagram": hex(datagram),
        "body": hex(&to_cbor(ping)),
        "meaning": {
            "id": hex(&ping.id.0), "window_ms": ping.window_ms, "salt": hex(&ping.salt),
            "shard": [ping.shard.bits, ping.shard.index],
            "heard": ping.heard.chunks(4).map(hex).collect::<Vec<_>>(),
            "only": ping.only.map(|uid| uid.to_string()),
            "reply_key": ping.reply_key.map(|key| hex(&key.0)),
            "credential": ping.credential.as_ref().map(|bytes| hex(bytes)),
            "asks_the_appliance": ping.asks(&uid()),
        },
    });
    if let Some(cose) = cose {
        vector["cose"] = cose;
    }
    vector
}

pub(crate) fn first_here() -> Here {
    Here {
        ping: plain_ping().id,
        device_key: device().public(),
        mac: MAC,
        state: State::Unconfigured,
        one_time_key: one_time_key(0).public(),
        boot: BOOT,
        proof: Proof::Claim,
        settings: None,
    }
}

pub(crate) fn answers() -> Vec<Value> {
    let network = settings().validate().expect("good settings");
    let bench = Here { state: State::Provisional, proof: Proof::Open, ..first_here() };
    vec![
        here_vector("unconfigured, by its claim code", &first_here()),
        configured_answer("configured, settings sealed to the console", "ephemeral key of the settings", &network),
        here_vector("provisional, open", &bench),
    ]
}

pub(crate) fn configured_answer(name: &str, ephemeral: &str, network: &NetworkSettings) -> Value {
    let ikm_e = seed(ephemeral);
    let reply = open_key(reply_secret()).public();
    let sealed = SealedSettings::seal(&mut Given::new([ikm_e]), &reply, &uid(), network).expect("a good key");
    let RawSettings { host_name, domain, address, netmask, gateway, dns1, dns2, address6, gateway6, .. } =
        network.to_raw();
    let mut texts = vec![host_name, domain, address, netmask, gateway, dns1, dns2];
    texts.extend([address6, gateway6].into_iter().filter(|text| !text.is_empty()));
    let plaintext = to_cbor(&texts);
    let array = to_cbor(&sealed);
    let (enc, ciphertext) = (&array[3..35], &array[array.len() - plaintext.len() - 16..]);
    let (steps, _) = hpke::steps(&Inputs {
        recipient: reply_secret(),
        ikm_e,
        info: "muster/1 settings",
        psk: None,
        aad: &uid().0,
        plaintext: &plaintext,
        exporter_context: None,
        enc,
        ciphertext,
    });
    let here = Here {
        ping: signed_ping().id,
        state: State::Configured,
        one_time_key: one_time_key(1).public(),
        settings: Some(sealed),
        ..first_here()
    };
    let mut vector = here_vector(name, &here);
    vector["hpke"] = steps;
    vector["meaning"]["settings"] = json!(texts);
    vector
}

fn here_vector(name: &str, here: &Here) -> Value {
    let (_, steps) = cose(&device(), Purpose::Here, "muster/1 here", &to_cbor(here));
    json!({
        "name": name,
        "datagram": hex(&here.to_datagram(&device())),
        "cose": steps,
        "meaning": {
            "ping": hex(&here.ping.0), "device_key": hex(&here.device_key.0), "uid": here.uid().to_string(),
            "mac": here.mac.to_string(), "state": here.state as u8, "one_time_key": hex(&here.one_time_key.0),
            "boot": hex(&here.boot.0), "proof": here.proof as u8, "settings": null,
        },
    })
}

/// One config packet: its grant, which one-time key it is sealed to, and whether with the claim key.
pub(crate) struct Packet {
    pub(crate) name: &'static str,
    pub(crate) grant: Grant,
    pub(crate) key: usize,
    pub(crate) claimed: bool,
    pub(crate) request: RequestId,
    pub(crate) voucher: Option<Vec<u8>>,
}

pub(crate) fn packets() -> [Packet; 3] {
    [
        Packet {
            name: "to an unconfigured appliance, with the claim key",
            grant: first_grant(),
            key: 0,
            claimed: true,
            request: RequestId(*b"the 1st request."),
            voucher: None,
        },
        Packet {
            name: "to a configured appliance",
            grant: second_grant(),
            key: 1,
            claimed: false,
            request: RequestId(*b"the 2nd request."),
            voucher: None,
        },
        Packet {
            name: "the longest",
            grant: longest_grant(),
            key: 1,
            claimed: false,
            request: RequestId([0xff; 16]),
            voucher: None,
        },
    ]
}

impl Packet {
    pub(crate) fn to(&self) -> Address {
        Address { uid: uid(), mac: MAC, one_time_key: one_time_key(self.key).public(), request: self.request }
    }

    pub(crate) fn ikm_e(&self) -> [u8; 32] {
        seed(&format!("ephemeral key of the packet {}", self.name))
    }

    pub(crate) fn build(&self) -> (Vec<u8>, ExportedKey) {
        let claim = self.claimed.then(claim_key);
        let grant = signed_grant(&self.grant);
        let mut rng = Given::new([self.ikm_e()]);
        let built = match &self.voucher {
            Some(voucher) => config::build_with_voucher(&mut rng, &console(), voucher, self.to(), &grant),
            None => config::build(&mut rng, &console(), claim.as_ref(), self.to(), &grant),
        };
        built.expect("a good key")
    }
}

pub(crate) fn configs() -> Vec<Value> {
    packets().iter().map(config_vector).collect()
}

pub(crate) fn config_vector(packet: &Packet) -> Value {
    let (datagram, exported) = packet.build();
    assert!(datagram.len() <= MAX_DATAGRAM, "{} has {} bytes", packet.name, datagram.len());
    let grant = signed_grant(&packet.grant);
    let order = order_with(&grant, &packet.to().one_time_key, &packet.request, packet.voucher.as_deref());
    let (signed, steps) = cose(&console(), Purpose::Config, "muster/1 config", &order);
    let aad = to_cbor(&packet.to());
    // Header, map of three, key 0 and the address; key 1 and enc; key 2 and the ciphertext.
    let after = 6 + 2 + aad.len();
    let (enc, ciphertext) = (&datagram[after + 3..after + 35], &datagram[datagram.len() - signed.len() - 16..]);
    let (hpke, key) = hpke::steps(&Inputs {
        recipient: one_time_secret(packet.key),
        ikm_e: packet.ikm_e(),
        info: "muster/1 config",
        psk: packet.claimed.then(|| (claim_key().0, "muster/1 claim")),
        aad: &aad,
        plaintext: &signed,
        exporter_context: Some("muster/1 answers"),
        enc,
        ciphertext,
    });
    assert_eq!(to_cbor(&exported)[2..], key, "the exported key is the library's");
    json!({
        "name": packet.name,
        "meaning": {
            "uid": uid().to_string(), "mac": MAC.to_string(), "request": hex(&packet.request.0),
            "one_time_key": hex(&packet.to().one_time_key.0),
        },
        "grant": hex(&grant),
        "order": hex(&order),
        "cose": steps,
        "hpke": hpke,
        "datagram": hex(&datagram),
        "datagram_sha256": hex(&PacketHash::of(&datagram).0),
    })
}

/// The order's bytes; the library does not show them.
pub(crate) fn order(grant: &[u8], one_time_key: &SealKey, request: &RequestId) -> Vec<u8> {
    order_with(grant, one_time_key, request, None)
}

pub(crate) fn order_with(grant: &[u8], key: &SealKey, request: &RequestId, voucher: Option<&[u8]>) -> Vec<u8> {
    let fields = [Some(grant), Some(&key.0[..]), Some(&request.0[..]), voucher];
    let fields: Vec<&[u8]> = fields.into_iter().flatten().collect();
    let mut bytes = Vec::new();
    let mut e = minicbor::Encoder::new(&mut bytes);
    e.map(fields.len() as u64).expect("to memory");
    for (number, field) in fields.into_iter().enumerate() {
        e.u8(number as u8).and_then(|e| e.bytes(field)).expect("to memory");
    }
    bytes
}

pub(crate) fn results() -> Vec<Value> {
    let [first, second, _] = packets();
    let next_key = Some(one_time_key(1).public());
    let taken = Mac([0x02, 0x4d, 0x55, 0x53, 0x54, 0x99]);
    let detail = Some(format!("192.0.2.10 is used by {taken}"));
    let failed = |reason, detail, next_key| Status::Failed { reason, detail, next_key };
    let probing = Status::Unconfigured { stage: Stage::ProbingAddress, percent: 10, ask_again_ms: 1_000 };
    let beat = Status::Unconfigured { stage: Stage::FirstBeat, percent: 90, ask_again_ms: 1_000 };
    let all: [(&str, &Packet, Status, bool); 9] = [
        ("UNCONFIGURED, probing the address", &first, probing, true),
        ("SUCCESS, provisional", &first, Status::Success { committed: false }, true),
        ("SUCCESS, committed", &first, Status::Success { committed: true }, true),
        ("UNCONFIGURED, waiting for the first beat", &second, beat, true),
        ("FAILED, nobody kick-started", &first, failed(Reason::NoKickStart, None, next_key), true),
        ("FAILED, with a detail", &first, failed(Reason::AddressTaken, detail.clone(), next_key), true),
        ("FAILED, with a detail and no key", &first, failed(Reason::ApplyFailed, detail, None), true),
        ("FAILED, refused before anything was opened", &second, failed(Reason::KeyUnknown, None, next_key), false),
        ("FAILED, busy", &second, failed(Reason::Busy, None, None), false),
    ];
    all.into_iter().map(|(name, packet, status, tagged)| result_vector(name, packet, status, tagged)).collect()
}

fn result_vector(name: &str, packet: &Packet, status: Status, tagged: bool) -> Value {
    let (datagram, exported) = packet.build();
    let result = ConfigResult {
        uid: uid(),
        request: packet.request,
        packet: PacketHash::of(&datagram),
        seq: packet.grant.seq,
        boot: BOOT,
        status,
    };
    let (signed, steps) = cose(&device(), Purpose::Result, "muster/1 result", &to_cbor(&result));
    let meaning = match &result.status {
        Status::Success { committed } => json!({ "result": "SUCCESS", "committed": committed }),
        Status::Failed { reason, detail, next_key } => json!({
            "result": "FAILED", "reason": *reason as u8, "code": reason.code(), "detail": detail,
            "next_key": next_key.map(|key| hex(&key.0)),
        }),
        Status::Unconfigured { stage, percent, ask_again_ms } => json!({
            "result": "UNCONFIGURED", "stage": *stage as u8, "percent": percent, "ask_again_ms": ask_again_ms,
        }),
    };
    json!({
        "name": name,
        "answers": packet.name,
        "meaning": {
            "uid": uid().to_string(), "request": hex(&result.request.0), "packet": hex(&result.packet.0),
            "seq": result.seq.0.to_string(), "boot": hex(&result.boot.0), "status": meaning,
        },
        "cose": steps,
        "exported_key": tagged.then(|| hex(&to_cbor(&exported)[2..])),
        "tag": tagged.then(|| hex(&exported.tag(&signed))),
        "datagram": hex(&result.to_datagram(&device(), tagged.then_some(&exported))),
    })
}

pub(crate) fn kick_starts() -> Vec<Value> {
    let [first, second, _] = packets();
    [first, second]
        .iter()
        .map(|packet| {
            let (_, exported) = packet.build();
            let kick = KickStart { uid: uid(), request: packet.request, seq: packet.grant.seq };
            let (signed, steps) = cose(&console(), Purpose::KickStart, "muster/1 kick-start", &to_cbor(&kick));
            json!({
                "name": format!("of the packet {}", packet.name),
                "meaning": { "uid": uid().to_string(), "request": hex(&kick.request.0), "seq": kick.seq.0.to_string() },
                "cose": steps,
                "exported_key": hex(&to_cbor(&exported)[2..]),
                "tag": hex(&exported.tag(&signed)),
                "datagram": hex(&kick.to_datagram(&console(), &exported)),
            })
        })
        .collect()
}
