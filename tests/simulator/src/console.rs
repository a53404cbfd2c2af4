//! A console: the real discovery and deliveries, and a driver that does what the engine does (`console/src/jobs.rs`,
//! `console/src/engine/lan.rs`).

mod store;

use crate::lan;
use crate::ledger::{Built, Invariant};
use crate::noc::{Answer, Granted, Report, Request};
use crate::plan::{Fault, Sabotage};
use crate::queue::{Event, Node};
use crate::random::Stream;
use crate::world::Io;
use muster_protocol::crypto::keys::{PublicKey, SealKey, SecretKey};
use muster_protocol::delivery::{self, Delivery, Order, Outcome, Wants};
use muster_protocol::discovery::{self, Discovery, Heard, Signer};
use muster_protocol::id::{Mac, Seq};
use muster_protocol::parameters::NetworkSettings;
use muster_protocol::time::Millis;
use muster_protocol::wire::config::PacketHash;
use muster_protocol::wire::{self, Message, Peer};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use store::{Batch, Change, Disk, Item, StoredGrant};

/// An appliance keeps a one-time key for 120 s; one that is nearly over is not used any more.
const KEY_AGE_MS: u64 = 90_000;
/// After the disk was full, or the NOC not reachable.
const AGAIN_MS: u64 = 2_000;

/// One console.
pub(crate) struct Host {
    number: usize,
    key: SecretKey,
    credential: Vec<u8>,
    entropy: Stream,
    disk: Disk,
    skew: i64,
    run: u32,
    running: Option<Running>,
    wake: Option<Millis>,
}

struct Running {
    discovery: Discovery,
    /// Appliances that were heard: where, and who they are.
    roster: BTreeMap<usize, (Peer, PublicKey, Mac)>,
    keys: BTreeMap<usize, (SealKey, Wants, Millis)>,
    items: BTreeMap<usize, Item>,
    ungranted: VecDeque<usize>,
    ready: VecDeque<usize>,
    active: BTreeMap<usize, Delivery>,
    /// The number that each delivery has sent.
    sent: BTreeMap<usize, Seq>,
    asked: Vec<usize>,
    batch: Batch,
    saving: Option<Batch>,
    is_reporting: bool,
    store_again: Option<Millis>,
    grants_again: Option<Millis>,
    report_again: Option<Millis>,
    /// The discovery that was started last has ended.
    is_found: bool,
}

impl Host {
    pub(crate) fn new(number: usize, entropy: &mut Stream) -> Host {
        Host {
            number,
            key: SecretKey::generate(entropy),
            credential: Vec::new(),
            entropy: entropy.fork(),
            disk: Disk::default(),
            skew: 0,
            run: 0,
            running: None,
            wake: None,
        }
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.key.public()
    }

    /// For the sabotage that gives it away, and for an insider.
    pub(crate) fn secret(&self) -> SecretKey {
        self.key.clone()
    }

    pub(crate) fn enrol(&mut self, credential: Vec<u8>) {
        self.credential = credential;
    }

    fn local(&self, io: &Io) -> Millis {
        Millis(io.now.0.saturating_add_signed(self.skew))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.running.is_some()
    }

    /// Nothing is left to do for the operator, on the disk or for the NOC.
    pub(crate) fn is_idle(&self) -> bool {
        let running = self.running.as_ref();
        self.disk.items.is_empty()
            && self.disk.reports.is_empty()
            && running.is_some_and(|running| running.items.is_empty() && running.batch.is_empty())
    }

    /// How many appliances it has heard, once the discovery that was started last has ended.
    pub(crate) fn found(&self) -> Option<usize> {
        self.running.as_ref().filter(|running| running.is_found).map(|running| running.roster.len())
    }

    /// Appliances that were heard and are in no job.
    pub(crate) fn free(&self) -> Vec<usize> {
        let Some(running) = &self.running else { return Vec::new() };
        let is_free = |appliance: &usize| {
            // One whose end is not on disk yet is still in its job.
            let ending = running.batch.ends(*appliance) || running.saving.as_ref().is_some_and(|b| b.ends(*appliance));
            !running.items.contains_key(appliance) && !ending
        };
        running.roster.keys().copied().filter(is_free).collect()
    }

    pub(crate) fn power_on(&mut self, io: &mut Io) {
        if self.running.is_some() {
            return;
        }
        self.run += 1;
        self.skew = io.dice.below(100_000) as i64 - io.now.0 as i64;
        if io.sabotage == Some(Sabotage::ForgetsJobs) {
            self.disk.items.clear();
        }
        io.ledger.console_started(io.now, self.number, |appliance| self.disk.items.contains_key(&appliance));
        let signer = Signer { key: self.key.clone(), credential: self.credential.clone() };
        let signer = Some(signer).filter(|_| io.plan.signed_pings);
        let discovery = Discovery::new(discovery::Config::default(), signer, self.entropy.entropy());
        let items = self.disk.items.clone();
        let (mut ready, mut ungranted) = (VecDeque::new(), VecDeque::new());
        for (appliance, item) in &items {
            match (&item.grant, &item.saved) {
                (Some(_), Some(_)) => ready.push_front(*appliance),
                (Some(_), None) => ready.push_back(*appliance),
                (None, _) => ungranted.push_back(*appliance),
            }
        }
        log!(io, "console {} starts with {} appliances in jobs", self.number, items.len());
        self.running = Some(Running {
            discovery,
            roster: BTreeMap::new(),
            keys: BTreeMap::new(),
            items,
            ungranted,
            ready,
            active: BTreeMap::new(),
            sent: BTreeMap::new(),
            asked: Vec::new(),
            batch: Batch::default(),
            saving: None,
            is_reporting: false,
            store_again: None,
            grants_again: None,
            report_again: None,
            is_found: false,
        });
        self.work(io);
    }

    pub(crate) fn power_cut(&mut self, io: &mut Io) {
        let Some(running) = self.running.take() else { return };
        if let Some(batch) = running.saving
            && io.dice.chance(500)
        {
            // Its transaction was on disk, and nobody was told.
            self.disk.apply(io, self.number, batch);
        }
        (self.wake, self.run) = (None, self.run + 1);
        log!(io, "console {} is gone", self.number);
        let off = io.dice.between(500, 60_000);
        io.queue.push(io.now + off, Event::PowerOn(Node::Console(self.number)));
    }

    pub(crate) fn jump(&mut self, io: &mut Io, ms: i64) {
        self.skew += ms;
        log!(io, "the clock of console {} jumps by {ms} ms", self.number);
        self.wake = None;
        self.work(io);
    }

    pub(crate) fn discover(&mut self, io: &mut Io) {
        let now = self.local(io);
        if let Some(running) = &mut self.running {
            running.is_found = false;
            running.discovery.start(now);
        }
        self.work(io);
    }

    /// Begins a job. It is on disk when this returns.
    pub(crate) fn configure(&mut self, io: &mut Io, wanted: Vec<(usize, NetworkSettings)>) {
        let Some(running) = &mut self.running else { return };
        for (appliance, settings) in wanted {
            let Some((_, device_key, mac)) = running.roster.get(&appliance).copied() else { continue };
            if running.items.contains_key(&appliance) {
                continue;
            }
            log!(io, "console {}: appliance {appliance} shall have {}", self.number, settings.address());
            let item = Item { settings, device_key, mac, grant: None, grants: 0, saved: None };
            self.disk.items.insert(appliance, item.clone());
            running.items.insert(appliance, item);
            running.ungranted.push_back(appliance);
            io.ledger.job(self.number, appliance, true);
        }
        self.work(io);
    }

    /// Stops what has not begun.
    pub(crate) fn cancel(&mut self, io: &mut Io) {
        let now = self.local(io);
        let Some(running) = &mut self.running else { return };
        let open: Vec<usize> = running.items.keys().copied().collect();
        log!(io, "console {} cancels", self.number);
        for appliance in open {
            let Some(running) = &mut self.running else { return };
            if let Some(delivery) = running.active.get_mut(&appliance) {
                delivery.handle_input(now, delivery::Input::Cancel, &self.key);
                self.drain(io, appliance);
            } else if running.items.get(&appliance).is_some_and(|item| item.saved.is_none()) {
                self.end(io, appliance, Outcome::Cancelled);
            }
        }
        self.work(io);
    }

    pub(crate) fn datagram(&mut self, io: &mut Io, peer: Peer, bytes: &[u8]) {
        let now = self.local(io);
        let Some(running) = &mut self.running else { return };
        log!(io, "console {} <- {} of {} from {}", self.number, lan::kind(bytes), bytes.len(), peer.address.ip());
        match wire::decode(bytes) {
            Ok(Message::Here(packet)) => {
                running.discovery.handle_input(now, discovery::Input::Here { peer, packet: &packet });
            }
            Ok(Message::Result(packet)) => {
                let appliance = packet.claimed_uid().and_then(|uid| io.number_of(&uid));
                if let Some((appliance, delivery)) =
                    appliance.and_then(|number| running.active.get_mut(&number).map(|delivery| (number, delivery)))
                {
                    delivery.handle_input(now, delivery::Input::Packet(&packet), &self.key);
                    self.drain(io, appliance);
                }
            }
            _ => return,
        }
        self.work(io);
    }

    pub(crate) fn wants_wake(&mut self, io: &Io) -> bool {
        let wanted = self.wake == Some(io.now);
        if wanted {
            self.wake = None;
        }
        wanted
    }

    /// Everything that is due, and everything that follows from it.
    pub(crate) fn work(&mut self, io: &mut Io) {
        let now = self.local(io);
        let Some(running) = &mut self.running else { return };
        running.discovery.handle_timeout(now);
        let due = running.active.iter().filter(|(_, delivery)| delivery.poll_timeout().is_some_and(|at| at <= now));
        for appliance in due.map(|(appliance, _)| *appliance).collect::<Vec<_>>() {
            if let Some(delivery) = self.running.as_mut().and_then(|running| running.active.get_mut(&appliance)) {
                delivery.handle_timeout(now, &self.key);
                self.drain(io, appliance);
            }
        }
        self.drain_discovery(io);
        self.begin(io);
        self.drain_discovery(io);
        self.fetch_grants(io);
        self.save(io);
        self.report(io);
        self.set_wake(io);
    }

    fn set_wake(&mut self, io: &mut Io) {
        let now = self.local(io);
        let Some(running) = &self.running else { return };
        let deliveries = running.active.values().filter_map(Delivery::poll_timeout);
        let own = [running.store_again, running.grants_again, running.report_again].into_iter().flatten();
        let due = deliveries.chain(running.discovery.poll_timeout()).chain(own).min();
        let Some(at) = due.map(|due| io.now + due.since(now).max(1)) else { return };
        if self.wake.is_none_or(|wake| wake > at) {
            self.wake = Some(at);
            io.queue.push(at, Event::Wake(Node::Console(self.number)));
        }
    }

    fn drain_discovery(&mut self, io: &mut Io) {
        while let Some(output) = self.running.as_mut().and_then(|running| running.discovery.poll_output()) {
            match output {
                discovery::Output::Transmit { bytes } => {
                    log!(io, "console {} -> ping of {} to all", self.number, bytes.len());
                    let from = lan::peer(lan::console_address(self.number));
                    lan::send_everywhere(io, Node::Console(self.number), from, &Rc::from(bytes));
                }
                discovery::Output::Notify(discovery::Event::Heard(heard)) => self.heard(io, &heard),
                discovery::Output::Notify(event) => {
                    log!(io, "console {}: {event:?}", self.number);
                    if let (discovery::Event::Finished { .. }, Some(running)) = (event, &mut self.running) {
                        running.is_found = true;
                    }
                }
            }
        }
    }

    fn heard(&mut self, io: &mut Io, heard: &Heard) {
        // Others show as unclaimed, and nobody types a label code for them.
        let Some(appliance) = io.number_of(&heard.uid) else { return };
        let now = self.local(io);
        let Some(running) = &mut self.running else { return };
        log!(io, "console {} hears appliance {appliance}: {:?}", self.number, heard.state);
        running.roster.insert(appliance, (heard.peer, heard.device_key, heard.mac));
        let wants = Wants::of(heard.state, heard.proof);
        running.keys.insert(appliance, (heard.one_time_key, wants, now));
        if let Some(delivery) = running.active.get_mut(&appliance) {
            let Heard { one_time_key, boot, state, proof, .. } = *heard;
            delivery.handle_input(now, delivery::Input::Heard { one_time_key, boot, state, proof }, &self.key);
            self.drain(io, appliance);
        }
    }

    fn begin(&mut self, io: &mut Io) {
        let now = self.local(io);
        while let Some(running) = &mut self.running {
            let Some(appliance) = running.ready.pop_front() else { return };
            if running.active.contains_key(&appliance) {
                continue;
            }
            let Some(item) = running.items.get(&appliance).cloned() else { continue };
            let Some(grant) = item.grant else { continue };
            let heard = running.keys.remove(&appliance).filter(|(_, _, at)| now.since(*at) < KEY_AGE_MS);
            let mut order = Order {
                device_key: item.device_key,
                mac: item.mac,
                grant: grant.signed,
                seq: grant.seq,
                claim: grant.claim,
                voucher: grant.voucher,
                one_time_key: heard.map(|(key, _, _)| key),
            };
            if let Some((_, wants, _)) = heard {
                order.keep(wants);
            }
            let entropy = self.entropy.entropy();
            let delivery = match item.saved {
                Some(saved) => match Delivery::resume(now, order, &saved, entropy) {
                    Ok(delivery) => delivery,
                    Err(_) => {
                        let detail = format!("console {} cannot resume appliance {appliance}", self.number);
                        return io.fail(Invariant::Starts, detail);
                    }
                },
                None => Delivery::new(now, order, &self.key, entropy),
            };
            running.active.insert(appliance, delivery);
            self.drain(io, appliance);
        }
    }

    /// Does what a delivery puts out.
    fn drain(&mut self, io: &mut Io, appliance: usize) {
        let now = self.local(io);
        while let Some(running) = &mut self.running {
            let Some(delivery) = running.active.get_mut(&appliance) else { return };
            let Some(output) = delivery.poll_output() else { return };
            match output {
                delivery::Output::Persist { token, bytes } => {
                    if let Some(item) = running.items.get_mut(&appliance) {
                        item.saved = Some(bytes.clone());
                    }
                    running.batch.changes.push(Change::Saved { appliance, bytes });
                    if io.sabotage == Some(Sabotage::SendsBeforeStored) {
                        delivery.handle_input(now, delivery::Input::Persisted(token), &self.key);
                    } else {
                        running.batch.tokens.push((appliance, token));
                    }
                }
                delivery::Output::Transmit { bytes, everywhere } => self.transmit(io, appliance, bytes, everywhere),
                delivery::Output::AskKey => {
                    if let Some(uid) = io.uids.get(appliance) {
                        running.discovery.ping_one(now, *uid);
                    }
                }
                delivery::Output::AskGrant => running.ungranted.push_front(appliance),
                delivery::Output::Progress(progress) => {
                    log!(io, "console {}: appliance {appliance}: {progress:?}", self.number);
                    if progress == delivery::Progress::KickStarting
                        && io.sabotage == Some(Sabotage::BelievesProvisional)
                        && let Some(seq) = running.sent.get(&appliance)
                    {
                        io.ledger.told_configured(io.now, self.number, appliance, *seq);
                    }
                }
                delivery::Output::Done(outcome) => self.end(io, appliance, outcome),
            }
        }
    }

    fn transmit(&mut self, io: &mut Io, appliance: usize, bytes: Vec<u8>, everywhere: bool) {
        let Some(running) = &mut self.running else { return };
        match bytes.get(5) {
            Some(3) => {
                let hash = PacketHash::of(&bytes);
                let sent = io.ledger.sent(hash);
                if sent.is_none() {
                    self.disk.check_stored(io, self.number, appliance, &bytes);
                }
                let granted = running.items.get(&appliance).and_then(|item| item.grant.as_ref()).map(|grant| grant.seq);
                if let Some(seq) = sent.or(granted) {
                    running.sent.insert(appliance, seq);
                    if sent.is_none()
                        && let Ok(Message::Config(packet)) = wire::decode(&bytes)
                    {
                        let built = Built { console: self.number, appliance, key: packet.to.one_time_key, seq };
                        io.ledger.built(hash, built);
                    }
                }
            }
            _ => {
                if let Some(seq) = running.sent.get(&appliance) {
                    io.ledger.kicked(appliance, *seq);
                }
            }
        }
        let from = lan::peer(lan::console_address(self.number));
        let peer = running.roster.get(&appliance).map(|(peer, _, _)| *peer);
        let bytes: Rc<[u8]> = Rc::from(bytes);
        log!(io, "console {} -> {} of {} to appliance {appliance}", self.number, lan::kind(&bytes), bytes.len());
        if let Some(peer) = peer {
            lan::send(io, Node::Console(self.number), from, peer.address, &bytes);
        }
        if everywhere || peer.is_none() {
            lan::send_everywhere(io, Node::Console(self.number), from, &bytes);
        }
    }

    fn end(&mut self, io: &mut Io, appliance: usize, outcome: Outcome) {
        let Some(running) = &mut self.running else { return };
        log!(io, "console {}: appliance {appliance} ends: {outcome:?}", self.number);
        running.active.remove(&appliance);
        let Some(item) = running.items.remove(&appliance) else { return };
        let grants = item.grants;
        let was_sent = running.sent.remove(&appliance).is_some();
        let seq = item.grant.map(|grant| grant.seq);
        let report = |configured, reason| seq.map(|seq| Report { appliance, seq, configured, reason });
        let report = match &outcome {
            Outcome::Configured => {
                if io.plan.is_calm() {
                    io.ledger.configured_with(io.now, appliance, grants);
                }
                io.ledger.told_configured(io.now, self.number, appliance, seq.unwrap_or_default());
                report(true, None)
            }
            Outcome::Failed { reason, .. } => report(false, Some(*reason)),
            Outcome::NoAnswer => report(false, None),
            Outcome::Cancelled => None,
        };
        io.ledger.job(self.number, appliance, false);
        running.batch.changes.push(Change::Done { appliance, report, ended: was_sent.then_some(outcome) });
    }

    fn fetch_grants(&mut self, io: &mut Io) {
        let now = self.local(io);
        let Some(running) = &mut self.running else { return };
        if !running.asked.is_empty() || running.grants_again.is_some_and(|at| at > now) {
            return;
        }
        running.grants_again = None;
        let mut items = Vec::new();
        while let Some(appliance) = running.ungranted.pop_front() {
            if let Some(item) = running.items.get(&appliance) {
                running.asked.push(appliance);
                items.push((appliance, item.settings.clone()));
            }
        }
        if !items.is_empty() {
            let request = Request::Grants { console: self.number, run: self.run, items };
            let takes = io.dice.between(1, 40);
            io.queue.push(io.now + takes, Event::Asked(request));
        }
    }

    /// The NOC answered, or did not.
    pub(crate) fn answered(&mut self, io: &mut Io, run: u32, answer: Answer) {
        let now = self.local(io);
        let Some(running) = self.running.as_mut().filter(|_| run == self.run) else { return };
        match answer {
            Answer::Grants(Some(granted)) => {
                running.asked.clear();
                for granted in granted {
                    self.granted(io, granted);
                }
            }
            Answer::Grants(None) => {
                running.ungranted.extend(std::mem::take(&mut running.asked));
                running.grants_again = Some(now + AGAIN_MS);
            }
            Answer::Results(Some(count)) => {
                running.is_reporting = false;
                self.disk.reports.drain(..count);
            }
            Answer::Results(None) => {
                running.is_reporting = false;
                running.report_again = Some(now + AGAIN_MS);
            }
            Answer::Beat { .. } => {}
        }
        self.work(io);
    }

    fn granted(&mut self, io: &mut Io, granted: Granted) {
        let now = self.local(io);
        let Some(running) = &mut self.running else { return };
        let Granted { appliance, signed, seq, claim, voucher } = granted;
        let Some(item) = running.items.get_mut(&appliance) else { return };
        crate::attacker::steal(io, self.number, appliance, &signed);
        let grant = StoredGrant { signed: signed.clone(), seq, claim: claim.clone(), voucher: voucher.clone() };
        item.grant = Some(grant.clone());
        item.grants += 1;
        running.batch.changes.push(Change::Grant { appliance, grant });
        match running.active.get_mut(&appliance) {
            Some(delivery) => {
                delivery.handle_input(
                    now,
                    delivery::Input::Regranted { grant: signed, seq, claim, voucher },
                    &self.key,
                );
                self.drain(io, appliance);
            }
            None => running.ready.push_back(appliance),
        }
    }

    fn save(&mut self, io: &mut Io) {
        let now = self.local(io);
        let Some(running) = &mut self.running else { return };
        let waits = running.store_again.is_some_and(|at| at > now);
        if running.saving.is_some() || waits || running.batch.is_empty() {
            return;
        }
        running.store_again = None;
        running.saving = Some(std::mem::take(&mut running.batch));
        let takes = io.dice.between(1, 15);
        io.queue.push(io.now + takes, Event::Written { node: Node::Console(self.number), run: self.run });
    }

    /// A batch is on disk, or the disk was full.
    pub(crate) fn written(&mut self, io: &mut Io, run: u32) {
        let now = self.local(io);
        let Some(running) = self.running.as_mut().filter(|_| run == self.run) else { return };
        let rates = io.plan.rates;
        if io.strikes(Fault::ConsoleCutWriting, rates.console_cut) {
            return self.power_cut(io);
        }
        let Some(batch) = running.saving.take() else { return };
        if io.strikes(Fault::StoreFull, rates.store_full) {
            running.batch.put_before(batch);
            running.store_again = Some(now + AGAIN_MS);
            return self.work(io);
        }
        let tokens = self.disk.apply(io, self.number, batch);
        for (appliance, token) in tokens {
            if let Some(delivery) = self.running.as_mut().and_then(|running| running.active.get_mut(&appliance)) {
                delivery.handle_input(now, delivery::Input::Persisted(token), &self.key);
                self.drain(io, appliance);
            }
        }
        self.work(io);
    }

    fn report(&mut self, io: &mut Io) {
        let now = self.local(io);
        let Some(running) = &mut self.running else { return };
        let waits = running.report_again.is_some_and(|at| at > now);
        if running.is_reporting || waits || self.disk.reports.is_empty() {
            return;
        }
        running.report_again = None;
        running.is_reporting = true;
        let request = Request::Results { console: self.number, run: self.run, items: self.disk.reports.clone() };
        let takes = io.dice.between(1, 40);
        io.queue.push(io.now + takes, Event::Asked(request));
    }
}
