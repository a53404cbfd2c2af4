//! What the attacker makes himself, from all that he has recorded and from keys of his own.

use crate::cast::{Cast, Mark, ask, mac, name};
use crate::packets::{Book, Config, Maker, PacketId, What};
use crate::rng::ModelRng;
use muster_protocol::crypto::claim::ClaimKey;
use muster_protocol::crypto::keys::{SealKey, SecretKey};
use muster_protocol::crypto::seal::ExportedKey;
use muster_protocol::id::{BootId, RequestId, Seq};
use muster_protocol::wire::config::{self, Address, PacketHash};
use muster_protocol::wire::kick::KickStart;
use muster_protocol::wire::result::{ConfigResult, Reason, Status};
use muster_protocol::wire::{self, Message, from_cbor};
use std::collections::HashMap;

/// One thing to make. Equal recipes make equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Recipe {
    /// A ping to `unit`.
    Ping { unit: usize },
    /// A config packet for `unit`, sealed to its one-time key.
    Order { unit: usize, key: SealKey, grant: Stolen, mode: Mode },
    /// A grant with the answer to a beat, from somebody who has the NOC's TLS key and not its root.
    ByBeat { unit: usize, grant: Stolen },
    /// A recorded config packet, addressed to `unit` and this key, with the same or another request id.
    Redirected { packet: PacketId, unit: usize, key: SealKey, same_request: bool },
    /// A recorded config packet with one byte changed.
    Spoiled { packet: PacketId },
    /// A kick-start of his own for a recorded config packet.
    Kick { packet: PacketId },
    /// A recorded kick-start, addressed to `unit`.
    RedirectedKick { packet: PacketId, unit: usize },
    /// A result for a recorded config packet: SUCCESS or FAILED, with a tag of his own or none.
    Lie { packet: PacketId, success: bool, tagged: bool },
}

/// Which grant he uses, and whose signature is around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stolen {
    /// Signed by himself, sent by himself.
    Own,
    /// Signed by the NOC for this appliance and its console, sent by himself.
    Grant { seq: u64 },
    /// Signed by the NOC for `of`, and sent by the console itself: as if he could have the console send a grant that is
    /// old, or for another appliance.
    Misdirected { of: usize, seq: u64 },
    /// Given by the NOC itself to `of`, and sent by the console itself.
    Given { of: usize, seq: u64 },
}

/// How it is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    /// Without a claim key.
    Base,
    /// With the claim key he guesses; the right one in what the console sends.
    Claim,
    /// Without one, and with the vendor's voucher for this appliance.
    Voucher(usize),
    /// Without one, and with a voucher of his own.
    OwnVoucher,
}

/// What was made already.
#[derive(Default)]
pub(crate) struct Workshop {
    made: HashMap<Recipe, Option<PacketId>>,
}

/// What he works with.
pub(crate) struct Loot<'a> {
    /// The appliance he attacks.
    pub(crate) unit: usize,
    /// Its one-time keys.
    pub(crate) keys: &'a [SealKey],
    /// Config packets and kick-starts of the console.
    pub(crate) recorded: &'a [PacketId],
    /// How many grants the NOC has signed for each appliance.
    pub(crate) grants: [u64; 2],
    /// The newest grant this appliance has applied.
    pub(crate) newest: u64,
    /// It follows the NOC.
    pub(crate) is_owned: bool,
}

impl Workshop {
    /// Everything he can make for one appliance.
    pub(crate) fn for_appliance(&mut self, cast: &Cast, book: &mut Book, loot: &Loot<'_>) -> Vec<PacketId> {
        let unit = loot.unit;
        let other = 1 - unit;
        let mut recipes = Vec::new();
        let given: Vec<Mark> = loot.recorded.iter().filter_map(|packet| book.given(*packet)).collect();
        // What the NOC gave itself it never signed for a console.
        let is_for_console = |of: usize, seq: &u64| !given.iter().any(|mark| (mark.unit, mark.seq) == (of, *seq));
        let signed = |of: usize, most: u64| (1..=most).rev().filter(move |seq| is_for_console(of, seq));
        let newest = signed(unit, loot.grants[unit]).next();
        for key in loot.keys.iter().copied() {
            let mut grants = vec![Stolen::Own];
            grants.extend(newest.map(|seq| Stolen::Grant { seq }));
            grants.extend(signed(unit, loot.newest).take(2).map(|seq| Stolen::Misdirected { of: unit, seq }));
            grants.extend(signed(other, loot.grants[other]).take(1).map(|seq| Stolen::Misdirected { of: other, seq }));
            grants.extend(given.iter().map(|mark| Stolen::Given { of: mark.unit, seq: mark.seq }));
            let modes: &[Mode] = match cast.is_vouched() {
                false => &[Mode::Base, Mode::Claim],
                true => &[Mode::Base, Mode::Voucher(0), Mode::Voucher(1), Mode::OwnVoucher],
            };
            for grant in grants {
                recipes.extend(modes.iter().map(|mode| Recipe::Order { unit, key, grant, mode: *mode }));
            }
            // As if the console itself sent what is right but for the voucher.
            if let (Some(seq), true, false) = (newest, cast.is_vouched(), loot.is_owned) {
                let grant = Stolen::Misdirected { of: unit, seq };
                let wrong = [Mode::Base, Mode::Voucher(other), Mode::OwnVoucher];
                recipes.extend(wrong.map(|mode| Recipe::Order { unit, key, grant, mode }));
            }
            for packet in loot.recorded.iter().copied().filter(|packet| book.config(*packet).is_some()) {
                let again = [true, false];
                recipes.extend(again.map(|same_request| Recipe::Redirected { packet, unit, key, same_request }));
            }
        }
        if !given.is_empty() {
            let others = given.iter().filter(|mark| mark.unit == other);
            recipes.push(Recipe::ByBeat { unit, grant: Stolen::Own });
            recipes.extend(newest.map(|seq| Recipe::ByBeat { unit, grant: Stolen::Grant { seq } }));
            recipes.extend(
                others
                    .map(|mark| Stolen::Given { of: other, seq: mark.seq })
                    .map(|grant| Recipe::ByBeat { unit, grant }),
            );
        }
        for packet in loot.recorded.iter().copied() {
            if let Some(config) = book.config(packet) {
                if config.to == unit {
                    recipes.extend([Recipe::Spoiled { packet }, Recipe::Kick { packet }]);
                }
            } else if matches!(book.get(packet).what, What::Kick { .. }) {
                recipes.push(Recipe::RedirectedKick { packet, unit });
            }
        }
        recipes.into_iter().filter_map(|recipe| self.make(cast, book, recipe)).collect()
    }

    /// His own ping.
    pub(crate) fn ping(&mut self, cast: &Cast, book: &mut Book, unit: usize) -> PacketId {
        self.make(cast, book, Recipe::Ping { unit }).expect("a ping needs nothing")
    }

    /// Everything he can tell the console about one of its config packets.
    pub(crate) fn for_console(&mut self, cast: &Cast, book: &mut Book, packet: PacketId) -> Vec<PacketId> {
        let lies = [(true, true), (true, false), (false, true), (false, false)];
        lies.into_iter()
            .filter_map(|(success, tagged)| self.make(cast, book, Recipe::Lie { packet, success, tagged }))
            .collect()
    }

    fn make(&mut self, cast: &Cast, book: &mut Book, recipe: Recipe) -> Option<PacketId> {
        if let Some(made) = self.made.get(&recipe) {
            return *made;
        }
        let made = make(cast, book, recipe);
        self.made.insert(recipe, made);
        made
    }
}

fn make(cast: &Cast, book: &mut Book, recipe: Recipe) -> Option<PacketId> {
    let mut rng = ModelRng::new(&format!("attacker {recipe:?}"), 0);
    match recipe {
        Recipe::Ping { unit } => {
            let ping = ask(cast.uid(unit), HIS_PING);
            Some(book.enter(ping.to_plain(), || What::Ping { unit, number: HIS_PING }))
        }
        Recipe::Order { unit, key, grant, mode } => order(cast, book, &mut rng, unit, key, grant, mode),
        Recipe::ByBeat { unit, grant } => {
            let (signed, grant) = match grant {
                Stolen::Own => (cast.thief_given(unit, OWN_SEQ), Mark { unit, seq: OWN_SEQ, by_noc: false }),
                Stolen::Grant { seq } => (cast.noc_grant(unit, seq), Mark { unit, seq, by_noc: true }),
                Stolen::Misdirected { of, seq } => (cast.noc_grant(of, seq), Mark { unit: of, seq, by_noc: true }),
                Stolen::Given { of, seq } => (cast.given_grant(of, seq), Mark { unit: of, seq, by_noc: true }),
            };
            let by = Maker::Attacker("that is not for it");
            Some(book.enter(signed, || What::Given { by, grant }))
        }
        Recipe::Redirected { packet, unit, key, same_request } => {
            let config = book.config(packet)?.clone();
            if config.key == key && same_request {
                return None;
            }
            let Ok(Message::Config(mut sent)) = wire::decode(&book.get(packet).bytes) else { return None };
            (sent.to.uid, sent.to.mac, sent.to.one_time_key) = (cast.uid(unit), mac(unit), key);
            if !same_request {
                sent.to.request = request(&mut rng);
            }
            let by = Maker::Attacker("a recorded packet, addressed anew");
            let what = Config { by, grant: config.grant, to: unit, key, request: sent.to.request };
            Some(book.enter(wire::encode(&Message::Config(sent)), || What::Config(what)))
        }
        Recipe::Spoiled { packet } => {
            let config = book.config(packet)?.clone();
            let mut bytes = book.get(packet).bytes.to_vec();
            *bytes.last_mut()? ^= 1;
            let what = Config { by: Maker::Attacker("a recorded packet with one bit changed"), ..config };
            Some(book.enter(bytes, || What::Config(what)))
        }
        Recipe::Kick { packet } => {
            let config = book.config(packet)?.clone();
            let kick = KickStart { uid: cast.uid(config.to), request: config.request, seq: Seq(config.grant.seq) };
            let bytes = kick.to_datagram(&cast.thief_console, &exported(&mut rng)?);
            let what = What::Kick { by: Maker::Attacker("his own"), request: config.request, of: of(&config) };
            Some(book.enter(bytes, || what))
        }
        Recipe::RedirectedKick { packet, unit } => {
            let What::Kick { request, of, .. } = &book.get(packet).what else { return None };
            let what =
                What::Kick { by: Maker::Attacker("a recorded one, addressed anew"), request: *request, of: of.clone() };
            let Ok(Message::KickStart(mut kick)) = wire::decode(&book.get(packet).bytes) else { return None };
            if kick.uid == cast.uid(unit) {
                return None;
            }
            kick.uid = cast.uid(unit);
            Some(book.enter(wire::encode(&Message::KickStart(kick)), || what))
        }
        Recipe::Lie { packet, success, tagged } => {
            let config = book.config(packet)?.clone();
            let status = if success {
                Status::Success { committed: true }
            } else {
                Status::Failed { reason: Reason::ApplyFailed, detail: None, next_key: None }
            };
            let result = ConfigResult {
                uid: cast.uid(config.to),
                request: config.request,
                packet: PacketHash::of(&book.get(packet).bytes),
                seq: Seq(config.grant.seq),
                boot: BootId([0; 16]),
                status,
            };
            let exported = exported(&mut rng)?;
            let bytes = result.to_datagram(&cast.thief_device, tagged.then_some(&exported));
            let text = if success { "a forged SUCCESS" } else { "a forged FAILED" };
            Some(book.enter(bytes, || What::Lie { text }))
        }
    }
}

fn order(
    cast: &Cast,
    book: &mut Book,
    rng: &mut ModelRng,
    unit: usize,
    key: SealKey,
    grant: Stolen,
    mode: Mode,
) -> Option<PacketId> {
    let request = request(rng);
    let (thief, console): (&SecretKey, &SecretKey) = (&cast.thief_console, &cast.console);
    let (signed, mark, signer, how) = match grant {
        Stolen::Own => {
            let mark = Mark { unit, seq: OWN_SEQ, by_noc: false };
            (cast.thief_grant(unit, OWN_SEQ), mark, thief, "a grant of his own")
        }
        Stolen::Grant { seq } => {
            let mark = Mark { unit, seq, by_noc: true };
            (cast.noc_grant(unit, seq), mark, thief, "a grant that is not for his console")
        }
        Stolen::Misdirected { of, seq } => {
            let mark = Mark { unit: of, seq, by_noc: true };
            (cast.noc_grant(of, seq), mark, console, "the console made to send a wrong grant")
        }
        Stolen::Given { of, seq } => {
            let mark = Mark { unit: of, seq, by_noc: true };
            (cast.given_grant(of, seq), mark, console, "the console made to send what the NOC gives itself")
        }
    };
    let claim: Option<&ClaimKey> = match (mode, grant) {
        (Mode::Base | Mode::Voucher(_) | Mode::OwnVoucher, _) => None,
        (Mode::Claim, Stolen::Misdirected { .. } | Stolen::Given { .. }) => Some(&cast.claims[unit]),
        (Mode::Claim, _) => Some(&cast.guesses[unit]),
    };
    let to = Address { uid: cast.uid(unit), mac: mac(unit), one_time_key: key, request };
    let voucher = match mode {
        Mode::Base | Mode::Claim => None,
        Mode::Voucher(of) => cast.voucher(of),
        Mode::OwnVoucher => Some(cast.thief_voucher(unit)),
    };
    let (bytes, _) = match voucher {
        Some(voucher) => config::build_with_voucher(rng, signer, &voucher, to, &signed),
        None => config::build(rng, signer, claim, to, &signed),
    }
    .ok()?;
    let what = Config { by: Maker::Attacker(how), grant: mark, to: unit, key, request };
    Some(book.enter(bytes, || What::Config(what)))
}

/// The number of his pings.
const HIS_PING: u8 = u8::MAX;

/// Above every number of the NOC.
const OWN_SEQ: u64 = 99;

fn request(rng: &mut ModelRng) -> RequestId {
    RequestId(muster_protocol::crypto::random(rng))
}

/// A key that he hopes is the exported one.
fn exported(rng: &mut ModelRng) -> Option<ExportedKey> {
    let bytes: [u8; 32] = muster_protocol::crypto::random(rng);
    // As the machines store it: a byte string.
    let mut stored = vec![0x58, 32];
    stored.extend(bytes);
    from_cbor(&stored).ok()
}

fn of(config: &Config) -> String {
    format!("of {} for grant {}", name(config.to), config.grant.seq)
}
