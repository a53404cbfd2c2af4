//! Writes the first inputs of every target below `tests/fuzz/corpus/`: real messages, and stories that machines have to
//! know. `make fuzz-seeds` runs it; what a fuzzer finds from there is added by `cargo fuzz cmin`.

use muster_fuzz_harness::keys::{self, KEYS, boot, uid};
use muster_fuzz_harness::messages;
use muster_fuzz_harness::parsers::{bodies, saved, sealed, signed, tables, texts};
use muster_fuzz_harness::rng::Seeded;
use muster_protocol::api::{Beat, BeatAnswer};
use muster_protocol::appliance::{Appliance, Input, Output, Profile};
use muster_protocol::crypto::keys::SealKey;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::delivery::{self, Delivery, Order};
use muster_protocol::grant::{ConsoleProof, Credential, EnrolmentProof};
use muster_protocol::handover::{Handover, Successor};
use muster_protocol::id::{ConsoleId, RequestId, Seq, SiteId};
use muster_protocol::instruction::{Act, Instruction, Serial};
use muster_protocol::parameters::Confirm;
use muster_protocol::time::{Millis, UnixTime};
use muster_protocol::voucher::Voucher;
use muster_protocol::wire::config::{self, Address};
use muster_protocol::wire::here::{Here, Proof};
use muster_protocol::wire::kick::KickStart;
use muster_protocol::wire::ping::Ping;
use muster_protocol::wire::result::{Reason, Stage, Status};
use muster_protocol::wire::{self, Message, Peer, to_cbor};
use std::path::Path;

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let mut seeds = Seeds::default();
    seeds.datagrams();
    seeds.signed();
    seeds.sealed();
    seeds.saved();
    seeds.bodies();
    seeds.texts();
    seeds.tables();
    seeds.machines();
    for (target, name, bytes) in seeds.0 {
        let folder = corpus.join(target);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("seed-{name}")), bytes)?;
    }
    Ok(())
}

#[derive(Default)]
struct Seeds(Vec<(&'static str, String, Vec<u8>)>);

fn one_time_key() -> SealKey {
    (KEYS.open)().public()
}

fn statuses() -> Vec<(&'static str, Status)> {
    vec![
        ("success", Status::Success { committed: false }),
        ("committed", Status::Success { committed: true }),
        (
            "failed",
            Status::Failed {
                reason: Reason::ApplyFailed,
                detail: Some("no such device".into()),
                next_key: Some(one_time_key()),
            },
        ),
        ("failed-bare", Status::Failed { reason: Reason::Busy, detail: None, next_key: None }),
        ("installing", Status::Unconfigured { stage: Stage::Network, percent: 40, ask_again_ms: 1_000 }),
    ]
}

fn address() -> Address {
    Address { uid: uid(), mac: keys::MAC, one_time_key: one_time_key(), request: RequestId([6; 16]) }
}

fn signed_grant(confirm: Confirm) -> Vec<u8> {
    sign::sign(&KEYS.root, Purpose::Grant, to_cbor(&keys::grant("host", 7, confirm)))
}

fn credential() -> Credential {
    Credential {
        console: ConsoleId(1),
        key: KEYS.console.public(),
        sites: vec![SiteId(1), SiteId(2)],
        expires: UnixTime(2_000_000_000),
    }
}

impl Seeds {
    fn add(&mut self, target: &'static str, name: &str, bytes: impl Into<Vec<u8>>) {
        self.0.push((target, name.to_owned(), bytes.into()));
    }

    /// A seed whose first byte chooses.
    fn choose(&mut self, target: &'static str, names: &[&str], name: &str, suffix: &str, bytes: &[u8]) {
        let which = names.iter().position(|known| *known == name).expect("one of the names");
        self.add(target, &format!("{name}{suffix}"), [&[which as u8], bytes].concat());
    }

    fn datagrams(&mut self) {
        let ping = messages::ping(1);
        self.add("datagram", "ping", ping.to_plain());
        self.add("datagram", "ping-one", Ping { only: Some(uid()), ..ping }.to_plain());
        self.add("datagram", "ping-signed", messages::full_ping(2).to_signed(&KEYS.console));
        for settings in [false, true] {
            let here = messages::here(one_time_key(), settings).to_datagram(&KEYS.device);
            self.add("datagram", &format!("here-{settings}"), here);
        }
        let (packet, exported) = config::build(
            &mut Seeded::new(1),
            &KEYS.console,
            Some(&KEYS.claim_key),
            address(),
            &signed_grant(Confirm::KickStart),
        )
        .expect("a good key");
        self.add("datagram", "config", packet);
        for (name, status) in statuses() {
            let result = messages::result(status).to_datagram(&KEYS.device, Some(&exported));
            self.add("datagram", &format!("result-{name}"), result);
        }
        let kick = KickStart { uid: uid(), request: RequestId([6; 16]), seq: Seq(7) };
        self.add("datagram", "kick", kick.to_datagram(&KEYS.console, &exported));
    }

    fn signed(&mut self) {
        let layers = signed::LAYERS;
        let mut add = |layer: &str, suffix: &str, bytes: Vec<u8>| self.choose("signed", &layers, layer, suffix, &bytes);
        let here = messages::here(one_time_key(), true);
        add("cose", "", sign::sign(&KEYS.device, Purpose::Here, to_cbor(&here)));
        add("ping", "", to_cbor(&messages::full_ping(1)));
        add("ping", "-plain", to_cbor(&messages::ping(1)));
        add("credential", "", to_cbor(&credential()));
        add("credential", "-bare", to_cbor(&Credential { sites: Vec::new(), ..credential() }));
        add("here", "-settings", to_cbor(&here));
        add("here", "", to_cbor(&Here { settings: None, ..here }));
        for (name, status) in statuses() {
            add("result", &format!("-{name}"), to_cbor(&messages::result(status.clone())));
            add("failed-untagged", &format!("-{name}"), to_cbor(&messages::result(status)));
        }
        add("kick", "", to_cbor(&KickStart { uid: uid(), request: RequestId([6; 16]), seq: Seq(7) }));
        let proof = EnrolmentProof { device_key: KEYS.device.public(), seq: Seq(7), csr_hash: [8; 32] };
        add("enrolment", "", to_cbor(&proof));
        let proof = ConsoleProof { key: KEYS.console.public(), token_hash: [9; 32], csr_hash: [8; 32] };
        add("console", "", to_cbor(&proof));
        add("grant", "", to_cbor(&keys::grant("host", 7, Confirm::FirstBeat)));
        let instruction = Instruction {
            uid: uid(),
            seq: Seq(7),
            serial: Serial(9),
            act: Act::Decommission,
            issued: UnixTime(5),
            expires: UnixTime(500),
        };
        add("instruction", "", to_cbor(&instruction));
        let to = Successor { noc: "noc.example:6878".to_owned(), ca_pin: [3; 32], root: KEYS.root.public() };
        add("offer", "", to_cbor(&to));
        let (seq, serial) = (Seq(7), Serial(9));
        let handover = Handover { uid: uid(), seq, serial, to, issued: UnixTime(5), expires: UnixTime(500) };
        add("handover", "", to_cbor(&handover));
        add("voucher", "", to_cbor(&keys::voucher()));
        add("voucher", "-ends", to_cbor(&Voucher { expires: Some(UnixTime(1_900_000_000)), ..keys::voucher() }));
    }

    fn sealed(&mut self) {
        let layers = sealed::LAYERS;
        for pinned in [0, 1] {
            let suffix = if pinned == 0 { "-claim" } else { "-pinned" };
            let mut add = |layer: &str, bytes: &[u8]| {
                self.choose("sealed", &layers, layer, suffix, &[&[pinned], bytes].concat());
            };
            add("grant", &to_cbor(&keys::grant("host", 7, Confirm::KickStart)));
            let order = sealed::order_body(signed_grant(Confirm::FirstBeat), None);
            add("order", &order);
            add("plaintext", &sealed::order(&order));
            let voucher = keys::voucher().sign(&KEYS.vendor);
            let order = sealed::order_body(signed_grant(Confirm::FirstBeat), Some(voucher));
            let order = [&[pinned], &order[..]].concat();
            self.choose("sealed", &layers, "order", &format!("-voucher{suffix}"), &order);
        }
        let s = keys::settings("host");
        let texts = [&s.host_name, &s.domain, &s.address, &s.netmask, &s.gateway, &s.dns1, &s.dns2];
        self.choose("sealed", &layers, "settings", "", &[&[0], &to_cbor(&texts.map(String::as_str))[..]].concat());
        let s = keys::settings6("host");
        let nine = [s.host_name, s.domain, s.address, s.netmask, s.gateway, s.dns1, s.dns2, s.address6, s.gateway6];
        self.choose("sealed", &layers, "settings", "-ipv6", &[&[0], &to_cbor(&nine)[..]].concat());
        let mut grant = keys::grant("host", 7, Confirm::KickStart);
        grant.parameters.network = keys::settings6("host").validate().expect("they fit");
        self.choose("sealed", &layers, "grant", "-ipv6", &[&[0], &to_cbor(&grant)[..]].concat());
    }

    /// Documents of an appliance at each stage of its first configuration, and one of a delivery.
    fn saved(&mut self) {
        for confirm in [Confirm::KickStart, Confirm::FirstBeat] {
            for (n, document) in documents(confirm).into_iter().enumerate() {
                let suffix = format!("-{confirm:?}-{n}").to_lowercase();
                self.choose("saved", &saved::DOCUMENTS, "appliance", &suffix, &document);
            }
        }
        let order = Order {
            device_key: KEYS.device.public(),
            mac: keys::MAC,
            grant: signed_grant(Confirm::KickStart),
            seq: Seq(7),
            claim: Some(KEYS.claim_key.clone()),
            voucher: None,
            one_time_key: Some(one_time_key()),
        };
        let mut delivery = Delivery::new(Millis(0), order, &KEYS.console, Box::new(Seeded::new(1)));
        while let Some(output) = delivery.poll_output() {
            if let delivery::Output::Persist { bytes, .. } = output {
                self.choose("saved", &saved::DOCUMENTS, "delivery", "", &bytes);
            }
        }
    }

    fn bodies(&mut self) {
        let names = bodies::BODIES.map(|(name, _)| name);
        let uid = uid();
        let mac = keys::MAC;
        let settings = serde_json::to_string(&keys::settings("host")).expect("plain texts");
        let values = r#"{"uptime_s":5,"load":0.25,"memory_percent":41.5,"disk_percent":7.0,"disk_free":1000,"agent":"0.1.0","counters":{"mail.delivered":12.0},"drift":["address"],"network_problem":"storage_failed"}"#;
        let record = format!(
            r#"{{"uid":"{uid}","mac":"{mac}","serial":"S1","model":"M","site":1,"settings":{settings},"provisioning":"configured","health":"well","last_beat":9,"beat":{values}}}"#
        );
        let site = r#"{"id":1,"name":"Main","pool":"192.0.2.10-192.0.2.99","netmask":"24","gateway":"192.0.2.1","domain":"example.net","dns1":"","dns2":"","host_name":"gw-{n}","beat_interval_s":60,"confirm":"first_beat","window_s":90,"drift":"report"}"#;
        let alert =
            format!(r#"{{"id":3,"site":1,"kind":"never_reported","appliances":["{uid}"],"opened":5,"closed":null}}"#);
        let problem = r#"{"status":422,"code":"manifest_invalid","title":"no","detail":"yes"}"#;
        let text = |name: &str| {
            match name {
            "problem" => problem.to_owned(),
            "enrol-console" => {
                r#"{"token":"AB","name":"pc","public_key":"AAAA","csr":"-----BEGIN","proof":"AA=="}"#.to_owned()
            }
            "console-enrolled" => {
                format!(r#"{{"console":1,"credential":"AA==","root":"AA==","certificate":"-","sites":[{site}]}}"#)
            }
            "sites" => format!("[{site}]"),
            "appliances" => format!("[{record}]"),
            "plan-request" => {
                format!(r#"{{"site":1,"appliances":[{{"device_key":"AA==","mac":"{mac}","claim":"ABCD"}}]}}"#)
            }
            "plan" => format!(
                r#"{{"site":1,"expires":5,"rows":[{{"uid":"{uid}","ownership":"owned","settings":{settings},"rules":{{"address":"pool"}},"problem":{problem}}}]}}"#
            ),
            "grant-request" => format!(r#"{{"site":1,"items":[{{"uid":"{uid}","settings":{settings}}}]}}"#),
            "grants" => format!(
                r#"{{"items":[{{"uid":"{uid}","grant":{{"grant":"AA==","seq":4,"claim_key":"AA=="}},"errors":[{{"field":"gateway","code":"x","message":"y"}}]}}]}}"#
            ),
            "results" => {
                format!(r#"{{"items":[{{"uid":"{uid}","seq":4,"configured":false,"reason":"apply_failed"}}]}}"#)
            }
            "alerts" => format!("[{alert}]"),
            "changes" => format!(r#"{{"revision":4,"reset":true,"appliances":[{record}],"alerts":[{alert}]}}"#),
            "enrol-appliance" => r#"{"proof":"AA==","csr":"-----BEGIN"}"#.to_owned(),
            "appliance-enrolled" => r#"{"certificate":"-","time":5}"#.to_owned(),
            "beat" => {
                let earlier = format!(r#"{{"boot":"{0}","counter":1,"age_s":70,"values":{values}}}"#, boot(1));
                let former = format!(r#"{{"boot":"{0}","counter":9,"time":5,"values":{values}}}"#, boot(2));
                let earlier = format!("[{former},{earlier}]");
                let work = r#"{"failed":{"seq":3,"reason":"no_beat","detail":"x"},"instruction":{"serial":7,"problem":"x"},"drift":"restore"}"#;
                format!(r#"{{"boot":"{}","counter":2,"seq":4,"values":{values},"earlier":{earlier},"work":{work}}}"#, boot(1))
            }
            "beat-answer" => {
                r#"{"interval_s":60,"time":5,"earlier":2,"work":{"grant":{"grant":"AA==","seq":5},"instruction":"AA=="}}"#
                    .to_owned()
            }
            "log-bundle" => r#"{"serial":7,"text":"one two"}"#.to_owned(),
            "beats" => format!(r#"[{{"at":5,"values":{values}}}]"#),
            other => panic!("{other} has no seed"),
        }
        };
        for name in names {
            let bytes = match name {
                "beat-cbor" => to_cbor(&serde_json::from_str::<Beat>(&text("beat")).expect("a beat")),
                "beat-answer-cbor" => {
                    to_cbor(&serde_json::from_str::<BeatAnswer>(&text("beat-answer")).expect("an answer"))
                }
                name => text(name).into_bytes(),
            };
            self.choose("bodies", &names, name, "", &bytes);
        }
    }

    fn texts(&mut self) {
        let names = texts::TEXTS.map(|(name, _)| name);
        let mut add = |name: &str, text: &str| self.choose("texts", &names, name, "", text.as_bytes());
        add("uid", &uid().to_string());
        add("mac", " aa-bb-cc-00-11-22 ");
        add("request", &RequestId([0xab; 16]).to_string());
        add("ping", "000102030405060708090a0b0c0d0e0F");
        add("boot", &boot(7).to_string());
        add("claim", &KEYS.claim.reveal());
        let s = keys::settings("Mail-01");
        let lines = [s.host_name, s.domain, s.address, s.netmask, s.gateway, s.dns1, s.dns2];
        add("settings", &lines.join("\n"));
        add("pool6", "2001:db8::100-2001:db8::1ff, 2001:db8::1/64");
        let json = format!(r#"{{"noc":"noc:6878","pin":"{}","token":"ABCD","expires":2000}}"#, "ab".repeat(32));
        add("invite", &format!("muster-invite:{}", data_encoding::BASE64URL_NOPAD.encode(json.as_bytes())));
        add("pool", "192.0.2.20-192.0.2.21, 192.0.2.10 - 192.0.2.11,192.0.2.30");
        add("host-name", "{model}-{serial}-{mac}-{n:03}");
        add("counters", "# of today\nmail.delivered 1200\nmail.queued\t7.5\nqueue/depth -3e2\n");
        add("exclusion", "192.0.2.20-192.0.2.29, 192.0.2.40,2001:db8::5-2001:db8::9");
        add("words", "key_unknown");
        let s = keys::settings6("mail-01");
        let lines = [s.host_name, s.domain, s.address, s.netmask, s.gateway, s.dns1, s.dns2, s.address6, s.gateway6];
        let lines = lines.into_iter().chain([String::new(), s.ntp, s.search_domains]).collect::<Vec<_>>().join("\n");
        self.choose("texts", &names, "settings", "-ipv6", lines.as_bytes());
    }

    fn tables(&mut self) {
        let names = tables::FILES.map(|(name, _)| name);
        let (uid, claim) = (uid(), KEYS.claim.reveal());
        let mut add = |name: &str, bytes: &[u8]| self.choose("tables", &names, name, "", bytes);
        add(
            "manifest",
            format!("serial;mac;uid;claim;model\nS1;02:00:00:00:00:01;{uid};{claim};\"M;1\"\n;;;\n").as_bytes(),
        );
        add("codes", format!("code,uid,mac\nAAAA,{uid},\n\"B\",,aa-bb-cc-00-11-22\n").as_bytes());
        add(
            "plan",
            format!("uid,host_name,domain,address,netmask,gateway,dns1,dns2,problem\n{uid},'a,b,1,2,3,4,5,\n")
                .as_bytes(),
        );
        let line = format!("{uid},a,b,192.0.2.10,24,,,,2001:db8::10/64,2001:db8::1\n");
        let header = "uid,host_name,domain,address,netmask,gateway,dns1,dns2,address6,gateway6\n";
        self.choose("tables", &names, "plan", "-ipv6", (header.to_owned() + &line).as_bytes());
        let mut add = |name: &str, bytes: &[u8]| self.choose("tables", &names, name, "", bytes);
        let ping = messages::ping(1).to_plain();
        let udp = [&[26, 222, 26, 222][..], &(ping.len() as u16 + 8).to_be_bytes(), &[0, 0], &ping].concat();
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00, 0x45]);
        frame.extend([0; 19]);
        frame.extend(udp);
        let mut file = vec![0; 24 + 8];
        file.extend((frame.len() as u32).to_le_bytes());
        file.extend([0; 4]);
        file.extend(frame);
        add("pcap", &file);
    }

    /// Choices in the order in which the machines' targets read them.
    fn machines(&mut self) {
        // Claim; ping, config (all in order, kick-start confirms), written, applied, kick, written.
        let (ping, config, kick) = ([0, 0, 1, 1], [1, 0xf0, 0, 0, 9, 1, 1], [2, 0, 0, 1]);
        let story = |middle: &[u8]| [&[0][..], &ping, &config, &[6], &[9], middle].concat();
        let configured = [&kick[..], &[6]].concat();
        self.add("appliance", "configured", story(&configured));
        // A ping by the console, which is told the settings; then a used key, and a number that was there before.
        let after = [0, 0x80, 2, 1, 1, 0xf1, 0, 0, 0, 7, 1, 1, 1, 0xf0, 1, 0, 6, 1, 1];
        self.add("appliance", "asked-again", story(&[&configured[..], &after].concat()));
        self.add("appliance", "busy", [&[0][..], &ping, &config, &[6], &[0, 0, 2, 1, 1, 0xf0, 0, 0, 8, 1, 1]].concat());
        // The wrong root, console, claim code, UID and MAC (half bytes of the target's own), one after the other to one key.
        let wrong: Vec<u8> = [0, 2, 4, 6, 8_u8].into_iter().flat_map(|n| [1, n << 4, 0, 0, n, 1, 1]).collect();
        self.add("appliance", "refused", [&[0][..], &ping, &wrong].concat());
        // Proof by voucher: without one, by another vendor, then the right one.
        let vouchers = [1, 0xf4, 0, 0, 7, 1, 1, 1, 0xb0, 0, 0, 5, 1, 1];
        self.add("appliance", "vouched", [&[3][..], &ping, &vouchers, &config, &[6], &[9], &configured].concat());
        // With beats: new settings, accepted; a restart, told once; and at last it leaves.
        let given = [19, 3, 0, 0xf0, 0, 1, 6, 9, 14, 6];
        let instructed = [19, 3, 1, 0xf0, 1, 7, 0, 6, 19, 3, 1, 0xf0, 1, 7, 0];
        let leaves = [19, 3, 1, 0xf0, 1, 9, 2, 6, 19, 3, 2, 9, 19, 3, 3, 6];
        self.add("appliance", "given", story(&[&configured[..], &given, &instructed, &leaves].concat()));
        // Handed over: tried, written, accepted, written, the former NOC told, new settings by the new root; and one that is called off.
        let begun = [19, 5, 0, 0xf0, 0, 6];
        let moved = [19, 5, 3, 0, 6, 19, 5, 6, 0, 6, 19, 3, 0, 0x48, 0, 1, 6, 9, 14, 6];
        self.add("appliance", "handed-over", story(&[&configured[..], &begun, &moved].concat()));
        self.add("appliance", "called-off", story(&[&configured[..], &begun, &[19, 5, 2, 6], &begun].concat()));
        self.add("appliance", "rolled-back", story(&[16, 12, 6]));
        self.add("appliance", "power-cut", story(&[&[17, 0, 12, 6][..], &ping, &config].concat()));
        self.add("appliance", "replayed", story(&[&kick[..], &[6, 3, 0, 1, 3, 2, 1, 3, 4, 1]].concat()));
        // Heard; written; SUCCESS; committed.
        self.add("delivery", "configured", [1, 1, 2, 4, 0, 0xf0, 0, 4, 0, 0xf0, 1]);
        self.add("delivery", "asked-first", [1, 0, 0, 0, 0, 0, 2, 4, 0, 0xf1, 3, 5, 0, 0]);
        self.add("delivery", "refused", [1, 1, 2, 4, 0, 0xf0, 3, 1, 0, 0]);
        self.add("delivery", "retried", [1, 1, 2, 4, 0, 0xf0, 3, 0, 0, 1, 2, 4, 0, 0xf0, 1]);
        self.add("delivery", "cancelled", [1, 0, 10, 1]);
        self.add("delivery", "killed", [1, 1, 2, 11, 1, 9, 9, 9]);
        // Start; everybody answers; the next round.
        let round = [&[7][..], &[1; 20], &[15]].concat();
        self.add("discovery", "round", [&[0, 250, 0, 0, 160, 15, 0, 12, 0][..], &round, &round, &round].concat());
        self.add("discovery", "settings", [1, 250, 0, 0, 160, 15, 0, 12, 0, 3, 0, 0, 0x21, 3, 1]);
        self.add("beat", "beats", [60, 0, 0, 0, 5, 2, 60, 0, 0, 5, 3, 0, 5]);
        self.add("beat", "absence", [60, 0, 0, 0, 5, 3, 1, 88, 2, 0, 5]);
        self.add("beat_watch", "never-reported", [0, 0, 0, 0, 1]);
        let expect: Vec<u8> = (0..4).flat_map(|n| [0, n, 0, 1]).collect();
        self.add("beat_watch", "site", [&[0][..], &expect, &[6]].concat());
        self.add("beat_watch", "silent", [0, 0, 0, 0, 1, 3, 0, 8, 200, 5, 8, 200, 8, 3, 0, 3, 0]);
    }
}

/// What an appliance stores on its way from unconfigured to configured.
fn documents(confirm: Confirm) -> Vec<Vec<u8>> {
    let profile = Profile {
        device: KEYS.device.clone(),
        mac: keys::MAC,
        boot: boot(1),
        proof: Proof::Claim,
        claim: Some(KEYS.claim_key.clone()),
        vendor: None,
    };
    let mut appliance = Appliance::new(Millis(0), profile, None, Box::new(Seeded::new(1))).expect("new");
    let peer = Peer { interface: 2, address: ([192, 0, 2, 1], 6878).into() };
    let mut documents = Vec::new();
    let mut kick = None;
    let mut inbox = vec![Ping { window_ms: 0, ..messages::ping(1) }.to_plain()];
    for _ in 0..8 {
        let Some(datagram) = inbox.pop() else { break };
        appliance.handle_input(Millis(0), Input::Datagram { peer, bytes: &datagram });
        while let Some(output) = appliance.poll_output() {
            match output {
                Output::Persist { token, bytes } => {
                    documents.push(bytes);
                    appliance.handle_input(Millis(0), Input::Persisted(token));
                }
                Output::Apply { .. } => {
                    appliance.handle_input(Millis(0), Input::Applied(Ok(())));
                    inbox.extend(kick.take());
                }
                Output::StartBeats { .. } => appliance.handle_input(Millis(0), Input::BeatAccepted),
                Output::Transmit { bytes, .. } => {
                    if let Ok(Message::Here(packet)) = wire::decode(&bytes) {
                        let here = packet.verify().expect("in order");
                        let to = Address { one_time_key: here.one_time_key, ..address() };
                        let (claim, grant) = (Some(&KEYS.claim_key), signed_grant(confirm));
                        let (packet, exported) =
                            config::build(&mut Seeded::new(1), &KEYS.console, claim, to, &grant).expect("a good key");
                        let start = KickStart { uid: uid(), request: RequestId([6; 16]), seq: Seq(7) };
                        kick = Some(start.to_datagram(&KEYS.console, &exported));
                        inbox.push(packet);
                    }
                }
                _ => {}
            }
        }
    }
    documents
}
