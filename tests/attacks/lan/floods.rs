//! Too much of everything: pings, bytes, guesses.

use crate::bench::Bench;
use muster_agent::entropy::OsEntropy;
use muster_protocol::crypto::claim::ClaimKey;
use muster_protocol::crypto::random;
use muster_protocol::id::Seq;
use muster_protocol::wire::result::Status;
use muster_protocol::wire::{GROUP, PORT, to_cbor};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use system_tests::attacker::encodings::{bytes, map};
use system_tests::attacker::frame::{EVERYBODY, Mail, group_mac};
use system_tests::attacker::owner::{address, ask, deliver, order, question};
use system_tests::attacker::station::Way;

/// Sends `frame(n)` about `rate` times a second on a thread of its own, until dropped.
struct Flood {
    ended: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
    begun: Instant,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Flood {
    fn start(bench: &Bench, rate: u64, mut mail: impl FnMut(u64) -> Mail + Send + 'static) -> Flood {
        let send = bench.attacker.wire.sender();
        let (ended, sent, bytes) =
            (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (stop, count, volume) = (Arc::clone(&ended), Arc::clone(&sent), Arc::clone(&bytes));
        let begun = Instant::now();
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let due = begun.elapsed().as_millis() as u64 * rate / 1_000;
                while count.load(Ordering::Relaxed) < due {
                    let mail = mail(count.fetch_add(1, Ordering::Relaxed));
                    volume.fetch_add(mail.payload.len() as u64, Ordering::Relaxed);
                    send(&mail.frame());
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Flood { ended, sent, bytes, begun, thread: Some(thread) }
    }

    /// Datagrams and payload bytes sent, and the seconds that took.
    fn end(mut self) -> (u64, u64, f64) {
        self.stop();
        let seconds = self.begun.elapsed().as_secs_f64();
        (self.sent.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed), seconds)
    }

    fn stop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the flood");
        }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop();
    }
}

const FLOOD_PORT: u16 = 4_444;

/// To everybody, from any address of the family.
fn to_everybody(mac: [u8; 6], from: IpAddr, payload: Vec<u8>) -> Mail {
    let (to, target) = match from {
        IpAddr::V4(_) => (SocketAddr::from(([255; 4], PORT)), EVERYBODY),
        IpAddr::V6(_) => (SocketAddr::from((GROUP, PORT)), group_mac(GROUP)),
    };
    Mail { source: mac, target, from: SocketAddr::new(from, FLOOD_PORT), to, payload }
}

/// Answers and payload bytes that the appliance sent to the flood's port. By IPv4 one answer may be two datagrams, to the
/// asker and to everybody, as long as an appliance cannot know which of them arrives.
fn came_out(bench: &Bench, mark: usize) -> (u64, u64) {
    let mut mails = bench.attacker.wire.since(mark);
    mails.retain(|mail| mail.source == bench.subjects[0].mac.0 && mail.to.port() == FLOOD_PORT);
    let bytes = mails.iter().map(|mail| mail.payload.len() as u64).sum();
    let answers: BTreeSet<_> = mails.into_iter().map(|mail| mail.payload).collect();
    (answers.len() as u64, bytes)
}

#[test]
fn a_flood_of_pings_is_limited_and_the_owner_gets_through() {
    let bench = Bench::by_hand("lp", 1);
    let one = &bench.subjects[0];
    let (mac, uid) = (bench.attacker.wire.mac, one.uid);
    // One host, 2,000 a second, by both families from one address each.
    let addresses: [IpAddr; 2] = [[10, 20, 0, 66].into(), "fe80::66".parse().expect("an address")];
    let mark = bench.attacker.wire.mark();
    let flood = Flood::start(&bench, 2_000, move |n| {
        to_everybody(mac, addresses[n as usize % 2], question((n % 4 < 2).then_some(uid)).to_plain())
    });
    std::thread::sleep(Duration::from_secs(1));
    let begun = Instant::now();
    let here = ask(&bench.desk, one, Way::Six).or_else(|| ask(&bench.desk, one, Way::Four));
    let here = here.expect("the owner is answered in the middle of the flood");
    let waited = begun.elapsed();
    let sent = bench.owner.packet(one, &here, &bench.owner.grant(one, 1));
    assert_eq!(deliver(&bench.desk, &sent.bytes, &sent), Some(Status::Success { committed: false }), "in the flood");
    let (pings, ping_bytes, seconds) = flood.end();
    std::thread::sleep(Duration::from_millis(300));
    let (answers, answer_bytes) = came_out(&bench, mark);
    let allowed = 2.0 * (30.0 + 10.0 * (seconds + 1.0));
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    assert!(answers > 0 && (answers as f64) <= allowed, "{answers} answers to {pings} pings in {seconds} s");
    assert!(answer_bytes <= ping_bytes);
    assert_eq!(deliver(&bench.desk, &bench.owner.kick(&sent), &sent), Some(Status::Success { committed: true }));

    // The same from another invented address each time.
    let mark = bench.attacker.wire.mark();
    let flood = Flood::start(&bench, 2_000, move |_| {
        let [a, b, c, d]: [u16; 4] = random::<8>(&mut OsEntropy)
            .chunks(2)
            .map(|two| u16::from_be_bytes([two[0], two[1]]))
            .collect::<Vec<_>>()
            .try_into()
            .expect("four");
        to_everybody(mac, Ipv6Addr::new(0xfe80, 0, 0, 0, a, b, c, d).into(), question(None).to_plain())
    });
    std::thread::sleep(Duration::from_secs(2));
    let (pings, ping_bytes, seconds) = flood.end();
    let begun = Instant::now();
    ask(&bench.desk, one, Way::Six).expect("the owner is answered as soon as the flood is over");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let (answers, answer_bytes) = came_out(&bench, mark);
    let allowed = 200.0 + 100.0 * (seconds + 1.0);
    assert!(
        (answers as f64) <= allowed && answer_bytes <= ping_bytes,
        "{answers} answers to {pings} pings in {seconds} s"
    );
    bench.owner.configure(&bench.desk, one, 2);
}

#[test]
fn no_answer_is_longer_than_its_question() {
    let bench = Bench::by_hand("la", 1);
    let one = &bench.subjects[0];
    bench.owner.configure(&bench.desk, one, 1);
    // Also from outside its network, where it cannot know the way back.
    let sources: [IpAddr; 3] =
        [[10, 20, 0, 66].into(), [192, 0, 2, 66].into(), "fe80::66".parse().expect("an address")];
    let ping = |padding: usize| {
        let plain = bytes(&to_cbor(&question(Some(one.uid))));
        let body = map(&[(0, plain), (2, bytes(&vec![0; padding]))]);
        [b"MUST\x01\x01", &body[..]].concat()
    };
    let bare = [b"MUST\x01\x01", &map(&[(0, bytes(&to_cbor(&question(Some(one.uid)))))])[..]].concat();
    let here = ask(&bench.desk, one, Way::Six).expect("an answer");
    // The shortest datagrams that are read as a config packet, each of them refused.
    let junk = |length: usize| {
        let to = to_cbor(&address(one, here.one_time_key));
        let body = map(&[(0, to), (1, bytes(&[0; 32])), (2, bytes(&vec![0; length]))]);
        [b"MUST\x01\x03", &body[..]].concat()
    };
    let mut datagrams = vec![bare];
    datagrams.extend([0, 100, 140, 160, 180, 200, 300, 600].map(ping));
    datagrams.extend([0, 16, 60, 100, 200, 400].map(junk));
    let mut answered = [0; 2];
    for source in sources {
        for datagram in &datagrams {
            let mark = bench.attacker.wire.mark();
            bench.attacker.wire.send(&to_everybody(bench.attacker.wire.mac, source, datagram.clone()).frame());
            bench.answers(mark, one, FLOOD_PORT);
            let (count, length) = came_out(&bench, mark);
            let (kind, asked) = (datagram[5], datagram.len() as u64);
            assert!(length <= asked, "{length} bytes in {count} answers to {asked} of kind {kind} from {source}");
            answered[usize::from(kind == 3)] += count;
            // Not faster than the limits: silence must not be theirs.
            std::thread::sleep(Duration::from_millis(120));
        }
    }
    assert!(answered.iter().all(|count| *count >= 3), "each kind was answered by each way: {answered:?}");
    bench.owner.configure(&bench.desk, one, 2);
}

#[test]
fn what_was_recorded_does_not_amplify_either() {
    let bench = Bench::by_hand("lk", 1);
    let one = &bench.subjects[0];
    let sent = bench.owner.configure(&bench.desk, one, 1);
    let recorded = [("kick-start", bench.owner.kick(&sent)), ("config packet", sent.bytes.clone())];
    for (name, payload) in recorded {
        let mac = bench.attacker.wire.mac;
        let mark = bench.attacker.wire.mark();
        let copy = payload.clone();
        let flood = Flood::start(&bench, 500, move |_| {
            to_everybody(mac, "fe80::66".parse().expect("an address"), copy.clone())
        });
        std::thread::sleep(Duration::from_secs(2));
        let (came, came_bytes, seconds) = flood.end();
        std::thread::sleep(Duration::from_millis(300));
        let (answers, bytes) = came_out(&bench, mark);
        assert!(answers > 0 && bytes <= came_bytes, "{name}: {answers} answers, {bytes} of {came_bytes} bytes");
        // The answer to a kick-start is longer than the kick-start, so there are few of them.
        let allowed = if name == "kick-start" { 30.0 + 10.0 * (seconds + 1.0) } else { came as f64 };
        assert!((answers as f64) <= allowed, "{name}: {answers} answers in {seconds} s");
    }
    bench.owner.configure(&bench.desk, one, 2);
}

#[test]
fn claim_codes_are_guessed_ten_at_once_and_one_a_second_however_many_guess() {
    let bench = Bench::by_hand("lg", 1);
    let (owner, one) = (&bench.owner, &bench.subjects[0]);
    let here = ask(&bench.attacker.station, one, Way::Six).expect("anybody is answered");
    let guesses: Vec<Vec<u8>> = (0..300)
        .map(|_| {
            let claim = ClaimKey(random(&mut OsEntropy));
            let to = address(one, here.one_time_key);
            let order = order(&owner.signed(&owner.grant(one, 1)), &to);
            owner.seal(Some(&claim), here.device_key, Seq(1), &to, &order).bytes
        })
        .collect();
    let before = bench.picture(1);
    let (mac, total) = (bench.attacker.wire.mac, guesses.len());
    // From sixty-four addresses in turn, two hundred a second.
    let flood = Flood::start(&bench, 200, move |n| {
        let from = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, (n % 64) as u16);
        to_everybody(mac, from.into(), guesses[n as usize % total].clone())
    });
    std::thread::sleep(Duration::from_secs(6));
    let (tried, _, seconds) = flood.end();
    std::thread::sleep(Duration::from_millis(500));
    let opened = bench.times_logged(1, "\"not_opened\"");
    let refused = bench.times_logged(1, "\"too_many_attempts\"");
    assert!(opened >= 10, "the first are tried: {opened}");
    assert!(opened as f64 <= 10.0 + seconds + 1.0, "{opened} openings in {seconds} s");
    // Of what is refused, 20 at once and five a second are told and logged: a flood fills no log either. Were openings not
    // limited, all of these would be openings.
    let told = (opened + refused) as f64;
    let limit = 20.0 + 5.0 * seconds;
    assert!(tried as f64 > 2.0 * limit, "{tried} came in {seconds} s: more than may be told");
    assert!(told > limit / 2.0 && told <= limit + 5.0, "{tried} came, {opened} opened, {refused} refused");
    assert_eq!(bench.picture(1), before);

    // The owner waits for the next opening, as his console does.
    owner.configure(&bench.desk, one, 1);
}
