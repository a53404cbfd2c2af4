//! A second implementation, in another language and written from docs/protocol.md alone, checks the vectors and plays each
//! side against the machines that the programs run.

use crate::make::parties::{BOOT, MAC, claim, claim_key, console, device, root, uid};
use crate::make::{Given, hex, messages};
use crate::read::{Bench, peer};
use crate::{folder, parsed};
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::delivery::{self, Delivery, Order, Outcome};
use muster_protocol::discovery::{self, Discovery, Event};
use muster_protocol::id::Seq;
use muster_protocol::time::Millis;
use muster_protocol::wire::{self, Message, to_cbor};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Debian's, because its modules are only there.
const PYTHON: &str = "/usr/bin/python3";

fn check() -> Command {
    let mut command = Command::new(PYTHON);
    // No compiled files beside the sources.
    command.arg("-B").arg(folder().join("check.py"));
    command
}

#[test]
fn it_agrees_with_every_step_of_every_vector() {
    let output = check().arg(folder().join("1")).output().expect("python3 starts; scripts/setup installs it");
    let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{complaint}");
    let checked: usize = said.split(' ').next().and_then(|number| number.parse().ok()).expect("how many");
    let files = crate::committed().into_keys().filter(|name| name != "keys.json");
    let all: usize = files.map(|name| crate::vectors(&name).len()).sum();
    assert_eq!(checked, all + 1, "every vector, and the keys");
}

#[test]
fn it_notices_a_single_wrong_bit() {
    let copy = std::env::temp_dir().join(format!("muster-vectors-{}", std::process::id()));
    std::fs::create_dir_all(&copy).expect("made");
    for (name, bytes) in crate::committed() {
        let mut text = String::from_utf8(bytes).expect("text");
        if name == "config.json" {
            let nonce = parsed("config.json")["vectors"][2]["hpke"]["base_nonce"].as_str().expect("hex").to_owned();
            let last = if nonce.ends_with('0') { '1' } else { '0' };
            text = text.replace(&nonce, &format!("{}{last}", &nonce[..23]));
        }
        std::fs::write(copy.join(name), text).expect("written");
    }
    let output = check().arg(&copy).output().expect("python3 starts");
    std::fs::remove_dir_all(&copy).expect("removed");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && complaint.contains("base_nonce"), "{complaint}");
}

/// The script, playing one side.
struct Other {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Other {
    fn start(role: &str) -> Other {
        let mut command = check();
        let child = command.arg(role).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("python3 starts; scripts/setup installs it");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Other { child, input, output }
    }

    /// Says something; the answer, and the datagrams that it sends.
    fn tell(&mut self, said: &Value) -> (Value, Vec<Vec<u8>>) {
        writeln!(self.input, "{said}").expect("it listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("it failed: see above"));
        let hex = |text: &Value| {
            data_encoding::HEXLOWER.decode(text.as_str().expect("text").as_bytes()).expect("hexadecimal")
        };
        let sent = answer["send"].as_array().expect("a list").iter().map(hex).collect();
        (answer, sent)
    }

    fn give(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        self.tell(&json!({ "datagram": hex(datagram) })).1
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn only(mut datagrams: Vec<Vec<u8>>) -> Vec<u8> {
    assert_eq!(datagrams.len(), 1);
    datagrams.remove(0)
}

#[test]
fn as_a_console_it_configures_our_appliance() {
    let (mut theirs, mut ours) = (Other::start("--console"), Bench::new());
    for (seq, state) in [(7, "unconfigured"), (8, "configured")] {
        // Its limit of answers to one asker is a matter of time.
        ours.now = ours.now + 1_000;
        let ping = only(theirs.tell(&json!({ "ping": hex(&uid().0) })).1);
        let here = only(ours.give(&ping));
        let (_, sent) = theirs.tell(&json!({
            "datagram": hex(&here),
            "console_seed": hex(&console().seed()[..]),
            "root_seed": hex(&root().seed()[..]),
            "grant": hex(&messages::signed_grant(&messages::first_grant())),
            "label_code": claim().reveal(),
            "seq": seq,
        }));
        let provisional = only(ours.give(&only(sent)));
        let (_, kick) = theirs.tell(&json!({ "datagram": hex(&provisional) }));
        let committed = only(ours.give(&only(kick)));
        let (last, _) = theirs.tell(&json!({ "datagram": hex(&committed) }));
        assert_eq!(last["status"], json!([0, [true]]), "{state}");
    }
}

#[test]
fn as_an_appliance_it_is_discovered_and_configured_by_our_console() {
    let mut theirs = Other::start("--appliance");
    theirs.tell(&json!({ "begin": parsed("keys.json") }));
    let entropy = || Box::new(Given::new([]));
    let now = Millis(1_000);
    let mut discovery = Discovery::new(discovery::Config::default(), None, entropy());
    let mut heard = None;
    discovery.ping_one(now, uid());
    while let Some(output) = discovery.poll_output() {
        match output {
            discovery::Output::Transmit { bytes } => {
                let here = only(theirs.give(&bytes));
                discovery.handle_input(now, discovery::Input::Datagram { peer: peer(), bytes: &here });
            }
            discovery::Output::Notify(Event::Heard(answer)) => heard = Some(answer),
            discovery::Output::Notify(_) => {}
        }
    }
    let heard = heard.expect("it answers");
    assert_eq!((heard.uid, heard.mac, heard.boot), (uid(), MAC, BOOT));
    let grant = messages::first_grant();
    let order = Order {
        device_key: heard.device_key,
        mac: heard.mac,
        grant: sign::sign(&root(), Purpose::Grant, to_cbor(&grant)),
        seq: Seq(7),
        claim: Some(claim_key()),
        voucher: None,
        one_time_key: Some(heard.one_time_key),
    };
    assert_eq!(heard.device_key, device().public());
    let mut delivery = Delivery::new(now, order, &console(), entropy());
    let (mut outcome, mut packets) = (None, Vec::new());
    while let Some(output) = delivery.poll_output() {
        match output {
            delivery::Output::Persist { token, .. } => {
                delivery.handle_input(now, delivery::Input::Persisted(token), &console());
            }
            delivery::Output::Transmit { bytes, .. } => {
                let answer = only(theirs.give(&bytes));
                packets.push(bytes);
                let Ok(Message::Result(result)) = wire::decode(&answer) else { panic!("no result") };
                delivery.handle_input(now, delivery::Input::Packet(&result), &console());
            }
            delivery::Output::Done(done) => outcome = Some(done),
            delivery::Output::Progress(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(outcome, Some(Outcome::Configured));
    assert_eq!(packets.len(), 2, "a config packet and a kick-start");
    // A recording of both changes nothing: the packet is answered as what it was, the kick-start again.
    for packet in packets {
        assert_eq!(theirs.give(&packet).len(), 1);
    }
}
