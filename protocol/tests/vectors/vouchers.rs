//! What a vendor signs, the packets that bring it, and those that are refused for it.

use super::messages::{Packet, config_vector, first_grant, longest_grant};
use super::parties::{root, stranger, uid};
use super::{cose, hex, seed};
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::crypto::sign::Purpose;
use muster_protocol::id::{RequestId, Uid};
use muster_protocol::time::UnixTime;
use muster_protocol::voucher::Voucher;
use muster_protocol::wire::result::Reason;
use muster_protocol::wire::to_cbor;
use serde_json::{Value, json};

/// The vendor whose key the image names.
pub(crate) fn vendor() -> SecretKey {
    SecretKey::from_seed(&seed("vendor"))
}

fn voucher() -> Voucher {
    Voucher {
        uid: uid(),
        root: root().public(),
        vendor: vendor().public(),
        issued: UnixTime(1_780_000_000),
        expires: None,
    }
}

fn with_an_end() -> Voucher {
    Voucher { expires: Some(UnixTime(1_811_536_000)), ..voucher() }
}

fn longest() -> Voucher {
    Voucher { issued: UnixTime(u64::MAX - 1), expires: Some(UnixTime(u64::MAX)), ..voucher() }
}

/// Signed.
pub(crate) fn longest_vouched() -> Vec<u8> {
    longest().sign(&vendor())
}

fn packet(name: &'static str, voucher: Option<Vec<u8>>) -> Packet {
    let request = RequestId(*b"a vouched one...");
    Packet { name, grant: first_grant(), key: 0, claimed: false, request, voucher }
}

/// Three parts: statements; packets to an unconfigured appliance whose proof is a voucher; and packets that it refuses.
pub(crate) fn all() -> Vec<Value> {
    let named = [("without an end", voucher()), ("with an end", with_an_end()), ("the longest", longest())];
    let statements = named.map(|(name, voucher)| {
        let (_, steps) = cose(&vendor(), Purpose::Voucher, "muster/1 voucher", &to_cbor(&voucher));
        let meaning = json!({
            "uid": voucher.uid.to_string(), "root": hex(&voucher.root.0), "vendor": hex(&voucher.vendor.0),
            "issued": voucher.issued.0.to_string(), "expires": voucher.expires.map(|time| time.0.to_string()),
        });
        json!({ "part": "statement", "name": name, "meaning": meaning, "cose": steps })
    });
    let good = voucher().sign(&vendor());
    let longest_packet = Packet {
        grant: longest_grant(),
        request: RequestId([0xff; 16]),
        ..packet("the longest of all packets", Some(longest_vouched()))
    };
    let packets = [packet("to an unconfigured appliance, with a voucher", Some(good.clone())), longest_packet];
    let packets = packets.map(|packet| {
        let mut vector = config_vector(&packet);
        vector["part"] = json!("packet");
        vector["voucher"] = json!(packet.voucher.as_deref().map(hex));
        vector
    });
    let by_stranger = Voucher { vendor: stranger().public(), ..voucher() }.sign(&stranger());
    let for_another = Voucher { uid: Uid([5; 20]), ..voucher() }.sign(&vendor());
    let of_another_noc = Voucher { root: stranger().public(), ..voucher() }.sign(&vendor());
    let trailing = [&good[..], &[0]].concat();
    let refused = [
        ("without a voucher", None, None),
        ("a voucher by another vendor", Some(by_stranger), None),
        ("the vendor's name under another signature", Some(voucher().sign(&stranger())), None),
        ("a voucher for another appliance", Some(for_another), None),
        ("a voucher for another NOC", Some(of_another_noc), None),
        ("a voucher with a byte too many", Some(trailing), None),
        ("a voucher that has ended", Some(with_an_end().sign(&vendor())), Some(1_811_536_001_u64)),
    ];
    let refused = refused.map(|(name, voucher, time)| {
        let (datagram, _) = packet(name, voucher).build();
        let reason = Reason::VoucherRefused;
        json!({
            "part": "refused", "name": name, "known_time": time.map(|time| time.to_string()),
            "datagram": hex(&datagram), "reason": reason.code(), "reason_number": reason as u8,
        })
    });
    statements.into_iter().chain(packets).chain(refused).collect()
}
