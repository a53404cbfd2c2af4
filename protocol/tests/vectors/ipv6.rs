//! IPv6 beside IPv4: grants and answers that have it, the longest packet of all, and grants that are malformed for it.

use super::hex;
use super::messages::{Packet, config_vector, configured_answer, first_grant, grant_vector, longest_grant, settings};
use super::vouchers::longest_voucher;
use muster_protocol::grant::Grant;
use muster_protocol::id::RequestId;
use muster_protocol::parameters::{Parameters, RawSettings};
use muster_protocol::wire::to_cbor;
use serde_json::{Value, json};

fn with(raw: RawSettings, of: Grant) -> Grant {
    let network = raw.validate().expect("good settings");
    Grant { parameters: Parameters { network, ..of.parameters }, ..of }
}

fn both() -> RawSettings {
    RawSettings { address6: "2001:db8:0:1::10/64".into(), gateway6: "2001:db8:0:1::1".into(), ..settings() }
}

fn longest() -> RawSettings {
    let last = "2001:db8:ffff:ffff:ffff:ffff:ffff:fffd";
    RawSettings {
        dns1: "2001:db8:ffff:ffff:ffff:ffff:ffff:fff1".into(),
        dns2: "2001:db8:ffff:ffff:ffff:ffff:ffff:fff2".into(),
        address6: format!("{last}/127"),
        gateway6: "2001:db8:ffff:ffff:ffff:ffff:ffff:fffc".into(),
        ..longest_grant().parameters.network.to_raw()
    }
}

/// Four parts: grants, the longest packet, an answer with settings, and the payloads of grants that are malformed.
pub(crate) fn all() -> Vec<Value> {
    let link_local = RawSettings {
        address6: "fd00:1:2:3::7/56".into(),
        gateway6: "fe80::1".into(),
        dns1: "2001:db8::53".into(),
        ..settings()
    };
    let without = RawSettings { gateway6: String::new(), ..both() };
    let grants = [
        ("IPv6 beside IPv4", with(both(), first_grant())),
        ("without an IPv6 gateway", with(without, first_grant())),
        ("a link-local gateway, and an IPv6 name server", with(link_local, first_grant())),
        ("the longest", with(longest(), longest_grant())),
    ];
    let statements = grants.map(|(name, grant)| marked("grant", grant_vector(name, &grant)));
    let packet = Packet {
        name: "the longest of all packets, with IPv6 and a voucher",
        grant: with(longest(), longest_grant()),
        key: 0,
        claimed: false,
        request: RequestId([0xff; 16]),
        voucher: Some(longest_voucher()),
    };
    let mut longest_packet = config_vector(&packet);
    longest_packet["voucher"] = json!(packet.voucher.as_deref().map(hex));
    let answer = configured_answer(
        "configured, settings with IPv6",
        "ephemeral key of the settings with IPv6",
        &both().validate().expect("good settings"),
    );
    statements
        .into_iter()
        .chain([marked("packet", longest_packet), marked("answer", answer)])
        .chain(malformed())
        .collect()
}

fn marked(part: &str, mut vector: Value) -> Value {
    vector["part"] = json!(part);
    vector
}

fn malformed() -> impl Iterator<Item = Value> {
    let good = to_cbor(&with(both(), first_grant()));
    let address = [&[0x14, 0x50][..], &[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x10]].concat();
    let prefix = vec![0x15, 0x18, 0x40];
    let gateway = [&[0x16, 0x50][..], &[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x01]].concat();
    let tail: Vec<u8> = [&address[..], &prefix, &gateway].concat();
    assert!(good.ends_with(&tail) && good[0] == 0xb7, "23 fields, and those of IPv6 at the end");
    let body = good[1..good.len() - tail.len()].to_vec();
    let ends = |bytes: &[u8], last: &[u8]| [&bytes[..bytes.len() - last.len()], last].concat();
    let elsewhere = [&[0x16, 0x50][..], &[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0x01]].concat();
    let own = [&[0x16][..], &address[1..]].concat();
    let cases: [(&str, Vec<Vec<u8>>); 9] = [
        ("an IPv6 address without its prefix", vec![address.clone()]),
        ("an IPv6 prefix without an address", vec![prefix.clone()]),
        ("an IPv6 gateway without an address", vec![gateway.clone()]),
        ("an IPv6 gateway outside the network", vec![address.clone(), prefix.clone(), elsewhere]),
        ("an IPv6 gateway that is the address itself", vec![address.clone(), prefix.clone(), own]),
        ("a link-local IPv6 address", vec![[&[0x14, 0x50, 0xfe, 0x80], &address[4..]].concat(), prefix.clone()]),
        ("the address of all routers", vec![ends(&address, &[0]), prefix.clone()]),
        ("an IPv6 prefix of 128 bits", vec![address.clone(), vec![0x15, 0x18, 0x80]]),
        ("an IPv6 address of 15 bytes", vec![[&[0x14, 0x4f], &address[3..]].concat(), prefix]),
    ];
    cases.into_iter().map(move |(name, fields)| {
        let header = 0xb4 + u8::try_from(fields.len()).expect("few");
        let payload = [&[header][..], &body, &fields.concat()].concat();
        json!({ "part": "malformed", "name": name, "payload": hex(&payload) })
    })
}
