//! Messages in order, to be sent and to be spoiled.

use crate::keys::{KEYS, MAC, boot, uid};
use crate::rng::Seeded;
use muster_protocol::crypto::keys::SealKey;
use muster_protocol::id::{PingId, RequestId, Seq};
use muster_protocol::wire::config::PacketHash;
use muster_protocol::wire::here::{Here, Proof, SealedSettings, State};
use muster_protocol::wire::ping::{Ping, Shard, heard_hash};
use muster_protocol::wire::result::{ConfigResult, Status};

/// A ping for everybody, with a window.
pub fn ping(n: u8) -> Ping {
    Ping {
        id: PingId([n; 16]),
        window_ms: 100,
        salt: [n; 8],
        shard: Shard::default(),
        heard: Vec::new(),
        only: None,
        reply_key: None,
        credential: None,
    }
}

/// A ping with everything that a console may put into it.
pub fn full_ping(n: u8) -> Ping {
    let heard = heard_hash(&[n; 8], &muster_protocol::id::Uid([9; 20]));
    Ping {
        heard: heard[..4].to_vec(),
        reply_key: Some((KEYS.open)().public()),
        credential: Some(KEYS.credential.clone().into()),
        ..ping(n)
    }
}

/// An answer of the appliance.
pub fn here(one_time_key: SealKey, settings: bool) -> Here {
    let network = crate::keys::settings("host").validate().expect("valid");
    let sealed = SealedSettings::seal(&mut Seeded::new(4), &(KEYS.open)().public(), &uid(), &network);
    Here {
        ping: PingId([1; 16]),
        device_key: KEYS.device.public(),
        mac: MAC,
        state: if settings { State::Configured } else { State::Unconfigured },
        one_time_key,
        boot: boot(1),
        proof: Proof::Claim,
        settings: sealed.filter(|_| settings),
    }
}

/// A result of the appliance.
pub fn result(status: Status) -> ConfigResult {
    ConfigResult {
        uid: uid(),
        request: RequestId([1; 16]),
        packet: PacketHash([2; 32]),
        seq: Seq(3),
        boot: boot(1),
        status,
    }
}
