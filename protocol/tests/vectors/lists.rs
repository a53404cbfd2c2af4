//! Time servers and search domains: grants that have them, a packet with the longest, and payloads of grants that are malformed for
//! them.

use super::hex;
use super::messages::{Packet, config_vector, first_grant, grant_vector, settings};
use muster_protocol::grant::Grant;
use muster_protocol::id::{RequestId, Seq};
use muster_protocol::parameters::{MAX_LIST, Parameters, RawSettings};
use muster_protocol::wire::to_cbor;
use serde_json::{Value, json};

fn with(ntp: &str, search_domains: &str) -> Grant {
    let raw = RawSettings { ntp: ntp.into(), search_domains: search_domains.into(), ..settings() };
    let grant = first_grant();
    let network = raw.validate().expect("good settings");
    Grant { parameters: Parameters { network, ..grant.parameters }, ..grant }
}

fn vector(name: &str, grant: &Grant) -> Value {
    let mut vector = grant_vector(name, grant);
    let network = &grant.parameters.network;
    let listed = |list: Vec<String>| if list.is_empty() { Value::Null } else { json!(list) };
    vector["part"] = json!("grant");
    vector["meaning"]["ntp"] = listed(network.ntp().iter().map(ToString::to_string).collect());
    vector["meaning"]["search_domains"] = listed(network.search_domains().to_vec());
    vector
}

fn of_length(letter: char, bytes: usize) -> String {
    // Labels have at most 63.
    let label = |length: usize| letter.to_string().repeat(length);
    [label(bytes / 3), label(bytes / 3 - 1), label(bytes - bytes / 3 * 2 - 1)].join(".")
}

/// Three parts: grants, the packet with the longest lists, and the payloads of grants that are malformed.
pub(crate) fn all() -> Vec<Value> {
    let grants = [
        ("a time server and a search domain", with("192.0.2.123", "lab.example.net")),
        (
            "every kind of time server, in an order of its own",
            with("ntp.example.net 2001:db8::7b 192.0.2.123", "example.org corp 1.168.192"),
        ),
        ("time servers only", with("ntp1 ntp2", "")),
        ("search domains only", with("", "example.org")),
        ("the longest", with(&of_length('t', MAX_LIST), &of_length('s', MAX_LIST))),
    ];
    let longest = Grant { seq: Seq(u64::MAX), ..grants[4].1.clone() };
    let packet = Packet {
        name: "the longest time server and search domain",
        grant: longest,
        key: 0,
        claimed: true,
        request: RequestId([0xff; 16]),
        voucher: None,
    };
    let mut longest = config_vector(&packet);
    longest["part"] = json!("packet");
    grants.iter().map(|(name, grant)| vector(name, grant)).chain([longest]).chain(malformed()).collect()
}

fn malformed() -> impl Iterator<Item = Value> {
    let good = to_cbor(&first_grant());
    let (fields, body) = (good[0] + 1, good[1..].to_vec());
    let text = |text: &str| match text.len() {
        length @ 0..24 => [&[0x60 + length as u8][..], text.as_bytes()].concat(),
        length => [&[0x78, length as u8][..], text.as_bytes()].concat(),
    };
    let array = |items: &[Vec<u8>]| [vec![0x80 + items.len() as u8], items.concat()].concat();
    let texts = |items: &[&str]| array(&items.iter().map(|item| text(item)).collect::<Vec<_>>());
    let (ntp, search) = (vec![0x17], vec![0x18, 0x18]);
    let mapped = [&[0x50][..], &[0; 10], &[0xff, 0xff, 192, 0, 2, 1]].concat();
    let cases = [
        ("no time server", &ntp, texts(&[])),
        ("four time servers", &ntp, texts(&["a", "b", "c", "d"])),
        ("a time server twice", &ntp, texts(&["a", "a"])),
        ("an address as a text", &ntp, texts(&["192.0.2.123"])),
        ("an IPv6 address as a text", &ntp, texts(&["2001:db8::7b"])),
        ("two time servers in a text", &ntp, texts(&["a b"])),
        ("a time server in capital letters", &ntp, texts(&["NTP"])),
        ("a time server whose domain is a number", &ntp, texts(&["ntp.1"])),
        ("a loopback address as a time server", &ntp, array(&[vec![0x1a, 127, 0, 0, 1]])),
        ("an IPv4 address in IPv6 form as a time server", &ntp, array(&[mapped])),
        ("the word for none", &ntp, texts(&["none"])),
        ("time servers of 129 bytes", &ntp, texts(&[&of_length('t', 65), &of_length('u', 63)].map(|t| &t[..]))),
        ("a text instead of an array", &ntp, text("a")),
        ("no search domain", &search, texts(&[])),
        ("four search domains", &search, texts(&["a", "b", "c", "d"])),
        ("a search domain twice", &search, texts(&["a", "a"])),
        ("a search domain that ends with a dot", &search, texts(&["a."])),
        ("a search domain that only routes", &search, texts(&["~a"])),
        ("search domains of 129 bytes", &search, texts(&[&of_length('t', 65), &of_length('u', 63)].map(|t| &t[..]))),
    ];
    cases
        .map(|(name, key, value)| {
            let payload = [&[fields][..], &body, key, &value].concat();
            json!({ "part": "malformed", "name": name, "payload": hex(&payload) })
        })
        .into_iter()
}
